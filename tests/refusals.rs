//! Calls that are not passed on: the error says which variable, key or file is wrong.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;

use crate::support::{Call, Place, cniscope};

/// Makes a call that is refused, and gives the error.
fn refused(place: &Place, call: Call<'_>) -> String {
    let ran = call.run();
    assert_eq!((ran.status, ran.stderr.as_slice()), (1, b"".as_slice()), "{}", ran.text());
    let end = place.ends(1).remove(0);
    assert_eq!((&end["outcome"], &end["plugin_pid"]), (&json!("refused"), &json!(null)));
    place.steady(&ran.text())
}

/// An error of cniscope's own, with the bracket around `cause`.
fn error(version: Option<&str>, code: u64, msg: &str, cause: &str) -> String {
    let version = version.map_or("{".to_owned(), |version| format!("{{\"cniVersion\":\"{version}\","));
    let rest =
        json!({"code": code, "msg": msg, "details": format!("[cniscope: {cause}; see: cniscope show ID]")});
    format!("{version}{}", &rest.to_string()[1..])
}

const CORRECT: &str =
    "fix: correct the configuration in /etc/cni/net.d, or where the network add-on takes it from";
const EXAMPLE: &str =
    r#"must name the plugin that it wraps, as {"type": "cniscope", "cniscope": {"wraps": "PLUGIN"}}"#;

/// An error about what an entry of the network `net` wraps.
fn bad_wraps(prefix: &str, mistake: &str) -> String {
    let msg = format!("cniscope: {mistake}: the entry of network \"net\" {EXAMPLE}");
    // A summary is cut at 230 bytes.
    let summary = if msg.len() > 230 { format!("{}...", &msg[..227]) } else { msg.clone() };
    error(Some("1.0.0"), 7, &format!("{prefix}{msg}"), &format!("config-invalid: {summary}; {CORRECT}"))
}

#[test]
fn without_cni_path_no_plugin_can_be_found() {
    let expected = error(
        Some("1.0.0"),
        4,
        "plugin type=\"plugin\" failed (add): cniscope: CNI_PATH is not set: plugin cannot be found",
        "plugin-not-found: the plugin plugin is in none of the folders of CNI_PATH (); fix: install the missing binary in a folder of CNI_PATH",
    );
    let place = Place::new();
    assert_eq!(refused(&place, place.wrapped("ADD", "plugin").without("CNI_PATH")), expected);
    let place = Place::new();
    assert_eq!(refused(&place, place.wrapped("ADD", "plugin").env("CNI_PATH", "")), expected);
}

