//! Multus, which asks the API server itself: where there is none. `kubernetes/multus.rs` has one.

use serde_json::{Value, json};

use crate::conntrack::fill_node;
use crate::faults::{cause_as, is_cause};
use crate::named_faults::drop_what_comes;
use crate::world::World;

const KUBECONFIG: &str = "/etc/cni/net.d/multus.d/multus.kubeconfig";

/// Adds the sandbox, for a Pod, to the network of Multus on a node on which something was done before.
#[track_caller]
fn has_cause(spoil: impl FnOnce(&World), words: &str, cause: &str) {
    let bridge: Value = json!({
        "cniVersion": "1.0.0", "name": "pods", "type": "bridge",
        "ipam": {"type": "host-local", "subnet": "10.6.0.0/24"},
    });
    let multus = json!([{"type": "multus", "kubeconfig": KUBECONFIG, "delegates": [bridge]}]);
    let told = cause_as(multus, "1.0.0", spoil, |call| {
        call.env("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web")
    });
    assert!(told.contains(words), "the fault is another one: {told}");
    is_cause(&told, cause);
}

/// Writes a kubeconfig whose server is at this address.
fn kubeconfig(world: &World, server: &str) {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "multus",
        "clusters": [{"name": "local", "cluster": {"server": format!("https://{server}")}}],
        "users": [{"name": "multus", "user": {"token": "a-token-that-is-nobodys"}}],
        "contexts": [{"name": "multus", "context": {"cluster": "local", "user": "multus"}}],
    });
    world.write(KUBECONFIG, &format!("{kubeconfig:#}\n"));
}

#[test]
fn a_kubeconfig_that_is_missing() {
    let missing = format!("stat {KUBECONFIG}: no such file or directory");
    has_cause(|_| {}, &missing, "kubeconfig-missing");
}

#[test]
fn a_kubeconfig_that_is_empty() {
    has_cause(
        |world| world.write(KUBECONFIG, ""),
        "no configuration has been provided",
        "kubeconfig-missing",
    );
}

#[test]
fn an_api_server_that_does_not_run() {
    let refused = "dial tcp 127.0.0.1:6443: connect: connection refused";
    has_cause(|world| kubeconfig(world, "127.0.0.1:6443"), refused, "apiserver-unreachable");
}

#[test]
fn an_api_server_to_which_there_is_no_route() {
    let unreachable = "dial tcp 10.96.0.1:443: connect: network is unreachable";
    has_cause(|world| kubeconfig(world, "10.96.0.1:443"), unreachable, "apiserver-unreachable");
}

#[test]
fn an_api_server_whose_address_drops_what_comes() {
    let spoil = |world: &World| {
        drop_what_comes(world);
        kubeconfig(world, "10.96.0.1:443");
    };
    has_cause(spoil, "context deadline exceeded", "apiserver-unreachable");
}

#[test]
fn an_api_server_whose_name_nobody_knows() {
    has_cause(
        |world| kubeconfig(world, "api.example.org:443"),
        "lookup api.example.org",
        "apiserver-unreachable",
    );
}

#[test]
fn a_server_that_speaks_no_tls() {
    let spoil = |world: &World| {
        kubeconfig(world, "127.0.0.1:6443");
        world.serve("busybox", &["httpd", "-f", "-p", "127.0.0.1:6443"]);
        world.sh("until ss -Hltn sport = :6443 | grep -q 6443; do sleep 0.1; done");
    };
    has_cause(spoil, "http: server gave HTTP response to HTTPS client", "apiserver-unreachable");
}

#[test]
fn an_api_server_to_which_no_connection_can_be_tracked() {
    let spoil = |world: &World| {
        kubeconfig(world, "127.0.0.1:6443");
        world.serve("busybox", &["httpd", "-f", "-p", "127.0.0.1:6443"]);
        fill_node(world);
    };
    has_cause(spoil, "context deadline exceeded", "conntrack-failed");
}
