//! Network namespaces.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, stat};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, fstatfs, statfs};

/// The file system of namespace files (`linux/magic.h`); kernels before 3.19 show them in procfs.
const NSFS_MAGIC: FsType = FsType(0x6e73_6673);

/// What stands at the path of a network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Netns {
    /// A network namespace. `own` if it is the one that this process is in.
    Present {
        /// Whether it is this process' own.
        own: bool,
    },
    /// Nothing.
    Missing,
    /// Something else: a plain file is left where a namespace was mounted.
    NotOne,
    /// It cannot be looked at.
    Unreadable(Errno),
}

/// Looks at the path of a network namespace as the plugins do (`pkg/ns`, `IsNSorErr`).
#[must_use]
pub fn look(path: &Path) -> Netns {
    match statfs(path) {
        Ok(found) if is_namespace(found.filesystem_type()) => {}
        Ok(_) => return Netns::NotOne,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Netns::Missing,
        Err(errno) => return Netns::Unreadable(errno),
    }
    let own = match (stat(path), stat("/proc/thread-self/ns/net")) {
        (Ok(one), Ok(own)) => one.st_dev == own.st_dev && one.st_ino == own.st_ino,
        _ => false,
    };
    Netns::Present { own }
}

fn is_namespace(kind: FsType) -> bool {
    kind == NSFS_MAGIC || kind == PROC_SUPER_MAGIC
}

/// Opens a namespace; `EINVAL` if the path is none.
fn open_namespace(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let fd = open(path, flags, Mode::empty())?;
    if is_namespace(fstatfs(&fd)?.filesystem_type()) { Ok(fd) } else { Err(Errno::EINVAL) }
}

/// Does `work` inside the network namespace at `path`, in a thread that ends with it: the caller's own threads never
/// leave theirs.
///
/// # Errors
/// If the path is no network namespace, or it may not be entered, or no thread can be had.
pub fn inside<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> Result<T, Errno> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .spawn_scoped(scope, || {
                setns(open_namespace(path)?, CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            })
            .map_err(|_| Errno::EAGAIN)?;
        thread.join().unwrap_or(Err(Errno::EIO))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_stands_at_a_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let table = [
            ("/proc/self/ns/net", Netns::Present { own: true }),
            ("/nowhere/ns", Netns::Missing),
            ("/proc/self/status/x", Netns::Missing),
            (file.path().to_str().unwrap(), Netns::NotOne),
        ];
        for (path, expected) in table {
            assert_eq!(look(Path::new(path)), expected, "{path}");
        }
    }
}
