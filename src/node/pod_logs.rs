//! The logs of containers as the kubelet keeps them: `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Node;
use super::files::FileError;

/// The kubelet's folder, unless its `podLogsDir` names another one.
const PODS: &str = "/var/log/pods";
/// Links to the logs, wherever they are: `<pod>_<namespace>_<container>-<id>.log` (kubelet's `kuberuntime/legacy.go`).
const LINKS: &str = "/var/log/containers";
/// The most folders and files that are listed.
const MAX_ENTRIES: usize = 4096;

/// A container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLog {
    /// The youngest file.
    pub path: PathBuf,
    /// How often the container was restarted: the number in the youngest file's name.
    pub restarts: u32,
    /// When it was last written to.
    pub modified: Option<std::time::SystemTime>,
}

impl Node {
    /// The log of the container of this name, of the Pod whose log is the youngest.
    #[must_use]
    pub fn container_log(&self, container: &str) -> Option<ContainerLog> {
        self.log_of_pods(container).or_else(|| self.log_by_link(container))
    }

    fn log_of_pods(&self, container: &str) -> Option<ContainerLog> {
        let pods = self.list(Path::new(PODS), MAX_ENTRIES).ok()?.names;
        let logs = pods.iter().filter_map(|pod| {
            let folder = Path::new(PODS).join(pod).join(container);
            let files = self.list(&folder, MAX_ENTRIES).ok()?.names;
            let restarts = files.iter().filter_map(|name| restarts(Path::new(name))).max()?;
            let path = folder.join(format!("{restarts}.log"));
            let modified = self.metadata(&path).ok().and_then(|metadata| metadata.modified().ok());
            Some(ContainerLog { path, restarts, modified })
        });
        logs.max_by_key(|log| log.modified)
    }

    fn log_by_link(&self, container: &str) -> Option<ContainerLog> {
        let links = self.list(Path::new(LINKS), MAX_ENTRIES).ok()?.names;
        let logs = links.iter().filter_map(|name| {
            let (_, rest) = name.to_str()?.strip_suffix(".log")?.rsplit_once('_')?;
            let path = Path::new(LINKS).join(name);
            if rest.rsplit_once('-')?.0 != container {
                return None;
            }
            let restarts = restarts(&self.link_target(&path)?)?;
            // What it leads to may be out of sight, or gone.
            let modified = self.metadata(&path).ok()?.modified().ok();
            Some(ContainerLog { path, restarts, modified })
        });
        logs.max_by_key(|log| (log.modified, log.restarts))
    }

    /// The last lines of a container's log, as [`Node::last_lines`] has them; of Docker's JSON what it says.
    ///
    /// # Errors
    /// If it cannot be read or is no regular file.
    pub fn last_logged(&self, log: &Path, lines: usize, bytes: u64) -> Result<Vec<String>, FileError> {
        let lines = self.last_lines(log, lines, bytes)?;
        Ok(lines.into_iter().map(|line| said_to_docker(&line).unwrap_or(line)).collect())
    }

