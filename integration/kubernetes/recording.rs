//! What is recorded of the Pods of a node.

use std::fs;

use crate::node::{Node, with_network};

/// One recorded call that has ended.
#[derive(Debug)]
pub struct Call {
    pub command: String,
    pub pod: String,
    pub uid: String,
    pub outcome: String,
    /// What the plugin said of its failure.
    pub error: String,
}

impl Node {
    /// The calls of a plugin, in their order.
    pub fn calls_of(&self, plugin: &str) -> Vec<Call> {
        let mut ends = self.ends();
        // The ids sort by time.
        ends.sort_by_key(|end| end["id"].to_string());
        ends.retain(|end| end["plugin"] == plugin);
        let call = |end: &serde_json::Value| {
            let text = |field: &str| end[field].as_str().unwrap_or_default().to_owned();
            Call {
                command: text("command"),
                pod: text("pod_name"),
                uid: text("pod_uid"),
                outcome: text("outcome"),
                error: end["error"].to_string(),
            }
        };
        ends.iter().map(call).collect()
    }

    /// The addresses that host-local has given away.
    pub fn reserved(&self) -> Vec<String> {
        let files = fs::read_dir(self.machine.path("/var/lib/cni/networks/pods")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut addresses: Vec<String> = names.filter(|name| name.starts_with("10.")).collect();
        addresses.sort();
        addresses
    }
}

#[test]
fn a_new_pod_is_recorded_with_its_namespace_name_and_uid() {
    let node = with_network("10.244.7.0/24");
    node.install();
    node.start_pods(&["web"]);
    let pod = node.pod("web");
    let ends = node.ends();
    let of_bridge: Vec<_> = ends.iter().filter(|end| end["plugin"] == "bridge").collect();
    let [add] = of_bridge[..] else { panic!("{ends:#?}") };
    let fields = ["command", "outcome", "pod_namespace", "pod_name", "network"];
    assert_eq!(fields.map(|field| add[field].as_str().unwrap()), ["ADD", "ok", "default", "web", "pods"]);
    assert_eq!(add["pod_uid"], pod["metadata"]["uid"]);
    let address = add["result"]["ips"][0]["address"].as_str().unwrap();
    assert_eq!(address.trim_end_matches("/24"), pod["status"]["podIP"]);
}

#[test]
fn pods_that_run_when_cniscope_comes_go_on_and_are_deleted_through_it() {
    let node = with_network("10.244.7.0/24");
    node.start_pods(&["old"]);
    let before = node.pod("old");
    node.install();
    node.start_pods(&["new"]);
    assert_eq!(node.pod("old")["status"], before["status"]);
    assert_eq!(node.reserved(), ["10.244.7.2", "10.244.7.3"]);
    node.delete(&["old", "new"]);
    let calls = node.calls_of("bridge");
    let deleted =
        |pod| calls.iter().any(|call| call.command == "DEL" && call.pod == pod && call.outcome == "ok");
    assert!(deleted("old") && deleted("new"), "{calls:#?}");
    assert_eq!(node.reserved(), [""; 0]);
}
