//! Network namespaces.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::sockopt::BindToDevice;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket};
use nix::sys::stat::{Mode, fstat, stat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs, statfs};

use super::Node;
use super::files::FileError;
use super::filesystems::magic;

/// The file system of namespace files (`linux/magic.h`); kernels before 3.19 show them in procfs.
const NSFS_MAGIC: u32 = 0x6e73_6673;

/// The network namespace of this thread.
const OWN: &str = "/proc/thread-self/ns/net";

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

impl Node {
    /// What stands at the path of a network namespace. Below another root than `/` its mount may not be seen: then what is
    /// there cannot be told.
    #[must_use]
    pub fn netns(&self, path: &Path) -> Netns {
        if self.is_this() {
            return look(path);
        }
        match self.file_system(path) {
            Ok(found) if is_namespace(found.magic) => Netns::Present {
                own: self.metadata(path).is_ok_and(|found| is_home(found.dev(), found.ino())),
            },
            Ok(_) => Netns::Unreadable(Errno::EXDEV),
            Err(error) if error.is_missing() => Netns::Missing,
            Err(FileError::System { errno, .. }) => Netns::Unreadable(errno),
            Err(_) => Netns::Unreadable(Errno::EINVAL),
        }
    }

    /// Opens a network namespace. Below another root than `/` it has to be mounted there.
    pub(super) fn open_netns(&self, path: &Path) -> Result<OwnedFd, Errno> {
        if self.is_this() {
            return open_namespace(path);
        }
        let fd = self.open(path, NAMESPACE).map_err(|error| match error {
            FileError::System { errno, .. } => errno,
            _ => Errno::EINVAL,
        })?;
        if magic(fstatfs(&fd)?.filesystem_type()) == NSFS_MAGIC { Ok(fd) } else { Err(Errno::EINVAL) }
    }

    /// Whether this process is in the network namespace of the node, which is that of its first process. `None` if that cannot
    /// be seen.
    #[must_use]
    pub fn has_this_network(&self) -> Option<bool> {
        if self.is_this() {
            return Some(true);
        }
        let own = fstat(home().ok()?).ok()?.st_ino;
        Some(self.has_this_kernel() && self.netns_of_process(1)? == own)
    }
}

/// Looks at the path of a network namespace as the plugins do (`pkg/ns`, `IsNSorErr`).
#[must_use]
pub fn look(path: &Path) -> Netns {
    match statfs(path) {
        Ok(found) if is_namespace(magic(found.filesystem_type())) => {}
        Ok(_) => return Netns::NotOne,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Netns::Missing,
        Err(errno) => return Netns::Unreadable(errno),
    }
    Netns::Present { own: stat(path).is_ok_and(|found| is_home(found.st_dev, found.st_ino)) }
}

/// Whether this is the network namespace of this process.
fn is_home(device: u64, inode: u64) -> bool {
    home().and_then(fstat).is_ok_and(|own| (own.st_dev, own.st_ino) == (device, inode))
}

fn is_namespace(kind: u32) -> bool {
    kind == NSFS_MAGIC || kind == magic(PROC_SUPER_MAGIC)
}

/// How a namespace is opened.
const NAMESPACE: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC).union(OFlag::O_NOCTTY);

/// Opens a namespace; `EINVAL` if the path is none.
fn open_namespace(path: &Path) -> Result<OwnedFd, Errno> {
    let fd = open(path, NAMESPACE, Mode::empty())?;
    if is_namespace(magic(fstatfs(&fd)?.filesystem_type())) { Ok(fd) } else { Err(Errno::EINVAL) }
}

/// Whether an interface of this name is in the network namespace at `path`.
///
/// # Errors
/// If the path is no network namespace, or it may not be entered.
pub fn has_interface(path: &Path, name: &str) -> Result<bool, Errno> {
    inside(path, || has_own_interface(name))?
}

