//! The journals of five nodes on a morning: one of them runs out of addresses, another waits for a lock for a while, and
//! here and there something else fails.

use std::time::{Duration, UNIX_EPOCH};

use cniscope::node::clock;
use serde_json::{Value, json};

/// When it begins, in seconds since 1970: 2026-11-21T05:00:00Z.
const START: u64 = 1_795_237_200;
/// How long it lasts, in milliseconds.
const LASTS: u64 = 7 * 3_600_000;
/// From then on the third node has no addresses.
const FULL: u64 = 4 * 3_600_000;
/// While that lasts, the second node waits for a lock.
const LOCKED: std::ops::Range<u64> = 9_900_000..11_700_000;
const NODES: [&str; 5] = ["worker-1", "worker-2", "worker-3", "worker-4", "worker-5"];
const APPS: [&str; 8] = [
    "shop/cart",
    "shop/checkout",
    "shop/web",
    "pay/ledger",
    "pay/api",
    "ops/cron-backup",
    "ml/train",
    "web/edge",
];

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// A time around `middle` milliseconds, now and then much longer.
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    fn took(&mut self, middle: f64) -> f64 {
        let spread = 0.7 + self.up_to(1000) as f64 / 1000.0;
        let tail = match self.up_to(100) {
            0 => 9.0,
            1..=4 => 3.0,
            _ => 1.0,
        };
        (middle * spread * tail * 1000.0).round() / 1000.0
    }
}

/// So many calls, in the order of time, as lines of a journal.
pub fn journal(calls: u64) -> String {
    let mut dice = Dice(42);
    let mut used = [61_u64, 70, 88, 45, 52];
    let mut lines = String::new();
    for number in 0..calls {
        let at = number * LASTS / calls + dice.up_to(900);
        let place = usize::try_from(dice.up_to(5)).unwrap();
        let record = call(&mut dice, number, at, place, &mut used[place]);
        lines.push_str(&record.to_string());
        lines.push('\n');
    }
    lines
}

fn call(dice: &mut Dice, number: u64, at: u64, place: usize, used: &mut u64) -> Value {
    let node = NODES[place];
    let (namespace, app) = APPS[usize::try_from(dice.up_to(8)).unwrap()].split_once('/').unwrap();
    let pod = format!("{app}-{:x}-{:05x}", 0x5d9f + dice.up_to(3), dice.up_to(1 << 20));
    let is_full = place == 2 && at > FULL;
    let (command, plugin, middle) = match dice.up_to(20) {
        0..=7 => ("ADD", "bridge", 34.0),
        8..=11 => ("ADD", "portmap", 11.0),
        12..=16 => ("DEL", "bridge", 16.0),
        17..=18 => ("DEL", "portmap", 6.0),
        _ => ("CHECK", "bridge", 5.0),
    };
    let takes_address = (command, plugin) == ("ADD", "bridge");
    if is_full {
        *used = 253;
    }
    let failure = match dice.up_to(1000) {
        _ if is_full && takes_address => Some("ipam-exhausted"),
        _ if place == 1 && LOCKED.contains(&at) && plugin == "portmap" => Some("iptables-lock"),
        0..=1 => Some("unknown"),
        2 => Some("netns-gone"),
        3 if command == "ADD" => Some("plugin-timeout"),
        _ => None,
    };
    let pool = json!({
        "folder": "/var/lib/cni/networks/pods",
        "sets": [{"ranges": format!("10.244.{place}.1-10.244.{place}.254"), "capacity": 253, "used": *used, "free": 253 - *used, "leaked": is_full.then_some(41), "orphans": 0}],
    });
    if takes_address && failure.is_none() && *used < 252 {
        *used += 1;
    }
    if (command, plugin) == ("DEL", "bridge") && *used > 40 {
        // On the third node some are never released.
        *used -= 1 + u64::from(place != 2 && *used > 70 + at / 600_000 && dice.up_to(10) < 7);
    }
    let container = [0; 8].map(|_| format!("{:08x}", dice.up_to(1 << 31))).concat();
    let middle = match failure {
        Some("plugin-timeout") => 200_000.0,
        Some("iptables-lock") => 21_000.0,
        _ if place == 1 && LOCKED.contains(&at) => middle * 12.0,
        _ => middle,
    };
    let took = dice.took(middle);
    let time = clock::rfc3339(UNIX_EPOCH + Duration::from_secs(START) + Duration::from_millis(at));
    let id = format!(
        "01a1fe8f-{:04x}-7{:03x}-8{:03x}-{:012x}",
        number >> 16,
        number & 0xfff,
        dice.up_to(4096),
        number * 7919
    );
    let mut record = json!({
        "schema": 1, "event": "end", "id": id, "time": time, "node": node, "boot_id": "9c1d2f0e-52f4-4f0a-9a5c-0b4de1b9a7d1",
        "pid": 40_000 + number, "start_ticks": 900_000 + at / 10, "command": command, "container_id": container, "ifname": "eth0",
        "netns": format!("/var/run/netns/cni-{container:.8}-385b-68b0-bccd-73ced7a2810a"), "pod_namespace": namespace, "pod_name": pod,
        "network": "pods", "plugin": plugin,
    });
    let more = json!({
        "cni_version": "1.0.0", "pod_uid": format!("6f1e{number:08x}"),
        "plugin_path": format!("/opt/cni/bin/{plugin}"), "plugin_mtime": "2026-09-01T08:00:00Z", "plugin_size": 5_895_528,
        "cniscope_version": "0.1.0", "outcome": "ok", "cause": null, "duration_ms": took + 1.1, "plugin_ms": took, "overhead_ms": 1.1,
        "exit_status": 0, "plugin_pid": 40_001 + number, "plugin_rss_kb": 9420, "plugin_cpu_ms": 7.2, "stderr": "",
        "config": {"cniVersion": "1.0.0", "name": "pods", "type": plugin, "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": format!("10.244.{place}.0/24")}]]}},
        "config_sha256": format!("{place}-{plugin}"), "caller": {"pid": 812, "name": "containerd"},
        "env": {"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin", "CNI_ARGS": format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={pod}")},
        "result": {"cniVersion": "1.0.0", "interfaces": [{"name": "cni0", "mac": "02:42:0a:f4:00:01"}, {"name": "eth0", "sandbox": "/var/run/netns/x"}], "ips": [{"address": format!("10.244.{place}.{}/24", *used), "gateway": format!("10.244.{place}.1"), "interface": 1}], "routes": [{"dst": "0.0.0.0/0"}]},
        "checks": [
            {"check": "plugin-binary", "status": "ok", "summary": format!("{plugin} can be executed"), "evidence": {}, "took_us": 41},
            {"check": "config", "status": "ok", "summary": "the entry has no mistake that is known", "evidence": {}, "took_us": 18},
            {"check": "netns", "status": "ok", "summary": "the network namespace is there", "evidence": {}, "took_us": 6},
            {"check": "bridge", "status": "ok", "summary": "cni0 is a bridge that fits the network", "evidence": {"mtu": 1500}, "took_us": 120},
        ],
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if takes_address {
        let status = if is_full { "fail" } else { "ok" };
        let leaked = if is_full { ", 41 of them leaked" } else { "" };
        let summary = format!("{used} of 253 addresses used{leaked}");
        let check = json!({"check": "ipam-pool", "status": status, "summary": summary, "evidence": pool, "took_us": 310});
        record["checks"].as_array_mut().unwrap().push(check);
    }
    if let Some(cause) = failure {
        fail(&mut record, cause, place);
    }
    record
}

