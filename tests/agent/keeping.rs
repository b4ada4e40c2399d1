//! Lists that others write: by rename, in place, piece by piece, by removal; again and again.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{LIST, Node, WRAPPED, names};
use crate::support::agent::Agent;
use crate::support::eventually;

/// Puts a list there as most installers do.
fn rename_to(path: &Path, content: &str) {
    let new = path.with_file_name(".new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// How long it takes until the list reads so.
fn until(node: &Node, content: &str) -> Duration {
    let started = Instant::now();
    eventually(|| (node.content() == content).then_some(()));
    started.elapsed()
}

/// The list is wrapped a moment before it is counted.
fn has_wrapped_again_once(agent: &Agent) {
    let rewrapped = || agent.metric("cniscope_rewrapped_total{network=\"pods\"}");
    eventually(|| (rewrapped() == Some(1.0)).then_some(()));
}

#[test]
fn a_node_that_is_ready_is_wrapped_at_the_start() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped: \"pods\"\n");
    assert_eq!(node.content(), WRAPPED);
    assert!(node.binary().is_file());
    for (series, value) in [
        ("cniscope_agent_up", 1.0),
        ("cniscope_agent_ready", 1.0),
        ("cniscope_wrapped{network=\"pods\"}", 1.0),
        ("cniscope_contended{network=\"pods\",by=\"none\"}", 0.0),
        ("cniscope_rewrapped_total{network=\"pods\"}", 0.0),
        ("cniscope_bypassed_calls_total{network=\"pods\"}", 0.0),
        ("cniscope_unrecorded_sandboxes", 0.0),
    ] {
        assert_eq!(agent.metric(series), Some(value), "{series}");
    }
}

#[test]
fn the_head_alone_is_wrapped_where_that_is_wanted() {
    let node = Node::new();
    let agent = node.agent(&["--head-only"]);
    agent.is(200, "wrapped");
    let list: Value = serde_json::from_str(&node.content()).unwrap();
    assert_eq!(
        (&list["plugins"][0]["type"], &list["plugins"][1]["type"]),
        (&json!("cniscope"), &json!("portmap"))
    );
}

#[test]
fn where_the_add_on_is_not_there_yet_it_is_waited_for_and_nothing_is_made() {
    let node = Node::without_networks();
    let agent = node.agent(&[]);
    agent.is(503, "/etc/cni/net.d: no such file or directory: waiting for the network add-on");
    assert!(!node.path("etc").exists() && !node.binary().exists());
    fs::create_dir_all(node.conf_dir()).unwrap();
    agent.is(503, "/etc/cni/net.d has no network yet: waiting for the add-on to write one");
    rename_to(&node.list(), LIST);
    agent.is(200, "wrapped: \"pods\"");
    assert_eq!(node.content(), WRAPPED);
}

#[test]
fn a_list_that_is_replaced_is_wrapped_again_within_a_second() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let other = LIST.replace("1.0.0", "0.4.0");
    rename_to(&node.list(), &other);
    let took = until(&node, &WRAPPED.replace("1.0.0", "0.4.0"));
    assert!(took < Duration::from_secs(1), "{took:?}");
    agent.says("network \"pods\" in /etc/cni/net.d/10-pods.conflist: was written anew (by: unknown), wrapped again; so far: 1");
    has_wrapped_again_once(&agent);
}

#[test]
fn of_a_slow_writer_no_byte_is_lost() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    for round in 0..3 {
        let list = LIST.replace("pods", &format!("round{round}"));
        // As Calico's installer does: the same file, emptied and written in pieces.
        let mut file = fs::File::create(node.list()).unwrap();
        for piece in list.as_bytes().chunks(16) {
            file.write_all(piece).unwrap();
            sleep(Duration::from_millis(10));
        }
        drop(file);
        until(&node, &WRAPPED.replace("pods", &format!("round{round}")));
    }
}

#[test]
fn a_list_that_is_whole_before_its_writer_is_done_gets_all_of_his_bytes() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let mut file = fs::File::create(node.list()).unwrap();
    file.write_all(LIST.as_bytes()).unwrap();
    // Something else happens in the folder meanwhile, by which the agent looks at the list.
    fs::write(node.conf_dir().join("note"), "").unwrap();
    sleep(Duration::from_millis(200));
    file.write_all(b"\n  \n").unwrap();
    drop(file);
    until(&node, &format!("{WRAPPED}\n  \n"));
}

#[test]
fn a_list_that_is_removed_and_made_anew_is_wrapped_and_none_is_made_meanwhile() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    fs::remove_file(node.list()).unwrap();
    agent.is(503, "has no network yet");
    assert_eq!(names(&node.conf_dir()), Vec::<String>::new());
    fs::write(node.list(), LIST).unwrap();
    until(&node, WRAPPED);
    has_wrapped_again_once(&agent);
}

#[test]
fn what_is_no_json_is_left_alone_and_told_until_it_is() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    rename_to(&node.list(), &LIST[..40]);
    agent.is(503, "10-pods.conflist: is no JSON: ");
    assert_eq!(node.content(), &LIST[..40]);
    rename_to(&node.list(), LIST);
    agent.is(200, "wrapped");
}

#[test]
fn a_folder_that_goes_and_comes_again_is_still_watched() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    fs::remove_dir_all(node.conf_dir()).unwrap();
    agent.is(503, "waiting for the network add-on");
    fs::create_dir(node.conf_dir()).unwrap();
    rename_to(&node.list(), LIST);
    until(&node, WRAPPED);
    // Another folder in its place, with a list in it.
    let other = node.path("etc/cni/other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("10-pods.conflist"), LIST).unwrap();
    fs::rename(node.conf_dir(), node.path("etc/cni/old")).unwrap();
    fs::rename(other, node.conf_dir()).unwrap();
    until(&node, WRAPPED);
    // And the folder above it.
    fs::rename(node.path("etc/cni"), node.path("etc/old")).unwrap();
    agent.is(503, "waiting for the network add-on");
    fs::create_dir_all(node.conf_dir()).unwrap();
    fs::write(node.list(), LIST).unwrap();
    until(&node, WRAPPED);
}

