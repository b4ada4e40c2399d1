//! `limits`: what a node can run out of: memory, tasks, open files, inotify's instances and watches; and the same of the cgroup
//! that the runtime and its plugins run in.

use std::path::Path;

use serde_json::{Value, json};

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::inotify::Spent;
use crate::node::usage::{OfCgroup, Usage};

/// Who starts plugins, by the names of their processes.
const RUNTIMES: [&str; 6] = ["containerd", "crio", "dockerd", "k3s-server", "k3s-agent", "rke2"];
/// From here on, in percent, it is soon used up.
const SCARCE: u64 = 90;
/// Memory is what the kernel uses as long as there is some.
const SCARCE_MEMORY: u64 = 98;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    memory: Option<Usage>,
    tasks: Option<Usage>,
    files: Option<Usage>,
    /// Of the runtime's cgroup, or that of the call.
    cgroup_tasks: Option<OfCgroup>,
    cgroup_memory: Option<OfCgroup>,
    /// The runtime's process and its open files.
    runtime: Option<(String, Usage)>,
    inotify: Option<Spent>,
    inotify_limits: [Option<u64>; 2],
    /// Who has the most of inotify's instances.
    most_instances: Option<String>,
}

/// Looks at what is used, and what may be.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let runtimes = node.processes_named(&RUNTIMES).unwrap_or_default().into_iter();
    let runtime = runtimes.filter(|one| node.has_the_nodes_root(one.pid)).min_by_key(|one| one.pid);
    // What stands in a call's place is in the cgroup in which the runtime starts plugins.
    let own = subject.is_call().then(std::process::id);
    let in_cgroup = own.or(runtime.as_ref().map(|process| process.pid));
    let inotify = node.inotify_spent();
    let shown = |(process, instances): (crate::node::processes::Process, usize)| {
        format!("{} (pid {}): {instances} instances", process.name, process.pid)
    };
    judge(&Facts {
        memory: node.memory(),
        tasks: node.threads(),
        files: node.open_files(),
        cgroup_tasks: in_cgroup.and_then(|pid| node.cgroup_tasks(pid)),
        cgroup_memory: in_cgroup.and_then(|pid| node.cgroup_memory(pid)),
        runtime: runtime.and_then(|one| Some((one.name, node.open_files_of(one.pid)?))),
        most_instances: inotify.and_then(|_| node.most_inotify_instances()).map(shown),
        inotify,
        inotify_limits: ["instances", "watches"]
            .map(|what| node.number(Path::new(&format!("/proc/sys/fs/inotify/max_user_{what}")))),
    })
}

fn judge(facts: &Facts) -> Finding {
    let found = [of_cgroup(facts), of_tasks(facts), of_memory(facts), of_files(facts), of_inotify(facts)];
    // Of those that are alike the first.
    let worst = found.into_iter().flatten().rev().max_by_key(|finding| finding.status);
    let nothing = facts.memory.is_none() && facts.tasks.is_none() && facts.files.is_none();
    let finding = match worst {
        Some(finding) => finding,
        None if nothing => Finding::skipped("/proc tells nothing of memory, tasks and open files"),
        None => Finding::ok("memory, tasks, open files and inotify's watches are within their limits"),
    };
    let mut finding = finding
        .with("memory", shown(facts.memory))
        .with("tasks", shown(facts.tasks))
        .with("open_files", shown(facts.files))
        .with("inotify_max_user_instances", facts.inotify_limits[0])
        .with("inotify_max_user_watches", facts.inotify_limits[1]);
    for (name, of) in [("cgroup_tasks", &facts.cgroup_tasks), ("cgroup_memory", &facts.cgroup_memory)] {
        if let Some(OfCgroup { cgroup, usage }) = of {
            finding = finding.with(name, json!({"cgroup": cgroup, "used": usage.used, "limit": usage.limit}));
        }
    }
    if let Some((name, usage)) = &facts.runtime {
        finding = finding
            .with("runtime_open_files", json!({"process": name, "used": usage.used, "limit": usage.limit}));
    }
    if let Some(most) = &facts.most_instances {
        finding = finding.with("most_inotify_instances", most.as_str());
    }
    finding
}

