//! What the report keeps of a call: whole records of a large journal would fill the memory.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::detail;
use crate::journal::read::Call;
use crate::node::clock;
use crate::render::escape;

/// How much of an error's text can be searched for.
const SEARCHED: usize = 240;
/// How much of a name is kept: Kubernetes' own are at most 253 characters long.
const NAME: usize = 300;

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Well.
    Good,
    /// Well by its plugin's word, but the network is not there.
    Suspect,
    /// It has not ended yet.
    Running,
    /// It did not do what it was to do.
    Failed,
}

/// One range set of a pool, as the check `ipam-pool` found it before or after a call.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolUse {
    /// host-local's folder of the network.
    pub folder: String,
    /// The addresses that it gives.
    pub ranges: String,
    /// How many that are.
    pub capacity: f64,
    /// How many are taken.
    pub used: f64,
    /// How many of them belong to no live sandbox, where that was looked for.
    pub leaked: Option<f64>,
}

/// A call. All texts are harmless to look at (`escape`), but not yet escaped for HTML.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The record's id.
    pub id: String,
    /// When it began, as the record has it.
    pub time: String,
    /// The same in milliseconds since 1970; `None` where it is no time.
    pub at: Option<i64>,
    /// The host's name.
    pub node: String,
    /// The verb.
    pub command: String,
    /// The Pod; where the runtime names none, the container.
    pub pod: String,
    /// The delegate.
    pub plugin: String,
    /// `ok`, `failed` and so on.
    pub outcome: String,
    /// The cause; empty where there is none.
    pub cause: String,
    /// How long it took.
    pub took_ms: Option<f64>,
    /// How it went.
    pub fate: Fate,
    /// The start of its error's text.
    pub error: String,
    /// What the pools of its network looked like.
    pub pools: Vec<PoolUse>,
    /// What is shown when it is expanded, as JSON.
    pub detail: String,
    /// Which of the configurations it was called with.
    pub config: Option<String>,
}

impl Row {
    /// What it is counted under where it failed: its cause, or where there is none, how it ended.
    #[must_use]
    pub fn reason(&self) -> &str {
        if self.cause.is_empty() { &self.outcome } else { &self.cause }
    }
}

/// The calls of a report, taken one by one.
#[derive(Debug, Default)]
pub struct Rows {
    /// In the order in which they were taken.
    pub rows: Vec<Row>,
    /// Their configurations as JSON, each once: a node's calls have few.
    pub configs: BTreeMap<String, String>,
}

impl Rows {
    /// Takes a call.
    pub fn take(&mut self, call: &Call) {
        let config = detail::config(&call.record["config"]).map(|config| {
            let key = call.text("config_sha256");
            let key =
                if key.is_empty() { crate::digest::sha256(config.as_bytes()) } else { harmless(key, NAME) };
            self.configs.entry(key.clone()).or_insert(config);
            key
        });
        let fate = match () {
            () if call.is_suspect() => Fate::Suspect,
            () if call.has_failed() => Fate::Failed,
            () if call.outcome == "running" => Fate::Running,
            () => Fate::Good,
        };
        let text = |field: &str| harmless(call.text(field), NAME);
        let error = &call.record["error"];
        let error = ["msg", "details"].map(|part| error[part].as_str().unwrap_or_default()).join(" ");
        self.rows.push(Row {
            id: text("id"),
            time: text("time"),
            at: milliseconds(call.text("time")),
            node: text("node"),
            command: text("command"),
            pod: harmless(&pod(call), NAME),
            plugin: text("plugin"),
            outcome: harmless(&call.outcome, NAME),
            cause: text("cause"),
            took_ms: call.record["duration_ms"].as_f64().filter(|ms| ms.is_finite() && *ms >= 0.0),
            fate,
            error: harmless(error.trim(), SEARCHED),
            pools: pools(&call.record["checks"]),
            detail: detail::of(call),
            config,
        });
    }
}

