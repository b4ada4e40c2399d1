//! What single reference plugins want of their entry, and refuse before they do anything.

use serde_json::Value;

use super::comes_with_a_call;
use crate::checks::subject::Subject;

/// The keys of which host-device wants one.
const DEVICE: [&str; 4] = ["device", "hwaddr", "kernelpath", "pciBusID"];

/// The first mistake, with its key in front.
pub(super) fn judge(subject: &Subject) -> Result<(), String> {
    let config = &subject.config;
    match subject.plugin.as_str() {
        "bridge" => bridge(config),
        "bandwidth" => bandwidth(config),
        "flannel" => flannel(config),
        "host-device" if !has_device(subject) => {
            Err(format!("device: is missing, expected one of {}", DEVICE.join(", ")))
        }
        "ipvlan" => one_of(config, "mode", &["l2", "l3", "l3s"]),
        "macvlan" => one_of(config, "mode", &["bridge", "private", "vepa", "passthru"]),
        "portmap" => portmap(config),
        "vlan" => {
            required(config, "master", "the host's interface").and_then(|()| number(config, "vlanId", 4094))
        }
        "vrf" => required(config, "vrfname", "the name of a VRF"),
        _ => Ok(()),
    }
}

fn text<'v>(config: &'v Value, key: &str) -> Option<&'v str> {
    config[key].as_str().filter(|text| !text.is_empty())
}

fn required(config: &Value, key: &str, what: &str) -> Result<(), String> {
    text(config, key).map(drop).ok_or_else(|| format!("{key}: is missing, expected {what}"))
}

fn one_of(config: &Value, key: &str, known: &[&str]) -> Result<(), String> {
    match text(config, key) {
        Some(value) if !known.contains(&value) => {
            Err(format!("{key}: is {value:?}, expected one of {}", known.join(", ")))
        }
        _ => Ok(()),
    }
}

fn number(config: &Value, key: &str, most: i64) -> Result<(), String> {
    match config[key].as_i64() {
        Some(value) if !(0..=most).contains(&value) => {
            Err(format!("{key}: is {value}, expected a number from 0 to {most}"))
        }
        _ => Ok(()),
    }
}

/// `plugins/main/bridge`, `loadNetConf` and `cmdAdd`.
fn bridge(config: &Value) -> Result<(), String> {
    if config["hairpinMode"] == true && config["promiscMode"] == true {
        return Err("hairpinMode: cannot be set together with promiscMode".to_owned());
    }
    number(config, "vlan", 4094)
}

/// `plugins/meta/flannel`, `cmdAdd`.
fn flannel(config: &Value) -> Result<(), String> {
    let delegate = &config["delegate"];
    if !(delegate["type"].is_string() || delegate["type"].is_null()) {
        return Err(format!("delegate.type: is {}, expected a string", delegate["type"]));
    }
    match ["name", "ipam"].into_iter().find(|key| delegate.get(key).is_some()) {
        Some(key) => Err(format!("delegate.{key}: must not be given, flannel sets it")),
        None => Ok(()),
    }
}

/// `plugins/main/host-device`, `loadConf`. The runtime may bring the device.
fn has_device(subject: &Subject) -> bool {
    let config = &subject.config;
    DEVICE.iter().any(|key| text(config, key).is_some())
        || text(&config["runtimeConfig"], "deviceID").is_some()
        || comes_with_a_call(subject, "deviceID")
}

/// `plugins/meta/portmap`, `parseConfig`.
fn portmap(config: &Value) -> Result<(), String> {
    if !config["markMasqBit"].is_null() && !config["externalSetMarkChain"].is_null() {
        return Err("markMasqBit: cannot be set together with externalSetMarkChain".to_owned());
    }
    number(config, "markMasqBit", 31)
}

