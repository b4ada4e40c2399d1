//! The other networks of the node that use the same bridge.

use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use serde_json::{Value, json};

use super::{Wanted, shown, wanted};
use crate::checks::networks::Folder;
use crate::checks::runtime::folders;
use crate::checks::subject::{Origin, Subject};
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

/// Another network that uses the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) network: String,
    pub(super) file: PathBuf,
    /// Whether the runtime makes both networks; else their Pods do not come to be on one node at one time.
    pub(super) is_beside: bool,
    pub(super) wanted: Wanted,
}

impl Other {
    /// As evidence shows it.
    pub(super) fn shown(&self) -> Value {
        let gateways: Vec<String> = self.wanted.gateways.iter().flat_map(|set| shown(set)).collect();
        json!({
            "network": self.network, "file": self.file.display().to_string(), "gateways": gateways,
            "mtu": self.wanted.mtu,
        })
    }
}

/// The networks of the runtime's folder that use the bridge of this one, those that the runtime does not take among them: it
/// may have taken them before.
pub(super) fn others(node: &Node, subject: &Subject, bridge: &str) -> Vec<Other> {
    let own_file = match &subject.origin {
        Origin::Entry { file, .. } => Some(file.as_path()),
        Origin::Call | Origin::Node { .. } => None,
    };
    let path = own_file.and_then(Path::parent).map_or_else(|| folders::in_use(node).conf_dir, Path::to_owned);
    let Ok(folder) = Folder::read(node, &path) else { return Vec::new() };
    let is_own_taken = folder.files.iter().any(|file| Some(&*file.path) == own_file && folder.is_taken(file));
    let mut others = Vec::new();
    for file in &folder.files {
        let networks = file.networks.iter().flatten().filter(|network| network.name != subject.network());
        for (network, entry) in networks.flat_map(|one| one.entries.iter().map(move |entry| (one, entry))) {
            let of_entry =
                Subject { plugin: entry.plugin.clone(), config: entry.config.clone(), ..Subject::default() };
            let Some(name) = of_entry.bridge().filter(|name| name == bridge && !of_entry.is_chained()) else {
                continue;
            };
            // Without flannel's file its subnet is not known.
            let config = of_entry.effective_config(node).unwrap_or_default();
            others.push(Other {
                network: network.name.clone(),
                file: file.path.clone(),
                is_beside: is_own_taken && folder.is_taken(file),
                wanted: wanted(&config, name),
            });
        }
    }
    others
}

/// The network whose gateway is this address of this link.
pub(super) fn owner<'o>(others: &'o [Other], link: &str, address: IpNetwork) -> Option<&'o Other> {
    let has = |other: &&Other| other.wanted.gateways.iter().any(|set| set.contains(&address));
    others.iter().find(|other| other.wanted.gateway_link == link && has(other))
}

/// A network beside this one whose gateway cannot be on the bridge together with this one's.
pub(super) fn clash(own: &Wanted, others: &[Other]) -> Option<Finding> {
    let excludes = |other: &&Other| {
        let theirs = &other.wanted;
        other.is_beside
            && own.gateway_link == theirs.gateway_link
            && own.gateways.iter().any(|one| theirs.gateways.iter().any(|another| are_apart(one, another)))
    };
    let other = others.iter().find(excludes)?;
    let (link, network) = (&own.gateway_link, &other.network);
    let what = if own.force_address || other.wanted.force_address {
        "forceAddress takes it from one of the two"
    } else {
        "the calls of the one that comes second fail"
    };
    let summary = format!("the network {network} puts another gateway on {link}: {what}");
    let file = other.file.display();
    Some(
        Finding::warn(summary)
            .explains(Cause::BridgeAddressConflict)
            .fix(format!("give one of the two networks a bridge of its own: {network} stands in {file}")),
    )
}

