//! What a check is about: one call, or an entry of a conflist that doctor looks at.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cni::entry;
use crate::cni::environment::Verb;
use crate::node::Node;

/// What a subject is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A call of the runtime.
    Call,
    /// An entry of a network configuration, of which there is no call: neither container nor network namespace.
    Entry {
        /// The network's file.
        file: PathBuf,
        /// Whether cniscope stands in the plugin's place.
        is_wrapped: bool,
    },
    /// The node as such, without a plugin.
    Node {
        /// The folder of its network configurations.
        conf_dir: PathBuf,
    },
}

/// A call or what stands for one, as far as checks need to know it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it is.
    pub origin: Origin,
    /// The verb.
    pub verb: Verb,
    /// The delegate's name.
    pub plugin: String,
    /// The folders of `CNI_PATH`.
    pub folders: Vec<PathBuf>,
    /// The delegate's configuration. `null` where it is no JSON that can be read.
    pub config: Value,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`.
    pub netns: PathBuf,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_NETNS_OVERRIDE`.
    pub netns_override: bool,
    /// What the delegate has returned; `null` as long as it has not.
    pub result: Value,
    /// The overlay's addresses of other nodes, which are to be asked whether they answer.
    pub peers: Vec<IpAddr>,
}

impl Default for Subject {
    fn default() -> Subject {
        Subject {
            origin: Origin::Call,
            verb: Verb::Add,
            plugin: String::new(),
            folders: Vec::new(),
            config: Value::Null,
            container_id: String::new(),
            netns: PathBuf::new(),
            ifname: String::new(),
            netns_override: false,
            result: Value::Null,
            peers: Vec::new(),
        }
    }
}

impl Subject {
    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &str {
        self.config["name"].as_str().unwrap_or_default()
    }

    /// Whether there is a call, with a container, an interface and a network namespace.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.origin == Origin::Call
    }

    /// Whether another plugin of the list ran before.
    #[must_use]
    pub fn is_chained(&self) -> bool {
        self.config.get("prevResult").is_some_and(|result| !result.is_null())
    }

    /// The result to which the sandbox can be held: that of an ADD, or on CHECK that of the whole list.
    #[must_use]
    pub fn promised_result(&self) -> Option<&Value> {
        let result = match self.verb {
            Verb::Add => &self.result,
            Verb::Check => &self.config["prevResult"],
            _ => &Value::Null,
        };
        Some(result).filter(|result| result.is_object() && self.is_call())
    }

    /// The plugins that take part: the delegate, what it delegates to, the ipam plugin, each with its role; cniscope itself
    /// where it still has to be found.
    #[must_use]
    pub fn plugins(&self) -> Vec<(&'static str, String)> {
        let mut plugins = Vec::new();
        if matches!(self.origin, Origin::Entry { is_wrapped: true, .. }) {
            plugins.push(("wrapper", entry::NAME.to_owned()));
        }
        plugins.push(("plugin", self.plugin.clone()));
        if self.plugin == "flannel" {
            plugins.push((
                "delegated plugin",
                text(&self.config["delegate"]["type"]).unwrap_or("bridge").to_owned(),
            ));
        }
        let ipam = text(&self.config["ipam"]["type"]).map(str::to_owned);
        let flannels = || (self.plugin == "flannel").then(|| "host-local".to_owned());
        if let Some(ipam) = ipam.or_else(flannels) {
            plugins.push(("ipam plugin", ipam));
        }
        plugins
    }

    /// Whether addresses come from host-local.
    #[must_use]
    pub fn uses_host_local(&self) -> bool {
        self.plugins().iter().any(|(role, name)| *role == "ipam plugin" && name == "host-local")
    }

    /// The name of the bridge that the delegate makes or uses.
    #[must_use]
    pub fn bridge(&self) -> Option<String> {
        let config = match self.plugin.as_str() {
            "bridge" => &self.config,
            "flannel" if matches!(text(&self.config["delegate"]["type"]), None | Some("bridge")) => {
                &self.config["delegate"]
            }
            _ => return None,
        };
        Some(text(&config["bridge"]).unwrap_or("cni0").to_owned())
    }

    /// The configuration that reaches the plugin which does the work: flannel makes one for its delegate from
    /// `subnet.env` (`flannel.go`, `flannel_linux.go`).
    ///
    /// # Errors
    /// If flannel's file cannot be read.
    pub fn effective_config(&self, node: &Node) -> Result<Cow<'_, Value>, String> {
        if self.plugin != "flannel" {
            return Ok(Cow::Borrowed(&self.config));
        }
        let path = text(&self.config["subnetFile"]).unwrap_or("/run/flannel/subnet.env");
        let content = node.read_text(Path::new(path)).map_err(|error| error.to_string())?;
        Ok(Cow::Owned(flannels_delegate(&self.config, &content)))
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn flannels_delegate(config: &Value, subnet_env: &str) -> Value {
    let variables: BTreeMap<&str, &str> =
        subnet_env.lines().filter_map(|line| line.trim().split_once('=')).collect();
    let subnets = ["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"].into_iter().filter_map(|key| variables.get(key));
    let ranges: Vec<Value> = subnets.map(|subnet| json!([{ "subnet": network_of(subnet) }])).collect();
    let mut delegate = config["delegate"].as_object().cloned().unwrap_or_default();
    delegate.insert("name".to_owned(), config["name"].clone());
    let defaults = [
        ("type", json!("bridge")),
        ("isGateway", json!(true)),
        ("mtu", json!(variables.get("FLANNEL_MTU").and_then(|mtu| mtu.parse::<u32>().ok()))),
    ];
    for (key, value) in defaults {
        delegate.entry(key).or_insert(value);
    }
    let data_dir = config["ipam"]["dataDir"].clone();
    delegate.insert("ipam".to_owned(), json!({"type": "host-local", "ranges": ranges, "dataDir": data_dir}));
    Value::Object(delegate)
}

