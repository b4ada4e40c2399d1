//! `bridge`: what stands under the bridge's name (`plugins/main/bridge/bridge.go`).

mod sharing;
#[cfg(test)]
mod tests;
mod vlan;

use ipnetwork::IpNetwork;
use serde_json::Value;

use super::Depth;
use super::ranges;
use super::subject::Subject;
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::{Finding, Status};
use crate::node::Node;
use crate::node::links::{Link, LinkError};
use sharing::Other;

/// How many ports a bridge holds (`BR_MAX_PORTS` in the kernel's net/bridge/br_private.h, less the bridge itself).
const MAX_PORTS: usize = 1023;

/// How many of the networks that share it a record names.
const NAMED: usize = 16;

/// What the configuration wants of the bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    name: String,
    /// The link that gets the gateways' addresses: the bridge, or of a VLAN one of its own (`ensureVlanInterface`).
    gateway_link: String,
    /// For each range set the gateways that an address of it may bring; empty where the bridge is to have no address.
    gateways: Vec<Vec<IpNetwork>>,
    /// A foreign address is removed by the plugin.
    force_address: bool,
    has_vlans: bool,
    mtu: Option<u64>,
}

/// The links that matter; `None` is one that is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Links {
    bridge: Option<Link>,
    /// The one that gets the gateways' addresses.
    of_gateways: Option<Link>,
    /// Of a VLAN, the port of the bridge that belongs to it, where it was looked for.
    port_of_gateways: Option<Link>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    wanted: Wanted,
    links: Links,
    /// How many ports the bridge has, where they were counted.
    ports: Option<usize>,
    /// The other networks that use it, where they were looked for.
    others: Vec<Other>,
}

/// Whether the call makes or uses a bridge.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    subject.verb == Verb::Add && !subject.is_chained() && subject.bridge().is_some()
}

/// Looks at the bridge.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let config = match subject.effective_config(node) {
        Ok(config) => config,
        Err(why) => return Finding::skipped(why),
    };
    let wanted = wanted(&config, subject.bridge().unwrap_or_default());
    let links = match links(node, &wanted, depth) {
        Ok(links) => links,
        Err(error) => return Finding::skipped(error.to_string()),
    };
    // Counting means asking for every link: not on the path of a good call.
    let ports = match (&links.bridge, depth) {
        (Some(bridge), Depth::Full) => node.count_ports(bridge.index).ok(),
        _ => None,
    };
    // Of a call nothing is told of other networks but whose address is in its way.
    let is_asked =
        !subject.is_call() || links.of_gateways.as_ref().and_then(|it| obstacle(&wanted, it)).is_some();
    let others = match depth {
        Depth::Full if is_asked => sharing::others(node, subject, &wanted.name),
        _ => Vec::new(),
    };
    judge(&Facts { wanted, links, ports, others })
}

fn links(node: &Node, wanted: &Wanted, depth: Depth) -> Result<Links, LinkError> {
    let bridge = node.link(&wanted.name, None)?;
    let of_gateways = if wanted.gateway_link == wanted.name {
        bridge.clone()
    } else if wanted.gateways.is_empty() {
        None
    } else {
        node.link(&wanted.gateway_link, None)?
    };
    let is_veth = |link: &&Link| link.is_veth() && depth == Depth::Full;
    let port = of_gateways.as_ref().filter(is_veth).and_then(|link| link.lower);
    let port_of_gateways = match port {
        Some(port) => node.links()?.into_iter().find(|link| link.index == port),
        None => None,
    };
    Ok(Links { bridge, of_gateways, port_of_gateways })
}

fn wanted(config: &Value, name: String) -> Wanted {
    let on = |key: &str| config[key].as_bool() == Some(true);
    let gateways = if on("isGateway") || on("isDefaultGateway") {
        let sets = ranges::of_config(config).unwrap_or_default();
        sets.iter().map(|set| set.0.iter().filter_map(ranges::Range::gateway_network).collect()).collect()
    } else {
        Vec::new()
    };
    let gateway_link = match config["vlan"].as_u64() {
        None | Some(0) => name.clone(),
        Some(vlan) => format!("{name}.{vlan}"),
    };
    Wanted {
        name,
        gateway_link,
        gateways,
        force_address: on("forceAddress"),
        has_vlans: config["vlan"].as_u64().is_some_and(|vlan| vlan > 0) || config["vlanTrunk"].is_array(),
        mtu: config["mtu"].as_u64().filter(|mtu| *mtu > 0),
    }
}

