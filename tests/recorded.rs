//! What stands in the journal of one call.

use std::fs;
use std::time::SystemTime;

use cniscope::digest::sha256;
use cniscope::node::clock::rfc3339;
use serde_json::{Map, Value, json};

use crate::support::{Call, Place, Ran, in_time};

/// What a plugin of this script writes down of its process and of cniscope's.
fn noting(script: &str) -> String {
    format!("echo $$ >\"$0.pid\"; cat /proc/$PPID/stat >\"$0.parent\"; {script}")
}

/// The records of a call: its begin and its end, and the fields that say who called when.
struct Recorded {
    place: Place,
    ran: Ran,
    begin: Value,
    end: Value,
    identity: Value,
}

fn recorded(script: &str, change: impl Fn(Call<'_>) -> Call<'_>) -> Recorded {
    let before = rfc3339(SystemTime::now());
    let (place, ran) = in_time(|place| {
        place.plugin("plugin", &noting(script));
        change(place.wrapped("ADD", "plugin")).run()
    });
    let after = rfc3339(SystemTime::now());
    let [begin, end] = place.records().try_into().unwrap();
    let (id, time) = (begin["id"].as_str().unwrap(), begin["time"].as_str().unwrap());
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert!(before.as_str() <= time && time <= after.as_str(), "{before} {time} {after}");
    let parent = fs::read_to_string(place.path("bin/plugin.parent")).unwrap();
    let fields: Vec<&str> = parent.split(' ').collect();
    let number = |position: usize| fields[position].parse::<u64>().unwrap();
    let read = |path: &str| fs::read_to_string(path).unwrap().trim().to_owned();
    let identity = json!({
        "id": id,
        "time": time,
        "node": read("/proc/sys/kernel/hostname"),
        "boot_id": read("/proc/sys/kernel/random/boot_id"),
        "pid": number(0),
        "start_ticks": number(21),
        "command": "ADD",
        "container_id": "container1",
        "ifname": "eth0",
        "netns": "/proc/self/ns/net",
        "pod_namespace": "shop",
        "pod_name": "cart",
        "network": "net",
        "plugin": "plugin",
    });
    Recorded { place, ran, begin, end, identity }
}

/// A call for a Pod.
fn of_pod(call: Call<'_>) -> Call<'_> {
    call.env("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart;K8S_POD_UID=uid-1")
        .env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .env("HTTPS_PROXY", "http://proxy:3128")
        .env("KUBECONFIG", "/not/recorded")
        .config("mtu", json!(1450))
}

/// The fields of one object followed by those of others.
fn joined(objects: &[&Value]) -> Value {
    let fields = objects.iter().flat_map(|object| object.as_object().unwrap().clone());
    Value::Object(fields.collect::<Map<_, _>>())
}

impl Recorded {
    /// The end record, where what is measured is checked and taken out.
    fn end_without_measures(&self) -> Value {
        let mut end = self.end.clone();
        let mut taken = |name: &str| end.as_object_mut().unwrap().remove(name).unwrap();
        let milliseconds =
            ["duration_ms", "plugin_ms", "overhead_ms"].map(|name| taken(name).as_f64().unwrap());
        let [whole, plugin, own] = milliseconds;
        let before = taken("plugin_after_ms").as_f64().unwrap();
        assert!(0.0 < before && before <= own, "{before} {own}");
        assert!(plugin > 0.0 && own > 0.0 && (whole - plugin - own).abs() < 0.01, "{milliseconds:?}");
        assert!(taken("plugin_rss_kb").as_u64().unwrap() > 0);
        assert!(taken("plugin_cpu_ms").as_f64().unwrap() > 0.0);
        for check in end["checks"].as_array_mut().unwrap() {
            assert!(check.as_object_mut().unwrap().remove("took_us").unwrap().is_u64());
        }
        end
    }

    /// What is known of a call whatever comes of it.
    fn circumstances(&self) -> Value {
        let path = self.place.path("bin/plugin");
        let plugin = fs::metadata(&path).unwrap();
        let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "cniscope", "cniscope": {"wraps": "plugin"}, "mtu": 1450});
        json!({
            "schema": 1,
            "event": "end",
            "plugin_pid": self.plugin_pid(),
            "stderr": "words\n",
            "checks": [
                {
                    "check": "plugin-binary",
                    "status": "ok",
                    "summary": "plugin can be executed",
                    "evidence": {
                        "folders": [self.place.path("bin")],
                        "binaries": [{"name": "plugin", "role": "plugin", "path": path, "mode": "0755", "size": plugin.len()}],
                    },
                },
                {"check": "config", "status": "ok", "summary": "the entry has no mistake that is known", "evidence": {}},
                {
                    "check": "netns",
                    "status": "warn",
                    "summary": "/proc/self/ns/net is the plugin's own network namespace",
                    "evidence": {"path": "/proc/self/ns/net"},
                },
            ],
            "cni_version": "1.0.0",
            "pod_uid": "uid-1",
            "plugin_path": path,
            "plugin_target": null,
            "plugin_mtime": rfc3339(plugin.modified().unwrap()),
            "plugin_size": plugin.len(),
            "cniscope_version": env!("CARGO_PKG_VERSION"),
            "config": config,
            "config_sha256": sha256(config.to_string().as_bytes()),
            "env": {
                "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart;K8S_POD_UID=uid-1",
                "CNI_COMMAND": "ADD",
                "CNI_CONTAINERID": "container1",
                "CNI_IFNAME": "eth0",
                "CNI_NETNS": "/proc/self/ns/net",
                "CNI_PATH": self.place.path("bin"),
                "HTTPS_PROXY": "http://proxy:3128",
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            },
            "caller": {"pid": std::process::id(), "name": fs::read_to_string("/proc/self/comm").unwrap().trim()},
            "trace": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        })
    }

    fn plugin_pid(&self) -> u64 {
        fs::read_to_string(self.place.path("bin/plugin.pid")).unwrap().trim().parse().unwrap()
    }
}

