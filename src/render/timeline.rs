//! What a call did, one after the other.

use serde_json::Value;

use super::time::duration;
use crate::journal::read::Call;

/// A line of it: how long after the begin, what, and more about it.
pub(super) type Step = (String, &'static str, String);

/// The steps of a call, with the times that its record has.
pub(super) fn steps(call: &Call) -> Vec<Step> {
    let record = &call.record;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |field: &str| record[field].as_f64();
    let after = |ms: Option<f64>| ms.map(|ms| format!("+{}", duration(ms))).unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    let caller = text(&record["caller"]["name"]);
    let by =
        if caller.is_empty() { String::new() } else { format!("{caller}, pid {}", record["caller"]["pid"]) };
    steps.push(("0 ms".to_owned(), "begin", by));
    if let Some(checks) = record["checks"].as_array().filter(|checks| !checks.is_empty()) {
        let one = |check: &Value| {
            let took =
                check["took_us"].as_f64().map(|us| format!(" {}", duration(us / 1e3))).unwrap_or_default();
            format!("{}{took}", text(&check["check"]))
        };
        let all: Vec<String> = checks.iter().map(one).collect();
        steps.push((String::new(), "checks", all.join(", ")));
    }
    if let Some(plugin) = number("plugin_ms") {
        let end = match (record["exit_status"].as_i64(), record["signal"].as_i64()) {
            (Some(status), _) => format!(", exit status {status}"),
            (None, Some(signal)) => format!(", signal {signal}"),
            (None, None) => String::new(),
        };
        steps.push((
            after(number("plugin_after_ms")),
            "delegate",
            format!("{} ran {}{end}", text(&record["plugin"]), duration(plugin)),
        ));
    }
    for stall in &call.stalls {
        steps.push((
            after(stall["after_ms"].as_f64()),
            "stall",
            "it was silent, and was looked at".to_owned(),
        ));
    }
    if let Some(cause) = record["diagnosis"]["cause"].as_str() {
        steps.push((String::new(), "diagnosis", cause.to_owned()));
    }
    let own =
        number("overhead_ms").map(|ms| format!(", of it {} in cniscope", duration(ms))).unwrap_or_default();
    let end = match call.outcome.as_str() {
        "running" => "it has not ended".to_owned(),
        "killed" => "no end was recorded, and the process is gone: the runtime has killed it".to_owned(),
        "unfinished" => "the end could not be recorded".to_owned(),
        outcome => format!("{outcome}{own}"),
    };
    steps.push((after(number("duration_ms")), "end", end));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(record: Value, outcome: &str, stalls: Vec<Value>) -> Vec<String> {
        let call = Call { record, outcome: outcome.to_owned(), stalls };
        steps(&call).into_iter().map(|(when, what, more)| format!("{when}|{what}|{more}")).collect()
    }

    #[test]
    fn a_call_is_told_step_by_step() {
        let record = json!({
            "plugin": "calico", "caller": {"pid": 812, "name": "containerd"}, "duration_ms": 12_345.0, "plugin_ms": 12_300.0,
            "overhead_ms": 45.0, "plugin_after_ms": 3.0, "exit_status": 1, "signal": null, "diagnosis": {"cause": "agent-unreachable"},
            "checks": [{"check": "netns", "took_us": 43}, {"check": "calico", "took_us": 2500}],
        });
        assert_eq!(
            shown(record, "failed", vec![json!({"after_ms": 10_000.4})]),
            [
                "0 ms|begin|containerd, pid 812",
                "|checks|netns 0.0 ms, calico 2.5 ms",
                "+3.0 ms|delegate|calico ran 12 s, exit status 1",
                "+10 s|stall|it was silent, and was looked at",
                "|diagnosis|agent-unreachable",
                "+12 s|end|failed, of it 45 ms in cniscope",
            ]
        );
    }

    #[test]
    fn of_a_call_without_an_end_what_is_known_is_told() {
        let table = [
            ("running", "|end|it has not ended"),
            ("killed", "|end|no end was recorded, and the process is gone: the runtime has killed it"),
            ("unfinished", "|end|the end could not be recorded"),
        ];
        for (outcome, end) in table {
            assert_eq!(shown(json!({"plugin": "calico"}), outcome, vec![]), ["0 ms|begin|", end]);
        }
    }
}
