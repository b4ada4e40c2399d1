//! Faults made for real, with real plugins: the record names the right cause.

use serde_json::{Value, json};

use crate::flannel::flanneld;
use crate::network::{NAME, Network, VERSIONS, Wrapping};
use crate::world::{Cnitool, World};

/// Adds the sandbox to the network of these plugins, all wrapped, on a node on which something was done before; the ADD
/// has to fail. Gives the cause in the record, which also stands in the answer.
pub fn cause_as(
    plugins: Value,
    version: &'static str,
    spoil: impl FnOnce(&World),
    call: impl for<'a> Fn(Cnitool<'a>) -> Cnitool<'a>,
) -> String {
    let world = Network::of(plugins).world(version, Wrapping::Whole);
    spoil(&world);
    let (status, stdout, stderr) = call(world.cnitool("add", NAME)).run().answer();
    assert_eq!(status, 1, "the ADD is to fail: {stdout}");
    let ends = world.ends();
    let end = ends.iter().find(|end| end["outcome"] != "ok").expect("a failure in the journal");
    let cause = end["cause"].as_str().unwrap();
    let told = if cause == "unknown" {
        "[cniscope: unknown cause;".to_owned()
    } else {
        format!("[cniscope: {cause}: ")
    };
    assert!(stderr.contains(&told), "{told} is not in {stderr}");
    assert!(cause != "unknown" || end["diagnosis"]["fix"] == json!([]), "{end:#}");
    format!("{cause}\n{stderr}")
}

/// That the fault has this cause.
#[track_caller]
fn has_cause(plugins: Value, spoil: fn(&World), expected: &str) {
    is_cause(&cause_as(plugins, VERSIONS[3], spoil, |call| call), expected);
}

#[track_caller]
pub fn is_cause(told: &str, expected: &str) {
    assert_eq!(told.lines().next(), Some(expected), "{told}");
}

/// A node as it is.
pub fn nothing(_: &World) {}

/// A bridge whose addresses are as `ipam` says.
fn bridge(ipam: &Value) -> Value {
    json!([{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam}])
}

fn pool() -> Value {
    json!({"type": "host-local", "subnet": "10.6.0.0/24"})
}

/// A plugin of one's own: this script.
pub fn scripted(world: &World, script: &str) {
    world.write("/opt/cni/bin/scripted", &format!("#!/bin/sh\n{script}\n"));
    world.sh("chmod 0755 /opt/cni/bin/scripted");
}

#[test]
fn a_plugin_without_execute_permission() {
    let spoil = |world: &World| {
        scripted(world, "");
        world.sh("chmod 0644 /opt/cni/bin/scripted");
    };
    has_cause(json!([{"type": "scripted"}]), spoil, "plugin-not-executable");
}

#[test]
fn a_plugin_for_another_machine() {
    // The header of an executable for a machine number that no kernel runs.
    let spoil = |world: &World| {
        world.sh(r"printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\377\0' >/opt/cni/bin/scripted; chmod 0755 /opt/cni/bin/scripted");
    };
    has_cause(json!([{"type": "scripted"}]), spoil, "plugin-not-executable");
}

#[test]
fn a_plugin_that_was_cut_short() {
    let spoil = |world: &World| {
        world.sh("head -c 4000 /opt/cni/bin/bridge >/opt/cni/bin/scripted; chmod 0755 /opt/cni/bin/scripted");
    };
    has_cause(json!([{"type": "scripted"}]), spoil, "plugin-not-executable");
}

#[test]
fn a_plugin_whose_interpreter_is_missing() {
    let spoil = |world: &World| {
        world.write("/opt/cni/bin/scripted", "#!/usr/bin/absent\n");
        world.sh("chmod 0755 /opt/cni/bin/scripted");
    };
    has_cause(json!([{"type": "scripted"}]), spoil, "plugin-not-executable");
}

#[test]
fn a_plugin_that_dies_of_a_signal() {
    has_cause(json!([{"type": "scripted"}]), |world| scripted(world, "kill -SEGV $$"), "plugin-crashed");
}