#[test]
fn stdin_has_to_be_one_json_object() {
    for (stdin, why) in [
        ("", "unexpected end of JSON input"),
        ("\n", "unexpected end of JSON input"),
        (r#"{"type":"cniscope","cniscope":{"wraps":"plugin"}"#, "unexpected end of JSON input"),
        (r#"{"cniscope":{"wraps":"plugin"}}x"#, "invalid character 'x' after top-level value"),
        (r#"[{"cniscope":{"wraps":"plugin"}}]"#, "not a JSON object"),
        ("null", "not a JSON object"),
        ("\"plugin\"", "not a JSON object"),
    ] {
        for verb in ["ADD", "DEL", "CHECK", "GC"] {
            let place = Place::new();
            let msg = format!("cniscope: the network configuration on stdin cannot be decoded: {why}");
            let expected = error(None, 6, &msg, &format!("config-invalid: {msg}; {CORRECT}"));
            assert_eq!(
                refused(&place, place.wrapped(verb, "plugin").stdin(stdin)),
                expected,
                "{verb} {stdin}"
            );
        }
    }
}

#[test]
fn an_entry_has_to_say_what_it_wraps() {
    let no_string = r#""cniscope" has no "wraps" that is a string"#;
    let no_name = |wraps: &str| format!(r#""wraps" is "{wraps}", expected the plain file name of a plugin"#);
    for (entry, mistake) in [
        (json!({}), no_string.to_owned()),
        (json!("plugin"), no_string.to_owned()),
        (json!({"wraps": 7}), no_string.to_owned()),
        (json!({"wraps": ""}), no_name("")),
        (json!({"wraps": "../bin/plugin"}), no_name("../bin/plugin")),
        (json!({"wraps": "/bin/true"}), no_name("/bin/true")),
        (json!({"wraps": ".."}), no_name("..")),
        (json!({"wraps": "a\0b"}), no_name("a\\0b")),
        (json!({"wraps": "cniscope"}), r#""wraps" is "cniscope", which is this program"#.to_owned()),
    ] {
        let place = Place::new();
        place.plugin("plugin", "echo '{}'");
        let call = place.wrapped("ADD", "plugin").config("cniscope", entry.clone());
        assert_eq!(refused(&place, call), bad_wraps("", &mistake), "{entry}");
    }
}

#[test]
fn an_entry_without_the_key_is_refused() {
    let place = Place::new();
    let call = place.wrapped("ADD", "x").stdin(r#"{"cniVersion":"1.0.0","name":"net","type":"cniscope"}"#);
    assert_eq!(refused(&place, call), bad_wraps("", r#"the entry has no key "cniscope""#));
}

/// Without this guard the call would start itself for ever.
#[test]
fn a_plugin_that_is_this_very_program_is_refused_under_whatever_name() {
    let place = Place::new();
    let own = place.path("bin/own");
    place.executable("own", &fs::read(cniscope()).unwrap(), 0o755);
    fs::hard_link(&own, place.path("bin/hard")).unwrap();
    symlink("own", place.path("bin/link")).unwrap();
    for (count, name) in (1..).zip(["own", "hard", "link"]) {
        let mut call = place.wrapped("DEL", name);
        let mut command = Command::new(&own);
        command.env_clear().envs(call.command().get_envs().filter_map(|(name, value)| Some((name, value?))));
        *call.command() = command;
        let ran = call.run();
        let mistake = format!(r#""wraps" is "{name}", but PLACE/bin/{name} is this program"#);
        let msg = format!(
            "plugin type=\"{name}\" failed (delete): cniscope: {mistake}: the entry of network \"net\" {EXAMPLE}"
        );
        let error = ran.json();
        let said = place.steady(error["msg"].as_str().unwrap());
        assert_eq!((ran.status, &error["code"], said), (1, &json!(7), msg));
        assert_eq!(place.ends(count).remove(count - 1)["outcome"], "refused");
    }
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_the_folders() {
    for (verb, prefix) in [
        ("ADD", "plugin type=\"plugin\" failed (add): "),
        ("DEL", "plugin type=\"plugin\" failed (delete): "),
        ("GC", ""),
    ] {
        let place = Place::new();
        // libcni takes regular files alone.
        fs::create_dir(place.path("bin/plugin")).unwrap();
        symlink("nowhere", place.path("plugin")).unwrap();
        let folders = format!("{}:{}", place.path("bin").display(), place.path("").display());
        let expected = error(
            Some("1.0.0"),
            5,
            &format!("{prefix}failed to find plugin \"plugin\" in path [PLACE/bin PLACE/]"),
            "plugin-not-found: the plugin plugin is in none of the folders of CNI_PATH (PLACE/bin, PLACE/); fix: install plugin in PLACE/bin",
        );
        assert_eq!(refused(&place, place.wrapped(verb, "plugin").env("CNI_PATH", folders)), expected);
    }
}

#[test]
fn a_plugin_that_cannot_be_executed_is_named_with_the_reason() {
    for (content, mode, why, cause) in [
        (
            "#!/bin/sh\n",
            0o644,
            "permission denied",
            "PLACE/bin/plugin has mode 0644: nobody may execute it; fix: chmod 0755 PLACE/bin/plugin",
        ),
        ("junk", 0o755, "exec format error", "PLACE/bin/plugin is no program; fix: install plugin again"),
        ("", 0o755, "exec format error", "PLACE/bin/plugin is empty; fix: install plugin again"),
        (
            "#!/no/such/shell\n",
            0o755,
            "no such file or directory",
            "PLACE/bin/plugin needs /no/such/shell, which is not on this node; fix: install a static build of plugin",
        ),
    ] {
        let place = Place::new();
        place.executable("plugin", content.as_bytes(), mode);
        let expected = error(
            Some("1.0.0"),
            5,
            &format!(
                "plugin type=\"plugin\" failed (add): netplugin failed with no error message: fork/exec PLACE/bin/plugin: {why}"
            ),
            &format!("plugin-not-executable: {cause}"),
        );
        assert_eq!(refused(&place, place.wrapped("ADD", "plugin")), expected);
    }
}

#[test]
fn a_refusal_without_enrichment_has_no_bracket() {
    let place = Place::new();
    let call = place.wrapped("CHECK", "plugin").entry("enrich", json!(false));
    assert_eq!(
        refused(&place, call),
        r#"{"cniVersion":"1.0.0","code":5,"msg":"failed to find plugin \"plugin\" in path [PLACE/bin]"}"#
    );
}

#[test]
fn other_variables_are_the_plugins_to_judge() {
    let changes: [fn(Call<'_>) -> Call<'_>; 4] = [
        |call| call.without("CNI_IFNAME").without("CNI_NETNS").without("CNI_CONTAINERID"),
        |call| call.env("CNI_IFNAME", "").env("CNI_NETNS", "").env("CNI_CONTAINERID", "").env("CNI_ARGS", ""),
        |call| call.env("CNI_ARGS", "K8S_POD_NAME=".to_owned() + &"x".repeat(100_000)),
        |call| call.env("CNI_IFNAME", "../../etc").env("CNI_CONTAINERID", "-n").env("CNI_ARGS", "=;;=\n"),
    ];
    for change in changes {
        let place = Place::new();
        place.plugin("plugin", "env | grep ^CNI_ | sort; exit 0");
        let direct = change(place.direct("DEL", "plugin")).run();
        let wrapped = change(place.wrapped("DEL", "plugin")).run();
        assert_eq!(direct.status, 0);
        assert_eq!(direct.answer(), wrapped.answer());
        assert_eq!(place.end()["outcome"], "ok");
    }
}
