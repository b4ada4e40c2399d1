//! File locks, read from `/proc/locks`.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Node;
use super::processes::proc_path;

/// The most open files of a process that are looked at.
const MAX_FILES: usize = 4096;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its name; empty if it is gone or hidden.
    pub name: String,
    /// Its command line, as far as it is kept; empty if it is gone or hidden.
    pub command_line: String,
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
        let file = self.metadata(path).ok()?;
        let locks = self.read_text("/proc/locks".as_ref()).ok()?;
        let of_it = |lock: &Lock| !lock.waits && lock.inode == file.ino() && self.is_on(lock, &file);
        Some(self.holder(parse_locks(&locks).into_iter().find(of_it)?.pid))
    }

    /// A process that holds a lock, with what is known of it.
    pub(super) fn holder(&self, pid: u32) -> Holder {
        let name = self.process(pid).map(|process| process.name).unwrap_or_default();
        Holder { pid, name, command_line: self.command_line(pid) }
    }

    /// Whether a lock with the inode of a file is one on that very file: small inodes are there once in every tmpfs. Some file
    /// systems show another device there than stat(2) does; then the file that the holder has open tells.
    fn is_on(&self, lock: &Lock, file: &Metadata) -> bool {
        let (major, minor) = (libc::major(file.dev()), libc::minor(file.dev()));
        if lock.device == format!("{major:02x}:{minor:02x}") {
            return true;
        }
        let folder = proc_path(lock.pid, "fd");
        let files = self.list(&folder, MAX_FILES).unwrap_or_default().names;
        let is_it = |open: Metadata| open.dev() == file.dev() && open.ino() == file.ino();
        files.iter().filter_map(|name| self.metadata(&folder.join(name)).ok()).any(is_it)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) pid: u32,
    /// `major:minor`, in hexadecimal.
    pub(super) device: String,
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
        let (device, inode) = fields.get(5)?.rsplit_once(':')?;
        Some(Lock {
            pid: fields.get(4)?.parse().ok()?,
            device: device.to_owned(),
            inode: inode.parse().ok()?,
            waits,
        })
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
                Lock { pid: 4172, device: "fe:00".into(), inode: 131_084, waits: false },
                Lock { pid: 4180, device: "fe:00".into(), inode: 131_084, waits: true }
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
