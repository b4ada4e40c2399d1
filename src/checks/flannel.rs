//! `flannel`: what flanneld leaves on the node for the plugin (`flannel.go`, `flannel_linux.go`), and the overlay behind it.

mod backend;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::Path;

use ipnetwork::IpNetwork;
use serde_json::Value;

use super::Depth;
use super::subject::Subject;
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::files::FileError;
use crate::node::links::Link;
pub(super) use backend::{VXLAN_OVERHEAD, VXLAN6_OVERHEAD, room};

/// The device that flannel makes unless it is told another VNI.
const DEVICE: &str = "flannel.1";
pub(super) const SUBNET_ENV: &str = "/run/flannel/subnet.env";
const RESTART: &str = "restart flanneld on this node: it makes its device again";

/// What `subnet.env` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SubnetEnv {
    pub(super) subnets: Vec<IpNetwork>,
    pub(super) mtu: u32,
}

/// What stands at the path of `subnet.env`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Whole(SubnetEnv),
    /// There, but not as the plugin needs it.
    Broken(String),
    Missing,
}

/// The links that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Links {
    /// Flannel's devices: one, or with IPv4 and IPv6 one of each; some back ends have none.
    devices: Vec<Link>,
    /// All links below them.
    lower: Vec<Link>,
    /// What the largest part of the node's traffic leaves through, where there is no doubt.
    outer: Option<Link>,
    bridge: Option<Link>,
}

