//! Logs and texts of any kind, and what is made of the node's facts.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const FULL: &str =
    "plugin type=\"bridge\" failed (add): no IP addresses available in range set: 10.1.1.1-10.1.1.6";

/// Causes and counts, the first before the others.
fn told(explanation: &Explanation) -> Vec<(Cause, u64)> {
    let failures = std::iter::once(&explanation.first).chain(&explanation.others);
    failures.map(|failure| (failure.cause, failure.count)).collect()
}

fn piece(text: &str, count: u64) -> Piece {
    Piece { text: text.to_owned(), count, pod: None }
}

#[test]
fn a_text_is_one_failure_and_a_log_as_many_as_it_has() {
    assert_eq!(told(&explain(FULL, &[])), [(Cause::IpamExhausted, 1)]);
    let log = format!(
        "I0501 10:00:00.000000 7 a.go:1] failed to do nothing\nE0501 10:00:01.000000 7 a.go:1] {FULL}\n\
         I0501 10:00:02.000000 7 a.go:1] all is well\nE0501 10:00:03.000000 7 a.go:1] {FULL}\n"
    );
    assert_eq!(told(&explain(&log, &[])), [(Cause::IpamExhausted, 2), (Cause::Unknown, 1)]);
}

#[test]
fn a_line_tells_of_a_failure_in_the_systems_words_too() {
    for (line, cause) in [
        ("iptables: No chain/target/match by that name.", Cause::IptablesFailed),
        ("write /run/a: no space left on device", Cause::DiskFull),
        ("bind: address already in use", Cause::PortConflict),
    ] {
        let log =
            format!("I0501 10:00:00.000000 7 a.go:1] all is well\nE0501 10:00:01.000000 7 a.go:1] {line}\n");
        assert_eq!(told(&explain(&log, &[]))[0].0, cause, "{line}");
    }
}

#[test]
fn a_log_without_a_word_for_a_failure_is_read_for_what_tells_a_cause_by_itself() {
    let line = |second: u32, text: &str| format!("Feb  6 16:05:0{second} node kernel: {text}\n");
    let full = "nf_conntrack: table full, dropping packet.";
    let log = [line(1, full), line(2, "net_ratelimit: 7 callbacks suppressed"), line(3, full)].concat();
    assert_eq!(told(&explain(&log, &[])), [(Cause::ConntrackFailed, 2)]);
    let log = [line(1, "eth0: link becomes ready"), line(2, "eth0: entered promiscuous mode")].concat();
    assert_eq!(told(&explain(&log, &[])), [(Cause::Unknown, 0)]);
}

#[test]
fn of_failures_that_are_as_frequent_the_sandboxs_stands_first_and_then_the_clearer() {
    let (gone, taken) =
        ("network-attachment-definitions.k8s.cni.cncf.io \"a\" not found", "operation not permitted");
    let sandbox = format!("Failed to create pod sandbox: {taken}");
    let table = [
        ([gone, &sandbox], [Cause::PermissionDenied, Cause::ApiObjectMissing]),
        ([taken, gone], [Cause::ApiObjectMissing, Cause::PermissionDenied]),
    ];
    for (texts, expected) in table {
        let pieces = texts.map(|text| piece(text, 1));
        assert_eq!(told(&explain_pieces(&pieces, &[])), expected.map(|cause| (cause, 1)), "{texts:?}");
    }
}

#[test]
fn entries_that_differ_in_times_and_ids_only_are_of_one_failure() {
    let entry = |second: u32, id: &str| {
        format!("2024-05-01T10:00:0{second}Z level=error msg=\"it failed for {id}\"\n")
    };
    let log =
        [entry(1, "0f1e2d3c4b5a69788796"), entry(2, "1f1e2d3c4b5a69788796"), entry(3, "short")].concat();
    assert_eq!(told(&explain(&log, &[])), [(Cause::Unknown, 2), (Cause::Unknown, 1)]);
}

#[test]
fn causes_stand_before_what_follows_from_them_and_the_known_before_the_unknown() {
    let pieces = [
        piece("it rained", 9),
        piece("context deadline exceeded", 5),
        piece("duplicate allocation is not allowed", 3),
        piece("dial unix /var/run/cilium/cilium.sock: connect: connection refused", 2),
    ];
    let expected = [
        (Cause::IpamDuplicate, 3),
        (Cause::AgentUnreachable, 2),
        (Cause::PluginTimeout, 5),
        (Cause::Unknown, 9),
    ];
    assert_eq!(told(&explain_pieces(&pieces, &[])), expected);
    assert_eq!(told(&explain_pieces(&[], &[])), [(Cause::Unknown, 0)]);
}

fn look_at(text: &str, finding: Finding) -> Failure {
    let mut failure = explain(text, &[]).first;
    failure.look_at(&[Finding { check: "a-check".to_owned(), ..finding }], &[]);
    failure
}

#[test]
fn facts_of_the_node_confirm_a_cause_or_name_a_deeper_one() {
    let table = [
        (
            FULL,
            Finding::fail(Cause::IpamExhausted, "6 of 6 used"),
            Cause::IpamExhausted,
            "ADD of bridge failed: 6 of 6 used",
            "high",
        ),
        (
            FULL,
            Finding::fail(Cause::SubnetEnvMissing, "subnet.env is lost"),
            Cause::SubnetEnvMissing,
            "ADD of bridge failed: subnet.env is lost",
            "high",
        ),
        (
            "it rained",
            Finding::fail(Cause::DiskFull, "/ is full"),
            Cause::Unknown,
            "the cause is not known",
            "none",
        ),
        (
            "context deadline exceeded",
            Finding::ok("all is well"),
            Cause::PluginTimeout,
            "the plugin did not end in time",
            "low",
        ),
    ];
    for (text, finding, cause, summary, confidence) in table {
        let failure = look_at(text, finding);
        assert_eq!(
            (failure.cause, failure.summary.as_str(), failure.confidence),
            (cause, summary, confidence),
            "{text}"
        );
    }
    assert_eq!(look_at("it rained", Finding::ok("all is well")).ruled_out, ["a-check: all is well"]);
}

proptest! {
    #[test]
    fn no_text_makes_an_explanation_panic_or_hang(
        text in "\\PC{0,400}|[\\x00-\\x7f]{0,400}|(plugin type=\"|failed \\(add\\): |\\[ns/pod/uid:net\\]: |\\{\"msg\":\"|\\\\\\\\\"|rpc error: code = |\n|E0101 00:00:00 |\\[cniscope: |see: cniscope show |\"|:|é){0,60}"
    ) {
        let started = Instant::now();
        let explanation = explain(&text, &[]);
        std::hint::black_box(explain_events(&text, &[]));
        prop_assert!(started.elapsed() < Duration::from_secs(10));
        let document = serde_json::to_value(&explanation).unwrap();
        prop_assert_eq!(document["cause"].as_str(), Some(explanation.first.cause.id()));
    }
}

#[test]
fn long_texts_are_read_in_a_bounded_time() {
    // A debug build on a busy machine; what is quadratic takes minutes.
    let limit = Duration::from_secs(20);
    for part in [
        "a",
        "\"",
        "\\\\\"",
        "failed (add): ",
        "[a/b/",
        "plugin type=\"",
        "dial unix /a.sock: ",
        "(x1 over ",
        "\n",
        "{\"msg\":\"",
    ] {
        let text = part.repeat((4 << 20) / part.len());
        let started = Instant::now();
        std::hint::black_box(explain(&text, &[]));
        assert!(started.elapsed() < limit, "{part:?}: {:?}", started.elapsed());
    }
}
