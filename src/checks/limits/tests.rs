//! A node that runs out of something.

use super::*;
use crate::checks::subject::Origin;
use crate::diagnosis::finding::Status;

fn usage(used: u64, limit: u64) -> Usage {
    Usage { used, limit }
}

fn of(cgroup: &str, used: u64, limit: u64) -> OfCgroup {
    OfCgroup { cgroup: cgroup.to_owned(), usage: usage(used, limit) }
}

fn healthy() -> Facts {
    Facts {
        memory: Some(usage(500 << 20, 1000 << 20)),
        tasks: Some(usage(300, 32768)),
        files: Some(usage(2000, 100_000)),
        cgroup_tasks: Some(of("/system.slice/containerd.service", 80, 1000)),
        cgroup_memory: Some(of("/system.slice/containerd.service", 1 << 20, 100 << 20)),
        runtime: Some(("containerd".into(), usage(100, 1024))),
        inotify: None,
        inotify_limits: [Some(128), Some(65_536)],
        most_instances: None,
    }
}

#[test]
fn states_of_the_limits() {
    let limit = Some(Cause::ResourceLimit);
    let slice = || of("/kubepods.slice", 98 << 20, 100 << 20);
    let table = [
        (
            healthy(),
            Status::Ok,
            None,
            "memory, tasks, open files and inotify's watches are within their limits",
        ),
        (
            Facts { cgroup_tasks: Some(of("/a/x.service", 1000, 1000)), ..healthy() },
            Status::Fail,
            limit,
            "the cgroup of the runtime has 1000 of 1000 tasks: nothing more can be started in it",
        ),
        (
            Facts { cgroup_tasks: Some(of("/a/x.service", 900, 1000)), ..healthy() },
            Status::Warn,
            limit,
            "the cgroup of the runtime has 900 of 1000 tasks",
        ),
        (
            Facts { tasks: Some(usage(32768, 32768)), ..healthy() },
            Status::Fail,
            limit,
            "the node has 32768 of 32768 processes and threads: nothing more can be started",
        ),
        (
            Facts { tasks: Some(usage(30000, 32768)), ..healthy() },
            Status::Warn,
            limit,
            "the node has 30000 of 32768 processes and threads",
        ),
        (
            Facts { memory: Some(usage(990 << 20, 1000 << 20)), ..healthy() },
            Status::Warn,
            limit,
            "10 MiB of the node's memory are available",
        ),
        (
            Facts { cgroup_memory: Some(slice()), ..healthy() },
            Status::Warn,
            limit,
            "the cgroup of the runtime uses 98 of 100 MiB of memory",
        ),
        (
            Facts { runtime: Some(("crio".into(), usage(1000, 1024))), ..healthy() },
            Status::Warn,
            limit,
            "crio has 1000 of 1024 files open",
        ),
        (
            Facts { files: Some(usage(99_000, 100_000)), ..healthy() },
            Status::Warn,
            limit,
            "99000 of 100000 files are open on the node",
        ),
        (
            Facts { inotify: Some(Spent::Instances), ..healthy() },
            Status::Warn,
            limit,
            "inotify is used up for root: fs.inotify.max_user_instances is reached",
        ),
        (
            Facts { inotify: Some(Spent::Watches), ..healthy() },
            Status::Warn,
            limit,
            "inotify is used up for root: fs.inotify.max_user_watches is reached",
        ),
        (Facts::default(), Status::Skipped, None, "/proc tells nothing of memory, tasks and open files"),
    ];
    for (facts, status, cause, summary) in table {
        let finding = judge(&facts);
        assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
    }
}

#[test]
fn what_refuses_every_call_comes_before_what_is_scarce() {
    let facts = Facts {
        memory: Some(usage(990 << 20, 1000 << 20)),
        cgroup_tasks: Some(of("/a/x.service", 1000, 1000)),
        ..healthy()
    };
    let finding = judge(&facts);
    assert_eq!(
        (finding.status, finding.fix[0].as_str()),
        (Status::Fail, "raise its limit: systemctl set-property x.service TasksMax=infinity")
    );
}

#[test]
fn the_facts_stand_in_the_evidence() {
    let most = Some("leaky (pid 7): 120 instances".to_owned());
    let finding = judge(&Facts { inotify: Some(Spent::Instances), most_instances: most, ..healthy() });
    assert_eq!(
        json!(finding.evidence),
        json!({
            "memory": {"used": 500 << 20, "limit": 1000 << 20}, "tasks": {"used": 300, "limit": 32768},
            "open_files": {"used": 2000, "limit": 100_000},
            "inotify_max_user_instances": 128, "inotify_max_user_watches": 65_536,
            "cgroup_tasks": {"cgroup": "/system.slice/containerd.service", "used": 80, "limit": 1000},
            "cgroup_memory": {"cgroup": "/system.slice/containerd.service", "used": 1 << 20, "limit": 100 << 20},
            "runtime_open_files": {"process": "containerd", "used": 100, "limit": 1024},
            "most_inotify_instances": "leaky (pid 7): 120 instances",
        })
    );
    assert!(!finding.summary.contains("leaky"), "tenants read the summary");
}

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn looked(root: &Path) -> (Status, String) {
    let origin = Origin::Node { conf_dir: "/etc/cni/net.d".into() };
    let finding = look(&Node::at(root), &Subject { origin, ..Subject::default() }, Depth::Full);
    (finding.status, finding.summary)
}

#[test]
fn the_runtimes_cgroup_is_found_on_the_node() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(looked(root.path()).0, Status::Skipped);
    put(root.path(), "proc/7/stat", &format!("7 (containerd) S 1{} 100 1 2", " 0".repeat(17)));
    put(root.path(), "proc/7/cgroup", "0::/system.slice/containerd.service\n");
    put(root.path(), "sys/fs/cgroup/system.slice/containerd.service/pids.max", "40\n");
    put(root.path(), "sys/fs/cgroup/system.slice/containerd.service/pids.current", "40\n");
    let full = "the cgroup of the runtime has 40 of 40 tasks: nothing more can be started in it";
    assert_eq!(looked(root.path()), (Status::Fail, full.to_owned()));
}

#[test]
fn absurd_files_tell_nothing() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "proc/meminfo", "MemTotal: x kB\nMemAvailable: -1 kB\n");
    put(root.path(), "proc/loadavg", &"9".repeat(2 << 20));
    put(root.path(), "proc/7/stat", &format!("7 (crio) S 1{} 100 1 2", " 0".repeat(17)));
    put(root.path(), "proc/7/limits", "Max open files");
    std::fs::create_dir_all(root.path().join("proc/7/cgroup")).unwrap();
    std::fs::create_dir_all(root.path().join("proc/sys/fs")).unwrap();
    nix::unistd::mkfifo(&root.path().join("proc/sys/fs/file-nr"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(
        looked(root.path()),
        (Status::Skipped, "/proc tells nothing of memory, tasks and open files".to_owned())
    );
}
