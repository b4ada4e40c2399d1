//! Which sandboxes are alive: whether anything on the node still stands behind a container id.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::Node;
use super::netns::Netns;
use super::processes::proc_path;

/// Folders in which a runtime keeps one of a running sandbox's name.
const TASKS: [&str; 7] = [
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io",
    "/run/containerd/io.containerd.runtime.v2.task/default",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io",
    "/run/containerd/runc/k8s.io",
    "/run/runc",
    "/run/crun",
    "/run/vc/sbs",
];
/// libcni's cache of results: a file for every attachment that was added and not deleted.
const RESULTS: &str = "/var/lib/cni/results";
/// A sandbox that has its network but no process yet is this young at most. libcni before 1.3 does not cache the network
/// namespace, by which it would be seen to be alive.
const STARTING: Duration = Duration::from_mins(2);

impl Node {
    /// Those of the sandboxes `ids`, attached to `network`, behind which nothing stands any more: no task of a runtime, no
    /// network namespace, no process in a cgroup of its name, no CNI call that is under way. `None` if the processes cannot
    /// be seen.
    #[must_use]
    pub fn gone_sandboxes(&self, network: &str, ids: BTreeSet<String>) -> Option<BTreeSet<String>> {
        let mut gone = ids;
        for folder in TASKS {
            for name in self.list(Path::new(folder), 1 << 16).unwrap_or_default().names {
                gone.remove(name.to_string_lossy().as_ref());
            }
        }
        let of_network = format!("{network}-");
        for name in self.list(Path::new(RESULTS), 1 << 16).unwrap_or_default().names {
            let name = name.to_string_lossy();
            let Some(rest) = name.strip_prefix(&of_network) else { continue };
            // Behind the id stands the interface, and both may have a `-` in them.
            let ids = rest.match_indices('-').filter_map(|(end, _)| gone.get(&rest[..end])).cloned();
            let ids: Vec<String> = ids.collect();
            if !ids.is_empty() && self.is_attached(&Path::new(RESULTS).join(name.as_ref())) {
                for id in ids {
                    gone.remove(&id);
                }
            }
        }
        let pids = self.process_ids();
        if pids.is_empty() {
            return None;
        }
        for pid in pids {
            if gone.is_empty() {
                break;
            }
            for word in self.words_of_process(pid) {
                gone.remove(&word);
            }
        }
        Some(gone)
    }

    /// Whether the attachment that this file of libcni's cache tells of still has its network namespace.
    fn is_attached(&self, file: &Path) -> bool {
        let content = self.read(file, 1 << 20).unwrap_or_default();
        let cached: Value = serde_json::from_slice(&content).unwrap_or_default();
        match cached["netns"].as_str().filter(|netns| !netns.is_empty()) {
            Some(netns) => {
                matches!(self.netns(Path::new(netns)), Netns::Present { .. } | Netns::Unreadable(_))
            }
            None => self
                .metadata(file)
                .ok()
                .and_then(|metadata| metadata.modified().ok()?.elapsed().ok())
                .is_some_and(|age| age < STARTING),
        }
    }

    /// The words in the names of a process' cgroups, and the container that it serves if it is part of a CNI call.
    fn words_of_process(&self, pid: u32) -> Vec<String> {
        let cgroups = self.read_text(&proc_path(pid, "cgroup")).unwrap_or_default();
        let mut words: Vec<String> = cgroups
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .map(str::to_owned)
            .collect();
        let environment = self.read(&proc_path(pid, "environ"), 1 << 20).unwrap_or_default();
        let variables = environment.split(|byte| *byte == 0);
        let container = variables.filter_map(|variable| variable.strip_prefix(b"CNI_CONTAINERID="));
        words.extend(container.map(|id| String::from_utf8_lossy(id).into_owned()));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn gone(root: &Path, ids: &[&str]) -> Option<Vec<String>> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Node::at(root).gone_sandboxes("net", ids).map(|gone| gone.into_iter().collect())
    }

    #[test]
    fn what_stands_behind_an_id_keeps_it_alive() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/task1/pid", "7");
        put(root, "/proc/7/cgroup", "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-cgroup1.scope\n");
        put(root, "/proc/8/environ", "PATH=/bin\0CNI_CONTAINERID=calling1\0");
        put(root, "/var/lib/cni/results/net-attached1-eth0", r#"{"netns": "/run/netns/a"}"#);
        put(root, "/var/lib/cni/results/net-with-dash1-my-net0", r#"{"netns": "/run/netns/a"}"#);
        put(root, "/run/netns/a", "");
        put(root, "/var/lib/cni/results/net-detached1-eth0", r#"{"netns": "/run/netns/none"}"#);
        put(root, "/var/lib/cni/results/net-starting1-eth0", "{}");
        put(root, "/var/lib/cni/results/other-elsewhere1-eth0", r#"{"netns": "/run/netns/a"}"#);
        let ids = [
            "task1",
            "cgroup1",
            "calling1",
            "attached1",
            "detached1",
            "starting1",
            "elsewhere1",
            "never1",
            "with-dash1",
        ];
        assert_eq!(gone(root, &ids).unwrap(), ["detached1", "elsewhere1", "never1"]);
    }

    #[test]
    fn an_old_attachment_without_a_namespace_does_not() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "/proc/7/cgroup", "");
        put(folder.path(), "/var/lib/cni/results/net-old1-eth0", "{}");
        let file = fs::File::options()
            .write(true)
            .open(folder.path().join("var/lib/cni/results/net-old1-eth0"))
            .unwrap();
        file.set_modified(std::time::SystemTime::now() - STARTING * 2).unwrap();
        assert_eq!(gone(folder.path(), &["old1"]).unwrap(), ["old1"]);
    }

    #[test]
    fn without_processes_nothing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(gone(folder.path(), &["a"]), None);
    }
}
