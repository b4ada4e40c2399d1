//! The checks: facts about the node to a finding.
//!
//! One table lists them all. Each has a file of its own, in which `look` gathers facts through the node's door and
//! `judge` decides, purely.

pub mod agent;
pub mod apiserver;
pub mod attachment;
pub mod bridge;
pub mod calico;
pub mod cidr;
pub mod cilium;
pub mod clock;
pub mod cni_version;
pub mod config;
pub mod conntrack;
pub mod credentials;
pub mod disk;
pub mod elf;
pub mod examination;
pub mod flannel;
pub mod interface;
pub mod ipam_pool;
pub mod iptables;
pub mod kernel;
pub mod kubeconfig;
pub mod leftovers;
pub mod limits;
pub mod netns;
pub mod networks;
pub mod overlay;
pub mod plugin_binary;
pub mod ranges;
pub mod runtime;
pub mod subject;
pub mod sysctl;

#[cfg(test)]
mod absurd_nodes;
#[cfg(test)]
mod causes_shown;
#[cfg(test)]
mod named_cases;
#[cfg(test)]
mod random_nodes;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::cni::environment::Verb;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::bounded;
use subject::Subject;

/// How closely a check looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Before the delegate: what can be told in some 10 µs.
    Quick,
    /// After a failure, or where the finding decides about a call.
    Full,
}

/// When a check looks after the delegate failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Never: what the delegate itself makes is looked at before it only.
    Never,
    /// Where what the text tells has this check among those that can confirm it.
    Named,
    /// Also where the text tells nothing.
    Always,
}

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Its name, as in settings and records.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    /// Whether there is anything to look at in this call.
    pub fits: fn(&Subject) -> bool,
    /// Whether its quick look is cheap enough to be taken before every delegate that it fits. One that is not is taken
    /// there only where it is set to deny.
    pub before: bool,
    /// When it looks after the delegate failed.
    pub after: After,
    /// Whether it tells of the node and the network rather than of the call: then calls that fail together share it.
    pub of_the_node: bool,
    /// Looks, and judges.
    pub look: fn(&Node, &Subject, Depth) -> Finding,
}

