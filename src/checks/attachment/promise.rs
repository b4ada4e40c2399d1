//! What a result promises of a sandbox.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use serde_json::Value;

/// What can be held against the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Promise {
    /// The sandbox.
    pub(super) netns: PathBuf,
    /// The interfaces in it.
    pub(super) interfaces: Vec<Promised>,
    /// For each default route, whether it is one of IPv6.
    pub(super) default_routes: Vec<bool>,
    /// The names of links on the node.
    pub(super) outside: Vec<String>,
    /// The bridge that the configuration names.
    pub(super) bridge: Option<String>,
}

/// An interface in the sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Promised {
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
}

impl Promise {
    /// Reads a result of version 0.3.0 or later; older ones name no interfaces, and so promise nothing here.
    pub(super) fn of(result: &Value, netns: &Path, bridge: Option<String>) -> Promise {
        let interfaces = list(&result["interfaces"]);
        let mut promise = Promise { netns: netns.to_owned(), bridge, ..Promise::default() };
        for (position, interface) in interfaces.iter().enumerate() {
            let Some(name) = interface["name"].as_str().filter(|name| !name.is_empty()) else { continue };
            let sandbox = interface["sandbox"].as_str().unwrap_or_default();
            if sandbox.is_empty() {
                promise.outside.push(name.to_owned());
            } else if Path::new(sandbox) == netns && has_link(interface) {
                let of_it = |ip: &&Value| ip["interface"].as_u64() == u64::try_from(position).ok();
                let addresses = list(&result["ips"]).iter().filter(of_it).filter_map(address).collect();
                promise.interfaces.push(Promised { name: name.to_owned(), addresses });
            }
        }
        let routes = list(&result["routes"]).iter().filter_map(|route| route["dst"].as_str()?.parse().ok());
        let is_default = |network: &IpNetwork| network.prefix() == 0;
        promise.default_routes = routes.filter(is_default).map(|network| network.is_ipv6()).collect();
        promise.outside.extend(promise.bridge.clone());
        promise
    }

    /// Whether there is something of IPv6 in it, or else of IPv4.
    pub(super) fn speaks(&self, is_ipv6: bool) -> bool {
        self.default_routes.contains(&is_ipv6) || self.addresses().any(|address| address.is_ipv6() == is_ipv6)
    }

    /// The addresses in the sandbox.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.interfaces.iter().flat_map(|interface| interface.addresses.iter().copied())
    }
}

/// An interface behind a socket (vhost-user) or a PCI device (which a program may drive by itself) need be no link.
fn has_link(interface: &Value) -> bool {
    ["socketPath", "pciID"].iter().all(|key| interface[*key].as_str().is_none_or(str::is_empty))
}

fn address(ip: &Value) -> Option<IpAddr> {
    Some(ip["address"].as_str()?.parse::<IpNetwork>().ok()?.ip())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_promises_what_it_names_with_this_sandbox() {
        let result = json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                {"name": "cni0", "mac": "00:00:00:00:00:01"},
                {"name": "veth1"},
                {"name": "eth0", "sandbox": "/run/netns/pod", "mtu": 1450},
                {"name": "net1", "sandbox": "/run/netns/other"},
                {"name": "vf0", "sandbox": "/run/netns/pod", "pciID": "0000:00:1f.6"},
                {"name": "vhost0", "sandbox": "/run/netns/pod", "socketPath": "/run/vhost.sock"},
            ],
            "ips": [
                {"interface": 2, "address": "10.1.0.2/24", "gateway": "10.1.0.1"},
                {"interface": 3, "address": "10.2.0.2/24"},
                {"address": "10.3.0.2/24"},
                {"interface": 2, "address": "fd00::2/64"},
            ],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.244.0.0/16", "gw": "10.1.0.1"}, {"dst": "::/0"}],
        });
        let promise = Promise::of(&result, Path::new("/run/netns/pod"), None);
        let addresses = vec!["10.1.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        assert_eq!(
            promise,
            Promise {
                netns: "/run/netns/pod".into(),
                interfaces: vec![Promised { name: "eth0".into(), addresses }],
                default_routes: vec![false, true],
                outside: vec!["cni0".into(), "veth1".into()],
                bridge: None,
            }
        );
    }

    #[test]
    fn it_speaks_what_its_addresses_and_default_routes_do() {
        let of = |address: Option<&str>, default_routes: &[bool]| Promise {
            interfaces: vec![Promised {
                addresses: address.iter().map(|address| address.parse().unwrap()).collect(),
                ..Promised::default()
            }],
            default_routes: default_routes.to_vec(),
            ..Promise::default()
        };
        let table = [
            (of(None, &[]), (false, false)),
            (of(Some("10.1.0.2"), &[]), (true, false)),
            (of(Some("fd00::2"), &[]), (false, true)),
            (of(Some("10.1.0.2"), &[true]), (true, true)),
        ];
        for (promise, expected) in table {
            assert_eq!((promise.speaks(false), promise.speaks(true)), expected, "{promise:?}");
        }
    }

    #[test]
    fn what_is_no_result_or_an_old_one_promises_nothing() {
        let old =
            json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.2/24", "routes": [{"dst": "0.0.0.0/0"}]}});
        let absurd =
            json!({"interfaces": [7, {"name": 7}, {"sandbox": "/n"}], "ips": "x", "routes": {"dst": 1}});
        for result in [Value::Null, json!("OK"), old, absurd] {
            let expected = Promise { netns: "/n".into(), ..Promise::default() };
            assert_eq!(Promise::of(&result, Path::new("/n"), None), expected, "{result}");
        }
    }
}