fn milliseconds(time: &str) -> Option<i64> {
    let since = clock::parse_rfc3339(time)?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

fn harmless(text: &str, length: usize) -> String {
    let cut: String = text.chars().take(length).collect();
    escape::line(&cut).into_owned()
}

fn pod(call: &Call) -> String {
    match (call.text("pod_namespace"), call.text("pod_name")) {
        ("", "") => call.text("container_id").chars().take(32).collect(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn pools(checks: &Value) -> Vec<PoolUse> {
    let checks = checks.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = checks.iter().filter(|check| check["check"] == "ipam-pool").filter_map(|check| {
        let evidence = &check["evidence"];
        Some((evidence["folder"].as_str()?, evidence["sets"].as_array()?))
    });
    found
        .flat_map(|(folder, sets)| {
            sets.iter().filter_map(move |set| {
                Some(PoolUse {
                    folder: harmless(folder, NAME),
                    ranges: harmless(set["ranges"].as_str()?, NAME),
                    capacity: number(&set["capacity"])?,
                    used: number(&set["used"])?,
                    leaked: number(&set["leaked"]),
                })
            })
        })
        .collect()
}

/// A count; those that JSON's readers cannot hold stand there as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|count| count.is_finite() && *count >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn taken(record: Value, outcome: &str) -> Rows {
        let mut rows = Rows::default();
        rows.take(&Call { record, outcome: outcome.into(), stalls: Vec::new() });
        rows
    }

    #[test]
    fn a_call_becomes_a_row() {
        let rows = taken(
            json!({
                "id": "7c1", "time": "2026-11-21T10:20:30.5Z", "node": "worker-1", "command": "ADD", "plugin": "bridge",
                "pod_namespace": "shop", "pod_name": "cart\u{202e}", "duration_ms": 12.5, "cause": "ipam-exhausted",
                "error": {"code": 11, "msg": "no addresses", "details": "at all"}, "config": {"name": "pods"}, "config_sha256": "ab",
                "checks": [{"check": "ipam-pool", "status": "fail", "evidence": {"folder": "/pools/pods", "sets": [
                    {"ranges": "10.1.0.1-10.1.0.6", "capacity": 5, "used": 5, "free": 0, "leaked": 2},
                    {"ranges": "fd00::1-fd00:ffff::", "capacity": "340282366920938463463374607431768211456", "used": 1, "leaked": null},
                ]}}],
            }),
            "failed",
        );
        let row = &rows.rows[0];
        assert_eq!((row.at, row.pod.as_str()), (Some(1_795_256_430_500), "shop/cart\\u{202e}"));
        assert_eq!((row.fate, row.reason(), row.took_ms), (Fate::Failed, "ipam-exhausted", Some(12.5)));
        assert_eq!((row.error.as_str(), row.config.as_deref()), ("no addresses at all", Some("ab")));
        assert_eq!(rows.configs["ab"], "{\"name\":\"pods\"}");
        let used: Vec<_> = row
            .pools
            .iter()
            .map(|pool| (pool.ranges.as_str(), pool.used, pool.capacity, pool.leaked))
            .collect();
        assert_eq!(
            used,
            [
                ("10.1.0.1-10.1.0.6", 5.0, 5.0, Some(2.0)),
                ("fd00::1-fd00:ffff::", 1.0, 340_282_366_920_938_463_463_374_607_431_768_211_456.0, None)
            ]
        );
    }

    #[test]
    fn what_is_missing_or_no_number_is_left_out() {
        let rows = taken(
            json!({"id": "1", "container_id": "c".repeat(64), "time": "soon", "checks": "none"}),
            "killed",
        );
        let row = &rows.rows[0];
        assert_eq!((row.at, row.took_ms, row.pod.len()), (None, None, 32));
        assert_eq!((row.fate, row.reason(), row.config.as_deref()), (Fate::Failed, "killed", None));
    }

    #[test]
    fn how_a_call_went() {
        for (outcome, cause, expected) in [
            ("ok", json!(null), Fate::Good),
            ("ok", json!("route-conflict"), Fate::Suspect),
            ("running", json!(null), Fate::Running),
            ("deadline", json!("plugin-timeout"), Fate::Failed),
        ] {
            assert_eq!(taken(json!({"id": "1", "cause": cause}), outcome).rows[0].fate, expected);
        }
    }
}