/// Whether the plugin trips over any of the one where it is to set any of the other (`ensureAddr`).
fn are_apart(one: &[IpNetwork], other: &[IpNetwork]) -> bool {
    let trips = |own: &IpNetwork, theirs: &IpNetwork| {
        let overlap = own.contains(theirs.ip()) || theirs.contains(own.ip());
        own != theirs && own.is_ipv4() == theirs.is_ipv4() && (own.is_ipv4() || overlap)
    };
    let is_known = !one.is_empty() && !other.is_empty();
    is_known && one.iter().all(|own| other.iter().all(|theirs| trips(own, theirs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::Value;

    fn of(name: &str, config: &Value) -> Other {
        let file = Path::new("/etc/cni/net.d").join(name);
        Other { network: name.into(), file, is_beside: true, wanted: wanted(config, "cni0".into()) }
    }

    fn gateway(subnets: &[&str]) -> Value {
        let ranges: Vec<Value> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
        json!({"isGateway": true, "ipam": {"type": "host-local", "ranges": ranges}})
    }

    fn and(config: Value, key: &str, value: Value) -> Value {
        let mut config = config;
        config[key] = value;
        config
    }

    #[test]
    fn two_gateways_on_one_bridge() {
        let fail = "the network b puts another gateway on cni0: the calls of the one that comes second fail";
        let forced = "the network b puts another gateway on cni0: forceAddress takes it from one of the two";
        let of_vlan =
            "the network b puts another gateway on cni0.7: the calls of the one that comes second fail";
        let (one, two) = (["10.1.0.0/24"], ["10.2.0.0/24"]);
        let force = |config| and(config, "forceAddress", json!(true));
        let vlan = |config, vlan: u64| and(config, "vlan", json!(vlan));
        let several =
            json!({"isGateway": true, "ipam": {"ranges": [[{"subnet": one[0]}, {"subnet": two[0]}]]}});
        let table = [
            (gateway(&one), gateway(&two), Some(fail)),
            (gateway(&one), gateway(&one), None),
            (gateway(&one), gateway(&["10.1.0.0/16"]), Some(fail)),
            (gateway(&one), force(gateway(&two)), Some(forced)),
            (force(gateway(&one)), gateway(&two), Some(forced)),
            (gateway(&one), and(gateway(&two), "isGateway", json!(false)), None),
            (gateway(&one), json!({"isGateway": true, "ipam": {"type": "dhcp"}}), None),
            (gateway(&one), Value::Null, None),
            (gateway(&one), several, None),
            (gateway(&one), gateway(&["fd00:1::/64"]), None),
            (gateway(&["fd00:1::/64"]), gateway(&["fd00:2::/64"]), None),
            (gateway(&["fd00:1::/64"]), gateway(&["fd00:1::/48"]), Some(fail)),
            (gateway(&["10.1.0.0/24", "fd00:1::/64"]), gateway(&["10.2.0.0/24", "fd00:2::/64"]), Some(fail)),
            (gateway(&one), vlan(gateway(&two), 7), None),
            (vlan(gateway(&one), 7), vlan(gateway(&two), 7), Some(of_vlan)),
            (vlan(gateway(&one), 7), vlan(gateway(&two), 8), None),
        ];
        for (own, other, expected) in table {
            let found = clash(&of("a", &own).wanted, &[of("b", &other)]);
            let summary = found.as_ref().map(|finding| finding.summary.as_str());
            assert_eq!(summary, expected, "{own} {other}");
            let Some(found) = found else { continue };
            assert_eq!((found.status, found.cause), (Status::Warn, Some(Cause::BridgeAddressConflict)));
            let fix = "give one of the two networks a bridge of its own: b stands in /etc/cni/net.d/b";
            assert_eq!(found.fix, [fix]);
        }
        let not_taken = Other { is_beside: false, ..of("b", &gateway(&two)) };
        assert_eq!(clash(&of("a", &gateway(&one)).wanted, &[not_taken]), None);
    }

    #[test]
    fn an_address_belongs_to_the_network_whose_gateway_it_is() {
        let others = [of("b", &gateway(&["10.2.0.0/24"])), of("c", &gateway(&["10.3.0.0/24"]))];
        let table = [
            ("cni0", "10.3.0.1/24", Some("c")),
            ("cni0", "10.3.0.1/16", None),
            ("cni0", "10.4.0.1/24", None),
            ("cni0.7", "10.3.0.1/24", None),
        ];
        for (link, address, expected) in table {
            let found = owner(&others, link, address.parse().unwrap());
            assert_eq!(found.map(|other| other.network.as_str()), expected, "{address} of {link}");
        }
    }

    /// The other networks that are found from `subject` where these files stand in the folder.
    fn found(files: &[(&str, &str)], origin: Origin) -> Vec<(String, bool, Vec<String>)> {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let config = json!({"name": "a"});
        let subject = Subject { plugin: "bridge".into(), config, origin, ..Subject::default() };
        let others = others(&Node::at(root.path()), &subject, "cni0");
        let gateways = |other: &Other| other.wanted.gateways.iter().flat_map(|set| shown(set)).collect();
        others.iter().map(|other| (other.network.clone(), other.is_beside, gateways(other))).collect()
    }

    #[test]
    fn networks_that_use_the_bridge_are_found_in_the_folder() {
        let list = |name: &str, entry: &str| {
            format!(r#"{{"name": "{name}", "plugins": [{entry}, {{"type": "bridge"}}]}}"#)
        };
        let wrapped = r#"{"type": "cniscope", "cniscope": {"wraps": "bridge"}, "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.2.0.0/24"}}"#;
        let files = [
            ("etc/cni/net.d/00-multus.conf", r#"{"name": "m", "type": "multus"}"#.to_owned()),
            ("etc/cni/net.d/10-a.conflist", list("a", r#"{"type": "bridge"}"#)),
            ("etc/cni/net.d/20-b.conflist", list("b", wrapped)),
            ("etc/cni/net.d/30-c.conflist", list("c", r#"{"type": "flannel"}"#)),
            ("etc/cni/net.d/40-d.conflist", list("d", r#"{"type": "bridge", "bridge": "br1"}"#)),
            ("etc/cni/net.d/50-e.conflist", "{".to_owned()),
            ("run/flannel/subnet.env", "FLANNEL_SUBNET=10.3.0.1/24\n".to_owned()),
        ];
        let files: Vec<_> = files.iter().map(|(path, content)| (*path, content.as_str())).collect();
        let entry = || Origin::Entry { file: "/etc/cni/net.d/10-a.conflist".into(), is_wrapped: false };
        let with = |is_beside| {
            let b = ("b".to_owned(), is_beside, vec!["10.2.0.1/24".to_owned()]);
            [b, ("c".to_owned(), is_beside, vec!["10.3.0.1/24".to_owned()])]
        };
        assert_eq!(found(&files, entry()), with(true));
        assert_eq!(found(&files[1..], entry()), with(false), "the runtime takes the first file only");
        assert_eq!(found(&files, Origin::Call), with(false));
        let mut unknown = with(true);
        unknown[1].2.clear();
        assert_eq!(found(&files[..6], entry()), unknown, "flannel's subnet is not known");
        assert_eq!(found(&[], Origin::Call), []);
    }
}
