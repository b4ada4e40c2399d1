//! cniscope taken out by hand, with and without Pods that were started through it.

use serde_json::Value;

use crate::node::{LIST, Node, list, with_network};

const SUBNET: &str = "10.244.7.0/24";

impl Node {
    /// What the kubelet has warned of, about Pods.
    fn warnings(&self) -> Vec<String> {
        let events =
            self.json(&["get", "events", "--field-selector", "type=Warning,involvedObject.kind=Pod"]);
        let message = |event: &Value| event["message"].as_str().unwrap().to_owned();
        events["items"].as_array().unwrap().iter().map(message).collect()
    }
}

#[test]
fn nothing_is_left_of_an_installation_that_is_taken_back() {
    let node = with_network(SUBNET);
    let before = node.listing();
    node.install();
    assert_ne!(node.listing(), before);
    node.built(&["uninstall"]);
    assert_eq!(node.listing(), before);
    assert_eq!(node.read(LIST), list(SUBNET));
}

#[test]
fn pods_from_before_are_deleted_without_an_error_and_their_addresses_are_free() {
    let node = with_network(SUBNET);
    let before = node.listing();
    node.kubectl(&["delete", "events", "--all"]);
    node.install();
    node.start_pods(&["one", "two"]);
    let told = node.built(&["uninstall"]);
    assert!(told.contains("default/one") && told.contains("default/two"), "{told}");
    assert_eq!(node.read(LIST), list(SUBNET));
    node.has_loaded(&list(SUBNET));
    node.start_pods(&["new"]);
    assert_eq!(node.reserved(), ["10.244.7.2", "10.244.7.3", "10.244.7.4"]);
    node.delete(&["one", "two"]);
    assert_eq!(node.reserved(), ["10.244.7.4"]);
    assert_eq!(node.warnings(), [""; 0]);
    node.built(&["uninstall", "--purge"]);
    assert_eq!(node.listing(), before);
}
