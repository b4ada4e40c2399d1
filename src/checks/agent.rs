//! `agent`: the network add-on's process on this node, how often its container was restarted, and what it logged last.

use std::path::PathBuf;
use std::time::Duration;

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

/// How much of a log is looked at.
const LINES: usize = 10;
const BYTES: u64 = 8 * 1024;
/// An agent that runs for a shorter time is still starting.
const STARTING: Duration = Duration::from_secs(30);
/// One that was restarted and runs for a shorter time may be in a loop of restarts.
const UNSTEADY: Duration = Duration::from_mins(10);
/// One of them is on every node: where none is seen, the node's processes cannot be seen.
const OF_A_NODE: [&str; 9] =
    ["kubelet", "containerd", "crio", "dockerd", "k3s", "k3s-server", "k3s-agent", "rke2", "conmon"];

/// An agent of an add-on.
#[derive(Debug)]
struct Agent {
    /// In words.
    name: &'static str,
    /// The plugins that are of no use without it.
    plugins: &'static [&'static str],
    /// The names of its process; of k3s, which is flannel's agent too, that of k3s.
    processes: &'static [&'static str],
    /// What its command line holds besides.
    argument: &'static str,
    /// Whether the plugin asks it in every call. Others go on with the files that it has left.
    is_asked: bool,
    /// What a failure for its lack is.
    cause: Cause,
}

const fn asked(
    name: &'static str,
    plugins: &'static [&'static str],
    processes: &'static [&'static str],
) -> Agent {
    Agent { name, plugins, processes, argument: "", is_asked: true, cause: Cause::AgentUnreachable }
}

const fn beside(
    name: &'static str,
    plugins: &'static [&'static str],
    processes: &'static [&'static str],
) -> Agent {
    Agent { is_asked: false, ..asked(name, plugins, processes) }
}

const fn of_addresses(
    name: &'static str,
    plugins: &'static [&'static str],
    processes: &'static [&'static str],
) -> Agent {
    Agent { cause: Cause::IpamBackendUnavailable, ..asked(name, plugins, processes) }
}

/// The container of an agent has the name of its process.
const AGENTS: &[Agent] = &[
    beside("Calico's agent", &["calico", "calico-ipam"], &["calico-node"]),
    asked("Cilium's agent", &["cilium-cni", "cilium"], &["cilium-agent"]),
    beside("flannel's agent", &["flannel"], &["flanneld", "kube-flannel", "k3s", "k3s-server", "k3s-agent"]),
    asked("Multus' daemon", &["multus-shim"], &["multus-daemon"]),
    asked("Antrea's agent", &["antrea"], &["antrea-agent"]),
    asked("ovn-kubernetes' node agent", &["ovn-k8s-cni-overlay"], &["ovnkube", "ovnkube-node"]),
    asked("Kube-OVN's daemon", &["kube-ovn"], &["kube-ovn-daemon"]),
    asked("Weave's router", &["weave-net", "weave-ipam"], &["weaver"]),
    beside("kube-router", &["kube-router"], &["kube-router"]),
    of_addresses("AWS' ipamd", &["aws-cni"], &["aws-k8s-agent"]),
    of_addresses("azure-cns", &["azure-vnet", "azure-vnet-ipam", "azure-ipam"], &["azure-cns"]),
    asked("Spiderpool's agent", &["spiderpool", "coordinator"], &["spiderpool-agent"]),
    Agent { argument: "daemon", ..of_addresses("the DHCP daemon", &["dhcp"], &["dhcp"]) },
];

/// What is known of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    /// The process that has run for the longest time, and for how long.
    process: Option<(u32, Duration)>,
    /// Whether the node's processes can be seen.
    node_is_seen: bool,
    log: Option<PathBuf>,
    restarts: u32,
    last_lines: Vec<String>,
}

/// Whether the plugin, or its ipam plugin, has an agent.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    agents(subject).next().is_some()
}

fn agents(subject: &Subject) -> impl Iterator<Item = &'static Agent> {
    let plugins = subject.plugins();
    AGENTS
        .iter()
        .filter(move |agent| plugins.iter().any(|(_, plugin)| agent.plugins.contains(&plugin.as_str())))
}