#[test]
fn a_good_add_is_recorded_whole() {
    let recorded = recorded("echo '{\"cniVersion\":\"1.0.0\",\"ips\":[]}'; echo words >&2", of_pod);
    assert_eq!(recorded.begin, joined(&[&json!({"schema": 1, "event": "begin"}), &recorded.identity]));
    let outcome = json!({
        "outcome": "ok", "cause": null, "exit_status": 0, "signal": null, "error": null, "returned": null,
        "diagnosis": null, "result": {"cniVersion": "1.0.0", "ips": []},
    });
    let expected = joined(&[&recorded.identity, &recorded.circumstances(), &outcome]);
    assert_eq!(recorded.end_without_measures(), expected);
}

#[test]
fn a_failed_add_is_recorded_whole() {
    let error = json!({"code": 7, "msg": "no", "details": "why"});
    let recorded = recorded(&format!("echo '{error}'; echo words >&2; exit 3"), of_pod);
    let id = recorded.identity["id"].as_str().unwrap();
    assert_eq!(recorded.begin, joined(&[&json!({"schema": 1, "event": "begin"}), &recorded.identity]));
    let returned = json!({
        "code": 7,
        "msg": "plugin type=\"plugin\" failed (add): no",
        "details": format!("why [cniscope: unknown cause; ruled out: plugin-binary, config; see: cniscope show {id}]"),
    });
    assert_eq!(recorded.ran.json(), returned);
    let outcome = json!({
        "outcome": "failed", "cause": "unknown", "exit_status": 3, "signal": null, "error": error,
        "returned": returned, "result": null,
        "diagnosis": {
            "cause": "unknown",
            "title": "the cause is not known",
            "summary": "ruled out: plugin-binary, config",
            "evidence": ["check netns: /proc/self/ns/net is the plugin's own network namespace"],
            "ruled_out": ["plugin-binary: plugin can be executed", "config: the entry has no mistake that is known"],
            "fix": [],
        },
    });
    let expected = joined(&[&recorded.identity, &recorded.circumstances(), &outcome]);
    assert_eq!(recorded.end_without_measures(), expected);
}

#[test]
fn output_that_is_no_json_is_recorded_as_text() {
    let place = Place::new();
    place.plugin("plugin", r"printf 'OK \377'");
    place.wrapped("CHECK", "plugin").run();
    let end = place.end();
    assert_eq!((&end["stdout_raw"], &end["result"]), (&json!("OK \u{fffd}"), &json!(null)));
}

#[test]
fn a_signal_is_recorded_as_one() {
    let place = Place::new();
    place.plugin("plugin", "kill -9 $$");
    place.wrapped("DEL", "plugin").run();
    let end = place.end();
    let fields = ["outcome", "cause", "exit_status", "signal"].map(|name| end[name].clone());
    assert_eq!(fields, [json!("crashed"), json!("plugin-crashed"), json!(null), json!(9)]);
}

#[test]
fn of_a_long_stderr_the_end_is_kept_since_it_tells_why() {
    let place = Place::new();
    place.plugin("loud", "head -c 200000 /dev/zero | tr '\\0' e >&2; echo 'the last words' >&2; exit 1");
    place.wrapped("ADD", "loud").run();
    let end = place.end();
    let stderr = end["stderr"].as_str().unwrap();
    assert!(stderr.starts_with("<134479 bytes cut> …eee"), "{}", &stderr[..60]);
    assert!(stderr.ends_with("ethe last words\n"), "{}", &stderr[stderr.len() - 60..]);
    assert_eq!(stderr.trim_start_matches(|first| first != '…').len(), "…".len() + (64 << 10));
}