fn judge(facts: &Facts) -> Finding {
    let name = &facts.wanted.name;
    let found = match &facts.links.bridge {
        None => Finding::ok(format!("{name} does not exist yet: the plugin makes it")),
        Some(link) if link.kind.as_deref() == Some("bridge") => judge_bridge(facts, link),
        Some(link) => wrong_kind(name, kind(link)),
    };
    let warned = || sharing::clash(&facts.wanted, &facts.others).or_else(|| vlan::fault(facts));
    let finding = if found.status == Status::Fail { found } else { warned().unwrap_or(found) };
    let mut finding = finding.with("bridge", name.as_str());
    if let Some(link) = &facts.links.bridge {
        finding = finding
            .with("kind", kind(link))
            .with("up", link.up)
            .with("mtu", link.mtu)
            .with("addresses", shown(&link.addresses));
    }
    if let Some(ports) = facts.ports {
        finding = finding.with("ports", ports);
    }
    if !facts.others.is_empty() {
        finding = finding
            .with("shared_with", facts.others.iter().take(NAMED).map(Other::shown).collect::<Vec<_>>());
    }
    finding
}

fn kind(link: &Link) -> &str {
    link.kind.as_deref().unwrap_or("physical interface")
}

fn wrong_kind(name: &str, kind: &str) -> Finding {
    Finding::fail(Cause::BridgeWrongKind, format!("{name} is no bridge but a {kind}"))
        .fix(format!("give the network another bridge name than {name}"))
        .fix(format!(
            "or rename the {kind}: ip link set dev {name} down && ip link set dev {name} name {name}-old"
        ))
}

fn judge_bridge(facts: &Facts, link: &Link) -> Finding {
    let (wanted, name) = (&facts.wanted, &facts.wanted.name);
    if facts.ports.is_some_and(|ports| ports >= MAX_PORTS) {
        return Finding::fail(
            Cause::BridgeWrongKind,
            format!("{name} has {MAX_PORTS} ports, the most that a bridge can have"),
        )
        .fix("spread the Pods over more nodes, or over a second network with a bridge of its own");
    }
    if let Some(conflict) = facts.links.of_gateways.as_ref().and_then(|it| conflict(facts, it)) {
        return conflict;
    }
    // Without ports a bridge falls back to 1500, and takes the MTU of the first port that joins (net/bridge/br_if.c).
    if let Some(mtu) = wanted.mtu.filter(|mtu| link.carrier && *mtu != u64::from(link.mtu)) {
        return Finding::warn(format!("{name} has MTU {}, the configuration asks for {mtu}", link.mtu));
    }
    Finding::ok(format!("{name} is a bridge that fits the network"))
}

/// An address that keeps the plugin from setting the gateway's.
fn conflict(facts: &Facts, link: &Link) -> Option<Finding> {
    let (foreign, expected) = obstacle(&facts.wanted, link)?;
    let (holder, expected) = (&facts.wanted.gateway_link, shown(expected));
    let gateway = expected.join(" or ");
    let mut finding = Finding::fail(
        Cause::BridgeAddressConflict,
        format!("{holder} has another address than the network's gateway {gateway}"),
    )
    .with("foreign", foreign.to_string())
    .with("expected", expected)
    .fix(format!("take the foreign address off {holder}, or give the network the subnet that {holder} has"));
    if let Some(owner) = sharing::owner(&facts.others, holder, foreign) {
        let (network, file) = (owner.network.as_str(), owner.file.display().to_string());
        finding = finding.fix(format!(
            "{foreign} is the gateway of the network {network} in {file}: give one of the two another bridge name"
        ));
        finding = finding.with("gateway_of", network).with("its_file", file);
    }
    Some(finding.fix(format!(
        "destructive: ip address delete {foreign} dev {holder} (Pods of the network that owns it lose their gateway)"
    )))
}

/// The address by which the plugin fails, and the gateways that it wants in its place.
fn obstacle<'w>(wanted: &'w Wanted, link: &Link) -> Option<(IpNetwork, &'w [IpNetwork])> {
    let mut sets = wanted.gateways.iter().filter(|_| !wanted.force_address);
    sets.find_map(|gateways| Some((foreign_address(gateways, &link.addresses)?, gateways.as_slice())))
}

/// The address that the plugin would trip over: of IPv4 the first one, of IPv6 the first that overlaps.
fn foreign_address(gateways: &[IpNetwork], addresses: &[IpNetwork]) -> Option<IpNetwork> {
    let family = gateways.first()?.is_ipv4();
    let same_family = addresses.iter().filter(|address| address.is_ipv4() == family);
    for address in same_family {
        if gateways.contains(address) {
            return None;
        }
        let overlaps =
            gateways.iter().any(|gateway| gateway.contains(address.ip()) || address.contains(gateway.ip()));
        if family || overlaps {
            return Some(*address);
        }
    }
    None
}

fn shown(addresses: &[IpNetwork]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
