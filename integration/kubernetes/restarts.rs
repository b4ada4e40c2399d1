//! Runtimes and kubelets that end in between.

use crate::node::with_network;
use crate::programs::Program;

#[test]
fn pods_are_recorded_over_restarts_of_the_runtime_and_the_kubelet() {
    let mut node = with_network("10.244.7.0/24");
    node.install();
    node.start_pods(&["before"]);
    node.restart(Program::Containerd);
    node.start_pods(&["between"]);
    node.restart(Program::Kubelet);
    node.start_pods(&["after"]);
    node.delete(&["before", "between", "after"]);
    let calls = node.calls_of("bridge");
    for pod in ["before", "between", "after"] {
        let of_pod: Vec<&str> =
            calls.iter().filter(|call| call.pod == pod).map(|call| call.command.as_str()).collect();
        // A kubelet may ask more than once for a sandbox to be taken down.
        assert_eq!(of_pod[..2], ["ADD", "DEL"], "{calls:#?}");
    }
    assert!(calls.iter().all(|call| call.outcome == "ok"), "{calls:#?}");
    assert_eq!(node.reserved(), [""; 0]);
}