/// Every check.
pub const TABLE: &[Check] = &[
    Check {
        name: "plugin-binary",
        about: "the plugin, its ipam plugin and what it delegates to: there, executable, whole, for this machine",
        fits: |subject| !subject.plugin.is_empty(),
        before: true,
        after: After::Always,
        of_the_node: false,
        look: plugin_binary::look,
    },
    Check {
        name: "config",
        about: "the entry: required fields of known plugins, addresses, ranges, order of the chain",
        fits: |_| true,
        before: true,
        after: After::Always,
        of_the_node: false,
        look: config::look,
    },
    Check {
        name: "cni-version",
        about: "the configuration's version against those that its plugins answer to VERSION",
        fits: |subject| !subject.plugin.is_empty(),
        before: false,
        // It starts the plugins.
        after: After::Named,
        of_the_node: true,
        look: cni_version::look,
    },
    Check {
        name: "netns",
        about: "the sandbox's network namespace exists and is one",
        fits: |subject| subject.is_call() && matches!(subject.verb, Verb::Add | Verb::Check),
        before: true,
        after: After::Always,
        of_the_node: false,
        look: netns::look,
    },
    Check {
        name: "interface",
        about: "the interface is not yet in the sandbox",
        fits: interface::fits,
        before: true,
        after: After::Never,
        of_the_node: false,
        look: interface::look,
    },
    Check {
        name: "bridge",
        about: "the bridge: kind, address against the network's gateway, ports, MTU, other networks that use it",
        fits: bridge::fits,
        before: true,
        after: After::Always,
        of_the_node: true,
        look: bridge::look,
    },
    Check {
        name: "ipam-pool",
        about: "host-local's pool: capacity, used, leaked, orphans, the lock's holder",
        fits: ipam_pool::fits,
        before: true,
        after: After::Always,
        of_the_node: true,
        look: ipam_pool::look,
    },
    Check {
        name: "iptables",
        about: "iptables: the tool, rules in both of its back ends, the xtables lock and its holder",
        fits: iptables::fits,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: iptables::look,
    },
    Check {
        name: "agent",
        about: "the network add-on's process on this node, its restarts, its last log lines",
        fits: agent::fits,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: agent::look,
    },
    Check {
        name: "cidr",
        about: "the network's subnets against the node's own, its routes and the cluster's Services; room for the node's Pods",
        fits: cidr::fits,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: cidr::look,
    },
    Check {
        name: "apiserver",
        about: "the API server that the plugin's kubeconfig names: resolves, connects, its certificate, its answer",
        fits: apiserver::fits,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: apiserver::look,
    },
    Check {
        name: "runtime",
        about: "containerd or CRI-O: its socket, the folders that it uses, a configuration that it has not read yet",
        fits: runtime::fits,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: runtime::look,
    },
    Check {
        name: "leftovers",
        about: "network namespaces, veths, cached results and addresses of sandboxes that are gone",
        fits: leftovers::fits,
        before: false,
        // It reads every file of the pools and of libcni's cache.
        after: After::Named,
        of_the_node: true,
        look: leftovers::look,
    },
    Check {
        name: "attachment",
        about: "what a result promises: interfaces, addresses, routes, MTU in the sandbox; bridge and forwarding outside",
        fits: attachment::fits,
        before: false,
        // Of a CHECK that failed. After an ADD or CHECK that went well, it looks where `verify` is set.
        after: After::Named,
        of_the_node: false,
        look: attachment::look,
    },
    Check {
        name: "overlay",
        about: "the overlay: its device, the routes and entries of other nodes, rules that drop its packets",
        fits: overlay::fits,
        before: false,
        after: After::Named,
        of_the_node: true,
        look: overlay::look,
    },
    Check {
        name: "flannel",
        about: "flannel's subnet.env, its vxlan device, the bridge inside the node's subnet, MTUs",
        fits: flannel::fits,
        before: true,
        after: After::Always,
        of_the_node: true,
        look: flannel::look,
    },
    Check {
        name: "calico",
        about: "what calico-node leaves for the plugin: nodename, MTU, kubeconfig and its token's life; IPAM's lock; the agent",
        fits: calico::fits,
        before: true,
        after: After::Always,
        of_the_node: true,
        look: calico::look,
    },
    Check {
        name: "cilium",
        about: "Cilium's agent: its socket and API, bpffs, cgroup2, the kernel, queued deletions, exclusive mode",
        fits: cilium::fits,
        before: true,
        after: After::Always,
        of_the_node: true,
        look: cilium::look,
    },
    Check {
        name: "conntrack",
        about: "connection tracking: how full its table is, what it has dropped, its tool",
        fits: |_| true,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: conntrack::look,
    },
    Check {
        name: "disk",
        about: "space, inodes and read-only file systems where plugins and runtimes keep their state",
        fits: |_| true,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: disk::look,
    },
    Check {
        name: "kernel",
        about: "the running kernel: the modules that the plugin needs, those on disk against those of the kernel that runs",
        fits: |subject| subject.verb == Verb::Add,
        before: false,
        after: After::Always,
        // Each plugin needs others.
        of_the_node: false,
        look: kernel::look,
    },
    Check {
        name: "limits",
        about: "memory, processes, open files and inotify watches, of the node and of the runtime's cgroup",
        fits: |_| true,
        before: false,
        // The kernel takes some 10 ms to take back what it was asked for of inotify.
        after: After::Named,
        of_the_node: true,
        look: limits::look,
    },
    Check {
        name: "sysctl",
        about: "the kernel's parameters: ip_forward, rp_filter, bridge-nf-call-iptables, disable_ipv6, those of tuning",
        fits: |subject| subject.verb == Verb::Add && !subject.plugin.is_empty(),
        before: false,
        after: After::Always,
        of_the_node: true,
        look: sysctl::look,
    },
    Check {
        name: "clock",
        about: "the clock is synchronised; the dates in the kubeconfigs that the entry names",
        fits: |_| true,
        before: false,
        after: After::Always,
        of_the_node: true,
        look: clock::look,
    },
];

