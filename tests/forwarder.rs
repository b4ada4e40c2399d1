//! Switched off, cniscope becomes the plugin and does nothing else.

use std::fs;

use serde_json::json;

use crate::support::{Call, Place};

/// The call, on a machine where cniscope is switched off.
fn switched_off(call: Call<'_>) -> Call<'_> {
    call.behind("mount -t tmpfs none /etc; mkdir /etc/cniscope; : >/etc/cniscope/disabled")
}

#[test]
fn every_answer_is_the_plugins_own() {
    for (verb, script) in [
        ("ADD", r#"printf ' {"cniVersion": "1.0.0"}\n\n'; echo words >&2"#),
        ("ADD", r#"echo '{"code":7,"msg":"no"}'; exit 3"#),
        ("DEL", "echo junk; exit 1"),
        ("ADD", "exit 0"),
        ("STATUS", "kill -9 $$"),
    ] {
        let place = Place::new();
        place.plugin("plugin", script);
        let direct = place.direct(verb, "plugin").run();
        let wrapped = switched_off(place.wrapped(verb, "plugin")).run();
        assert_eq!(direct.answer(), wrapped.answer(), "{script}");
        assert!(!place.path("log").exists(), "{script}");
    }
}

#[test]
fn the_plugin_is_the_process_that_the_runtime_started_and_reads_its_own_entry() {
    let place = Place::new();
    place.plugin("plugin", "cat >\"$0.stdin\"; echo $$");
    let read = || fs::read(place.path("bin/plugin.stdin")).unwrap();
    place.direct("DEL", "plugin").large().run();
    let direct = read();
    let child = switched_off(place.wrapped("DEL", "plugin").large()).start();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{pid}\n"));
    assert!(direct.len() > 2_000_000 && direct == read());
}

#[test]
fn version_is_answered_and_a_bad_entry_refused_all_the_same() {
    let place = Place::new();
    let answer = switched_off(place.wrapped("VERSION", "plugin")).run();
    assert_eq!(answer.answer(), place.wrapped("VERSION", "plugin").run().answer());
    let refused = switched_off(place.wrapped("ADD", "plugin").config("cniscope", json!({}))).run();
    assert_eq!(
        refused.answer(),
        (
            1,
            r#"{"cniVersion":"1.0.0","code":7,"msg":"cniscope: \"cniscope\" has no \"wraps\" that is a string: the entry of network \"net\" must name the plugin that it wraps, as {\"type\": \"cniscope\", \"cniscope\": {\"wraps\": \"PLUGIN\"}}"}"#.into(),
            String::new()
        )
    );
    let missing = switched_off(place.wrapped("ADD", "plugin")).run();
    assert_eq!((missing.status, &missing.json()["code"]), (1, &json!(5)));
}
