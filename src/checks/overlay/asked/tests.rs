use nix::errno::Errno;
use serde_json::json;

use super::*;

/// Something that goes wrong.
type Fault = fn(&mut Vec<Other>);

const PROMPT: Reply = Reply::After(Duration::from_micros(312));
const SEEN: &str = "flannel.1 is up, with 2 other nodes behind it";

/// A node behind flannel's vxlan, which answers.
fn other(address: &str, node: &str) -> Other {
    let tunnel = Tunnel { port: 8472, has_neighbour: true, node: Some((node.parse().unwrap(), PROMPT)) };
    let way = Out { device: "flannel.1".into(), mtu: 1450, is_lost: false, tunnel: Some(tunnel) };
    Other { address: address.parse().unwrap(), way: Some(way), small: PROMPT, full: PROMPT, learned: None }
}

fn way(others: &mut [Other]) -> &mut Out {
    others[0].way.as_mut().unwrap()
}

fn tunnel(others: &mut [Other]) -> &mut Tunnel {
    way(others).tunnel.as_mut().unwrap()
}

fn silence(other: &mut Other) {
    (other.small, other.full) = (Reply::Silence, Reply::Silence);
}

/// The judgement of two nodes after a fault.
fn after(fault: Fault, seen: Finding) -> Finding {
    let mut others = vec![other("10.244.2.0", "192.0.2.2"), other("10.244.3.0", "192.0.2.3")];
    fault(&mut others);
    judge(&Asked { others, own: Vec::new() }, seen)
}

#[test]
fn nodes_that_answer_are_well_and_shown_with_their_times() {
    let found = after(|others| others.truncate(1), Finding::ok(SEEN));
    let shown = json!({
        "address": "10.244.2.0", "ms": 0.31, "device": "flannel.1", "mtu": 1450, "ms_at_mtu": 0.31,
        "node": "192.0.2.2", "node_ms": 0.31,
    });
    let summary = format!("{SEEN}; 10.244.2.0 answers up to the full MTU, within 0.31 ms");
    assert_eq!(found, Finding::ok(summary).with("asked", [shown].to_vec()));
    let found = after(|_| {}, Finding::ok(SEEN));
    let summary = format!("{SEEN}; all 2 nodes asked answer up to the full MTU, within 0.31 ms");
    assert_eq!((found.status, found.summary), (Status::Ok, summary));
}

#[test]
fn a_node_that_does_not_answer_is_named_with_what_is_known_of_the_way() {
    let table: [(Fault, Option<Cause>, &str); 9] = [
        (|others| others[0].way = None, Some(Cause::RouteConflict), "this node has no route to it"),
        (
            |others| way(others).is_lost = true,
            Some(Cause::RouteConflict),
            "this node has no route to it but the default one through flannel.1",
        ),
        (
            |others| (tunnel(others).has_neighbour, tunnel(others).node) = (false, None),
            Some(Cause::RouteConflict),
            "its neighbour entry on flannel.1 is missing",
        ),
        (
            |others| tunnel(others).node = None,
            Some(Cause::RouteConflict),
            "its forwarding (FDB) entry on flannel.1 is missing",
        ),
        (
            |others| others[0].small = Reply::Unsent(Errno::EPERM),
            None,
            "nothing can be sent to it: operation not permitted",
        ),
        (
            |others| way(others).tunnel = None,
            None,
            "its route through flannel.1 is all that this node knows of the way",
        ),
        (
            |_| {},
            None,
            "its node 192.0.2.2 does; UDP 8472 or ICMP in it is dropped on the way or there, or its tunnel device is not set up",
        ),
        (
            |others| tunnel(others).node.as_mut().unwrap().1 = Reply::Silence,
            None,
            "nor does its node 192.0.2.2, which is gone, not reached, or answers no ICMP",
        ),
        (
            |others| tunnel(others).node.as_mut().unwrap().1 = Reply::Unsent(Errno::ENETUNREACH),
            None,
            "nor does its node 192.0.2.2, which is gone, not reached, or answers no ICMP",
        ),
    ];
    for (fault, cause, why) in table {
        let mut others = vec![other("10.244.2.0", "192.0.2.2"), other("10.244.3.0", "192.0.2.3")];
        silence(&mut others[0]);
        fault(&mut others);
        let found = judge(&Asked { others, own: Vec::new() }, Finding::ok(SEEN));
        assert_eq!(
            (found.status, found.cause, found.summary),
            (Status::Fail, cause, format!("10.244.2.0 of 2 nodes asked does not answer: {why}"))
        );
        assert!(!found.fix.is_empty(), "{why}");
    }
}

