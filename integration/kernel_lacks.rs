//! Plugins whose links this kernel may not have: they work the same, or they fail the same.

use serde_json::{Value, json};

use crate::network::{NAME, Network, VERSIONS, Wrapping};
use crate::world::World;

/// Compares, whether or not it works; where it does not, the record says that the kernel lacks it.
fn is_the_same(plugins: Value) {
    let parent = |world: &World| {
        world.sh("ip link add up0 type veth peer name up1; ip link set up0 up");
    };
    let network = Network::of(plugins).prepared(parent);
    network.is_the_same(|version, steps| {
        let add = steps.iter().find(|step| step.verb == "add").unwrap();
        let lacks = add.stderr.ends_with(": operation not supported\n");
        assert_eq!(add.status, i32::from(lacks), "{version}: {}", add.stderr);
    });
    let world = network.world(VERSIONS[3], Wrapping::Whole);
    let (_, _, stderr) = world.cnitool("add", NAME).run().answer();
    let lacks = stderr.contains(": operation not supported");
    let ends = world.ends();
    let failed = ends.iter().filter(|end| end["outcome"] != "ok");
    let causes: Vec<&Value> = failed.map(|end| &end["cause"]).collect();
    assert_eq!(causes, vec!["kernel-unsupported"; usize::from(lacks)], "{stderr}");
    assert!(!lacks || stderr.contains("[cniscope: kernel-unsupported: "), "{stderr}");
}

fn ipam() -> Value {
    json!({"type": "host-local", "subnet": "10.5.0.0/24"})
}

#[test]
fn vlan() {
    is_the_same(json!([{"type": "vlan", "master": "up0", "vlanId": 5, "ipam": ipam()}]));
}

#[test]
fn ipvlan() {
    is_the_same(json!([{"type": "ipvlan", "master": "up0", "ipam": ipam()}]));
}

#[test]
fn dummy() {
    is_the_same(json!([{"type": "dummy", "ipam": ipam()}]));
}

#[test]
fn vrf() {
    is_the_same(json!([{"type": "ptp", "ipam": ipam()}, {"type": "vrf", "vrfname": "blue"}]));
}
