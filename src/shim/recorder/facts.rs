//! What a call depends on: what is kept of a good one, and held against one that fails.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::memory::hashed;
use crate::checks::subject::Subject;
use crate::cni::json;
use crate::digest::sha256;
use crate::journal::record::Identity;
use crate::node::last_good::{Facts, KERNEL};
use crate::node::{Node, clock};
use crate::settings::Settings;

/// What is longer is kept as its hash.
const LONGEST: usize = 256;
/// Parts of a configuration that are different for every call.
const OF_THE_CALL: [&str; 5] =
    ["prevResult", "runtimeConfig", "args", "cni.dev/attachments", "cni.dev/valid-attachments"];
/// What flanneld has for the node.
pub(super) const SUBNET_ENV: &str = "/run/flannel/subnet.env";
/// Where name servers stand.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The fact that is the way out of the node.
pub(super) const DEFAULT_ROUTE: &str = "default route";
/// How the fact begins that is a bridge.
pub(super) const BRIDGE: &str = "bridge ";
/// The kernel's parameters that networks need.
const PARAMETERS: [&str; 4] = [
    "net.bridge.bridge-nf-call-iptables",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.disable_ipv6",
];

fn kept(value: String) -> String {
    if value.len() > LONGEST { format!("sha256:{}", sha256(value.as_bytes())) } else { value }
}

/// What is cheap enough to be looked at in every call. `config` is free of secrets.
pub(super) fn of_call(
    node: &Node,
    settings: &Settings,
    subject: &Subject,
    identity: &Identity,
    config: &[u8],
) -> Facts {
    let mut facts = Facts::new();
    let mut put = |name: String, value: String| facts.insert(name, kept(value));
    for (_, plugin) in subject.plugins() {
        let file = subject.folders.iter().find_map(|folder| node.metadata(&folder.join(&plugin)).ok());
        let described = file.and_then(|file| {
            Some(format!("{} bytes, changed {}", file.size(), clock::rfc3339(file.modified().ok()?)))
        });
        put(format!("binary of {plugin}"), described.unwrap_or_default());
    }
    for member in json::members(config, &(0..config.len())).into_iter().flatten() {
        let key = member.key(config);
        if !OF_THE_CALL.contains(&key.as_ref()) {
            put(format!("configuration: {key}"), String::from_utf8_lossy(&config[member.value]).into_owned());
        }
    }
    if subject.plugin == "flannel" {
        put(SUBNET_ENV.to_owned(), node.read_text(Path::new(SUBNET_ENV)).unwrap_or_default());
    }
    put(KERNEL.to_owned(), node.kernel());
    put("boot".to_owned(), identity.boot_id.clone());
    put("cniscope".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    put("settings of cniscope".to_owned(), hashed(settings));
    facts
}

/// What else the node shows. It takes longer: only a call that is kept and one that fails look at it.
pub(super) fn of_node(node: &Node, bridge: Option<&str>) -> Facts {
    let mut facts = Facts::new();
    for name in PARAMETERS {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        facts.insert(name.to_owned(), kept(node.read_text(&path).unwrap_or_default()));
    }
    facts.insert(RESOLV_CONF.to_owned(), kept(node.read_text(Path::new(RESOLV_CONF)).unwrap_or_default()));
    facts.insert(DEFAULT_ROUTE.to_owned(), kept(default_route(node).unwrap_or_default()));
    if let Some(name) = bridge {
        let found = node.link(name, None).ok().flatten().map(|link| {
            let addresses = link.addresses.iter().map(ToString::to_string);
            // The kernel makes those of IPv6 that are of the link alone from its Ethernet address.
            let addresses: Vec<String> = addresses.filter(|address| !address.starts_with("fe80:")).collect();
            let kind = link.kind.unwrap_or_else(|| "physical interface".to_owned());
            [vec![kind], addresses].concat().join(" ")
        });
        facts.insert(format!("{BRIDGE}{name}"), kept(found.unwrap_or_default()));
    }
    facts
}

/// `eth0 mtu 1500`.
fn default_route(node: &Node) -> Option<String> {
    let route = node.routes()?.into_iter().find(|route| route.destination.prefix() == 0)?;
    let link = node.link(&route.link, None).ok().flatten()?;
    Some(format!("{} mtu {}", link.name, link.mtu))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_are_those_of_the_network_and_not_of_the_call() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("bin")).unwrap();
        std::fs::write(root.path().join("bin/bridge"), "ELF").unwrap();
        let subject = Subject {
            plugin: "bridge".into(),
            folders: vec!["/none".into(), "/bin".into()],
            config: json!({"ipam": {"type": "host-local"}}),
            ..Subject::default()
        };
        let config = json!({
            "name": "n", "mtu": 1400, "long": "x".repeat(500), "prevResult": {}, "runtimeConfig": {}, "args": {},
        });
        let identity: Identity = serde_json::from_value(json!({
            "id": "1", "time": "", "node": "", "boot_id": "b", "pid": 1, "start_ticks": 1, "command": "ADD",
            "container_id": "", "ifname": "", "netns": "", "pod_namespace": "", "pod_name": "", "network": "n",
            "plugin": "bridge",
        }))
        .unwrap();
        let node = Node::at(root.path());
        let facts = of_call(&node, &Settings::default(), &subject, &identity, config.to_string().as_bytes());
        let names: Vec<&str> = facts.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "binary of bridge",
                "binary of host-local",
                "boot",
                "cniscope",
                "configuration: long",
                "configuration: mtu",
                "configuration: name",
                "kernel",
                "settings of cniscope",
            ]
        );
        assert!(facts["binary of bridge"].starts_with("3 bytes, changed 2"), "{facts:?}");
        assert_eq!(
            (facts["binary of host-local"].as_str(), facts["configuration: mtu"].as_str()),
            ("", "1400")
        );
        assert!(facts["configuration: long"].starts_with("sha256:"));
    }

    #[test]
    fn of_the_node_its_parameters_name_servers_routes_and_bridge_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in
            [("proc/sys/net/ipv4/ip_forward", "1\n"), ("etc/resolv.conf", "nameserver 10.0.0.2\n")]
        {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let facts = of_node(&Node::at(root.path()), Some("nowhere0"));
        let expected = [
            ("/etc/resolv.conf", "nameserver 10.0.0.2"),
            ("bridge nowhere0", ""),
            ("default route", ""),
            ("net.bridge.bridge-nf-call-iptables", ""),
            ("net.ipv4.conf.all.rp_filter", ""),
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv6.conf.all.disable_ipv6", ""),
        ];
        let facts: Vec<(&str, &str)> =
            facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(facts, expected);
    }
}
