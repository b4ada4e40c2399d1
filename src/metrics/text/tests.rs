use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::journal::read::Call;

fn call(plugin: &str, outcome: &str, cause: Option<&str>, took: f64) -> Call {
    let record = json!({
        "plugin": plugin, "command": "ADD", "cause": cause, "duration_ms": took, "overhead_ms": 0.7,
        "time": "2026-11-21T10:00:00.500000Z",
    });
    Call { record, outcome: outcome.to_owned(), stalls: Vec::new() }
}

fn facts() -> Facts {
    let mut facts =
        Facts { running: 1, journal_bytes: 4096, journal_files: 2, is_kept: true, ..Facts::default() };
    facts.counters.add(&call("bridge", "ok", None, 20.0));
    facts.counters.add(&call("bridge", "failed", Some("ipam-exhausted"), 30.25));
    facts.counters.add(&call("bridge", "ok", Some("overlay-down"), 3e5));
    let pool = |set, leaked| Pool { network: "pods".into(), set, capacity: 5.0, used: 3, leaked };
    facts.pools = vec![pool(0, Some(2)), Pool { capacity: 18_446_744_073_709_551_614.0, ..pool(1, None) }];
    facts
}

#[test]
fn the_text_has_every_metric_with_its_samples() {
    let text = text(&facts()).replace(env!("CNISCOPE_COMMIT"), "COMMIT");
    insta::assert_snapshot!(text, @r#"
    # HELP cniscope_build_info Always 1: which cniscope tells this.
    # TYPE cniscope_build_info gauge
    cniscope_build_info{version="0.1.0",commit="COMMIT"} 1
    # HELP cniscope_calls_total Calls that have ended, by what became of them.
    # TYPE cniscope_calls_total counter
    cniscope_calls_total{plugin="bridge",command="ADD",outcome="failed"} 1
    cniscope_calls_total{plugin="bridge",command="ADD",outcome="ok"} 2
    # HELP cniscope_failures_total Calls that failed, by cause; where none is recorded, by outcome.
    # TYPE cniscope_failures_total counter
    cniscope_failures_total{plugin="bridge",cause="ipam-exhausted"} 1
    # HELP cniscope_suspect_calls_total Calls that went well by their plugin's word and left no network that works, by cause.
    # TYPE cniscope_suspect_calls_total counter
    cniscope_suspect_calls_total{plugin="bridge",cause="overlay-down"} 1
    # HELP cniscope_call_duration_seconds How long calls took.
    # TYPE cniscope_call_duration_seconds histogram
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="0.005"} 0
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="0.01"} 0
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="0.025"} 1
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="0.05"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="0.1"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="0.25"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="0.5"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="1"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="2.5"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="5"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="10"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="30"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="60"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="120"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="240"} 2
    cniscope_call_duration_seconds_bucket{plugin="bridge",command="ADD",le="+Inf"} 3
    cniscope_call_duration_seconds_sum{plugin="bridge",command="ADD"} 300.050250
    cniscope_call_duration_seconds_count{plugin="bridge",command="ADD"} 3
    # HELP cniscope_overhead_seconds What cniscope added to calls.
    # TYPE cniscope_overhead_seconds histogram
    cniscope_overhead_seconds_bucket{le="0.0005"} 0
    cniscope_overhead_seconds_bucket{le="0.001"} 3
    cniscope_overhead_seconds_bucket{le="0.0015"} 3
    cniscope_overhead_seconds_bucket{le="0.0025"} 3
    cniscope_overhead_seconds_bucket{le="0.005"} 3
    cniscope_overhead_seconds_bucket{le="0.01"} 3
    cniscope_overhead_seconds_bucket{le="0.025"} 3
    cniscope_overhead_seconds_bucket{le="0.05"} 3
    cniscope_overhead_seconds_bucket{le="0.1"} 3
    cniscope_overhead_seconds_bucket{le="1"} 3
    cniscope_overhead_seconds_bucket{le="+Inf"} 3
    cniscope_overhead_seconds_sum 0.002100
    cniscope_overhead_seconds_count 3
    # HELP cniscope_calls_running Calls that are under way.
    # TYPE cniscope_calls_running gauge
    cniscope_calls_running 1
    # HELP cniscope_last_success_timestamp_seconds When the last call ended that went well and left a network that works, in seconds since 1970.
    # TYPE cniscope_last_success_timestamp_seconds gauge
    cniscope_last_success_timestamp_seconds{plugin="bridge",command="ADD"} 1795255200.520000
    # HELP cniscope_ipam_pool_capacity_addresses Addresses that host-local has to give.
    # TYPE cniscope_ipam_pool_capacity_addresses gauge
    cniscope_ipam_pool_capacity_addresses{network="pods",range_set="0"} 5
    cniscope_ipam_pool_capacity_addresses{network="pods",range_set="1"} 18446744073709552000
    # HELP cniscope_ipam_pool_used_addresses Addresses that are taken, leaked ones among them.
    # TYPE cniscope_ipam_pool_used_addresses gauge
    cniscope_ipam_pool_used_addresses{network="pods",range_set="0"} 3
    cniscope_ipam_pool_used_addresses{network="pods",range_set="1"} 3
    # HELP cniscope_ipam_pool_leaked_addresses Addresses that are taken and that no live sandbox holds.
    # TYPE cniscope_ipam_pool_leaked_addresses gauge
    cniscope_ipam_pool_leaked_addresses{network="pods",range_set="0"} 2
    # HELP cniscope_journal_size_bytes Bytes of the journal's files.
    # TYPE cniscope_journal_size_bytes gauge
    cniscope_journal_size_bytes 4096
    # HELP cniscope_journal_files Files of the journal.
    # TYPE cniscope_journal_files gauge
    cniscope_journal_files 2
    # HELP cniscope_journal_broken_lines_total Lines of the journal that are no records.
    # TYPE cniscope_journal_broken_lines_total counter
    cniscope_journal_broken_lines_total 0
    # HELP cniscope_journal_gaps_total Times when the journal had rotated away completely since it was last looked at, so that calls may be missing.
    # TYPE cniscope_journal_gaps_total counter
    cniscope_journal_gaps_total 0
    # HELP cniscope_journal_unwritten_records Calls of which a record could not be written since the node started, as far as they are noted.
    # TYPE cniscope_journal_unwritten_records gauge
    cniscope_journal_unwritten_records 0
    # HELP cniscope_counters_kept 1 if counters are kept from one look to the next; else they can go back when the journal rotates.
    # TYPE cniscope_counters_kept gauge
    cniscope_counters_kept 1
    "#);
}