fn shown(usage: Option<Usage>) -> Value {
    usage.map_or(Value::Null, |usage| json!({"used": usage.used, "limit": usage.limit}))
}

fn scarce(what: String) -> Finding {
    Finding::warn(what).explains(Cause::ResourceLimit)
}

/// Tasks of the cgroup: at its limit the kernel refuses every further one.
fn of_cgroup(facts: &Facts) -> Option<Finding> {
    let OfCgroup { cgroup, usage } = facts.cgroup_tasks.as_ref()?;
    let what = format!("the cgroup of the runtime has {} of {} tasks", usage.used, usage.limit);
    let finding = match usage.percent() {
        100.. => Finding::fail(Cause::ResourceLimit, format!("{what}: nothing more can be started in it")),
        SCARCE.. => scarce(what),
        _ => return None,
    };
    let unit = cgroup.rsplit('/').next().filter(|unit| unit.ends_with(".service"));
    let raise = match unit {
        Some(unit) => format!("raise its limit: systemctl set-property {unit} TasksMax=infinity"),
        None => format!("raise pids.max of the cgroup {cgroup}"),
    };
    Some(finding.fix(raise).fix(format!("see what runs there: systemd-cgls {cgroup}")))
}

fn of_tasks(facts: &Facts) -> Option<Finding> {
    let usage = facts.tasks?;
    let what = format!("the node has {} of {} processes and threads", usage.used, usage.limit);
    let finding = match usage.percent() {
        100.. => Finding::fail(Cause::ResourceLimit, format!("{what}: nothing more can be started")),
        SCARCE.. => scarce(what),
        _ => return None,
    };
    Some(
        finding
            .fix("find who starts them: ps -eo nlwp,pid,args --sort -nlwp | head")
            .fix("raise kernel.pid_max and kernel.threads-max (sysctl) where the number is right"),
    )
}

fn of_memory(facts: &Facts) -> Option<Finding> {
    if let Some(usage) = facts.memory.filter(|usage| usage.percent() >= SCARCE_MEMORY) {
        let left = usage.limit.saturating_sub(usage.used) >> 20;
        return Some(
            scarce(format!("{left} MiB of the node's memory are available"))
                .fix("find who takes it: ps -eo rss,pid,args --sort -rss | head; cat /proc/pressure/memory"),
        );
    }
    let OfCgroup { cgroup, usage } = facts.cgroup_memory.as_ref()?;
    (usage.percent() >= SCARCE_MEMORY).then(|| {
        let (used, limit) = (usage.used >> 20, usage.limit >> 20);
        scarce(format!("the cgroup of the runtime uses {used} of {limit} MiB of memory")).fix(format!(
            "raise memory.max of the cgroup {cgroup}, or see what runs there: systemd-cgls {cgroup}"
        ))
    })
}

fn of_files(facts: &Facts) -> Option<Finding> {
    if let Some((name, usage)) = facts.runtime.as_ref().filter(|(_, usage)| usage.percent() >= SCARCE) {
        let what = format!("{name} has {} of {} files open", usage.used, usage.limit);
        return Some(
            scarce(what)
                .fix(format!("raise its limit: systemctl edit {name}, LimitNOFILE=1048576, then restart it")),
        );
    }
    let usage = facts.files.filter(|usage| usage.percent() >= SCARCE)?;
    Some(
        scarce(format!("{} of {} files are open on the node", usage.used, usage.limit))
            .fix("find who opens them, and raise fs.file-max (sysctl) where the number is right"),
    )
}

fn of_inotify(facts: &Facts) -> Option<Finding> {
    let parameter = facts.inotify?.parameter();
    Some(
        scarce(format!("inotify is used up for root: {parameter} is reached"))
            .fix(format!("raise {parameter} (sysctl, and in /etc/sysctl.d)"))
            .fix("find who takes it: find /proc/*/fd -lname anon_inode:inotify 2>/dev/null | cut -d/ -f3 | sort | uniq -c"),
    )
}

#[cfg(test)]
mod tests;
