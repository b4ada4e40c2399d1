//! The cause of a failure: what cniscope found in the scratch node, and what only the node itself can tell.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::Called;
use super::plan::{Entry, Plan};
use crate::checks::subject::{Origin, Subject};
use crate::checks::{self, Check, Depth};
use crate::cni::environment::Verb;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::own::Own;
use crate::diagnosis::reason::{self, Happened};
use crate::node::Node;

/// Checks of what has no scratch form, such as which sandboxes live: they look at the node itself. In the scratch node they
/// are off.
pub const OF_THE_NODE: [&str; 7] = ["cidr", "disk", "flannel", "ipam-pool", "leftovers", "limits", "runtime"];
/// How a fix begins to speak of the record, which nobody has of a replay.
const OF_A_RECORD: &str = "cniscope show";
/// What cniscope adds to an error.
const BRACKET: &str = "[cniscope: ";
/// How long they may take.
const LIMIT: Duration = Duration::from_secs(4);

/// Finds the cause of a call that failed again, and puts it in its record.
pub fn judge(called: &mut Called, plan: &Plan, node: &Node, own: &[Own]) {
    look_closer(called, plan, node, own);
    speak_of_the_replay(&mut called.record);
}

/// What stands in the record is said to a tenant whose node has the record.
fn speak_of_the_replay(record: &mut Value) {
    for part in ["msg", "details"] {
        if let Some(Value::String(text)) = record.pointer_mut(&format!("/returned/{part}"))
            && let Some(at) = text.find(BRACKET)
        {
            text.truncate(text[..at].trim_end().len());
        }
    }
    let is_late = record["outcome"] == "deadline";
    if let Some(fixes) = record.pointer_mut("/diagnosis/fix").and_then(Value::as_array_mut) {
        fixes.retain(|fix| !fix.as_str().unwrap_or_default().contains(OF_A_RECORD));
        if is_late {
            fixes.insert(0, json!("see what it does until then: replay it with --strace"));
        }
    }
}

/// A failure that has a text is reasoned about once more, with what the node itself can tell.
fn look_closer(called: &mut Called, plan: &Plan, node: &Node, own: &[Own]) {
    let error = &called.record["error"];
    if called.record["outcome"] != "failed" || error.is_null() {
        return;
    }
    let part = |part: &str| error[part].as_str().unwrap_or_default().to_owned();
    let text = match (part("msg"), part("details")) {
        (msg, details) if details.is_empty() => msg,
        (msg, details) => format!("{msg}; {details}"),
    };
    let plugin = called.record["plugin"].as_str().unwrap_or_default();
    let Some(entry) = plan.entries.iter().find(|entry| entry.plugin == plugin) else { return };
    let verb = called.record["command"].as_str().unwrap_or_default();
    let recorded: Vec<Finding> = serde_json::from_value(called.record["checks"].clone()).unwrap_or_default();
    let mut findings: Vec<Finding> =
        recorded.into_iter().filter(|finding| !OF_THE_NODE.contains(&finding.check.as_str())).collect();
    findings.extend(look(node, &subject(entry, plan, Verb::parse(verb.as_ref()))));
    let diagnosis = reason::diagnose(&Happened::Error { text }, &findings, own);
    called.record["cause"] = json!(diagnosis.cause);
    called.record["checks"] = json!(findings);
    called.record["diagnosis"] = json!(diagnosis);
}

fn look(node: &Node, subject: &Subject) -> Vec<Finding> {
    let is_wanted = |check: &&Check| OF_THE_NODE.contains(&check.name) && (check.fits)(subject);
    let wanted: Vec<&'static Check> = checks::TABLE.iter().filter(is_wanted).collect();
    checks::run_all(&wanted, LIMIT, |check| {
        let (node, subject) = (node.clone(), subject.clone());
        move || checks::run(check, &node, &subject, Depth::Full)
    })
}

fn subject(entry: &Entry, plan: &Plan, verb: Verb) -> Subject {
    Subject {
        origin: Origin::Call,
        verb,
        plugin: entry.plugin.clone(),
        folders: plan.folders.clone(),
        config: entry.config.clone(),
        container_id: plan.container_id.clone(),
        netns: PathBuf::from(&plan.netns),
        ifname: plan.ifname.clone(),
        netns_override: false,
        result: Value::Null,
        peers: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_is_spoken_of() {
        let mut record = json!({
            "outcome": "deadline",
            "returned": {"code": 11, "msg": "did not end", "details": "stderr: x [cniscope: plugin-timeout: y]"},
            "diagnosis": {"fix": ["see what the plugin was waiting for: cniscope show", "look at the node"]},
        });
        speak_of_the_replay(&mut record);
        assert_eq!(record["returned"], json!({"code": 11, "msg": "did not end", "details": "stderr: x"}));
        let fixes = ["see what it does until then: replay it with --strace", "look at the node"];
        assert_eq!(record["diagnosis"]["fix"], json!(fixes));
        let mut good = json!({"outcome": "ok", "returned": null, "diagnosis": null});
        let before = good.clone();
        speak_of_the_replay(&mut good);
        assert_eq!(good, before);
    }
}
