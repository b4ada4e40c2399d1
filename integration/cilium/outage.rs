//! Without an agent: ADD and CHECK give up after they have polled for 30 s; DEL, after 20 s, leaves a file that the
//! agent is to find.

use std::sync::LazyLock;
use std::{fs, thread};

use serde_json::{Value, json};

use super::without_times;
use super::world::{POD, World};
use crate::support::Ran;

const ADD: usize = 0;
const CHECK: usize = 1;
const DEL: usize = 2;
const VERBS: [&str; 3] = ["ADD", "CHECK", "DEL"];

/// All calls, made at the same time, so that the polling is waited for once.
static OUTAGE: LazyLock<Outage> = LazyLock::new(|| {
    let worlds = [World::without_agent(), World::without_agent()];
    let [direct, wrapped] = thread::scope(|scope| {
        let calls = [false, true].map(|is_wrapped| {
            let world = &worlds[usize::from(is_wrapped)];
            VERBS.map(|verb| scope.spawn(move || call(world, verb, is_wrapped)))
        });
        calls.map(|calls| calls.map(|call| call.join().unwrap()))
    });
    let queues = worlds.each_ref().map(delete_queue);
    Outage { direct, wrapped, queues, records: worlds[1].place.records() }
});

/// What came of them, verb by verb.
struct Outage {
    direct: [Ran; 3],
    wrapped: [Ran; 3],
    /// The name and the content of each file in the delete queue: direct, wrapped.
    queues: [Vec<(String, String)>; 2],
    /// The journal of the wrapped calls.
    records: Vec<Value>,
}

impl Outage {
    /// The one end record of a verb.
    fn end(&self, verb: usize) -> &Value {
        self.one(|record| record["event"] == "end" && record["command"] == VERBS[verb])
    }

    /// The one stall event of a verb.
    fn stall(&self, verb: usize) -> &Value {
        self.one(|record| record["event"] == "stall" && record["id"] == self.end(verb)["id"])
    }

    fn one(&self, is_it: impl Fn(&Value) -> bool) -> &Value {
        let found: Vec<&Value> = self.records.iter().filter(|record| is_it(record)).collect();
        assert_eq!(found.len(), 1, "{:#?}", self.records);
        found[0]
    }
}

fn call(world: &World, verb: &str, is_wrapped: bool) -> Ran {
    let place = &world.place;
    let call = if is_wrapped { place.wrapped(verb, "cilium-cni") } else { place.direct(verb, "cilium-cni") };
    world.inside(|| call.env("CNI_NETNS", POD).run())
}

fn delete_queue(world: &World) -> Vec<(String, String)> {
    world.inside(|| {
        let entries = fs::read_dir("/run/cilium/deleteQueue").unwrap().map(Result::unwrap);
        let file = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        };
        let mut files: Vec<_> = entries.map(file).collect();
        files.sort();
        files
    })
}

/// What cilium-cni says of the agent, whatever the verb.
const UNREACHABLE: &str = "unable to connect to Cilium agent: \
    failed to create cilium agent client after 30.000000 seconds timeout: Get \"http://localhost/v1/config\": \
    dial unix /var/run/cilium/cilium.sock: connect: no such file or directory\nIs the agent running?";

/// What is added to its error.
fn bracket(id: &str) -> String {
    format!(
        "[cniscope: agent-unreachable: Cilium's agent has no socket /var/run/cilium/cilium.sock; \
        fix: see why Cilium's agent does not serve its API on this node: its Pod here, and the last lines of its log; \
        see: cniscope show {id}]"
    )
}

#[test]
fn the_error_of_add_stays_whole() {
    let (direct, wrapped) = (&OUTAGE.direct[ADD], &OUTAGE.wrapped[ADD]);
    assert_eq!(direct.json(), json!({"code": 999, "msg": UNREACHABLE}));
    let id = OUTAGE.end(ADD)["id"].as_str().unwrap();
    let expected = json!({
        "code": 999,
        "msg": format!("plugin type=\"cilium-cni\" failed (add): {UNREACHABLE}"),
        "details": bracket(id),
    });
    assert_eq!(wrapped.json(), expected);
    assert_eq!((direct.status, &direct.stderr), (1, &Vec::new()));
    assert_eq!((wrapped.status, &wrapped.stderr), (1, &Vec::new()));
}

