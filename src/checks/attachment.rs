//! `attachment`: the network is there that a result promises: in the sandbox its interfaces, addresses and default routes,
//! on the node their other ends, up, on their bridge, and forwarding.
//!
//! Only that is looked at which the result names with a sandbox and a link of the kernel. Where packets take another way
//! than the kernel's (DPDK, vhost-user, a virtual machine), nothing is told.

mod live;
mod promise;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::Path;

use super::Depth;
use super::flannel;
use super::subject::{Origin, Subject};
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::attached::{Asked, Attached};
use crate::node::links::Link;
use promise::{Promise, Promised};

/// What mends most of it.
const AGAIN: &str = "delete the Pod: the runtime makes a new sandbox";

/// What was found of an attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    attached: Attached,
    /// The parameters of the kernel by which the node does not forward what the sandbox sends.
    forwarding_off: Vec<String>,
    /// The overlay behind which the sandbox's addresses are.
    overlay: Option<Link>,
}

/// Whether there is a result that names a link in the sandbox, or a node with all its sandboxes.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    match subject.origin {
        Origin::Call => promise(subject).is_some(),
        Origin::Node { .. } => true,
        Origin::Entry { .. } => false,
    }
}

/// Looks at what the call has left; for the node as such, at every live sandbox.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    promise(subject).map_or_else(|| live::look(node), |promise| look_at(node, &promise))
}

fn promise(subject: &Subject) -> Option<Promise> {
    let promise = Promise::of(subject.promised_result()?, &subject.netns, subject.bridge());
    (!promise.interfaces.is_empty()).then_some(promise)
}

fn look_at(node: &Node, promise: &Promise) -> Finding {
    let names: Vec<&str> = promise.outside.iter().map(String::as_str).collect();
    let asked = Asked { ipv4: promise.speaks(false), ipv6: promise.speaks(true), names: &names };
    let attached = match node.attached(&promise.netns, &asked) {
        Ok(attached) => attached,
        Err(error) => return Finding::skipped(error.to_string()),
    };
    let overlay = flannel::device_behind(node, promise.addresses());
    judge(promise, &Facts { forwarding_off: forwarding_off(node, &attached), overlay, attached })
}

/// Whose default route leads by the node needs the node to forward: an address of the node is the gateway, or the node is the
/// other end of the link.
fn forwarding_off(node: &Node, attached: &Attached) -> Vec<String> {
    let mut off = Vec::new();
    let ends: Vec<&Link> = attached.inside.iter().filter_map(|link| other_end(link, attached)).collect();
    for route in &attached.defaults {
        for end in &ends {
            let entrance = match (end.controller, bridge_of(end, attached)) {
                (None, _) => end,
                // Without an address of the node, the gateway is another machine.
                (_, Some(bridge)) if bridge.addresses.iter().any(|own| Some(own.ip()) == route.gateway) => {
                    bridge
                }
                _ => continue,
            };
            let (is_off, of) = if route.is_ipv6 {
                let path = Path::new("/proc/sys/net/ipv6/conf/all/forwarding");
                (node.read_text(path).is_ok_and(|value| value == "0"), "ipv6.conf.all")
            } else {
                (entrance.forwards_ipv4 == Some(false), &*format!("ipv4.conf.{}", entrance.name))
            };
            let parameter = format!("net.{of}.forwarding");
            if is_off && !off.contains(&parameter) {
                off.push(parameter);
            }
        }
    }
    off
}

/// The node's end of a pair whose one end is in the sandbox.
fn other_end<'a>(link: &Link, attached: &'a Attached) -> Option<&'a Link> {
    let index = link.lower.filter(|_| link.is_veth() && link.peer_is_elsewhere)?;
    let is_its = |other: &&Link| other.index == index && other.is_veth() && other.lower == Some(link.index);
    attached.outside.iter().find(is_its)
}

fn bridge_of<'a>(end: &Link, attached: &'a Attached) -> Option<&'a Link> {
    attached.outside.iter().find(|link| Some(link.index) == end.controller)
}

fn judge(promise: &Promise, facts: &Facts) -> Finding {
    let of_interfaces = promise.interfaces.iter().find_map(|interface| {
        let link = facts.attached.inside.iter().find(|link| link.name == interface.name);
        of_inside(promise, interface, link)
            .or_else(|| of_other_end(promise, link?, &facts.attached))
            .or_else(|| of_mtu(link?, facts.overlay.as_ref()))
    });
    let fault = of_interfaces.or_else(|| of_default_routes(promise, facts)).or_else(|| of_forwarding(facts));
    if let Some(fault) = fault {
        return fault.with("netns", promise.netns.display().to_string());
    }
    let names: Vec<&str> = promise.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    Finding::ok(format!("all that the result promises of {} is there", names.join(", ")))
}

