//! Trace context that a runtime hands on in the environment: what is recorded, what the plugin gets, and what
//! `cniscope journal -o otlp` makes of it.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use crate::support::{Place, eventually, os, spawn};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const GOOD: &str = "echo '{\"cniVersion\":\"1.0.0\"}'";
const BAD: &str = "echo '{\"code\":7,\"msg\":\"no\",\"details\":\"why\"}'; exit 1";

/// What the plugin sees of a variable, byte for byte, and the end record.
fn called_with(name: &str, value: &OsString) -> (Vec<u8>, Value) {
    let place = Place::new();
    let seen = place.path("seen");
    let script = format!("tr '\\0' '\\n' </proc/$$/environ | grep -a ^{name}= >{}; {GOOD}", seen.display());
    place.plugin("good", &script);
    let ran = place.wrapped("ADD", "good").env(name, value).run();
    assert_eq!(ran.answer(), (0, "{\"cniVersion\":\"1.0.0\"}\n".to_owned(), String::new()));
    (fs::read(seen).unwrap(), place.end())
}

#[test]
fn trace_context_reaches_the_plugin_byte_for_byte_and_the_record_whatever_it_is() {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let long = "x".repeat(100_000);
    let table: [(&str, &[u8]); 8] = [
        ("TRACEPARENT", TRACEPARENT.as_bytes()),
        ("TRACEPARENT", b""),
        ("TRACEPARENT", b"nonsense \xff\xfe \x1b[31m {\"a\":"),
        ("TRACESTATE", b"rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"),
        ("TRACESTATE", b"\x80==,,"),
        ("BAGGAGE", b"tenant=shop,user=%E4%BD%A0;p=1"),
        ("BAGGAGE", b"\xc3\x28"),
        ("BAGGAGE", long.as_bytes()),
    ];
    for (name, value) in table {
        let (seen, end) = called_with(name, &os(value));
        assert_eq!(lossy(&seen), lossy(&[name.as_bytes(), b"=", value, b"\n"].concat()));
        assert_eq!(seen.len(), name.len() + value.len() + 2);
        assert_eq!(end["trace"], json!({name.to_lowercase(): lossy(value)}), "{name}");
        assert_eq!(end["outcome"], "ok");
    }
}

#[test]
fn secrets_in_baggage_are_not_recorded() {
    let (seen, end) = called_with("BAGGAGE", &"user=me,token=ghp_0123456789abcdefghij".into());
    assert_eq!(seen, b"BAGGAGE=user=me,token=ghp_0123456789abcdefghij\n");
    assert!(!end.to_string().contains("ghp_"), "{end}");
    assert!(end["trace"]["baggage"].as_str().unwrap().contains("user=me"), "{end}");
}

/// A place with a failed call that is part of a trace, and a good one that is part of none.
fn history() -> (Place, Vec<Value>) {
    let place = Place::new();
    place.plugin("good", GOOD);
    place.plugin("bad", BAD);
    let args = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart;K8S_POD_UID=uid-1";
    place.wrapped("ADD", "bad").env("TRACEPARENT", TRACEPARENT).env("CNI_ARGS", args).run();
    place.ends(1);
    place.wrapped("DEL", "good").run();
    let ends = place.ends(2);
    (place, ends)
}

/// The documents that these arguments give.
fn documents(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let ran = place.cli(&[&["journal", "-o", "otlp"], arguments].concat());
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()), "{arguments:?}");
    ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn spans(document: &Value) -> &[Value] {
    document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap()
}

/// The nanoseconds between the begin and the end of a span, in milliseconds.
fn took(span: &Value) -> f64 {
    let time = |field: &str| span[field].as_str().unwrap().parse::<u64>().unwrap();
    std::time::Duration::from_nanos(time("endTimeUnixNano") - time("startTimeUnixNano")).as_secs_f64() * 1e3
}

