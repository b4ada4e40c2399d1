//! Two replays of one call, compared.

use serde::Serialize;
use serde_json::Value;

use super::change::Change;
use super::{Called, Report};

/// How one replay went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The binary that stood in the plugin's place.
    pub path: String,
    /// What the calls ended with.
    pub outcome: String,
    /// The cause, where one failed.
    pub cause: Option<String>,
    /// The error's text.
    pub error: Option<String>,
    /// What the plugins printed on stderr.
    pub stderr: String,
    /// How long the plugins took together, in milliseconds.
    pub plugin_ms: f64,
    /// The last result.
    pub result: Value,
}

/// What differs between two replays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// The fields of [`Side`] that are not the same.
    pub differs: Vec<&'static str>,
    /// What only the first has changed.
    pub only_a: Vec<Change>,
    /// What only the second has changed.
    pub only_b: Vec<Change>,
}

impl Comparison {
    /// Whether both did the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differs.is_empty() && self.only_a.is_empty() && self.only_b.is_empty()
    }
}

/// Compares two replays. Random names of links, and times, are no difference.
#[must_use]
pub fn compare(path: [&str; 2], reports: [&Report; 2]) -> Comparison {
    let [a, b] = [(path[0], reports[0]), (path[1], reports[1])].map(|(path, report)| side(path, report));
    let mut differs = Vec::new();
    let same_text = |one: &Option<String>, other: &Option<String>| {
        one.as_deref().map(steady) == other.as_deref().map(steady)
    };
    for (name, is_same) in [
        ("outcome", a.outcome == b.outcome),
        ("cause", a.cause == b.cause),
        ("error", same_text(&a.error, &b.error)),
        ("stderr", steady(&a.stderr) == steady(&b.stderr)),
        ("result", steady_result(&a.result) == steady_result(&b.result)),
    ] {
        if !is_same {
            differs.push(name);
        }
    }
    let [of_a, of_b] = reports.map(|report| report.changes.iter().map(steady_change).collect::<Vec<_>>());
    let only = |own: &Report, other: &[Change]| {
        own.changes.iter().filter(|change| !other.contains(&steady_change(change))).cloned().collect()
    };
    Comparison { only_a: only(reports[0], &of_b), only_b: only(reports[1], &of_a), a, b, differs }
}

fn side(path: &str, report: &Report) -> Side {
    let last = report.calls.last().cloned().unwrap_or_default();
    let text = |called: &Called, field: &str| called.record[field].as_str().unwrap_or_default().to_owned();
    let error = |field: &str| last.record["error"][field].as_str().filter(|text| !text.is_empty());
    let texts: Vec<&str> = [error("msg"), error("details")].into_iter().flatten().collect();
    Side {
        path: path.to_owned(),
        outcome: text(&last, "outcome"),
        cause: last.record["cause"].as_str().map(str::to_owned),
        error: (!texts.is_empty()).then(|| texts.join("; ")),
        stderr: report.calls.iter().map(|called| text(called, "stderr")).collect(),
        plugin_ms: report.calls.iter().filter_map(|called| called.record["plugin_ms"].as_f64()).sum(),
        result: last.record["result"].clone(),
    }
}

fn steady_change(change: &Change) -> Change {
    Change {
        name: steady(&change.name),
        before: change.before.as_deref().map(steady),
        now: change.now.as_deref().map(steady),
        ..change.clone()
    }
}

/// A result without the hardware addresses and names that the plugins draw by lot.
fn steady_result(result: &Value) -> Value {
    let mut result = result.clone();
    for interface in result["interfaces"].as_array_mut().into_iter().flatten() {
        if let Some(interface) = interface.as_object_mut() {
            interface.shift_remove("mac");
            if let Some(Value::String(name)) = interface.get_mut("name") {
                *name = steady(name);
            }
        }
    }
    result
}

/// A text in which the names that libcni's plugins draw by lot, `veth` and eight digits, are alike.
fn steady(text: &str) -> String {
    const DIGITS: usize = 8;
    let mut steady = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("veth") {
        let (before, after) = rest.split_at(at + "veth".len());
        steady.push_str(before);
        let is_drawn =
            after.len() >= DIGITS && after.bytes().take(DIGITS).all(|byte| byte.is_ascii_hexdigit());
        if is_drawn {
            steady.push('*');
        }
        rest = if is_drawn { &after[DIGITS..] } else { after };
    }
    steady + rest
}

#[cfg(test)]
mod tests {
    use super::super::change::{Kind, Place};
    use super::*;
    use serde_json::json;

    fn report(record: Value, changes: &[&str]) -> Report {
        let change = |name: &&str| Change {
            place: Place::Node,
            kind: Kind::Link,
            name: (*name).to_owned(),
            before: None,
            now: Some("up".to_owned()),
        };
        Report {
            calls: vec![Called { record, ..Called::default() }],
            changes: changes.iter().map(change).collect(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn names_drawn_by_lot_and_times_are_no_difference() {
        let result = |name: &str, mac: &str| json!({"outcome": "ok", "plugin_ms": 1.5, "result": {"interfaces": [{"name": name, "mac": mac}]}});
        let one = report(result("veth1a2b3c4d", "02:00"), &["veth1a2b3c4d", "cni0"]);
        let mut other = report(result("vethffffffff", "02:01"), &["cni0", "vethffffffff"]);
        other.calls[0].record["plugin_ms"] = json!(9.5);
        assert!(compare(["/a", "/b"], [&one, &other]).is_same());
    }

    #[test]
    fn what_differs_is_named() {
        let one = report(json!({"outcome": "ok", "result": {"ips": []}}), &["cni0", "a"]);
        let error = json!({"code": 7, "msg": "no", "details": "why"});
        let other = report(
            json!({"outcome": "failed", "cause": "unknown", "error": error, "stderr": "x"}),
            &["cni0"],
        );
        let comparison = compare(["/a", "/b"], [&one, &other]);
        assert_eq!(comparison.differs, ["outcome", "cause", "error", "stderr", "result"]);
        assert_eq!(comparison.b.error.as_deref(), Some("no; why"));
        let names = |changes: &[Change]| changes.iter().map(|change| change.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&comparison.only_a), names(&comparison.only_b)), (vec!["a".to_owned()], vec![]));
    }
}
