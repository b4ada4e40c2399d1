//! File locks, read from `/proc/locks`.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Node;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its name; empty if it is gone or hidden.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

impl Node {
    /// Who holds a lock on the file at `path`.
    #[must_use]
    pub fn lock_holder(&self, path: &Path) -> Option<Holder> {
        let inode = self.metadata(path).ok()?.ino();
        let locks = self.read_text("/proc/locks".as_ref()).ok()?;
        let pid = parse_locks(&locks).into_iter().find(|lock| lock.inode == inode && !lock.waits)?.pid;
        let name = self.process(pid).map(|process| process.name).unwrap_or_default();
        Some(Holder { pid, name })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) pid: u32,
    pub(super) inode: u64,
    pub(super) waits: bool,
}

/// Lines such as `1: FLOCK  ADVISORY  WRITE 4172 fe:00:131084 0 EOF`; one that waits has `->` behind its number
/// (proc_locks(5)).
pub(super) fn parse_locks(text: &str) -> Vec<Lock> {
    let lock = |line: &str| {
        let mut fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let waits = fields.get(1) == Some(&"->");
        if waits {
            fields.remove(1);
        }
        let inode = fields.get(5)?.rsplit(':').next()?.parse().ok()?;
        Some(Lock { pid: fields.get(4)?.parse().ok()?, inode, waits })
    };
    text.lines().filter_map(lock).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{Flock, FlockArg};

    #[test]
    fn lines_are_read() {
        let text = "1: FLOCK  ADVISORY  WRITE 4172 fe:00:131084 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 4180 fe:00:131084 0 EOF\njunk\n";
        assert_eq!(
            parse_locks(text),
            [
                Lock { pid: 4172, inode: 131_084, waits: false },
                Lock { pid: 4180, inode: 131_084, waits: true }
            ]
        );
    }

    #[test]
    fn the_holder_of_a_lock_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Node::this().lock_holder(file.path()), None);
        let _held = Flock::lock(file.reopen().unwrap(), FlockArg::LockExclusive).unwrap();
        assert_eq!(Node::this().lock_holder(file.path()).unwrap().pid, std::process::id());
    }
}
