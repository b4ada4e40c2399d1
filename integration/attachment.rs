//! ADDs that succeed by the plugin's word and leave no network that works: the answer stays, and the record, the journal
//! and doctor tell what is missing.

use serde_json::{Value, json};

use crate::flannel::flanneld;
use crate::network::{NAME, Network, Wrapping};
use crate::support::{Ran, cniscope};
use crate::world::{PLUGINS, World};

/// Where plugins are found before [`PLUGINS`].
const BEFORE: &str = "/opt/cni/before";
/// The name of the node's end of the only sandbox on cni0.
const END: &str = "$(ip -o link show master cni0 | sed -E 's/^[0-9]+: ([^@]+)@.*/\\1/')";

/// A bridge with the default route of its Pods.
fn bridge() -> Network {
    Network::of(json!([{
        "type": "bridge", "bridge": "cni0", "isDefaultGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.6.0.0/24"},
    }]))
    .versions(&["1.0.0"])
}

/// Puts a program before a plugin: it has the plugin do its work, and then something on the node undoes a part of it.
fn undo_after_add(world: &World, plugin: &str, undo: &str) {
    let script = format!(
        "#!/bin/sh\n{PLUGINS}/{plugin} >/run/result || {{ status=$?; cat /run/result; exit $status; }}\n\
         if [ $CNI_COMMAND = ADD ]; then {{ {undo}; }} >&2; fi\ncat /run/result\n"
    );
    world.write(&format!("{BEFORE}/{plugin}"), &script);
    world.sh(&format!("chmod 755 {BEFORE}/{plugin}"));
}

fn call(world: &World, verb: &str) -> Ran {
    world.cnitool(verb, NAME).env("CNI_PATH", format!("{BEFORE}:{PLUGINS}")).run()
}

/// An ADD whose network is undone before it has ended. Gives the world, and the ADD's record.
pub fn add(network: &Network, undo: &str) -> (World, Value) {
    let version = network.version();
    let plugin = network.list(version, Wrapping::Direct)["plugins"][0]["type"].as_str().unwrap().to_owned();
    let [direct, (world, wrapped)] = [Wrapping::Direct, Wrapping::Whole].map(|wrapping| {
        let world = network.world(version, wrapping);
        undo_after_add(&world, &plugin, undo);
        let ran = call(&world, "add");
        assert_eq!(ran.status, 0, "{ran:?}");
        (world, ran)
    });
    let ips = |ran: &Ran| ran.json()["ips"].clone();
    assert_eq!(
        (ips(&direct.1), &direct.1.stderr),
        (ips(&wrapped), &wrapped.stderr),
        "the answer is the plugin's"
    );
    let mut ends = world.ends();
    assert_eq!(ends.len(), 1);
    (world, ends.remove(0))
}

/// The finding of a check in a record or an examination.
pub fn finding<'a>(list: &'a Value, check: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|finding| finding["check"] == check).unwrap_or(&Value::Null)
}

/// That the record, the journal, `show` and doctor tell of the fault, and of the same one.
pub fn tells(world: &World, end: &Value, check: &str, cause: &str, summary: &str) {
    let found = finding(&end["checks"], check);
    assert_eq!(
        (&end["outcome"], &end["cause"], &found["status"], &found["cause"], &found["summary"]),
        (&json!("ok"), &json!(cause), &json!("fail"), &json!(cause), &json!(summary)),
    );
    assert_eq!(world.cli(&["journal", "--suspect", "-o", "json"]).json(), json!([end]));
    assert_eq!(world.cli(&["journal", "--failed", "-o", "json"]).json(), json!([]));
    let (status, shown, _) = world.cli(&["show", end["id"].as_str().unwrap()]).answer();
    assert_eq!(status, 0);
    for part in [&format!("cause: {cause}"), summary, end["diagnosis"]["fix"][0].as_str().unwrap()] {
        assert!(shown.contains(part), "{part:?} is missing in {shown}");
    }
    let examined = world.cli(&["doctor", check, "-o", "json"]);
    let examination = examined.json();
    let found = finding(&examination["findings"], check);
    assert_eq!(
        (examined.status, &found["status"], &found["cause"]),
        (1, &json!("fail"), &json!(cause)),
        "{examination:#}"
    );
    assert!(found["summary"].as_str().unwrap().ends_with(summary), "{found}");
}

