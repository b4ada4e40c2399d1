//! A hundred Pods that come and go.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::node::{LIST, Node, list, with_network};
use crate::programs::Program;

const SUBNET: &str = "10.244.7.0/24";
const ROUNDS: usize = 10;
const AT_ONCE: usize = 10;

#[test]
fn a_hundred_pods_leave_nothing_behind_and_lose_no_record() {
    let node = with_network(SUBNET);
    // What the first Pod makes stays: the bridge, and the files of IPAM.
    node.start_pods(&["first"]);
    node.delete(&["first"]);
    let before = node.machine.network_state();
    let mut wrapped = BTreeSet::new();
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            node.write(LIST, &list(SUBNET));
            node.has_loaded(&list(SUBNET));
            come_and_go(&node, &format!("plain{round}"));
            node.install();
        }
        wrapped.extend(come_and_go(&node, &format!("wrapped{round}")));
    }
    assert_eq!(node.machine.network_state(), before);
    for plugin in ["bridge", "portmap"] {
        let mut adds = BTreeMap::new();
        let mut deleted = BTreeSet::new();
        for call in node.calls_of(plugin) {
            match (call.command.as_str(), call.outcome.as_str()) {
                ("ADD", "ok") => *adds.entry(call.uid).or_insert(0) += 1,
                ("DEL", "ok") => drop(deleted.insert(call.uid)),
                // Two requests for the end of one sandbox may be in each other's way; the kubelet asks again.
                ("DEL", "failed") => println!("the end of {}: {}", call.pod, call.error),
                _ => panic!("{call:?}"),
            }
        }
        assert_eq!(adds, wrapped.iter().map(|uid| (uid.clone(), 1)).collect());
        assert_eq!(deleted, wrapped);
    }
    tell(&node);
}

/// Pods that run, all at the same time, and are deleted then. Gives their uids.
fn come_and_go(node: &Node, prefix: &str) -> Vec<String> {
    let names: Vec<String> = (0..AT_ONCE).map(|number| format!("{prefix}-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    node.start_pods(&names);
    let uids = node.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]);
    node.delete(&names);
    uids.split(' ').map(str::to_owned).collect()
}

/// Prints how long sandboxes took with and without cniscope. More than noise and a few milliseconds would be a defect.
fn tell(node: &Node) {
    let took = sandboxes(&node.read(&Program::Containerd.log()));
    let median = |prefix: &str| {
        let mut of: Vec<f64> =
            took.iter().filter(|(pod, _)| pod.starts_with(prefix)).map(|(_, took)| *took).collect();
        assert!(of.len() >= ROUNDS * AT_ONCE / 2, "{took:?}");
        of.sort_by(f64::total_cmp);
        of[of.len() / 2]
    };
    let (plain, wrapped) = (median("plain"), median("wrapped"));
    println!(
        "a sandbox among {AT_ONCE}: {plain:.0} ms without cniscope, {wrapped:.0} ms with it (x {:.2})",
        wrapped / plain
    );
    assert!(
        wrapped < plain * 2.0 + 50.0,
        "sandboxes take {wrapped:.0} ms with cniscope, {plain:.0} ms without"
    );
}

/// How long the runtime took for each Pod's sandbox, in milliseconds, as its log tells.
fn sandboxes(log: &str) -> BTreeMap<String, f64> {
    let mut begun = BTreeMap::new();
    let mut took = BTreeMap::new();
    for line in log.lines() {
        let Some((before, after)) = line.split_once("andbox for &PodSandboxMetadata{Name:") else { continue };
        let Some((pod, rest)) = after.split_once(',') else { continue };
        let Some(time) = before.strip_prefix("time=\"").and_then(|time| time.split('"').next()) else {
            continue;
        };
        let time = OffsetDateTime::parse(time, &Rfc3339).unwrap();
        if rest.contains("returns sandbox id") {
            let begun: OffsetDateTime = begun[pod];
            took.insert(pod.to_owned(), (time - begun).as_seconds_f64() * 1e3);
        } else if before.contains("RunPod") {
            begun.insert(pod.to_owned(), time);
        }
    }
    took
}
