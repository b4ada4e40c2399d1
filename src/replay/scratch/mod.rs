//! The inside: the first process of the new namespaces makes the scratch node, calls the plugins, and tells what came of it.
//! The only door of a replay to files, links and processes; all of them end with this process.

mod calls;
mod copy;
mod links;
mod making;
mod mounts;
mod state;

use std::path::Path;

use super::Report;
use super::change;
use super::plan::{Entry, Plan};
use crate::node::Node;
use crate::node::links::{Link, LinkError};

/// Where host-local keeps its pools unless it is told otherwise.
const POOLS: &str = "/var/lib/cni/networks";

/// Whether packets are handed on from one link to another: 0 or 1.
pub const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Why nothing was called.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The file systems.
    #[error(transparent)]
    Mount(#[from] mounts::MountError),
    /// The links.
    #[error("the scratch node's links: {0}")]
    Link(#[from] LinkError),
    /// The calls.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Does all of it, for a node that has these links and `forwards` packets or not. This process has to be the first one of its
/// namespaces, which the caller has made, and to have one thread.
///
/// # Errors
/// If the scratch node cannot be made: then nothing was called.
pub fn run(plan: &Plan, node_links: &[Link], forwards: bool) -> Result<Report, ScratchError> {
    let folders = plan.state_folders();
    mounts::enter(&folders, &plan.folders, plan.substitute.as_ref())?;
    links::make_sandbox(&plan.sandbox)?;
    links::set_loopback_up()?;
    // A new network namespace begins with what is set in the machine's first one, which need not be the node's
    // (net.core.devconf_inherit_init_net).
    std::fs::write(FORWARDING, if forwards { "1" } else { "0" })?;
    let mut notes = Vec::new();
    for master in plan.masters() {
        let like = node_links.iter().find(|link| master.name.as_ref() == Some(&link.name));
        notes.push(links::stand_in_for_master(&master, like, &plan.sandbox)?);
    }
    if let Some(result) = plan.given() {
        notes.extend(links::stand_in_for_result(result, &plan.sandbox)?);
    }
    if plan.release {
        notes.extend(release(plan));
    }
    let before = state::read(&plan.sandbox, &folders)?;
    let calls = calls::make(plan)?;
    let now = state::read(&plan.sandbox, &folders)?;
    Ok(Report { calls, changes: change::between(&before, &now), notes })
}

/// Gives back what this container has in the copies of the pools; says what that was.
fn release(plan: &Plan) -> Option<String> {
    let mut released = Vec::new();
    for pool in plan.entries.iter().filter_map(pool) {
        for name in Node::this().list(Path::new(&pool), 1 << 17).unwrap_or_default().names {
            let path = Path::new(&pool).join(&name);
            let content = Node::this().read_text(&path).unwrap_or_default();
            let mut lines = content.lines();
            let is_of_container = lines.next() == Some(plan.container_id.as_str());
            let is_of_link = lines.next().is_none_or(|ifname| ifname == plan.ifname);
            if is_of_container && is_of_link && std::fs::remove_file(&path).is_ok() {
                released.push(name.to_string_lossy().into_owned());
            }
        }
    }
    released.sort();
    (!released.is_empty()).then(|| {
        format!("the container's own {}, which this call once got, was free in the copy", released.join(", "))
    })
}

/// The folder of the pool that an entry takes addresses from.
fn pool(entry: &Entry) -> Option<String> {
    let config = &entry.config;
    let ipam = if entry.plugin == "flannel" { &config["delegate"]["ipam"] } else { &config["ipam"] };
    let is_host_local = match ipam["type"].as_str() {
        Some(kind) => kind == "host-local",
        None => entry.plugin == "flannel",
    };
    let folder = ipam["dataDir"].as_str().filter(|folder| !folder.is_empty()).unwrap_or(POOLS);
    let network = config["name"].as_str().filter(|name| !name.contains('/'))?;
    is_host_local.then(|| format!("{folder}/{network}"))
}

/// Whether an entry's addresses come from a pool of which there is a copy.
#[must_use]
pub fn takes_from_pool(entry: &Entry) -> bool {
    pool(entry).is_some()
}
