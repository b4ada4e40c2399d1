//! The overlay behind an ADD that succeeds: two nodes, made of network namespaces, with a real vxlan between them.

use std::fs::File;
use std::net::UdpSocket;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};

use crate::attachment::{add, finding, tells};
use crate::flannel::flanneld;
use crate::network::{Network, Wrapping};
use crate::world::World;

/// A node of flannel's that reaches another one, as flanneld sets both up.
const TWO_NODES: &str = "
ip netns add other
ip link add up0 type veth peer name up0 netns other
ip -n other link set lo up
device() {
    $2 ip address add 192.0.2.$1/24 dev up0
    $2 ip link set up0 up
    $2 ip link add flannel.1 address 0a:58:0a:f4:0$1:00 type vxlan id 1 dstport 8472 local 192.0.2.$1 dev up0 nolearning
    $2 ip address add 10.244.$1.0/32 dev flannel.1
    $2 ip link set flannel.1 mtu 1450 up
}
peer() {
    $2 ip route add 10.244.$1.0/24 via 10.244.$1.0 dev flannel.1 onlink
    $2 ip neighbour add 10.244.$1.0 lladdr 0a:58:0a:f4:0$1:00 dev flannel.1 nud permanent
    $2 bridge fdb add 0a:58:0a:f4:0$1:00 dev flannel.1 dst 192.0.2.$1 self permanent
}
device 1 ''
device 2 'ip netns exec other'
peer 2 ''
peer 1 'ip netns exec other'
";

/// A network of flannel's on such a node.
fn network() -> Network {
    Network::of(json!([{"type": "flannel", "delegate": {"isDefaultGateway": true}}]))
        .versions(&["0.4.0"])
        .prepared(|world| {
            flanneld(world);
            world.sh(TWO_NODES);
        })
}

/// Whether a packet of the sandbox comes to the other node.
fn reaches(world: &World) -> bool {
    let listening = world.inside(|| {
        setns(File::open("/run/netns/other").unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
        UdpSocket::bind("10.244.2.0:7000").unwrap()
    });
    world.inside_pod(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"hello", "10.244.2.0:7000").unwrap());
    listening.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    listening.recv(&mut [0; 8]).is_ok()
}

/// That the fault cuts the Pod off from the other node, and is told.
fn overlay_tells(fault: &str, cause: &str, summary: &str) {
    let (world, end) = add(&network(), fault);
    assert!(!reaches(&world), "the fault is none");
    tells(&world, &end, "overlay", cause, summary);
}

#[test]
fn an_overlay_that_works_is_not_suspect() {
    // What a node may have besides: rules for others, and answers to what it asked for itself.
    let (world, end) = add(
        &network(),
        "nft add table inet f; nft add chain inet f in '{ type filter hook input priority 0; }'
         nft add rule inet f in ct state established accept; nft add rule inet f in iifname lo accept
         nft add rule inet f in ip saddr 192.0.2.2 udp dport 8472 accept; nft add rule inet f in udp dport 8472 drop
         iptables -A INPUT -p udp --dport 4789 -j DROP; iptables -A FORWARD -p udp --dport 8472 -j DROP",
    );
    assert!(reaches(&world));
    let found = finding(&end["checks"], "overlay");
    assert_eq!(
        (&found["status"], &found["summary"], &end["cause"]),
        (&json!("ok"), &json!("flannel.1 is up, with 1 other nodes behind it"), &Value::Null)
    );
    let examined = world.cli(&["doctor", "overlay", "attachment", "-o", "json"]);
    assert_eq!(examined.status, 0, "{examined:?}");
}

#[test]
fn a_device_that_is_gone() {
    let summary = "flannel's device is gone: Pods do not reach those of other nodes";
    overlay_tells("ip link delete flannel.1", "interface-missing", summary);
}

#[test]
fn a_device_that_is_down() {
    let summary = "flannel.1 is down: Pods do not reach those of other nodes";
    overlay_tells("ip link set flannel.1 down", "interface-missing", summary);
}

