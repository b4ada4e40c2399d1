//! What a delegate that hangs is waiting for: the cause of a timeout.

use super::Diagnosis;
use super::catalogue::Cause;
use super::finding::{Finding, Status};
use super::own::Own;
use super::peers;
use super::reason::{self, Happened};
use crate::node::stall::{Connection, LockWait, Snapshot, Stalled};

/// What a delegate was seen to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// A phrase that fits behind "it was waiting for".
    pub what: String,
    /// Who waited for it and who was to end the waiting, with their processes.
    pub evidence: String,
    /// What it tells.
    told: Option<Told>,
}

/// The cause that a wait is certain to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    cause: Cause,
    /// For tenants: no processes and no addresses of others.
    summary: String,
    /// What to do about it on this node; the first is read by tenants too, and so names no process.
    fix: Vec<String>,
}

/// What it is waiting for, as far as the snapshot tells.
///
/// The last process of the tree is asked first: who has children waits for them.
#[must_use]
pub fn seen(snapshot: &Snapshot) -> Option<Wait> {
    snapshot.processes.iter().rev().find_map(of_process)
}

fn of_process(process: &Stalled) -> Option<Wait> {
    if let Some(lock) = &process.waits_for_lock {
        return Some(for_lock(process, lock));
    }
    let in_state = |state: &'static str| process.connections.iter().filter(move |one| one.state == state);
    if let Some(connection) = in_state("connecting").next() {
        return Some(for_peer(process, connection, "a connection to", &[connection]));
    }
    let established: Vec<&Connection> = in_state("established").collect();
    if let Some(connection) = established.first() {
        return Some(for_peer(process, connection, "an answer from", &established));
    }
    (process.state == "D").then(|| {
        let what = "the kernel: it is in uninterruptible sleep".to_owned();
        Wait { evidence: format!("{} waited for {what}", named(process)), what, told: None }
    })
}

fn named(process: &Stalled) -> String {
    format!("{} (pid {})", process.name, process.pid)
}

fn for_lock(process: &Stalled, lock: &LockWait) -> Wait {
    let LockWait { path, holder_pid, holder_name, holder_command } = lock;
    let holder = match (holder_name.is_empty(), holder_command.is_empty()) {
        (true, _) => format!("pid {holder_pid}, which has ended: what it started may hold it"),
        (false, true) => format!("{holder_name} (pid {holder_pid})"),
        (false, false) => format!("{holder_name} (pid {holder_pid}): {holder_command}"),
    };
    let what = format!("the lock on {path}");
    let told = whose_lock(process, path).map(|(cause, lock)| Told {
        cause,
        summary: format!("it waited for {lock}, which another process holds"),
        fix: vec![
            format!("find the holder of {path} and see what it does"),
            format!("look at the holder: ps -o pid,ppid,etime,wchan,args -p {holder_pid}"),
        ],
    });
    Wait { evidence: format!("{} waited for {what}, held by {holder}", named(process)), what, told }
}

/// The cause that a held lock has, and the lock's name.
fn whose_lock(process: &Stalled, path: &str) -> Option<(Cause, &'static str)> {
    let is_iptables = ["iptables", "ip6tables", "xtables-"].iter().any(|name| process.name.starts_with(name));
    if path.ends_with("/xtables.lock") || is_iptables {
        return Some((Cause::IptablesLock, "the xtables lock"));
    }
    if path.ends_with("/lock") && (process.name == "host-local" || path.contains("/cni/networks/")) {
        return Some((Cause::IpamBackendUnavailable, "the lock of host-local's pool"));
    }
    path.ends_with("/calico/ipam.lock").then_some((Cause::IpamBackendUnavailable, "Calico's IPAM lock"))
}

/// A wait for `first`; where there are several, the others must tell the same cause, or none is certain.
fn for_peer(process: &Stalled, first: &Connection, how: &str, all: &[&Connection]) -> Wait {
    let mut known: Vec<peers::Peer> = Vec::new();
    let mut is_certain = true;
    for connection in all {
        match peers::known(&connection.peer) {
            Some(peer) if known.is_empty() || known.contains(&peer) => known.push(peer),
            _ => is_certain = false,
        }
    }
    let told = known.first().filter(|_| is_certain).map(|peer| Told {
        cause: peer.cause,
        summary: format!("it waited for {how} {}", peer.name),
        fix: match peer.cause {
            Cause::ApiserverUnreachable => {
                vec![format!("ask it from this node: curl -k https://{}/readyz", first.peer)]
            }
            _ => Vec::new(),
        },
    });
    let what = format!("{how} {}", first.peer);
    let peers: Vec<&str> = all.iter().map(|connection| connection.peer.as_str()).collect();
    Wait { evidence: format!("{} waited for {how} {}", named(process), peers.join(" or ")), what, told }
}

