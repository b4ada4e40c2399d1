//! Processes, read from `/proc`.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Node;

/// More of a command line is not kept, in bytes.
const MAX_COMMAND_LINE: u64 = 1024;

/// What `/proc/<pid>/stat` tells of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its state, such as `S` (sleeping) or `D` (in uninterruptible sleep).
    pub state: char,
    /// Its parent's id.
    pub parent: u32,
    /// When it started, in clock ticks since boot. With the id and the boot it names a process for ever.
    pub start_ticks: u64,
}

impl Process {
    /// When it started, since boot. All architectures show 100 ticks a second (`USER_HZ`).
    #[must_use]
    pub fn started(&self) -> Duration {
        Duration::from_millis(self.start_ticks.saturating_mul(10))
    }
}

/// The path of a file of a process.
#[must_use]
pub fn proc_path(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

impl Node {
    /// The process of this id. `None` if there is none.
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<Process> {
        parse_stat(&self.read_text(&proc_path(pid, "stat")).ok()?)
    }

    /// The processes with one of these names, which are cut to 15 bytes. `None` if no process can be seen.
    #[must_use]
    pub fn processes_named(&self, names: &[&str]) -> Option<Vec<Process>> {
        let ids = self.process_ids();
        let is_one = |process: &Process| names.contains(&process.name.as_str());
        (!ids.is_empty()).then(|| ids.into_iter().filter_map(|id| self.process(id)).filter(is_one).collect())
    }

    /// How long ago a process started. `None` if the kernel does not tell.
    #[must_use]
    pub fn age(&self, process: &Process) -> Option<Duration> {
        Some(self.uptime()?.saturating_sub(process.started()))
    }

    /// A process' command line, of which more than a kilobyte is not kept. Empty if there is none.
    #[must_use]
    pub fn command_line(&self, pid: u32) -> String {
        let words = self.read_start(&proc_path(pid, "cmdline"), MAX_COMMAND_LINE).unwrap_or_default();
        String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned()
    }

    /// How long ago the node was booted.
    #[must_use]
    pub fn uptime(&self) -> Option<Duration> {
        let text = self.read_text("/proc/uptime".as_ref()).ok()?;
        Duration::try_from_secs_f64(text.split_ascii_whitespace().next()?.parse().ok()?).ok()
    }

    /// When the node was booted.
    #[must_use]
    pub fn boot_time(&self) -> Option<SystemTime> {
        let stat = self.read_text("/proc/stat".as_ref()).ok()?;
        let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// The id of this boot. Empty if the kernel does not tell.
    #[must_use]
    pub fn boot_id(&self) -> String {
        self.read_text("/proc/sys/kernel/random/boot_id".as_ref()).unwrap_or_default()
    }

    /// Whether a process' files are the node's: one of a container has a root of its own. What cannot be told is taken for
    /// one of the node.
    #[must_use]
    pub fn has_the_nodes_root(&self, pid: u32) -> bool {
        // The kernel's link leads out of every root, which only its target's number is wanted of.
        let of = |path: PathBuf| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let process = of(self.root.join(format!("proc/{pid}/root/")));
        process.is_none() || process == of(self.root.clone())
    }

    /// The ids of all processes.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        let names = self.list("/proc".as_ref(), 1 << 20).unwrap_or_default().names;
        names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect()
    }

    /// The first process found that has this file open for writing: while there is one, the file cannot be executed
    /// (ETXTBSY). `None` also where the descriptors of other processes cannot be seen.
    #[must_use]
    pub fn writer_of(&self, file: &Metadata) -> Option<Process> {
        let has_it_open = |pid: u32| {
            let fds = self.list(&proc_path(pid, "fd"), 1 << 16).unwrap_or_default().names;
            fds.iter().filter_map(|fd| fd.to_str()).any(|fd| {
                let open = self.metadata(&proc_path(pid, &format!("fd/{fd}")));
                open.is_ok_and(|open| open.ino() == file.ino() && open.dev() == file.dev())
                    && self
                        .read_text(&proc_path(pid, &format!("fdinfo/{fd}")))
                        .is_ok_and(|info| is_to_write(&info))
            })
        };
        self.process_ids().into_iter().find(|pid| has_it_open(*pid)).and_then(|pid| self.process(pid))
    }
}

/// Whether `/proc/<pid>/fdinfo/<fd>` tells of a descriptor that can be written to (proc(5): the flags are octal).
fn is_to_write(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// Reads a line of `/proc/<pid>/stat` (proc(5)); the name stands in parentheses and may hold any byte.
fn parse_stat(line: &str) -> Option<Process> {
    let (head, tail) = line.rsplit_once(')')?;
    let (pid, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    Some(Process {
        pid: pid.trim().parse().ok()?,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let line = "42 (a) b (c)) D 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let expected =
            Process { pid: 42, name: "a) b (c)".into(), state: 'D', parent: 7, start_ticks: 98765 };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("42 (a) D"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn who_writes_a_file_is_found_and_who_reads_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let writing = std::fs::File::create(&path).unwrap();
        let metadata = writing.metadata().unwrap();
        let writer = Node::this().writer_of(&metadata).map(|process| process.pid);
        assert_eq!(writer, Some(std::process::id()));
        drop(writing);
        let _reading = std::fs::File::open(&path).unwrap();
        assert_eq!(Node::this().writer_of(&metadata), None);
    }

    #[test]
    fn a_process_of_a_container_has_another_root() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [root, container] = [folders[0].path(), folders[1].path()];
        for (pid, of) in [("7", root), ("8", container)] {
            std::fs::create_dir_all(root.join("proc").join(pid)).unwrap();
            std::os::unix::fs::symlink(of, root.join("proc").join(pid).join("root")).unwrap();
        }
        let node = Node::at(root);
        assert_eq!([7, 8, 9].map(|pid| node.has_the_nodes_root(pid)), [true, false, true]);
        assert!(Node::this().has_the_nodes_root(std::process::id()));
    }

    #[test]
    fn this_process_is_found() {
        let node = Node::this();
        let process = node.process(std::process::id()).unwrap();
        assert_eq!(process.pid, std::process::id());
        assert!(node.process_ids().contains(&process.pid));
        assert_eq!(node.process(u32::MAX), None);
        assert!(node.age(&process).unwrap() < Duration::from_hours(1));
        assert!(node.processes_named(&[&process.name]).unwrap().contains(&process));
        assert_eq!(node.processes_named(&["no-such-process"]), Some(Vec::new()));
    }
}
