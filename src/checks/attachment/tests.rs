use serde_json::json;

use super::*;
use crate::cni::environment::Verb;
use crate::diagnosis::finding::Status;
use crate::node::attached::DefaultRoute;

fn link(index: u32, name: &str, kind: &str) -> Link {
    Link { index, name: name.into(), kind: Some(kind.into()), up: true, mtu: 1500, ..Link::default() }
}

/// eth0 in the sandbox, one end of a pair whose other end is on cni0.
fn promise() -> Promise {
    let addresses = vec!["10.1.0.2".parse().unwrap()];
    Promise {
        netns: "/run/netns/pod".into(),
        interfaces: vec![Promised { name: "eth0".into(), addresses }],
        default_routes: vec![false],
        outside: vec!["cni0".into(), "veth1".into()],
        bridge: Some("cni0".into()),
    }
}

fn facts() -> Facts {
    let pair = |index, name, lower| Link {
        lower: Some(lower),
        peer_is_elsewhere: true,
        ..link(index, name, "veth")
    };
    let eth0 = Link { addresses: vec!["10.1.0.2/24".parse().unwrap()], ..pair(2, "eth0", 7) };
    let cni0 = Link { addresses: vec!["10.1.0.1/24".parse().unwrap()], ..link(5, "cni0", "bridge") };
    let attached = Attached {
        inside: vec![link(1, "lo", ""), eth0],
        defaults: vec![DefaultRoute { is_ipv6: false, gateway: Some("10.1.0.1".parse().unwrap()) }],
        outside: vec![Link { controller: Some(5), ..pair(7, "veth1", 2) }, cni0],
    };
    Facts { attached, ..Facts::default() }
}

/// Something that goes wrong.
type Fault = fn(&mut Facts);

/// The judgement after a fault.
fn after(fault: impl Fn(&mut Facts)) -> Finding {
    let mut facts = facts();
    fault(&mut facts);
    judge(&promise(), &facts)
}

fn told(finding: &Finding) -> (Option<Cause>, &str, &str) {
    assert_eq!(finding.status, Status::Fail, "{finding:?}");
    (finding.cause, &finding.summary, &finding.fix[0])
}

#[test]
fn a_network_that_is_as_promised_is_ok() {
    assert_eq!(after(|_| {}), Finding::ok("all that the result promises of eth0 is there"));
}

#[test]
fn each_fault_in_the_sandbox_is_told() {
    let table: [(Fault, Cause, &str, &str); 4] = [
        (
            |facts| drop(facts.attached.inside.pop()),
            Cause::InterfaceMissing,
            "eth0 is not in the sandbox, though the plugin's result says so",
            AGAIN,
        ),
        (
            |facts| facts.attached.inside[1].up = false,
            Cause::InterfaceMissing,
            "eth0 in the sandbox is down",
            "nsenter --net=/run/netns/pod ip link set eth0 up",
        ),
        (
            |facts| facts.attached.inside[1].addresses.clear(),
            Cause::InterfaceMissing,
            "eth0 in the sandbox lacks its address 10.1.0.2",
            AGAIN,
        ),
        (
            |facts| facts.attached.defaults.clear(),
            Cause::RouteConflict,
            "the default route of IPv4 is missing in the sandbox",
            AGAIN,
        ),
    ];
    for (fault, cause, summary, fix) in table {
        assert_eq!(told(&after(fault)), (Some(cause), summary, fix));
    }
}

