//! What is wrong with a network, as `kubectl describe pod` tells it, and Pods that start once it is mended.

use crate::node::{LIST, list, with_network};
use crate::pods::steady;
use crate::programs::NODE;

/// What stands before the plugin's error.
const BEFORE: &str = r#"rpc error: code = Unknown desc = failed to setup network for sandbox "SANDBOX": plugin type="cniscope" failed (add): "#;

#[test]
fn a_full_pool_is_told_with_its_cause_and_fix_and_the_fix_helps() {
    let node = with_network("10.244.7.0/29");
    node.install();
    node.start_pods(&["pod1", "pod2", "pod3", "pod4", "pod5"]);
    node.create(&["pod6"]);
    let event = node.event("pod6", "[cniscope: ");
    assert_eq!(
        steady(&event),
        format!(
            r#"{BEFORE}plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.244.7.1-10.244.7.6; [cniscope: ipam-exhausted: 5 of 5 addresses used; fix: release addresses: delete Pods of this network on this node; see: cniscope show ID]"#
        )
    );
    node.delete(&["pod1"]);
    node.run_all(&["pod6"]);
}

#[test]
fn the_id_in_an_event_shows_the_call() {
    let node = with_network("10.244.7.0/29");
    node.install();
    node.start_pods(&["pod1", "pod2", "pod3", "pod4", "pod5"]);
    node.create(&["pod6"]);
    let event = node.event("pod6", "[cniscope: ");
    let (_, id) = event.split_once("see: cniscope show ").unwrap();
    let shown = node.cli(&["show", id.trim_end_matches(']')]);
    assert!(shown.starts_with("ADD default/pod6 by bridge: failed after "), "{shown}");
    assert!(shown.contains("\n\ncause: ipam-exhausted\n"), "{shown}");
}

#[test]
fn a_plugin_that_is_gone_is_told() {
    let node = with_network("10.244.7.0/24");
    node.install();
    node.sh("mv /opt/cni/bin/bridge /opt/cni/away");
    node.create(&["web"]);
    let event = node.event("web", "[cniscope: ");
    assert_eq!(
        steady(&event),
        format!(
            r#"{BEFORE}plugin type="bridge" failed (add): failed to find plugin "bridge" in path [/opt/cni/bin]; [cniscope: plugin-not-found: the plugin bridge is in none of the folders of CNI_PATH (/opt/cni/bin); fix: install bridge in /opt/cni/bin; see: cniscope show ID]"#
        )
    );
    node.sh("mv /opt/cni/away /opt/cni/bin/bridge");
    node.run_all(&["web"]);
}

#[test]
fn a_plugin_that_cannot_be_executed_is_told() {
    let node = with_network("10.244.7.0/24");
    node.install();
    node.sh("chmod -x /opt/cni/bin/bridge");
    node.create(&["web"]);
    let event = node.event("web", "[cniscope: ");
    assert_eq!(
        steady(&event),
        format!(
            r#"{BEFORE}plugin type="bridge" failed (add): netplugin failed with no error message: fork/exec /opt/cni/bin/bridge: permission denied; [cniscope: plugin-not-executable: /opt/cni/bin/bridge has mode 0644: nobody may execute it; fix: chmod 0755 /opt/cni/bin/bridge; see: cniscope show ID]"#
        )
    );
    node.sh("chmod +x /opt/cni/bin/bridge");
    node.run_all(&["web"]);
}

#[test]
fn a_bridge_with_another_address_is_told() {
    let node = with_network("10.244.7.0/24");
    node.install();
    node.start_pods(&["first"]);
    node.sh("ip address flush dev cni0 && ip address add 10.99.0.1/24 dev cni0");
    node.create(&["web"]);
    let event = node.event("web", "[cniscope: ");
    assert_eq!(
        steady(&event),
        format!(
            r#"{BEFORE}plugin type="bridge" failed (add): failed to set bridge addr: "cni0" already has an IP address different from 10.244.7.1/24; [cniscope: bridge-address-conflict: cni0 has another address than the network's gateway 10.244.7.1/24; changed since the last good call: bridge cni0; fix: take the foreign address off cni0, or give the network the subnet that cni0 has; see: cniscope show ID]"#
        )
    );
    node.sh("ip address del 10.99.0.1/24 dev cni0");
    node.run_all(&["web"]);
}

#[test]
fn a_list_with_a_subnet_that_is_none_is_told() {
    let node = with_network("10.244.7.0/24");
    node.write(LIST, &list("10.244.7.0/33"));
    node.install();
    node.create(&["web"]);
    let event = node.event("web", "[cniscope: ");
    assert_eq!(
        steady(&event),
        format!(
            r#"{BEFORE}plugin type="bridge" failed (add): invalid CIDR address: 10.244.7.0/33; [cniscope: config-invalid: ipam.subnet: "10.244.7.0/33" is no CIDR; fix: correct the configuration in /etc/cni/net.d, or where the network add-on takes it from; see: cniscope show ID]"#
        )
    );
    node.write(LIST, &list("10.244.7.0/24"));
    node.run_all(&["web"]);
}

#[test]
fn a_list_of_which_half_is_missing_is_told_by_doctor() {
    let node = with_network("10.244.7.0/24");
    node.install();
    node.sh(&format!("truncate -s 100 {LIST}"));
    // The runtime has no network then and calls no plugin: the node tells of it.
    let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}"#;
    node.kubectl(&["wait", "--for=condition=Ready=False", "--timeout=120s", "node", NODE]);
    let event = node.kubectl(&["get", "node", NODE, "-o", ready]);
    let told = node.cli(&["doctor", "config", "--event", &event]);
    let (_, of_event) = told.split_once("\n\nevent\n").unwrap();
    let (of_event, checks) = of_event.split_once("\n\n").unwrap();
    assert!(
        of_event.contains("check config: 10-pods.conflist, which the runtime takes first, is no JSON: unexpected end of JSON input"),
        "{told}"
    );
    assert!(checks.contains("cause  config-invalid: "), "{told}");
    node.write(LIST, &list("10.244.7.0/24"));
    node.start_pods(&["web"]);
}
