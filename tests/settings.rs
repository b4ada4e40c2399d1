//! Settings: a mistake never fails a call, stands in its record, and leaves the default.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{Call, Place, Ran, in_time};

const GOOD: &str = "echo '{\"cniVersion\":\"1.0.0\"}'";
const BAD: &str = "echo '{\"code\":7,\"msg\":\"no\"}'; exit 1";

/// A call in a place with these settings, where the plugin is this script; see [`in_time`].
fn with(settings: &Value, script: &str, call: impl Fn(&Place) -> Ran) -> (Place, Ran) {
    in_time(|place| {
        place.settings(settings);
        place.plugin("plugin", script);
        call(place)
    })
}

/// The warnings in the record of a call that goes well all the same.
fn warnings<'a>(place: &'a Place, change: impl Fn(Call<'a>) -> Call<'a>) -> Vec<String> {
    place.plugin("plugin", GOOD);
    let ran = change(place.wrapped("ADD", "plugin")).run();
    assert_eq!(ran.answer(), (0, "{\"cniVersion\":\"1.0.0\"}\n".into(), String::new()));
    let end = place.end();
    let warnings = end["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    warnings.iter().map(|warning| place.steady(warning.as_str().unwrap())).collect()
}

#[test]
fn good_settings_make_no_warning() {
    let place = Place::new();
    place.settings(&json!({
        "deadlineSeconds": {"ADD": 200, "DEL": 100.5, "CHECK": 0}, "checks": {"ipam-pool": "deny", "bridge": "off"},
        "enrich": true, "verify": false, "evidenceMilliseconds": 500, "redact": ["myKey"],
        "journal": {"maxBytes": 65536, "maxFiles": 2, "record": "all", "mode": "0640", "group": "root"},
    }));
    let found = warnings(&place, |call| call.entry("enrich", json!(true)).entry("named", json!(false)));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_mistake_in_the_file_is_named_and_changes_nothing_else() {
    let known = cniscope::checks::names().collect::<Vec<_>>().join(", ");
    for (settings, expected) in [
        (json!({"journl": {}}), "\"journl\" is not a known key".to_owned()),
        (json!({"wraps": "plugin"}), "\"wraps\" is not a known key".to_owned()),
        (json!({"enrich": "no"}), "\"enrich\" is \"no\", expected true or false".to_owned()),
        (json!({"verify": 0}), "\"verify\" is 0, expected true or false".to_owned()),
        (
            json!({"evidenceMilliseconds": "1s"}),
            "\"evidenceMilliseconds\" is \"1s\", expected a whole number from 0 to 10000".to_owned(),
        ),
        (json!({"deadlineSeconds": 200}), "\"deadlineSeconds\" is 200, expected an object".to_owned()),
        (
            json!({"deadlineSeconds": {"ADD": -1}}),
            "\"deadlineSeconds.ADD\" is -1, expected a number of seconds from 0 (none) to 86400".to_owned(),
        ),
        (
            json!({"deadlineSeconds": {"VERSION": 1}}),
            "\"deadlineSeconds.VERSION\" is not a verb with a deadline; known are ADD, DEL, CHECK, GC, STATUS".to_owned(),
        ),
        (json!({"checks": ["bridge"]}), "\"checks\" is [\"bridge\"], expected an object".to_owned()),
        (
            json!({"checks": {"weather": "deny"}}),
            format!("\"checks.weather\" is not a known check; known are {known}"),
        ),
        (
            json!({"checks": {"netns": "error"}}),
            "\"checks.netns\" is \"error\", expected off, warn or deny".to_owned(),
        ),
        (json!({"redact": "myKey"}), "\"redact\" is \"myKey\", expected an array of strings".to_owned()),
        (
            json!({"journal": {"maxBytes": "16M"}}),
            "\"journal.maxBytes\" is \"16M\", expected a whole number from 4096 to 1099511627776".to_owned(),
        ),
        (
            json!({"journal": {"maxFiles": 0}}),
            "\"journal.maxFiles\" is 0, expected a whole number from 1 to 1000".to_owned(),
        ),
        (
            json!({"journal": {"record": "some"}}),
            "\"journal.record\" is \"some\", expected all, failures or off".to_owned(),
        ),
        (
            json!({"journal": {"mode": "rw"}}),
            "\"journal.mode\" is \"rw\", expected an octal mode from \"0600\" to \"0666\"".to_owned(),
        ),
        (
            json!({"journal": {"group": 0}}),
            "\"journal.group\" is 0, expected the name or number of a group, as a string".to_owned(),
        ),
        (
            json!({"journal": {"group": "no-such-group"}}),
            "\"journal.group\" is \"no-such-group\", expected a group of this node".to_owned(),
        ),
        (json!({"journal": {"size": 1}}), "\"journal.size\" is not a known key".to_owned()),
    ] {
        let place = Place::new();
        place.settings(&settings);
        let expected = format!("settings file PLACE/config.json: {expected}; the default is used");
        assert_eq!(warnings(&place, |call| call), [expected]);
    }
}

/// A call whose settings file is not used, so that the journal stands where the built-in settings have it: there is this
/// place's.
fn with_built_in_settings<'a>(place: &Place, call: Call<'a>) -> Call<'a> {
    let (log, var) = (place.path("log"), place.path("var"));
    fs::create_dir(&log).unwrap();
    fs::create_dir(&var).unwrap();
    std::os::unix::fs::symlink(&log, var.join("cniscope")).unwrap();
    call.behind(&format!("mount --bind '{}' /var/log", var.display()))
}

