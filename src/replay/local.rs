//! Which plugins may be run again: those that are known to change nothing but the namespaces they are run in and files that
//! have a copy there. One that asks an agent or a server would change the state of the cluster.

use serde_json::Value;

/// Plugins that work by themselves (`github.com/containernetworking/plugins`), and flannel's, which hands over to them.
const LOCAL: [&str; 17] = [
    "bandwidth",
    "bridge",
    "dummy",
    "firewall",
    "flannel",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "static",
    "tap",
    "tuning",
    "vlan",
    "vrf",
];

/// Others whose reason is known.
const NOT_LOCAL: [(&str, &str); 15] = [
    ("host-device", "it moves a device of the node into the sandbox, and the scratch node has none"),
    ("dhcp", "it asks its daemon on the node, and the network's DHCP server, for a lease"),
    ("calico", "it writes to the cluster's datastore"),
    ("calico-ipam", "it takes addresses from the cluster's datastore"),
    ("cilium-cni", "it asks Cilium's agent, which makes a real endpoint"),
    ("aws-cni", "it asks the AWS VPC agent, which gives real addresses away"),
    ("egress-cni", "it belongs to the AWS VPC agent's networks"),
    ("azure-vnet", "it takes addresses from Azure"),
    ("azure-ipam", "it takes addresses from Azure"),
    ("ovn-k8s-cni-overlay", "it asks OVN-Kubernetes' agent, which makes a real port"),
    ("kube-ovn", "it asks Kube-OVN's agent, which makes a real port"),
    ("antrea", "it asks Antrea's agent, which makes a real port"),
    ("weave-net", "it asks Weave Net's router, which gives real addresses away"),
    ("whereabouts", "it takes addresses from the cluster's datastore"),
    ("multus", "it asks the API server, and runs the networks that stand there; replay their own calls"),
];

/// Why a call of a plugin may not be run again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{role} {plugin} cannot be replayed: {reason}")]
pub struct NotLocal {
    /// What the plugin does in the call: `the plugin`, `the ipam plugin` …
    pub role: &'static str,
    /// Its name.
    pub plugin: String,
    /// Why not.
    pub reason: &'static str,
}

/// Whether the call of `plugin` with this configuration stays local: the plugin, and what it delegates to.
///
/// # Errors
/// The first that does not.
pub fn check(plugin: &str, config: &Value) -> Result<(), NotLocal> {
    one("the plugin", plugin)?;
    if let Some(ipam) = config["ipam"]["type"].as_str().filter(|ipam| !ipam.is_empty()) {
        one("the ipam plugin", ipam)?;
    }
    let delegate = &config["delegate"];
    if plugin == "flannel" && delegate.is_object() {
        let kind = delegate["type"].as_str().filter(|kind| !kind.is_empty()).unwrap_or("bridge");
        one("the delegated plugin", kind)?;
        if let Some(ipam) = delegate["ipam"]["type"].as_str() {
            one("the ipam plugin", ipam)?;
        }
    }
    if plugin == "firewall" && config["backend"] == "firewalld" {
        let reason = "its backend is firewalld, the node's own";
        return Err(NotLocal { role: "the plugin", plugin: plugin.to_owned(), reason });
    }
    Ok(())
}

fn one(role: &'static str, plugin: &str) -> Result<(), NotLocal> {
    if LOCAL.contains(&plugin) {
        return Ok(());
    }
    let known = NOT_LOCAL.iter().find(|(name, _)| *name == plugin).map(|(_, reason)| *reason);
    let reason =
        known.unwrap_or("it is not among those that are known to change nothing outside their namespaces");
    Err(NotLocal { role, plugin: plugin.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_stays_local_is_told_from_what_does_not() {
        let unknown = "it is not among those that are known to change nothing outside their namespaces";
        let dhcp = "it asks its daemon on the node, and the network's DHCP server, for a lease";
        let table = [
            ("bridge", json!({"ipam": {"type": "host-local"}}), Ok(())),
            ("bridge", json!({"ipam": {}}), Ok(())),
            ("portmap", json!({}), Ok(())),
            ("bridge", json!({"ipam": {"type": "dhcp"}}), Err(("the ipam plugin", "dhcp", dhcp))),
            ("acme", json!({}), Err(("the plugin", "acme", unknown))),
            ("flannel", json!({}), Ok(())),
            ("flannel", json!({"delegate": {"isDefaultGateway": true}}), Ok(())),
            (
                "flannel",
                json!({"delegate": {"type": "acme"}}),
                Err(("the delegated plugin", "acme", unknown)),
            ),
            (
                "flannel",
                json!({"delegate": {"ipam": {"type": "dhcp"}}}),
                Err(("the ipam plugin", "dhcp", dhcp)),
            ),
            (
                "firewall",
                json!({"backend": "firewalld"}),
                Err(("the plugin", "firewall", "its backend is firewalld, the node's own")),
            ),
        ];
        for (plugin, config, expected) in table {
            let found = check(plugin, &config);
            let found = found.as_ref().copied().map_err(|why| (why.role, why.plugin.as_str(), why.reason));
            assert_eq!(found, expected, "{plugin} {config}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        assert_eq!(
            check("calico", &json!({})).unwrap_err().to_string(),
            "the plugin calico cannot be replayed: it writes to the cluster's datastore"
        );
    }
}
