//! A mount namespace in which nothing of the node can be written: all that is mounted is made read-only, and copies lie over
//! the folders that plugins keep their state in.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::copy::{self, Across};
use crate::replay::plan::Substitute;

/// What lies over a folder, and how much fits into it.
const TMPFS: &str = "size=512m,mode=0755";
/// Where another binary stands in a plugin's place.
pub(super) const SUBSTITUTES: &str = "/run/cniscope-replay/bin";
/// Folders that are cniscope's own: empty ones lie over them, so that its calls here neither read the node's settings nor
/// write to its journal.
const OWN: [&str; 3] = ["/etc/cniscope", "/var/lib/cniscope", "/var/log/cniscope"];

/// Why the scratch node cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct MountError {
    /// What was to be done, with the path.
    pub what: String,
    /// Why it was not.
    pub why: String,
}

/// What an operation on a path has to say of a failure.
pub(super) fn failed<E: std::fmt::Display>(what: &str, path: &Path) -> impl FnOnce(E) -> MountError {
    let what = format!("{what} {}", path.display());
    move |why| MountError { what, why: why.to_string() }
}

/// Makes this process' mount namespace one in which nothing of the node can be written, with copies of these folders.
/// Plugins in them are there again.
///
/// # Errors
/// If any of it cannot be done: nothing may be called then.
pub fn enter(
    folders: &[PathBuf],
    plugins: &[PathBuf],
    substitute: Option<&Substitute>,
) -> Result<(), MountError> {
    let root = Path::new("/");
    // Before anything else: what is mounted from here on must not be seen outside.
    mount(None::<&str>, root, None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(failed("keep mounts private below", root))?;
    make_read_only()?;
    // Opened before anything lies over them.
    let originals: Vec<(PathBuf, Option<File>)> =
        folders.iter().map(|folder| (folder.clone(), open(folder))).collect();
    let plugins: Vec<(&PathBuf, File)> =
        plugins.iter().filter_map(|folder| Some((folder, open(folder)?))).collect();
    let substitute = substitute.map(|one| (one, open(&one.path)));
    for (folder, original) in &originals {
        cover(folder, original.as_ref())?;
    }
    for folder in OWN.map(Path::new) {
        cover(folder, None)?;
    }
    for (folder, original) in plugins {
        if folders.iter().any(|covered| folder.starts_with(covered)) {
            fs::create_dir_all(folder).map_err(failed("make", folder))?;
            bind(&through(&original), folder)?;
        }
    }
    if let Some((substitute, original)) = substitute {
        put_in_place(substitute, original.as_ref())?;
    }
    own_kernel_files()
}

/// Opens a folder or file for nothing but to be found again.
fn open(path: &Path) -> Option<File> {
    File::options().read(true).custom_flags(libc::O_PATH).open(path).ok()
}

/// The path of an open file, whatever lies over its own.
fn through(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn bind(from: &Path, to: &Path) -> Result<(), MountError> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(failed("bind", to))
}

/// Makes every mount read-only; one that cannot be is taken out of the namespace.
fn make_read_only() -> Result<(), MountError> {
    let list = Path::new("/proc/self/mountinfo");
    let mounts = fs::read_to_string(list).map_err(failed("read", list))?;
    for (path, flags, kind) in mounts.lines().filter_map(read_mount) {
        // To go to an automatic mount would make it one.
        let made = if kind == "autofs" {
            Err(Errno::EOPNOTSUPP)
        } else {
            remount(&path, flags | MsFlags::MS_RDONLY)
        };
        match made {
            // It lies below another one, and cannot be reached by anybody.
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(errno) => match umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
                Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                // No mount stands at this path any more: what did lies below another one.
                Err(Errno::EINVAL) if errno == Errno::EINVAL => {}
                Err(_) => return Err(failed("make read-only", &path)(errno)),
            },
        }
    }
    Ok(())
}

fn remount(path: &Path, flags: MsFlags) -> Result<(), Errno> {
    mount(None::<&str>, path, None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags, None::<&str>)
}

/// A line of `/proc/self/mountinfo`: where it is, the flags that a remount has to name again, the kind of file system.
fn read_mount(line: &str) -> Option<(PathBuf, MsFlags, &str)> {
    let (own, of_system) = line.split_once(" - ")?;
    let fields: Vec<&str> = own.split(' ').collect();
    let mut flags = MsFlags::empty();
    for option in fields.get(5)?.split(',') {
        flags |= match option {
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        };
    }
    Some((PathBuf::from(unescaped(fields.get(4)?)), flags, of_system.split(' ').next()?))
}

