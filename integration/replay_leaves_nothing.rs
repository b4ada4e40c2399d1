//! `cniscope replay` leaves the node as it was, whatever happens to it.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::plugins::wrapped;
use crate::support::{cniscope, eventually, spawn};
use crate::world::World;

/// Everything of the node that a replay could change. Counters and times of reading are none of it, nor are the numbers of
/// folders: an overlay gives new ones when memory was short.
const NODE: &str = "
echo '# links'; ip -o link; ip -o addr | sed 's/ valid_lft.*//'
echo '# routes'; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule
echo '# namespaces'; ip netns
echo '# rules'; nft --stateless list ruleset; iptables-save | sed '/^#/d; s/ \\[[0-9:]*\\]$//'
echo '# mounts'; cut -d' ' -f2- /proc/self/mountinfo
echo '# modules'; cut -d' ' -f1 /proc/modules 2>/dev/null || true
echo '# files'; find /var/lib/cni /run /etc /opt /var/log -xdev -printf '%p %y %m %s %T@ %C@ ' \\
    \\( -type d -printf '\\n' -o -printf '%i\\n' \\) 2>/dev/null | sort
echo '# sysctls'; grep -r -s -H '' /proc/sys/net /proc/sys/kernel /proc/sys/vm /proc/sys/fs |
    grep -v -E 'random|/fs/(dentry|inode|file|quota)|ns_last_pid|nf_conntrack_count|pty/nr|/vm/.*(stat_refresh|drop_caches)|/fs/aio-nr|keys/|sched_domain'
";

/// A node with a network that has been used.
fn node() -> World {
    let world = World::new();
    // As systemd makes them: what is mounted in another namespace is seen in this one, unless that is prevented.
    world.sh("mount --make-rshared /");
    let bridge = json!({
        "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "subnet": "10.244.7.0/29"},
    });
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let portmap = json!({"type": "portmap", "runtimeConfig": {"portMappings": ports}});
    let tuning = json!({"type": "tuning", "sysctl": {"net.ipv4.conf.all.log_martians": "1"}});
    let plugins = [bridge, portmap, tuning].map(|plugin| wrapped(&plugin));
    world.configure(&json!({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}));
    assert_eq!(world.cnitool("add", "pods").run().status, 0);
    world.ends();
    world
}

/// The id of the call of a plugin.
fn call_of(world: &World, plugin: &str) -> String {
    let ends = world.ends();
    let end = ends.iter().find(|end| end["plugin"] == plugin).unwrap();
    end["id"].as_str().unwrap().to_owned()
}

/// Puts a script there that can stand for the plugin bridge.
fn script(world: &World, text: &str) -> &'static str {
    const PATH: &str = "/opt/other/bridge";
    world.write(PATH, &format!("#!/bin/sh\n{text}\n"));
    world.sh(&format!("chmod 0755 {PATH}"));
    PATH
}

#[track_caller]
fn must_be_as(world: &World, before: &str) {
    let now = world.sh(NODE);
    let (before, now): (Vec<&str>, Vec<&str>) = (before.lines().collect(), now.lines().collect());
    let only = |own: &[&str], other: &[&str]| {
        own.iter().filter(|line| !other.contains(line)).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!((only(&before, &now), only(&now, &before)), (Vec::new(), Vec::new()));
}

#[test]
fn good_calls_and_failing_ones_leave_the_node_as_it_was() {
    let world = node();
    let ids = ["bridge", "portmap", "tuning"].map(|plugin| call_of(&world, plugin));
    let failing =
        script(&world, "ip link add left0 type bridge; echo '{\"code\": 7, \"msg\": \"no\"}'; exit 1");
    let list = "/etc/cni/net.d/pods.conflist";
    let runs: Vec<Vec<&str>> = vec![
        vec!["replay", &ids[0]],
        vec!["replay", &ids[1]],
        vec!["replay", &ids[2]],
        vec!["replay", &ids[0], "--plugin", failing],
        vec!["replay", &ids[0], "--command", "DEL"],
        vec!["replay", "--conf", list],
        vec!["replay", "--conf", list, "--command", "DEL"],
        vec!["replay", &ids[0], "--diff", failing, "/opt/cni/bin/bridge"],
    ];
    for arguments in runs {
        let before = world.sh(NODE);
        let (status, stdout, stderr) = world.cli(&arguments).answer();
        assert!(status < 2, "{arguments:?}: {stdout}{stderr}");
        must_be_as(&world, &before);
    }
}

#[test]
fn a_node_on_which_nothing_was_ever_called_has_no_new_folders() {
    let world = World::new();
    world.write(
        "/etc/one.conf",
        r#"{"cniVersion":"1.0.0","name":"pods","type":"ptp","ipam":{"type":"host-local","subnet":"10.2.0.0/24"}}"#,
    );
    let before = world.sh(NODE);
    let ran = world.cli(&["replay", "--conf", "/etc/one.conf"]).answer();
    assert!(ran.0 == 0 && ran.1.contains("+ file /var/lib/cni/networks/pods/10.2.0.2: "), "{ran:?}");
    must_be_as(&world, &before);
}

/// For so many seconds, which nobody else does, a plugin sleeps.
fn seconds() -> String {
    format!("7{}", std::process::id())
}

/// Whether it sleeps.
fn sleeps() -> bool {
    let wanted = format!("sleep\0{}\0", seconds());
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes()))
}