#[test]
fn a_list_behind_a_link_is_kept_where_its_bytes_are() {
    let node = Node::new();
    let behind = node.path("srv/cni");
    fs::create_dir_all(&behind).unwrap();
    fs::rename(node.list(), behind.join("list")).unwrap();
    std::os::unix::fs::symlink("/srv/cni/list", node.list()).unwrap();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    rename_to(&behind.join("list"), LIST);
    eventually(|| (fs::read_to_string(behind.join("list")).unwrap() == WRAPPED).then_some(()));
    assert!(node.list().is_symlink());
}

#[test]
fn a_plugin_that_comes_after_its_list_is_waited_for() {
    let node = Node::new();
    fs::rename(node.path("opt/cni/bin/portmap"), node.path("opt/portmap")).unwrap();
    let agent = node.agent(&[]);
    agent.is(503, "cannot be installed: the plugin portmap is not in /opt/cni/bin, ");
    assert_eq!((node.content().as_str(), node.binary().exists()), (LIST, false));
    fs::rename(node.path("opt/portmap"), node.path("opt/cni/bin/portmap")).unwrap();
    agent.is(200, "wrapped");
    assert_eq!(node.content(), WRAPPED);
}

#[test]
fn entries_in_the_folder_beside_a_list_are_kept_too() {
    let node = Node::new();
    let list = r#"{"cniVersion":"1.1.0","name":"pods","plugins":[{"type":"bridge"}]}"#;
    fs::write(node.list(), list).unwrap();
    let beside = node.conf_dir().join("pods");
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("10-portmap.conf"), r#"{"type":"portmap"}"#).unwrap();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped: \"pods\"");
    let is_wrapped = || fs::read_to_string(beside.join("10-portmap.conf")).unwrap().contains("cniscope");
    assert!(is_wrapped() && node.content().contains("cniscope"));
    rename_to(&beside.join("10-portmap.conf"), r#"{"type":"portmap"}"#);
    eventually(|| is_wrapped().then_some(()));
}

#[test]
fn a_folder_behind_a_link_is_kept_too() {
    let node = Node::new();
    fs::create_dir(node.path("srv")).unwrap();
    fs::rename(node.conf_dir(), node.path("srv/cni")).unwrap();
    std::os::unix::fs::symlink("/srv/cni", node.conf_dir()).unwrap();
    let behind = node.path("srv/cni/10-pods.conflist");
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    rename_to(&behind, LIST);
    eventually(|| (fs::read_to_string(&behind).unwrap() == WRAPPED).then_some(()));
    // A list that is to win by its name.
    rename_to(&behind.with_file_name("05-first.conflist"), &LIST.replace("pods", "first"));
    agent.is(200, "wrapped: \"first\"");
}

#[test]
fn another_add_ons_list_that_wins_is_wrapped_too() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped: \"pods\"");
    // Cilium in its exclusive mode.
    let cilium = r#"{"cniVersion":"0.3.1","name":"cilium","plugins":[{"type":"cilium-cni"}]}"#;
    rename_to(&node.conf_dir().join("05-cilium.conflist"), cilium);
    agent.is(200, "wrapped: \"cilium\"");
    fs::rename(node.list(), node.conf_dir().join("10-pods.conflist.cilium_bak")).unwrap();
    agent.is(200, "wrapped: \"cilium\"");
    fs::remove_file(node.conf_dir().join("05-cilium.conflist")).unwrap();
    agent.is(503, "Cilium has renamed what was there (10-pods.conflist.cilium_bak)");
}

#[test]
fn who_answers_every_change_is_given_up_with_an_advice() {
    let node = Node::new();
    let cilium = r#"{"cniVersion":"0.3.1","name":"pods","plugins":[{"type":"cilium-cni"}]}"#;
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // As Cilium does it: what differs is written back.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if node.content() != cilium {
                    rename_to(&node.list(), cilium);
                }
                sleep(Duration::from_millis(1));
            }
        });
        let advice = "contended by cilium: Cilium writes its list back after every change in the folder: let it keep the one \
                      that stands there, with cni.customConf=true";
        agent.is(503, advice);
        agent.says(advice);
        assert_eq!(agent.metric("cniscope_contended{network=\"pods\",by=\"cilium\"}"), Some(1.0));
        assert_eq!(agent.metric("cniscope_wrapped{network=\"pods\"}"), Some(0.0));
        assert_eq!(agent.metric("cniscope_rewrapped_total{network=\"pods\"}"), Some(20.0));
        is_over.store(true, Ordering::Relaxed);
    });
    // One more change makes no difference.
    rename_to(&node.list(), cilium);
    fs::write(node.conf_dir().join("note"), "").unwrap();
    agent.is(503, "contended by cilium");
    assert_eq!(node.content(), cilium);
    let status: Value =
        serde_json::from_slice(&fs::read(node.path("var/lib/cniscope/agent.json")).unwrap()).unwrap();
    let network = &status["networks"][0];
    assert_eq!(
        (&status["ready"], &network["contended_by"], &network["rewrapped"]),
        (&json!(false), &json!("cilium"), &json!(20))
    );
    assert!(network["advice"].as_str().unwrap().contains("cni.exclusive=false"), "{network}");
}
