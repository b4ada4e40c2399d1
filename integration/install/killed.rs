//! A SIGKILL at every system call that changes files: the list is the old one or the new one, whole, and a second run ends
//! the job.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::node_files::{BINARY, FILE, LIST, NodeFiles};
use crate::support::{cniscope, spawn};

/// The system calls that change files, or open them for that.
const CALLS: [&str; 17] = [
    "openat",
    "mkdir",
    "flock",
    "write",
    "copy_file_range",
    "sendfile",
    "fchmod",
    "fchown",
    "fsync",
    "fdatasync",
    "link",
    "linkat",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
];
/// How many nodes there are at a time.
const WORKERS: usize = 3;
/// A run with more of one call would never end.
const MOST: usize = 400;

/// Runs a verb that is killed when it makes this call for the n-th time. Gives whether it was.
fn is_killed(node: &NodeFiles, verb: &str, call: &str, number: usize) -> bool {
    let mut command = Command::new("strace");
    command.args(["--quiet=all", "--follow-forks", "--output=/dev/null"]);
    command.arg(format!("--trace={call}"));
    command.arg(format!("--inject={call}:signal=KILL:when={number}"));
    command.arg(cniscope()).arg(verb).arg("--root").arg(node.path("")).env_clear();
    let output = spawn(command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()));
    let output = output.wait_with_output().unwrap();
    // strace ends as its tracee did.
    let is_killed = output.status.signal() == Some(9) || output.status.code() == Some(137);
    assert!(is_killed || output.status.success(), "{verb}, {call} {number}: {output:?}");
    is_killed
}

/// Kills a verb everywhere, and lets it run again each time. `before` and `after` are the list without it and behind it.
fn kill_everywhere(verb: &str, before: &str, after: &str, begin: impl Fn() -> NodeFiles + Sync) {
    let kills = AtomicUsize::new(0);
    let calls = Mutex::new(CALLS.iter());
    let work = || {
        while let Some(call) = next(&calls) {
            kills.fetch_add(kill_at(call, verb, before, after, &begin), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    let kills = kills.into_inner();
    assert!(kills > 20, "{verb} was killed {kills} times only: strace (Debian: strace) is needed");
}

fn next<'a>(calls: &Mutex<std::slice::Iter<'a, &'static str>>) -> Option<&'a &'static str> {
    calls.lock().unwrap().next()
}

/// The same for one system call. Gives how often it was killed.
fn kill_at(call: &str, verb: &str, before: &str, after: &str, begin: &impl Fn() -> NodeFiles) -> usize {
    for number in 1..MOST {
        let node = begin();
        let is_killed = is_killed(&node, verb, call, number);
        let list = node.read(FILE);
        assert!(list == before || list == after, "{verb}, {call} {number}: {list}");
        if !is_killed {
            return number - 1;
        }
        let told = node.told(&[verb]);
        assert_eq!(node.read(FILE), after, "{verb}, {call} {number}: {told}");
        let is_there = node.path(BINARY).exists();
        assert_eq!(is_there, verb == "install", "{verb}, {call} {number}: {told}");
        let left: Vec<String> =
            node.files().into_iter().filter(|name| name.contains("cniscope-new")).collect();
        assert_eq!(left, [""; 0], "{verb}, {call} {number}");
        assert_eq!(node.run(&["status"]).status, 0, "{verb}, {call} {number}");
    }
    panic!("{verb} makes the call {call} more than {MOST} times");
}

fn wrapped() -> String {
    let node = NodeFiles::new();
    node.told(&["install"]);
    node.read(FILE)
}

#[test]
fn an_installation_that_is_killed_anywhere_leaves_a_whole_list_and_ends_when_it_is_run_again() {
    kill_everywhere("install", LIST, &wrapped(), NodeFiles::new);
}

#[test]
fn an_uninstall_that_is_killed_anywhere_leaves_a_whole_list_and_ends_when_it_is_run_again() {
    kill_everywhere("uninstall", &wrapped(), LIST, || {
        let node = NodeFiles::new();
        node.told(&["install"]);
        node
    });
}

#[test]
fn an_upgrade_that_is_killed_anywhere_leaves_a_binary_that_runs() {
    let other = NodeFiles::new();
    let old = other.path("old");
    fs::copy(cniscope(), &old).unwrap();
    // A program may have more behind it.
    fs::File::options().append(true).open(&old).unwrap().write_all(b"\n").unwrap();
    kill_everywhere("install", &wrapped(), &wrapped(), || {
        let node = NodeFiles::new();
        node.told(&["install"]);
        fs::remove_file(node.path(BINARY)).unwrap();
        fs::copy(&old, node.path(BINARY)).unwrap();
        node
    });
}
