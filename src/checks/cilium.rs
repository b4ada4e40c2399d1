//! `cilium`: what cilium-cni needs of this node: the agent's API on its socket, bpffs, cgroup2, the kernel, room in the queue
//! of deletions; and what the agent's exclusive mode has set aside.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::Depth;
use super::subject::{Origin, Subject};
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

/// `pkg/defaults`: `RuntimePath` and `SockPath`.
const RUNTIME: &str = "/var/run/cilium";
/// What an ADD asks first. Who serves it has its API up.
const QUESTION: &[u8] = b"GET /v1/config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// A busy agent takes its time; an ADD waits for up to 30 s.
const LIMIT: Duration = Duration::from_millis(500);
/// `BPF_FS_MAGIC` and `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const BPFFS: u32 = 0xcafe_4a11;
const CGROUP2: u32 = 0x6367_7270;
/// Where the agent looks for bpffs, and makes one where there is none (`pkg/bpf`).
const BPFFS_PLACES: [&str; 2] = ["/sys/fs/bpf", "/run/cilium/bpffs"];
const CGROUP2_PLACES: [&str; 3] = ["/run/cilium/cgroupv2", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// The oldest kernel of which a release runs: 4.19.57, which is 4.18 on RHEL 8.
const OLDEST_KERNEL: (u32, u32) = (4, 18);
/// With more files than this in its folder the queue takes no further one (`plugins/cilium-cni/lib`).
const MAX_QUEUED: usize = 256;
/// What the agent puts behind the names of others' configurations in exclusive mode.
const SET_ASIDE: &str = ".cilium_bak";

/// What came of asking the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Agent {
    /// The socket is there; before a call no more is asked.
    HasSocket,
    NoSocket,
    /// Nobody listens at the socket.
    Refuses,
    Silent,
    Answers(u16),
    /// Why it cannot be asked.
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    verb: Verb,
    socket: PathBuf,
    agent: Agent,
    /// Whether there is one at all; `None` where that cannot be seen, or was not looked for.
    bpffs: Option<bool>,
    cgroup2: Option<bool>,
    kernel: String,
    /// The files in the folder of the queue of deletions, its lock among them.
    queued: Option<usize>,
    /// The names of configurations that exclusive mode has set aside.
    set_aside: Vec<String>,
    /// The one of them that is Multus', where Multus has no other.
    multus: Option<String>,
}

/// Whether the call is Cilium's.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    subject.plugin == "cilium-cni" && matches!(subject.verb, Verb::Add | Verb::Del | Verb::Check)
}

/// Looks at what the plugin needs.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let close = depth == Depth::Full;
    // What this process inherited, the plugin inherits too.
    let given = std::env::var_os("CILIUM_SOCK").filter(|_| subject.is_call());
    let socket = given.map_or_else(|| Path::new(RUNTIME).join("cilium.sock"), PathBuf::from);
    let queue = node.list(&Path::new(RUNTIME).join("deleteQueue"), MAX_QUEUED + 1);
    let (set_aside, multus) = if close { exclusive(node, &conf_dir(subject)) } else { Default::default() };
    judge(&Facts {
        verb: subject.verb.clone(),
        agent: ask(node, &socket, close),
        socket,
        bpffs: close.then(|| has(node, &BPFFS_PLACES, BPFFS)).flatten(),
        cgroup2: close.then(|| has(node, &CGROUP2_PLACES, CGROUP2)).flatten(),
        kernel: node.kernel(),
        queued: queue.ok().map(|queue| queue.names.len()),
        set_aside,
        multus,
    })
}

fn ask(node: &Node, socket: &Path, close: bool) -> Agent {
    let asked = if close {
        node.ask_socket(socket, QUESTION, LIMIT).map(|answer| answer.map_or(Agent::Refuses, |it| read(&it)))
    } else {
        node.metadata(socket).map(|_| Agent::HasSocket)
    };
    asked.unwrap_or_else(
        |error| {
            if error.is_missing() { Agent::NoSocket } else { Agent::Unknown(error.to_string()) }
        },
    )
}

/// `HTTP/1.1 200 OK`.
fn read(answer: &[u8]) -> Agent {
    let text = String::from_utf8_lossy(answer);
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    match status {
        Some(status) => Agent::Answers(status),
        None if answer.is_empty() => Agent::Silent,
        None => Agent::Unknown("what listens at the socket does not speak HTTP".to_owned()),
    }
}

/// Whether one of the places is on a file system of this kind. `None` where none of them can be seen.
fn has(node: &Node, places: &[&str], magic: u32) -> Option<bool> {
    let seen: Vec<u32> =
        places.iter().filter_map(|place| Some(node.file_system(Path::new(place)).ok()?.magic)).collect();
    (!seen.is_empty()).then(|| seen.contains(&magic))
}

fn conf_dir(subject: &Subject) -> PathBuf {
    let folder = match &subject.origin {
        Origin::Entry { file, .. } => file.parent().map(Path::to_owned),
        Origin::Node { conf_dir } => Some(conf_dir.clone()),
        Origin::Call => None,
    };
    folder.unwrap_or_else(|| PathBuf::from("/etc/cni/net.d"))
}

