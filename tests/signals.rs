//! Signals to cniscope, and its death.

use std::fs;
use std::process::Child;

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::processes::Left;
use crate::support::{Call, Place, eventually};

/// Starts a call, and waits until its plugin has written its id.
fn started(place: &Place, call: Call<'_>) -> (Child, Left) {
    let child = call.start();
    (child, Left::of(place, "plugin.pid"))
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_plugin_dies_with_cniscope_and_the_call_shows_as_killed() {
    let place = Place::new();
    place.plugin("plugin", "echo $$ >\"$0.pid\"; exec sleep 60");
    let (mut child, plugin) = started(&place, place.wrapped("ADD", "plugin"));
    let begin = eventually(|| {
        place.path("log/journal.jsonl").exists().then(|| place.records()).filter(|all| !all.is_empty())
    })
    .remove(0);
    let shown = |outcome: &str| {
        let mut call = begin.clone();
        call["outcome"] = json!(outcome);
        json!([call])
    };
    assert_eq!(place.cli(&["journal", "-o", "json"]).json(), shown("running"));
    send(&child, Signal::SIGKILL);
    child.wait().unwrap();
    eventually(|| (!plugin.is_alive()).then_some(()));
    assert_eq!(place.cli(&["journal", "-o", "json"]).json(), shown("killed"));
    assert_eq!(place.cli(&["journal", "--failed", "-o", "json"]).json(), shown("killed"));
}

#[test]
fn what_the_plugin_has_started_outlives_cniscope_as_it_would_outlive_the_plugin() {
    let place = Place::new();
    place.plugin("plugin", "sleep 60 & echo $! >\"$0.child\"; echo $$ >\"$0.pid\"; wait");
    let (mut child, plugin) = started(&place, place.wrapped("ADD", "plugin"));
    send(&child, Signal::SIGKILL);
    child.wait().unwrap();
    eventually(|| (!plugin.is_alive()).then_some(()));
    assert!(Left::of(&place, "plugin.child").is_alive());
}

/// A call whose process does not ignore a signal: what a shell starts in the background ignores SIGINT, and so does all that it
/// starts in its turn.
#[allow(unsafe_code, reason = "only the new process' own signals are set")]
fn heeding(mut call: Call<'_>, heeded: Signal) -> Call<'_> {
    let heed = move || {
        // SAFETY: no handler is installed.
        unsafe { signal(heeded, SigHandler::SigDfl) }?;
        Ok(())
    };
    // SAFETY: one system call.
    unsafe { std::os::unix::process::CommandExt::pre_exec(call.command(), heed) };
    call
}

#[test]
fn a_signal_is_passed_on_and_the_call_was_interrupted() {
    for (sent, status, text) in [
        (Signal::SIGTERM, 143, "terminated"),
        (Signal::SIGINT, 130, "interrupt"),
        (Signal::SIGHUP, 129, "hangup"),
    ] {
        let place = Place::new();
        place.plugin("plugin", "echo $$ >\"$0.pid\"; exec sleep 60");
        let (child, plugin) = started(&place, heeding(place.wrapped("ADD", "plugin"), sent));
        send(&child, sent);
        let output = child.wait_with_output().unwrap();
        assert!(!plugin.is_alive());
        assert_eq!(output.status.code(), Some(status));
        let msg = format!(
            "plugin type=\"plugin\" failed (add): netplugin failed with no error message: signal: {text}"
        );
        let end = place.end();
        assert_eq!(
            (&end["outcome"], &end["returned"]["msg"], &end["signal"]),
            (&json!("interrupted"), &json!(msg), &json!(status - 128))
        );
        let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&error["msg"], &error["code"]), (&json!(msg), &json!(999)));
    }
}

#[test]
fn a_plugin_that_handles_a_signal_has_its_answer() {
    let script =
        |answer: &str| format!("trap '{answer}' TERM; echo $$ >\"$0.pid\"; while :; do sleep 0.01; done");
    for (answer, status, stdout) in [
        ("echo {}; exit 0", 0, "{}\n"),
        (r#"echo "{\"code\":11,\"msg\":\"stopped\"}"; exit 1"#, 1, "{\"code\":11,\"msg\":\"stopped\"}\n"),
    ] {
        let place = Place::new();
        place.plugin("plugin", &script(answer));
        for call in
            [place.direct("ADD", "plugin"), place.wrapped("ADD", "plugin").entry("enrich", json!(false))]
        {
            let _ = fs::remove_file(place.path("bin/plugin.pid"));
            let (child, _plugin) = started(&place, call);
            send(&child, Signal::SIGTERM);
            let output = child.wait_with_output().unwrap();
            assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(status), stdout.as_bytes()));
        }
    }
}

#[test]
fn an_ignored_sighup_stays_ignored() {
    let place = Place::new();
    place.plugin("plugin", "echo $$ >\"$0.pid\"; until [ -e \"$0.go\" ]; do sleep 0.01; done; echo '{}'");
    let mut call = place.wrapped("ADD", "plugin");
    let ignore = || {
        // SAFETY: no handler is installed.
        unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }?;
        Ok(())
    };
    // SAFETY: one system call.
    unsafe { std::os::unix::process::CommandExt::pre_exec(call.command(), ignore) };
    let (child, plugin) = started(&place, call);
    send(&child, Signal::SIGHUP);
    plugin.send(Signal::SIGHUP);
    fs::write(place.path("bin/plugin.go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"{}\n".as_slice()));
    assert_eq!(place.end()["outcome"], "ok");
}