/// The checks that look at what a call that went well has left.
pub fn of_results() -> impl Iterator<Item = &'static Check> {
    TABLE.iter().filter(|check| matches!(check.name, "attachment" | "overlay"))
}

/// The names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|check| check.name)
}

/// Runs one check, here and now. A panic in it is a skipped check.
#[must_use]
pub fn run(check: &Check, node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let started = Instant::now();
    let looked = catch_unwind(AssertUnwindSafe(|| (check.look)(node, subject, depth)));
    let mut finding =
        looked.unwrap_or_else(|_| Finding::skipped("the check itself failed; please report it"));
    check.name.clone_into(&mut finding.check);
    finding.took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    finding
}

/// Runs the `work` of several checks side by side, each in a thread of its own, and waits for all of them at most for
/// `limit`. One that hangs is skipped.
#[must_use]
pub fn run_all<W>(
    checks: &[&'static Check],
    limit: Duration,
    work: impl Fn(&'static Check) -> W,
) -> Vec<Finding>
where
    W: FnOnce() -> Finding + Send + 'static,
{
    run_each(checks.iter().map(|check| (*check, work(check))).collect(), limit)
}

/// The same for checks that may be there several times, each with other work. The findings are in the order of the work.
#[must_use]
pub fn run_each<W>(work: Vec<(&'static Check, W)>, limit: Duration) -> Vec<Finding>
where
    W: FnOnce() -> Finding + Send + 'static,
{
    let started = Instant::now();
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut findings = Vec::new();
    for (position, (check, work)) in work.into_iter().enumerate() {
        findings.push(late(check, limit));
        let sender = sender.clone();
        let _ = bounded::spawn(move || {
            let _ = sender.send((position, work()));
        });
    }
    drop(sender);
    while let Ok((position, finding)) = receiver.recv_timeout(limit.saturating_sub(started.elapsed())) {
        findings[position] = finding;
    }
    findings
}

/// The finding of a check that did not answer.
#[must_use]
pub fn late(check: &Check, limit: Duration) -> Finding {
    let mut finding = Finding::skipped(format!("did not answer within {} ms", limit.as_millis()));
    check.name.clone_into(&mut finding.check);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_there_once() {
        let unique: BTreeSet<_> = names().collect();
        assert_eq!(unique.len(), TABLE.len());
        assert!(TABLE.iter().all(|check| !check.about.is_empty()));
    }

    const HANGS: Check = Check {
        name: "hangs",
        about: "",
        fits: |_| true,
        before: true,
        after: After::Always,
        of_the_node: false,
        look: |_, _, _| {
            std::thread::sleep(Duration::from_mins(1));
            Finding::ok("")
        },
    };
    // As a panic unwinds, but without the hook's output, whose backtrace takes its time.
    const PANICS: Check =
        Check { name: "panics", look: |_, _, _| std::panic::resume_unwind(Box::new("on purpose")), ..HANGS };
    const WELL: Check = Check { name: "well", look: |_, _, _| Finding::ok("all is well"), ..HANGS };

    #[test]
    fn what_hangs_or_panics_is_skipped_and_the_others_are_not() {
        let started = Instant::now();
        let work =
            |check: &'static Check| move || run(check, &Node::this(), &Subject::default(), Depth::Full);
        let findings = run_all(&[&HANGS, &PANICS, &WELL], Duration::from_secs(2), work);
        assert!(started.elapsed() < Duration::from_secs(30));
        let summaries: Vec<_> = findings
            .iter()
            .map(|finding| (finding.check.as_str(), finding.status.as_str(), finding.summary.as_str()))
            .collect();
        assert_eq!(
            summaries,
            [
                ("hangs", "skipped", "did not answer within 2000 ms"),
                ("panics", "skipped", "the check itself failed; please report it"),
                ("well", "ok", "all is well"),
            ]
        );
    }
}
