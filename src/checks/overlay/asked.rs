//! What other nodes answer, and where the way to one that does not breaks off.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Facts;
use crate::checks::flannel;
use crate::cni::go;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::{Finding, Status};
use crate::node::Node;
use crate::node::echo::{Reply, Request};
use crate::node::links::Link;
use crate::node::tunnels::Peers;
use crate::node::ways::Way;

/// The size of a small packet: that of ping.
const SMALL: u32 = 84;
/// The largest packet of IP.
const MAX_PACKET: u32 = 65535;
/// The most addresses that a summary names.
const MAX_NAMED: usize = 3;
const RESTART: &str =
    "restart the network add-on on this node: it makes routes and entries of other nodes again";

/// What was asked of other nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    others: Vec<Other>,
    /// Addresses among those given that are this node's.
    own: Vec<IpAddr>,
}

/// Another node, by its address in the overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Other {
    address: IpAddr,
    /// How packets to it leave; `None` where there is no route.
    way: Option<Out>,
    small: Reply,
    /// What became of a packet as large as the way's MTU.
    full: Reply,
    /// What the kernel has learned that the way carries.
    learned: Option<u32>,
}

/// How packets leave.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Out {
    device: String,
    mtu: u32,
    /// Whether only the default route leads there, although there is an overlay.
    is_lost: bool,
    tunnel: Option<Tunnel>,
}

/// The way through a vxlan whose entries the add-on makes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tunnel {
    port: u16,
    has_neighbour: bool,
    /// The node's address outside of the overlay, and whether it answers there.
    node: Option<(IpAddr, Reply)>,
}

/// Asks them all at once.
pub(super) fn ask(node: &Node, facts: &Facts, addresses: &[IpAddr]) -> Result<Asked, String> {
    let cannot = |why: String| format!("other nodes cannot be asked: {why}");
    let ways = node.ways_to(addresses).map_err(|error| cannot(error.to_string()))?;
    let mut asked = Asked::default();
    let mut behind: Vec<(u32, Peers)> = Vec::new();
    for (address, way) in addresses.iter().zip(ways) {
        if way == Way::Own {
            asked.own.push(*address);
            continue;
        }
        let way = out(node, facts, *address, way, &mut behind);
        let silent = Reply::Silence;
        asked.others.push(Other { address: *address, way, small: silent, full: silent, learned: None });
    }
    let replies = node.echo(&asked.requests()).map_err(|errno| cannot(go::errno_text(errno)))?;
    asked.take(replies);
    let others: Vec<IpAddr> = asked.others.iter().map(|other| other.address).collect();
    let learned = node.path_mtus(&others).map_err(|error| cannot(error.to_string()))?;
    for (other, learned) in asked.others.iter_mut().zip(learned) {
        other.learned = learned;
    }
    Ok(asked)
}

fn out(node: &Node, facts: &Facts, address: IpAddr, way: Way, behind: &mut Vec<(u32, Peers)>) -> Option<Out> {
    let Way::Through(hop) = way else { return None };
    let link = facts.links.iter().find(|link| link.index == hop.link)?;
    let is_overlays = |device: &&Link| device.index == link.index;
    let tunnel = facts.devices().find(is_overlays).and_then(|device| {
        let port = device.port?;
        if !behind.iter().any(|(index, _)| *index == device.index) {
            behind.push((device.index, node.peers_behind(device.index).ok()?));
        }
        let (_, peers) = behind.iter().find(|(index, _)| *index == device.index)?;
        let mac = peers.mac_of(hop.gateway.unwrap_or(address));
        let node = mac.and_then(|mac| peers.node_of(mac)).map(|node| (node, Reply::Silence));
        Some(Tunnel { port, has_neighbour: mac.is_some(), node })
    });
    Some(Out {
        device: link.name.clone(),
        mtu: hop.mtu.unwrap_or(u32::MAX).min(link.mtu).min(MAX_PACKET),
        is_lost: hop.is_default && facts.devices().next().is_some(),
        tunnel,
    })
}

impl Asked {
    /// For every node two or three, in an order that [`Asked::take`] knows.
    fn requests(&self) -> Vec<Request> {
        let of = |other: &Other| {
            let (to, way) = (other.address, other.way.as_ref());
            let mut requests = vec![Request { to, size: SMALL }];
            requests.extend(way.map(|way| Request { to, size: way.mtu }));
            let node = way.and_then(|way| way.tunnel.as_ref()?.node);
            requests.extend(node.map(|(to, _)| Request { to, size: SMALL }));
            requests
        };
        self.others.iter().flat_map(of).collect()
    }

