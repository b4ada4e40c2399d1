//! `overlay`: the tunnel by which Pods reach those of other nodes: its device, what the kernel knows of the other nodes
//! behind it, and rules of the packet filter that drop its packets.
//!
//! Other nodes are asked whether they answer only where their addresses are given (`cniscope doctor --peers`).

mod asked;
#[cfg(test)]
mod tests;

use std::path::Path;

use ipnetwork::IpNetwork;

use asked::Asked;

use super::Depth;
use super::flannel::{self, SubnetEnv};
use super::subject::{Origin, Subject};
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::{Finding, Status};
use crate::node::Node;
use crate::node::links::Link;
use crate::node::tunnels::Peers;

/// Devices of network add-ons, beside those of flannel.
const DEVICES: [&str; 2] = ["vxlan.calico", "cilium_vxlan"];
const RESTART: &str = "restart flanneld on this node: it makes its device, routes and entries again";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    /// What flannel has for this node.
    flannel: Option<SubnetEnv>,
    links: Vec<Link>,
    /// The other nodes behind flannel's device.
    peers: Option<Peers>,
    /// For each UDP port of a tunnel, the chains that drop its packets.
    dropped: Vec<(u16, Vec<String>)>,
    /// What other nodes answer, or why they could not be asked; `None` where nobody was to be.
    asked: Option<Result<Asked, String>>,
    /// What could not be read of all this.
    unseen: Vec<String>,
}

/// Whether the Pods may be behind an overlay: those of flannel, and whatever the node has.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    match subject.origin {
        Origin::Call => subject.plugin == "flannel" && subject.promised_result().is_some(),
        Origin::Node { .. } => true,
        Origin::Entry { .. } => false,
    }
}

/// Looks at it.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let links = match node.links() {
        Ok(links) => links,
        Err(error) => return Finding::skipped(error.to_string()),
    };
    let mut facts = Facts { flannel: flannel::subnet_env(node), links, ..Facts::default() };
    let flannels = facts.devices().find(|device| is_flannels(device) && device.port.is_some());
    match flannels.map(|device| node.peers_behind(device.index)).transpose() {
        Ok(peers) => facts.peers = peers,
        Err(error) => facts.unseen.push(error.to_string()),
    }
    if facts.flannel.is_none() && node.metadata(Path::new(flannel::SUBNET_ENV)).is_ok() {
        facts.unseen.push(format!("{} is not whole", flannel::SUBNET_ENV));
    }
    let mut ports: Vec<u16> = facts.devices().filter_map(|device| device.port).collect();
    ports.sort_unstable();
    ports.dedup();
    for port in ports {
        match node.chains_that_drop(port) {
            Some(chains) => facts.dropped.push((port, chains)),
            None => facts.unseen.push(format!("the rules of nf_tables for UDP port {port} cannot be read")),
        }
    }
    if !subject.peers.is_empty() {
        facts.asked = Some(asked::ask(node, &facts, &subject.peers));
    }
    judge(&facts)
}

impl Facts {
    /// The overlays' devices.
    fn devices(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| is_flannels(link) || DEVICES.contains(&link.name.as_str()))
    }
}

fn is_flannels(link: &Link) -> bool {
    link.name.starts_with("flannel")
}

fn judge(facts: &Facts) -> Finding {
    let seen = match judge_seen(facts) {
        seen if seen.status == Status::Ok && !facts.unseen.is_empty() => {
            Finding::skipped(format!("{}, but {}", seen.summary, facts.unseen.join(", ")))
        }
        seen => seen,
    };
    match &facts.asked {
        None => seen,
        Some(Ok(asked)) => asked::judge(asked, seen),
        Some(Err(why)) if seen.status == Status::Ok => Finding::skipped(why),
        Some(Err(why)) => seen.with("not_asked", why.as_str()),
    }
}

/// What can be told without other nodes' help.
fn judge_seen(facts: &Facts) -> Finding {
    let Some(first) = facts.devices().next() else { return without_device(facts) };
    let down = facts.devices().find(|device| !device.up).map(|device| {
        let name = &device.name;
        Finding::fail(
            Cause::InterfaceMissing,
            format!("{name} is down: Pods do not reach those of other nodes"),
        )
        .fix(format!("ip link set {name} up"))
        .fix("restart the network add-on on this node: the kernel has dropped the device's routes")
    });
    let found = down.or_else(|| of_peers(facts)).or_else(|| of_filter(facts));
    found.unwrap_or_else(|| {
        let behind = facts.peers.as_ref().map(|peers| peers.gateways.len());
        let nodes = behind.map(|count| format!(", with {count} other nodes behind it")).unwrap_or_default();
        Finding::ok(format!("{} is up{nodes}", first.name))
    })
}

/// `subnet.env` does not tell the back end, and host-gw has no device: the MTU tells.
fn without_device(facts: &Facts) -> Finding {
    let Some(env) = &facts.flannel else { return Finding::ok("this node has no overlay that is known") };
    let is_outside = |address: &IpNetwork| !env.subnets.iter().any(|subnet| subnet.contains(address.ip()));
    let leads_out = |link: &&Link| {
        link.up
            && link.name != "lo"
            && link.kind.as_deref() != Some("bridge")
            && link.addresses.iter().any(|address| address.is_ipv4() && is_outside(address))
    };
    let outer = || facts.links.iter().filter(leads_out);
    let leaves_room = |link: &Link| flannel::gone(env, link).is_some();
    if outer().any(leaves_room) && !outer().any(|link| link.mtu == env.mtu) {
        let summary = "flannel's device is gone: Pods do not reach those of other nodes";
        return Finding::fail(Cause::InterfaceMissing, summary)
            .with("flannel_mtu", env.mtu)
            .fix(RESTART)
            .fix("find what removed it: journalctl -k --since -1h, and the host's network manager");
    }
    Finding::ok("flannel has no device here, as with host-gw")
}

/// flannel puts down all three for another node, or none.
fn of_peers(facts: &Facts) -> Option<Finding> {
    let peers = facts.peers.as_ref()?;
    let device = facts.devices().find(|device| is_flannels(device)).map_or("", |device| device.name.as_str());
    let mut lacking = Vec::new();
    for gateway in &peers.gateways {
        match peers.mac_of(*gateway) {
            None => lacking.push(("neighbour entry", gateway)),
            Some(mac) if peers.node_of(mac).is_none() => {
                lacking.push(("forwarding (FDB) entry", gateway));
            }
            Some(_) => {}
        }
    }
    let routed = |address| peers.gateways.contains(address);
    let unrouted =
        peers.neighbours.iter().filter(|(address, mac)| !routed(address) && peers.node_of(mac).is_some());
    lacking.extend(unrouted.map(|(address, _)| ("route", address)));
    let (what, _) = lacking.first()?;
    let named: Vec<String> = lacking.iter().map(|(what, address)| format!("{what} of {address}")).collect();
    let summary =
        format!("{} of the nodes behind {device} are not reached: the {what} is missing", lacking.len());
    Some(Finding::fail(Cause::RouteConflict, summary).with("missing", named).fix(RESTART))
}

fn of_filter(facts: &Facts) -> Option<Finding> {
    let (port, chains) = facts.dropped.iter().find(|(_, chains)| !chains.is_empty())?;
    let chain = chains.first()?;
    let summary = format!("a firewall rule drops UDP {port}, by which Pods reach those of other nodes");
    Some(
        Finding::fail(Cause::IptablesFailed, summary)
            .with("chains", chains.clone())
            .fix(format!("see the rule: nft -a list chain {chain}"))
            .fix(format!("let UDP {port} pass between the nodes, in the tool that has made the rule")),
    )
}
