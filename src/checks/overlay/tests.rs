use serde_json::json;

use super::*;
use crate::cni::environment::Verb;

/// Something that goes wrong.
type Fault = fn(&mut Facts);

/// A node of flannel's, with two others behind its vxlan.
fn facts() -> Facts {
    let link = |index, name: &str, mtu, address: &str| Link {
        index,
        name: name.into(),
        up: true,
        mtu,
        addresses: vec![address.parse().unwrap()],
        ..Link::default()
    };
    let device =
        Link { kind: Some("vxlan".into()), port: Some(8472), ..link(3, "flannel.1", 1450, "10.244.1.0/32") };
    let bridge = Link { kind: Some("bridge".into()), ..link(4, "cni0", 1450, "10.244.1.1/24") };
    let (one, other) = ("10.244.2.0".parse().unwrap(), "10.244.3.0".parse().unwrap());
    Facts {
        flannel: Some(SubnetEnv { subnets: vec!["10.244.1.1/24".parse().unwrap()], mtu: 1450 }),
        links: vec![
            link(1, "lo", 65536, "127.0.0.1/8"),
            link(2, "eth0", 1500, "192.0.2.1/24"),
            device,
            bridge,
        ],
        peers: Some(Peers {
            gateways: vec![one, other],
            neighbours: vec![(one, vec![2; 6]), (other, vec![3; 6])],
            forwarded: vec![
                (vec![2; 6], "192.0.2.2".parse().unwrap()),
                (vec![3; 6], "192.0.2.3".parse().unwrap()),
            ],
        }),
        dropped: vec![(8472, Vec::new())],
        asked: None,
        unseen: Vec::new(),
    }
}

/// The judgement after a fault.
fn after(fault: Fault) -> Finding {
    let mut facts = facts();
    fault(&mut facts);
    judge(&facts)
}

#[test]
fn an_overlay_that_is_whole_is_ok() {
    assert_eq!(after(|_| {}), Finding::ok("flannel.1 is up, with 2 other nodes behind it"));
    assert_eq!(judge(&Facts::default()), Finding::ok("this node has no overlay that is known"));
}

#[test]
fn each_fault_is_told() {
    let table: [(Fault, Cause, &str); 6] = [
        (
            |facts| drop(facts.links.remove(2)),
            Cause::InterfaceMissing,
            "flannel's device is gone: Pods do not reach those of other nodes",
        ),
        (
            |facts| facts.links[2].up = false,
            Cause::InterfaceMissing,
            "flannel.1 is down: Pods do not reach those of other nodes",
        ),
        (
            |facts| facts.peers.as_mut().unwrap().gateways.truncate(1),
            Cause::RouteConflict,
            "1 of the nodes behind flannel.1 are not reached: the route is missing",
        ),
        (
            |facts| facts.peers.as_mut().unwrap().neighbours.clear(),
            Cause::RouteConflict,
            "2 of the nodes behind flannel.1 are not reached: the neighbour entry is missing",
        ),
        (
            |facts| facts.peers.as_mut().unwrap().forwarded.truncate(1),
            Cause::RouteConflict,
            "1 of the nodes behind flannel.1 are not reached: the forwarding (FDB) entry is missing",
        ),
        (
            |facts| facts.dropped[0].1.push("ip filter INPUT".into()),
            Cause::IptablesFailed,
            "a firewall rule drops UDP 8472, by which Pods reach those of other nodes",
        ),
    ];
    for (fault, cause, summary) in table {
        let finding = after(fault);
        assert_eq!(
            (finding.status.as_str(), finding.cause, finding.summary.as_str()),
            ("fail", Some(cause), summary)
        );
        assert!(!finding.fix.is_empty());
    }
}

#[test]
fn a_device_is_missed_only_where_the_mtu_leaves_room_for_it() {
    let host_gw = Finding::ok("flannel has no device here, as with host-gw");
    let table: [Fault; 3] = [
        |facts| facts.flannel.as_mut().unwrap().mtu = 1500,
        |facts| facts.links[1].up = false,
        // Two ways out: which one carries it cannot be told.
        |facts| facts.links.push(Link { name: "eth1".into(), mtu: 1450, index: 9, ..facts.links[1].clone() }),
    ];
    for fault in table {
        let mut facts = facts();
        facts.links.remove(2);
        fault(&mut facts);
        assert_eq!(judge(&facts), host_gw, "{facts:?}");
    }
}

#[test]
fn it_fits_the_node_and_good_calls_of_flannel() {
    let result = json!({"interfaces": []});
    let call = |plugin: &str| Subject { plugin: plugin.into(), result: result.clone(), ..Subject::default() };
    assert!(fits(&call("flannel")) && !fits(&call("bridge")));
    assert!(!fits(&Subject { verb: Verb::Del, ..call("flannel") }));
    let node = Subject { origin: Origin::Node { conf_dir: "/etc/cni/net.d".into() }, ..Subject::default() };
    assert!(fits(&node));
}

#[test]
fn where_something_could_not_be_read_nothing_is_said_to_be_well() {
    let finding = after(|facts| facts.unseen.push("the rules cannot be read".into()));
    assert_eq!(
        (finding.status, finding.summary.as_str()),
        (Status::Skipped, "flannel.1 is up, with 2 other nodes behind it, but the rules cannot be read")
    );
    let finding = after(|facts| {
        facts.unseen.push("the rules cannot be read".into());
        facts.links[2].up = false;
    });
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::InterfaceMissing)));
}
