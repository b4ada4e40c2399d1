//! What has changed since the last good call: in the record, in `show`, and in the answer where it decides.

use serde_json::{Value, json};

use crate::network::{NAME, Network, Wrapping};
use crate::world::{PLUGINS, World};

/// A ptp network with this MTU and this subnet.
fn network(mtu: u32, subnet: &str) -> Network {
    let ipam = json!({"type": "host-local", "subnet": subnet});
    Network::of(json!([{"type": "ptp", "mtu": mtu, "ipam": ipam}])).versions(&["1.0.0"])
}

/// A node on which an ADD of the network went well.
fn after_a_good_call() -> (World, Value) {
    let world = network(1400, "10.7.0.0/24").world("1.0.0", Wrapping::Whole);
    assert_eq!(world.cnitool("add", NAME).run().status, 0);
    assert_eq!(world.cnitool("del", NAME).run().status, 0);
    let good = world.ends().remove(0);
    (world, good)
}

/// An ADD that fails: the error, and its record.
fn fail(world: &World) -> (String, Value) {
    let (status, _, error) = world.cnitool("add", NAME).run().answer();
    assert_eq!(status, 1, "{error}");
    let end = world.ends().into_iter().rfind(|end| end["outcome"] != "ok").expect("a failure in the journal");
    (error, end)
}

/// The names of what has changed, by the record.
fn names(end: &Value) -> Vec<&str> {
    end["changed"]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["what"].as_str().unwrap())
        .collect()
}

#[test]
fn a_configuration_that_has_become_invalid() {
    let (world, good) = after_a_good_call();
    world.configure(&network(1300, "10.7.0.0/33").list("1.0.0", Wrapping::Whole));
    let (error, end) = fail(&world);
    assert_eq!(names(&end), ["configuration: ipam", "configuration: mtu"]);
    assert_eq!((&end["changed"]["id"], &end["changed"]["time"]), (&good["id"], &good["time"]));
    let mtu = json!({"what": "configuration: mtu", "before": "1400", "now": "1300"});
    assert_eq!(end["changed"]["changes"][1], mtu);
    assert_eq!(end["cause"], "config-invalid");
    let told = "; changed since the last good call: configuration: ipam, configuration: mtu; fix: ";
    assert!(error.contains(told), "{error}");
    let shown = world.cli(&["show", "last-failed"]).text();
    assert!(shown.contains("\nchanged since the last good call, of "), "{shown}");
    assert!(shown.contains("\n  configuration: mtu: 1400 -> 1300\n"), "{shown}");
}

#[test]
fn a_binary_that_was_replaced_is_named_where_no_cause_is_known() {
    let (world, _) = after_a_good_call();
    world.sh(&format!("rm {PLUGINS}/ptp"));
    world.write(&format!("{PLUGINS}/ptp"), "#!/bin/sh\necho '{\"code\": 7, \"msg\": \"no\"}'\nexit 1\n");
    world.sh(&format!("chmod 755 {PLUGINS}/ptp"));
    let (error, end) = fail(&world);
    assert_eq!((names(&end), &end["cause"]), (vec!["binary of ptp"], &json!("unknown")));
    let told = "[cniscope: unknown cause; changed since the last good call: binary of ptp; ruled out: ";
    assert!(error.contains(told), "{error}");
}