/// The kernel writes a space in a path as `\040`.
fn unescaped(path: &str) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt as _;
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    std::ffi::OsString::from_vec(bytes)
}

/// Lays a folder that can be written over another one, with a copy of what is there.
fn cover(folder: &Path, original: Option<&File>) -> Result<(), MountError> {
    if fs::metadata(folder).is_err() {
        // What is not configured stays so.
        if folder.starts_with("/etc") {
            return Ok(());
        }
        let Some(parent) = folder.ancestors().skip(1).find(|parent| parent.is_dir()) else { return Ok(()) };
        if parent != Path::new("/") {
            if !is_writable(parent) {
                open_up(parent)?;
            }
            return fs::create_dir_all(folder).map_err(failed("make", folder));
        }
        return Err(failed("make", folder)("it is not there, and has no folder above it that can be copied"));
    }
    lay_over(folder)?;
    let Some(original) = original else { return Ok(()) };
    let across = if folder == Path::new("/run") { Across::Stays } else { Across::Goes };
    copy::tree(&through(original), folder, across).map_err(failed("copy", folder))
}

fn lay_over(folder: &Path) -> Result<(), MountError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("cniscope"), folder, Some("tmpfs"), flags, Some(TMPFS))
        .map_err(failed("lay a copy over", folder))
}

fn is_writable(folder: &Path) -> bool {
    let found = nix::sys::statvfs::statvfs(folder);
    found.is_ok_and(|found| !found.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY))
}

/// Lays a folder that can be written over another one, in which everything is that was in that one, and still read-only.
fn open_up(folder: &Path) -> Result<(), MountError> {
    let Some(original) = open(folder) else { return Err(failed("open", folder)("it cannot be")) };
    lay_over(folder)?;
    let entries = fs::read_dir(through(&original)).map_err(failed("list", folder))?;
    for entry in entries.flatten() {
        let (from, to) = (entry.path(), folder.join(entry.file_name()));
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            fs::read_link(&from).and_then(|target| symlink(target, &to)).map_err(failed("link", &to))?;
        } else if kind.is_dir() {
            fs::create_dir(&to).map_err(failed("make", &to))?;
            bind(&from, &to)?;
        } else if kind.is_file() {
            File::create(&to).map_err(failed("make", &to))?;
            bind(&from, &to)?;
        }
    }
    Ok(())
}

/// Puts another binary where it is found under the plugin's name.
fn put_in_place(substitute: &Substitute, original: Option<&File>) -> Result<(), MountError> {
    let folder = Path::new(SUBSTITUTES);
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(failed("make", folder))?;
    let stands = folder.join(&substitute.plugin);
    File::create(&stands).map_err(failed("make", &stands))?;
    let Some(original) = original else { return Err(failed("open", &substitute.path)("it cannot be")) };
    bind(&through(original), &stands)
}

/// The kernel's files as the new namespaces have them. What is not of a network namespace stays as it is: a parameter of the
/// kernel has no copy.
fn own_kernel_files() -> Result<(), MountError> {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    for (kind, path) in [("proc", "/proc"), ("sysfs", "/sys")] {
        let path = Path::new(path);
        mount(Some(kind), path, Some(kind), quiet, None::<&str>).map_err(failed("mount", path))?;
    }
    let networks = Path::new("/proc/sys/net");
    bind(networks, networks)?;
    for path in ["/proc", "/sys"] {
        let path = Path::new(path);
        remount(path, quiet | MsFlags::MS_RDONLY).map_err(failed("make read-only", path))?;
    }
    if !keeps_networks_apart() {
        return remount(networks, quiet | MsFlags::MS_RDONLY)
            .map_err(failed("make read-only", networks))
            .and_then(|()| {
                ["ipv4", "ipv6"].iter().try_for_each(|family| {
                    let path = networks.join(family);
                    bind(&path, &path)?;
                    remount(&path, quiet).map_err(failed("make writable", &path))
                })
            });
    }
    Ok(())
}

/// Whether the kernel lets no other network namespace than the first write a parameter that all of them share (5.13, "net:
/// Ensure net namespace isolation of sysctls").
fn keeps_networks_apart() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next()) >= (5, 13)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_with_the_flags_to_keep() {
        let line = "36 35 98:0 /mnt1 /mnt/a\\040b\\134 rw,noexec,nosuid,relatime shared:1 - ext3 /dev/root rw,errors=continue";
        let flags = MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID | MsFlags::MS_RELATIME;
        assert_eq!(read_mount(line), Some((PathBuf::from("/mnt/a b\\"), flags, "ext3")));
        assert_eq!(read_mount("junk"), None);
    }
}
