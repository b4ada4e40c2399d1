//! What is so on the node now: what doctor finds, disks, clock, cgroups, sockets, namespaces.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::bundle::gather::{Gathered, Gatherer};
use crate::checks::examination::{self, examine};
use crate::node::clock::{is_synchronised, rfc3339};
use crate::node::usage::{OfCgroup, Usage};

/// How long a check may take.
const CHECK: Duration = Duration::from_secs(4);
/// Where plugins and runtimes keep their things.
const DISKS: [&str; 12] = [
    "/",
    "/etc/cni",
    "/opt/cni/bin",
    "/run",
    "/tmp",
    "/var/lib/cni",
    "/var/lib/calico",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/log",
    "/var/log/cniscope",
];
/// Who makes calls, and whose limits they share.
const CALLERS: [&str; 8] =
    ["kubelet", "containerd", "crio", "dockerd", "k3s", "k3s-server", "k3s-agent", "rke2"];
/// The sockets of runtimes and of agents that plugins ask.
const SOCKETS: [&str; 12] = [
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/var/run/cilium/cilium.sock",
    "/run/multus/multus.sock",
    "/run/cni/dhcp.sock",
    "/var/run/antrea/cni.sock",
    "/var/run/ovn-kubernetes/cni/ovn-cni-server.sock",
    "/var/run/spidernet/spiderpool.sock",
];
/// The most processes and namespaces that are listed.
const MAX: usize = 4096;

pub(super) fn doctor(to: &Gatherer) -> Gathered {
    let plan = examination::Plan {
        checks: Vec::new(),
        conf_dir: to.plan.conf_dir.clone(),
        bin_folders: to.plan.bin_folders.clone(),
        event: None,
        own: Vec::new(),
        peers: Vec::new(),
        limit: CHECK,
    };
    to.found("doctor.json", &examine(&to.node, &plan))
}

pub(super) fn disks(to: &Gatherer) -> Gathered {
    let disk = |path: &&str| {
        let found = to.node.file_system(Path::new(path)).ok()?;
        Some(json!({
            "path": path, "magic": format!("{:#x}", found.magic), "size": found.size, "free": found.free, "inodes": found.inodes,
            "free_inodes": found.free_inodes, "read_only": found.read_only,
        }))
    };
    let disks: Vec<Value> = DISKS.iter().filter_map(disk).collect();
    if disks.is_empty() { Ok(()) } else { to.found("disks.json", &disks) }
}

pub(super) fn clock(to: &Gatherer) -> Gathered {
    to.found(
        "clock.json",
        &json!({
            "now": rfc3339(SystemTime::now()), "synchronised": is_synchronised(), "booted": to.node.boot_time().map(rfc3339),
        }),
    )
}

pub(super) fn cgroups(to: &Gatherer) -> Gathered {
    let processes = to.node.processes_named(&CALLERS).unwrap_or_default();
    let of = |found: Option<OfCgroup>| {
        found.map(|found| json!({"cgroup": found.cgroup, "usage": usage(found.usage)}))
    };
    let shown = processes.iter().take(MAX).map(|process| {
        json!({
            "name": process.name, "pid": process.pid, "tasks": of(to.node.cgroup_tasks(process.pid)),
            "memory": of(to.node.cgroup_memory(process.pid)),
            "open_files": to.node.open_files_of(process.pid).map(usage),
            "age_seconds": to.node.age(process).map(|age| age.as_secs()),
        })
    });
    let shown: Vec<Value> = shown.collect();
    if shown.is_empty() { Ok(()) } else { to.found("cgroups.json", &shown) }
}

fn usage(usage: Usage) -> Value {
    json!({"used": usage.used, "limit": usage.limit})
}

pub(super) fn sockets(to: &Gatherer) -> Gathered {
    let socket = |path: &&str| match to.node.reach_socket(Path::new(path)) {
        Ok(answers) => Some(json!({"path": path, "answers": answers})),
        Err(error) if error.is_missing() => None,
        Err(error) => Some(json!({"path": path, "error": error.to_string()})),
    };
    let sockets: Vec<Value> = SOCKETS.iter().filter_map(socket).collect();
    if sockets.is_empty() { Ok(()) } else { to.found("sockets.json", &sockets) }
}

pub(super) fn namespaces(to: &Gatherer) -> Gathered {
    let Ok(listing) = to.node.list(Path::new("/run/netns"), MAX) else { return Ok(()) };
    let mut names: Vec<String> = listing.names.iter().map(|name| name.display().to_string()).collect();
    names.sort();
    to.found("namespaces.json", &json!({"folder": "/run/netns", "names": names, "cut": listing.cut}))
}
