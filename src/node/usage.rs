//! How much is used of what is limited: memory, tasks, open files, of the node and of a process' cgroup.

use std::path::{Path, PathBuf};

use super::Node;
use super::processes::proc_path;

/// More open files of a process than this are not counted.
const MAX_FILES: usize = 1 << 20;
const CGROUPS: &str = "/sys/fs/cgroup";

/// A use and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What is used.
    pub used: u64,
    /// What can be used at most.
    pub limit: u64,
}

impl Usage {
    /// How much of the limit is used, in percent; 0 where the limit is nonsense.
    #[must_use]
    pub fn percent(self) -> u64 {
        self.used.saturating_mul(100).checked_div(self.limit).unwrap_or(0)
    }
}

/// A use that a cgroup limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfCgroup {
    /// The cgroup's path, as in `/proc/<pid>/cgroup`, or one above it: the one that is nearest to its limit.
    pub cgroup: String,
    /// The use.
    pub usage: Usage,
}

impl Node {
    /// The node's memory in bytes; used is what is not available without swapping.
    #[must_use]
    pub fn memory(&self) -> Option<Usage> {
        let text = self.read_text(Path::new("/proc/meminfo")).ok()?;
        let field = |name: &str| {
            let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
            rest.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
        };
        let (limit, available) = (field("MemTotal")?, field("MemAvailable")?);
        let bytes = |kilobytes: u64| kilobytes.saturating_mul(1024);
        Some(Usage { used: bytes(limit.saturating_sub(available)), limit: bytes(limit) })
    }

    /// The node's processes and threads.
    #[must_use]
    pub fn threads(&self) -> Option<Usage> {
        let load = self.read_text(Path::new("/proc/loadavg")).ok()?;
        let used = load.split(' ').nth(3)?.split_once('/')?.1.parse().ok()?;
        let limits = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"];
        let limit = limits.iter().filter_map(|path| self.number(Path::new(path))).min()?;
        Some(Usage { used, limit })
    }

    /// The node's open files.
    #[must_use]
    pub fn open_files(&self) -> Option<Usage> {
        let text = self.read_text(Path::new("/proc/sys/fs/file-nr")).ok()?;
        let mut numbers = text.split_ascii_whitespace().map(str::parse);
        // The second one has always been 0 since 2.6 (proc(5)).
        Some(Usage { used: numbers.next()?.ok()?, limit: numbers.nth(1)?.ok()? })
    }

    /// A process' open files, against its own limit.
    #[must_use]
    pub fn open_files_of(&self, pid: u32) -> Option<Usage> {
        let limits = self.read_text(&proc_path(pid, "limits")).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let limit = line.split_ascii_whitespace().next()?.parse().ok()?;
        let open = self.list(&proc_path(pid, "fd"), MAX_FILES).ok()?.names.len();
        Some(Usage { used: open as u64, limit })
    }

    /// The tasks in a process' cgroup.
    #[must_use]
    pub fn cgroup_tasks(&self, pid: u32) -> Option<OfCgroup> {
        self.nearest_to_limit(pid, "pids", |folder| {
            let limit = self.number(&folder.join("pids.max"))?;
            Some(Usage { used: self.number(&folder.join("pids.current"))?, limit })
        })
    }