#[test]
fn a_route_that_is_missing() {
    let summary = "1 of the nodes behind flannel.1 are not reached: the route is missing";
    overlay_tells("ip route delete 10.244.2.0/24", "route-conflict", summary);
}

#[test]
fn a_neighbour_entry_that_is_missing() {
    let summary = "1 of the nodes behind flannel.1 are not reached: the neighbour entry is missing";
    overlay_tells("ip neighbour flush nud permanent dev flannel.1", "route-conflict", summary);
}

#[test]
fn a_forwarding_entry_that_is_missing() {
    let summary = "1 of the nodes behind flannel.1 are not reached: the forwarding (FDB) entry is missing";
    overlay_tells(
        "bridge fdb delete 0a:58:0a:f4:02:00 dev flannel.1 dst 192.0.2.2",
        "route-conflict",
        summary,
    );
}

const DROPPED: &str = "a firewall rule drops UDP 8472, by which Pods reach those of other nodes";

#[test]
fn a_rule_of_iptables_that_drops_what_leaves() {
    overlay_tells("iptables -A OUTPUT -p udp --dport 8472 -j DROP", "iptables-failed", DROPPED);
}

#[test]
fn a_rule_of_nft_in_a_chain_that_another_one_calls() {
    overlay_tells(
        "nft add table inet f; nft add chain inet f tunnels; nft add rule inet f tunnels udp dport 8472 counter reject
         nft add chain inet f out '{ type filter hook output priority 0; }'; nft add rule inet f out jump tunnels",
        "iptables-failed",
        DROPPED,
    );
}

#[test]
fn a_rule_that_drops_what_comes_in() {
    let (world, end) = add(
        &network(),
        "iptables -I INPUT -i up0 -j ACCEPT; iptables -I INPUT -p udp -m udp --dport 8472 -m comment --comment x -j DROP",
    );
    tells(&world, &end, "overlay", "iptables-failed", DROPPED);
}

/// What doctor finds in such a world after a fault, when it asks these addresses.
fn asking(fault: &str, peers: &str) -> (i32, Value) {
    let world = network().world("0.4.0", Wrapping::Whole);
    world.sh(fault);
    let examined = world.cli(&["doctor", "overlay", "--peers", peers, "-o", "json"]);
    let findings = examined.json()["findings"].take();
    (examined.status, finding(&findings, "overlay").clone())
}

/// That the fault is told when the other node is asked.
fn asked_tells(fault: &str, cause: &Value, summary: &str) {
    let (status, found) = asking(fault, "10.244.2.0");
    assert_eq!(
        (status, &found["status"], &found["cause"], &found["summary"]),
        (1, &json!("fail"), cause, &json!(summary)),
        "{found:#}"
    );
}

/// Addresses of IPv6 in the overlay, as flanneld sets them up on such nodes.
const IPV6: &str = "
device() {
    $2 ip address add fd00:10:$1::/128 dev flannel.1 nodad
}
peer() {
    $2 ip route add fd00:10:$1::/64 via fd00:10:$1:: dev flannel.1 onlink
    $2 ip neighbour add fd00:10:$1:: lladdr 0a:58:0a:f4:0$1:00 dev flannel.1 nud permanent
}
device 1 ''
device 2 'ip netns exec other'
peer 2 ''
peer 1 'ip netns exec other'
";

#[test]
fn a_node_that_is_asked_answers_up_to_the_full_mtu() {
    let (status, found) = asking(IPV6, "10.244.2.0,fd00:10:2::,10.244.1.0");
    let summary = found["summary"].as_str().unwrap();
    let start =
        "flannel.1 is up, with 2 other nodes behind it; all 2 nodes asked answer up to the full MTU, within ";
    assert_eq!((status, &found["status"]), (0, &json!("ok")), "{found:#}");
    assert!(summary.starts_with(start), "{summary}");
    assert_eq!(found["evidence"]["own"], json!(["10.244.1.0"]));
    for (asked, address) in
        found["evidence"]["asked"].as_array().unwrap().iter().zip(["10.244.2.0", "fd00:10:2::"])
    {
        let mut asked = asked.clone();
        for time in ["ms", "ms_at_mtu", "node_ms"] {
            assert!(asked[time].take().is_f64(), "{time} of {address}");
        }
        assert_eq!(
            asked,
            json!({
                "address": address, "ms": null, "device": "flannel.1", "mtu": 1450, "ms_at_mtu": null,
                "node": "192.0.2.2", "node_ms": null,
            })
        );
    }
}

