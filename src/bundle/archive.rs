//! The file that a bundle is: tar, compressed, written beside its place and renamed when it is whole.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use crate::node::files::kind;

/// A bundle that is being written. Until it is finished, its place is as it was.
pub struct Archive {
    place: PathBuf,
    new: PathBuf,
    folder: String,
    time: u64,
    tar: Option<Builder<GzEncoder<File>>>,
}

impl Archive {
    /// Begins one that will be at `place`, whose files are below `folder`.
    ///
    /// # Errors
    /// If nothing can be written there.
    pub fn create(place: &Path, folder: &str, time: SystemTime) -> io::Result<Archive> {
        // A rename would put a file in the place of a device too.
        if let Ok(there) = std::fs::metadata(place)
            && !there.is_file()
        {
            return Err(io::Error::other(format!(
                "is a {}, expected a regular file or nothing",
                kind(&there)
            )));
        }
        let name = place.file_name().ok_or_else(|| io::Error::other("is no name of a file"))?;
        let new = place.with_file_name(format!(".{}.{}", name.display(), std::process::id()));
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&new)?;
        Ok(Archive {
            place: place.to_owned(),
            new,
            folder: folder.to_owned(),
            time: time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            tar: Some(Builder::new(GzEncoder::new(file, Compression::default()))),
        })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        let Some(tar) = &mut self.tar else { return Ok(()) };
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.time);
        tar.append_data(&mut header, format!("{}/{path}", self.folder), content)
    }

    /// Ends it and puts it in its place; gives its size in bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<u64> {
        let Some(tar) = self.tar.take() else { return Ok(0) };
        let mut file = tar.into_inner()?.finish()?;
        file.flush()?;
        file.sync_all()?;
        let size = file.metadata()?.len();
        std::fs::rename(&self.new, &self.place)?;
        self.new.clear();
        Ok(size)
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        // One that is not finished is none.
        if !self.new.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_bundle_is_there_when_it_is_whole_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("b.tar.gz");
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        let mut archive = Archive::create(&place, "top", UNIX_EPOCH).unwrap();
        archive.add("a", b"content").unwrap();
        assert!(!place.exists());
        drop(archive);
        assert_eq!(names(), [""; 0]);
        let archive = Archive::create(&place, "top", UNIX_EPOCH).unwrap();
        let size = archive.finish().unwrap();
        assert_eq!(names(), ["b.tar.gz"]);
        let metadata = std::fs::metadata(&place).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (size, 0o600));
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (place, is) in [(folder.path(), "folder"), (&fifo, "FIFO")] {
            let error = Archive::create(place, "top", UNIX_EPOCH).err().unwrap();
            assert_eq!(error.to_string(), format!("is a {is}, expected a regular file or nothing"));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
