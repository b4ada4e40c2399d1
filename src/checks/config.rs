//! `config`: the entry on stdin has what the plugins need, in a form that they take; the runtime's folder has a network
//! that it can take.

mod folder;
mod known_plugins;

use ipnetwork::IpNetwork;
use serde_json::Value;

use super::Depth;
use super::ranges;
use super::subject::{Origin, Subject};
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

/// Reference plugins that only work on what another plugin has made.
const CHAINED_ONLY: [&str; 5] = ["portmap", "bandwidth", "firewall", "sbr", "vrf"];

/// Reference plugins that hand their entry on to the ipam plugin as it is. Others may put addresses into it, as flannel does,
/// and Calico for `usePodCidr`.
const HAND_ON: [&str; 8] = ["bridge", "dummy", "host-device", "ipvlan", "macvlan", "ptp", "tap", "vlan"];

/// Judges the entry; where there is none, the folder.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    match &subject.origin {
        Origin::Node { conf_dir } => folder::look(node, conf_dir),
        Origin::Call | Origin::Entry { .. } => judge(subject),
    }
}

fn judge(subject: &Subject) -> Finding {
    if subject.config.is_null() {
        return Finding::skipped("the entry cannot be read");
    }
    if let Err(mistake) =
        basics(&subject.config).and_then(|()| addresses(subject)).and_then(|()| known_plugins::judge(subject))
    {
        let key = mistake.split(':').next().unwrap_or_default().to_owned();
        return Finding::fail(Cause::ConfigInvalid, mistake).with("key", key);
    }
    let needs_previous = match subject.verb {
        Verb::Add | Verb::Check => CHAINED_ONLY.contains(&subject.plugin.as_str()),
        _ => false,
    };
    if needs_previous && !subject.is_chained() {
        let summary =
            format!("{} runs first, but works only behind a plugin that makes an interface", subject.plugin);
        return Finding::fail(Cause::ChainOrderWrong, summary);
    }
    Finding::ok("the entry has no mistake that is known")
}

/// What every plugin wants (`pkg/skel`, `validateConfig`; `pkg/utils`).
fn basics(config: &Value) -> Result<(), String> {
    let name = config["name"].as_str().ok_or("name: is missing, expected the network's name")?;
    let mut letters = name.chars();
    let starts_well = letters.next().is_some_and(|first| first.is_ascii_alphanumeric());
    if !starts_well || !letters.all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter)) {
        return Err(format!("name: {name:?} is no network name, expected letters, digits, '_', '.', '-'"));
    }
    if !(config["cniVersion"].is_string() || config["cniVersion"].is_null()) {
        return Err(format!("cniVersion: is {}, expected a string", config["cniVersion"]));
    }
    if let Some(ipam) = config.get("ipam").filter(|ipam| !ipam.is_null())
        && !ipam.is_object()
    {
        return Err("ipam: expected an object".to_owned());
    }
    Ok(())
}

/// What ipam plugins want.
fn addresses(subject: &Subject) -> Result<(), String> {
    let ipam = &subject.config["ipam"];
    match ipam["type"].as_str() {
        _ if !HAND_ON.contains(&subject.plugin.as_str()) => Ok(()),
        Some("host-local") if !comes_with_a_call(subject, "ipRanges") => {
            ranges::of_config(&subject.config).map(drop)
        }
        Some("static") => static_addresses(ipam),
        _ => Ok(()),
    }
}

/// Whether there is no call yet, and it is the runtime that brings this with one.
fn comes_with_a_call(subject: &Subject, capability: &str) -> bool {
    !subject.is_call() && subject.config["capabilities"][capability] == true
}

/// `plugins/ipam/static`.
fn static_addresses(ipam: &Value) -> Result<(), String> {
    for (position, address) in ipam["addresses"].as_array().into_iter().flatten().enumerate() {
        let key = format!("ipam.addresses[{position}].address");
        let text = address["address"].as_str().ok_or_else(|| format!("{key}: is missing"))?;
        if !text.contains('/') || text.parse::<IpNetwork>().is_err() {
            return Err(format!("{key}: {text:?} is no address with a prefix length, such as 10.1.0.5/24"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;

    fn judged(plugin: &str, config: Value) -> (Status, Option<Cause>, String) {
        let finding = judge(&Subject { plugin: plugin.into(), config, ..Subject::default() });
        (finding.status, finding.cause, finding.summary)
    }

    #[test]
    fn mistakes_are_named_with_their_key() {
        let network = |more: Value| {
            let mut config = json!({"name": "net", "cniVersion": "1.0.0"});
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            config
        };
        let table = [
            ("bridge", json!({}), "name: is missing, expected the network's name"),
            (
                "bridge",
                json!({"name": ""}),
                "name: \"\" is no network name, expected letters, digits, '_', '.', '-'",
            ),
            (
                "bridge",
                json!({"name": "../x"}),
                "name: \"../x\" is no network name, expected letters, digits, '_', '.', '-'",
            ),
            ("bridge", network(json!({"cniVersion": 1.0})), "cniVersion: is 1.0, expected a string"),
            ("bridge", network(json!({"ipam": "host-local"})), "ipam: expected an object"),
            (
                "bridge",
                network(json!({"ipam": {"type": "host-local", "subnet": "10.1.0.0/33"}})),
                "ipam.subnet: \"10.1.0.0/33\" is no CIDR",
            ),
            (
                "macvlan",
                network(json!({"ipam": {"type": "static", "addresses": [{"address": "10.1.0.5"}]}})),
                "ipam.addresses[0].address: \"10.1.0.5\" is no address with a prefix length, such as 10.1.0.5/24",
            ),
            (
                "bridge",
                network(json!({"hairpinMode": true, "promiscMode": true})),
                "hairpinMode: cannot be set together with promiscMode",
            ),
        ];
        for (plugin, config, expected) in table {
            assert_eq!(
                judged(plugin, config),
                (Status::Fail, Some(Cause::ConfigInvalid), expected.to_owned())
            );
        }
    }

    #[test]
    fn a_chained_plugin_that_runs_first_is_in_the_wrong_place() {
        let (_, cause, summary) = judged("portmap", json!({"name": "net"}));
        assert_eq!(cause, Some(Cause::ChainOrderWrong));
        assert_eq!(summary, "portmap runs first, but works only behind a plugin that makes an interface");
        assert_eq!(
            judged("portmap", json!({"name": "net", "prevResult": {"cniVersion": "1.0.0"}})).0,
            Status::Ok
        );
    }

    #[test]
    fn good_entries_pass() {
        for (plugin, config) in [
            ("bridge", json!({"name": "net", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}})),
            ("bridge", json!({"name": "net"})),
            ("calico", json!({"name": "k8s-pod-network", "ipam": {"type": "calico-ipam"}})),
            ("flannel", json!({"name": "cbr0", "ipam": {"type": "host-local"}})),
            ("calico", json!({"name": "k8s", "ipam": {"type": "host-local", "subnet": "usePodCidr"}})),
            ("acme-net", json!({"name": "net", "ipam": {"type": "host-local"}})),
        ] {
            assert_eq!(judged(plugin, config).0, Status::Ok, "{plugin}");
        }
        assert_eq!(judged("bridge", Value::Null).0, Status::Skipped);
    }
}
