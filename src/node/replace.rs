//! A file that is replaced as a whole: who reads it sees the old content or the new one.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Puts `content` in the file's place, with these permissions, so that it is there after a crash of the machine too.
///
/// # Errors
/// If it cannot be written; then the file is what it was.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    put(path, |file| {
        file.write_all(content)?;
        // Whatever the umask.
        file.set_permissions(Permissions::from_mode(mode))?;
        // Else the file could be empty after a crash.
        file.sync_data()
    })
}

/// The same for what may be lost in a crash, such as a cache: for its owner alone, and without waiting for the disk.
///
/// # Errors
/// As [`replace`].
pub fn replace_loosely(path: &Path, content: &[u8]) -> io::Result<()> {
    put(path, |file| file.write_all(content))
}

fn put(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::IsADirectory.into()) };
    // In the same folder, since a rename does not leave its file system; with an ending that nobody looks for.
    let new = path.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
    // Of a process with the same id that was killed.
    let _ = std::fs::remove_file(&new);
    let made = File::options().write(true).create_new(true).mode(0o600).open(&new);
    let written = made.and_then(|mut file| write(&mut file)).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_file_has_the_new_content_and_its_permissions_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cniscope.prom");
        fs::write(&path, "old and longer").unwrap();
        replace(&path, b"new", 0o644).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        assert!(replace(&dir.path().join("folder"), b"new", 0o644).is_err());
        assert!(replace(&dir.path().join("missing/file"), b"new", 0o644).is_err());
        assert!(replace(Path::new("/"), b"new", 0o644).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