#[test]
fn of_nothing_every_metric_is_described() {
    let text = text(&Facts::default());
    assert_eq!(text.matches("# HELP ").count(), METRICS.len());
    assert_eq!(text.matches("# TYPE ").count(), METRICS.len());
}

#[test]
fn names_are_there_once_and_have_the_endings_of_their_kind() {
    let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for metric in METRICS {
        assert_eq!(metric.name.ends_with("_total"), metric.kind == "counter", "{}", metric.name);
    }
}

#[test]
fn samples_have_the_labels_that_are_told() {
    let text = text(&facts());
    for metric in METRICS.iter().filter(|metric| !metric.labels.is_empty()) {
        let start = format!("{}{{", metric.name);
        let start = if metric.kind == "histogram" { start.replace('{', "_count{") } else { start };
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
        let labels: Vec<&str> =
            line[start.len()..].split("\",").map(|label| label.split('=').next().unwrap()).collect();
        assert_eq!(labels, metric.labels, "{line}");
    }
}

#[test]
fn names_from_outside_stay_in_their_label() {
    let mut facts = Facts::default();
    facts.counters.add(&call("a\"} 1\nb\\", "failed", Some("c"), 1.0));
    let text = text(&facts);
    assert!(text.contains("cniscope_failures_total{plugin=\"a\\\"} 1\\nb\\\\\",cause=\"c\"} 1\n"), "{text}");
}