#[test]
fn a_call_is_a_span_with_the_times_of_its_record() {
    let (place, ends) = history();
    let documents = documents(&place, &[]);
    let of_number = |number: usize| spans(&documents[number]);
    let names =
        |number| of_number(number).iter().map(|span| span["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names(0), ["ADD bad", "preflight", "bad", "diagnosis"]);
    assert_eq!(names(1), ["DEL good", "preflight", "good"]);
    let failed = of_number(0);
    for (span, field) in [(0, "duration_ms"), (1, "plugin_after_ms"), (2, "plugin_ms")] {
        assert!((took(&failed[span]) - ends[0][field].as_f64().unwrap()).abs() < 0.002, "{field}");
    }
    for pair in failed[1..].windows(2) {
        assert_eq!(pair[0]["endTimeUnixNano"], pair[1]["startTimeUnixNano"]);
    }
    assert_eq!(failed[3]["endTimeUnixNano"], failed[0]["endTimeUnixNano"]);
    assert_eq!(failed[0]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(failed[0]["parentSpanId"], "00f067aa0ba902b7");
    let id = ends[1]["id"].as_str().unwrap().replace('-', "");
    assert_eq!((&of_number(1)[0]["traceId"], &of_number(1)[0]["parentSpanId"]), (&json!(id), &Value::Null));
}

#[test]
fn every_attribute_of_a_span_stands_in_the_documentation() {
    let told = include_str!("../docs/tracing.md");
    let (place, _) = history();
    let documents = documents(&place, &[]);
    let resources = documents.iter().map(|document| &document["resourceSpans"][0]["resource"]);
    let attributes = resources.chain(documents.iter().flat_map(spans)).map(|part| &part["attributes"]);
    let attributes: Vec<&str> = attributes
        .flat_map(|attributes| attributes.as_array().into_iter().flatten())
        .map(|attribute| attribute["key"].as_str().unwrap())
        .collect();
    assert!(attributes.len() > 40, "{attributes:?}");
    let untold: Vec<&&str> =
        attributes.iter().filter(|attribute| !told.contains(&format!("`{attribute}`"))).collect();
    assert_eq!(untold, Vec::<&&str>::new());
}

#[test]
fn the_filters_of_the_journal_hold_for_spans_too() {
    let (place, _) = history();
    let all = documents(&place, &[]);
    let table: [(&[&str], &[usize]); 6] = [
        (&[], &[0, 1]),
        (&["--failed"], &[0]),
        (&["--plugin", "good"], &[1]),
        (&["--pod", "shop/cart"], &[0]),
        (&["-n", "1"], &[1]),
        (&["--cause", "ipam-exhausted"], &[]),
    ];
    for (arguments, numbers) in table {
        let expected: Vec<Value> = numbers.iter().map(|number| all[*number].clone()).collect();
        assert_eq!(documents(&place, arguments), expected, "{arguments:?}");
    }
}

#[test]
fn spans_are_followed_as_calls_end_and_a_hanging_delegate_is_an_event_in_them() {
    let place = Place::new();
    // It is looked at shortly before its deadline.
    place.plugin("slow", "exec sleep 5");
    place.settings(&json!({"deadlineSeconds": {"DEL": 1}}));
    let mut command = place.cli_command(&["journal", "-f", "-o", "otlp"]);
    let mut follower = spawn(&mut command);
    let (sender, lines) = std::sync::mpsc::channel();
    let stdout = follower.stdout.take().unwrap();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let line = eventually(|| {
        // The first call may end before the journal is followed.
        place.wrapped("DEL", "slow").run();
        lines.recv_timeout(std::time::Duration::from_secs(2)).ok()
    });
    follower.kill().unwrap();
    follower.wait().unwrap();
    let document: Value = serde_json::from_str(&line).unwrap();
    let delegate = &spans(&document)[2];
    assert_eq!((&delegate["name"], &delegate["events"][0]["name"]), (&json!("slow"), &json!("stall")));
}

#[test]
fn a_call_that_runs_is_no_span_and_one_that_was_killed_is_an_error() {
    let place = Place::new();
    place.plugin("hanging", "echo >\"$0.started\"; exec sleep 60");
    let mut child = place.wrapped("DEL", "hanging").start();
    eventually(|| place.path("bin/hanging.started").exists().then_some(()));
    eventually(|| place.path("log/journal.jsonl").exists().then_some(()));
    assert_eq!(documents(&place, &[]), Vec::<Value>::new());
    child.kill().unwrap();
    child.wait().unwrap();
    let documents = eventually(|| Some(documents(&place, &[])).filter(|documents| !documents.is_empty()));
    let whole = &spans(&documents[0])[0];
    assert_eq!(whole["status"], json!({"code": 2, "message": "killed"}));
}
