//! What is shown of a call when it is expanded: its record, with what is long cut, and what was cut said.

use serde_json::{Map, Value, json};

use crate::journal::read::Call;
use crate::render::escape;

/// The largest detail of a call, as JSON in bytes.
const MAX_DETAIL: usize = 12 << 10;
/// The largest configuration.
const MAX_CONFIG: usize = 16 << 10;
/// A longer text is cut in its middle: an error's start and a log's end tell most.
const MAX_TEXT: usize = 1600;
/// More elements are cut.
const MAX_ITEMS: usize = 64;
/// What lies deeper is cut.
const MAX_DEPTH: usize = 24;

/// The fields that are shown, in their order.
const FIELDS: [&str; 30] = [
    "error",
    "returned",
    "diagnosis",
    "checks",
    "changed",
    "duration_ms",
    "plugin_ms",
    "overhead_ms",
    "exit_status",
    "signal",
    "plugin_cpu_ms",
    "plugin_rss_kb",
    "container_id",
    "ifname",
    "netns",
    "pod_uid",
    "network",
    "cni_version",
    "plugin_path",
    "plugin_target",
    "caller",
    "boot_id",
    "cniscope_version",
    "repeated",
    "warnings",
    "truncated",
    "stderr",
    "stdout_raw",
    "env",
    "result",
];

/// What is left out of a record that is too large, the first first.
const DISPENSABLE: [&str; 9] =
    ["env", "result", "stalls", "stdout_raw", "checks", "changed", "stderr", "warnings", "returned"];

/// The detail of a call as JSON. Its texts are harmless to look at.
#[must_use]
pub fn of(call: &Call) -> String {
    let mut fields = Map::new();
    for field in FIELDS {
        let value = &call.record[field];
        let value = if field == "checks" { checks(value) } else { pruned(value, 0) };
        if !is_empty(&value) {
            fields.insert(field.to_owned(), value);
        }
    }
    if !call.stalls.is_empty() {
        let stalls = call.stalls.iter().take(MAX_ITEMS);
        let seen =
            |stall: &Value| json!({"after_ms": stall["after_ms"], "snapshot": pruned(&stall["snapshot"], 0)});
        fields.insert("stalls".to_owned(), stalls.map(seen).collect());
    }
    let mut text = Value::Object(fields.clone()).to_string();
    let mut cut = Vec::new();
    for field in DISPENSABLE {
        if text.len() <= MAX_DETAIL {
            return text;
        }
        if fields.shift_remove(field).is_some() {
            cut.push(field);
            fields.insert("cut".to_owned(), json!(cut));
            text = Value::Object(fields.clone()).to_string();
        }
    }
    if text.len() <= MAX_DETAIL { text } else { json!({"cut": ["everything"]}).to_string() }
}

/// The configuration as JSON. `None` if there is none; one that is too large says so.
#[must_use]
pub fn config(config: &Value) -> Option<String> {
    let config = pruned(config, 0);
    if is_empty(&config) {
        return None;
    }
    let text = config.to_string();
    let size = text.len();
    Some(if size <= MAX_CONFIG { text } else { json!(format!("(cut: {size} bytes)")).to_string() })
}

/// What the checks found; evidence only of what is not well.
fn checks(checks: &Value) -> Value {
    let checks = checks.as_array().map(Vec::as_slice).unwrap_or_default();
    let told = checks.iter().take(MAX_ITEMS).map(|check| {
        let mut told = pruned(check, 0);
        if let Some(fields) = told.as_object_mut() {
            if matches!(check["status"].as_str(), Some("ok" | "skipped")) {
                fields.shift_remove("evidence");
            }
            fields.retain(|_, value| !is_empty(value));
        }
        told
    });
    told.collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn pruned(value: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return json!("(cut: too deep)");
    }
    match value {
        Value::String(text) => Value::String(escape::block(&shortened(text)).into_owned()),
        Value::Array(items) => {
            let mut kept: Vec<Value> =
                items.iter().take(MAX_ITEMS).map(|item| pruned(item, depth + 1)).collect();
            if items.len() > MAX_ITEMS {
                kept.push(json!(format!("(cut: {} more)", items.len() - MAX_ITEMS)));
            }
            Value::Array(kept)
        }
        Value::Object(fields) => {
            let kept = fields.iter().take(MAX_ITEMS);
            let mut kept: Map<String, Value> = kept
                .map(|(name, value)| (escape::line(&shortened(name)).into_owned(), pruned(value, depth + 1)))
                .collect();
            if fields.len() > MAX_ITEMS {
                kept.insert("(cut)".to_owned(), json!(format!("{} more", fields.len() - MAX_ITEMS)));
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

/// The text, or its two ends.
fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= MAX_TEXT {
        return text.to_owned();
    }
    let half = MAX_TEXT / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    format!("{start} … (cut: {} characters) … {end}", length - 2 * half)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(record: Value) -> Value {
        let stalls = vec![json!({"after_ms": 10_000.0, "snapshot": {"processes": []}})];
        let stalls = if record["stalled"] == true { stalls } else { Vec::new() };
        serde_json::from_str(&of(&Call { record, outcome: "failed".into(), stalls })).unwrap()
    }

    #[test]
    fn what_says_something_is_kept_and_evidence_of_what_is_not_well() {
        let record = json!({
            "stalled": true, "error": {"code": 11, "msg": "no\u{1b}", "details": ""}, "signal": null, "exit_status": 1, "stderr": "",
            "checks": [
                {"check": "bridge", "status": "ok", "summary": "fits", "evidence": {"mtu": 1500}, "took_us": 9},
                {"check": "disk", "status": "fail", "summary": "full", "evidence": {"free": 0}, "cause": "disk-full", "took_us": 7},
            ],
        });
        assert_eq!(
            detail(record),
            json!({
                "error": {"code": 11, "msg": "no\\u{1b}", "details": ""}, "exit_status": 1,
                "checks": [
                    {"check": "bridge", "status": "ok", "summary": "fits", "took_us": 9},
                    {"check": "disk", "status": "fail", "summary": "full", "evidence": {"free": 0}, "cause": "disk-full", "took_us": 7},
                ],
                "stalls": [{"after_ms": 10_000.0, "snapshot": {"processes": []}}],
            })
        );
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let told = detail(json!({"stderr": "é".repeat(4000)}));
        assert_eq!(told["stderr"], json!(format!("{0} … (cut: 2400 characters) … {0}", "é".repeat(800))));
        let many: Vec<usize> = (0..100).collect();
        assert_eq!(detail(json!({"result": many}))["result"][64], "(cut: 36 more)");
    }

    #[test]
    fn a_large_record_loses_what_can_be_missed_and_names_it() {
        let large: Vec<String> = (0..60).map(|_| "x".repeat(400)).collect();
        let told = detail(json!({"error": {"msg": "no"}, "result": large, "env": {"PATH": "/bin"}}));
        assert_eq!(told, json!({"error": {"msg": "no"}, "cut": ["env", "result"]}));
        assert_eq!(detail(json!({"error": large})), json!({"cut": ["everything"]}));
    }

    #[test]
    fn a_configuration_is_kept_or_its_size_said() {
        assert_eq!(config(&Value::Null), None);
        assert_eq!(config(&json!({"name": "a"})).unwrap(), "{\"name\":\"a\"}");
        let large: Vec<String> = (0..60).map(|_| "x".repeat(400)).collect();
        assert_eq!(config(&json!(large)).unwrap(), "\"(cut: 24181 bytes)\"");
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!([deep]);
        }
        assert!(config(&deep).unwrap().contains("(cut: too deep)"));
    }
}