impl Wait {
    /// The checks that can tell more of what it waited for, where that decides.
    #[must_use]
    pub fn checks_worth_running(&self, happened: &Happened, own: &[Own]) -> Option<&'static [&'static str]> {
        let told = self.told.as_ref()?;
        is_timeout(happened, reason::diagnose(happened, &[], own).cause).then(|| told.cause.entry().checks)
    }

    /// The diagnosis with what was seen. Where nothing but the time that it took was known, the wait is the cause.
    #[must_use]
    pub fn decide(
        &self,
        happened: &Happened,
        findings: &[Finding],
        own: &[Own],
        diagnosis: Diagnosis,
    ) -> Diagnosis {
        let mut diagnosis = diagnosis;
        let alone = reason::diagnose(happened, &[], own);
        if !is_timeout(happened, alone.cause) {
            // What is known is deeper; that it hung for the same cause supports it.
            if self.told.as_ref().is_some_and(|told| told.cause == diagnosis.cause) {
                diagnosis.evidence.push(self.evidence.clone());
            }
            return diagnosis;
        }
        let Some(told) = &self.told else {
            diagnosis.evidence.push(self.evidence.clone());
            return diagnosis;
        };
        if ![alone.cause, told.cause].contains(&diagnosis.cause) {
            // What the checks found may be wrong, too, but it was not waited for.
            diagnosis.evidence = alone.evidence;
        }
        diagnosis.evidence.push(self.evidence.clone());
        let entry = told.cause.entry();
        let of_cause = |finding: &&Finding| entry.checks.contains(&finding.check.as_str());
        let remarkable = findings
            .iter()
            .filter(of_cause)
            .filter(|finding| matches!(finding.status, Status::Warn | Status::Fail));
        let mut fix: Vec<String> = Vec::new();
        for finding in remarkable {
            let seen = format!("check {}: {}", finding.check, finding.summary);
            if !diagnosis.evidence.iter().any(|one| one.starts_with(&seen)) {
                diagnosis.evidence.push(seen);
            }
            if finding.cause == Some(told.cause) {
                fix.extend(finding.fix.iter().cloned());
            }
        }
        fix.extend(told.fix.clone());
        for of_entry in entry.fix.iter().map(ToString::to_string) {
            if !fix.contains(&of_entry) {
                fix.push(of_entry);
            }
        }
        let how = match happened {
            Happened::Deadline { .. } => format!("{}: ", alone.summary),
            _ => String::new(),
        };
        Diagnosis {
            cause: told.cause,
            title: entry.title.to_owned(),
            summary: format!("{how}{}", told.summary),
            fix,
            ..diagnosis
        }
    }
}