#[test]
fn nobody_is_asked_without_being_named() {
    let world = network().world("0.4.0", Wrapping::Whole);
    world.sh("nft add table ip f; nft add chain ip f out '{ type filter hook output priority 0; }'
              nft add rule ip f out counter");
    assert_eq!(world.cli(&["doctor", "overlay"]).status, 0);
    let rules = world.sh("nft list chain ip f out");
    assert!(rules.contains("counter packets 0 bytes 0"), "{rules}");
}

#[test]
fn an_mtu_that_is_cut_at_the_other_node() {
    asked_tells(
        "ip -n other link set up0 mtu 1400",
        &json!("mtu-invalid"),
        "10.244.2.0 answers, but not at 1450 bytes, the MTU through flannel.1: larger packets are lost on the way",
    );
}

#[test]
fn an_mtu_that_is_cut_below_this_nodes_tunnel() {
    asked_tells(
        "ip link set up0 mtu 1400",
        &json!("mtu-invalid"),
        "10.244.2.0 answers, but not at 1450 bytes, the MTU through flannel.1: the way has room for 1350",
    );
}

#[test]
fn an_mtu_that_is_cut_at_both_nodes_so_that_the_tunnel_is_fragmented() {
    let (status, found) = asking("ip link set up0 mtu 1400; ip -n other link set up0 mtu 1400", "10.244.2.0");
    let summary = "10.244.2.0 answers at 1450 bytes, the MTU through flannel.1, but the way has room for 1350: larger \
                   packets of Pods are refused";
    assert_eq!(
        (status, &found["status"], &found["cause"], &found["summary"]),
        (0, &json!("warn"), &json!("mtu-invalid"), &json!(summary)),
        "{found:#}"
    );
}

#[test]
fn a_rule_of_the_other_node_that_drops_the_tunnel() {
    asked_tells(
        "ip netns exec other nft add table inet f
         ip netns exec other nft add chain inet f in '{ type filter hook input priority 0; }'
         ip netns exec other nft add rule inet f in udp dport 8472 drop",
        &Value::Null,
        "10.244.2.0 does not answer: its node 192.0.2.2 does; UDP 8472 or ICMP in it is dropped on the way or there, or its tunnel device \
         is not set up",
    );
}

#[test]
fn a_node_that_is_gone() {
    asked_tells(
        "ip -n other link set up0 down",
        &Value::Null,
        "10.244.2.0 does not answer: nor does its node 192.0.2.2, which is gone, not reached, or answers no ICMP",
    );
}

#[test]
fn a_node_of_which_the_add_on_knows_nothing() {
    let (status, found) = asking("", "10.244.9.0");
    assert_eq!(
        (status, &found["cause"], &found["summary"]),
        (1, &json!("route-conflict"), &json!("10.244.9.0 does not answer: this node has no route to it"))
    );
}

#[test]
fn a_node_whose_neighbour_entry_is_missing() {
    asked_tells(
        "ip neighbour flush nud permanent dev flannel.1",
        &json!("route-conflict"),
        "10.244.2.0 does not answer: its neighbour entry on flannel.1 is missing",
    );
}

#[test]
fn a_node_that_a_rule_of_this_node_keeps_away() {
    asked_tells(
        "iptables -A OUTPUT -p udp --dport 8472 -j DROP",
        &json!("iptables-failed"),
        &format!("10.244.2.0 does not answer: {DROPPED}"),
    );
}
