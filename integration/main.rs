//! The built binary on a real node: namespaces, cnitool, real plugins and a real runtime. It needs root and what
//! `make setup` installs; what is missing is named by the test that misses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod cilium;
mod conf_examples;
#[allow(dead_code, reason = "shared with tests/, and not every tier uses everything")]
#[path = "../tests/support/mod.rs"]
mod support;

mod containerd;
mod image;
mod journal;
mod machine;
mod plugins;
mod podman;