/// Whether all that is known is that it took too long.
fn is_timeout(happened: &Happened, cause: Cause) -> bool {
    match (happened, cause) {
        (_, Cause::PluginTimeout) | (Happened::Interrupted { .. }, Cause::Unknown) => true,
        (Happened::Crashed { how, .. }, Cause::PluginCrashed) => how.starts_with("signal: killed"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str) -> Stalled {
        Stalled { name: name.into(), pid: 41, state: "S".into(), ..Stalled::default() }
    }

    fn locked(name: &str, path: &str) -> Stalled {
        let lock = LockWait {
            path: path.into(),
            holder_pid: 7,
            holder_name: "kube-proxy".into(),
            holder_command: "kube-proxy --v=2".into(),
        };
        Stalled { waits_for_lock: Some(lock), ..process(name) }
    }

    fn connected(state: &str, peers: &[&str]) -> Stalled {
        let connection = |peer: &&str| Connection { peer: (*peer).into(), state: state.into() };
        Stalled { connections: peers.iter().map(connection).collect(), ..process("plugin") }
    }

    fn snapshot(processes: &[Stalled]) -> Snapshot {
        Snapshot { processes: processes.to_vec() }
    }

    #[test]
    fn the_deepest_process_that_waits_for_something_tells() {
        let api = |state| connected(state, &["10.96.0.1:443"]);
        let lock = locked("iptables", "/run/xtables.lock");
        let disk = Stalled { state: "D".into(), ..process("plugin") };
        let table = [
            (vec![], None),
            (vec![process("plugin")], None),
            (vec![process("plugin"), lock.clone()], Some("the lock on /run/xtables.lock")),
            (vec![api("connecting"), process("sleep")], Some("a connection to 10.96.0.1:443")),
            (vec![api("established"), lock], Some("the lock on /run/xtables.lock")),
            (vec![api("established")], Some("an answer from 10.96.0.1:443")),
            (vec![disk], Some("the kernel: it is in uninterruptible sleep")),
        ];
        for (processes, expected) in table {
            assert_eq!(seen(&snapshot(&processes)).map(|wait| wait.what).as_deref(), expected);
        }
    }

    fn decided(happened: &Happened, process: Stalled) -> Diagnosis {
        let wait = seen(&snapshot(&[process])).unwrap();
        wait.decide(happened, &[], &[], reason::diagnose(happened, &[], &[]))
    }

    #[test]
    fn what_it_waited_for_is_the_cause_of_a_timeout() {
        let deadline = Happened::Deadline { after: "2 s".into() };
        let holds = "which another process holds";
        let table = [
            (locked("iptables", "/run/xtables.lock"), "iptables-lock", format!("the xtables lock, {holds}")),
            (locked("ip6tables-resto", "/tmp/x"), "iptables-lock", format!("the xtables lock, {holds}")),
            (
                locked("host-local", "/data/net1/lock"),
                "ipam-backend-unavailable",
                format!("the lock of host-local's pool, {holds}"),
            ),
            (
                locked("bridge", "/var/lib/cni/networks/net1/lock"),
                "ipam-backend-unavailable",
                format!("the lock of host-local's pool, {holds}"),
            ),
            (
                locked("calico-ipam", "/run/calico/ipam.lock"),
                "ipam-backend-unavailable",
                format!("Calico's IPAM lock, {holds}"),
            ),
            (
                connected("connecting", &["/run/cilium/cilium.sock"]),
                "agent-unreachable",
                "a connection to Cilium's agent".into(),
            ),
            (
                connected("established", &["/run/cni/dhcp.sock"]),
                "ipam-backend-unavailable",
                "an answer from the DHCP daemon".into(),
            ),
            (
                connected("connecting", &["10.96.0.1:443"]),
                "apiserver-unreachable",
                "a connection to the Kubernetes API server".into(),
            ),
            (
                connected("established", &["127.0.0.1:50051", "127.0.0.1:50051"]),
                "ipam-backend-unavailable",
                "an answer from AWS' ipamd".into(),
            ),
        ];
        for (process, cause, waited) in table {
            let diagnosis = decided(&deadline, process);
            let summary = format!("the plugin was stopped after 2 s: it waited for {waited}");
            assert_eq!((diagnosis.cause.id(), diagnosis.summary), (cause, summary));
        }
    }

    #[test]
    fn what_is_not_certain_leaves_a_timeout_one() {
        let deadline = Happened::Deadline { after: "2 s".into() };
        let table = [
            (
                locked("plugin", "/tmp/lock"),
                "the lock on /tmp/lock, held by kube-proxy (pid 7): kube-proxy --v=2",
            ),
            (connected("connecting", &["192.0.2.1:80"]), "a connection to 192.0.2.1:80"),
            (
                connected("established", &["10.96.0.1:443", "10.0.0.9:8080"]),
                "an answer from 10.96.0.1:443 or 10.0.0.9:8080",
            ),
            (
                connected("established", &["10.96.0.1:443", "/run/multus/multus.sock"]),
                "an answer from 10.96.0.1:443 or /run/multus/multus.sock",
            ),
        ];
        for (process, waited) in table {
            let diagnosis = decided(&deadline, process.clone());
            let evidence = format!("{} (pid 41) waited for {waited}", process.name);
            assert_eq!((diagnosis.cause, diagnosis.evidence.last()), (Cause::PluginTimeout, Some(&evidence)));
        }
    }

    #[test]
    fn the_holder_stands_in_the_evidence_and_in_no_part_that_tenants_read() {
        let deadline = Happened::Deadline { after: "2 s".into() };
        let diagnosis = decided(&deadline, locked("iptables", "/run/xtables.lock"));
        assert_eq!(
            diagnosis.evidence,
            [
                "the plugin was stopped after 2 s",
                "iptables (pid 41) waited for the lock on /run/xtables.lock, held by kube-proxy (pid 7): kube-proxy --v=2",
            ]
        );
        assert!(!diagnosis.summary.contains('7') && !diagnosis.fix[0].contains('7'));
        assert_eq!(diagnosis.fix[1], "look at the holder: ps -o pid,ppid,etime,wchan,args -p 7");
        let gone = LockWait { holder_name: String::new(), ..locked("", "/l").waits_for_lock.unwrap() };
        let wait = for_lock(&process("iptables"), &gone);
        assert_eq!(
            wait.evidence,
            "iptables (pid 41) waited for the lock on /l, held by pid 7, which has ended: what it started may hold it"
        );
    }

    #[test]
    fn only_a_timeout_is_decided_by_it() {
        let crashed = |how: &str| Happened::Crashed { how: how.into(), printed: String::new() };
        let interrupted =
            |printed: &str| Happened::Interrupted { signal: "SIGTERM".into(), printed: printed.into() };
        let full = "no IP addresses available in range set: 10.1.1.1-10.1.1.6";
        let table = [
            (crashed("signal: killed and printed no CNI error"), Cause::IptablesLock),
            (crashed("signal: segmentation fault and printed no CNI error"), Cause::PluginCrashed),
            (interrupted(""), Cause::IptablesLock),
            (interrupted(full), Cause::IpamExhausted),
            (Happened::Error { text: full.into() }, Cause::IpamExhausted),
            (Happened::Error { text: "it rained".into() }, Cause::Unknown),
        ];
        for (happened, cause) in table {
            assert_eq!(
                decided(&happened, locked("iptables", "/run/xtables.lock")).cause,
                cause,
                "{happened:?}"
            );
        }
    }

    #[test]
    fn what_the_checks_of_the_cause_found_comes_first_in_what_to_do() {
        let deadline = Happened::Deadline { after: "2 s".into() };
        let found = Finding::fail(Cause::AgentUnreachable, "cilium-agent does not run").fix("start it");
        let findings = [Finding { check: "agent".into(), ..found }];
        let wait = seen(&snapshot(&[connected("connecting", &["/run/cilium/cilium.sock"])])).unwrap();
        assert!(wait.checks_worth_running(&deadline, &[]).unwrap().contains(&"agent"));
        assert_eq!(wait.checks_worth_running(&Happened::Error { text: "it rained".into() }, &[]), None);
        let diagnosis = wait.decide(&deadline, &findings, &[], reason::diagnose(&deadline, &findings, &[]));
        assert_eq!(
            diagnosis.evidence,
            [
                "the plugin was stopped after 2 s",
                "check agent: cilium-agent does not run, which is the deeper cause",
                "plugin (pid 41) waited for a connection to /run/cilium/cilium.sock",
            ]
        );
        assert_eq!(diagnosis.fix[0], "start it");
    }

    #[test]
    fn what_was_waited_for_is_the_cause_whatever_else_is_wrong() {
        let deadline = Happened::Deadline { after: "2 s".into() };
        let found = Finding::fail(Cause::AgentUnreachable, "calico-node does not run");
        let findings = [Finding { check: "agent".into(), ..found }];
        let wait = seen(&snapshot(&[connected("connecting", &["10.96.0.1:443"])])).unwrap();
        let diagnosis = wait.decide(&deadline, &findings, &[], reason::diagnose(&deadline, &findings, &[]));
        assert_eq!(diagnosis.cause, Cause::ApiserverUnreachable);
        assert!(
            diagnosis.summary.starts_with("the plugin was stopped after 2 s: it waited for "),
            "{}",
            diagnosis.summary
        );
        assert!(!diagnosis.evidence.iter().any(|one| one.contains("deeper")), "{:?}", diagnosis.evidence);
    }
}
