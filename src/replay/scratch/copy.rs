//! A copy of a folder: folders, links and small files with their modes and owners. Not an overlay: the kernel refuses one
//! upon others, and it would let a plugin reach the sockets of the node's daemons.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

/// A larger file is none of a plugin's state.
const LARGEST: u64 = 1 << 20;
/// More is not copied.
const MOST_BYTES: u64 = 256 << 20;
/// More entries are not copied.
const MOST_ENTRIES: usize = 400_000;

/// Whether other file systems that are mounted in the folder are copied too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// They are.
    Goes,
    /// They are not: containers' roots are mounted below `/run`.
    Stays,
}

/// Copies what is in the folder `from` into the folder `to`. Sockets, FIFOs and devices are left out, and so is what
/// vanishes meanwhile: the node goes on.
///
/// # Errors
/// If it is too much, or cannot be written.
pub fn tree(from: &Path, to: &Path, across: Across) -> io::Result<()> {
    let device = fs::metadata(from)?.dev();
    let own = (across == Across::Stays).then_some(device);
    Copy { device: own, bytes: 0, entries: 0 }.folder(from, to)
}

struct Copy {
    /// The file system that is not left.
    device: Option<u64>,
    bytes: u64,
    entries: usize,
}

impl Copy {
    fn folder(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > MOST_ENTRIES || self.bytes > MOST_BYTES {
                let message = format!("it has more than {MOST_ENTRIES} entries or {} MiB", MOST_BYTES >> 20);
                return Err(io::Error::other(message));
            }
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let Ok(found) = fs::symlink_metadata(&from) else { continue };
            let is_elsewhere = self.device.is_some_and(|device| device != found.dev());
            if found.is_symlink() {
                if let Ok(target) = fs::read_link(&from) {
                    symlink(target, &to)?;
                }
            } else if found.is_dir() {
                fs::create_dir(&to)?;
                if !is_elsewhere {
                    self.folder(&from, &to)?;
                }
                keep(&to, &found)?;
            } else if found.is_file() && found.len() <= LARGEST && !is_elsewhere {
                self.file(&from, &to, &found)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path, found: &Metadata) -> io::Result<()> {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let Ok(file) = File::options().read(true).custom_flags(flags).open(from) else { return Ok(()) };
        let mut content = Vec::new();
        if file.take(LARGEST).read_to_end(&mut content).is_err() {
            return Ok(());
        }
        self.bytes += content.len() as u64;
        let mut copy = File::create_new(to)?;
        copy.write_all(&content)?;
        if let Ok(modified) = found.modified() {
            copy.set_modified(modified)?;
        }
        keep(to, found)
    }
}

/// Gives a copy the owner and the mode of what it is one of.
fn keep(copy: &Path, found: &Metadata) -> io::Result<()> {
    chown(copy, Some(found.uid()), Some(found.gid()))?;
    fs::set_permissions(copy, fs::Permissions::from_mode(found.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_links_and_small_files_are_copied_and_nothing_that_could_be_waited_for() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = |name: &str| from.path().join(name);
        fs::create_dir(path("net")).unwrap();
        fs::write(path("net/10.0.0.2"), "id\r\neth0").unwrap();
        fs::set_permissions(path("net/10.0.0.2"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path("large"), vec![0; usize::try_from(LARGEST).unwrap() + 1]).unwrap();
        symlink("/nowhere", path("link")).unwrap();
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        tree(from.path(), to.path(), Across::Stays).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(to.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["link", "net"]);
        let copied = to.path().join("net/10.0.0.2");
        assert_eq!(fs::read_to_string(&copied).unwrap(), "id\r\neth0");
        let (one, other) = (fs::metadata(path("net/10.0.0.2")).unwrap(), fs::metadata(&copied).unwrap());
        assert_eq!((one.mode(), one.modified().unwrap()), (other.mode(), other.modified().unwrap()));
        assert_eq!(fs::read_link(to.path().join("link")).unwrap(), Path::new("/nowhere"));
    }
}
