use super::*;

/// A node of which so many calls failed for these causes.
fn node(name: &str, calls: usize, causes: &[(&str, usize)]) -> NodeCount {
    let failed = causes.iter().map(|(_, count)| count).sum();
    let causes = causes.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect();
    NodeCount { name: name.into(), calls, failed, pods: failed.min(4), causes }
}

fn told(nodes: &[NodeCount]) -> (Scope, String) {
    let verdict = verdict(nodes, None).unwrap();
    (verdict.scope, format!("{} {}", verdict.headline, verdict.because))
}

const UNCLEAR: &str = "One node or the whole cluster? The journals do not tell. ";

#[test]
fn one_node_needs_no_answer() {
    assert_eq!(verdict(&[node("a", 90, &[("disk-full", 80)])], None), None);
}

#[test]
fn nothing_failed() {
    assert_eq!(
        told(&[node("a", 1200, &[]), node("b", 34, &[])]),
        (Scope::Nowhere, "No failures on any of 2 nodes. All 1,234 calls went well.".into())
    );
    assert_eq!(
        told(&[node("a", 0, &[]), node("b", 0, &[])]),
        (Scope::Nowhere, "No failures on any of 2 nodes. No call for a Pod has ended.".into())
    );
}

#[test]
fn one_node_that_stands_out() {
    let (bad, well) = (node("w2", 60, &[("ipam-exhausted", 30), ("killed", 8)]), node("w3", 80, &[]));
    let expected = "One node: w2. 38 of 60 calls failed there (63 %), 1 of 180 on the 2 other nodes (0.6 %). \
                    Mostly ipam-exhausted (30 of 38), for 4 Pods.";
    assert_eq!(told(&[node("w1", 100, &[("unknown", 1)]), bad, well]), (Scope::OneNode, expected.into()));
}

#[test]
fn a_pod_that_is_tried_again_and_again_is_told() {
    let bad = NodeCount { pods: 1, ..node("w2", 60, &[("config-invalid", 50)]) };
    let expected = "One node: w2. 50 of 60 calls failed there (83 %), 0 of 70 on the other node (0 %). \
                    All are config-invalid, all for one Pod.";
    assert_eq!(told(&[bad, node("w1", 70, &[])]), (Scope::OneNode, expected.into()));
}

#[test]
fn some_nodes_that_stand_out() {
    let mut nodes: Vec<NodeCount> = (1..=6).map(|number| node(&format!("w{number}"), 100, &[])).collect();
    nodes[1] = node("w2", 100, &[("mtu-invalid", 20), ("unknown", 18), ("killed", 12)]);
    nodes[4] = node("w5", 90, &[("mtu-invalid", 24), ("unknown", 18), ("killed", 12)]);
    let expected = "2 of 6 nodes: w5 and w2. 104 of 190 calls failed there (55 %), 0 of 400 on the 4 other nodes (0 %). \
                    There are several causes, most often mtu-invalid (44 of 104), for 8 Pods.";
    assert_eq!(told(&nodes), (Scope::SomeNodes, expected.into()));
}

#[test]
fn all_but_a_few() {
    let mut nodes: Vec<NodeCount> =
        (1..=5).map(|number| node(&format!("w{number}"), 50, &[("agent-unreachable", 20)])).collect();
    nodes[2] = node("w3", 50, &[]);
    let expected = "Most of the cluster: 4 of 5 nodes, not w3. 80 of 200 calls failed there (40 %), 0 of 50 on the other \
                    node (0 %). All are agent-unreachable, for 16 Pods.";
    assert_eq!(told(&nodes), (Scope::MostNodes, expected.into()));
}

#[test]
fn all_nodes_alike() {
    let nodes = [
        node("w1", 50, &[("apiserver-unreachable", 10)]),
        node("w2", 50, &[("apiserver-unreachable", 14), ("unknown", 1)]),
        node("w3", 2, &[("apiserver-unreachable", 2)]),
    ];
    let expected = "The whole cluster: all 2 nodes with enough calls. 20 % to 30 % of the calls failed on each. \
                    On all of them mostly apiserver-unreachable: look at what they share. One node had too few calls to tell.";
    assert_eq!(told(&nodes), (Scope::Cluster, expected.into()));
}

#[test]
fn all_nodes_alike_for_different_causes() {
    let nodes = [node("w1", 50, &[("disk-full", 12)]), node("w2", 50, &[("iptables-lock", 11)])];
    let expected = "The whole cluster: all 2 nodes. 22 % to 24 % of the calls failed on each. \
                    But not for one cause: disk-full leads on 1 of them.";
    assert_eq!(told(&nodes), (Scope::Cluster, expected.into()));
}

#[test]
fn what_counts_cannot_tell() {
    let table = [
        (
            vec![node("w1", 100, &[("unknown", 1)]), node("w2", 100, &[])],
            "1 of 200 calls failed, on 1 of 2 nodes: too few to tell one node from chance.",
        ),
        (
            vec![node("w1", 5, &[("unknown", 3)]), node("w2", 5, &[])],
            "3 of 10 calls failed, on 1 of 2 nodes: too few to tell one node from chance.",
        ),
        (
            vec![node("w1", 500, &[("unknown", 300)]), node("w2", 4, &[])],
            "All nodes but one have fewer than 5 calls: there is nothing to compare with.",
        ),
        (
            vec![node("w1", 3, &[("unknown", 3)]), node("w2", 4, &[])],
            "All nodes have fewer than 5 calls: there is nothing to compare with.",
        ),
    ];
    for (nodes, because) in table {
        assert_eq!(told(&nodes), (Scope::Unclear, format!("{UNCLEAR}{because}")));
    }
}

#[test]
fn without_the_calls_that_went_well_nothing_can_be_compared() {
    let nodes = [node("w1", 100, &[("unknown", 100)]), node("w2", 5, &[("unknown", 5)])];
    let verdict = verdict(&nodes, Some("Only failed calls are in this report")).unwrap();
    assert_eq!(
        (verdict.scope, verdict.because.as_str()),
        (
            Scope::Unclear,
            "Only failed calls are in this report: how often each node fails cannot be compared."
        )
    );
}

#[test]
fn a_sentence_names_three_nodes() {
    let nodes: Vec<NodeCount> = "abcde".chars().map(|name| node(&name.to_string(), 9, &[])).collect();
    let nodes: Vec<&NodeCount> = nodes.iter().collect();
    let told = [1, 2, 3, 5].map(|count| names(&nodes[..count]));
    assert_eq!(told, ["a", "a and b", "a, b and c", "a, b, c and 2 more"]);
}