#[test]
fn what_the_node_shows_is_compared_where_it_explains_the_cause() {
    let plugins = json!([{"type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}]);
    let world = Network::of(plugins).versions(&["1.0.0"]).world("1.0.0", Wrapping::Whole);
    assert_eq!(world.cnitool("add", NAME).run().status, 0);
    assert_eq!(world.cnitool("del", NAME).run().status, 0);
    world.sh(
        "ip address flush dev br0 && ip address add 10.9.0.1/24 dev br0 && sysctl -qw net.ipv4.ip_forward=0",
    );
    let (error, end) = fail(&world);
    assert_eq!(
        end["changed"]["changes"],
        json!([
            {"what": "bridge br0", "before": "bridge 10.7.0.1/24", "now": "bridge 10.9.0.1/24"},
            {"what": "net.ipv4.ip_forward", "before": "1", "now": "0"},
        ])
    );
    assert_eq!(end["cause"], "bridge-address-conflict");
    assert!(error.contains("; changed since the last good call: bridge br0; fix: "), "{error}");
}

#[test]
fn a_kernel_with_which_no_call_went_well_is_told_by_doctor() {
    let (world, good) = after_a_good_call();
    let doctor = || world.cli(&["doctor", "kernel"]);
    let told = format!(", at {}, had 5.0.0-old", good["time"].as_str().unwrap());
    assert!(!doctor().text().contains("no good ADD"), "{}", doctor().text());
    world.sh(r#"sed -i "s/\"kernel\":\"$(uname -r)\"/\"kernel\":\"5.0.0-old\"/" /var/lib/cniscope/good/*"#);
    let after = doctor();
    assert!(after.text().contains(": no problem, 1 warning\n"), "{}", after.text());
    assert!(after.text().contains("no good ADD is known since the kernel "), "{}", after.text());
    assert!(after.text().contains(&told), "{}", after.text());
    // One with the kernel that runs.
    world.configure(&network(1300, "10.7.0.0/24").list("1.0.0", Wrapping::Whole));
    assert_eq!(world.cnitool("add", NAME).run().status, 0);
    assert!(!doctor().text().contains("no good ADD"), "{}", doctor().text());
}

#[test]
fn a_cause_that_nothing_of_it_explains_is_told_without() {
    let (world, _) = after_a_good_call();
    world.sh("ip -n pod link add eth0 type veth peer name other");
    world.configure(&network(1300, "10.7.0.0/24").list("1.0.0", Wrapping::Whole));
    let (error, end) = fail(&world);
    assert_eq!((names(&end), &end["cause"]), (vec!["configuration: mtu"], &json!("interface-exists")));
    assert!(!error.contains("changed since"), "{error}");
}

#[test]
fn without_a_good_call_nothing_is_compared() {
    let world = network(1400, "10.7.0.0/24").world("1.0.0", Wrapping::Whole);
    world.sh("ip -n pod link add eth0 type veth peer name other");
    let (_, end) = fail(&world);
    assert_eq!(end["changed"], Value::Null);
    assert!(!world.cli(&["show", "last"]).text().contains("changed since"));
}

#[test]
fn where_nothing_has_changed_that_is_said() {
    let (world, good) = after_a_good_call();
    world.sh("ip -n pod link add eth0 type veth peer name other");
    let (_, end) = fail(&world);
    assert_eq!(end["changed"], json!({"id": good["id"], "time": good["time"], "changes": []}));
    assert!(world.cli(&["show", "last"]).text().contains("\n  nothing that is kept\n"));
}

#[test]
fn without_a_place_for_it_calls_go_on() {
    let world = network(1400, "10.7.0.0/24").world("1.0.0", Wrapping::Whole);
    world.sh("rm -rf /var/lib/cniscope; : >/var/lib/cniscope");
    assert_eq!(world.cnitool("add", NAME).run().status, 0);
    let (_, end) = fail(&world);
    assert_eq!((&end["cause"], &end["changed"]), (&json!("ipam-duplicate"), &Value::Null));
}

/// To write it down where the settings of two entries alternate took longer than all the rest of a call.
#[test]
fn where_nothing_is_told_of_calls_nothing_is_remembered() {
    let world = network(1400, "10.7.0.0/24").world("1.0.0", Wrapping::Whole);
    let kept = || world.sh("ls /var/lib/cniscope/good 2>/dev/null | wc -l").trim().to_owned();
    world.write("/etc/cniscope/config.json", r#"{"enrich": false, "journal": {"record": "off"}}"#);
    assert_eq!(world.cnitool("add", NAME).run().status, 0);
    assert_eq!(world.cnitool("del", NAME).run().status, 0);
    assert_eq!(kept(), "0");
    world.write("/etc/cniscope/config.json", r#"{"journal": {"record": "off"}}"#);
    assert_eq!(world.cnitool("add", NAME).run().status, 0);
    assert_eq!(kept(), "1", "an error tells of it without a journal, too");
}
