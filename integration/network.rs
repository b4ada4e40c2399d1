//! A network that is attached twice: by its plugins alone, and with cniscope in their place.

use serde_json::{Value, json};

use crate::names::Names;
use crate::snapshot;
use crate::world::{Cnitool, POD, World};

/// The versions of the specification that are in use.
pub const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The network's name.
pub const NAME: &str = "net";
/// What a runtime does in the life of a sandbox, and once too often.
const VERBS: [&str; 7] = ["status", "add", "check", "gc", "add", "del", "del"];

/// Which entries of a list name cniscope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    /// None.
    Direct,
    /// The first.
    Head,
    /// All.
    Whole,
}

/// A network, and how it is asked for.
#[derive(Clone)]
pub struct Network {
    plugins: Value,
    capabilities: Value,
    ifname: &'static str,
    prepare: fn(&World),
    versions: &'static [&'static str],
}

/// What came of one call: the answer, and the state in lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The verb, as cnitool has it.
    pub verb: &'static str,
    /// The exit status.
    pub status: i32,
    /// The result.
    pub stdout: String,
    /// The error, and what plugins logged.
    pub stderr: String,
    /// The state of the node and of the sandbox.
    pub state: Vec<String>,
}

impl Network {
    /// The network of these plugins.
    pub fn of(plugins: Value) -> Network {
        Network { plugins, capabilities: json!({}), ifname: "eth0", prepare: |_| {}, versions: &VERSIONS }
    }

    /// With these capability arguments.
    pub fn capabilities(mut self, capabilities: Value) -> Network {
        self.capabilities = capabilities;
        self
    }

    /// With an interface of another name than `eth0`.
    pub fn ifname(mut self, ifname: &'static str) -> Network {
        self.ifname = ifname;
        self
    }

    /// On a node on which this was done before.
    pub fn prepared(mut self, prepare: fn(&World)) -> Network {
        self.prepare = prepare;
        self
    }

    /// In these versions of the specification only.
    pub fn versions(mut self, versions: &'static [&'static str]) -> Network {
        self.versions = versions;
        self
    }

    /// The last of its versions.
    pub fn version(&self) -> &'static str {
        self.versions[self.versions.len() - 1]
    }

    /// The list, as a runtime reads it.
    pub fn list(&self, version: &str, wrapping: Wrapping) -> Value {
        let mut list = json!({"cniVersion": version, "name": NAME, "plugins": self.plugins.clone()});
        let entries = list["plugins"].as_array_mut().unwrap();
        let wrapped = match wrapping {
            Wrapping::Direct => 0,
            Wrapping::Head => 1,
            Wrapping::Whole => entries.len(),
        };
        for entry in &mut entries[..wrapped] {
            let plugin = std::mem::replace(&mut entry["type"], json!("cniscope"));
            entry["cniscope"] = json!({"wraps": plugin});
        }
        list
    }

    /// The same calls in three worlds, for every version: what is not the same fails the test. `judge` is given the version
    /// and the steps of the direct run.
    pub fn is_the_same(&self, judge: impl Fn(&str, &[Step])) {
        for version in self.versions {
            let run = |wrapping| move || self.run(version, wrapping);
            let (direct, head, whole) = std::thread::scope(|scope| {
                let head = scope.spawn(run(Wrapping::Head));
                let whole = scope.spawn(run(Wrapping::Whole));
                (run(Wrapping::Direct)(), head.join().unwrap(), whole.join().unwrap())
            });
            judge(version, &direct);
            assert_same(&format!("{version}, head wrapped"), &direct, &head);
            assert_same(&format!("{version}, all wrapped"), &direct, &whole);
        }
    }

    /// A network that works: as [`Network::is_the_same`], and no call of the direct run fails.
    pub fn works_the_same(&self) {
        self.is_the_same(|version, steps| {
            for step in steps {
                let refused = step.verb == "check" && version == "0.3.1";
                assert_eq!(step.status, i32::from(refused), "{version} {}: {}", step.verb, step.stderr);
            }
            assert_ne!(steps[0].state, steps[1].state, "{version}: ADD changes nothing that is looked at");
        });
    }

    fn run(&self, version: &str, wrapping: Wrapping) -> Vec<Step> {
        let world = self.world(version, wrapping);
        let mut names = Names::default();
        let call = |verb: &&'static str| self.call(&world, POD, verb, &mut names);
        let steps: Vec<Step> = VERBS.iter().map(call).collect();
        self.assert_recorded(version, wrapping, &world.ends(), &steps);
        steps
    }

    /// A node that is prepared and has the list.
    pub fn world(&self, version: &str, wrapping: Wrapping) -> World {
        let world = World::new();
        (self.prepare)(&world);
        world.configure(&self.list(version, wrapping));
        world
    }

    /// Calls cnitool for the sandbox at this path.
    pub fn call(&self, world: &World, netns: &str, verb: &'static str, names: &mut Names) -> Step {
        let call = world.cnitool_in(netns, verb, NAME).env("CNI_IFNAME", self.ifname);
        step(world, verb, call.env("CAP_ARGS", self.capabilities.to_string()), names)
    }

    /// That cniscope was really there: an ADD of every wrapped entry is in the journal, in order, and no false alarm.
    fn assert_recorded(&self, version: &str, wrapping: Wrapping, ends: &[Value], steps: &[Step]) {
        let list = self.list(version, wrapping);
        let entries = list["plugins"].as_array().unwrap().iter();
        let wrapped: Vec<&Value> =
            entries.map(|entry| &entry["cniscope"]["wraps"]).filter(|wraps| wraps.is_string()).collect();
        let added: Vec<&Value> = ends
            .iter()
            .filter(|end| end["command"] == "ADD" && end["outcome"] == "ok")
            .map(|end| &end["plugin"])
            .collect();
        let adds = steps.iter().filter(|step| step.verb == "add");
        if adds.clone().all(|step| step.status == 0) {
            assert_eq!(added, wrapped.repeat(adds.count()), "{version} {wrapping:?}");
        }
        for end in ends.iter().filter(|end| end["outcome"] == "ok") {
            let alarms = end["checks"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|check| check["status"] == "warn" || check["status"] == "fail");
            assert_eq!(
                alarms.collect::<Vec<_>>(),
                Vec::<&Value>::new(),
                "{version} {wrapping:?} {}",
                end["command"]
            );
        }
    }
}