    /// The last lines of a text file: at most `lines` of those that are whole in its last `bytes`.
    ///
    /// # Errors
    /// If it cannot be read or is no regular file.
    pub fn last_lines(&self, path: &Path, lines: usize, bytes: u64) -> Result<Vec<String>, FileError> {
        let end = self.open_file(path)?.read_end(bytes)?;
        let text = String::from_utf8_lossy(&end.content);
        // What stands before the first line's end may be the rest of a line.
        let whole = if end.is_all { &*text } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
        let found: Vec<&str> = whole.lines().filter(|line| !line.trim().is_empty()).collect();
        Ok(found[found.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect())
    }
}

/// The number in a log's name.
fn restarts(log: &Path) -> Option<u32> {
    log.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok()
}

/// A line of Docker's driver json-file, which the kubelet links to, in the order of the other runtimes' lines.
fn said_to_docker(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| line[key].as_str();
    Some(format!("{} {} {}", text("time")?, text("stream")?, text("log")?.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn the_youngest_log_of_a_container_is_found() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(node.container_log("calico-node"), None);
        let pod = "var/log/pods/kube-system_calico-node-x_1/calico-node";
        for file in ["0.log", "9.log", "10.log", "10.log.20261121-101112", "junk"] {
            put(root.path(), &format!("{pod}/{file}"), "line\n");
        }
        put(root.path(), "var/log/pods/kube-system_calico-node-old_0/calico-node/3.log", "old\n");
        let old = root.path().join("var/log/pods/kube-system_calico-node-old_0/calico-node/3.log");
        fs::File::options().write(true).open(old).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        fs::create_dir_all(root.path().join("var/log/pods/kube-system_empty_2/calico-node")).unwrap();
        let log = node.container_log("calico-node").unwrap();
        assert_eq!((log.path, log.restarts), (Path::new("/").join(pod).join("10.log"), 10));
    }

    fn link(root: &Path, path: &str, target: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    #[test]
    fn where_the_pods_have_no_folder_the_links_lead_to_a_log() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let id = "4f".repeat(32);
        let name = |pod: &str, container: &str| format!("{pod}_kube-system_{container}-{id}.log");
        let links = |pod: &str, container: &str| format!("var/log/containers/{}", name(pod, container));
        put(root.path(), "logs/kube-system_cilium-x_1/cilium-agent/4.log", "line\n");
        link(
            root.path(),
            &links("cilium-x", "cilium-agent"),
            "/logs/kube-system_cilium-x_1/cilium-agent/4.log",
        );
        link(root.path(), &links("old", "cilium-agent"), "/logs/gone/9.log");
        link(
            root.path(),
            &links("other", "my-cilium-agent"),
            "/logs/kube-system_cilium-x_1/cilium-agent/4.log",
        );
        put(root.path(), &links("no-link", "cilium-agent"), "");
        put(root.path(), "var/log/containers/junk.log", "");
        let found = |container: &str| node.container_log(container).map(|log| (log.path, log.restarts));
        let linked = Path::new("/var/log/containers").join(name("cilium-x", "cilium-agent"));
        assert_eq!(found("cilium-agent"), Some((linked.clone(), 4)));
        assert_eq!(node.last_logged(&linked, 9, 99).unwrap(), ["line"]);
        assert_eq!(found("agent"), None);
        put(root.path(), "var/log/pods", "no folder");
        assert_eq!(found("cilium-agent"), Some((linked, 4)));
    }

    #[test]
    fn what_docker_keeps_is_read_through_its_links() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let lines = "{\"log\":\"one\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-22T10:00:00.5Z\"}\n{\"level\":\"info\"}\nplain\n";
        put(root.path(), "var/lib/docker/containers/4f/4f-json.log", lines);
        let pod = "var/log/pods/kube-system_kube-flannel-x_1/kube-flannel/0.log";
        link(root.path(), pod, "/var/lib/docker/containers/4f/4f-json.log");
        let log = node.container_log("kube-flannel").unwrap();
        assert_eq!((log.path.as_path(), log.restarts), (Path::new("/").join(pod).as_path(), 0));
        let logged = node.last_logged(&log.path, 9, 999).unwrap();
        assert_eq!(logged, ["2026-11-22T10:00:00.5Z stderr one", "{\"level\":\"info\"}", "plain"]);
    }

    #[test]
    fn of_a_long_log_only_the_last_whole_lines_are_read() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        put(root.path(), "long", &format!("{}\none\n\ntwo\nthree\n", "x".repeat(100_000)));
        put(root.path(), "binary", "\u{0}\u{1}");
        let last = |path: &str, lines, bytes| node.last_lines(Path::new(path), lines, bytes).unwrap();
        assert_eq!(last("/long", 2, 100), ["two", "three"]);
        assert_eq!(last("/long", 9, 17), ["one", "two", "three"]);
        assert_eq!(last("/long", 9, 15), ["two", "three"]);
        assert_eq!(last("/binary", 9, 100), ["\u{0}\u{1}"]);
        assert!(node.last_lines(Path::new("/"), 1, 1).is_err());
    }
}