/// What exclusive mode has set aside, and which of it is Multus' where Multus is not in use under another name.
fn exclusive(node: &Node, folder: &Path) -> (Vec<String>, Option<String>) {
    let names = node.list(folder, 256).unwrap_or_default().names;
    let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    let (set_aside, used): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.ends_with(SET_ASIDE));
    let is_multus = |name: &String| {
        let content = node.read_text(&folder.join(name)).unwrap_or_default();
        content.contains("\"multus\"") || content.contains("\"multus-shim\"")
    };
    let multus = set_aside.iter().find(|name| is_multus(name) && !used.iter().any(is_multus)).cloned();
    (set_aside, multus)
}

fn judge(facts: &Facts) -> Finding {
    let finding = of_queue(facts)
        .or_else(|| of_agent(facts))
        .or_else(|| of_kernel(facts))
        .or_else(|| of_exclusive_mode(facts))
        .unwrap_or_else(|| {
            let Agent::Answers(_) = facts.agent else { return Finding::ok("Cilium's agent has its socket") };
            Finding::ok("Cilium's agent answers, and the node has what it needs")
        });
    finding
        .with("socket", facts.socket.display().to_string())
        .with("bpffs", facts.bpffs)
        .with("cgroup2", facts.cgroup2)
        .with("kernel", facts.kernel.as_str())
        .with("queued_deletions", facts.queued.map_or(Value::Null, |files| files.saturating_sub(1).into()))
        .with("set_aside", facts.set_aside.clone())
}

const READ_LOG: &str =
    "see why Cilium's agent does not serve its API on this node: its Pod here, and the last lines of its log";

/// A DEL without an agent is queued, until the queue is full.
fn of_queue(facts: &Facts) -> Option<Finding> {
    let is_down = matches!(facts.agent, Agent::NoSocket | Agent::Refuses);
    if !is_down || facts.queued? <= MAX_QUEUED {
        return None;
    }
    let what = format!("Cilium's agent is down, and {RUNTIME}/deleteQueue takes no further deletion");
    let finding = Finding::fail(Cause::AgentUnreachable, what);
    Some(finding.fix(READ_LOG).fix("when the agent starts, it works the queue off by itself"))
}

fn of_agent(facts: &Facts) -> Option<Finding> {
    let socket = facts.socket.display();
    let unreachable = |what: String| {
        // Deletions are queued.
        let finding = if facts.verb == Verb::Del {
            Finding::warn(what).explains(Cause::AgentUnreachable)
        } else {
            Finding::fail(Cause::AgentUnreachable, what)
        };
        Some(finding.fix(READ_LOG))
    };
    match &facts.agent {
        Agent::NoSocket => unreachable(format!("Cilium's agent has no socket {socket}")),
        Agent::Refuses => unreachable(format!("nobody listens at {socket}: Cilium's agent has ended")),
        Agent::Silent => Some(
            Finding::warn(format!(
                "Cilium's agent listens at {socket}, but does not answer within {} ms",
                LIMIT.as_millis()
            ))
            .explains(Cause::AgentUnreachable)
            .fix(READ_LOG),
        ),
        Agent::Answers(status @ 400..) => Some(
            Finding::warn(format!("Cilium's agent answers with the HTTP status {status}"))
                .explains(Cause::AgentRefused)
                .fix(READ_LOG),
        ),
        Agent::Unknown(why) => Some(Finding::skipped(why)),
        Agent::HasSocket | Agent::Answers(_) => None,
    }
}

fn of_kernel(facts: &Facts) -> Option<Finding> {
    let kernel = &facts.kernel;
    if version(kernel).is_some_and(|version| version < OLDEST_KERNEL) {
        return Some(
            Finding::warn(format!("the kernel {kernel} is older than any on which Cilium runs"))
                .explains(Cause::KernelUnsupported)
                .fix("upgrade the node's kernel to the one that the release of Cilium asks for"),
        );
    }
    if facts.bpffs == Some(false) {
        return Some(
            Finding::warn("bpffs is not mounted on this node: Cilium's maps do not outlive its agent")
                .explains(Cause::BpfFailed)
                .fix("mount it, and at every start: mount bpffs /sys/fs/bpf -t bpf"),
        );
    }
    (facts.cgroup2 == Some(false)).then(|| {
        Finding::warn("no cgroup2 is mounted on this node: Cilium serves no Service to what runs on the host")
            .explains(Cause::BpfFailed)
            .fix("see why the agent's Pod did not mount it at /run/cilium/cgroupv2 (its init container mount-cgroup)")
    })
}

fn of_exclusive_mode(facts: &Facts) -> Option<Finding> {
    let name = facts.multus.as_ref()?;
    Some(
        Finding::warn(format!("Cilium's exclusive mode has set Multus' configuration aside: {name}")).fix(
            "set cni-exclusive to false in Cilium's configuration, then restart Multus' Pod on this node",
        ),
    )
}

/// The first two numbers of `6.1.0-13-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