/// The sandbox's side.
fn of_inside(promise: &Promise, interface: &Promised, link: Option<&Link>) -> Option<Finding> {
    let name = &interface.name;
    let Some(link) = link else {
        let summary = format!("{name} is not in the sandbox, though the plugin's result says so");
        return Some(Finding::fail(Cause::InterfaceMissing, summary).fix(AGAIN));
    };
    if !link.up {
        let netns = promise.netns.display();
        return Some(
            Finding::fail(Cause::InterfaceMissing, format!("{name} in the sandbox is down"))
                .fix(format!("nsenter --net={netns} ip link set {name} up"))
                .fix(AGAIN),
        );
    }
    let is_there = |address: &IpAddr| link.addresses.iter().any(|own| own.ip() == *address);
    let missing = interface.addresses.iter().find(|address| !is_there(address))?;
    let summary = format!("{name} in the sandbox lacks its address {missing}");
    let there: Vec<String> = link.addresses.iter().map(ToString::to_string).collect();
    Some(Finding::fail(Cause::InterfaceMissing, summary).with("addresses", there).fix(AGAIN))
}

/// The node's side.
fn of_other_end(promise: &Promise, link: &Link, attached: &Attached) -> Option<Finding> {
    let end = other_end(link, attached)?;
    let (inside, outside) = (&link.name, &end.name);
    let named = |name: &String| attached.outside.iter().find(|link| link.name == *name);
    let is_bridge = |link: &&Link| link.kind.as_deref() == Some("bridge");
    if let Some(name) = &promise.bridge
        && named(name).is_none()
    {
        let summary = format!("the bridge {name} is gone, and {inside} leads nowhere");
        return Some(Finding::fail(Cause::InterfaceMissing, summary).fix(AGAIN));
    }
    let bridge = promise.outside.iter().filter_map(named).find(is_bridge);
    if let Some(bridge) = bridge.filter(|_| promise.outside.contains(outside)) {
        let name = &bridge.name;
        if !bridge.up {
            let summary = format!("the bridge {name} is down");
            return Some(
                Finding::fail(Cause::BridgeWrongKind, summary).fix(format!("ip link set {name} up")),
            );
        }
        if end.controller != Some(bridge.index) {
            let summary = format!("the node's end of {inside} is not on the bridge {name}");
            return Some(
                Finding::fail(Cause::InterfaceMissing, summary)
                    .with("other_end", outside.as_str())
                    .fix(format!("ip link set {outside} master {name}"))
                    .fix(
                        "find what took it off: the network manager of the host must leave such links alone",
                    ),
            );
        }
    }
    (!end.up).then(|| {
        Finding::fail(Cause::InterfaceMissing, format!("the node's end of {inside} is down"))
            .with("other_end", outside.as_str())
            .fix(format!("ip link set {outside} up"))
    })
}

fn of_mtu(link: &Link, overlay: Option<&Link>) -> Option<Finding> {
    let overlay = overlay.filter(|overlay| link.mtu > flannel::room(overlay))?;
    let (name, mtu, device, room) = (&link.name, link.mtu, &overlay.name, overlay.mtu);
    let summary =
        format!("{name} has MTU {mtu}, but {device} carries {room}: larger packets to other nodes are lost");
    let fix =
        format!("take mtu out of the network's configuration, or set it to {room}, and make the Pods again");
    Some(Finding::fail(Cause::MtuInvalid, summary).fix(fix))
}

fn of_default_routes(promise: &Promise, facts: &Facts) -> Option<Finding> {
    let is_there = |is_ipv6: &bool| facts.attached.defaults.iter().any(|route| route.is_ipv6 == *is_ipv6);
    let missing = promise.default_routes.iter().find(|is_ipv6| !is_there(is_ipv6))?;
    let (family, flag) = if *missing { ("IPv6", "-6") } else { ("IPv4", "-4") };
    let summary = format!("the default route of {family} is missing in the sandbox");
    let look = format!("see what is there: nsenter --net={} ip {flag} route", promise.netns.display());
    Some(Finding::fail(Cause::RouteConflict, summary).fix(AGAIN).fix(look))
}

fn of_forwarding(facts: &Facts) -> Option<Finding> {
    let first = facts.forwarding_off.first()?;
    let general =
        if first.starts_with("net.ipv6") { "net.ipv6.conf.all.forwarding" } else { "net.ipv4.ip_forward" };
    let summary = "the node does not forward what the Pod sends: forwarding is off";
    Some(
        Finding::fail(Cause::SysctlFailed, summary)
            .with("off", facts.forwarding_off.clone())
            .fix(format!("sysctl -w {general}=1"))
            .fix(format!("find what turned it off: grep -rs {general} /etc/sysctl.conf /etc/sysctl.d")),
    )
}
