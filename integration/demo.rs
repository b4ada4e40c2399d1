//! `make demo`, as somebody sees it for the first time.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::spawn;

/// What is on the node that the demo could leave there.
fn node() -> String {
    let look = "ip -o link; ip netns; ls -A /run/netns /var/lib/cni /var/log/cniscope /run/cniscope 2>&1";
    let output = Command::new("sh").args(["-c", look]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_demo_shows_the_main_job_and_leaves_nothing() {
    let before = node();
    let mut demo = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo"));
    demo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn(&mut demo).wait_with_output().unwrap();
    let (told, complaint) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&complaint));
    // It is folded for the terminal.
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let in_order = [
        r#""address": "10.244.7.2/29""#,
        r#"plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.244.7.1-10.244.7.6"#,
        r#"plugin type="cniscope" failed (add): plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.244.7.1-10.244.7.6; [cniscope: ipam-exhausted: 5 of 5 addresses used, 2 of them leaked; fix: "#,
        r#""cni0" already has an IP address different from 10.244.7.1/29; [cniscope: bridge-address-conflict: cni0 has another address than the network's gateway 10.244.7.1/29; changed since the last good call: bridge cni0; fix: "#,
        "$ cniscope journal",
        "$ cniscope show last-failed",
        "cause: bridge-address-conflict",
    ];
    let mut rest = told.as_str();
    for part in in_order {
        let Some(at) = rest.find(part) else { panic!("{part:?} is missing in {rest:?}") };
        rest = &rest[at + part.len()..];
    }
    assert_eq!(node(), before);
}
