//! `calico`: what calico-node leaves on the node for the plugin (`cni-plugin/pkg`), and calico-node itself.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Depth;
use super::credentials::{self, Credentials, TOKEN_LIFE, Validity, spoken};
use super::subject::Subject;
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

const NODENAME: &str = "/var/lib/calico/nodename";
const MTU: &str = "/var/lib/calico/mtu";
const IPAM_LOCK: &str = "/var/run/calico/ipam.lock";
/// The agent's process; its parts run under this name since 3.0, and Felix had one of its own before.
const AGENT: [&str; 2] = ["calico-node", "calico-felix"];
/// A call of the IPAM plugin that is older than this does not only wait for its turn.
const LONG_HELD: Duration = Duration::from_secs(30);

/// A file that the plugin reads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stands {
    There(String),
    Missing,
    /// Why it cannot be looked at.
    Unreadable(String),
}

/// The file that names the API server and holds the token.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kubeconfig {
    path: String,
    state: Stands,
    /// How long ago it was written.
    age: Option<Duration>,
}

/// The process that holds IPAM's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    shown: String,
    age: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    nodename: Stands,
    /// The plugin takes the host's name where there is no file.
    nodename_is_optional: bool,
    /// What the file of the MTU holds, where the configuration leaves it to the file.
    mtu: Option<Stands>,
    kubeconfig: Option<Kubeconfig>,
    lock_holder: Option<Holder>,
    /// How many processes of calico-node run; `None` where it was not looked for.
    agents: Option<usize>,
    now: SystemTime,
}

/// Whether the call is Calico's.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    matches!(subject.verb, Verb::Add | Verb::Del)
        && (subject.plugin == "calico" || subject.config["ipam"]["type"] == "calico-ipam")
}

/// Looks at what calico-node has left.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let config = &subject.config;
    let path = config["kubernetes"]["kubeconfig"].as_str().filter(|path| !path.is_empty());
    let kubeconfig = path.map(|path| {
        let written = node.metadata(Path::new(path)).ok().and_then(|metadata| metadata.modified().ok());
        let age = written.and_then(|written| written.elapsed().ok());
        Kubeconfig { path: path.to_owned(), state: read(node, path), age }
    });
    let close = depth == Depth::Full;
    let holder = |path: &str| {
        let holder = node.lock_holder(Path::new(path))?;
        let age = node.process(holder.pid).and_then(|process| node.age(&process));
        Some(Holder { shown: holder.to_string(), age })
    };
    let configured_mtu = config["mtu"].as_u64().unwrap_or(0);
    let facts = Facts {
        nodename: read(node, config["nodename_file"].as_str().unwrap_or(NODENAME)),
        nodename_is_optional: config["nodename_file_optional"] == Value::Bool(true),
        mtu: (configured_mtu == 0 && subject.plugin == "calico").then(|| read(node, MTU)),
        kubeconfig,
        lock_holder: if close { holder(IPAM_LOCK) } else { None },
        agents: if close { node.processes_named(&AGENT).map(|agents| agents.len()) } else { None },
        now: SystemTime::now(),
    };
    judge(&facts)
}

fn read(node: &Node, path: &str) -> Stands {
    match node.read_text(Path::new(path)) {
        Ok(content) => Stands::There(content),
        Err(error) if error.is_missing() => Stands::Missing,
        Err(error) => Stands::Unreadable(error.to_string()),
    }
}

fn judge(facts: &Facts) -> Finding {
    let age = facts.kubeconfig.as_ref().and_then(|kubeconfig| kubeconfig.age);
    let mut finding = of_files(facts)
        .or_else(|| facts.kubeconfig.as_ref().and_then(|kubeconfig| of_token(kubeconfig, facts.now)))
        .or_else(|| of_processes(facts))
        .unwrap_or_else(|| Finding::ok("what calico-node leaves for the plugin is there"));
    if let Some(age) = age {
        finding = finding.with("kubeconfig_age_s", age.as_secs());
    }
    if let Some(holder) = &facts.lock_holder {
        finding = finding.with("ipam_lock_holder", holder.shown.as_str());
    }
    if let Some(agents) = facts.agents {
        finding = finding.with("agent_processes", agents);
    }
    finding
}

const RESTART: &str = "see why calico-node does not run on this node, or restart its Pod here";

