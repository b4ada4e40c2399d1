//! `cniscope stats`: what it counts, and how.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use cniscope::node::clock;
use serde_json::{Value, json};

use crate::support::{Place, spawn};

/// An end record of a call that began so many seconds after ten o'clock.
fn end(seconds: u64, plugin: &str, command: &str, outcome: &str, cause: Option<&str>, took: f64) -> Value {
    let ten = clock::parse_rfc3339("2026-11-21T10:00:00Z").unwrap();
    json!({
        "schema": 1, "event": "end", "id": format!("019f0000-0000-7000-8000-{seconds:012}"),
        "time": clock::rfc3339(ten + Duration::from_secs(seconds)), "command": command, "plugin": plugin,
        "pod_namespace": "shop", "pod_name": format!("cart-{}", seconds % 3), "container_id": "c1",
        "outcome": outcome, "cause": cause, "duration_ms": took,
    })
}

/// A place whose journal holds these records.
fn recorded(records: impl IntoIterator<Item = Value>) -> Place {
    let place = Place::new();
    fs::create_dir(place.path("log")).unwrap();
    let mut file = std::io::BufWriter::new(fs::File::create(place.path("log/journal.jsonl")).unwrap());
    for record in records {
        writeln!(file, "{record}").unwrap();
    }
    file.into_inner().unwrap();
    place
}

/// A hundred ADDs by bridge of 1 to 100 ms, of which the last five fail; three DELs by calico, one of them killed.
fn history() -> Place {
    let add = |number: u32| {
        let failed = number > 95;
        let (outcome, cause) = if failed { ("failed", Some("ipam-exhausted")) } else { ("ok", None) };
        end(u64::from(number), "bridge", "ADD", outcome, cause, f64::from(number))
    };
    let mut killed = end(4000, "calico", "DEL", "", None, 0.0);
    killed["event"] = json!("begin");
    killed["duration_ms"] = Value::Null;
    let dels =
        [end(3600, "calico", "DEL", "ok", None, 2000.0), end(3601, "calico", "DEL", "ok", None, 3.0), killed];
    recorded((1..=100).map(add).chain(dels))
}

