//! The network namespaces that have a file in `/run/netns`.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Node;
use super::netns::{self, Netns};
use super::processes::proc_path;

/// Where runtimes and ip-netns(8) have them.
const FOLDER: &str = "/run/netns";

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedNetns {
    /// Its path.
    pub path: PathBuf,
    /// What stands there.
    pub found: Netns,
    /// The namespace's number, as in `/proc/<pid>/ns/net`.
    pub inode: u64,
    /// When it was made.
    pub made: Option<SystemTime>,
}

impl Node {
    /// The named namespaces. `None` below another root than `/`: there the namespaces may not be mounted.
    #[must_use]
    pub fn named_netns(&self) -> Option<Vec<NamedNetns>> {
        if !self.is_this() {
            return None;
        }
        let names = self.list(Path::new(FOLDER), 1 << 16).unwrap_or_default().names;
        let look = |name: &std::ffi::OsString| {
            let path = Path::new(FOLDER).join(name);
            let metadata = self.metadata(&path).ok()?;
            let (found, inode, made) = (netns::look(&path), metadata.ino(), metadata.modified().ok());
            Some(NamedNetns { path, found, inode, made })
        };
        Some(names.iter().filter_map(look).collect())
    }

    /// The number of the network namespace in which a process is.
    pub(super) fn netns_of_process(&self, pid: u32) -> Option<u64> {
        let target = self.link_target(&proc_path(pid, "ns/net"))?;
        target.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
    }

    /// The numbers of the network namespaces in which processes are. `None` if not all processes can be seen.
    #[must_use]
    pub fn netns_of_processes(&self) -> Option<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        for pid in self.process_ids() {
            match self.netns_of_process(pid) {
                Some(number) => drop(found.insert(number)),
                // The node's first process, which may be shielded from everybody, is in no sandbox.
                None if pid == 1 => {}
                // It has ended meanwhile, or it is not ours to look at.
                None if self.process(pid).is_none_or(|process| process.state == 'Z') => {}
                None => return None,
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_is_among_those_of_processes() {
        let own = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
        let Some(found) = Node::this().netns_of_processes() else {
            panic!("the namespaces of other processes can be seen only by root")
        };
        assert!(found.contains(&own));
    }

    #[test]
    fn below_another_root_no_namespace_is_taken_for_a_leftover() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/netns")).unwrap();
        std::fs::write(root.path().join("run/netns/cni-1"), "").unwrap();
        assert_eq!(Node::at(root.path()).named_netns(), None);
    }
}
