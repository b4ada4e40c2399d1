//! A plugin that hangs: it is stopped at the deadline, and the error says what it was waiting for.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::processes::Left;
use crate::support::{Call, Place};

/// In seconds: a plugin that is read from a cold disk must have come to where it hangs by then.
const DEADLINE: u64 = 3;

/// A call of the plugin with that deadline.
fn short<'a>(place: &'a Place, verb: &str) -> Call<'a> {
    place.wrapped(verb, "plugin").entry("deadlineSeconds", json!({ verb: DEADLINE }))
}

/// The error for a plugin that hangs.
fn error(place: &Place, prefix: &str, code: u64, waiting_for: &str, words: &str) -> Value {
    let end = place.end();
    let id = end["id"].as_str().unwrap();
    json!({
        "cniVersion": "1.0.0",
        "code": code,
        "msg": format!("{prefix}plugin did not end within {DEADLINE} s and was stopped{waiting_for}"),
        "details": format!("{words}[cniscope: plugin-timeout: the plugin was stopped after {DEADLINE} s; fix: see what the plugin was waiting for: cniscope show; see: cniscope show {id}]"),
    })
}

#[test]
fn at_the_deadline_the_plugin_is_terminated() {
    for (verb, code, prefix) in [
        ("ADD", 11, "plugin type=\"plugin\" failed (add): "),
        ("DEL", 11, "plugin type=\"plugin\" failed (delete): "),
        ("STATUS", 50, ""),
    ] {
        let place = Place::new();
        place.plugin("plugin", "echo $$ >\"$0.pid\"; echo words >&2; exec sleep 60");
        let ran = short(&place, verb).secluded().run();
        assert_eq!(ran.json(), error(&place, prefix, code, "", "stderr: \"words\\n\" "));
        assert_eq!((ran.status, ran.stderr.as_slice()), (143, b"words\n".as_slice()));
        assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
        assert!(!Left::of(&place, "plugin.pid").is_alive());
        let end = place.end();
        assert_eq!(
            (&end["outcome"], &end["signal"], &end["cause"]),
            (&json!("deadline"), &json!(15), &json!("plugin-timeout"))
        );
    }
}

#[test]
fn a_plugin_that_ignores_sigterm_is_killed_two_seconds_later() {
    let place = Place::new();
    place.plugin("plugin", "trap '' TERM; echo $$ >\"$0.pid\"; exec sleep 60");
    let ran = short(&place, "ADD").run();
    assert_eq!(ran.json(), error(&place, "plugin type=\"plugin\" failed (add): ", 11, "", ""));
    assert_eq!(ran.status, 137);
    assert!(
        ran.took >= Duration::from_secs(DEADLINE + 2) && ran.took < Duration::from_secs(25),
        "{:?}",
        ran.took
    );
    assert!(!Left::of(&place, "plugin.pid").is_alive());
}

#[test]
fn what_the_plugin_has_started_ends_with_it() {
    for (ignore, status) in [("", 143), ("trap '' TERM; ", 137)] {
        let place = Place::new();
        place.plugin("plugin", &format!("{ignore}sleep 60 & echo $! >\"$0.child\"; wait"));
        let ran = short(&place, "ADD").run();
        assert_eq!(ran.status, status);
        assert!(!Left::of(&place, "plugin.child").is_alive(), "{ignore}");
    }
}

#[test]
fn a_child_that_ignores_sigterm_does_not_outlive_the_deadline() {
    let place = Place::new();
    place.plugin("plugin", "(trap '' TERM; exec sleep 60) & echo $! >\"$0.child\"; wait");
    let ran = short(&place, "ADD").run();
    assert_eq!(ran.json()["code"], 11);
    assert!(!Left::of(&place, "plugin.child").is_alive());
}

#[test]
fn a_plugin_that_ends_well_at_the_deadline_has_its_answer() {
    let place = Place::new();
    place.plugin("plugin", "trap 'echo {}; exit 0' TERM; sleep 60 & wait");
    assert_eq!(short(&place, "ADD").run().answer(), (0, "{}\n".into(), String::new()));
    assert_eq!(place.end()["outcome"], "ok");
}

#[test]
fn the_lock_that_the_plugin_waits_for_is_named() {
    let place = Place::new();
    let lock = place.path("lock");
    let file = fs::File::create(&lock).unwrap();
    let _held = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    place.plugin("plugin", &format!("flock '{}' true", lock.display()));
    let ran = short(&place, "ADD").run();
    let waiting = format!("; it was waiting for the lock on {}", lock.display());
    assert_eq!(ran.json(), error(&place, "plugin type=\"plugin\" failed (add): ", 11, &waiting, ""));
    let stall = place.records().into_iter().find(|record| record["event"] == "stall").unwrap();
    let last = stall["snapshot"]["processes"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["name"], &last["waits_for_lock"]["path"], &last["waits_for_lock"]["holder_pid"]),
        (&json!("flock"), &json!(lock), &json!(std::process::id()))
    );
}

#[test]
fn a_deadline_of_zero_is_none() {
    let place = Place::new();
    place.settings(&json!({"deadlineSeconds": {"ADD": 0.1}}));
    place.plugin("plugin", "sleep 0.5; echo '{}'");
    let ran = place.wrapped("ADD", "plugin").entry("deadlineSeconds", json!({"ADD": 0})).run();
    assert_eq!(ran.answer(), (0, "{}\n".into(), String::new()));
}

#[test]
fn an_output_that_never_comes_is_waited_for_until_the_deadline() {
    let place = Place::new();
    place.plugin("plugin", "sleep 60 & echo $! >\"$0.child\"; printf '{'");
    let ran = short(&place, "ADD").run();
    let left = Left::of(&place, "plugin.child");
    let msg =
        "plugin type=\"plugin\" failed (add): failed to unmarshal raw result: unexpected end of JSON input";
    assert_eq!((ran.status, &ran.json()["msg"]), (1, &json!(msg)));
    assert!(
        ran.took >= Duration::from_secs(DEADLINE) && ran.took < Duration::from_secs(20),
        "{:?}",
        ran.took
    );
    assert!(left.is_alive(), "a normal end stops nobody");
}