/// The files that must be there, or well.
fn of_files(facts: &Facts) -> Option<Finding> {
    match &facts.nodename {
        Stands::Missing if !facts.nodename_is_optional => {
            let agents = if facts.agents == Some(0) { ", and calico-node does not run" } else { "" };
            let summary = format!("{NODENAME} is missing{agents}");
            return Some(Finding::fail(Cause::AgentUnreachable, summary).fix(RESTART));
        }
        Stands::There(name) if name.trim().is_empty() => {
            let summary = format!("{NODENAME} is empty: the plugin takes the host's name for the node's");
            return Some(Finding::warn(summary).explains(Cause::ApiObjectMissing).fix(RESTART));
        }
        Stands::Unreadable(why) => return Some(Finding::skipped(why.as_str())),
        Stands::There(_) | Stands::Missing => {}
    }
    if let Some(Kubeconfig { path, state, .. }) = &facts.kubeconfig {
        match state {
            Stands::Missing => {
                let summary = format!("{path} is missing");
                return Some(Finding::fail(Cause::KubeconfigMissing, summary).fix(RESTART));
            }
            Stands::There(content) if content.trim().is_empty() => {
                let summary = format!("{path} is empty");
                return Some(Finding::fail(Cause::KubeconfigMissing, summary).fix(RESTART));
            }
            Stands::Unreadable(why) => return Some(Finding::skipped(why.as_str())),
            Stands::There(_) => {}
        }
    }
    match &facts.mtu {
        Some(Stands::There(mtu)) if mtu.trim().parse::<u32>().is_err() => {
            let summary = format!("{MTU} holds no number");
            Some(Finding::fail(Cause::FilesystemBroken, summary).fix(RESTART))
        }
        Some(Stands::Unreadable(why)) => Some(Finding::skipped(why.as_str())),
        _ => None,
    }
}

/// The life of the token in the kubeconfig: calico-node writes a new one long before it ends.
fn of_token(kubeconfig: &Kubeconfig, now: SystemTime) -> Option<Finding> {
    let Stands::There(content) = &kubeconfig.state else { return None };
    let Credentials { token: Some(token), .. } = credentials::parse(content) else { return None };
    let path = &kubeconfig.path;
    let written =
        kubeconfig.age.map(|age| format!(", it was written {} ago", spoken(age))).unwrap_or_default();
    let denied = |summary: String| Some(Finding::fail(Cause::ApiserverDenied, summary).fix(RESTART));
    match token {
        Validity { until: Some(until), .. } if until <= now => {
            let since = spoken(now.duration_since(until).unwrap_or_default());
            denied(format!("the token in {path} expired {since} ago{written}"))
        }
        Validity { from: Some(from), .. } if from > now + Duration::from_mins(1) => {
            let until = spoken(from.duration_since(now).unwrap_or_default());
            let summary =
                format!("the token in {path} is valid only in {until}: this node's clock is behind");
            denied(summary).map(|finding| finding.fix("set the node's clock, and keep it synchronised"))
        }
        // A token that tells no end may be one of those that have none.
        Validity { until: None, .. } => {
            let age = kubeconfig.age.filter(|age| *age > TOKEN_LIFE)?;
            let summary = format!(
                "{path} was written {} ago, and its token does not tell how long it is valid: calico-node's are for {}",
                spoken(age),
                spoken(TOKEN_LIFE)
            );
            Some(Finding::warn(summary).explains(Cause::ApiserverDenied).fix(RESTART))
        }
        Validity { .. } => None,
    }
}

fn of_processes(facts: &Facts) -> Option<Finding> {
    if facts.agents == Some(0) {
        let summary = "calico-node does not run on this node: nobody connects what the plugin makes";
        return Some(Finding::warn(summary).explains(Cause::AgentUnreachable).fix(RESTART));
    }
    let held = facts.lock_holder.as_ref()?;
    let age = held.age.filter(|age| *age > LONG_HELD)?;
    let summary = format!("IPAM's lock {IPAM_LOCK} is held by a process that runs since {}", spoken(age));
    let fix = format!("see what {} waits for: cniscope journal, or its open connections", held.shown);
    Some(Finding::warn(summary).explains(Cause::PluginTimeout).fix(fix))
}