/// The same for a fault after the ADD of a bridge.
fn bridge_tells(undo: &str, cause: &str, summary: &str) {
    let (world, end) = add(&bridge(), undo);
    tells(&world, &end, "attachment", cause, summary);
    let deleted = call(&world, "del");
    assert_eq!(deleted.status, 0, "{deleted:?}");
}

#[test]
fn a_network_that_works_is_not_suspect() {
    let (world, end) = add(&bridge(), ":");
    let found = finding(&end["checks"], "attachment");
    assert_eq!(
        (&found["status"], &found["summary"], &end["cause"]),
        (&json!("ok"), &json!("all that the result promises of eth0 is there"), &Value::Null)
    );
    assert_eq!(call(&world, "check").status, 0);
    let checked = world.ends().remove(1);
    assert_eq!(finding(&checked["checks"], "attachment")["status"], "ok");
    assert_eq!(world.cli(&["journal", "--suspect", "-o", "json"]).json(), json!([]));
    let examined = world.cli(&["doctor", "attachment", "-o", "json"]);
    assert_eq!(examined.status, 0);
    let summary = "1 live attachments are what their results promise";
    assert_eq!(finding(&examined.json()["findings"], "attachment")["summary"], summary);
}

#[test]
fn a_veth_that_is_not_on_the_bridge() {
    bridge_tells(
        &format!("ip link set {END} nomaster"),
        "interface-missing",
        "the node's end of eth0 is not on the bridge cni0",
    );
}

#[test]
fn a_bridge_that_is_down() {
    bridge_tells("ip link set cni0 down", "bridge-wrong-kind", "the bridge cni0 is down");
}

#[test]
fn a_bridge_that_is_gone() {
    bridge_tells(
        "ip link delete cni0",
        "interface-missing",
        "the bridge cni0 is gone, and eth0 leads nowhere",
    );
}

#[test]
fn a_node_end_that_is_down() {
    bridge_tells(&format!("ip link set {END} down"), "interface-missing", "the node's end of eth0 is down");
}

#[test]
fn an_interface_that_is_down_in_the_sandbox() {
    bridge_tells("ip -n pod link set eth0 down", "interface-missing", "eth0 in the sandbox is down");
}

#[test]
fn an_address_that_is_missing() {
    bridge_tells(
        "ip -n pod address flush dev eth0 scope global",
        "interface-missing",
        "eth0 in the sandbox lacks its address 10.6.0.2",
    );
}

#[test]
fn a_default_route_that_is_missing() {
    bridge_tells(
        "ip -n pod route delete default",
        "route-conflict",
        "the default route of IPv4 is missing in the sandbox",
    );
}

#[test]
fn forwarding_that_is_off() {
    bridge_tells(
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        "sysctl-failed",
        "the node does not forward what the Pod sends: forwarding is off",
    );
}

#[test]
fn an_mtu_larger_than_that_of_the_overlay() {
    let network =
        Network::of(json!([{"type": "flannel", "delegate": {"mtu": 1500, "isDefaultGateway": true}}]))
            .versions(&["0.4.0"])
            .prepared(|world| {
                flanneld(world);
                world.sh(
            "ip link add up0 type veth peer name up1; ip address add 192.0.2.1/24 dev up0; ip link set up0 up
                 ip link add flannel.1 type vxlan id 1 dstport 8472 local 192.0.2.1 dev up0 nolearning
                 ip link set flannel.1 mtu 1450 up",
        );
            });
    let (world, end) = add(&network, ":");
    let summary = "eth0 has MTU 1500, but flannel.1 carries 1450: larger packets to other nodes are lost";
    tells(&world, &end, "attachment", "mtu-invalid", summary);
}

