//! Lists of conf-examples with the real plugins, through cnitool: what they do is what they do without cniscope.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::flannel::flanneld;
use crate::names::Names;
use crate::network::{Step, assert_same, step};
use crate::world::World;

/// A file of conf-examples.
fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf-examples").join(file)
}

/// A sandbox is added to the network of a list, and deleted twice.
fn round(world: &World, file: &str, network: &str) -> Vec<Step> {
    let list = std::fs::read_to_string(example(file)).unwrap();
    world.write("/etc/cni/net.d/10-network.conflist", &list);
    flanneld(world);
    let mut names = Names::default();
    let ports = json!({"portMappings": [{"hostPort": 18080, "containerPort": 80, "protocol": "tcp"}]});
    let call = |verb| {
        let call = world.cnitool(verb, network).env("CAP_ARGS", ports.to_string());
        step(world, verb, call, &mut names)
    };
    ["add", "del", "del"].map(call).into()
}

/// Compares the round of a list with that of the list before it was wrapped. `address` is what the sandbox gets, and
/// `plugins` are those that run.
fn does_the_same(file: &str, network: &str, address: &str, plugins: &[&str]) {
    let direct = round(&World::new(), &format!("{file}.unwrapped"), network);
    assert!(direct[0].stdout.contains(address), "{}", direct[0].stdout);
    assert!(direct.iter().all(|step| step.status == 0), "{direct:#?}");
    let world = World::new();
    assert_same(file, &direct, &round(&world, file, network));
    let ends = world.ends();
    let ended: Vec<Value> = ends
        .iter()
        .map(|end| json!([end["command"], end["plugin"], end["network"], end["outcome"]]))
        .collect();
    let call = |verb: &str, plugin: &&str| json!([verb, plugin, network, "ok"]);
    let mut expected: Vec<Value> = plugins.iter().map(|plugin| call("ADD", plugin)).collect();
    for _ in 0..2 {
        expected.extend(plugins.iter().rev().map(|plugin| call("DEL", plugin)));
    }
    assert_eq!(ended, expected);
}

#[test]
fn the_bridge_list_does_what_it_does_without_cniscope() {
    let plugins = ["bridge", "portmap", "firewall", "tuning"];
    does_the_same("bridge/87-podman-bridge.conflist", "podman", "10.88.0.2/16", &plugins);
}

#[test]
fn flannels_list_does_what_it_does_without_cniscope() {
    does_the_same("flannel/10-flannel.conflist", "cbr0", "10.244.1.2/24", &["flannel", "portmap"]);
}

/// The package's data base holds the MD5 of the file, whatever was made of the file on this machine.
#[test]
fn the_bridge_list_is_the_one_that_podmans_package_installs() {
    let output = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}; run `scripts/setup test`",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let shipped = example("bridge/87-podman-bridge.conflist.unwrapped");
    let sum = output("md5sum", &[shipped.to_str().unwrap()]);
    let sum = sum.split_whitespace().next().unwrap();
    let installed = output("dpkg-query", &["--show", "--showformat=${Conffiles}", "podman"]);
    let expected = format!("/etc/cni/net.d/87-podman-bridge.conflist {sum}");
    assert!(installed.lines().any(|line| line.trim() == expected), "{expected} is not in\n{installed}");
}
