//! A node with Cilium's agent, or one on which it is missing.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Place, cniscope, eventually, spawn};
use crate::world::{self, tool};

pub use crate::world::POD;

/// Where cilium-cni looks for the agent.
const SOCKET: &str = "/var/run/cilium/cilium.sock";

/// What Cilium finds on a node and changes: the filter that new links get, in the node's and the Pod's namespace.
const SET_UP: &str = "
mkdir /run/cilium
echo 2 >/proc/sys/net/ipv4/conf/default/rp_filter
ip netns exec pod sh -c 'echo 2 >/proc/sys/net/ipv4/conf/default/rp_filter'
ip netns exec pod ip link set lo up
";

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
    node: world::World,
    agent: Option<Child>,
}

impl World {
    /// A node on which no agent runs.
    pub fn without_agent() -> World {
        let place = Place::new();
        symlink(tool("plugins/cilium-cni"), place.path("bin/cilium-cni")).unwrap();
        symlink(cniscope(), place.path("bin/cniscope")).unwrap();
        let node = world::World::new();
        node.sh(SET_UP);
        World { place, node, agent: None }
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

    /// Does something on the node.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        self.node.inside(what)
    }

    /// Calls the list's plugins through cnitool for a Pod. Gives exit status, stdout and stderr.
    pub fn cnitool(&self, verb: &str, list: &Value, pod: &str) -> (i32, String, String) {
        self.node.configure(list);
        let call = self.node.cnitool(verb, list["name"].as_str().unwrap());
        call.env("CNI_ARGS", format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={pod}"))
            .env("CNI_PATH", self.place.path("bin"))
            .env("CNISCOPE_CONFIG", self.place.path("config.json"))
            .run()
            .answer()
    }

    /// What is left on the node and in the Pod, once the kernel has seen both ends of the links up.
    pub fn left(&self) -> String {
        let look = || {
            let pod = self.node.inside_pod(|| world::sh(LEFT));
            let left = format!("node:\n{}pod:\n{pod}", self.node.sh(LEFT));
            (!left.contains("DOWN")).then_some(left)
        };
        eventually(look)
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
