//! The built binary on a real Kubernetes node: etcd, API server, controller manager, scheduler, kubelet and containerd. It
//! needs root and what `make setup-kubernetes` installs; what is missing is named by the test that misses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(unsafe_code, reason = "what is shared with integration/ enters namespaces between fork and exec")]

mod daemonset;
mod faults;
mod hundred_pods;
#[path = "../image.rs"]
mod image;
mod install_page;
mod layouts;
#[allow(dead_code, reason = "shared with integration/")]
#[path = "../machine.rs"]
mod machine;
mod manifests;
mod multus;
mod node;
mod pods;
mod programs;
mod recording;
mod restarts;
#[allow(dead_code, reason = "shared with tests/")]
#[path = "../../tests/support/mod.rs"]
mod support;
mod uninstall;
#[allow(dead_code, reason = "shared with integration/")]
#[path = "../world.rs"]
mod world;
