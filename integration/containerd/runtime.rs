//! A containerd in a machine of its own, and the Pods' sandboxes in it, asked for with crictl.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::image;
use crate::machine::{self, Machine, printed};
use crate::plugins;
use crate::support::{Place, eventually, spawn};
use crate::world::tool;

/// Where containerd listens.
const SOCKET: &str = "/run/containerd/containerd.sock";
/// The namespace of the Pods.
pub const NAMESPACE: &str = "shop";

/// The runtime. When a test fails, the end of its log is printed.
pub struct Containerd {
    /// Where it runs. First, to end before its files are removed.
    pub machine: Machine,
    /// Its configuration, plugins and the journal.
    pub place: Place,
    /// nsenter, which waits for containerd.
    process: Child,
}

/// Why crictl failed: the text of the gRPC error, as an event of the Pod shows it.
#[derive(Debug)]
pub struct GrpcError(pub String);

impl GrpcError {
    /// What libcni said: the text behind the name of the sandbox.
    pub fn of_network(&self) -> &str {
        let (_, text) = self.0.split_once("failed to setup network for sandbox").unwrap();
        text.split_once("\": ").unwrap().1
    }
}

impl Containerd {
    /// Starts one whose Pods have the network `pods`, of these plugins. The folder of plugins is that of `place`.
    pub fn start(place: Place, list: &[Value]) -> Containerd {
        plugins::put_into(&place);
        let bin = place.path("bin");
        let network = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": list});
        fs::create_dir(place.path("net.d")).unwrap();
        fs::write(place.path("net.d/10-pods.conflist"), network.to_string()).unwrap();
        let config = format!(
            r#"
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  containerd.snapshotter = "native"
  cni.bin_dir = "{bin}"
  cni.conf_dir = "{conf}"
"#,
            image = image::NAME,
            bin = bin.display(),
            conf = place.path("net.d").display(),
        );
        fs::write(place.path("containerd.toml"), config).unwrap();
        fs::write(place.path("crictl.yaml"), format!("runtime-endpoint: unix://{SOCKET}\n")).unwrap();
        let machine = Machine::new();
        let process = start(&machine, &place);
        let containerd = Containerd { machine, place, process };
        containerd.wait_until_it_answers();
        let mut import = containerd.machine.command("ctr");
        import.args(["--namespace", "k8s.io", "images", "import", "--snapshotter", "native"]);
        printed(import.arg(image::archive(&containerd.place)));
        containerd
    }

    fn wait_until_it_answers(&self) {
        eventually(|| self.crictl(&["info"]).ok());
    }

    /// Kills it, as the kernel does when memory is short: with SIGKILL.
    pub fn kill(&mut self) {
        machine::kill(&mut self.process);
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.process = start(&self.machine, &self.place);
        self.wait_until_it_answers();
    }

    /// Makes a Pod's sandbox and gives its id.
    pub fn run(&self, pod: &str) -> Result<String, GrpcError> {
        ended(&mut self.run_command(pod)).map(|id| id.trim().to_owned())
    }

    /// The crictl that makes a Pod's sandbox.
    pub fn run_command(&self, pod: &str) -> Command {
        let config = json!({
            "metadata": {"name": pod, "namespace": NAMESPACE, "uid": uid(pod), "attempt": 0},
            "linux": {"cgroup_parent": self.machine.cgroup()},
            "port_mappings": [{"protocol": 0, "container_port": 80, "host_port": 8080}],
        });
        let path = self.place.path(&format!("{pod}.json"));
        fs::write(&path, config.to_string()).unwrap();
        self.crictl_command(&["runp", path.to_str().unwrap()])
    }

    /// What crictl prints.
    pub fn crictl(&self, arguments: &[&str]) -> Result<String, GrpcError> {
        ended(&mut self.crictl_command(arguments))
    }

    fn crictl_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(tool("bin/crictl"));
        command.arg("--config").arg(self.place.path("crictl.yaml")).args(arguments);
        command
    }

    /// What containerd says of a sandbox.
    pub fn inspect(&self, id: &str) -> Value {
        serde_json::from_str(&self.crictl(&["inspectp", id]).unwrap()).unwrap()
    }

    /// Stops and removes a sandbox.
    pub fn remove(&self, id: &str) {
        self.crictl(&["stopp", id]).unwrap();
        self.crictl(&["rmp", id]).unwrap();
    }

    /// The ids of all sandboxes there are.
    pub fn sandboxes(&self) -> Vec<String> {
        self.crictl(&["pods", "--quiet"]).unwrap().lines().map(str::to_owned).collect()
    }

    /// The files of host-local in which addresses of the network are reserved.
    pub fn reservations(&self) -> PathBuf {
        self.machine.path("/var/lib/cni/networks/pods")
    }

    /// The addresses that are reserved.
    pub fn reserved(&self) -> Vec<String> {
        let files = fs::read_dir(self.reservations()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut addresses: Vec<String> = names.filter(|name| name.starts_with("10.")).collect();
        addresses.sort();
        addresses
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.place.path("containerd.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of containerd's log:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The uid of a Pod.
pub fn uid(pod: &str) -> String {
    format!("uid-of-{pod}")
}

fn start(machine: &Machine, place: &Place) -> Child {
    let log = File::options().create(true).append(true).open(place.path("containerd.log")).unwrap();
    let mut command = machine.command("containerd");
    command.arg("--config").arg(place.path("containerd.toml"));
    command.env("CNISCOPE_CONFIG", place.path("config.json"));
    spawn(command.stdout(log.try_clone().unwrap()).stderr(log))
}

/// What a crictl printed, or the error that it returned.
fn ended(command: &mut Command) -> Result<String, GrpcError> {
    let output = spawn(command).wait_with_output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    // logrus quotes the message as Go does, which for such texts is how JSON does.
    let message = stderr.lines().find_map(|line| line.split_once("level=fatal msg=")).map(|(_, text)| text);
    let text = message.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()));
    Err(GrpcError(text.unwrap_or(stderr)))
}
