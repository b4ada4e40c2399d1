//! The reference plugins that the kernel can run: what they do is the same through cniscope.

use serde_json::{Value, json};

use crate::network::Network;
use crate::world::World;

/// Lays a cable that ends on the node.
fn cable(world: &World) {
    world.sh("ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up");
}

fn bridge() -> Value {
    json!({
        "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
    })
}

#[test]
fn bridge_with_portmap_bandwidth_and_tuning() {
    let plugins = json!([
        bridge(),
        {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true},
        {"type": "bandwidth", "capabilities": {"bandwidth": true}},
        {"type": "tuning", "sysctl": {"net.ipv4.conf.all.log_martians": "1"}, "mtu": 1400},
    ]);
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let bandwidth = json!({"ingressRate": 1e6, "ingressBurst": 2e6, "egressRate": 1e6, "egressBurst": 2e6});
    let capabilities = json!({"portMappings": ports, "bandwidth": bandwidth});
    Network::of(plugins).capabilities(capabilities).works_the_same();
}

#[test]
fn portmap_with_nftables() {
    let plugins =
        json!([bridge(), {"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"}]);
    let ports = json!([{"hostPort": 8443, "containerPort": 443, "protocol": "tcp"}]);
    Network::of(plugins).capabilities(json!({"portMappings": ports})).works_the_same();
}

#[test]
fn bridge_with_firewall() {
    // It refuses 0.3.1, since it has to be able to CHECK.
    let plugins = json!([bridge(), {"type": "firewall"}]);
    Network::of(plugins).versions(&["0.4.0", "1.0.0", "1.1.0"]).works_the_same();
}

#[test]
fn bridge_with_two_families() {
    let ranges = json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]);
    let plugins = json!([{
        "type": "bridge", "bridge": "cni0", "isGateway": true, "mtu": 1400, "vlan": 0,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]},
    }]);
    Network::of(plugins).works_the_same();
}

#[test]
fn bridge_without_addresses() {
    let plugins = json!([{"type": "bridge", "bridge": "cni0", "promiscMode": true}]);
    // Its CHECK asks for an IPAM plugin.
    Network::of(plugins).is_the_same(|version, steps| {
        let failed: Vec<_> = steps.iter().filter(|step| step.status != 0).map(|step| step.verb).collect();
        assert_eq!(failed, ["check"], "{version}");
    });
}

#[test]
fn ptp() {
    let ipam = json!({"type": "host-local", "subnet": "10.2.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]});
    Network::of(json!([{"type": "ptp", "ipMasq": true, "mtu": 1300, "ipam": ipam}])).works_the_same();
}

#[test]
fn ptp_with_sbr() {
    let ipam = json!({"type": "host-local", "subnet": "10.2.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]});
    // ptp's CHECK misses the routes that sbr has moved to a table of its own.
    Network::of(json!([{"type": "ptp", "ipam": ipam}, {"type": "sbr"}])).is_the_same(|version, steps| {
        let failed: Vec<_> = steps.iter().filter(|step| step.status != 0).map(|step| step.verb).collect();
        assert_eq!(failed, ["check"], "{version}");
    });
}

#[test]
fn macvlan() {
    let ipam = json!({"type": "static", "addresses": [{"address": "10.3.0.2/24", "gateway": "10.3.0.1"}]});
    let plugins = json!([{"type": "macvlan", "master": "up0", "mode": "bridge", "ipam": ipam}]);
    Network::of(plugins).prepared(cable).works_the_same();
}

#[test]
fn host_device() {
    let ipam = json!({"type": "static", "addresses": [{"address": "10.3.0.3/24"}]});
    let plugins = json!([{"type": "host-device", "device": "up1", "ipam": ipam}]);
    // It fails where there is nothing more to give back.
    Network::of(plugins).prepared(cable).is_the_same(|version, steps| {
        let status: Vec<_> = steps.iter().map(|step| (step.verb, step.status)).collect();
        let check = ("check", i32::from(version == "0.3.1"));
        let expected = [("status", 0), ("add", 0), check, ("gc", 0), ("add", 0), ("del", 0), ("del", 1)];
        assert_eq!(status, expected, "{version}");
    });
}

#[test]
fn tap() {
    let ipam = json!({"type": "host-local", "subnet": "10.4.0.0/24"});
    Network::of(json!([{"type": "tap", "multiQueue": true, "ipam": ipam}])).works_the_same();
}

#[test]
fn loopback() {
    Network::of(json!([{"type": "loopback"}])).ifname("lo").works_the_same();
}
