//! The state of a node and of its sandbox, as text that is the same whenever the state is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::names::Names;
use crate::world::{World, sh};

/// What the kernel holds, in a network namespace.
const COMMANDS: [&str; 7] = [
    "ip -j -d address",
    "ip -j route show table all",
    "ip -j -4 rule",
    "ip -j -6 rule",
    "tc -j qdisc",
    FILTERS,
    RULES,
];
const FILTERS: &str = "tc qdisc | sed -n 's/^qdisc ingress .* dev \\([^ ]*\\) .*/\\1/p' | while read link; do
                           echo $link; tc filter show dev $link ingress
                       done";
const RULES: &str = "nft --stateless list ruleset";
/// The same rules in iptables' words, which have the matches that nft does not know.
const IPTABLES: [&str; 2] = ["iptables-save", "ip6tables-save"];
/// Where plugins and libcni keep files.
const FOLDERS: [&str; 2] = ["/var/lib/cni", "/run"];
/// What is there and not theirs: the world's own, and cniscope's.
const NOT_THEIRS: [&str; 4] = ["/run/layers", "/run/netns", "/run/mount", "/run/cniscope"];
/// What follows from the carrier, and what `ip` prints of a bridge's address in a form of its own.
const PASSING: [&str; 4] = ["operstate", "state", "bridge_id", "root_id"];
/// Flags of links and routes that follow from the carrier.
const CARRIER: [&str; 3] = ["NO-CARRIER", "LOWER_UP", "linkdown"];
/// Sysctls that tell what happens at the moment, or that the kernel draws by lot.
const VOLATILE: [&str; 4] =
    ["nf_conntrack_count", "tcp_fastopen_key", "stable_secret", "nf_conntrack_buckets"];

/// Takes it, in lines.
pub fn take(world: &World, names: &mut Names) -> Vec<String> {
    let host = world.inside(|| (kernel(), sysctls()));
    let pod = world.inside_pod(|| (kernel(), sysctls()));
    let files =
        world.inside(|| FOLDERS.iter().flat_map(|folder| files(Path::new(folder))).collect::<Vec<_>>());
    let mut lines = Vec::new();
    for (place, (kernel, sysctls)) in [("host", host), ("pod", pod)] {
        for (command, output) in kernel {
            let text = names.replaced(&output);
            let command = command.lines().next().unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("{place}, {command}: {line}")));
        }
        // A random name stands in the path of some.
        let mut sysctls: Vec<String> = sysctls.iter().map(|line| names.replaced(line)).collect();
        sysctls.sort();
        lines.extend(sysctls.into_iter().map(|line| format!("{place}, sysctl {line}")));
    }
    lines.extend(files.iter().map(|file| names.replaced(file)));
    lines
}

fn kernel() -> Vec<(&'static str, String)> {
    let output = |command: &&'static str| (*command, lasting(&sh(command)));
    let mut outputs: Vec<_> = COMMANDS.iter().map(output).collect();
    if outputs.iter().any(|(command, rules)| *command == RULES && !rules.is_empty()) {
        outputs.extend(IPTABLES.iter().map(output));
    }
    outputs
}

/// The output of a command without what changes by itself: times, timers, counters, and what follows from the carrier,
/// which the kernel tells up to a second late.
fn lasting(output: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(output) {
        drop_passing(&mut value);
        return format!("{value:#}");
    }
    let lines = output.lines().filter(|line| !line.starts_with('#'));
    // iptables-save has a chain's counters behind its policy.
    let counters = |line: &str| if line.starts_with(':') { line.find(" [") } else { None };
    lines.map(|line| counters(line).map_or(line, |start| &line[..start])).collect::<Vec<_>>().join("\n")
}

fn drop_passing(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let passing = |name: &str| name.ends_with("_timer") || PASSING.contains(&name);
            fields.retain(|name, _| !passing(name));
            // It is enough that the peer is elsewhere: the kernel numbers namespaces as it comes to them.
            if let Some(number) = fields.get_mut("link_netnsid") {
                *number = Value::Bool(true);
            }
            fields.values_mut().for_each(drop_passing);
        }
        Value::Array(values) => {
            values.retain(|value| !CARRIER.iter().any(|flag| value == flag) && !is_multicast_route(value));
            values.iter_mut().for_each(drop_passing);
        }
        _ => {}
    }
}

/// The kernel's own route for IPv6 groups, which comes and goes with the carrier.
fn is_multicast_route(value: &Value) -> bool {
    value["dst"] == "ff00::/8" && value["protocol"] == "kernel"
}

/// Every sysctl of the network namespace that the calling thread is in.
fn sysctls() -> Vec<String> {
    let paths = below(Path::new("/proc/sys/net"));
    let kept = paths.into_iter().filter(|path| !VOLATILE.iter().any(|name| path.ends_with(name)));
    kept.filter_map(|path| {
        let value = fs::read_to_string(&path).ok()?;
        let name = path.strip_prefix("/proc/sys/net").unwrap().display().to_string();
        Some(format!("{name} = {}", value.trim_end()))
    })
    .collect()
}

/// Every file, with its mode and its content.
fn files(folder: &Path) -> Vec<String> {
    let paths = below(folder).into_iter();
    let theirs = paths.filter(|path| !NOT_THEIRS.iter().any(|folder| path.starts_with(folder)));
    theirs
        .map(|path| {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_file() { content(&path) } else { String::new() };
            format!("{} {:o} {content:?}", path.display(), metadata.mode())
        })
        .collect()
}

fn content(path: &Path) -> String {
    let content = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    if !path.starts_with("/var/lib/cni/results") {
        return content;
    }
    // libcni's cache holds a copy of the configuration, which is where the runs differ.
    let mut cached: Value = serde_json::from_str(&content).unwrap();
    assert!(cached["config"].take().is_string(), "{content}");
    cached.to_string()
}

/// Every path below a folder, in order.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| {
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            let mut all = if is_folder { below(&path) } else { Vec::new() };
            all.insert(0, path);
            all
        })
        .collect()
}