#[test]
fn the_error_of_check_keeps_its_code_and_its_details() {
    let (direct, wrapped) = (&OUTAGE.direct[CHECK], &OUTAGE.wrapped[CHECK]);
    assert_eq!(direct.json(), json!({"code": 11, "msg": "DaemonDown", "details": UNREACHABLE}));
    let id = OUTAGE.end(CHECK)["id"].as_str().unwrap();
    let details = format!("{UNREACHABLE} {}", bracket(id));
    let expected = json!({"code": 11, "msg": "DaemonDown", "details": details});
    assert_eq!(wrapped.json(), expected);
    assert_eq!((direct.status, wrapped.status), (1, 1));
}

#[test]
fn the_record_tells_how_long_it_took_and_what_was_ruled_out() {
    let end = OUTAGE.end(ADD);
    let outcome = json!([end["outcome"], end["exit_status"], end["cause"]]);
    assert_eq!(outcome, json!(["failed", 1, "agent-unreachable"]));
    assert_eq!(end["error"], json!({"code": 999, "msg": UNREACHABLE, "details": ""}));
    assert_eq!(end["returned"], OUTAGE.wrapped[ADD].json());
    assert_eq!(
        end["diagnosis"]["ruled_out"],
        json!([
            "plugin-binary: cilium-cni can be executed",
            "config: the entry has no mistake that is known",
            "netns: /run/netns/pod is a network namespace",
            "interface: eth0 is not yet in the sandbox"
        ])
    );
    let [plugin, whole] = ["plugin_ms", "duration_ms"].map(|key| end[key].as_f64().unwrap());
    let outside = OUTAGE.wrapped[ADD].took.as_secs_f64() * 1000.0;
    assert!(30_000.0 <= plugin && plugin < whole && whole < outside, "{plugin} {whole} {outside}");
}

#[test]
fn a_snapshot_of_the_silent_plugin_is_taken_after_ten_seconds() {
    let stall = OUTAGE.stall(ADD);
    let after = stall["after_ms"].as_f64().unwrap();
    assert!((10_000.0..15_000.0).contains(&after), "{after}");
    let processes = stall["snapshot"]["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 1, "{processes:#?}");
    let plugin = OUTAGE.end(ADD)["plugin_pid"].clone();
    assert_eq!([&processes[0]["name"], &processes[0]["pid"]], [&json!("cilium-cni"), &plugin]);
}

#[test]
fn del_queues_the_endpoint_and_succeeds() {
    let [direct, wrapped] = [&OUTAGE.direct[DEL], &OUTAGE.wrapped[DEL]].map(|ran| {
        let (status, stdout, stderr) = ran.answer();
        (status, stdout, without_times(&stderr))
    });
    insta::assert_snapshot!(direct.2, @r#"
    level=warning msg="Failed to connect to agent socket at unix:///var/run/cilium/cilium.sock." containerID=container1 error="failed to create cilium agent client after 10.000000 seconds timeout: Get \"http://localhost/v1/config\": dial unix /var/run/cilium/cilium.sock: connect: no such file or directory" subsys=cilium-cni
    level=info msg="Agent is down, falling back to deletion queue directory" containerID=container1 subsys=cilium-cni
    level=info msg="Queueing endpoint batch deletion request" containerID=container1 req="&{container1}" subsys=cilium-cni
    level=info msg="wrote queued deletion file" containerID=container1 subsys=cilium-cni
    "#);
    assert_eq!((direct.0, direct.1.as_str()), (0, ""));
    assert_eq!(direct, wrapped);
    let queued = "ac26f20b07e8c78f2450db21bcd22c66597bc68fe4bb3e852b8808a96405e5a0.delete";
    let expected = [(queued, r#"{"container-id":"container1"}"#), ("lockfile", "")];
    assert_eq!(OUTAGE.queues[0], expected.map(|(name, content)| (name.to_owned(), content.to_owned())));
    assert_eq!(OUTAGE.queues[0], OUTAGE.queues[1]);
    assert_eq!(OUTAGE.end(DEL)["outcome"], "ok");
}
