//! Podman in a machine of its own, with a CNI network.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::image;
use crate::machine::{Machine, printed};
use crate::plugins;
use crate::support::{Place, spawn};

/// Podman has no process that stays.
pub struct Podman {
    /// Where it runs. First, to end before its files are removed.
    pub machine: Machine,
    /// Its configuration, plugins and the journal.
    pub place: Place,
}

impl Podman {
    /// One with the network `pods`, of these plugins, and the image.
    pub fn new(list: &[Value]) -> Podman {
        let place = Place::new();
        plugins::put_into(&place);
        let network = json!({"cniVersion": "0.4.0", "name": "pods", "plugins": list});
        fs::create_dir(place.path("net.d")).unwrap();
        fs::write(place.path("net.d/pods.conflist"), network.to_string()).unwrap();
        let config = format!(
            r#"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
[network]
network_backend = "cni"
cni_plugin_dirs = ["{bin}"]
network_config_dir = "{conf}"
"#,
            bin = place.path("bin").display(),
            conf = place.path("net.d").display(),
        );
        fs::write(place.path("containers.conf"), config).unwrap();
        let podman = Podman { machine: Machine::new(), place };
        // What conmon starts when a container has ended, which may be the one that takes the network down, does not have the
        // variable that names the settings.
        let settings = podman.place.path("config.json");
        let mut install = podman.machine.command("install");
        printed(install.args(["-D", "-m", "0600"]).arg(settings).arg("/var/lib/cniscope/config.json"));
        let archive = image::archive(&podman.place);
        podman.podman(&["load", "--input", archive.to_str().unwrap()]);
        podman
    }

    /// What a command of Podman that must succeed prints.
    pub fn podman(&self, arguments: &[&str]) -> String {
        printed(&mut self.command(arguments))
    }

    /// Runs a container of the image in the network, and gives what Podman prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        printed(&mut self.run_command(arguments))
    }

    /// The same for a container that may not start.
    pub fn try_to_run(&self, arguments: &[&str]) -> Output {
        spawn(&mut self.run_command(arguments)).wait_with_output().unwrap()
    }

    fn run_command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.command(&["run", "--pull", "never", "--network", "pods"]);
        command.args(["--cgroup-parent", self.machine.cgroup()]);
        // The default ones are above what a host's own limits may allow.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]);
        command.args(arguments);
        command
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.machine.command("podman");
        command.env("CONTAINERS_CONF", self.place.path("containers.conf"));
        command.env("CNISCOPE_CONFIG", self.place.path("config.json"));
        command.args(["--root", "/var/lib/containers/storage", "--runroot", "/run/containers/storage"]);
        command.args(["--storage-driver", "vfs"]).args(arguments);
        command
    }
}