#[test]
fn a_plugin_that_panics() {
    let spoil = |world: &World| {
        scripted(
            world,
            "echo 'panic: runtime error: invalid memory address or nil pointer dereference' >&2; exit 2",
        );
    };
    has_cause(json!([{"type": "scripted"}]), spoil, "plugin-crashed");
}

#[test]
fn a_plugin_that_says_nothing() {
    has_cause(json!([{"type": "scripted"}]), |world| scripted(world, "exit 1"), "plugin-crashed");
}

#[test]
fn an_error_that_nobody_knows_on_a_node_that_is_well() {
    let spoil = |world: &World| {
        scripted(world, r#"echo '{"code": 123, "msg": "the frobnicator is out of phase"}'; exit 1"#);
    };
    has_cause(json!([{"type": "scripted"}]), spoil, "unknown");
}

#[test]
fn an_error_that_says_nothing_on_a_node_that_is_well() {
    let spoil = |world: &World| scripted(world, r#"echo '{"code": 999, "msg": "context canceled"}'; exit 1"#);
    has_cause(json!([{"type": "scripted"}]), spoil, "unknown");
}

#[test]
fn a_plugin_of_older_versions_than_its_list() {
    let plugins = json!([{"type": "flannel", "delegate": {"isDefaultGateway": true}}]);
    has_cause(plugins, flanneld, "cni-version-mismatch");
}

#[test]
fn flannel_whose_file_is_missing() {
    let told = cause_as(json!([{"type": "flannel"}]), "0.4.0", nothing, |call| call);
    is_cause(&told, "subnet-env-missing");
}

#[test]
fn flannel_whose_file_is_cut_short() {
    let spoil = |world: &World| world.write("/run/flannel/subnet.env", "FLANNEL_NETWORK=10.244.0.0/16\n");
    let told = cause_as(json!([{"type": "flannel"}]), "0.4.0", spoil, |call| call);
    is_cause(&told, "subnet-env-missing");
}

#[test]
fn no_ranges() {
    has_cause(bridge(&json!({"type": "host-local"})), nothing, "config-invalid");
}

#[test]
fn a_range_outside_its_subnet() {
    let ipam = json!({"type": "host-local", "subnet": "10.6.0.0/24", "rangeStart": "10.9.0.1"});
    has_cause(bridge(&ipam), nothing, "config-invalid");
}

#[test]
fn a_bridge_with_hairpin_and_promiscuous_mode() {
    let plugins = json!([{"type": "bridge", "hairpinMode": true, "promiscMode": true, "ipam": pool()}]);
    has_cause(plugins, nothing, "config-invalid");
}

#[test]
fn a_rate_without_a_burst() {
    let plugins = json!([{"type": "ptp", "ipam": pool()}, {"type": "bandwidth", "ingressRate": 1000}]);
    has_cause(plugins, nothing, "config-invalid");
}

#[test]
fn an_address_that_is_taken() {
    let world_with_one: fn(&World) = |world| {
        world.write("/var/lib/cni/networks/net/10.6.0.9", "other\r\neth0");
    };
    let told = cause_as(bridge(&pool()), VERSIONS[3], world_with_one, |call| {
        call.env("CNI_ARGS", "IgnoreUnknown=1;IP=10.6.0.9")
    });
    is_cause(&told, "ipam-address-taken");
}

#[test]
fn an_address_outside_the_pool() {
    let told = cause_as(bridge(&pool()), VERSIONS[3], nothing, |call| {
        call.env("CNI_ARGS", "IgnoreUnknown=1;IP=10.9.0.9")
    });
    is_cause(&told, "ipam-address-taken");
}

#[test]
fn a_pool_whose_disk_is_full() {
    let spoil = |world: &World| {
        world.sh("mkdir -p /var/lib/cni/networks; mount -t tmpfs -o size=16k tmpfs /var/lib/cni/networks
             head -c 100000 /dev/zero >/var/lib/cni/networks/fill 2>/dev/null || true");
    };
    has_cause(bridge(&pool()), spoil, "disk-full");
}

#[test]
fn a_pool_on_a_read_only_disk() {
    let spoil = |world: &World| {
        world.sh("mkdir -p /var/lib/cni/networks; mount -t tmpfs -o ro tmpfs /var/lib/cni/networks");
    };
    has_cause(bridge(&pool()), spoil, "filesystem-broken");
}

#[test]
fn a_file_in_the_place_of_the_pool() {
    let spoil = |world: &World| world.write("/var/lib/cni/networks", "");
    has_cause(bridge(&pool()), spoil, "filesystem-broken");
}

#[test]
fn a_dhcp_daemon_that_does_not_run() {
    has_cause(bridge(&json!({"type": "dhcp"})), nothing, "ipam-backend-unavailable");
}

#[test]
fn an_ipam_plugin_that_has_no_address_to_give() {
    has_cause(bridge(&json!({"type": "static"})), nothing, "ipam-pool-missing");
}

#[test]
fn a_master_that_is_missing() {
    has_cause(
        json!([{"type": "macvlan", "master": "absent0", "ipam": pool()}]),
        nothing,
        "interface-missing",
    );
}

#[test]
fn a_device_that_is_missing() {
    has_cause(json!([{"type": "host-device", "device": "absent0"}]), nothing, "interface-missing");
}

#[test]
fn an_mtu_beyond_the_masters() {
    let spoil = |world: &World| {
        world.sh("ip link add up0 type veth peer name up1; ip link set up0 up");
    };
    has_cause(
        json!([{"type": "macvlan", "master": "up0", "mtu": 9000, "ipam": pool()}]),
        spoil,
        "mtu-invalid",
    );
}

#[test]
fn a_master_that_a_bridge_owns() {
    let spoil = |world: &World| {
        world.sh("ip link add up0 type veth peer name up1; ip link add br0 type bridge
             ip link set up0 master br0; ip link set up0 up");
    };
    has_cause(json!([{"type": "macvlan", "master": "up0", "ipam": pool()}]), spoil, "link-busy");
}

#[test]
fn a_route_whose_gateway_cannot_be_reached() {
    let ipam = json!({"type": "host-local", "subnet": "10.6.0.0/24", "routes": [{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}]});
    has_cause(bridge(&ipam), nothing, "route-conflict");
}

#[test]
fn a_route_that_is_there_twice() {
    let route = json!({"dst": "10.9.0.0/16"});
    let ipam = json!({"type": "host-local", "subnet": "10.6.0.0/24", "routes": [route, route]});
    has_cause(bridge(&ipam), nothing, "route-conflict");
}

#[test]
fn a_sysctl_that_does_not_exist() {
    let plugins =
        json!([{"type": "ptp", "ipam": pool()}, {"type": "tuning", "sysctl": {"net.ipv4.absent": "1"}}]);
    has_cause(plugins, nothing, "sysctl-failed");
}

#[test]
fn a_firewall_tool_that_is_missing() {
    let plugins = json!([{"type": "ptp", "ipam": pool()}, {"type": "portmap", "backend": "iptables", "capabilities": {"portMappings": true}}]);
    let told = cause_as(plugins, VERSIONS[3], nothing, |call| {
        call.env("PATH", "/nowhere")
            .env("CAP_ARGS", r#"{"portMappings":[{"hostPort":81,"containerPort":81,"protocol":"tcp"}]}"#)
    });
    is_cause(&told, "iptables-failed");
}

#[test]
fn a_chained_plugin_without_what_comes_before() {
    has_cause(json!([{"type": "sbr"}]), nothing, "chain-order-wrong");
}

#[test]
fn a_plugin_without_the_right_to_change_links() {
    let spoil = |world: &World| {
        scripted(world, "exec setpriv --bounding-set -net_admin --inh-caps -net_admin /opt/cni/bin/bridge");
    };
    let plugins = json!([{"type": "scripted", "bridge": "cni0", "isGateway": true, "ipam": pool()}]);
    has_cause(plugins, spoil, "permission-denied");
}

#[test]
fn a_plugin_that_may_open_no_file() {
    let spoil = |world: &World| scripted(world, "ulimit -n 4; exec /opt/cni/bin/bridge");
    let plugins = json!([{"type": "scripted", "bridge": "cni0", "isGateway": true, "ipam": pool()}]);
    has_cause(plugins, spoil, "resource-limit");
}