    fn take(&mut self, replies: Vec<Reply>) {
        let mut replies = replies.into_iter();
        let mut next = || replies.next().unwrap_or(Reply::Silence);
        for other in &mut self.others {
            other.small = next();
            let Some(way) = &mut other.way else { continue };
            other.full = next();
            if let Some((_, reply)) = way.tunnel.as_mut().and_then(|tunnel| tunnel.node.as_mut()) {
                *reply = next();
            }
        }
    }
}

/// What was asked, together with what was `seen` without asking.
pub(super) fn judge(asked: &Asked, seen: Finding) -> Finding {
    let is_well = seen.status == Status::Ok;
    let found = silent(asked, &seen).or_else(|| cut(asked)).or_else(|| narrow(asked));
    let finding = match found {
        Some(found) if is_well || found.summary.contains(&seen.summary) => found,
        Some(found) => found.with("besides", seen.summary),
        None if !is_well => seen,
        None if asked.others.is_empty() => {
            Finding::skipped("the addresses that were to be asked are this node's own")
        }
        None => all_answer(asked, &seen),
    };
    let finding = finding.with("asked", asked.others.iter().map(Other::shown).collect::<Vec<_>>());
    let own: Vec<String> = asked.own.iter().map(ToString::to_string).collect();
    if own.is_empty() { finding } else { finding.with("own", own) }
}

fn all_answer(asked: &Asked, seen: &Finding) -> Finding {
    let times = asked.others.iter().flat_map(|other| [other.small.after(), other.full.after()]);
    let slowest = times.flatten().max().unwrap_or_default();
    let (count, took) = (asked.others.len(), milliseconds(slowest));
    let who = if count == 1 {
        format!("{} answers", asked.others[0].address)
    } else {
        format!("all {count} nodes asked answer")
    };
    Finding::ok(format!("{}; {who} up to the full MTU, within {took} ms", seen.summary))
}

/// Nodes from which nothing comes back.
fn silent(asked: &Asked, seen: &Finding) -> Option<Finding> {
    let silent: Vec<&Other> = asked.others.iter().filter(|other| !other.answers()).collect();
    let first = silent.first()?;
    let who = named(&silent, asked, "does not answer", "do not answer");
    // Nothing passes, to whichever node.
    if matches!(seen.cause, Some(Cause::InterfaceMissing | Cause::IptablesFailed)) {
        let summary = format!("{who}: {}", seen.summary);
        return Some(Finding { summary, ..seen.clone() });
    }
    Some(first.breaks_off(&who))
}

impl Other {
    fn answers(&self) -> bool {
        self.small.after().is_some() || self.full.after().is_some()
    }

    /// Where the way to a node that does not answer breaks off.
    fn breaks_off(&self, who: &str) -> Finding {
        let lacks = |what: String| {
            Finding::fail(Cause::RouteConflict, format!("{who}: {what}"))
                .fix(RESTART)
                .fix(format!("see whether {} is a node's address in the overlay still", self.address))
        };
        let not_known = |what: String| Finding::new(Status::Fail, format!("{who}: {what}"));
        let Some(way) = &self.way else { return lacks("this node has no route to it".to_owned()) };
        let device = &way.device;
        if way.is_lost {
            return lacks(format!("this node has no route to it but the default one through {device}"));
        }
        if let Reply::Unsent(errno) = self.small {
            return not_known(format!("nothing can be sent to it: {}", go::errno_text(errno)))
                .fix("see whether a rule of this node's firewall drops ICMP: nft list ruleset");
        }
        let Some(Tunnel { port, has_neighbour, node }) = &way.tunnel else {
            return not_known(format!("its route through {device} is all that this node knows of the way"))
                .fix(format!(
                    "see whether that node runs, and where packets end: tracepath -n {}",
                    self.address
                ));
        };
        match node {
            None if !has_neighbour => lacks(format!("its neighbour entry on {device} is missing")),
            None => lacks(format!("its forwarding (FDB) entry on {device} is missing")),
            Some((node, Reply::After(_))) => not_known(format!(
                "its node {node} does; UDP {port} or ICMP in it is dropped on the way or there, or its tunnel device is not set up"
            ))
            .fix(format!("let UDP {port} pass between the nodes: firewall of {node}, rules of the network"))
            .fix(format!("see on {node} whether the packets come: tcpdump -ni any udp port {port}"))
            .fix(format!("restart the network add-on on {node}: it makes its device, routes and entries again")),
            Some((node, _)) => not_known(format!("nor does its node {node}, which is gone, not reached, or answers no ICMP"))
                .fix(format!("see whether the node {node} runs, and whether it has that address still"))
                .fix(format!("see where packets to it end: tracepath -n {node}")),
        }
    }

