//! A wrapped list without the binary, and the marker by which everything is taken out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{LIST, Node, WRAPPED};
use crate::support::{eventually, spawn};

/// Whether the file is a program that answers as cniscope does.
fn answers(binary: &Path) -> bool {
    let mut command = Command::new(binary);
    command.env_clear().env("CNI_COMMAND", "VERSION").stdin(Stdio::null()).stdout(Stdio::piped());
    let is_there =
        fs::metadata(binary).is_ok_and(|found| found.len() > 0 && found.permissions().mode() & 0o111 != 0);
    is_there && spawn(&mut command).wait_with_output().unwrap().stdout.starts_with(b"{\"cniVersion\"")
}

#[test]
fn a_binary_that_cannot_be_run_is_put_back_within_a_second() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let harms: [fn(&Path); 3] = [
        |binary| fs::remove_file(binary).unwrap(),
        |binary| fs::set_permissions(binary, fs::Permissions::from_mode(0o644)).unwrap(),
        |binary| {
            fs::write(binary.with_extension("new"), "").unwrap();
            fs::rename(binary.with_extension("new"), binary).unwrap();
        },
    ];
    for (number, harm) in harms.iter().enumerate() {
        harm(&node.binary());
        let started = Instant::now();
        eventually(|| answers(&node.binary()).then_some(()));
        assert!(started.elapsed() < Duration::from_secs(1), "{number}: {:?}", started.elapsed());
        assert_eq!(node.content(), WRAPPED);
    }
    agent.is(200, "wrapped");
}

#[test]
fn a_wrapped_list_whose_binary_is_gone_when_the_agent_starts_gets_it_first() {
    let node = Node::new();
    fs::write(node.list(), WRAPPED).unwrap();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    assert!(answers(&node.binary()));
    assert_eq!(node.content(), WRAPPED);
}

#[test]
fn where_the_binary_cannot_be_put_back_the_list_is_unwrapped() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    // A file where the folder was: nobody can write there, root neither.
    fs::rename(node.path("opt/cni/bin"), node.path("opt/cni/old")).unwrap();
    fs::write(node.path("opt/cni/bin"), "").unwrap();
    let started = Instant::now();
    eventually(|| (node.content() == LIST).then_some(()));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    agent.is(503, "the binary cannot be put at /opt/cni/bin/cniscope: ");
    agent.says("10-pods.conflist: unwrapped");
    fs::remove_file(node.path("opt/cni/bin")).unwrap();
    fs::create_dir(node.path("opt/cni/bin")).unwrap();
    agent.is(200, "wrapped");
    assert_eq!(node.content(), WRAPPED);
    assert_eq!(agent.metric("cniscope_rewrapped_total{network=\"pods\"}"), Some(0.0), "nobody fought");
}

#[test]
fn the_marker_takes_everything_out_and_keeps_it_out_until_it_is_removed() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let marker = node.path("var/lib/cniscope/uninstalled");
    fs::write(&marker, "").unwrap();
    agent.is(
        503,
        "cniscope is uninstalled: /var/lib/cniscope/uninstalled is there; `cniscope install` removes it",
    );
    assert_eq!(node.content(), LIST);
    fs::write(node.conf_dir().join("20-other.conflist"), LIST).unwrap();
    agent.is(503, "is uninstalled");
    assert_eq!(node.content(), LIST);
    assert_eq!(agent.get("/healthz").0, 200);
    fs::remove_file(&marker).unwrap();
    agent.is(200, "wrapped");
    assert_eq!(node.content(), WRAPPED);
}

#[test]
fn where_the_marker_is_when_it_starts_nothing_is_wrapped() {
    let node = Node::new();
    fs::create_dir_all(node.path("var/lib/cniscope")).unwrap();
    fs::write(node.path("var/lib/cniscope/uninstalled"), "").unwrap();
    let agent = node.agent(&[]);
    agent.is(503, "is uninstalled");
    assert_eq!(node.content(), LIST);
    assert!(!node.binary().exists());
}