#[test]
fn each_fault_on_the_node_is_told() {
    let table: [(Fault, Cause, &str, &str); 6] = [
        (
            |facts| facts.attached.outside[0].controller = None,
            Cause::InterfaceMissing,
            "the node's end of eth0 is not on the bridge cni0",
            "ip link set veth1 master cni0",
        ),
        (
            |facts| facts.attached.outside[1].up = false,
            Cause::BridgeWrongKind,
            "the bridge cni0 is down",
            "ip link set cni0 up",
        ),
        (
            |facts| {
                facts.attached.outside.truncate(1);
                facts.attached.outside[0].controller = None;
            },
            Cause::InterfaceMissing,
            "the bridge cni0 is gone, and eth0 leads nowhere",
            AGAIN,
        ),
        (
            |facts| facts.attached.outside[0].up = false,
            Cause::InterfaceMissing,
            "the node's end of eth0 is down",
            "ip link set veth1 up",
        ),
        (
            |facts| facts.forwarding_off = vec!["net.ipv4.conf.cni0.forwarding".into()],
            Cause::SysctlFailed,
            "the node does not forward what the Pod sends: forwarding is off",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
        (
            |facts| facts.overlay = Some(Link { mtu: 1450, ..link(9, "flannel.1", "vxlan") }),
            Cause::MtuInvalid,
            "eth0 has MTU 1500, but flannel.1 carries 1450: larger packets to other nodes are lost",
            "take mtu out of the network's configuration, or set it to 1450, and make the Pods again",
        ),
    ];
    for (fault, cause, summary, fix) in table {
        assert_eq!(told(&after(fault)), (Some(cause), summary, fix));
    }
}

#[test]
fn what_is_not_certain_is_not_told() {
    let table: [(&str, Fault); 5] = [
        ("the other end is not to be seen", |facts| facts.attached.outside.clear()),
        ("the number is that of another link", |facts| facts.attached.outside[0].lower = Some(3)),
        ("the other end is in no known place", |facts| facts.attached.inside[1].peer_is_elsewhere = false),
        ("an overlay with room", |facts| {
            facts.overlay = Some(Link { mtu: 1500, ..link(9, "flannel.1", "vxlan") });
        }),
        ("a default route of another gateway", |facts| facts.attached.defaults[0].gateway = None),
    ];
    for (what, fault) in table {
        assert_eq!(after(fault).status, Status::Ok, "{what}");
    }
}

#[test]
fn only_who_has_the_node_as_its_router_needs_forwarding() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::at(root.path());
    let mut attached = facts().attached;
    assert_eq!(forwarding_off(&node, &attached), [""; 0], "nothing is known");
    attached.outside.iter_mut().for_each(|link| link.forwards_ipv4 = Some(false));
    assert_eq!(forwarding_off(&node, &attached), ["net.ipv4.conf.cni0.forwarding"]);
    attached.outside[1].addresses.clear();
    assert_eq!(forwarding_off(&node, &attached), [""; 0], "another machine is the gateway");
    attached.outside[0].controller = None;
    assert_eq!(forwarding_off(&node, &attached), ["net.ipv4.conf.veth1.forwarding"]);
    attached.defaults[0].is_ipv6 = true;
    let folder = root.path().join("proc/sys/net/ipv6/conf/all");
    std::fs::create_dir_all(&folder).unwrap();
    for (value, off) in [("0\n", &["net.ipv6.conf.all.forwarding"][..]), ("1\n", &[])] {
        std::fs::write(folder.join("forwarding"), value).unwrap();
        assert_eq!(forwarding_off(&node, &attached), off);
    }
    attached.outside[0].forwards_ipv4 = Some(true);
    attached.defaults[0].is_ipv6 = false;
    assert_eq!(forwarding_off(&node, &attached), [""; 0]);
}

#[test]
fn a_call_without_a_result_and_an_entry_have_nothing_to_look_at() {
    let result = json!({"interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}]});
    let pod = || Subject { netns: "/run/netns/pod".into(), ..Subject::default() };
    let added = Subject { result: result.clone(), ..pod() };
    let checked = Subject { verb: Verb::Check, config: json!({"prevResult": result}), ..pod() };
    assert!(fits(&added) && fits(&checked));
    assert!(!fits(&Subject { result: json!({"cniVersion": "1.0.0"}), ..pod() }), "it names no link");
    assert!(!fits(&pod()) && !fits(&Subject { verb: Verb::Del, ..checked.clone() }));
    assert!(!fits(&Subject { verb: Verb::Add, ..checked }), "what came before an ADD is not its own");
    let origin = Origin::Entry { file: "/x.conf".into(), is_wrapped: true };
    assert!(!fits(&Subject { origin, ..added }));
}

#[test]
fn a_namespace_that_cannot_be_entered_is_not_judged() {
    let result = json!({"interfaces": [{"name": "eth0", "sandbox": "/nowhere"}]});
    let subject = Subject { result, netns: "/nowhere".into(), ..Subject::default() };
    let expected = Finding::skipped("network namespace /nowhere: no such file or directory");
    assert_eq!(look(&Node::this(), &subject, Depth::Quick), expected);
}