#[test]
fn several_nodes_that_do_not_answer_are_counted() {
    let fault: Fault = |others| {
        others.extend(["10.244.4.0", "10.244.5.0"].map(|address| other(address, "192.0.2.9")));
        others.iter_mut().for_each(silence);
    };
    let found = after(fault, Finding::ok(SEEN));
    let start = "10.244.2.0, 10.244.3.0, 10.244.4.0, 1 more do not answer: its node 192.0.2.2 does; ";
    assert!(found.summary.starts_with(start), "{}", found.summary);
}

#[test]
fn what_was_seen_is_the_cause_where_nothing_can_pass() {
    let dropped = "a firewall rule drops UDP 8472, by which Pods reach those of other nodes";
    let seen = Finding::fail(Cause::IptablesFailed, dropped).fix("see the rule");
    let found = after(|others| others.iter_mut().for_each(silence), seen.clone());
    let summary = format!("10.244.2.0, 10.244.3.0 do not answer: {dropped}");
    let asked = found.evidence["asked"].clone();
    assert_eq!(found, Finding { summary, ..seen }.with("asked", asked));
}

#[test]
fn what_was_seen_of_other_nodes_stands_beside_it() {
    let missing = "1 of the nodes behind flannel.1 are not reached: the route is missing";
    let seen = || Finding::fail(Cause::RouteConflict, missing);
    let found = after(|others| silence(&mut others[0]), seen());
    assert_eq!((found.cause, &found.evidence["besides"]), (None, &json!(missing)));
    let found = after(|_| {}, seen());
    assert_eq!((found.status, found.summary.as_str()), (Status::Fail, missing), "those asked answer");
}

#[test]
fn an_mtu_that_is_cut_on_the_way_is_told() {
    let table: [(Fault, Status, &str); 4] = [
        (
            |others| others[1].full = Reply::Silence,
            Status::Fail,
            "10.244.3.0 of 2 nodes asked answers, but not at 1450 bytes, the MTU through flannel.1: \
             larger packets are lost on the way",
        ),
        (
            |others| (others[1].full, others[1].learned) = (Reply::Silence, Some(1350)),
            Status::Fail,
            "10.244.3.0 of 2 nodes asked answers, but not at 1450 bytes, the MTU through flannel.1: \
             the way has room for 1350",
        ),
        (
            |others| others.iter_mut().for_each(|other| other.full = Reply::Unsent(Errno::EMSGSIZE)),
            Status::Fail,
            "10.244.2.0, 10.244.3.0 answer, but not at 1450 bytes, the MTU through flannel.1: \
             larger packets are lost on the way",
        ),
        (
            |others| others[1].learned = Some(1350),
            Status::Warn,
            "10.244.3.0 of 2 nodes asked answers at 1450 bytes, the MTU through flannel.1, but the way has room for \
             1350: larger packets of Pods are refused",
        ),
    ];
    for (fault, status, summary) in table {
        let found = after(fault, Finding::ok(SEEN));
        assert_eq!(
            (found.status, found.cause, found.summary.as_str()),
            (status, Some(Cause::MtuInvalid), summary)
        );
        assert_eq!(found.fix[0], "give all links between the nodes an MTU of at least 1500");
    }
}

#[test]
fn this_nodes_own_address_is_passed_over() {
    let own = vec!["10.244.1.0".parse().unwrap()];
    let alone = judge(&Asked { others: Vec::new(), own: own.clone() }, Finding::ok(SEEN));
    assert_eq!(
        (alone.status, alone.summary.as_str(), &alone.evidence["own"]),
        (Status::Skipped, "the addresses that were to be asked are this node's own", &json!(["10.244.1.0"]))
    );
    let others = vec![other("10.244.2.0", "192.0.2.2")];
    assert_eq!(judge(&Asked { others, own }, Finding::ok(SEEN)).status, Status::Ok);
}

#[test]
fn replies_go_to_whom_they_are_of() {
    let mut others = vec![other("10.244.2.0", "192.0.2.2"), other("fd00::2", "2001:db8::2")];
    others[0].way = None;
    let mut asked = Asked { others, own: Vec::new() };
    let requests: Vec<_> =
        asked.requests().iter().map(|request| (request.to.to_string(), request.size)).collect();
    let expected = [("10.244.2.0", 84), ("fd00::2", 84), ("fd00::2", 1450), ("2001:db8::2", 84)];
    assert_eq!(requests, expected.map(|(to, size)| (to.to_owned(), size)));
    let times = [1, 2, 3, 4].map(|time| Reply::After(Duration::from_millis(time)));
    asked.take(times.to_vec());
    let tunnel = asked.others[1].way.as_ref().unwrap().tunnel.as_ref().unwrap();
    assert_eq!(
        [asked.others[0].small, asked.others[1].small, asked.others[1].full, tunnel.node.unwrap().1],
        times
    );
}
