//! Pods on the node, and what Kubernetes tells of them.

use serde_json::{Value, json};

use crate::image;
use crate::node::{Node, PATIENCE};
use crate::support::within;

/// What the kubelet writes before the runtime's error.
const FAILED: &str = "Failed to create pod sandbox: ";

/// A Pod with one container that does nothing.
fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": false, "enableServiceLinks": false, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": image::NAME, "imagePullPolicy": "Never"}],
        },
    })
}

impl Node {
    /// Creates Pods.
    pub fn create(&self, names: &[&str]) {
        let pods: Vec<Value> = names.iter().map(|name| pod(name)).collect();
        self.apply(&pods);
    }

    /// Creates a Pod with these annotations.
    pub fn create_annotated(&self, name: &str, annotations: &Value) {
        let mut pod = pod(name);
        pod["metadata"]["annotations"] = annotations.clone();
        self.apply(&[pod]);
    }

    /// Creates Pods and waits until they run.
    pub fn start_pods(&self, names: &[&str]) {
        self.create(names);
        self.run_all(names);
    }

    /// Waits until these Pods run.
    pub fn run_all(&self, names: &[&str]) {
        let mut arguments = vec!["wait", "--for=condition=Ready", "--timeout=120s", "pod"];
        arguments.extend(names);
        self.kubectl(&arguments);
    }

    /// Deletes Pods and waits until they are gone from the API server and their sandboxes from the node.
    pub fn delete(&self, names: &[&str]) {
        let mut arguments = vec!["delete", "pod"];
        arguments.extend(names);
        self.kubectl(&arguments);
        // A kubelet lets a Pod go from the API server before the runtime has removed its sandbox.
        let is_of_them = |sandbox: &&Value| names.contains(&sandbox["metadata"]["name"].as_str().unwrap());
        // The runtime removes none before its network is taken down.
        within(PATIENCE, || {
            let all: Value = serde_json::from_str(&self.crictl(&["pods", "-o", "json"])).unwrap();
            let left: Vec<&Value> = all["items"].as_array().unwrap().iter().filter(is_of_them).collect();
            for sandbox in left.iter().filter(|sandbox| sandbox["state"] == "SANDBOX_NOTREADY") {
                // The kubelet may be faster.
                let _ = self.try_crictl(&["rmp", sandbox["id"].as_str().unwrap()]);
            }
            left.is_empty().then_some(())
        });
    }

    /// A Pod as the API server has it.
    pub fn pod(&self, name: &str) -> Value {
        self.json(&["get", "pod", name])
    }

    /// What `kubectl describe pod` shows of why the Pod's sandbox could not be made, once it shows something with `words`.
    pub fn event(&self, pod: &str, words: &str) -> String {
        within(PATIENCE, || {
            let described = self.kubectl(&["describe", "pod", pod]);
            let mut errors = described.lines().filter_map(|line| Some(line.split_once(FAILED)?.1));
            errors.find(|error| error.contains(words)).map(str::to_owned)
        })
    }
}

/// An event's text in which the sandbox is `SANDBOX` and the id of the call `ID`.
pub fn steady(event: &str) -> String {
    let word = |word: &str| match word.len() {
        64 if word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "SANDBOX".to_owned(),
        36 if word.bytes().filter(|byte| *byte == b'-').count() == 4 => "ID".to_owned(),
        _ => word.to_owned(),
    };
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let mut steady = String::new();
    let mut rest = event;
    while let Some(start) = rest.find(is_of_word) {
        let end = rest[start..].find(|letter| !is_of_word(letter)).map_or(rest.len(), |end| start + end);
        steady.push_str(&rest[..start]);
        steady.push_str(&word(&rest[start..end]));
        rest = &rest[end..];
    }
    steady + rest
}