/// Starts a replay, and waits until its plugin sleeps.
fn sleeping(world: &World, plugin: &str) -> Child {
    let mut command = Command::new(cniscope());
    command.args(["replay", &call_of(world, "bridge"), "--plugin", plugin, "--timeout", "3600"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let replay = world.inside(|| spawn(&mut command));
    eventually(|| sleeps().then_some(()));
    replay
}

#[test]
fn one_that_is_killed_in_the_middle_takes_everything_with_it() {
    let world = node();
    let left = "ip link add left0 type bridge; touch /var/lib/cni/left";
    let plugin = script(&world, &format!("{left}; sleep {}; true", seconds()));
    let before = world.sh(NODE);
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let mut replay = sleeping(&world, plugin);
        kill(Pid::from_raw(i32::try_from(replay.id()).unwrap()), signal).unwrap();
        replay.wait().unwrap();
        eventually(|| (!sleeps()).then_some(()));
        must_be_as(&world, &before);
    }
}

#[test]
fn one_whose_plugin_hangs_ends_in_time_and_leaves_nothing() {
    let world = node();
    let seconds = format!("8{}", std::process::id());
    let other = script(
        &world,
        &format!("trap '' TERM; ip link add left0 type bridge; sleep {seconds}; sleep {seconds}"),
    );
    let id = call_of(&world, "bridge");
    let before = world.sh(NODE);
    let (status, stdout, stderr) = world.cli(&["replay", &id, "--plugin", other, "--timeout", "1"]).answer();
    assert!(status == 1 && stdout.starts_with("ADD by bridge: deadline"), "{stdout}{stderr}");
    must_be_as(&world, &before);
}

#[test]
fn what_is_no_state_of_a_plugin_cannot_be_written() {
    let world = node();
    let targets = [
        "/etc/left",
        "/opt/left",
        "/tmp/left",
        "/var/log/left",
        "/proc/sys/vm/laptop_mode",
        "/proc/sys/kernel/panic",
        "/proc/sysrq-trigger",
        "/sys/module/bridge/left",
        "/dev/left",
    ];
    let other = script(
        &world,
        &format!(
            "for file in {}; do (echo 7 >$file) 2>/dev/null && written=\"$written $file\"; done
                  echo '{{\"code\": 7, \"msg\": \"written:'$written'\"}}'; exit 1",
            targets.join(" ")
        ),
    );
    let report = world.cli(&["replay", &call_of(&world, "bridge"), "--plugin", other, "-o", "json"]).json();
    assert_eq!(report["calls"][0]["record"]["error"]["msg"], "written:");
}

#[test]
fn the_sockets_of_the_nodes_daemons_are_not_there() {
    let world = node();
    let _daemon = world.inside(|| std::os::unix::net::UnixListener::bind("/run/daemon.sock").unwrap());
    let other = script(
        &world,
        "echo '{\"code\": 7, \"msg\": \"sockets:'$(find /run -type s)', processes:'$(ls /proc | grep -c '^[0-9]')'\"}'; exit 1",
    );
    let report = world.cli(&["replay", &call_of(&world, "bridge"), "--plugin", other, "-o", "json"]).json();
    let text = report["calls"][0]["record"]["error"]["msg"].as_str().unwrap().to_owned();
    let (sockets, processes) = text.split_once(", processes:").unwrap();
    assert_eq!(sockets, "sockets:");
    assert!(processes.parse::<u32>().unwrap() < 12, "the node's processes are seen: {text}");
}
