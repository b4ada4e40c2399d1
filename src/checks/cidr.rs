//! `cidr`: the network's subnets against those in which the node itself has addresses, its routes, and the cluster's Services;
//! and whether they have room for the Pods that the kubelet takes.

mod kubernetes;
#[cfg(test)]
mod tests;

use std::path::Path;

use ipnetwork::IpNetwork;
use serde_json::{Value, json};

use super::Depth;
use super::ranges::{self, RangeSet};
use super::subject::{Origin, Subject};
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::links::Link;
use crate::node::routes::Route;

/// Links of overlays, of Pods, and those that only hold addresses: theirs lie in the cluster's networks by right.
const OF_CLUSTER: [&str; 10] =
    ["vxlan", "geneve", "ipip", "sit", "ip6tnl", "gre", "wireguard", "veth", "dummy", "tun"];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    /// What Pods of this node have addresses of.
    own: Vec<IpNetwork>,
    /// What Pods of the cluster have addresses of, as far as that is known.
    cluster: Vec<IpNetwork>,
    bridge: Option<String>,
    links: Vec<Link>,
    routes: Vec<Route>,
    /// Networks and addresses of Services.
    services: Vec<IpNetwork>,
    /// How many addresses the node has to give, and how many Pods the kubelet takes.
    room: Option<(u128, u64)>,
}

/// Whether the plugin routes a subnet of the node. One that only joins Pods to a network beside the node has its addresses from
/// there.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    let is_gateway =
        ["isGateway", "isDefaultGateway"].iter().any(|key| subject.config[*key] == Value::Bool(true));
    subject.verb == Verb::Add
        && match subject.plugin.as_str() {
            "bridge" => is_gateway,
            "ptp" | "flannel" | "calico" => true,
            _ => false,
        }
}

/// Looks at the subnets, and at what they could collide with.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let config = match subject.effective_config(node) {
        Ok(config) => config,
        Err(why) => return Finding::skipped(why),
    };
    // Other ipam plugins keep their ranges elsewhere, and what is wrong in these is the finding of the check `config`.
    let host_local = subject.uses_host_local().then(|| ranges::of_config(&config).ok()).flatten();
    let sets = host_local.unwrap_or_default();
    let own: Vec<IpNetwork> = sets.iter().flat_map(|set| set.0.iter().map(|range| range.subnet)).collect();
    let links = match node.links() {
        Ok(links) => links,
        Err(error) => return Finding::skipped(error.to_string()),
    };
    judge(&Facts {
        cluster: own.iter().copied().chain(of_cluster(node, subject)).collect(),
        own,
        bridge: subject.bridge(),
        links,
        routes: node.routes().unwrap_or_default(),
        services: kubernetes::services(node),
        room: room(node, subject, &sets),
    })
}

/// The networks of all nodes: Calico's pools where the entry names them, flannel's whole network.
fn of_cluster(node: &Node, subject: &Subject) -> Vec<IpNetwork> {
    let ipam = &subject.config["ipam"];
    let pools =
        ["ipv4_pools", "ipv6_pools"].iter().flat_map(|key| ipam[*key].as_array().into_iter().flatten());
    let mut networks: Vec<IpNetwork> = pools.filter_map(|pool| pool.as_str()?.parse().ok()).collect();
    if subject.plugin == "flannel" {
        let path = subject.config["subnetFile"].as_str().unwrap_or("/run/flannel/subnet.env");
        let content = node.read_text(Path::new(path)).unwrap_or_default();
        let values = content.lines().filter_map(|line| {
            line.strip_prefix("FLANNEL_NETWORK=").or_else(|| line.strip_prefix("FLANNEL_IPV6_NETWORK="))
        });
        let networks_of = values.flat_map(|value| value.split(','));
        networks.extend(networks_of.filter_map(|one| one.trim().parse::<IpNetwork>().ok()));
    }
    networks
}

/// Of a network that is the node's main one, which a call does not tell of every plugin.
fn room(node: &Node, subject: &Subject, sets: &[RangeSet]) -> Option<(u128, u64)> {
    let is_main = subject.plugin == "flannel" || matches!(subject.origin, Origin::Entry { .. });
    let capacity = sets.iter().map(RangeSet::capacity).min().filter(|_| is_main)?;
    Some((capacity, kubernetes::most_pods(node)?))
}

fn overlap(one: &IpNetwork, other: &IpNetwork) -> bool {
    one.contains(other.network()) || other.contains(one.network())
}

/// Whether it is a single address.
fn is_host(network: &IpNetwork) -> bool {
    network.prefix() == if network.is_ipv4() { 32 } else { 128 }
}

