use super::super::delegate::{Capture, Keeps, Used};
use super::*;
use crate::cni::environment::Environment;
use std::ffi::OsString;
use std::time::Instant;

fn request(verb: &str, entry: &str) -> Request {
    let environment = Environment::read(|name| (name == "CNI_COMMAND").then(|| OsString::from(verb)));
    Request::new(Instant::now(), environment, entry.as_bytes().to_vec())
}

fn calico(verb: &str) -> Request {
    request(verb, r#"{"cniVersion":"1.0.0","name":"net","cniscope":{"wraps":"calico"}}"#)
}

fn ended(end: End, stdout: &str, stderr: &str) -> Ended {
    let capture = |text: &str| {
        let mut capture = Capture::new(1 << 20, Keeps::Start);
        capture.push(text.as_bytes());
        capture
    };
    Ended {
        pid: 7,
        end,
        at_deadline: false,
        interrupted: None,
        stdout: capture(stdout),
        stderr: capture(stderr),
        started: std::time::Instant::now(),
        took: Duration::from_secs(2),
        used: Used::default(),
    }
}

const KILLED: End = End::Signaled { signal: 9, core_dumped: false };

/// What the runtime gets for a delegate that ended like this: outcome, status, msg and details. `None` where the
/// delegate's own output is the answer.
fn answer(verb: &str, ended: &Ended) -> (Outcome, u8, Option<(String, String)>) {
    let request = calico(verb);
    let judged = judge(&request, ended, Some(Duration::from_millis(1500)));
    let error = judged.failure.map(|failure| {
        let error = compose(&request, &failure, Some("[cniscope: x]"), None);
        (error.msg, error.details)
    });
    (judged.outcome, judged.status, error)
}

fn text(msg: &str, details: &str) -> (String, String) {
    (msg.to_owned(), details.to_owned())
}

#[test]
fn what_libcni_can_decode_is_passed_on() {
    for (verb, stdout) in [
        ("ADD", " {\"cniVersion\":\"1.0.0\"}\n"),
        ("ADD", "null"),
        ("CHECK", "OK"),
        ("DEL", ""),
        ("GC", "{}{}"),
    ] {
        assert_eq!(
            answer(verb, &ended(End::Exited(0), stdout, "warning")),
            (Outcome::Ok, 0, None),
            "{verb} {stdout}"
        );
    }
}

#[test]
fn a_good_exit_with_a_result_that_libcni_cannot_decode_is_an_error() {
    let table = [
        ("", "failed to unmarshal raw result: unexpected end of JSON input"),
        ("OK", "failed to unmarshal raw result: invalid character 'O' looking for beginning of value"),
        ("{}{}", "failed to unmarshal raw result: invalid character '{' after top-level value"),
        (
            "[]",
            "failed to unmarshal raw result: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
    ];
    for (stdout, why) in table {
        let msg = format!("plugin type=\"calico\" failed (add): {why}");
        assert_eq!(
            answer("ADD", &ended(End::Exited(0), stdout, "")),
            (Outcome::Crashed, 1, Some(text(&msg, "[cniscope: x]")))
        );
    }
}

#[test]
fn the_delegates_error_stays_whole_behind_libcnis_prefix() {
    let error = |stdout: &str| ended(End::Exited(3), stdout, "noise on stderr");
    let table = [
        ("ADD", r#"{"code":7,"msg":"no"}"#, "plugin type=\"calico\" failed (add): no", "[cniscope: x]"),
        (
            "DEL",
            r#"{"code":7,"msg":"no","details":"why"}"#,
            "plugin type=\"calico\" failed (delete): no",
            "why [cniscope: x]",
        ),
        ("CHECK", r#"{"code":7,"msg":"no"}"#, "no", "[cniscope: x]"),
        ("STATUS", r#"{"msg":"","details":"why"}"#, "", "why [cniscope: x]"),
    ];
    for (verb, stdout, msg, details) in table {
        assert_eq!(answer(verb, &error(stdout)), (Outcome::Failed, 3, Some(text(msg, details))), "{verb}");
    }
}

#[test]
fn code_and_version_stay_as_they_were() {
    let request = calico("ADD");
    for (stdout, expected) in [
        (
            r#"{"cniVersion":"0.4.0","code":110,"msg":"a"}"#,
            r#"{"cniVersion":"0.4.0","code":110,"msg":"plugin type=\"calico\" failed (add): a"}"#,
        ),
        (r#"{"msg":"a"}"#, r#"{"msg":"plugin type=\"calico\" failed (add): a"}"#),
    ] {
        let failure = judge(&request, &ended(End::Exited(1), stdout, ""), None).failure.unwrap();
        assert_eq!(compose(&request, &failure, None, None).to_json(), expected);
    }
}

#[test]
fn the_networks_name_stands_in_the_prefix_where_the_entry_was_a_single_one() {
    let request = request("ADD", r#"{"name":"my net","cniscope":{"wraps":"calico","named":true}}"#);
    let failure = judge(&request, &ended(End::Exited(1), r#"{"msg":"a"}"#, ""), None).failure.unwrap();
    assert_eq!(
        compose(&request, &failure, None, None).msg,
        "plugin type=\"calico\" name=\"my net\" failed (add): a"
    );
}

#[test]
fn crashes_hold_libcnis_text_the_end_and_the_last_words() {
    let prefix = "plugin type=\"calico\" failed (add): ";
    let table = [
        (End::Exited(2), "", "", "netplugin failed with no error message: exit status 2", "[cniscope: x]", 2),
        (KILLED, "", "", "netplugin failed with no error message: signal: killed", "[cniscope: x]", 137),
        (
            End::Exited(2),
            "",
            "panic: no\n",
            r#"netplugin failed: "panic: no\n": exit status 2"#,
            "[cniscope: x]",
            2,
        ),
        (
            End::Exited(1),
            "junk {\"msg\":\"a\"}",
            "last words",
            r#"netplugin failed but error parsing its diagnostic message "junk {\"msg\":\"a\"}": invalid character 'j' looking for beginning of value"#,
            r#"exit status 1; stderr: "last words" [cniscope: x]"#,
            1,
        ),
        (
            End::Exited(1),
            "{\"cniVersion\":\"1.0.0\"}{\"msg\":\"netns\"}",
            "",
            r#"netplugin failed but error parsing its diagnostic message "{\"cniVersion\":\"1.0.0\"}{\"msg\":\"netns\"}": invalid character '{' after top-level value"#,
            "exit status 1 [cniscope: x]",
            1,
        ),
        (
            End::Exited(1),
            "{\"code\":\"seven\",\"msg\":\"a\"}",
            "",
            r#"netplugin failed but error parsing its diagnostic message "{\"code\":\"seven\",\"msg\":\"a\"}": json: cannot unmarshal string into Go struct field Error.code of type uint"#,
            "exit status 1 [cniscope: x]",
            1,
        ),
    ];
    for (end, stdout, stderr, msg, details, status) in table {
        let expected = (Outcome::Crashed, status, Some(text(&format!("{prefix}{msg}"), details)));
        assert_eq!(answer("ADD", &ended(end, stdout, stderr)), expected);
    }
}

#[test]
fn an_error_that_was_printed_before_a_signal_is_the_error() {
    let died = ended(KILLED, r#"{"code":7,"msg":"no"}"#, "");
    assert_eq!(answer("ADD", &died).0, Outcome::Crashed);
    assert_eq!(answer("ADD", &died).2.unwrap().0, "plugin type=\"calico\" failed (add): no");
}

#[test]
fn only_the_end_of_a_long_stderr_is_added() {
    let request = calico("ADD");
    let died = ended(End::Exited(1), "junk", &format!("{}the end", "x".repeat(5000)));
    let failure = judge(&request, &died, None).failure.unwrap();
    assert!(failure.error.details.len() < 1100 && failure.error.details.ends_with("the end\""));
}

#[test]
fn the_deadline_names_the_plugin_the_time_and_what_it_waited_for() {
    let late = |end, stdout: &str| Ended { at_deadline: true, ..ended(end, stdout, "waiting") };
    for (verb, code, prefix) in [("ADD", 11, "plugin type=\"calico\" failed (add): "), ("STATUS", 50, "")] {
        let request = calico(verb);
        let judged = judge(&request, &late(KILLED, ""), Some(Duration::from_millis(1500)));
        let failure = judged.failure.unwrap();
        let error = compose(&request, &failure, Some("[cniscope: x]"), Some("the lock on /run/xtables.lock"));
        assert_eq!((judged.outcome, judged.status, error.code), (Outcome::Deadline, 137, Some(code)));
        assert_eq!(
            error.msg,
            format!(
                "{prefix}calico did not end within 1.5 s and was stopped; it was waiting for the lock on /run/xtables.lock"
            )
        );
        assert_eq!(error.details, "stderr: \"waiting\" [cniscope: x]");
    }
    // It ended well while it was being stopped: its answer stands.
    assert_eq!(answer("ADD", &late(End::Exited(0), "{}")), (Outcome::Ok, 0, None));
    // Nothing that it printed is an answer.
    assert_eq!(answer("ADD", &late(End::Exited(0), "")).1, 1);
}

#[test]
fn an_interruption_is_told_from_a_failure() {
    let stopped = Ended {
        interrupted: Some(nix::sys::signal::Signal::SIGTERM),
        ..ended(End::Signaled { signal: 15, core_dumped: false }, "", "")
    };
    let (outcome, status, error) = answer("ADD", &stopped);
    assert_eq!((outcome, status), (Outcome::Interrupted, 143));
    assert_eq!(
        error.unwrap().0,
        "plugin type=\"calico\" failed (add): netplugin failed with no error message: signal: terminated"
    );
}

/// go-cni takes a DEL for a good one if its error has one of these phrases.
#[test]
fn on_del_no_phrase_that_is_swallowed_comes_in_or_goes() {
    let request = calico("DEL");
    let bracket = "[cniscope: plugin-not-found: x not found, no such file or directory]";
    let composed = |stdout: &str, stderr: &str| {
        let failure = judge(&request, &ended(End::Exited(1), stdout, stderr), None).failure.unwrap();
        compose(&request, &failure, Some(bracket), None).text()
    };
    let swallowed = |text: &str| SWALLOWED.map(|(phrase, _)| text.contains(phrase));
    let error = composed(r#"{"msg":"busy"}"#, "");
    assert_eq!(swallowed(&error), [false, false], "{error}");
    assert!(error.contains("busy; [cniscope: plugin-not-found: x not-found, no such file]"), "{error}");
    let junk = composed("junk", "open /x: no such file or directory");
    assert_eq!(swallowed(&junk), [false, false], "{junk}");
    let own = composed(r#"{"msg":"link not found"}"#, "");
    assert_eq!(swallowed(&own), [true, false], "{own}");
    // Without stdout libcni shows stderr itself.
    let shown = composed("", "open /x: no such file or directory");
    assert_eq!(swallowed(&shown), [false, true], "{shown}");
    assert!(
        compose(
            &calico("ADD"),
            &judge(&request, &ended(End::Exited(1), r#"{"msg":"busy"}"#, ""), None).failure.unwrap(),
            Some(bracket),
            None
        )
        .details
        .contains("not found")
    );
}