/// Makes the call fail for a cause, with what a plugin says then.
fn fail(record: &mut Value, cause: &str, place: usize) {
    let range = format!("10.244.{place}.1-10.244.{place}.254");
    let (outcome, msg, title, summary, fix) = match cause {
        "ipam-exhausted" => (
            "failed",
            format!("failed to allocate for range 0: no IP addresses available in range set: {range}"),
            "no address is left in the pool",
            "253 of 253 addresses used, 41 of them leaked",
            json!(["release the 41 leaked addresses: remove their files in /var/lib/cni/networks/pods", "give the network a larger range"]),
        ),
        "iptables-lock" => (
            "failed",
            "running [/usr/sbin/iptables -t nat -N CNI-HOSTPORT-DNAT --wait]: exit status 4: Another app is currently holding the xtables lock".to_owned(),
            "another process holds the lock of iptables",
            "kube-proxy (pid 1207) held /run/xtables.lock for 18 s",
            json!(["wait until kube-proxy has written its rules, or restart it"]),
        ),
        "netns-gone" => (
            "failed",
            format!("failed to open netns \"{}\": no such file or directory", record["netns"].as_str().unwrap()),
            "the sandbox's network namespace is gone",
            "the namespace was removed before the call",
            json!(["nothing: the runtime makes a new sandbox"]),
        ),
        "plugin-timeout" => (
            "deadline",
            "bridge did not end within 200 s: it waited for a lock".to_owned(),
            "the plugin did not end in time",
            "it waited for /var/lib/cni/networks/pods/lock, which host-local (pid 3310) held",
            json!(["end host-local (pid 3310), which has hung since 09:12"]),
        ),
        _ => (
            "failed",
            "netplugin failed: exit status 1".to_owned(),
            "the cause is not known",
            "nothing that was looked at is wrong",
            json!([]),
        ),
    };
    record["outcome"] = json!(outcome);
    record["cause"] = json!(cause);
    record["exit_status"] = json!(1);
    record["result"] = Value::Null;
    record["error"] = json!({"code": 11, "msg": msg, "details": ""});
    let told = format!("plugin type=\"{}\" failed (add): {msg}", record["plugin"].as_str().unwrap());
    let bracket =
        format!("[cniscope: {cause}: {summary}; see: cniscope show {}]", record["id"].as_str().unwrap());
    record["returned"] = json!({"code": 11, "msg": told, "details": bracket});
    record["diagnosis"] = json!({
        "cause": cause, "title": title, "summary": summary, "fix": fix,
        "evidence": [format!("the error's text has “{:.60}”", msg), format!("check: {summary}")],
        "ruled_out": ["plugin-binary: bridge, host-local can be executed", "config: the entry has no mistake that is known"],
    });
}
