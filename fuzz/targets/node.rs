//! The checks on a node whose files hold anything: none panics, and nothing that is shown of it acts on a terminal.

#![no_main]

mod shown;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cniscope::checks::examination::{Plan, examine};
use cniscope::node::Node;
use cniscope::render::examination::{self, Detail, View};
use libfuzzer_sys::fuzz_target;

/// Files that checks read, one after the other: the parts of the input between NUL bytes.
const FILES: [&str; 12] = [
    "etc/cni/net.d/10-net.conflist",
    "run/flannel/subnet.env",
    "var/lib/calico/nodename",
    "etc/cni/net.d/calico-kubeconfig",
    "var/lib/cni/networks/net/10.0.0.2",
    "var/lib/cni/results/net-container-eth0",
    "etc/containerd/config.toml",
    "proc/net/stat/nf_conntrack",
    "proc/locks",
    "proc/mounts",
    "proc/sys/net/ipv4/ip_forward",
    "var/log/pods/kube-system_flannel/0.log",
];

fuzz_target!(|data: &[u8]| {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in FILES.iter().zip(data.split(|byte| *byte == 0)) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let plan = Plan {
        checks: Vec::new(),
        conf_dir: PathBuf::from("/etc/cni/net.d"),
        bin_folders: vec![PathBuf::from("/opt/cni/bin")],
        event: None,
        own: Vec::new(),
        peers: Vec::new(),
        limit: Duration::from_secs(5),
    };
    // libFuzzer ends at a panic even where the checks' own net would catch it.
    let found = examine(&Node::at(root.path()), &plan);
    let mut written = Vec::new();
    let view = View { detail: Detail::Evidence, width: Some(80), ..View::default() };
    examination::whole(&mut written, &found, view).unwrap();
    shown::assert_harmless(&written);
    shown::assert_harmless(examination::line(&found).as_bytes());
});
