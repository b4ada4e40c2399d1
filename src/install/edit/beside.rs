//! The new file, beside the one whose place it takes.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr, renameat_with};
use rustix::io::Errno;

use super::{ENDING, is_one};

/// Attributes that the kernel makes of the bytes: those of other bytes would be wrong.
const OF_CONTENT: [&str; 2] = ["security.ima", "security.evm"];
/// The largest list of attributes, and the largest attribute, of any file system.
const MAX_ATTRIBUTE: usize = 64 * 1024;

/// A file that was written to take another one's place.
pub(super) struct Beside<'a> {
    /// The name that it is to have.
    name: &'a Path,
    /// The name that it has until then. Afterwards, what stood at `name` has it.
    path: PathBuf,
    file: File,
}

impl<'a> Beside<'a> {
    /// Writes it, so that it is on the disk, with mode, owner and attributes of the file `like`.
    pub(super) fn write(name: &'a Path, like: &File, bytes: &[u8]) -> io::Result<Beside<'a>> {
        let mut own = OsString::from(".");
        own.push(name.file_name().unwrap_or_default());
        own.push(ENDING);
        let path = name.with_file_name(own);
        // For its owner alone until it has the other's mode.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let beside = Beside { name, path, file };
        beside.fill(like, bytes).inspect_err(|_| beside.remove())?;
        Ok(beside)
    }

    fn fill(&self, like: &File, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        let metadata = like.metadata()?;
        std::os::unix::fs::fchown(&self.file, Some(metadata.uid()), Some(metadata.gid()))?;
        copy_attributes(like, &self.file)?;
        // After the owner, whose change takes some bits away.
        self.file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777))?;
        self.file.sync_all()
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
        change_names(&self.path, self.name)
    }

    /// Undoes [`Beside::exchange`].
    pub(super) fn put_back(&self) -> io::Result<()> {
        self.change_names()?;
        let back = File::open(&self.path)?;
        if !is_one(&back, &self.file) {
            // Somebody has put another file there since, which is newer than both.
            self.change_names()?;
        }
        self.remove();
        Ok(())
    }

    /// Removes what has its first name now.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
        sync_folder(self.name);
    }
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