/// Looks at the agents that the call needs; of several the one that is worst off is told.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let findings = agents(subject).map(|agent| judge(agent, &facts(node, agent)));
    let worst = findings.max_by_key(|finding| finding.status);
    worst.unwrap_or_else(|| Finding::skipped("no agent of these plugins is known"))
}

fn facts(node: &Node, agent: &Agent) -> Facts {
    let mut facts = Facts::default();
    let uptime = node.uptime().unwrap_or_default();
    for process in node.process_ids().into_iter().filter_map(|pid| node.process(pid)) {
        facts.node_is_seen |= OF_A_NODE.contains(&process.name.as_str());
        // The kernel keeps 15 bytes of a name.
        let is_it = agent.processes.iter().any(|name| name.get(..15).unwrap_or(name) == process.name);
        if is_it && process.state != 'Z' && node.command_line(process.pid).contains(agent.argument) {
            let age = uptime.saturating_sub(process.started());
            if facts.process.is_none_or(|(_, oldest)| age > oldest) {
                facts.process = Some((process.pid, age));
            }
        }
    }
    let log = agent.processes.iter().find_map(|container| node.container_log(container));
    if let Some(log) = log {
        facts.last_lines = node.last_logged(&log.path, LINES, BYTES).unwrap_or_default();
        facts.restarts = log.restarts;
        facts.log = Some(log.path);
    }
    facts
}

fn judge(agent: &Agent, facts: &Facts) -> Finding {
    let mut finding = verdict(agent, facts);
    if let Some((pid, age)) = facts.process {
        finding = finding.with("pid", pid).with("runs_for_seconds", age.as_secs());
    }
    if let Some(log) = &facts.log {
        let log = log.display().to_string();
        finding = finding
            .with("log", log)
            .with("restarts", facts.restarts)
            .with("last_lines", facts.last_lines.clone());
    }
    finding
}