/// What is done to the settings file.
type Change<'a> = &'a dyn Fn(&Place);

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_reason() {
    let write = |place: &Place, content: &str| fs::write(place.path("config.json"), content).unwrap();
    let remove = |place: &Place| fs::remove_file(place.path("config.json")).unwrap();
    let make_folder = |place: &Place| {
        remove(place);
        fs::create_dir(place.path("config.json")).unwrap();
    };
    let table: [(Change<'_>, &str); 6] = [
        (&remove, ": no such file or directory: not used"),
        (&make_folder, ": is a folder, expected a regular file: not used"),
        (&|place| set_mode(place, 0o622), ": not used: its mode 0622 lets others write it; chmod go-w it"),
        (&|place| write(place, &" ".repeat((1 << 20) + 1)), ": is larger than 1048576 bytes: not used"),
        (&|place| write(place, "{\"enrich\": false,}"), ": not used: trailing comma at line 1 column 18"),
        (&|place| write(place, "[]"), ": is [], expected an object; the default is used"),
    ];
    for (change, expected) in table {
        let place = Place::new();
        change(&place);
        let found = warnings(&place, |call| with_built_in_settings(&place, call));
        let found: Vec<_> =
            found.iter().map(|warning| warning.replace(" (named by CNISCOPE_CONFIG)", "")).collect();
        assert_eq!(found, [format!("settings file PLACE/config.json{expected}")]);
    }
}

/// Changes who may do what with the settings file.
fn set_mode(place: &Place, mode: u32) {
    fs::set_permissions(place.path("config.json"), fs::Permissions::from_mode(mode)).unwrap();
}

/// In a user namespace that knows one user alone, everybody else's files belong to nobody.
#[test]
fn a_file_of_another_user_is_not_used() {
    let place = Place::new();
    let path = if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(place.path("config.json"), Some(12345), None).unwrap();
        set_mode(&place, 0o644);
        place.path("config.json")
    } else {
        "/etc/passwd".into()
    };
    let warning = format!(
        "settings file {}: not used: it belongs to uid 65534, expected root or 0 (named by CNISCOPE_CONFIG)",
        path.display()
    );
    let found = warnings(&place, |call| with_built_in_settings(&place, call.env("CNISCOPE_CONFIG", &path)));
    assert_eq!(found, [place.steady(&warning)]);
}

#[test]
fn an_entry_may_not_set_what_is_the_nodes() {
    for (key, value) in [
        ("journal", json!({"record": "off"})),
        ("redact", json!([])),
        ("evidenceMilliseconds", json!(0)),
        ("unknown", json!(1)),
    ] {
        let place = Place::new();
        let found = warnings(&place, |call| call.entry(key, value.clone()));
        let expected =
            format!("entry \"cniscope\": \"{key}\" is not a key that an entry may set; the default is used");
        assert_eq!(found, [expected]);
    }
}

#[test]
fn a_mistake_in_the_entry_is_named() {
    for (key, value, expected) in [
        ("enrich", json!("no"), "\"enrich\" is \"no\", expected true or false"),
        ("verify", json!(null), "\"verify\" is null, expected true or false"),
        ("checks", json!({"netns": 1}), "\"checks.netns\" is 1, expected off, warn or deny"),
        ("deadlineSeconds", json!([1]), "\"deadlineSeconds\" is [1], expected an object"),
    ] {
        let place = Place::new();
        let found = warnings(&place, |call| call.entry(key, value.clone()));
        assert_eq!(found, [format!("entry \"cniscope\": {expected}; the default is used")]);
    }
}

#[test]
fn the_entry_overrides_the_file() {
    let call = |place: &Place| place.wrapped("ADD", "plugin").run();
    let (_, ran) = with(&json!({"enrich": false}), BAD, call);
    assert_eq!(ran.answer(), (1, "{\"code\":7,\"msg\":\"no\"}\n".into(), String::new()));
    let call = |place: &Place| place.wrapped("ADD", "plugin").entry("enrich", json!(true)).run();
    let (place, ran) = with(&json!({"enrich": false}), BAD, call);
    assert_eq!(
        place.steady(&ran.text()),
        r#"{"code":7,"msg":"plugin type=\"plugin\" failed (add): no","details":"[cniscope: unknown cause; ruled out: plugin-binary, config; see: cniscope show ID]"}"#
    );
}

#[test]
fn a_check_that_is_off_is_not_run() {
    let settings = json!({"checks": {"config": "off", "netns": "off"}});
    let (place, _) = with(&settings, GOOD, |place| place.wrapped("ADD", "plugin").run());
    let end = place.end();
    let checks: Vec<_> = end["checks"].as_array().unwrap().iter().map(|check| &check["check"]).collect();
    assert_eq!(checks, ["plugin-binary"]);
}