fn judge(facts: &Facts) -> Finding {
    let finding = of_services(facts)
        .or_else(|| of_links(facts))
        .or_else(|| of_routes(facts))
        .or_else(|| of_room(facts))
        .unwrap_or_else(|| {
            if facts.cluster.is_empty() {
                Finding::skipped("which subnets the network has does not stand in its configuration")
            } else {
                Finding::ok("the network's subnets overlap nothing that this node knows")
            }
        });
    let finding = finding.with("subnets", shown(&facts.cluster)).with("services", shown(&facts.services));
    match facts.room {
        Some((capacity, pods)) => {
            finding.with("addresses", u64::try_from(capacity).unwrap_or(u64::MAX)).with("most_pods", pods)
        }
        None => finding,
    }
}

fn shown(networks: &[IpNetwork]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

/// What an overlap is mended with; where Pods run, neither is done in a minute.
fn with_fix(finding: Finding, subnet: &IpNetwork) -> Finding {
    finding.fix(format!(
        "give the network another subnet than {subnet} (of a cluster: its Pod network in the add-on's configuration, and \
         --cluster-cidr), or the other side another one"
    ))
}

fn of_services(facts: &Facts) -> Option<Finding> {
    let of_pods = facts.cluster.iter().find_map(|subnet| {
        let service = facts.services.iter().find(|service| overlap(subnet, service))?;
        let what = format!("the network's subnet {subnet} overlaps the cluster's Services ({service})");
        Some(with_fix(Finding::warn(what), subnet))
    });
    let of_node = || {
        let (link, address) = addresses(facts)
            .find(|(_, address)| facts.services.iter().any(|service| service.contains(address.ip())))?;
        Some(
            Finding::warn("a subnet in which this node has an address overlaps the cluster's Services")
                .with("overlaps", json!({"link": link.name, "address": address.to_string()}))
                .fix("give the node's network or the Services (--service-cluster-ip-range) another subnet"),
        )
    };
    of_pods.or_else(of_node).map(|finding| finding.explains(Cause::ApiserverUnreachable))
}

/// The node's own addresses with their networks.
fn addresses(facts: &Facts) -> impl Iterator<Item = (&Link, IpNetwork)> {
    let is_own = |link: &Link| {
        link.name == "lo"
            || facts.bridge.as_deref() == Some(link.name.as_str())
            || link.kind.as_deref().is_some_and(|kind| OF_CLUSTER.contains(&kind))
    };
    let links = facts.links.iter().filter(move |link| !is_own(link));
    let all = links.flat_map(|link| link.addresses.iter().map(move |address| (link, *address)));
    all.filter(|(_, address)| !is_host(address))
}

/// Another link of the node has an address there; or is a bridge, whose containers may get some. That the node is in a larger
/// network harms as little as its default route.
fn of_links(facts: &Facts) -> Option<Finding> {
    let takes = |link: &Link, address: &IpNetwork, subnet: &IpNetwork| {
        subnet.contains(address.ip()) || (link.kind.as_deref() == Some("bridge") && overlap(subnet, address))
    };
    facts.cluster.iter().find_map(|subnet| {
        let (link, address) = addresses(facts).find(|(link, address)| takes(link, address, subnet))?;
        let what = format!(
            "the network's subnet {subnet} overlaps one in which another link of this node has an address"
        );
        let finding = Finding::warn(what).explains(Cause::RouteConflict);
        Some(with_fix(
            finding.with("overlaps", json!({"link": link.name, "address": address.to_string()})),
            subnet,
        ))
    })
}

/// A route takes some of the Pods' addresses away.
fn of_routes(facts: &Facts) -> Option<Finding> {
    let is_of_pods = |route: &Route| {
        facts.bridge.as_deref() == Some(route.link.as_str())
            || facts
                .links
                .iter()
                .find(|link| link.name == route.link)
                .is_none_or(|link| link.kind.as_deref().is_some_and(|kind| OF_CLUSTER.contains(&kind)))
    };
    let mut routes = facts.routes.iter().filter(|route| !is_of_pods(route));
    let (subnet, route) = routes.find_map(|route| {
        let inside = |subnet: &&IpNetwork| {
            subnet.prefix() <= route.destination.prefix() && subnet.contains(route.destination.network())
        };
        Some((facts.own.iter().find(inside)?, route))
    })?;
    let what = format!("a route of this node leads addresses of the network's subnet {subnet} elsewhere");
    let finding = Finding::warn(what)
        .explains(Cause::RouteConflict)
        .with("overlaps", json!({"link": route.link, "route": route.destination.to_string()}))
        .fix(format!("see who makes the route: ip route show {}", route.destination));
    Some(with_fix(finding, subnet))
}

fn of_room(facts: &Facts) -> Option<Finding> {
    let (capacity, pods) = facts.room.filter(|(capacity, pods)| *capacity < u128::from(*pods))?;
    Some(
        Finding::warn(format!("the node has {capacity} addresses for Pods, but the kubelet takes up to {pods} Pods"))
            .explains(Cause::IpamExhausted)
            .fix(format!("set the kubelet's maxPods to less than {capacity}, or give nodes larger subnets (--node-cidr-mask-size)")),
    )
}