/// `plugins/meta/bandwidth`, `validateRateAndBurst`.
fn bandwidth(config: &Value) -> Result<(), String> {
    for direction in ["ingress", "egress"] {
        let number = |what: &str| config[format!("{direction}{what}")].as_u64().unwrap_or(0);
        let (rate, burst) = (number("Rate"), number("Burst"));
        if (rate == 0) != (burst == 0) {
            return Err(format!(
                "{direction}Burst: is {burst} with {direction}Rate {rate}, expected both or neither"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::subject::Origin;
    use serde_json::json;

    fn judged(plugin: &str, config: Value) -> Result<(), String> {
        judge(&Subject { plugin: plugin.into(), config, ..Subject::default() })
    }

    #[test]
    fn mistakes_are_those_that_the_plugins_refuse() {
        let table = [
            (
                "bridge",
                json!({"hairpinMode": true, "promiscMode": true}),
                "hairpinMode: cannot be set together with promiscMode",
            ),
            ("bridge", json!({"vlan": 5000}), "vlan: is 5000, expected a number from 0 to 4094"),
            (
                "bandwidth",
                json!({"ingressRate": 1000}),
                "ingressBurst: is 0 with ingressRate 1000, expected both or neither",
            ),
            ("flannel", json!({"delegate": {"type": 7}}), "delegate.type: is 7, expected a string"),
            (
                "flannel",
                json!({"delegate": {"ipam": {}}}),
                "delegate.ipam: must not be given, flannel sets it",
            ),
            (
                "host-device",
                json!({"device": ""}),
                "device: is missing, expected one of device, hwaddr, kernelpath, pciBusID",
            ),
            ("ipvlan", json!({"mode": "L2"}), "mode: is \"L2\", expected one of l2, l3, l3s"),
            (
                "macvlan",
                json!({"mode": "bridged"}),
                "mode: is \"bridged\", expected one of bridge, private, vepa, passthru",
            ),
            (
                "portmap",
                json!({"markMasqBit": 0, "externalSetMarkChain": "X"}),
                "markMasqBit: cannot be set together with externalSetMarkChain",
            ),
            ("portmap", json!({"markMasqBit": 32}), "markMasqBit: is 32, expected a number from 0 to 31"),
            ("vlan", json!({"vlanId": 7}), "master: is missing, expected the host's interface"),
            (
                "vlan",
                json!({"master": "eth0", "vlanId": 4095}),
                "vlanId: is 4095, expected a number from 0 to 4094",
            ),
            ("vrf", json!({}), "vrfname: is missing, expected the name of a VRF"),
        ];
        for (plugin, config, expected) in table {
            assert_eq!(judged(plugin, config), Err(expected.to_owned()), "{plugin}");
        }
    }

    #[test]
    fn good_entries_pass() {
        for (plugin, config) in [
            ("bridge", json!({"vlan": 100, "hairpinMode": true})),
            ("bandwidth", json!({"ingressRate": 1, "ingressBurst": 1})),
            ("flannel", json!({"delegate": {"isDefaultGateway": true}})),
            ("host-device", json!({"runtimeConfig": {"deviceID": "0000:00:1f.6"}})),
            ("ipvlan", json!({})),
            ("macvlan", json!({"mode": ""})),
            ("portmap", json!({"snat": true})),
            ("vlan", json!({"master": "eth0", "vlanId": 7})),
            ("vrf", json!({"vrfname": "red"})),
            ("calico", json!({"mode": "x"})),
        ] {
            assert_eq!(judged(plugin, config), Ok(()), "{plugin}");
        }
    }

    #[test]
    fn what_the_runtime_brings_is_not_missing_before_there_is_a_call() {
        let config = json!({"capabilities": {"deviceID": true}});
        let origin = Origin::Entry { file: "/x.conf".into(), is_wrapped: false };
        assert!(judged("host-device", config.clone()).is_err());
        assert_eq!(
            judge(&Subject { plugin: "host-device".into(), config, origin, ..Subject::default() }),
            Ok(())
        );
    }
}
