//! `flannel`: what flanneld leaves on the node for the plugin (`flannel.go`, `flannel_linux.go`), and the overlay behind it.

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

/// The device that flannel makes unless it is told another VNI.
const DEVICE: &str = "flannel.1";
pub(super) const SUBNET_ENV: &str = "/run/flannel/subnet.env";
/// What vxlan takes of a packet over IPv4: Ethernet, IP, UDP and its own header.
pub(super) const VXLAN_OVERHEAD: u32 = 50;
/// Over IPv6 the outer header is 20 bytes longer.
pub(super) const VXLAN6_OVERHEAD: u32 = 70;

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
    /// Flannel's device; another back end than vxlan has one of another kind, or none.
    device: Option<Link>,
    /// What the device sends through, or else what the largest part of the traffic leaves through.
    lower: Option<Link>,
    bridge: Option<Link>,
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
        _ => choose(node.links().ok()?, "").device,
    }
}

/// Flannel names its devices `flannel.<VNI>`, `flannel-v6.<VNI>`, `flannel-wg`, `flannel.ipip` and `flannel0`.
fn choose(links: Vec<Link>, bridge: &str) -> Links {
    let named = |link: &&Link| link.name.starts_with("flannel");
    let device = links.iter().find(|link| named(link) && link.kind.as_deref() == Some("vxlan"));
    let device = device.or_else(|| links.iter().find(named)).cloned();
    let below = device.as_ref().and_then(|device| device.lower);
    let physical = |link: &&Link| link.kind.is_none() && link.up && link.name != "lo";
    let lower = match below {
        Some(index) => links.iter().find(|link| link.index == index),
        // With one interface there is no doubt which one it is.
        None if links.iter().filter(physical).count() == 1 => links.iter().find(physical),
        None => None,
    };
    Links { lower: lower.cloned(), device, bridge: links.into_iter().find(|link| link.name == bridge) }
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
    let device_is_gone = facts.links.as_ref().is_some_and(|links| links.device.is_none());
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
    let finding = finding.with("device", links.device.as_ref().map_or(Value::Null, shown));
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
    let restart = "restart flanneld on this node: it makes its device again";
    let Some(device) = &links.device else {
        return judge_without_device(env, links.lower.as_ref()).fix(restart);
    };
    let name = &device.name;
    if !device.up {
        return Finding::warn(format!("{name} is down: Pods do not reach those of other nodes"))
            .fix(format!("ip link set {name} up"));
    }
    let vni = name.strip_prefix("flannel.").and_then(|vni| vni.parse::<u32>().ok());
    if vni.is_some() && device.kind.as_deref() != Some("vxlan") {
        let kind = device.kind.as_deref().unwrap_or("physical interface");
        return Finding::warn(format!("{name} is no vxlan but a {kind}")).fix(restart);
    }
    let own: Vec<_> = device.addresses.iter().filter(|address| address.is_ipv4()).collect();
    if !own.is_empty() && env.subnets.iter().any(IpNetwork::is_ipv4) && !own.into_iter().any(ours) {
        return Finding::warn(format!("{name} is outside of the subnet that flannel has for this node now"))
            .with("subnets", shown(&env.subnets))
            .fix(restart);
    }
    let too_large = |what: String, mtu: u64, limit: u32| {
        Finding::warn(format!("{what} is {mtu}, but {name} carries {limit}: larger packets are lost"))
            .explains(Cause::MtuInvalid)
    };
    if let Some(mtu) = facts.delegate_mtu.filter(|mtu| *mtu > u64::from(device.mtu)) {
        return too_large("the delegate's mtu".to_owned(), mtu, device.mtu)
            .fix("take mtu out of the delegate's configuration: flannel sets it");
    }
    if facts.delegate_mtu.is_none() && env.mtu > device.mtu {
        return too_large(format!("FLANNEL_MTU in {}", facts.path), env.mtu.into(), device.mtu).fix(restart);
    }
    if let Some(lower) = &links.lower
        && device.kind.as_deref() == Some("vxlan")
        && device.mtu > lower.mtu.saturating_sub(VXLAN_OVERHEAD)
    {
        let (mtu, room) = (device.mtu, lower.mtu.saturating_sub(VXLAN_OVERHEAD));
        return Finding::warn(format!("{name} has MTU {mtu}, but the network below it has room for {room}"))
            .explains(Cause::MtuInvalid)
            .with("lower", lower.name.as_str())
            .fix(restart);
    }
    Finding::ok(format!("{} is whole and {name} fits it", facts.path))
}

/// `subnet.env` does not tell the back end, and host-gw needs no device: its MTU tells.
fn judge_without_device(env: &SubnetEnv, lower: Option<&Link>) -> Finding {
    match lower {
        Some(lower)
            if [VXLAN_OVERHEAD, VXLAN6_OVERHEAD]
                .iter()
                .any(|overhead| env.mtu.checked_add(*overhead) == Some(lower.mtu)) =>
        {
            Finding::warn("flannel.1 is gone: Pods do not reach those of other nodes")
        }
        Some(_) => Finding::ok("flannel has no device, as with host-gw"),
        None => Finding::skipped("which back end flannel uses cannot be told: it has no device"),
    }
}

fn shown(networks: &[IpNetwork]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}
