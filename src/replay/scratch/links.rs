//! The network namespaces of the scratch node, and the links in them that stand for others.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use ipnetwork::IpNetwork;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use serde_json::Value;

use super::making::{index_of, making};
use super::mounts::{MountError, failed};
use crate::node::links::{Link, LinkError};
use crate::replay::plan::Master;

/// This thread's network namespace.
const OWN: &str = "/proc/thread-self/ns/net";
/// The link that stands for the one of the default route.
const UPLINK: &str = "uplink0";
/// Its network, which is reserved for documentation (RFC 5737).
const UPLINK_ADDRESS: (Ipv4Addr, u8, Ipv4Addr) =
    (Ipv4Addr::new(192, 0, 2, 1), 24, Ipv4Addr::new(192, 0, 2, 254));

/// Makes the sandbox's network namespace, at this path.
///
/// # Errors
/// If it cannot be made.
pub fn make_sandbox(path: &Path) -> Result<(), MountError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    // What was copied there is no namespace.
    let _ = fs::remove_file(path);
    File::create(path).map_err(failed("make", path))?;
    let own = File::open(OWN).map_err(failed("open", Path::new(OWN)))?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(failed("make a network namespace for", path))?;
    let bound = mount(Some(OWN), path, None::<&str>, MsFlags::MS_BIND, None::<&str>);
    setns(&own, CloneFlags::CLONE_NEWNET).map_err(failed("come back from", path))?;
    bound.map_err(failed("bind", path))
}

/// Sets the loopback of the node's side up, as it is on every node.
///
/// # Errors
/// If the kernel refuses.
pub fn set_loopback_up() -> Result<(), LinkError> {
    making(None, async |handle| {
        handle.link().set(LinkUnspec::new_with_index(1).up().build()).execute().await.map_err(LinkError::from)
    })
}

/// Makes a link that stands for one that a plugin puts its own upon; says what was made. `like` is the node's own.
///
/// # Errors
/// If the kernel refuses.
pub fn stand_in_for_master(
    master: &Master,
    like: Option<&Link>,
    sandbox: &Path,
) -> Result<String, LinkError> {
    let netns = master.is_inside.then_some(sandbox);
    let name = master.name.as_deref().unwrap_or(UPLINK);
    let is_bridge = like.and_then(|link| link.kind.as_deref()) == Some("bridge");
    let mtu = like.map_or(1500, |link| link.mtu);
    making(netns, async |handle| {
        if is_bridge {
            handle.link().add(LinkBridge::new(name).mtu(mtu).up().build()).execute().await?;
        } else {
            pair(&handle, name, "peer0", mtu).await?;
        }
        if master.name.is_none() {
            let (own, length, gateway) = UPLINK_ADDRESS;
            let index = index_of(&handle, name).await?;
            handle.address().add(index, own.into(), length).execute().await?;
            let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).build();
            handle.route().add(route).execute().await?;
        }
        Ok(())
    })?;
    let kind = if is_bridge { "a bridge" } else { "one end of a veth pair" };
    let place = if master.is_inside { " in the sandbox" } else { "" };
    Ok(match &master.name {
        Some(name) => format!("{name}{place}, which the configuration names as master, is {kind} here"),
        None => format!(
            "the link of the default route{place}, which is the master where none is named, is {UPLINK} here, {kind}"
        ),
    })
}

/// Two ends of a cable, both up.
async fn pair(handle: &Handle, name: &str, peer: &str, mtu: u32) -> Result<(), LinkError> {
    handle.link().add(LinkVeth::new(name, peer).mtu(mtu).up().build()).execute().await?;
    let peer = index_of(handle, peer).await?;
    handle.link().set(LinkUnspec::new_with_index(peer).mtu(mtu).up().build()).execute().await?;
    Ok(())
}

/// The links that a result of plugins before tells of: the sandbox's, each the end of a cable, and those on the node's side.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    bridges: Vec<End>,
    cables: Vec<Cable>,
}

/// A link, or one end of a cable. Plugins that CHECK compare the hardware address.
#[derive(Debug, Default, PartialEq, Eq)]
struct End {
    name: String,
    mac: Option<Vec<u8>>,
}

