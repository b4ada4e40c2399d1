//! An agent on a node with real plugins: calls that go through cniscope, calls that go past it, and what is told of both.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::prometheus::promtool;
use crate::support::agent::{Agent, command};
use crate::support::{eventually, spawn};
use crate::world::{PLUGINS, World};

/// Its list.
const LIST: &str = "/etc/cni/net.d/pods.conflist";

fn list() -> Value {
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [{
        "type": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
    }]})
}

/// A node whose agent runs in its namespaces.
struct Node {
    world: World,
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Node {
        let world = World::new();
        world.configure(&list());
        // The agent puts it there.
        world.sh(&format!("rm {PLUGINS}/cniscope"));
        Node { world, folder: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("agent.log")
    }

    /// Its agent, which is spoken to from inside. The machine's own runtime may have its plugins elsewhere, where a world is
    /// not alone.
    fn agent(&self) -> Agent {
        self.world.inside(|| {
            let child = spawn(&mut command(&self.log(), &["--doctor-every", "0", "--bin-dir", PLUGINS]));
            Agent::of(child, &self.log())
        })
    }

    fn is(&self, agent: &Agent, status: u16, said: &str) {
        self.world.inside(|| agent.is(status, said));
    }

    fn metric(&self, agent: &Agent, series: &str) -> Option<f64> {
        self.world.inside(|| agent.metric(series))
    }

    fn until_metric(&self, agent: &Agent, series: &str, value: f64) {
        eventually(|| (self.metric(agent, series) == Some(value)).then_some(()));
    }

    fn content(&self) -> String {
        self.world.inside(|| fs::read_to_string(LIST).unwrap())
    }

    /// Adds a sandbox of its own by this folder's configuration; the name is the network namespace's too.
    fn add(&self, name: &str, conf_dir: &str) {
        self.world.sh(&format!("ip netns add {name}"));
        let netns = format!("/run/netns/{name}");
        let ran = self.world.cnitool_in(&netns, "add", "pods").env("NETCONFPATH", conf_dir).run();
        assert_eq!(ran.status, 0, "{ran:?}");
    }

    /// The same, wrapped or not as the node has it now.
    fn add_as_configured(&self, name: &str) {
        self.add(name, "/etc/cni/net.d");
    }

    /// A copy of the list in a folder that no agent knows of.
    fn plain_conf_dir(&self) -> &'static str {
        self.world.write("/etc/other/pods.conflist", &list().to_string());
        "/etc/other"
    }
}

#[test]
fn what_is_added_after_it_has_come_is_recorded_and_what_was_there_before_is_a_gap() {
    let node = Node::new();
    node.add_as_configured("before");
    let agent = node.agent();
    node.is(&agent, 200, "wrapped: \"pods\"");
    node.until_metric(&agent, "cniscope_unrecorded_sandboxes", 1.0);
    node.add_as_configured("after");
    let ends = node.world.ends();
    assert_eq!((ends.len(), &ends[0]["command"], &ends[0]["outcome"]), (1, &json!("ADD"), &json!("ok")));
    let calls = "cniscope_calls_total{plugin=\"bridge\",command=\"ADD\",outcome=\"ok\"}";
    node.until_metric(&agent, calls, 1.0);
    assert_eq!(node.metric(&agent, "cniscope_unrecorded_sandboxes"), Some(1.0));
    assert_eq!(node.metric(&agent, "cniscope_bypassed_calls_total{network=\"pods\"}"), Some(0.0));
    let netns = "/run/netns/before";
    let ran = node.world.cnitool_in(netns, "del", "pods").run();
    assert_eq!(ran.status, 0, "{ran:?}");
    node.until_metric(&agent, "cniscope_unrecorded_sandboxes", 0.0);
}