/// flanneld writes the gateway's address with the prefix; the ranges want the network's.
fn network_of(subnet: &str) -> String {
    subnet
        .parse::<ipnetwork::IpNetwork>()
        .map_or_else(|_| subnet.to_owned(), |parsed| format!("{}/{}", parsed.network(), parsed.prefix()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(plugin: &str, config: Value) -> Subject {
        Subject { plugin: plugin.to_owned(), config, ..Subject::default() }
    }

    #[test]
    fn the_plugins_of_a_call_are_found() {
        let table = [
            (subject("bridge", json!({})), vec![("plugin", "bridge")]),
            (subject("bridge", json!({"ipam": {}})), vec![("plugin", "bridge")]),
            (
                subject("ptp", json!({"ipam": {"type": "host-local"}})),
                vec![("plugin", "ptp"), ("ipam plugin", "host-local")],
            ),
            (
                subject("flannel", json!({"delegate": {"isDefaultGateway": true}})),
                vec![("plugin", "flannel"), ("delegated plugin", "bridge"), ("ipam plugin", "host-local")],
            ),
            (
                Subject {
                    origin: Origin::Entry { file: "/x.conf".into(), is_wrapped: true },
                    ..subject("loopback", json!({}))
                },
                vec![("wrapper", "cniscope"), ("plugin", "loopback")],
            ),
        ];
        for (subject, expected) in table {
            let plugins = subject.plugins();
            let plugins: Vec<_> = plugins.iter().map(|(role, name)| (*role, name.as_str())).collect();
            assert_eq!(plugins, expected);
        }
    }

    #[test]
    fn flannel_makes_a_bridge_of_its_subnet() {
        let config = json!({"name": "cbr0", "type": "flannel", "delegate": {"hairpinMode": true}});
        let made = flannels_delegate(
            &config,
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\n",
        );
        assert_eq!(
            made,
            json!({
                "hairpinMode": true, "name": "cbr0", "type": "bridge", "isGateway": true, "mtu": 1450,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}]], "dataDir": null},
            })
        );
        assert_eq!(subject("flannel", config).bridge().as_deref(), Some("cni0"));
    }
}
