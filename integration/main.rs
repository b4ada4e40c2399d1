//! The built binary on a real node: namespaces, cnitool, real plugins and a real runtime. It needs root and what
//! `make setup` installs; what is missing is named by the test that misses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(unsafe_code, reason = "a namespace is entered between fork and exec")]

mod agent;
mod attachment;
mod bundle;
mod changed;
mod chromium;
mod cilium;
mod collector;
mod conf_examples;
mod conntrack;
mod containerd;
mod dashboard;
mod demo;
mod dhcp;
mod doctor;
mod fail_open;
mod failures;
mod faults;
mod flannel;
mod image;
mod install;
mod journal;
mod kernel_lacks;
mod machine;
mod mounts;
mod multus;
mod named_faults;
mod names;
mod network;
mod node_problem_detector;
mod operator;
mod overlay;
mod page;
mod plugins;
mod podman;
mod prometheus;
mod readme;
mod records;
mod reference_plugins;
mod replay;
mod replay_leaves_nothing;
mod report;
mod shipping;
mod snapshot;
#[allow(dead_code, reason = "shared with tests/, and not every tier uses everything")]
#[path = "../tests/support/mod.rs"]
mod support;
mod tools_refused;
mod waits;
mod world;
