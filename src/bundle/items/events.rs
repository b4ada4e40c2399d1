//! Warnings about this node's Pods, as the API server has them, where a kubeconfig of the node may read them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::gather::{Gathered, Gatherer};
use crate::bundle::manifest::Status;
use crate::checks::apiserver::fetch;
use crate::checks::kubeconfig::Kubeconfig;
use crate::checks::networks::Folder;

/// What is asked for.
const PATH: &str = "/api/v1/events?fieldSelector=involvedObject.kind%3DPod%2Ctype%3DWarning&limit=2000";
/// The most that is read of the answer, in bytes.
const MOST: usize = 8 << 20;
/// Kubeconfigs that may read events, or may not: that differs from cluster to cluster.
const KUBECONFIGS: [&str; 6] = [
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/rancher/rke2/rke2.yaml",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/var/lib/kubelet/kubeconfig",
    "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
];
/// The most kubeconfigs that are tried: a server that does not answer takes seconds.
const MAX_TRIED: usize = 2;

pub(super) fn gather(to: &Gatherer) -> Gathered {
    let there = |path: &PathBuf| to.node.metadata(path).is_ok();
    let mut refusals = Vec::new();
    for path in kubeconfigs(to).into_iter().filter(there).take(MAX_TRIED) {
        match of_kubeconfig(to, &path) {
            Ok(events) => return to.found("events.json", &events),
            Err(why) => refusals.push(format!("{}: {why}", path.display())),
        }
    }
    if refusals.is_empty() { Ok(()) } else { to.without(Status::Missing, refusals.join("; ")) }
}

/// The one that is told, those of whole nodes, and those of the plugins.
fn kubeconfigs(to: &Gatherer) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = to.plan.kubeconfig.iter().cloned().collect();
    paths.extend(KUBECONFIGS.iter().map(PathBuf::from));
    if let Ok(folder) = Folder::read(&to.node, &to.plan.conf_dir) {
        let subjects = folder.subjects(&[]);
        let named = subjects
            .iter()
            .flat_map(|subject| [&subject.config["kubernetes"]["kubeconfig"], &subject.config["kubeconfig"]]);
        paths.extend(named.filter_map(Value::as_str).map(PathBuf::from));
    }
    paths
}

fn of_kubeconfig(to: &Gatherer, path: &Path) -> Result<Vec<Value>, String> {
    let text = to.node.read_text(path).map_err(|error| error.to_string())?;
    let answer = fetch(&to.node, Kubeconfig { path, text: &text }, PATH, MOST)?;
    if answer.len() == MOST {
        return Err(format!("there are more than {MOST} bytes of events"));
    }
    let answer: Value =
        serde_json::from_slice(&answer).map_err(|error| format!("the answer is no JSON: {error}"))?;
    let node = to.node.host_name();
    Ok(answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| is_of(event, &node))
        .map(shown)
        .collect())
}

/// Whether an event is about this node: where it does not tell, it may be.
fn is_of(event: &Value, node: &str) -> bool {
    let reporter = [&event["source"]["host"], &event["reportingInstance"]];
    reporter
        .iter()
        .find_map(|name| name.as_str().filter(|name| !name.is_empty()))
        .is_none_or(|name| name == node)
}

/// What tells something, and nothing of what others may have put into it.
fn shown(event: &Value) -> Value {
    let about = &event["involvedObject"];
    json!({
        "namespace": about["namespace"], "pod": about["name"], "uid": about["uid"], "reason": event["reason"], "message": event["message"],
        "count": event["count"], "first": event["firstTimestamp"], "last": event["lastTimestamp"],
        "component": event["source"]["component"], "host": event["source"]["host"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_other_nodes_are_left_out() {
        let event = |host: &str| json!({"source": {"component": "kubelet", "host": host}});
        assert!(is_of(&event("n1"), "n1") && is_of(&event(""), "n1") && is_of(&json!({}), "n1"));
        assert!(!is_of(&event("n2"), "n1"));
    }

    #[test]
    fn an_event_keeps_what_tells() {
        let event = json!({
            "metadata": {"annotations": {"own": "hunter"}}, "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "cart", "uid": "1"},
            "reason": "FailedCreatePodSandBox", "message": "text", "count": 3, "firstTimestamp": "a", "lastTimestamp": "b",
            "source": {"component": "kubelet", "host": "n1"},
        });
        let expected = json!({
            "namespace": "shop", "pod": "cart", "uid": "1", "reason": "FailedCreatePodSandBox", "message": "text", "count": 3,
            "first": "a", "last": "b", "component": "kubelet", "host": "n1",
        });
        assert_eq!(shown(&event), expected);
    }
}