/// Whether an interface of this name is in the network namespace of this thread. Not by if_nametoindex(3): where there is none,
/// its ioctl has the kernel load a module of that name (`dev_load` in net/core/dev_ioctl.c), which takes a process.
fn has_own_interface(name: &str) -> Result<bool, Errno> {
    // The kernel takes no name for "no interface any more", and of a longer one the beginning.
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Ok(false);
    }
    let any = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    match setsockopt(&any, BindToDevice, &OsString::from(name)) {
        Ok(()) => Ok(true),
        Err(Errno::ENODEV) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Does `work` in this thread, inside the network namespace at `path`, and returns to the thread's own.
///
/// # Errors
/// If the path is no network namespace, or it may not be entered, or an earlier visit did not come back.
pub fn inside<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, Errno> {
    inside_open(&open_namespace(path)?, work)
}

/// The same for a network namespace that is open.
pub(super) fn inside_open<T>(namespace: &OwnedFd, work: impl FnOnce() -> T) -> Result<T, Errno> {
    if is_astray() {
        return Err(Errno::EXDEV);
    }
    let home = home()?;
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    let done = catch_unwind(AssertUnwindSafe(work));
    ASTRAY.set(setns(home, CloneFlags::CLONE_NEWNET).is_err());
    done.map_err(|_| Errno::EIO)
}

/// The network namespace of this process, open from its first use on: after that no process here moves to another one for good.
fn home() -> Result<&'static OwnedFd, Errno> {
    static HOME: OnceLock<OwnedFd> = OnceLock::new();
    match HOME.get() {
        Some(home) => Ok(home),
        // The first is answered to those alone who may change the network.
        None => of_a_socket().or_else(|_| open_namespace(Path::new(OWN))).map(|own| HOME.get_or_init(|| own)),
    }
}

/// The network namespace of this thread, asked of a socket in it: procfs makes five files for its path, which are taken away
/// again at the end of the process, 40 microseconds in all.
#[allow(unsafe_code, reason = "no library has this ioctl")]
fn of_a_socket() -> Result<OwnedFd, Errno> {
    let any = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: SIOCGSKNS (`sock_ioctl` in net/socket.c, since Linux 4.10) takes no argument, and what it returns belongs to nobody else.
    unsafe {
        let namespace = Errno::result(libc::ioctl(any.as_raw_fd(), libc::SIOCGSKNS as libc::Ioctl))?;
        Ok(OwnedFd::from_raw_fd(namespace))
    }
}

/// Whether this thread could not return to its own network namespace: what it would say of links is not true of the node.
#[must_use]
pub fn is_astray() -> bool {
    ASTRAY.get()
}

thread_local! {
    static ASTRAY: Cell<bool> = const { Cell::new(false) };
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
            assert_eq!(Node::this().netns(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn below_another_root_what_is_not_mounted_is_not_told() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("ns"), "").unwrap();
        std::os::unix::fs::symlink("loop", root.path().join("loop")).unwrap();
        let node = Node::at(root.path());
        let look = |path: &str| node.netns(Path::new(path));
        assert_eq!((look("/none"), look("/ns")), (Netns::Missing, Netns::Unreadable(Errno::EXDEV)));
        assert_eq!(look("/loop"), Netns::Unreadable(Errno::ELOOP));
    }

    #[test]
    fn a_socket_is_in_the_namespace_that_procfs_tells() {
        let (one, other) = (fstat(of_a_socket().unwrap()).unwrap(), stat(OWN).unwrap());
        assert_eq!((one.st_dev, one.st_ino), (other.st_dev, other.st_ino));
    }

    #[test]
    fn an_interface_is_known_by_its_whole_name() {
        for (name, is_there) in [("lo", true), ("no-such", false), ("", false), ("lo-and-a-long-name", false)]
        {
            assert_eq!(has_interface(Path::new("/proc/self/ns/net"), name), Ok(is_there), "{name:?}");
        }
    }

    #[test]
    fn a_path_that_is_none_cannot_be_entered() {
        assert_eq!(has_interface(Path::new("/nowhere"), "lo"), Err(Errno::ENOENT));
        assert_eq!(has_interface(Path::new("/etc/hostname"), "lo"), Err(Errno::EINVAL));
        assert!(!is_astray());
    }
}
