//! The DaemonSet of conf-examples/kubernetes: its Pod puts cniscope in place and keeps it there.

use std::path::Path;

use serde_json::Value;

use crate::machine::{kill, printed};
use crate::manifests::folder;
use crate::node::{LIST, Node, Ours, PATIENCE, list, with_network};
use crate::programs::NODE;
use crate::support::{cniscope, spawn, within};

const SUBNET: &str = "10.244.7.0/24";
/// The name that the manifests have for the image.
const IMAGE: &str = "localhost/cniscope:0.1.0";

impl Node {
    /// Gives the runtime the image that the Dockerfile makes of the binary.
    pub fn import_cniscope(&self) {
        let binary = cniscope();
        let (context, name) = (binary.parent().unwrap(), binary.file_name().unwrap());
        let mut podman = self.command("podman");
        podman.args(["build", "--quiet", "--tag", IMAGE, "--file", &folder("Dockerfile"), "--build-arg"]);
        printed(podman.arg(format!("BINARY={}", name.display())).arg(context));
        let archive = "/run/cniscope.tar";
        self.sh(&format!("rm -f {archive}; podman save --quiet --output {archive} {IMAGE}"));
        self.import(Path::new(archive));
    }

    /// Applies an overlay and waits until its Pod is ready.
    pub fn roll_out(&self, overlay: &str) {
        self.kubectl(&["apply", "-k", &folder(&format!("overlays/{overlay}"))]);
        self.is_rolled_out();
    }

    fn is_rolled_out(&self) {
        self.kubectl(&["-n", "cniscope", "rollout", "status", "daemonset/cniscope", "--timeout=120s"]);
    }

    /// The Pod of the DaemonSet that there is now.
    fn pod_of_daemonset(&self) -> String {
        let pods = self.json(&["-n", "cniscope", "get", "pods"]);
        let is_there = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let pod = pods["items"].as_array().unwrap().iter().find(is_there);
        pod.unwrap()["metadata"]["name"].as_str().unwrap().to_owned()
    }