#[test]
fn calls_are_counted_by_plugin_and_verb() {
    let ran = history().cli(&["stats", "--utc"]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r#"
    103 calls, 6 failed (5.8 %); from 11-21 10:00:01.000 to 11-21 11:06:40.000

    PLUGIN  VERB  CALLS  FAILED   RATE     P50    P95     P99     MAX  HISTOGRAM     FIRST               LAST
    bridge  ADD     100       5  5.0 %   50 ms  96 ms  100 ms  100 ms  ·▁▁▃█·······  11-21 10:00:01.000  11-21 10:01:40.000
    calico  DEL       3       1   33 %  3.0 ms  2.0 s   2.0 s   2.0 s  ··█····█····  11-21 11:00:00.000  11-21 11:06:40.000

    failures by cause
    CAUSE           FAILED  SHARE  SUSPECT  FIRST               LAST
    ipam-exhausted       5   83 %           11-21 10:01:36.000  11-21 10:01:40.000
    killed               1   17 %           11-21 11:06:40.000  11-21 11:06:40.000

    how long calls took
      up to 3 ms   2  █
     up to 10 ms   9  █████
     up to 30 ms  19  █████████
    up to 100 ms  71  ████████████████████████████████
    up to 300 ms   0
       up to 1 s   0
       up to 3 s   1  █

    slowest calls
    TIME                VERB  POD          PLUGIN    TOOK  OUTCOME  CAUSE           ID
    11-21 11:00:00.000  DEL   shop/cart-0  calico   2.0 s  ok                       00003600
    11-21 10:01:40.000  ADD   shop/cart-1  bridge  100 ms  failed   ipam-exhausted  00000100
    11-21 10:01:39.000  ADD   shop/cart-0  bridge   99 ms  failed   ipam-exhausted  00000099
    11-21 10:01:38.000  ADD   shop/cart-2  bridge   98 ms  failed   ipam-exhausted  00000098
    11-21 10:01:37.000  ADD   shop/cart-1  bridge   97 ms  failed   ipam-exhausted  00000097
    "#);
}

#[test]
fn filters_choose_what_is_counted() {
    let place = history();
    let counted = |arguments: &[&str]| {
        let document = place.cli(&[&["stats", "-o", "json"], arguments].concat()).json();
        (document["calls"].as_u64().unwrap(), document["failures"].as_u64().unwrap())
    };
    let table: [(&[&str], (u64, u64)); 11] = [
        (&[], (103, 6)),
        (&["--failed"], (6, 6)),
        (&["--plugin", "calico"], (3, 1)),
        (&["--command", "add"], (100, 5)),
        (&["--cause", "ipam-exhausted"], (5, 5)),
        (&["--slower-than", "90ms"], (11, 5)),
        (&["--since", "2026-11-21T10:01:36Z", "--until", "2026-11-21T10:30:00Z"], (5, 5)),
        (&["--pod", "shop/cart-0", "--failed"], (2, 2)),
        (&["--container", "c1"], (103, 6)),
        (&["--suspect"], (0, 0)),
        (&["--pod", "nobody"], (0, 0)),
    ];
    for (arguments, expected) in table {
        assert_eq!(counted(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn calls_are_put_together_by_what_is_asked_for() {
    let place = history();
    let rows = |by: &str| {
        let text = place.cli(&["stats", "--utc", "--by", by]).text();
        let rows = text.lines().skip(2).take_while(|line| !line.is_empty());
        // The last columns are the times, which the first test shows.
        rows.map(|row| row.split("  11-21 ").next().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(["hour", "pod", "cause"].map(rows).join("\n\n"), @r#"
    HOUR         CALLS  FAILED   RATE     P50    P95     P99     MAX  HISTOGRAM     FIRST               LAST
    11-21 10:00    100       5  5.0 %   50 ms  96 ms  100 ms  100 ms  ·▁▁▃█·······
    11-21 11:00      3       1   33 %  3.0 ms  2.0 s   2.0 s   2.0 s  ··█····█····

    POD          CALLS  FAILED   RATE    P50     P95     P99     MAX  HISTOGRAM     FIRST               LAST
    shop/cart-1     36       3  8.3 %  49 ms   98 ms  100 ms  100 ms  ·▁▂▂█·······
    shop/cart-0     34       2  5.9 %  51 ms  100 ms   2.0 s   2.0 s  ··▁▂█··▁····
    shop/cart-2     33       1  3.0 %  50 ms   96 ms   98 ms   98 ms  ·▁▁▃█·······

    CAUSE           CALLS  FAILED   RATE    P50     P95     P99     MAX  HISTOGRAM     FIRST               LAST
    ipam-exhausted      5       5  100 %  98 ms  100 ms  100 ms  100 ms  ····█·······
    killed              1       1  100 %                                 ············
    "#);
}

#[test]
fn a_program_gets_exact_counts_and_percentiles_with_their_error() {
    let document = history().cli(&["stats", "-o", "json"]).json();
    let bridge = &document["groups"][0];
    assert_eq!(
        (
            &bridge["plugin"],
            &bridge["command"],
            &bridge["calls"],
            &bridge["failures"],
            &bridge["failure_rate"]
        ),
        (&json!("bridge"), &json!("ADD"), &json!(100), &json!(5), &json!(0.05))
    );
    for (name, exact) in [("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("max", 100.0)] {
        let found = bridge["duration_ms"][name].as_f64().unwrap();
        let error = document["percentile_error"].as_f64().unwrap();
        assert!((found - exact).abs() <= exact * error, "{name}: {found}");
    }
    let counted: u64 = document["histogram"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| bucket["calls"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, 102, "all but the one that was killed");
    assert_eq!(
        document["causes"],
        json!([
            {"cause": "ipam-exhausted", "failures": 5, "suspects": 0,
             "first": "2026-11-21T10:01:36.000000Z", "last": "2026-11-21T10:01:40.000000Z"},
            {"cause": "killed", "failures": 1, "suspects": 0,
             "first": "2026-11-21T11:06:40.000000Z", "last": "2026-11-21T11:06:40.000000Z"},
        ])
    );
    let slowest: Vec<_> =
        document["slowest"].as_array().unwrap().iter().map(|call| &call["duration_ms"]).collect();
    assert_eq!(slowest, [&json!(2000.0), &json!(100.0), &json!(99.0), &json!(98.0), &json!(97.0)]);
}

#[test]
fn real_calls_are_counted_as_the_journal_lists_them() {
    let place = Place::new();
    place.plugin("good", "echo '{\"cniVersion\":\"1.0.0\"}'");
    place.plugin("bad", "echo '{\"code\":7,\"msg\":\"no\"}'; exit 1");
    for plugin in ["good", "bad", "good"] {
        place.wrapped("ADD", plugin).run();
    }
    let ends = place.ends(3);
    let document = place.cli(&["stats", "-o", "json"]).json();
    let counted: Vec<_> = document["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (
                group["plugin"].as_str().unwrap(),
                group["calls"].as_u64().unwrap(),
                group["failures"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counted, [("bad", 1, 1), ("good", 2, 0)]);
    let longest = ends.iter().map(|end| end["duration_ms"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(document["duration_ms"]["max"], json!(longest));
}

#[test]
fn nothing_that_matches_is_said_and_no_error() {
    let place = history();
    let ran = place.cli(&["stats", "--pod", "nobody"]);
    assert_eq!((ran.status, ran.text()), (0, String::new()));
    assert_eq!(place.steady(&String::from_utf8(ran.stderr).unwrap()), "no call in PLACE/log matches\n");
}

#[test]
fn broken_lines_are_counted() {
    let place = history();
    let mut file = fs::File::options().append(true).open(place.path("log/journal.jsonl")).unwrap();
    file.write_all(b"junk\n{\"id\":\n").unwrap();
    let ran = place.cli(&["stats", "-o", "json"]);
    assert_eq!((ran.status, &ran.json()["broken_lines"]), (0, &json!(2)));
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "2 lines are broken and passed over\n");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = history();
    let mut child = spawn(&mut place.cli_command(&["stats"]));
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn what_began_in_the_future_is_counted_too() {
    let mut late = end(0, "bridge", "ADD", "ok", None, 1.0);
    late["time"] = json!(clock::rfc3339(SystemTime::now() + Duration::from_hours(24)));
    let document = recorded([late]).cli(&["stats", "-o", "json", "--by", "hour"]).json();
    assert_eq!(document["calls"], 1);
}