    /// The memory of a process' cgroup that cannot simply be dropped, in bytes.
    #[must_use]
    pub fn cgroup_memory(&self, pid: u32) -> Option<OfCgroup> {
        self.nearest_to_limit(pid, "memory", |folder| {
            let number = |name: &str| self.number(&folder.join(name));
            let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
            let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
            let statistics = self.read_text(&folder.join("memory.stat")).unwrap_or_default();
            let inactive = ["total_inactive_file ", "inactive_file "].iter().find_map(|name| {
                statistics.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok())
            });
            Some(Usage { used: used.saturating_sub(inactive.unwrap_or(0)), limit })
        })
    }

    /// Of a process' cgroup and those above it the one that is nearest to its limit. `None` where none has one.
    fn nearest_to_limit(
        &self,
        pid: u32,
        controller: &str,
        usage: impl Fn(&Path) -> Option<Usage>,
    ) -> Option<OfCgroup> {
        let (root, path) = self.cgroup(pid, controller)?;
        let mut above = path.ancestors();
        let limited = std::iter::from_fn(|| above.next()).filter_map(|cgroup| {
            let folder = root.join(cgroup.strip_prefix("/").ok()?);
            Some(OfCgroup { cgroup: cgroup.display().to_string(), usage: usage(&folder)? })
        });
        limited.max_by_key(|of| of.usage.percent())
    }

    /// Where a controller's files of a process' cgroup are: the hierarchy's folder, and the path in it.
    fn cgroup(&self, pid: u32, controller: &str) -> Option<(PathBuf, PathBuf)> {
        let text = self.read_text(&proc_path(pid, "cgroup")).ok()?;
        let mut lines = text.lines().filter_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            Some((controllers, Path::new(path)))
        });
        let own = lines.clone().find(|(controllers, _)| controllers.split(',').any(|one| one == controller));
        let (hierarchy, path) = match own {
            Some((controllers, path)) => (Path::new(CGROUPS).join(controllers), path),
            None => (PathBuf::from(CGROUPS), lines.find(|(controllers, _)| controllers.is_empty())?.1),
        };
        // A cgroup outside of this process' cgroup namespace is shown relative to it.
        let is_inside = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
        is_inside.then(|| (hierarchy, path.to_owned()))
    }

    /// The number that a file holds.
    #[must_use]
    pub fn number(&self, path: &Path) -> Option<u64> {
        self.read_number(path).ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    #[test]
    fn the_nodes_use_is_read() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!((node.memory(), node.threads(), node.open_files()), (None, None, None));
        put(root.path(), "proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    900 kB\n");
        put(root.path(), "proc/loadavg", "4.27 2.52 2.39 5/129 14392\n");
        put(root.path(), "proc/sys/kernel/pid_max", "4194304\n");
        put(root.path(), "proc/sys/kernel/threads-max", "500\n");
        put(root.path(), "proc/sys/fs/file-nr", "786\t0\t9223372036854775807\n");
        put(
            root.path(),
            "proc/7/limits",
            "Limit  Soft Limit\nMax open files            1024                 524288               files\n",
        );
        put(root.path(), "proc/7/fd/0", "");
        let usage = |used, limit| Some(Usage { used, limit });
        assert_eq!(node.memory(), usage(100 * 1024, 1000 * 1024));
        assert_eq!(node.threads(), usage(129, 500));
        assert_eq!(node.open_files(), usage(786, i64::MAX as u64));
        assert_eq!((node.open_files_of(7), node.open_files_of(8)), (usage(1, 1024), None));
    }

    #[test]
    fn this_nodes_own_use_is_read() {
        let node = Node::this();
        for usage in
            [node.memory(), node.threads(), node.open_files(), node.open_files_of(std::process::id())]
        {
            assert!(usage.is_some_and(|usage| usage.used > 0 && usage.used <= usage.limit), "{usage:?}");
        }
    }

    #[test]
    fn of_a_cgroup_and_those_above_it_the_nearest_to_its_limit_counts() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "proc/7/cgroup", "0::/system.slice/containerd.service\n");
        let slice = "sys/fs/cgroup/system.slice";
        for (path, content) in [
            ("containerd.service/pids.max", "max\n"),
            ("containerd.service/pids.current", "90\n"),
            ("pids.max", "100\n"),
            ("pids.current", "95\n"),
            ("containerd.service/memory.max", "1000\n"),
            ("containerd.service/memory.current", "990\n"),
            ("containerd.service/memory.stat", "anon 1\ninactive_file 900\n"),
        ] {
            put(root.path(), &format!("{slice}/{path}"), content);
        }
        let node = Node::at(root.path());
        let of = |cgroup: &str, used, limit| {
            Some(OfCgroup { cgroup: cgroup.into(), usage: Usage { used, limit } })
        };
        assert_eq!(node.cgroup_tasks(7), of("/system.slice", 95, 100));
        assert_eq!(node.cgroup_memory(7), of("/system.slice/containerd.service", 90, 1000));
        assert_eq!(node.cgroup_tasks(8), None);
    }

    #[test]
    fn cgroups_of_the_first_version_are_read_and_those_outside_are_not() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "proc/7/cgroup", "9:name=systemd:/\n8:pids:/a\n4:memory:/../b\n0::/\n");
        put(root.path(), "sys/fs/cgroup/pids/a/pids.max", "10\n");
        put(root.path(), "sys/fs/cgroup/pids/a/pids.current", "5\n");
        put(root.path(), "sys/fs/cgroup/memory/b/memory.limit_in_bytes", "10\n");
        put(root.path(), "sys/fs/cgroup/memory/b/memory.usage_in_bytes", "5\n");
        let node = Node::at(root.path());
        let expected = OfCgroup { cgroup: "/a".into(), usage: Usage { used: 5, limit: 10 } };
        assert_eq!((node.cgroup_tasks(7), node.cgroup_memory(7)), (Some(expected), None));
    }

    #[test]
    fn a_limit_of_nothing_is_no_division() {
        assert_eq!(Usage { used: 5, limit: 0 }.percent(), 0);
        assert_eq!(Usage { used: u64::MAX, limit: 1 }.percent(), u64::MAX);
    }
}
