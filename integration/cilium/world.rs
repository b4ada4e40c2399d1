//! A node for cilium-cni alone: mount and network namespaces with an empty `/run` and a Pod's namespace in them, so
//! that the machine's own stay as they are, and two runs can see equal nodes.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, panic, thread};

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use crate::support::{Place, cniscope, eventually, spawn};

/// Where cilium-cni looks for the agent.
const SOCKET: &str = "/var/run/cilium/cilium.sock";
/// The Pod's network namespace.
pub const POD: &str = "/run/netns/pod";

/// Makes the node. Its links get no addresses made of their hardware's, which differ from run to run.
const SET_UP: &str = r"
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir /run/cilium
ip netns add pod
for enter in '' 'ip netns exec pod'; do
    $enter sh -euc '
        ip link set lo up
        echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
        echo 2 >/proc/sys/net/ipv4/conf/default/rp_filter'
done";

/// Tells what a call has left in a network namespace: Cilium's links, their addresses, routes and settings.
const LEFT: &str = r"
ip addr show type veth | sed '/valid_lft/d; s/ *$//'
ip route show table all | sed '/ dev lo /d; s/ *$//'
grep . /proc/sys/net/ipv4/conf/*/rp_filter | sed -n 's|.*/\(lxc.*\)|\1|p'
sed -n 's/^[0-9]/reserved ports: &/p' /proc/sys/net/ipv4/ip_local_reserved_ports";

/// The node.
pub struct World {
    /// Its folder with the plugins and the journal.
    pub place: Place,
    mounts: File,
    network: File,
    agent: Option<Child>,
}

impl World {
    /// A node on which no agent runs.
    pub fn without_agent() -> World {
        let place = Place::new();
        symlink(tool("plugins/cilium-cni"), place.path("bin/cilium-cni")).unwrap();
        symlink(cniscope(), place.path("bin/cniscope")).unwrap();
        let make = || {
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
            stdout_of(sh().arg(SET_UP));
            ["mnt", "net"].map(|name| File::open(Path::new("/proc/thread-self/ns").join(name)).unwrap())
        };
        let [mounts, network] = thread::spawn(make).join().unwrap();
        World { place, mounts, network, agent: None }
    }

    /// A node with the scripted agent.
    pub fn new() -> World {
        let mut world = World::without_agent();
        let requests = File::create(world.place.path("requests")).unwrap();
        let mut agent = Command::new(tool("bin/cilium-agent"));
        agent.arg(SOCKET).stdin(Stdio::piped()).stdout(requests);
        world.agent = Some(world.inside(|| spawn(&mut agent)));
        world.inside(|| eventually(|| UnixStream::connect(SOCKET).ok()));
        world
    }

    /// Does something on the node. A thread of its own enters the namespaces: what it starts is in them too.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            // A thread that shares its working folder with others may not change its mounts.
            unshare(CloneFlags::CLONE_FS).unwrap();
            setns(&self.mounts, CloneFlags::CLONE_NEWNS).unwrap();
            setns(&self.network, CloneFlags::CLONE_NEWNET).unwrap();
            what()
        };
        thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// Calls the list's plugins through cnitool for a Pod. Gives exit status, stdout and stderr.
    pub fn cnitool(&self, verb: &str, list: &Value, pod: &str) -> (i32, String, String) {
        let folder = self.place.path("net.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("05-cilium.conflist"), list.to_string()).unwrap();
        let mut command = Command::new(tool("bin/cnitool"));
        command
            .args([verb, list["name"].as_str().unwrap(), POD])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("CNI_PATH", self.place.path("bin"))
            .env("NETCONFPATH", &folder)
            .env("CNI_ARGS", format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={pod}"))
            .env("CNISCOPE_CONFIG", self.place.path("config.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = self.inside(|| spawn(&mut command).wait_with_output().unwrap());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// What is left on the node and in the Pod, once the kernel has seen both ends of the links up.
    pub fn left(&self) -> String {
        let look = || {
            let pod = stdout_of(Command::new("ip").args(["netns", "exec", "pod", "sh", "-euc", LEFT]));
            let left = format!("node:\n{}pod:\n{pod}", stdout_of(sh().arg(LEFT)));
            (!left.contains("DOWN")).then_some(left)
        };
        self.inside(|| eventually(look))
    }

    /// What the agent was asked, one request a line.
    pub fn requests(&self) -> String {
        fs::read_to_string(self.place.path("requests")).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Waiting closes its stdin first, which ends it. The namespaces go with their last process and file.
        if let Some(agent) = &mut self.agent {
            agent.wait().unwrap();
        }
    }
}

/// Something that `make setup-test` puts into `.tools`.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools").join(name);
    assert!(path.is_file(), "{} is missing: run `make setup-test`", path.display());
    path
}

fn sh() -> Command {
    let mut command = Command::new("sh");
    command.arg("-euc");
    command
}

/// Runs a command that has to succeed.
fn stdout_of(command: &mut Command) -> String {
    let output = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
        .wait_with_output()
        .unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