/// Makes the call, and looks at what it leaves.
pub fn step(world: &World, verb: &'static str, call: Cnitool, names: &mut Names) -> Step {
    let (status, stdout, stderr) = call.run().answer();
    let stdout = names.replaced(&stdout);
    let stderr = names.replaced(&stderr);
    Step { verb, status, stdout, stderr, state: snapshot::take(world, names) }
}

/// Compares two runs; of an error, without what cniscope has added.
pub fn assert_same(what: &str, direct: &[Step], wrapped: &[Step]) {
    assert_eq!(direct.len(), wrapped.len());
    for (number, (direct, wrapped)) in direct.iter().zip(wrapped).enumerate() {
        let what = format!("{what}: {} (call {number})", direct.verb);
        assert_eq!(direct.status, wrapped.status, "{what}: {}", wrapped.stderr);
        assert_eq!(direct.stdout, wrapped.stdout, "{what}");
        assert_eq!(without_gc_prefix(&direct.stderr), original(&wrapped.stderr), "{what}");
        let differ = || format!("{:#?}", difference(&direct.state, &wrapped.state));
        assert!(direct.state == wrapped.state, "{what}: the state has lost and gained {}", differ());
    }
}

/// The lines that only one of two states has.
fn difference(direct: &[String], wrapped: &[String]) -> [Vec<String>; 2] {
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>()
    };
    [only(direct, wrapped), only(wrapped, direct)]
}

/// What libcni would have said without cniscope: its own prefix for the entry of type cniscope taken away before the
/// text, and the bracket after it.
pub fn original(stderr: &str) -> String {
    let mut text = without_gc_prefix(stderr);
    for word in ["add", "delete"] {
        text = text.replace(&format!(r#"plugin type="cniscope" failed ({word}): "#), "");
    }
    while let Some(start) = text.find("[cniscope: ") {
        let end = start + text[start..].find(']').unwrap() + 1;
        let before = text[..start].trim_end_matches(' ').trim_end_matches(';').len();
        text.replace_range(before..end, "");
    }
    text
}

/// The text without `failed to GC plugin TYPE: `, which libcni writes since 1.3 (`libcni/api.go`). cniscope puts no prefix
/// before the errors of GC, so there the type is cniscope's own and the delegate's is not in the text.
fn without_gc_prefix(stderr: &str) -> String {
    let mut parts = stderr.split("failed to GC plugin ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(": ").map_or(part, |(_, rest)| rest))
}

#[test]
fn one_sysctl_of_the_sandbox_makes_a_difference() {
    let state = |value: &str| {
        let tuning = json!({"type": "tuning", "sysctl": {"net.ipv4.conf.lo.rp_filter": value}});
        let network = Network::of(json!([{"type": "loopback"}, tuning])).ifname("lo");
        network.run(VERSIONS[3], Wrapping::Direct).remove(1).state
    };
    let line = |value: &str| vec![format!("pod, sysctl ipv4/conf/lo/rp_filter = {value}")];
    assert_eq!(difference(&state("1"), &state("2")), [line("1"), line("2")]);
}

#[test]
fn what_is_added_to_an_error_is_known_from_what_was_there() {
    let table = [
        ("a: b\n", "a: b\n"),
        (
            r#"plugin type="cniscope" failed (add): plugin type="x" failed (add): a; [cniscope: b: c; see: cniscope show 1]"#,
            r#"plugin type="x" failed (add): a"#,
        ),
        ("failed to GC plugin cniscope: a; b [cniscope: c]\nfailed to GC plugin cniscope: d", "a; b\nd"),
    ];
    for (stderr, expected) in table {
        assert_eq!(original(stderr), expected);
    }
}
