//! A Kubernetes node in a machine of its own. Starting one takes a while, so tests share it, one after the other: each gets
//! it as it was at first.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::image;
use crate::machine::{self, Machine, printed};
use crate::programs::{self, KUBECONFIG, NODE, Program};
use crate::support::{Place, cniscope, records_in, spawn, within};
use crate::world::tool;

/// The list that the runtime takes.
pub const LIST: &str = "/etc/cni/net.d/10-pods.conflist";
/// The plugins that it and the runtime use.
const PLUGINS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];
/// What is cniscope's own.
const OURS: &str = "/etc/cniscope /run/cniscope /var/lib/cniscope /var/log/cniscope";
/// The folders of CNI, which the runtime watches.
const SHARED: &str = "/etc/cni/net.d /opt/cni/bin";
/// How long anything may take on a busy machine, in seconds.
pub const PATIENCE: u64 = 120;

/// The machine and the programs that run in it.
pub struct Node {
    pub machine: Machine,
    programs: BTreeMap<Program, Child>,
}

/// The only one there is, once a test has asked for it.
static NODE_OF_ALL: Mutex<Option<Node>> = Mutex::new(None);

/// The node, while one test has it. A test that fails tells what the node's programs said last, and the node ends with it.
pub struct Ours(MutexGuard<'static, Option<Node>>);

impl Deref for Ours {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Ours {
    fn deref_mut(&mut self) -> &mut Node {
        self.0.as_mut().unwrap()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(node) = self.0.take()
        {
            node.tell();
        }
    }
}

/// The node with nothing of cniscope on it, no Pods, and a network of these addresses: `10.244.7.0/29`.
pub fn with_network(subnet: &str) -> Ours {
    let mut node = Ours(NODE_OF_ALL.lock().unwrap_or_else(PoisonError::into_inner));
    if node.0.is_none() {
        *node.0 = Some(Node::start());
    }
    node.begin(&list(subnet));
    node
}

/// A list with a network of these addresses, as its agent writes it.
pub fn list(subnet: &str) -> String {
    let list = json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
                "ipam": {"type": "host-local", "subnet": subnet},
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    format!("{list:#}\n")
}

impl Node {
    fn start() -> Node {
        let machine = Machine::new();
        programs::prepare(&machine);
        let mut node = Node { machine, programs: BTreeMap::new() };
        node.run(Program::Etcd);
        node.run(Program::Containerd);
        node.run(Program::ApiServer);
        node.import(&image::archive(&Place::new()));
        within(PATIENCE, || node.try_kubectl(&["get", "--raw", "/readyz"]).ok());
        node.run(Program::ControllerManager);
        node.run(Program::Scheduler);
        node.run(Program::Kubelet);
        within(PATIENCE, || node.try_kubectl(&["get", "serviceaccount", "default"]).ok());
        node
    }

    /// Starts a program.
    pub fn run(&mut self, program: Program) {
        let started = program.start(&self.machine);
        self.programs.insert(program, started);
    }

    /// Kills a program and starts it again, as its service does.
    pub fn restart(&mut self, program: Program) {
        machine::kill(&mut self.programs.remove(&program).unwrap());
        self.run(program);
        match program {
            Program::Containerd => drop(within(PATIENCE, || self.try_crictl(&["info"]).ok())),
            _ => self.is_ready(),
        }
    }

    /// Takes everything of the test before away, and gives the node this list.
    fn begin(&self, list: &str) {
        let _ = self.try_kubectl(&["delete", "namespace", "cniscope", "--ignore-not-found"]);
        self.kubectl(&["delete", "pods", "--all", "--grace-period=0"]);
        self.crictl(&["rmp", "--all", "--force"]);
        self.sh("ip link delete cni0 || true");
        self.sh(&format!("rm -rf {OURS}; find {SHARED} -mindepth 1 -delete; mkdir -p /var/lib/cni; find /var/lib/cni -mindepth 1 -delete"));
        for plugin in PLUGINS {
            self.add_plugin(plugin);
        }
        self.write(LIST, list);
        self.has_loaded(list);
        self.is_ready();
    }

    /// Puts a plugin where the runtime looks for it.
    pub fn add_plugin(&self, plugin: &str) {
        fs::copy(tool(&format!("plugins/{plugin}")), self.machine.path("/opt/cni/bin").join(plugin)).unwrap();
    }

    /// Puts cniscope in place, as its administrator does.
    pub fn install(&self) {
        let told = self.built(&["install"]);
        assert!(told.contains("containerd has it"), "{told}");
    }

    /// What the built binary tells, which has to find no problem.
    pub fn built(&self, arguments: &[&str]) -> String {
        printed(self.command(cniscope().to_str().unwrap()).args(arguments))
    }

    /// What stands of cniscope, of the networks' lists and of the plugins: every path with its kind, mode, owner and content.
    pub fn listing(&self) -> String {
        self.sh(&format!(
            "for folder in {OURS} {SHARED}; do [ ! -e $folder ] || find $folder -printf '%p %y %m %U:%G %l\\n'; done | sort
             find {SHARED} -type f -exec sha256sum {{}} + | sort"
        ))
    }

    /// Waits until the runtime has loaded the list that this is the text of.
    pub fn has_loaded(&self, list: &str) {
        within(PATIENCE, || {
            let info: Value = serde_json::from_str(&self.crictl(&["info"])).unwrap();
            let networks = info["cniconfig"]["Networks"].as_array()?.iter();
            let mut sources = networks.map(|network| &network["Config"]["Source"]);
            sources.any(|source| source == list).then_some(())
        });
    }

    /// Writes a file, as an agent does that knows better than to leave half of one.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.machine.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let new = path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.machine.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Runs a script that has to succeed, and gives what it printed. kubectl and what a plugin's folder has are found.
    pub fn sh(&self, script: &str) -> String {
        printed(self.command("bash").args(["-ec", script]))
    }

    /// A program to be run on the node by its administrator.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.machine.command(program);
        let path = format!("/opt/cni/bin:{}:/usr/sbin:/usr/bin:/sbin:/bin", tool("bin").display());
        command.env("PATH", path).env("KUBECONFIG", KUBECONFIG).env("HOME", "/root");
        // What ctr unpacks images for: overlays upon overlays are refused.
        command.env("CONTAINERD_SNAPSHOTTER", "native");
        command
    }

    /// What kubectl prints.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// The same, read as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[arguments, &["-o", "json"]].concat())).unwrap()
    }

    /// What kubectl prints, or what it says of its failure.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        ended(self.command("kubectl").args(arguments))
    }

    /// Gives the API server objects.
    pub fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let mut kubectl = self.command("kubectl");
        let mut child = spawn(kubectl.args(["apply", "-f", "-"]).stdin(Stdio::piped()));
        child.stdin.take().unwrap().write_all(list.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What crictl prints.
    pub fn crictl(&self, arguments: &[&str]) -> String {
        self.try_crictl(arguments).unwrap_or_else(|error| panic!("crictl {arguments:?}: {error}"))
    }

    /// What crictl prints, or what it says of its failure.
    pub fn try_crictl(&self, arguments: &[&str]) -> Result<String, String> {
        ended(self.command("crictl").args(arguments))
    }

    /// Gives the runtime an image.
    pub fn import(&self, archive: &std::path::Path) {
        // It is asked until it answers.
        let import = ["--namespace", "k8s.io", "images", "import"];
        within(PATIENCE, || ended(self.command("ctr").args(import).arg(archive)).ok());
    }

    /// Waits until the scheduler sends Pods here.
    fn is_ready(&self) {
        let is_ready = ["wait", "--for=condition=Ready", "--timeout=120s", "node", NODE];
        within(PATIENCE, || self.try_kubectl(&is_ready).ok());
    }

    /// The command line of cniscope, whatever it has to say.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = spawn(self.command("cniscope").args(arguments)).wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every end record of the journal, once every call has one.
    pub fn ends(&self) -> Vec<Value> {
        within(PATIENCE, || {
            let records = records_in(&self.machine.path("/var/log/cniscope"));
            let (ends, begins): (Vec<Value>, Vec<Value>) =
                records.into_iter().partition(|record| record["event"] == "end");
            (begins.len() <= ends.len()).then_some(ends)
        })
    }

    /// The end of what its programs said.
    fn tell(&self) {
        for program in self.programs.keys() {
            let log = fs::read_to_string(self.machine.path(&program.log())).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "the end of {program:?}'s log:\n{}\n",
                lines[lines.len().saturating_sub(15)..].join("\n")
            );
        }
    }
}

/// What a program printed, or what it said of its failure.
fn ended(command: &mut Command) -> Result<String, String> {
    let output = spawn(command).wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
