//! The logs of containers as the kubelet keeps them: `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`.

use std::path::{Path, PathBuf};

use super::Node;
use super::files::FileError;

/// The kubelet's folder.
const PODS: &str = "/var/log/pods";
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
        let pods = self.list(Path::new(PODS), MAX_ENTRIES).ok()?.names;
        let logs = pods.iter().filter_map(|pod| {
            let folder = Path::new(PODS).join(pod).join(container);
            let files = self.list(&folder, MAX_ENTRIES).ok()?.names;
            let number = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(".log")?.parse::<u32>().ok();
            let restarts = files.iter().filter_map(number).max()?;
            let path = folder.join(format!("{restarts}.log"));
            let modified = self.metadata(&path).ok().and_then(|metadata| metadata.modified().ok());
            Some(ContainerLog { path, restarts, modified })
        });
        logs.max_by_key(|log| log.modified)
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
