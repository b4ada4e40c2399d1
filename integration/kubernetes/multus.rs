//! What the real API server refuses to the real Multus, which asks it in every call.

use serde_json::{Value, json};

use crate::node::{LIST, Ours, PATIENCE, with_network};
use crate::support::within;

/// Below the folder that Multus' own installation makes.
const KUBECONFIG: &str = "/etc/cni/net.d/multus.d/multus.kubeconfig";

/// A node whose network is Multus', wrapped, with a kubeconfig that has this token.
fn with_multus(token: &str) -> Ours {
    let node = with_network("10.244.7.0/24");
    let bridge: Value = serde_json::from_str(&node.read(LIST)).unwrap();
    let list = json!({
        "cniVersion": "1.0.0",
        "name": "multus",
        "plugins": [{"type": "multus", "kubeconfig": KUBECONFIG, "delegates": [bridge]}],
    });
    write_kubeconfig(&node, token);
    node.add_plugin("multus");
    let list = format!("{list:#}\n");
    node.write(LIST, &list);
    node.has_loaded(&list);
    node.install();
    node
}

/// Writes the kubeconfig, with this token.
fn write_kubeconfig(node: &Ours, token: &str) {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "multus",
        "clusters": [{"name": "local", "cluster": {
            "server": "https://127.0.0.1:6443", "certificate-authority": "/etc/kubernetes/pki/apiserver.crt",
        }}],
        "users": [{"name": "multus", "user": {"token": token}}],
        "contexts": [{"name": "multus", "context": {"cluster": "local", "user": "multus"}}],
    });
    node.write(KUBECONFIG, &format!("{kubeconfig:#}\n"));
}

/// Why an ADD failed, as the record has it.
struct Failed {
    /// The plugin's own text.
    text: String,
    cause: String,
    summary: String,
}

impl Failed {
    /// That the text has these words, and the fault has this cause and this summary.
    #[track_caller]
    fn tells(&self, words: &str, cause: &str, summary: &str) {
        assert!(self.text.contains(words), "the fault is another one: {}", self.text);
        assert_eq!((self.cause.as_str(), self.summary.as_str()), (cause, summary));
    }
}

/// The first ADD that fails.
fn failed(node: &Ours) -> Failed {
    let end = within(PATIENCE, || {
        node.ends().into_iter().find(|end| end["command"] == "ADD" && end["outcome"] != "ok")
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Failed {
        text: text(&end["error"]["msg"]),
        cause: text(&end["cause"]),
        summary: text(&end["diagnosis"]["summary"]),
    }
}

#[test]
fn a_network_that_nobody_has_defined() {
    let node = with_multus("admin");
    node.start_pods(&["plain"]);
    node.create_annotated("web", &json!({"k8s.v1.cni.cncf.io/networks": "absent"}));
    failed(&node).tells(
        "cannot find a network-attachment-definition (absent) in namespace (default): \
         the server could not find the requested resource",
        "api-object-missing",
        "an object that the plugin needs is not in the Kubernetes API",
    );
    node.kubectl(&["annotate", "pod", "web", "k8s.v1.cni.cncf.io/networks-"]);
    node.run_all(&["web"]);
}

#[test]
fn a_token_that_is_nobodys_in_a_kubeconfig_that_is_older_than_tokens_live() {
    let node = with_multus("a-token-that-is-nobodys");
    node.sh(&format!("touch -d '27 hours ago' {KUBECONFIG}"));
    node.create(&["web"]);
    failed(&node).tells(
        "error waiting for pod: Unauthorized",
        "apiserver-denied",
        "the API server that /etc/cni/net.d/multus.d/multus.kubeconfig names does not accept the kubeconfig's token (401): \
         the file was written 27 h ago",
    );
    write_kubeconfig(&node, "admin");
    node.run_all(&["web"]);
}

#[test]
fn a_kubeconfig_that_is_gone() {
    let node = with_multus("admin");
    node.sh(&format!("rm {KUBECONFIG}"));
    node.create(&["web"]);
    failed(&node).tells(
        "stat /etc/cni/net.d/multus.d/multus.kubeconfig: no such file or directory",
        "kubeconfig-missing",
        "/etc/cni/net.d/multus.d/multus.kubeconfig does not exist",
    );
    write_kubeconfig(&node, "admin");
    node.run_all(&["web"]);
}