impl End {
    fn of(interface: &Value) -> End {
        let mac = interface["mac"]
            .as_str()
            .map(|text| text.split(':').map(|part| u8::from_str_radix(part, 16)).collect());
        let name = interface["name"].as_str().unwrap_or_default().to_owned();
        End { name, mac: mac.and_then(Result::ok).filter(|mac: &Vec<u8>| mac.len() == 6) }
    }

    /// Gives a link that has been made its hardware address.
    async fn dress(&self, handle: &Handle, index: u32) -> Result<(), LinkError> {
        let Some(mac) = &self.mac else { return Ok(()) };
        let set = LinkUnspec::new_with_index(index).address(mac.clone()).build();
        Ok(handle.link().set(set).execute().await?)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Cable {
    outside: End,
    inside: End,
    addresses: Vec<IpNetwork>,
    gateways: Vec<IpNetwork>,
}

/// Reads a result. On the node's side, the interface before the sandbox's is its other end, and those before that one are
/// bridges: so `bridge` and `ptp` write it.
fn read(result: &Value) -> Given {
    let mut given = Given { bridges: Vec::new(), cables: Vec::new() };
    let interfaces = result["interfaces"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut outside = Vec::new();
    for (index, interface) in interfaces.iter().enumerate() {
        let end = End::of(interface);
        if interface["sandbox"].as_str().is_none_or(str::is_empty) {
            outside.push(end);
            continue;
        }
        if end.name == "lo" || end.name.is_empty() {
            continue;
        }
        let ips = result["ips"].as_array().map(Vec::as_slice).unwrap_or_default();
        let own = ips.iter().filter(|ip| ip["interface"].as_u64().is_none_or(|of| of == index as u64));
        let mut cable = Cable {
            outside: outside.pop().unwrap_or_else(|| End { name: format!("standin{index}"), mac: None }),
            inside: end,
            addresses: Vec::new(),
            gateways: Vec::new(),
        };
        for ip in own {
            let address = ip["address"].as_str().and_then(|text| text.parse::<IpNetwork>().ok());
            let gateway = ip["gateway"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
            cable.addresses.extend(address);
            cable.gateways.extend(
                address.zip(gateway).and_then(|(own, gateway)| IpNetwork::new(gateway, own.prefix()).ok()),
            );
        }
        given.cables.push(cable);
        given.bridges.append(&mut outside);
    }
    given
}

/// Makes the links that a result tells of; says what was made.
///
/// # Errors
/// If the kernel refuses.
pub fn stand_in_for_result(result: &Value, sandbox: &Path) -> Result<Option<String>, LinkError> {
    let given = read(result);
    if given.cables.is_empty() {
        return Ok(None);
    }
    let inside = File::open(sandbox)?;
    making(None, async |handle| {
        for bridge in &given.bridges {
            handle.link().add(LinkBridge::new(&bridge.name).up().build()).execute().await?;
            bridge.dress(&handle, index_of(&handle, &bridge.name).await?).await?;
        }
        for (number, cable) in given.cables.iter().enumerate() {
            let peer = format!("inside{number}");
            pair(&handle, &cable.outside.name, &peer, 1500).await?;
            let (outside, index) =
                (index_of(&handle, &cable.outside.name).await?, index_of(&handle, &peer).await?);
            cable.outside.dress(&handle, outside).await?;
            let moved = LinkUnspec::new_with_index(index)
                .name(&cable.inside.name)
                .down()
                .setns_by_fd(inside.as_raw_fd());
            handle.link().set(moved.build()).execute().await?;
            let gateway_link = match given.bridges.first() {
                Some(bridge) => {
                    let bridge = index_of(&handle, &bridge.name).await?;
                    let port: LinkMessageBuilder<LinkUnspec> =
                        LinkUnspec::new_with_index(outside).controller(bridge);
                    handle.link().set(port.build()).execute().await?;
                    bridge
                }
                None => outside,
            };
            for gateway in &cable.gateways {
                let prefix = if given.bridges.is_empty() { host_prefix(gateway) } else { gateway.prefix() };
                handle.address().add(gateway_link, gateway.ip(), prefix).execute().await?;
            }
        }
        Ok(())
    })?;
    making(Some(sandbox), async |handle| {
        handle.link().set(LinkUnspec::new_with_index(1).up().build()).execute().await?;
        for cable in &given.cables {
            let index = index_of(&handle, &cable.inside.name).await?;
            cable.inside.dress(&handle, index).await?;
            handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await?;
            for address in &cable.addresses {
                handle.address().add(index, address.ip(), address.prefix()).execute().await?;
            }
            routes(&handle, result, index, cable).await?;
        }
        Ok(())
    })?;
    let inside: Vec<&str> = given.cables.iter().map(|cable| cable.inside.name.as_str()).collect();
    let outside = given.cables.iter().map(|cable| cable.outside.name.as_str());
    let outside: Vec<&str> = given.bridges.iter().map(|bridge| bridge.name.as_str()).chain(outside).collect();
    Ok(Some(format!(
        "what the plugins before have made is as their result (prevResult) tells of it: {} in the sandbox, {} on the node's side",
        inside.join(", "),
        outside.join(", ")
    )))
}

fn host_prefix(network: &IpNetwork) -> u8 {
    if network.is_ipv4() { 32 } else { 128 }
}

/// The routes of a result, through this link. One that the kernel refuses is left out: the result may tell of more links.
async fn routes(handle: &Handle, result: &Value, link: u32, cable: &Cable) -> Result<(), LinkError> {
    for route in result["routes"].as_array().into_iter().flatten() {
        let to = route["dst"].as_str().and_then(|text| text.parse::<IpNetwork>().ok());
        let own = route["gw"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
        let Some(to) = to else { continue };
        let of_family =
            || cable.gateways.iter().map(IpNetwork::ip).find(|gateway| gateway.is_ipv4() == to.is_ipv4());
        let message = match (to, own.or_else(of_family)) {
            (IpNetwork::V4(to), gateway) => {
                let mut route = RouteMessageBuilder::<Ipv4Addr>::new()
                    .destination_prefix(to.network(), to.prefix())
                    .output_interface(link);
                if let Some(IpAddr::V4(gateway)) = gateway {
                    route = route.gateway(gateway).onlink();
                }
                route.build()
            }
            (IpNetwork::V6(to), gateway) => {
                let mut route = RouteMessageBuilder::<Ipv6Addr>::new()
                    .destination_prefix(to.network(), to.prefix())
                    .output_interface(link);
                if let Some(IpAddr::V6(gateway)) = gateway {
                    route = route.gateway(gateway).onlink();
                }
                route.build()
            }
        };
        match handle.route().add(message).execute().await {
            Ok(()) | Err(rtnetlink::Error::NetlinkError(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(name: &str) -> End {
        End { name: name.to_owned(), mac: None }
    }

    fn networks(texts: &[&str]) -> Vec<IpNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_bridges_result_is_a_cable_on_a_bridge() {
        let result = json!({
            "interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:0a"}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/pod"}],
            "ips": [{"interface": 2, "address": "10.1.0.2/24", "gateway": "10.1.0.1"}, {"interface": 0, "address": "10.9.0.1/24"}],
        });
        let bridge = End { mac: Some(vec![2, 0, 0, 0, 0, 10]), ..named("cni0") };
        let cable = Cable {
            outside: named("veth1"),
            inside: named("eth0"),
            addresses: networks(&["10.1.0.2/24"]),
            gateways: networks(&["10.1.0.1/24"]),
        };
        assert_eq!(read(&result), Given { bridges: vec![bridge], cables: vec![cable] });
    }

    #[test]
    fn one_without_a_node_side_gets_one() {
        let result =
            json!({"interfaces": [{"name": "eth0", "sandbox": "/x"}], "ips": [{"address": "fd00::2/64"}]});
        let cable = Cable {
            outside: named("standin0"),
            inside: named("eth0"),
            addresses: networks(&["fd00::2/64"]),
            gateways: Vec::new(),
        };
        assert_eq!(read(&result), Given { bridges: Vec::new(), cables: vec![cable] });
        assert_eq!(read(&json!({})), Given { bridges: Vec::new(), cables: Vec::new() });
    }
}
