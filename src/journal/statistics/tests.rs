use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn call(record: Value, outcome: &str) -> Call {
    Call { record, outcome: outcome.to_owned(), stalls: Vec::new() }
}

fn sample(time: &str, took: f64, ended: Ended) -> Sample {
    Sample { time: time.into(), took: Some(took), ended, cause: None }
}

fn durations(all: &[f64]) -> Durations {
    let mut durations = Durations::default();
    for one in all {
        durations.add(*one);
    }
    durations
}

#[test]
fn what_became_of_a_call_is_told_by_its_outcome_and_its_cause() {
    let table = [
        (json!({"cause": null}), "ok", Ended::Well, None),
        (json!({}), "ok", Ended::Well, None),
        (json!({"cause": "overlay-down"}), "ok", Ended::Suspect, Some("overlay-down")),
        (json!({"cause": "ipam-exhausted"}), "failed", Ended::Failed, Some("ipam-exhausted")),
        (json!({}), "killed", Ended::Failed, Some("killed")),
        (json!({}), "unfinished", Ended::Failed, Some("unfinished")),
        (json!({}), "running", Ended::NotYet, None),
    ];
    for (record, outcome, ended, cause) in table {
        let call = call(record, outcome);
        let found = Sample::of(&call);
        assert_eq!((found.ended, found.cause.as_deref()), (ended, cause), "{call:?}");
    }
}

#[test]
fn a_group_counts_calls_failures_and_when_they_were() {
    let mut group = Group::default();
    for one in [
        sample("2026-11-21T10:00:01Z", 5.0, Ended::Well),
        sample("2026-11-21T10:00:00Z", 7.0, Ended::Failed),
        sample("2026-11-21T10:00:02Z", 9.0, Ended::Suspect),
        Sample { took: None, ..sample("2026-11-21T10:00:03Z", 0.0, Ended::NotYet) },
        Sample { took: None, ..sample("2026-11-21T09:59:59Z", 0.0, Ended::Failed) },
        sample("", 1.0, Ended::Well),
    ] {
        group.add(&one);
    }
    assert_eq!((group.calls, group.failures, group.suspects, group.running), (5, 2, 1, 1));
    assert_eq!((group.first.as_str(), group.last.as_str()), ("2026-11-21T09:59:59Z", "2026-11-21T10:00:03Z"));
    assert_eq!((group.durations.count(), group.durations.most()), (4, Some(9.0)));
    assert!((group.failure_rate() - 0.4).abs() < 1e-9);
    assert!(Group::default().failure_rate().abs() < 1e-9, "of no calls none failed");
}

#[test]
fn of_no_calls_nothing_is_said_about_how_long_they_took() {
    let none = Durations::default();
    assert_eq!((none.percentile(0.5), none.most(), none.histogram(&[1.0])), (None, None, vec![0, 0]));
    let not_a_number = durations(&[f64::NAN, f64::INFINITY]);
    assert_eq!(not_a_number.count(), 0);
}

#[test]
fn one_call_is_its_own_percentile() {
    let one = durations(&[12.5]);
    assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| one.percentile(part)), [Some(12.5); 4]);
}

#[test]
fn absurd_durations_are_counted_at_the_ends() {
    let absurd = durations(&[-5.0, 0.0, 1e300]);
    assert_eq!((absurd.percentile(0.3), absurd.most()), (Some(LEAST), Some(MOST)));
    assert_eq!(absurd.histogram(&[1.0, 1000.0]), [2, 0, 1]);
}

#[test]
fn a_histogram_counts_what_is_up_to_each_bound() {
    let some = durations(&[0.5, 0.6, 2.0, 20.0, 20.0, 2000.0]);
    assert_eq!(some.histogram(&[1.0, 10.0, 100.0]), [2, 1, 2, 1]);
}

#[test]
fn names_beyond_the_limit_are_counted_together() {
    let mut groups = Groups::new(2);
    for name in ["a", "b", "c", "b", "d", "a", "b"] {
        groups.add(name, &sample("t", 1.0, Ended::Well));
    }
    let counted: Vec<_> = groups.iter().map(|(name, group)| (*name, group.calls)).collect();
    assert_eq!((counted, groups.others.calls), (vec![("a", 2), ("b", 3)], 2));
    groups.add("a", &sample("t", 1.0, Ended::Failed));
    assert_eq!(groups.worst_first().iter().map(|(name, _)| **name).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn the_slowest_calls_are_kept_the_slowest_first() {
    let mut slowest = Slowest::new(3);
    for (id, took) in [("a", 5.0), ("b", 9.0), ("c", 5.0), ("d", 1.0), ("e", 7.0)] {
        slowest.add(Some(took), Stored::of_call(&call(json!({"id": id, "duration_ms": took}), "ok")));
    }
    slowest.add(None, Stored::of_call(&call(json!({"id": "without an end"}), "killed")));
    let ids: Vec<_> = slowest.calls().map(Stored::id).collect();
    assert_eq!(ids, ["b", "e", "a"]);
}

#[test]
fn the_buckets_of_a_million_calls_are_as_many_as_fit_between_the_bounds() {
    let mut all = Durations::default();
    let mut milliseconds: f64 = 1e-4;
    while milliseconds < 1e12 {
        all.add(milliseconds);
        milliseconds *= 1.00003;
    }
    assert!(all.count() > 1_000_000, "{}", all.count());
    assert!(all.buckets.len() < 1800, "{}", all.buckets.len());
}

proptest! {
    #[test]
    fn percentiles_are_those_of_the_sorted_durations_but_for_the_error(
        mut all in prop::collection::vec(0.002_f64..1e7, 1..300),
        part in 0.0..=1.0_f64,
    ) {
        let found = durations(&all).percentile(part).unwrap();
        all.sort_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = ((part * all.len() as f64).ceil() as usize).max(1);
        let exact = all[rank - 1];
        prop_assert!((found - exact).abs() <= exact * (ERROR + 1e-9), "{} for {}", found, exact);
    }
}
