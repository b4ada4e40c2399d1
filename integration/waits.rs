//! Real plugins that hang: what they wait for is the cause of the timeout, and who holds it is in the record.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::network::{NAME, Network, Wrapping};
use crate::world::{PLUGINS, World};

/// What of a record tells why the plugin was stopped.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The cause.
    pub cause: String,
    /// Its summary.
    pub summary: String,
    /// What was seen of the wait, with `N` for each pid.
    pub seen: String,
}

/// Adds the sandbox to the network of these plugins, which hangs after `spoil`, and is stopped after some seconds.
pub fn stopped<T>(plugins: Value, version: &'static str, spoil: impl FnOnce(&World) -> T) -> Stopped {
    let world = Network::of(plugins).world(version, Wrapping::Whole);
    world.write("/etc/cniscope/config.json", &json!({"deadlineSeconds": {"ADD": 5}}).to_string());
    // A plugin of 60 MB that is read from a slow disk for the first time waits for that, and not yet for what is held.
    world.sh(&format!("cat {PLUGINS}/* >/dev/null"));
    let _holds = spoil(&world);
    assert_eq!(world.cnitool("add", NAME).run().status, 1);
    let ends = world.ends();
    let end = ends.iter().find(|end| end["outcome"] == "deadline").expect("a call that was stopped");
    let diagnosis = &end["diagnosis"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let seen =
        diagnosis["evidence"].as_array().unwrap().iter().map(text).find(|line| line.contains(" waited for "));
    Stopped {
        cause: text(&diagnosis["cause"]),
        summary: text(&diagnosis["summary"]),
        seen: without_pids(&seen.unwrap_or_else(|| panic!("{diagnosis:#}"))),
    }
}

fn without_pids(line: &str) -> String {
    let mut parts = line.split("(pid ");
    let start = parts.next().unwrap_or_default().to_owned();
    parts.fold(start, |line, part| {
        line + "(pid N" + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
    })
}

/// Holds a lock as long as the world is there.
fn lock(world: &World, path: &str) {
    world.sh(&format!("mkdir -p $(dirname {path})"));
    world.serve("flock", &["--no-fork", path, "sleep", "60"]);
    world.sh(&format!("until ! flock --nonblock {path} true; do sleep 0.02; done"));
}

fn bridge(ipam: &Value) -> Value {
    json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam})
}

#[test]
fn the_lock_of_iptables() {
    let pool = json!({"type": "host-local", "subnet": "10.6.0.0/24"});
    let plugins = json!([bridge(&pool), {"type": "firewall", "backend": "iptables"}]);
    let found = stopped(plugins, "1.0.0", |world| {
        // That of nftables needs no lock.
        world.sh("ln -sf /usr/sbin/iptables-legacy /etc/alternatives/iptables");
        lock(world, "/run/xtables.lock");
    });
    let expected = Stopped {
        cause: "iptables-lock".into(),
        summary:
            "the plugin was stopped after 5 s: it waited for the xtables lock, which another process holds"
                .into(),
        seen: "iptables (pid N) waited for the lock on /run/xtables.lock, held by sleep (pid N): sleep 60"
            .into(),
    };
    assert_eq!(found, expected);
}

#[test]
fn the_lock_of_a_pool() {
    let pool = json!({"type": "host-local", "subnet": "10.6.0.0/24"});
    let found =
        stopped(json!([bridge(&pool)]), "1.0.0", |world| lock(world, "/var/lib/cni/networks/net/lock"));
    let expected = Stopped {
        cause: "ipam-backend-unavailable".into(),
        summary: "the plugin was stopped after 5 s: it waited for the lock of host-local's pool, which another process holds".into(),
        seen: "host-local (pid N) waited for the lock on /var/lib/cni/networks/net/lock, held by sleep (pid N): sleep 60"
            .into(),
    };
    assert_eq!(found, expected);
}

#[test]
fn an_ipam_daemon_that_does_not_answer() {
    let found = stopped(json!([bridge(&json!({"type": "dhcp"}))]), "1.0.0", |world| {
        world.sh("mkdir -p /run/cni");
        world.inside(|| UnixListener::bind("/run/cni/dhcp.sock").unwrap())
    });
    let expected = Stopped {
        cause: "ipam-backend-unavailable".into(),
        summary: "the plugin was stopped after 5 s: it waited for an answer from the DHCP daemon".into(),
        seen: "dhcp (pid N) waited for an answer from /run/cni/dhcp.sock".into(),
    };
    assert_eq!(found, expected);
}

#[test]
fn an_agent_that_does_not_answer() {
    let plugins = json!([{"type": "cilium-cni", "enable-debug": false}]);
    let found = stopped(plugins, "0.4.0", |world| {
        world.sh("mkdir -p /run/cilium");
        world.inside(|| UnixListener::bind("/run/cilium/cilium.sock").unwrap())
    });
    let expected = Stopped {
        cause: "agent-unreachable".into(),
        summary: "the plugin was stopped after 5 s: it waited for an answer from Cilium's agent".into(),
        seen: "cilium-cni (pid N) waited for an answer from /run/cilium/cilium.sock".into(),
    };
    assert_eq!(found, expected);
}
