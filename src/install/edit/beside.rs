//! The new file, beside the one whose place it takes.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr, renameat_with};
use rustix::io::Errno;

use super::settled::{is_open_for_writing, read};
use super::{ENDING, is_one};

/// Attributes that the kernel makes of the bytes: those of other bytes would be wrong.
const OF_CONTENT: [&str; 2] = ["security.ima", "security.evm"];
/// The largest list of attributes, and the largest attribute, of any file system.
const MAX_ATTRIBUTE: usize = 64 * 1024;
/// What a writer is given who has looked up a name just before it changed, and opens the file only now.
const OPENING: Duration = Duration::from_millis(10);

/// A file that was written to take another one's place.
pub(super) struct Beside<'a> {
    /// The name that it is to have.
    name: &'a Path,
    /// The name that it has until then. Afterwards, what stood at `name` has it.
    path: PathBuf,
    /// Open for reading: who has it open for writing is somebody else.
    file: File,
    bytes: &'a [u8],
}

impl<'a> Beside<'a> {
    /// Writes it, so that it is on the disk, with mode, owner and attributes of the file `like`.
    pub(super) fn write(name: &'a Path, like: &File, bytes: &'a [u8]) -> io::Result<Beside<'a>> {
        let mut own = OsString::from(".");
        own.push(name.file_name().unwrap_or_default());
        own.push(ENDING);
        let path = name.with_file_name(own);
        // For its owner alone until it has the other's mode.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let filled = fill(file, like, bytes).and_then(|()| File::open(&path));
        let file = filled.inspect_err(|_| remove(&path, name))?;
        Ok(Beside { name, path, file, bytes })
    }

    /// The two files take each other's name. Gives the one that stood there.
    pub(super) fn exchange(&self) -> io::Result<File> {
        self.exchanged().inspect_err(|_| self.remove())
    }

    fn exchanged(&self) -> io::Result<File> {
        self.change_names()?;
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&self.path);
        opened.inspect_err(|_| {
            let _ = self.put_back();
        })
    }

    fn change_names(&self) -> io::Result<()> {
        change_names(&self.path, self.name)?;
        std::thread::sleep(OPENING);
        Ok(())
    }

    /// Undoes [`Beside::exchange`], unless what has the name by now is newer than what was displaced: somebody has put
    /// another file there, or written into the new one.
    pub(super) fn put_back(&self) -> io::Result<()> {
        self.change_names()?;
        let back = File::open(&self.path)?;
        if !is_one(&back, &self.file) || self.is_written_by_others()? {
            self.change_names()?;
        }
        self.remove();
        Ok(())
    }

    fn is_written_by_others(&self) -> io::Result<bool> {
        Ok(is_open_for_writing(&self.file) == Some(true) || read(&self.file)? != self.bytes)
    }

    /// Removes what has its first name now.
    pub(super) fn remove(&self) {
        remove(&self.path, self.name);
    }
}

fn fill(mut file: File, like: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    let metadata = like.metadata()?;
    std::os::unix::fs::fchown(&file, Some(metadata.uid()), Some(metadata.gid()))?;
    copy_attributes(like, &file)?;
    // After the owner, whose change takes some bits away.
    file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777))?;
    file.sync_all()
}

fn remove(path: &Path, name: &Path) {
    let _ = std::fs::remove_file(path);
    sync_folder(name);
}

/// Two files of a folder take each other's name.
pub(super) fn change_names(one: &Path, other: &Path) -> io::Result<()> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
    sync_folder(other);
    Ok(())
}

/// What has come and gone in the folder of this path is on the disk.
pub(in crate::install) fn sync_folder(path: &Path) {
    let folder = path.parent().and_then(|folder| File::open(folder).ok());
    let _ = folder.map(|folder| folder.sync_all());
}

/// Gives a file the attributes of another one: SELinux label, access list, and what users set.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let mut names = vec![0; MAX_ATTRIBUTE];
    let length = match flistxattr(from, &mut names[..]) {
        Err(Errno::NOTSUP) => return Ok(()),
        length => length?,
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        if OF_CONTENT.iter().any(|of_content| name == *of_content) {
            continue;
        }
        let (wanted, there) = (attribute(from, name)?, attribute(to, name)?);
        if let Some(wanted) = wanted.filter(|wanted| there.as_ref() != Some(wanted)) {
            fsetxattr(to, name, &wanted, XattrFlags::empty())?;
        }
    }
    Ok(())
}

fn attribute(file: &File, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; MAX_ATTRIBUTE];
    match fgetxattr(file, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
