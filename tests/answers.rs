//! What the runtime gets for what a plugin does: its own answer, or libcni's words with the cause.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Place, eventually, os, spawn};

const UNKNOWN: &str = "[cniscope: unknown cause; ruled out: plugin-binary, config; see: cniscope show ID]";

/// The bracket for a plugin that ended like this.
fn crashed(how: &str) -> String {
    format!(
        "[cniscope: plugin-crashed: the plugin ended with {how}; fix: read what the plugin printed: cniscope show; see: cniscope show ID]"
    )
}

/// The answer to a plugin of this script through cniscope: exit status and stdout, and the outcome in the record.
fn wrapped(verb: &str, script: &str) -> (i32, String, Value) {
    let place = Place::new();
    place.plugin("plugin", script);
    let ran = place.wrapped(verb, "plugin").secluded().run();
    (ran.status, place.steady(&ran.text()), place.end()["outcome"].take())
}

/// An error that is made up for a plugin which printed none.
fn made_up(msg: &str, details: &str) -> String {
    json!({"cniVersion": "1.0.0", "code": 999, "msg": msg, "details": details}).to_string()
}

#[test]
fn a_good_answer_stays_byte_for_byte() {
    for (verb, script) in [
        ("ADD", r#"printf ' {"cniVersion": "1.0.0",\n"a":1,"a":1.0}\n\n'; echo warning >&2"#),
        ("ADD", r#"printf '{"cniVersion":"1.0.0","x":"\377\\ud800"}'"#),
        ("ADD", "echo null"),
        ("CHECK", "echo OK"),
        ("DEL", "echo '{}{}'"),
        ("GC", r"printf '\377'"),
        ("STATUS", "exit 0"),
        ("PONDER", "echo unheard of"),
    ] {
        let place = Place::new();
        place.plugin("plugin", script);
        let direct = place.direct(verb, "plugin").run();
        let wrapped = place.wrapped(verb, "plugin").secluded().run();
        assert_eq!(wrapped.status, 0, "{verb} {script}");
        assert_eq!(direct.stdout, wrapped.stdout, "{verb} {script}");
        assert_eq!(direct.stderr, wrapped.stderr, "{verb} {script}");
    }
}

#[test]
fn an_error_stays_whole_behind_libcnis_prefix_and_keeps_code_and_status() {
    let table = [
        (
            r#"{"cniVersion":"0.4.0","code":110,"msg":"no","details":"open /x: denied"}"#,
            r#"{"cniVersion":"0.4.0","code":110,"msg":"plugin type=\"plugin\" failed (add): no","details":"open /x: denied "#,
        ),
        (
            r#"{"code":7,"msg":"a\tb"}"#,
            r#"{"code":7,"msg":"plugin type=\"plugin\" failed (add): a\tb","details":""#,
        ),
        (r#"{"msg":"no code"}"#, r#"{"msg":"plugin type=\"plugin\" failed (add): no code","details":""#),
    ];
    for (error, start) in table {
        let answer = wrapped("ADD", &format!("cat <<'end'\n{error}\nend\nexit 3"));
        assert_eq!(answer, (3, format!("{start}{UNKNOWN}\"}}"), json!("failed")));
    }
}

#[test]
fn a_prefix_stands_where_libcni_writes_one() {
    for (verb, prefix) in [
        ("ADD", "plugin type=\"plugin\" failed (add): "),
        ("DEL", "plugin type=\"plugin\" failed (delete): "),
        ("CHECK", ""),
        ("GC", ""),
        ("STATUS", ""),
    ] {
        let (_, error, _) = wrapped(verb, r#"echo '{"code":50,"msg":"no"}'; exit 1"#);
        let expected = json!({"code": 50, "msg": format!("{prefix}no"), "details": UNKNOWN});
        assert_eq!(error, expected.to_string(), "{verb}");
        let (_, error, _) = wrapped(verb, "echo words >&2; exit 1");
        let msg = format!("{prefix}netplugin failed: \"words\\n\": exit status 1");
        assert_eq!(error, made_up(&msg, &crashed("exit status 1 and printed no CNI error")), "{verb}");
    }
}

#[test]
fn the_networks_name_stands_in_the_prefix_of_an_entry_that_is_named() {
    let place = Place::new();
    place.plugin("plugin", r#"echo '{"code":7,"msg":"no"}'; exit 1"#);
    let ran = place.wrapped("DEL", "plugin").entry("named", json!(true)).run();
    let msg = "plugin type=\"plugin\" name=\"net\" failed (delete): no";
    let expected = json!({"code": 7, "msg": msg, "details": UNKNOWN}).to_string();
    assert_eq!((ran.status, place.steady(&ran.text())), (1, expected));
}

#[test]
fn a_plugin_that_fails_without_an_error_gets_libcnis_text_its_end_and_its_last_words() {
    let parse = "netplugin failed but error parsing its diagnostic message";
    let table: [(&str, i32, String, &str, &str); 9] = [
        (
            "echo junk; echo words >&2; exit 1",
            1,
            format!(r#"{parse} "junk\n": invalid character 'j' looking for beginning of value"#),
            r#"exit status 1; stderr: "words\n" "#,
            "exit status 1",
        ),
        (
            r#"printf 'junk {"msg":"a"}'; exit 4"#,
            4,
            format!(
                r#"{parse} "junk {{\"msg\":\"a\"}}": invalid character 'j' looking for beginning of value"#
            ),
            "exit status 4 ",
            "exit status 4",
        ),
        (
            r#"printf '{"code":8}{"msg":"a"}'; exit 1"#,
            1,
            format!(
                r#"{parse} "{{\"code\":8}}{{\"msg\":\"a\"}}": invalid character '{{' after top-level value"#
            ),
            "exit status 1 ",
            "exit status 1",
        ),
        (
            r"printf 'j\377k'; exit 1",
            1,
            format!(r#"{parse} "j\xffk": invalid character 'j' looking for beginning of value"#),
            "exit status 1 ",
            "exit status 1",
        ),
        ("exit 3", 3, "netplugin failed with no error message: exit status 3".into(), "", "exit status 3"),
        (
            r"printf 'w\377rds' >&2; exit 3",
            3,
            r#"netplugin failed: "w\xffrds": exit status 3"#.into(),
            "",
            "exit status 3",
        ),
        (
            "kill -9 $$",
            137,
            "netplugin failed with no error message: signal: killed".into(),
            "",
            "signal: killed",
        ),
        (
            "ulimit -c 0; echo words >&2; kill -SEGV $$",
            139,
            r#"netplugin failed: "words\n": signal: segmentation fault"#.into(),
            "",
            "signal: segmentation fault",
        ),
        (
            "printf half; kill -TERM $$",
            143,
            format!(r#"{parse} "half": invalid character 'h' looking for beginning of value"#),
            "signal: terminated ",
            "signal: terminated",
        ),
    ];
    for (script, status, msg, words, end) in table {
        let msg = format!("plugin type=\"plugin\" failed (add): {msg}");
        let details = format!("{words}{}", crashed(&format!("{end} and printed no CNI error")));
        assert_eq!(wrapped("ADD", script), (status, made_up(&msg, &details), json!("crashed")), "{script}");
    }
}

#[test]
fn an_add_that_exits_well_without_a_result_is_an_error() {
    for (script, why) in [
        ("exit 0", "unexpected end of JSON input"),
        ("echo OK", "invalid character 'O' looking for beginning of value"),
        ("echo '{} {}'", "invalid character '{' after top-level value"),
        ("echo '[]'", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ] {
        let msg = format!("plugin type=\"plugin\" failed (add): failed to unmarshal raw result: {why}");
        let details = crashed(&format!("exit status 0, but its result cannot be decoded: {why}"));
        assert_eq!(wrapped("ADD", script), (1, made_up(&msg, &details), json!("crashed")), "{script}");
    }
}

#[test]
fn without_enrichment_a_failure_stays_byte_for_byte() {
    for (verb, script) in [
        ("ADD", r#"printf ' {"msg" : "no", "code":7}\n'; echo words >&2; exit 3"#),
        ("DEL", "echo junk; exit 1"),
        ("ADD", r#"printf '{}{"msg":"\377"}'; exit 1"#),
        ("STATUS", "exit 2"),
        ("ADD", "kill -9 $$"),
    ] {
        let place = Place::new();
        place.plugin("plugin", script);
        let direct = place.direct(verb, "plugin").run();
        let wrapped = place.wrapped(verb, "plugin").entry("enrich", json!(false)).secluded().run();
        assert_eq!((direct.status, &direct.stdout), (wrapped.status, &wrapped.stdout), "{script}");
        assert_eq!(direct.stderr, wrapped.stderr, "{script}");
    }
}

#[test]
fn without_enrichment_an_add_without_a_result_is_still_an_error() {
    let place = Place::new();
    place.plugin("plugin", "exit 0");
    let ran = place.wrapped("ADD", "plugin").entry("enrich", json!(false)).run();
    let error = r#"{"cniVersion":"1.0.0","code":999,"msg":"plugin type=\"plugin\" failed (add): failed to unmarshal raw result: unexpected end of JSON input"}"#;
    assert_eq!(ran.answer(), (1, error.into(), String::new()));
}

/// go-cni takes a DEL for a good one if its error holds one of these phrases.
#[test]
fn on_del_no_phrase_that_is_swallowed_comes_in_or_goes() {
    for (script, expected) in [
        (r#"echo '{"msg":"busy"}'; exit 1"#, [false, false]),
        // What stands on stderr is added by cniscope where there is junk on stdout, and is libcni's own text where not.
        ("echo junk; echo 'x not found; open /x: no such file or directory' >&2; exit 1", [false, false]),
        ("echo 'x not found; open /x: no such file or directory' >&2; exit 1", [true, true]),
        (r#"echo '{"msg":"link not found"}'; exit 1"#, [true, false]),
        (r#"echo '{"msg":"a","details":"open /x: no such file or directory"}'; exit 1"#, [false, true]),
    ] {
        let (_, error, _) = wrapped("DEL", script);
        let phrases = ["not found", "no such file or directory"];
        assert_eq!(phrases.map(|phrase| error.contains(phrase)), expected, "{script}: {error}");
    }
}

#[test]
fn the_bracket_is_one_short_line_whatever_the_names() {
    let place = Place::new();
    place.plugin(
        "plugin",
        r#"echo '{"code":999,"msg":"failed to Statfs \"/gone\": no such file or directory"}'; exit 1"#,
    );
    let netns = format!("/gone\n\x1b[31m{}", "/ä".repeat(1000));
    let ran = place.wrapped("ADD", "plugin").env("CNI_NETNS", netns).run();
    let details = ran.json()["details"].as_str().unwrap().to_owned();
    assert!(details.starts_with("[cniscope: netns-gone: /gone  [31m/ / "), "{details}");
    assert!(details.len() < 600 && details.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{details}");
}

#[test]
fn variables_that_are_no_text_change_nothing() {
    let place = Place::new();
    place.plugin("plugin", "echo '{\"cniVersion\":\"1.0.0\"}'");
    let ran = place
        .wrapped("ADD", "plugin")
        .env("CNI_CONTAINERID", os(b"c\xff"))
        .env("CNI_ARGS", os(b"K8S_POD_NAME=p\xfe;\xff"))
        .env("CNI_NETNS", os(b"/\xff"))
        .run();
    assert_eq!(ran.answer(), (0, "{\"cniVersion\":\"1.0.0\"}\n".into(), String::new()));
    let end = place.end();
    assert_eq!(
        [&end["container_id"], &end["pod_name"], &end["netns"]],
        ["c\u{fffd}", "p\u{fffd}", "/\u{fffd}"]
    );
}

#[test]
fn version_is_answered_without_reading_stdin() {
    let place = Place::new();
    let mut call = place.wrapped("VERSION", "plugin").without("CNI_PATH");
    call.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(call.command());
    // Open, and nothing is written to it.
    let _stdin = child.stdin.take().unwrap();
    eventually(|| child.try_wait().unwrap());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), output.stderr.as_slice()),
        (
            Some(0),
            r#"{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#
                .into(),
            b"".as_slice()
        )
    );
}