#[test]
fn a_check_that_denies_refuses_an_add_before_the_plugin_runs() {
    let call = |place: &Place| {
        let call = place.wrapped("ADD", "plugin").env("CNI_NETNS", place.path("gone"));
        call.entry("checks", json!({"netns": "deny"})).run()
    };
    let (place, ran) = with(&json!({}), &format!("touch \"$0.ran\"; {GOOD}"), call);
    assert_eq!(
        (ran.status, place.steady(&ran.text())),
        (
            1,
            r#"{"cniVersion":"1.0.0","code":7,"msg":"plugin type=\"plugin\" failed (add): cniscope: the check netns denies this call: PLACE/gone does not exist","details":"[cniscope: netns-gone: PLACE/gone does not exist; fix: delete the Pod: the runtime makes a new sandbox; see: cniscope show ID]"}"#.to_owned()
        )
    );
    assert!(!place.path("bin/plugin.ran").exists());
    assert_eq!(place.end()["outcome"], "refused");
}

#[test]
fn a_check_that_denies_lets_every_other_verb_pass() {
    for verb in ["DEL", "CHECK"] {
        let call = |place: &Place| place.wrapped(verb, "plugin").env("CNI_NETNS", place.path("gone")).run();
        let settings = json!({"checks": {"netns": "deny", "plugin-binary": "deny", "config": "deny"}});
        let (place, ran) = with(&settings, "touch \"$0.ran\"", call);
        assert_eq!(ran.answer(), (0, String::new(), String::new()));
        assert!(place.path("bin/plugin.ran").exists(), "{verb}");
    }
}

#[test]
fn failures_alone_can_be_recorded_in_full() {
    let place = Place::new();
    place.settings(&json!({"journal": {"record": "failures"}}));
    place.plugin("plugin", GOOD);
    place.plugin("bad", BAD);
    place.wrapped("ADD", "plugin").run();
    let good = place.ends(1).remove(0);
    place.wrapped("ADD", "bad").run();
    let bad = place.ends(2).remove(1);
    assert_eq!(
        (&good["outcome"], &good["plugin"], &good["config"]),
        (&json!("ok"), &json!("plugin"), &json!(null))
    );
    let mut keys: Vec<_> = good.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "boot_id",
            "command",
            "container_id",
            "duration_ms",
            "event",
            "id",
            "ifname",
            "netns",
            "network",
            "node",
            "outcome",
            "overhead_ms",
            "pid",
            "plugin",
            "plugin_after_ms",
            "plugin_ms",
            "pod_name",
            "pod_namespace",
            "schema",
            "start_ticks",
            "time"
        ]
    );
    assert_eq!((&bad["outcome"], &bad["config"]["name"]), (&json!("failed"), &json!("net")));
}

#[test]
fn nothing_is_recorded_where_that_is_switched_off() {
    let place = Place::new();
    place.settings(&json!({"journal": {"record": "off"}}));
    place.plugin("plugin", GOOD);
    place.plugin("bad", BAD);
    for plugin in ["plugin", "bad"] {
        place.wrapped("ADD", plugin).run();
    }
    // What comes late comes before this.
    place.settings(&json!({}));
    place.wrapped("DEL", "plugin").run();
    assert_eq!(place.end()["command"], "DEL");
    assert_eq!(place.records().len(), 2);
}

#[test]
fn the_keys_to_redact_are_added_to_the_known_ones() {
    let place = Place::new();
    place.settings(&json!({"redact": ["myKey", "nick-name"]}));
    place.plugin("plugin", GOOD);
    let secrets =
        json!({"my_key": "a", "deep": [{"NICKNAME": "b", "password": "c"}], "mykeys": "d", "other": "e"});
    place.wrapped("ADD", "plugin").config("args", secrets).run();
    let hidden = "<redacted>";
    let expected = json!({"my_key": hidden, "deep": [{"NICKNAME": hidden, "password": hidden}], "mykeys": "d", "other": "e"});
    assert_eq!(place.end()["config"]["args"], expected);
}

#[test]
fn files_are_rotated_and_have_the_mode_that_is_set() {
    let place = Place::new();
    place.settings(&json!({"journal": {"maxBytes": 4096, "maxFiles": 3, "mode": "0640"}}));
    place.plugin("plugin", GOOD);
    for _ in 0..20 {
        place.wrapped("ADD", "plugin").config("filler", json!("x".repeat(1000))).run();
    }
    let mut files: Vec<_> = fs::read_dir(place.path("log"))
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| {
            (file.file_name().into_string().unwrap(), file.metadata().unwrap().permissions().mode() & 0o777)
        })
        .filter(|(name, _)| name.starts_with("journal"))
        .collect();
    files.sort();
    let expected = ["journal.1.jsonl", "journal.2.jsonl", "journal.jsonl", "journal.lock"];
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(files.iter().map(|(_, mode)| *mode).collect::<Vec<_>>(), [0o640, 0o640, 0o640, 0o600]);
    let folder = fs::metadata(place.path("log")).unwrap().permissions().mode() & 0o777;
    assert_eq!(folder, 0o700);
}