    /// What the way carries, if it is known to be less than its MTU.
    fn room(&self) -> Option<u32> {
        let way = self.way.as_ref()?;
        self.learned.filter(|learned| *learned < way.mtu)
    }

    fn shown(&self) -> Value {
        let mut shown = Map::from_iter([("address".to_owned(), self.address.to_string().into())]);
        let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
        put("ms", shown_reply(self.small));
        if let Some(way) = &self.way {
            put("device", way.device.as_str().into());
            put("mtu", way.mtu.into());
            put("ms_at_mtu", shown_reply(self.full));
            if let Some(learned) = self.room() {
                put("path_mtu", learned.into());
            }
            if let Some((node, reply)) = way.tunnel.as_ref().and_then(|tunnel| tunnel.node) {
                put("node", node.to_string().into());
                put("node_ms", shown_reply(reply));
            }
        }
        shown.into()
    }
}

/// Nodes to which only small packets pass.
fn cut(asked: &Asked) -> Option<Finding> {
    let cut: Vec<&Other> = asked.others.iter().filter(|other| other.full.after().is_none()).collect();
    let first = cut.first()?;
    let way = first.way.as_ref()?;
    let lost = match first.room() {
        Some(room) => format!("the way has room for {room}"),
        None => "larger packets are lost on the way".to_owned(),
    };
    let who = named(&cut, asked, "answers", "answer");
    let summary = format!("{who}, but not at {} bytes, the MTU through {}: {lost}", way.mtu, way.device);
    Some(fixed(Finding::fail(Cause::MtuInvalid, summary), first, way))
}

/// Nodes to which full packets pass now only since something on the way takes them apart.
fn narrow(asked: &Asked) -> Option<Finding> {
    let narrow: Vec<&Other> = asked.others.iter().filter(|other| other.room().is_some()).collect();
    let first = narrow.first()?;
    let (way, room) = (first.way.as_ref()?, first.room()?);
    let who = named(&narrow, asked, "answers", "answer");
    let summary = format!(
        "{who} at {} bytes, the MTU through {}, but the way has room for {room}: larger packets of Pods are refused",
        way.mtu, way.device
    );
    Some(fixed(Finding::warn(summary).explains(Cause::MtuInvalid), first, way))
}

fn fixed(finding: Finding, other: &Other, way: &Out) -> Finding {
    let raise = way.tunnel.as_ref().and_then(|tunnel| tunnel.node).map(|(node, _)| {
        let overhead = if node.is_ipv6() { flannel::VXLAN6_OVERHEAD } else { flannel::VXLAN_OVERHEAD };
        format!("give all links between the nodes an MTU of at least {}", way.mtu + overhead)
    });
    let header = if other.address.is_ipv6() { 48 } else { 28 };
    let payload = way.mtu.saturating_sub(header);
    finding
        .fix(raise.unwrap_or_else(|| format!("give all links on the way an MTU of at least {}", way.mtu)))
        .fix("or set a smaller MTU in the network add-on's configuration, and restart it and the Pods")
        .fix(format!("see which size passes: ping -M do -c 1 -s {payload} {}", other.address))
}

/// Who of those that were asked.
fn named(some: &[&Other], asked: &Asked, one: &str, several: &str) -> String {
    let mut names: Vec<String> = some.iter().take(MAX_NAMED).map(|other| other.address.to_string()).collect();
    if some.len() > MAX_NAMED {
        names.push(format!("{} more", some.len() - MAX_NAMED));
    }
    let (names, verb) = (names.join(", "), if some.len() == 1 { one } else { several });
    match asked.others.len() {
        all if all == some.len() => format!("{names} {verb}"),
        all => format!("{names} of {all} nodes asked {verb}"),
    }
}

fn shown_reply(reply: Reply) -> Value {
    match reply {
        Reply::After(time) => milliseconds(time).into(),
        Reply::Silence => Value::Null,
        Reply::Unsent(errno) => go::errno_text(errno).into(),
    }
}

/// To a hundredth.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
