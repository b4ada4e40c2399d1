//! Folders that are watched for changes: nobody looks again and again, the kernel tells.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::Node;

/// What is told of a folder. Not every write into a file: only that whoever wrote it is done.
const WATCHED: AddWatchFlags = AddWatchFlags::IN_ATTRIB
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);
/// After these, another folder may stand at the path, or none.
const LOST: AddWatchFlags = AddWatchFlags::IN_DELETE_SELF
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_UNMOUNT)
    .union(AddWatchFlags::IN_IGNORED);

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Something of this name, in a folder that is watched.
    In(PathBuf, OsString),
    /// A folder that is watched is not there any more, or another one.
    Lost(PathBuf),
    /// More than the kernel could keep: anything.
    Anything,
}

/// Watches folders of a node.
#[derive(Debug)]
pub struct Watcher {
    inotify: Inotify,
    /// By what the kernel calls a folder: the paths that lead to it.
    folders: BTreeMap<WatchDescriptor, BTreeSet<PathBuf>>,
}

impl Watcher {
    /// One that watches nothing yet. Reading from it never waits.
    ///
    /// # Errors
    /// If the kernel has no more to give (`fs.inotify.max_user_instances`).
    pub fn new() -> Result<Watcher, Errno> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        Ok(Watcher { inotify, folders: BTreeMap::new() })
    }

    /// From now on these folders are watched and no others; instead of one that is not there, the nearest above it that is.
    ///
    /// # Errors
    /// If the kernel has no more watches to give (`fs.inotify.max_user_watches`); those before it are watched.
    pub fn watch(&mut self, node: &Node, folders: &BTreeSet<PathBuf>) -> Result<(), Errno> {
        let mut watched: BTreeMap<WatchDescriptor, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut failed = Ok(());
        for folder in folders {
            for folder in folder.ancestors() {
                let Ok(opened) = node.open(folder, OFlag::O_PATH | OFlag::O_DIRECTORY) else { continue };
                // The path of what was opened cannot be led elsewhere by links.
                let opened = format!("/proc/self/fd/{}", opened.as_raw_fd());
                match self.inotify.add_watch(opened.as_str(), WATCHED) {
                    Ok(descriptor) => {
                        watched.entry(descriptor).or_default().insert(folder.to_owned());
                    }
                    Err(errno) => failed = Err(errno),
                }
                break;
            }
        }
        for descriptor in self.folders.keys().filter(|descriptor| !watched.contains_key(descriptor)) {
            // The kernel forgets by itself what is gone.
            let _ = self.inotify.rm_watch(*descriptor);
        }
        self.folders = watched;
        failed
    }

    /// What has changed since the last time, each once.
    #[must_use]
    pub fn changes(&self) -> BTreeSet<Change> {
        let mut changes = BTreeSet::new();
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    changes.insert(Change::Anything);
                    continue;
                }
                for folder in self.folders.get(&event.wd).into_iter().flatten() {
                    if event.mask.intersects(LOST) {
                        changes.insert(Change::Lost(folder.clone()));
                    } else if let Some(name) = &event.name {
                        changes.insert(Change::In(folder.clone(), name.clone()));
                    }
                }
            }
        }
        changes
    }
}

impl AsRawFd for Watcher {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn watched(node: &Node, folders: &[&str]) -> Watcher {
        let mut watcher = Watcher::new().unwrap();
        watcher.watch(node, &folders.iter().map(PathBuf::from).collect()).unwrap();
        watcher
    }

    fn seen(watcher: &Watcher) -> Vec<Change> {
        watcher.changes().into_iter().collect()
    }

    fn within(folder: &str, name: &str) -> Change {
        Change::In(folder.into(), name.into())
    }

    #[test]
    fn what_is_written_renamed_or_removed_is_told_once() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let folder = root.path().join("net.d");
        fs::create_dir(&folder).unwrap();
        let watcher = watched(&node, &["/net.d"]);
        assert_eq!(seen(&watcher), []);
        fs::write(folder.join("a"), "1").unwrap();
        fs::write(folder.join("a"), "2").unwrap();
        assert_eq!(seen(&watcher), [within("/net.d", "a")]);
        fs::rename(folder.join("a"), folder.join("b")).unwrap();
        assert_eq!(seen(&watcher), [within("/net.d", "a"), within("/net.d", "b")]);
        fs::remove_file(folder.join("b")).unwrap();
        assert_eq!(seen(&watcher), [within("/net.d", "b")]);
    }

    #[test]
    fn a_writer_that_is_not_done_is_not_told() {
        use std::io::Write as _;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let mut file = fs::File::create(&path).unwrap();
        let watcher = watched(&Node::at(root.path()), &["/"]);
        file.write_all(b"half").unwrap();
        assert_eq!(seen(&watcher), []);
        drop(file);
        assert_eq!(seen(&watcher), [within("/", "a")]);
    }

    #[test]
    fn a_folder_with_two_paths_is_told_by_both() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        fs::create_dir(root.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/b", root.path().join("a")).unwrap();
        let watcher = watched(&node, &["/a", "/b"]);
        fs::write(root.path().join("b/list"), "").unwrap();
        assert_eq!(seen(&watcher), [within("/a", "list"), within("/b", "list")]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_seen_to_come_and_one_that_goes_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let mut watcher = watched(&node, &["/etc/cni/net.d"]);
        fs::create_dir_all(root.path().join("etc/cni/net.d")).unwrap();
        assert_eq!(seen(&watcher), [within("/", "etc")]);
        watcher.watch(&node, &BTreeSet::from(["/etc/cni/net.d".into()])).unwrap();
        fs::write(root.path().join("etc/cni/net.d/a"), "").unwrap();
        assert_eq!(seen(&watcher), [within("/etc/cni/net.d", "a")]);
        fs::remove_dir_all(root.path().join("etc/cni/net.d")).unwrap();
        assert!(seen(&watcher).contains(&Change::Lost("/etc/cni/net.d".into())));
    }
}