fn verdict(agent: &Agent, facts: &Facts) -> Finding {
    let name = agent.name;
    let read_log = || match &facts.log {
        Some(log) => format!("read why: tail -n 50 {}", log.display()),
        None => format!(
            "find its Pod or unit on this node: it has no log in /var/log/pods and /var/log/containers ({name})"
        ),
    };
    match facts.process {
        None if !facts.node_is_seen => Finding::skipped("the node's processes cannot be seen"),
        None => {
            let what = format!("{name} does not run on this node");
            let finding = if agent.is_asked {
                Finding::fail(agent.cause, what)
            } else {
                Finding::warn(what).explains(agent.cause)
            };
            finding.fix(read_log())
        }
        Some((_, age)) if facts.restarts > 0 && age < UNSTEADY => Finding::warn(format!(
            "{name} was restarted {} times, the last time {} s ago",
            facts.restarts,
            age.as_secs()
        ))
        .explains(agent.cause)
        .fix(read_log()),
        Some((_, age)) if age < STARTING => {
            Finding::warn(format!("{name} has just started, {} s ago", age.as_secs()))
                .explains(agent.cause)
                .fix("wait until it is ready: the kubelet tries again")
        }
        Some(_) => Finding::ok(format!("{name} runs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;

    fn agent(plugin: &str) -> &'static Agent {
        AGENTS.iter().find(|agent| agent.plugins.contains(&plugin)).unwrap()
    }

    fn running(seconds: u64) -> Facts {
        Facts { process: Some((7, Duration::from_secs(seconds))), node_is_seen: true, ..Facts::default() }
    }

    #[test]
    fn states_of_an_agent() {
        let gone = Facts { node_is_seen: true, ..Facts::default() };
        let unreachable = Some(Cause::AgentUnreachable);
        let table = [
            ("cilium-cni", running(3600), Status::Ok, None, "Cilium's agent runs"),
            (
                "cilium-cni",
                gone.clone(),
                Status::Fail,
                unreachable,
                "Cilium's agent does not run on this node",
            ),
            ("calico", gone.clone(), Status::Warn, unreachable, "Calico's agent does not run on this node"),
            (
                "aws-cni",
                gone,
                Status::Fail,
                Some(Cause::IpamBackendUnavailable),
                "AWS' ipamd does not run on this node",
            ),
            ("calico", Facts::default(), Status::Skipped, None, "the node's processes cannot be seen"),
            ("calico", Facts { restarts: 9, ..running(3600) }, Status::Ok, None, "Calico's agent runs"),
            (
                "calico",
                Facts { restarts: 9, ..running(50) },
                Status::Warn,
                unreachable,
                "Calico's agent was restarted 9 times, the last time 50 s ago",
            ),
            ("calico", running(5), Status::Warn, unreachable, "Calico's agent has just started, 5 s ago"),
        ];
        for (plugin, facts, status, cause, summary) in table {
            let finding = judge(agent(plugin), &facts);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    fn put(root: &std::path::Path, path: &str, content: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn process(root: &std::path::Path, pid: u32, name: &str, state: char, command_line: &str) {
        let stat = format!("{pid} ({name}) {state} 1{} 100 1 2", " 0".repeat(17));
        put(root, &format!("proc/{pid}/stat"), &stat);
        put(root, &format!("proc/{pid}/cmdline"), command_line);
    }

    fn subject(plugin: &str, config: serde_json::Value) -> Subject {
        Subject { plugin: plugin.into(), config, ..Subject::default() }
    }

    #[test]
    fn a_process_and_a_log_are_found_on_the_node() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "proc/uptime", "100.50 99.00\n");
        put(
            root.path(),
            "var/log/pods/kube-system_cilium-x_1/cilium-agent/2.log",
            "first\nlevel=fatal msg=bpf\n",
        );
        process(root.path(), 1, "kubelet", 'S', "kubelet");
        let cilium = subject("cilium-cni", json!({}));
        let look = || look(&Node::at(root.path()), &cilium, Depth::Full);
        let finding = look();
        assert_eq!(
            (finding.status, finding.fix.as_slice(), json!(finding.evidence)),
            (
                Status::Fail,
                &["read why: tail -n 50 /var/log/pods/kube-system_cilium-x_1/cilium-agent/2.log".to_owned()]
                    [..],
                json!({
                    "log": "/var/log/pods/kube-system_cilium-x_1/cilium-agent/2.log", "restarts": 2,
                    "last_lines": ["first", "level=fatal msg=bpf"],
                })
            )
        );
        process(root.path(), 8, "cilium-agent", 'Z', "");
        assert_eq!(look().status, Status::Fail, "a process that has ended does not run");
        process(root.path(), 9, "cilium-agent", 'S', "cilium-agent");
        let finding = look();
        assert_eq!(
            (finding.status, finding.summary.as_str(), &finding.evidence["pid"]),
            (Status::Warn, "Cilium's agent was restarted 2 times, the last time 99 s ago", &json!(9))
        );
    }

    #[test]
    fn the_agent_of_an_ipam_plugin_counts_too() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "proc/uptime", "5000.0 0\n");
        process(root.path(), 1, "containerd", 'S', "containerd");
        process(root.path(), 2, "dhcp", 'S', "dhcp\0-x");
        let dhcp = subject("macvlan", json!({"ipam": {"type": "dhcp"}}));
        let finding = look(&Node::at(root.path()), &dhcp, Depth::Full);
        assert_eq!(
            (finding.cause, finding.summary.as_str()),
            (Some(Cause::IpamBackendUnavailable), "the DHCP daemon does not run on this node")
        );
        process(root.path(), 3, "dhcp", 'S', "/opt/cni/bin/dhcp\0daemon");
        assert_eq!(look(&Node::at(root.path()), &dhcp, Depth::Full).summary, "the DHCP daemon runs");
        assert!(!fits(&subject("bridge", json!({"ipam": {"type": "host-local"}}))));
    }

    #[test]
    fn absurd_files_are_no_agent() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "proc/1/stat", "\u{0}\u{1}");
        put(root.path(), "proc/2/stat", &"x".repeat(3 << 20));
        std::fs::create_dir_all(root.path().join("proc/3/stat")).unwrap();
        let logs = root.path().join("var/log/pods/p/calico-node");
        std::fs::create_dir_all(&logs).unwrap();
        nix::unistd::mkfifo(&logs.join("1.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("0.log", logs.join("0.log")).unwrap();
        let finding = look(&Node::at(root.path()), &subject("calico", json!({})), Depth::Full);
        assert_eq!(
            (finding.status, finding.summary.as_str()),
            (Status::Skipped, "the node's processes cannot be seen")
        );
        assert_eq!(finding.evidence["last_lines"], json!([]));
    }
}