    fn is_wrapped(&self) -> bool {
        self.read(LIST).contains(r#""type": "cniscope""#)
    }

    /// Starts a Pod, of which there is a record then.
    fn is_recorded(&self, pod: &str) {
        self.start_pods(&[pod]);
        let calls = self.calls_of("bridge");
        assert!(calls.iter().any(|call| call.pod == pod && call.command == "ADD"), "{calls:#?}");
    }
}

/// A node on which the DaemonSet runs.
fn with_daemonset() -> Ours {
    let node = with_network(SUBNET);
    node.import_cniscope();
    node.roll_out("kubeadm");
    node
}

#[test]
fn its_pod_puts_cniscope_in_place() {
    let node = with_daemonset();
    assert!(node.is_wrapped());
    node.has_loaded(&node.read(LIST));
    node.is_recorded("web");
    let path = format!("/api/v1/nodes/{NODE}:9464/proxy/metrics");
    let metrics = node.kubectl(&["get", "--raw", &path]);
    assert!(metrics.contains("\ncniscope_wrapped{network=\"pods\"} 1\n"), "{metrics}");
}

#[test]
fn a_list_that_its_agent_writes_again_is_wrapped_again() {
    let node = with_daemonset();
    node.write(LIST, &list("10.244.8.0/24"));
    let wrapped = within(PATIENCE, || node.is_wrapped().then(|| node.read(LIST)));
    assert!(wrapped.contains("10.244.8.0/24"), "{wrapped}");
    node.has_loaded(&wrapped);
    node.is_recorded("web");
}

#[test]
fn an_update_of_it_leaves_the_network_wrapped_all_the_time() {
    let node = with_daemonset();
    let (before, wrapped) = (node.pod_of_daemonset(), node.read(LIST));
    node.kubectl(&["-n", "cniscope", "rollout", "restart", "daemonset/cniscope"]);
    std::thread::scope(|scope| {
        let rollout = scope.spawn(|| node.is_rolled_out());
        while !rollout.is_finished() {
            assert_eq!(node.read(LIST), wrapped);
        }
    });
    assert_ne!(node.pod_of_daemonset(), before);
    assert_eq!(node.read(LIST), wrapped);
    node.is_recorded("web");
}

#[test]
fn it_goes_and_leaves_the_network_wrapped() {
    let node = with_daemonset();
    node.kubectl(&["-n", "cniscope", "delete", "daemonset", "cniscope", "--cascade=foreground"]);
    assert!(node.is_wrapped());
    node.is_recorded("web");
}

/// `cniscope doctor` in its Pod.
fn doctor(node: &Node, check: &str) -> String {
    let inside = format!("/cniscope --root /host doctor {check} -o wide");
    node.sh(&format!("kubectl -n cniscope exec daemonset/cniscope -- {inside} || true"))
}

#[test]
fn it_may_read_the_firewalls_rules() {
    let node = with_daemonset();
    let told = doctor(&node, "iptables");
    assert!(told.contains("  ok      iptables  one back end has rules ("), "{told}");
}

#[test]
fn it_may_see_which_calls_are_under_way() {
    let node = with_daemonset();
    node.is_recorded("web");
    let id = "a".repeat(64);
    node.sh(&format!("printf '{id}\\r\\neth0' >/var/lib/cni/networks/pods/10.244.7.99"));
    let mut call = spawn(node.command("env").args([&format!("CNI_CONTAINERID={id}"), "sleep", "1000"]));
    let told = within(PATIENCE, || Some(doctor(&node, "ipam-pool")).filter(|told| told.contains("leaked 0")));
    assert!(told.contains("  ok      ipam-pool  2 of 253 addresses used\n"), "{told}");
    kill(&mut call);
    let told = within(PATIENCE, || Some(doctor(&node, "ipam-pool")).filter(|told| told.contains("leaked 1")));
    assert!(told.contains("address 10.244.7.99, container_id aaaa"), "{told}");
}

#[test]
fn a_list_of_another_user_is_wrapped_and_stays_his() {
    let node = with_network(SUBNET);
    node.sh(&format!("chown 1000:1001 {LIST}; chmod 0640 {LIST}; mkdir -p /etc/cniscope"));
    node.import_cniscope();
    node.roll_out("kubeadm");
    assert!(node.is_wrapped());
    assert_eq!(node.sh(&format!("stat --format '%u:%g %a' {LIST}")), "1000:1001 640\n");
}

#[test]
fn the_overlay_for_it_takes_everything_out() {
    let node = with_network(SUBNET);
    node.import_cniscope();
    let before = node.listing();
    node.roll_out("kubeadm");
    node.is_recorded("web");
    node.kubectl(&["delete", "pod", "web"]);
    node.roll_out("uninstall-kubeadm");
    assert_eq!(node.listing(), before);
    // On a node that has joined meanwhile there is nothing to do.
    node.kubectl(&["-n", "cniscope", "rollout", "restart", "daemonset/cniscope"]);
    node.is_rolled_out();
    node.kubectl(&["delete", "-k", &folder("overlays/uninstall-kubeadm")]);
    assert_eq!(node.listing(), before);
}

#[test]
fn the_overlay_for_it_waits_for_the_last_pod_that_was_started_through_it() {
    let node = with_network(SUBNET);
    node.import_cniscope();
    let before = node.listing();
    node.roll_out("kubeadm");
    node.is_recorded("old");
    node.kubectl(&["apply", "-k", &folder("overlays/uninstall-kubeadm")]);
    within(PATIENCE, || (!node.is_wrapped()).then_some(()));
    node.has_loaded(&node.read(LIST));
    node.start_pods(&["new"]);
    assert!(node.calls_of("bridge").iter().all(|call| call.pod != "new"));
    assert!(node.sh("ls /opt/cni/bin").contains("cniscope\n"), "it is gone while a Pod needs it");
    node.delete(&["old"]);
    node.is_rolled_out();
    assert_eq!(node.listing(), before);
}