#[test]
fn a_call_that_goes_past_is_counted_and_named() {
    let node = Node::new();
    let agent = node.agent();
    node.is(&agent, 200, "wrapped");
    let plain = node.plain_conf_dir();
    // A runtime that is told has loaded the list by then.
    std::thread::sleep(Duration::from_secs(6));
    // Nor does it go unseen while the agent stands still.
    agent.send(Signal::SIGSTOP);
    node.add("past", plain);
    node.add_as_configured("through");
    agent.send(Signal::SIGCONT);
    agent.says("warn  a call went past cniscope: ADD of eth0 for container cnitool-");
    let named = || agent.log().matches("in network \"pods\", by a configuration that is not wrapped").count();
    assert_eq!(named(), 1, "{}", agent.log());
    let past = "cniscope_bypassed_calls_total{network=\"pods\"}";
    assert_eq!(node.metric(&agent, past), Some(1.0));
    node.add("again", plain);
    node.until_metric(&agent, past, 2.0);
    assert_eq!(named(), 2, "{}", agent.log());
}

#[test]
fn a_call_that_is_under_way_when_the_list_is_wrapped_has_not_gone_past() {
    let node = Node::new();
    let plain = node.plain_conf_dir();
    node.world.sh("ip netns add early");
    let agent = node.agent();
    node.is(&agent, 200, "wrapped");
    // Its namespace was there before the wrapping, so the call may have begun before it.
    let ran = node.world.cnitool_in("/run/netns/early", "add", "pods").env("NETCONFPATH", plain).run();
    assert_eq!(ran.status, 0, "{ran:?}");
    node.until_metric(&agent, "cniscope_unrecorded_sandboxes", 1.0);
    assert_eq!(node.metric(&agent, "cniscope_bypassed_calls_total{network=\"pods\"}"), Some(0.0));
}

#[test]
fn a_wrapped_list_without_the_binary_is_unwrapped_at_once_where_the_folder_is_read_only() {
    let node = Node::new();
    let plain = node.content();
    let agent = node.agent();
    node.is(&agent, 200, "wrapped");
    assert_ne!(node.content(), plain);
    let started = node.world.inside(|| {
        // A read-only folder without the binary takes the place of the one with it; mounts are told to nobody, so something
        // is to happen in the folder of the networks.
        let folder = Path::new("/run/bin");
        fs::create_dir(folder).unwrap();
        for plugin in ["bridge", "host-local"] {
            fs::copy(Path::new(PLUGINS).join(plugin), folder.join(plugin)).unwrap();
        }
        crate::world::sh(&format!("mount -o bind,ro /run/bin {PLUGINS}"));
        fs::write("/etc/cni/net.d/note", "").unwrap();
        Instant::now()
    });
    eventually(|| (node.content() == plain).then_some(()));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    node.is(&agent, 503, "the binary cannot be put at /opt/cni/bin/cniscope: ");
    node.add_as_configured("pod1");
}

#[test]
fn a_pod_starts_after_every_kind_of_harm() {
    let node = Node::new();
    let agent = node.agent();
    node.is(&agent, 200, "wrapped");
    let harms = [
        format!("rm {PLUGINS}/cniscope"),
        format!("chmod 0 {PLUGINS}/cniscope"),
        format!("echo '{}' >{LIST}", list()),
        format!("echo '{}' >/etc/cni/net.d/.new; mv /etc/cni/net.d/.new {LIST}", list()),
        format!("rm {LIST}; echo '{}' >{LIST}", list()),
    ];
    for (number, harm) in harms.iter().enumerate() {
        node.world.sh(harm);
        eventually(|| {
            let is_wrapped = node.content().contains("cniscope");
            let is_there = node.world.inside(|| {
                use std::os::unix::fs::PermissionsExt as _;
                let found = fs::metadata(format!("{PLUGINS}/cniscope"));
                found.is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
            });
            (is_wrapped && is_there).then_some(())
        });
        node.add_as_configured(&format!("pod{number}"));
        assert_eq!(node.world.ends().len(), number + 1, "{harm}");
    }
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let node = Node::new();
    let agent = node.agent();
    node.is(&agent, 200, "wrapped");
    let text = node.world.inside(|| agent.get("/metrics").1);
    assert!(text.contains("cniscope_calls_running 0\n") && text.contains("cniscope_agent_up 1\n"), "{text}");
    assert_eq!(promtool(&["check", "metrics"], &text), (Some(0), String::new()));
}