/// The finding of doctor in a container with this node's root, network and first process, after a script there.
fn below_another_root(world: &World, script: &str, doctor: &str) -> (Value, String) {
    let program = cniscope().display().to_string();
    world.write(
        "/run/container",
        &format!(
            "set -e\nmount -t proc proc /proc\nmkdir -p /run/host\nmount --rbind / /run/host\n{script}\n\
             {doctor} {program} --root /run/host doctor attachment -o json || true\n"
        ),
    );
    let examined = world.sh("unshare --pid --fork --mount --propagation slave sh /run/container");
    let examined: Value = serde_json::from_str(&examined).unwrap();
    let found = finding(&examined["findings"], "attachment");
    (found["status"].clone(), found["summary"].as_str().unwrap().to_owned())
}

#[test]
fn in_a_container_with_the_nodes_root_the_live_sandboxes_are_looked_at() {
    let (world, _) = add(&bridge(), ":");
    let found = |script: &str, doctor: &str| below_another_root(&world, script, doctor);
    let told = |status: &str, summary: &str| (json!(status), summary.to_owned());
    assert_eq!(found("", ""), told("ok", "1 live attachments are what their results promise"));
    assert_eq!(
        found("umount -l /run/host/run/netns/pod", ""),
        told(
            "skipped",
            "the sandbox's network namespace is not mounted below this root: mount the root with HostToContainer (rslave)"
        )
    );
    assert_eq!(
        found("", "unshare --net"),
        told("skipped", "this process is not in the network namespace of the node below this root")
    );
    assert_eq!(
        found("umount -l /run/host/proc; umount -l /run/host/proc", ""),
        told("skipped", "below this root is not the node that runs here")
    );
    let (status, summary) = found("", "setpriv --bounding-set -sys_admin --inh-caps -sys_admin");
    assert_eq!(
        (status, &*summary),
        (json!("skipped"), "network namespace /run/netns/pod: operation not permitted")
    );
    world.sh("ip -n pod link set eth0 down");
    assert_eq!(
        found("", ""),
        told("fail", "1 of 1 live attachments do not work; eth0 in the sandbox is down")
    );
}

#[test]
fn a_check_finds_what_has_gone_since_the_add() {
    let (world, end) = add(&bridge(), ":");
    assert_eq!(end["cause"], Value::Null);
    world.sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
    assert_eq!(call(&world, "check").status, 0, "bridge's own CHECK does not look at it");
    let checked = world.ends().remove(1);
    assert_eq!((&checked["outcome"], &checked["cause"]), (&json!("ok"), &json!("sysctl-failed")));
    assert_eq!(world.cli(&["journal", "--suspect", "-o", "json"]).json(), json!([checked]));
}

#[test]
fn where_verify_is_off_nothing_is_looked_at() {
    let network = bridge();
    let world = network.world("1.0.0", Wrapping::Whole);
    world.write("/etc/cniscope/config.json", r#"{"verify": false}"#);
    undo_after_add(&world, "bridge", "ip link set cni0 down");
    assert_eq!(call(&world, "add").status, 0);
    let end = world.ends().remove(0);
    assert_eq!((finding(&end["checks"], "attachment"), &end["cause"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_suspect_call_is_recorded_in_full_where_only_failures_are() {
    let network = bridge();
    let world = network.world("1.0.0", Wrapping::Whole);
    world.write("/etc/cniscope/config.json", r#"{"journal": {"record": "failures"}}"#);
    undo_after_add(&world, "bridge", "ip link set cni0 down");
    assert_eq!(call(&world, "add").status, 0);
    let end = world.ends().remove(0);
    assert_eq!((&end["outcome"], &end["cause"]), (&json!("ok"), &json!("bridge-wrong-kind")));
    assert_eq!(end["config"]["name"], NAME);
}