impl Links {
    /// What the device sends through.
    fn below(&self, device: &Link) -> Option<&Link> {
        match device.lower {
            Some(index) => self.lower.iter().find(|link| link.index == index),
            None => self.outer.as_ref(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    path: String,
    found: Found,
    bridge: String,
    /// Whether a bridge with a foreign address makes the call fail.
    bridge_must_fit: bool,
    /// The MTU that the entry itself gives to the delegate.
    delegate_mtu: Option<u64>,
    /// `None` where they were not looked at.
    links: Option<Links>,
}

/// Whether the call is flannel's. Its DEL reads nothing of this.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    subject.plugin == "flannel" && subject.verb == Verb::Add
}

/// Looks at what flanneld has left.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let config = &subject.config;
    let path = config["subnetFile"].as_str().filter(|path| !path.is_empty()).unwrap_or(SUBNET_ENV);
    let found = match node.read(Path::new(path), 64 * 1024) {
        Ok(content) => parse(&String::from_utf8_lossy(&content)),
        Err(error) if error.is_missing() => Found::Missing,
        // The plugin reads it however large it is.
        Err(error @ (FileError::System { .. } | FileError::TooLarge { .. })) => {
            return Finding::skipped(error.to_string());
        }
        Err(error) => Found::Broken(error.to_string().split_off(path.len() + 2)),
    };
    let delegate = &config["delegate"];
    let bridge = subject.bridge().unwrap_or_default();
    let links = match depth {
        Depth::Quick => None,
        Depth::Full => match node.links() {
            Ok(links) => Some(choose(links, &bridge)),
            Err(error) => return Finding::skipped(error.to_string()),
        },
    };
    let facts = Facts {
        path: path.to_owned(),
        found,
        bridge_must_fit: delegate["isGateway"] != Value::Bool(false)
            && delegate["forceAddress"] != Value::Bool(true),
        bridge,
        delegate_mtu: delegate["mtu"].as_u64().filter(|mtu| *mtu > 0),
        links,
    };
    judge(&facts).with("path", facts.path.as_str())
}

/// `subnet.env`, where it is whole.
pub(super) fn subnet_env(node: &Node) -> Option<SubnetEnv> {
    let content = node.read(Path::new(SUBNET_ENV), 64 * 1024).ok()?;
    match parse(&String::from_utf8_lossy(&content)) {
        Found::Whole(env) => Some(env),
        Found::Broken(_) | Found::Missing => None,
    }
}

/// Flannel's device, if one of the addresses is in the subnet that flannel has for this node.
pub(super) fn device_behind(node: &Node, mut addresses: impl Iterator<Item = IpAddr>) -> Option<Link> {
    let env = subnet_env(node)?;
    if !addresses.any(|address| env.subnets.iter().any(|subnet| subnet.contains(address))) {
        return None;
    }
    match node.link(DEVICE, None) {
        Ok(Some(device)) => Some(device),
        _ => choose(node.links().ok()?, "").devices.into_iter().next(),
    }
}

fn choose(links: Vec<Link>, bridge: &str) -> Links {
    let mut devices: Vec<Link> =
        links.iter().filter(|link| link.name.starts_with("flannel")).cloned().collect();
    devices.sort_by_key(|device| device.kind.as_deref() != Some("vxlan"));
    let is_below = |link: &&Link| devices.iter().any(|device| device.lower == Some(link.index));
    let lower = links.iter().filter(is_below).cloned().collect();
    let mut physical = links.iter().filter(|link| link.kind.is_none() && link.up && link.name != "lo");
    // With one interface there is no doubt which one it is.
    let outer = physical.next().filter(|_| physical.next().is_none()).cloned();
    Links { devices, lower, outer, bridge: links.into_iter().find(|link| link.name == bridge) }
}

/// As `loadFlannelSubnetEnv` reads it.
fn parse(content: &str) -> Found {
    let value = |key: &str| {
        let values = content.lines().filter_map(|line| line.split_once('='));
        // A later line replaces an earlier one.
        values.rev().find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let networks = |keys: [&str; 2]| -> Result<Vec<IpNetwork>, String> {
        let mut networks = Vec::new();
        for key in keys {
            for text in value(key).into_iter().flat_map(|list| list.split(',')) {
                let text = text.trim();
                if !text.contains('/') {
                    return Err(format!("{key} is {text:?}, expected a network such as 10.244.1.0/24"));
                }
                networks.push(text.parse().map_err(|_| format!("{key} is {text:?}, which is no network"))?);
            }
        }
        if networks.is_empty() { Err(format!("{} is missing", keys.join(" or "))) } else { Ok(networks) }
    };
    let read = || -> Result<SubnetEnv, String> {
        networks(["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"])?;
        let subnets = networks(["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"])?;
        let mtu = value("FLANNEL_MTU").ok_or("FLANNEL_MTU is missing")?;
        let mtu = mtu.parse().map_err(|_| format!("FLANNEL_MTU is {mtu:?}, expected a number"))?;
        value("FLANNEL_IPMASQ").ok_or("FLANNEL_IPMASQ is missing")?;
        Ok(SubnetEnv { subnets, mtu })
    };
    read().map_or_else(Found::Broken, Found::Whole)
}

fn judge(facts: &Facts) -> Finding {
    let path = &facts.path;
    let device_is_gone = facts.links.as_ref().is_some_and(|links| links.devices.is_empty());
    let lost = |what: String| {
        let device = if device_is_gone { ", and flannel has no device here" } else { "" };
        Finding::fail(Cause::SubnetEnvMissing, format!("{path} {what}{device}"))
            .fix("look why flanneld does not run on this node; when it starts, it writes the file again")
    };
    let finding = match &facts.found {
        Found::Missing => lost("is missing".to_owned()),
        Found::Broken(why) => lost(format!("is not whole: {why}")),
        Found::Whole(env) => match &facts.links {
            None => Finding::ok(format!("{path} is whole")),
            Some(links) => judge_links(facts, env, links),
        },
    };
    let Some(links) = &facts.links else { return finding };
    let shown = |link: &Link| -> Value {
        let addresses: Vec<String> = link.addresses.iter().map(ToString::to_string).collect();
        serde_json::json!({
            "name": link.name, "kind": link.kind, "up": link.up, "mtu": link.mtu, "addresses": addresses,
        })
    };
    let finding = finding.with("devices", links.devices.iter().map(shown).collect::<Vec<_>>());
    finding.with("bridge", links.bridge.as_ref().map_or(Value::Null, shown))
}

fn judge_links(facts: &Facts, env: &SubnetEnv, links: &Links) -> Finding {
    let ours = |address: &IpNetwork| env.subnets.iter().any(|subnet| subnet.contains(address.ip()));
    if let Some(bridge) = &links.bridge
        && facts.bridge_must_fit
        && let Some(first) = bridge.addresses.iter().find(|address| address.is_ipv4())
        && env.subnets.iter().any(IpNetwork::is_ipv4)
        && !bridge.addresses.iter().any(ours)
    {
        let name = &bridge.name;
        return Finding::fail(
            Cause::BridgeAddressConflict,
            format!("{name} is outside of the subnet that flannel has for this node now"),
        )
        .with("subnets", shown(&env.subnets))
        .fix("find out why the node's subnet changed, and drain the node: its Pods have addresses of the old one")
        .fix(format!(
            "destructive: ip address delete {first} dev {name} (the node's running Pods lose their gateway)"
        ));
    }
    let Some(first) = links.devices.first() else {
        return judge_without_device(env, links.outer.as_ref());
    };
    let fault = links.devices.iter().find_map(|device| of_device(facts, env, device, links.below(device)));
    fault.unwrap_or_else(|| Finding::ok(format!("{} is whole and {} fits it", facts.path, first.name)))
}

/// What is wrong with a device of flannel's.
fn of_device(facts: &Facts, env: &SubnetEnv, device: &Link, below: Option<&Link>) -> Option<Finding> {
    let ours = |address: &IpNetwork| env.subnets.iter().any(|subnet| subnet.contains(address.ip()));
    let name = &device.name;
    if !device.up {
        return Some(
            Finding::warn(format!("{name} is down: Pods do not reach those of other nodes"))
                .fix(format!("ip link set {name} up")),
        );
    }
    let backend = backend::of(device);
    if let Some(backend) = backend.filter(|backend| device.kind.as_deref() != Some(backend.kind)) {
        let (expected, kind) = (backend.kind, device.kind.as_deref().unwrap_or("physical interface"));
        return Some(Finding::warn(format!("{name} is no {expected} but a {kind}")).fix(RESTART));
    }
    let own: Vec<_> = device.addresses.iter().filter(|address| address.is_ipv4()).collect();
    if !own.is_empty() && env.subnets.iter().any(IpNetwork::is_ipv4) && !own.into_iter().any(ours) {
        return Some(
            Finding::warn(format!("{name} is outside of the subnet that flannel has for this node now"))
                .with("subnets", shown(&env.subnets))
                .fix(RESTART),
        );
    }
    let too_large = |what: String, mtu: u64| {
        let limit = device.mtu;
        Finding::warn(format!("{what} is {mtu}, but {name} carries {limit}: larger packets are lost"))
            .explains(Cause::MtuInvalid)
    };
    if let Some(mtu) = facts.delegate_mtu.filter(|mtu| *mtu > u64::from(room(device))) {
        return Some(
            too_large("the delegate's mtu".to_owned(), mtu)
                .fix("take mtu out of the delegate's configuration: flannel sets it"),
        );
    }
    if facts.delegate_mtu.is_none() && env.mtu > room(device) {
        return Some(too_large(format!("FLANNEL_MTU in {}", facts.path), env.mtu.into()).fix(RESTART));
    }
    let (below, takes) = (below?, backend?.takes);
    let carried = below.mtu.saturating_sub(takes);
    (device.mtu > carried).then(|| {
        let mtu = device.mtu;
        Finding::warn(format!("{name} has MTU {mtu}, but the network below it has room for {carried}"))
            .explains(Cause::MtuInvalid)
            .with("lower", below.name.as_str())
            .fix(RESTART)
    })
}

/// `subnet.env` does not tell the back end, and host-gw needs no device: its MTU tells.
fn judge_without_device(env: &SubnetEnv, outer: Option<&Link>) -> Finding {
    let Some(outer) = outer else {
        return Finding::skipped("which back end flannel uses cannot be told: it has no device");
    };
    match gone(env, outer) {
        Some(device) => {
            Finding::warn(format!("{device} is gone: Pods do not reach those of other nodes")).fix(RESTART)
        }
        None => Finding::ok("flannel has no device, as with host-gw"),
    }
}

/// The device for which `subnet.env` leaves room in what goes through this link.
pub(super) fn gone(env: &SubnetEnv, outer: &Link) -> Option<String> {
    backend::device_for(outer.mtu.checked_sub(env.mtu)?, env.subnets.iter().any(IpNetwork::is_ipv4))
}

fn shown(networks: &[IpNetwork]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}
