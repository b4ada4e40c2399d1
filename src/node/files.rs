//! Files below the node's root. None of these calls waits for a FIFO, follows a link out of the root, or reads more
//! than it was told to.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use rustix::fs::RawDir;

use super::Node;
use crate::cni::go::errno_text;

/// What the kernel tells of a folder at a time, in bytes.
const ENTRIES: usize = 8 * 1024;

/// Why a file could not be looked at. Names the path as it is on the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{path}: {}", errno_text(*.errno))]
    System {
        /// The path.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// It is of another kind than expected.
    #[error("{path}: is a {kind}, expected a {expected}")]
    Kind {
        /// The path.
        path: PathBuf,
        /// What it is, e.g. `FIFO`.
        kind: &'static str,
        /// What it should be, e.g. `regular file`.
        expected: &'static str,
    },
    /// It is larger than anything sensible.
    #[error("{path}: is larger than {limit} bytes")]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// The largest size that is read.
        limit: u64,
    },
    /// It holds something else than a number.
    #[error("{path}: expected a number")]
    NoNumber {
        /// The path.
        path: PathBuf,
    },
}

impl FileError {
    /// Whether the path, or a folder on the way to it, does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, FileError::System { errno: Errno::ENOENT | Errno::ENOTDIR, .. })
    }
}

/// A folder's entries, and whether there were more than asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The names, in the order of the file system.
    pub names: Vec<OsString>,
    /// The limit was reached.
    pub cut: bool,
}

impl Node {
    pub(super) fn system(path: &Path) -> impl Fn(Errno) -> FileError {
        let path = path.to_owned();
        move |errno| FileError::System { path: path.clone(), errno }
    }

    pub(super) fn open(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, FileError> {
        #[cfg(test)]
        asked::note(path);
        let flags = flags | OFlag::O_CLOEXEC;
        if self.is_this() {
            return open(path, flags, Mode::empty()).map_err(Node::system(path));
        }
        let root = open(&self.root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(Node::system(&self.root))?;
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(root, path, how).map_err(Node::system(path))
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// If it cannot be opened or is no regular file.
    pub fn open_file(&self, path: &Path) -> Result<OpenFile, FileError> {
        let fd = self.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
        let file = File::from(fd);
        let metadata = file.metadata().map_err(|error| Node::system(path)(errno_of(&error)))?;
        if !metadata.is_file() {
            return Err(FileError::Kind {
                path: path.to_owned(),
                kind: kind(&metadata),
                expected: "regular file",
            });
        }
        Ok(OpenFile { path: path.to_owned(), file, metadata })
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// If it cannot be read, is no regular file, or is larger.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        self.open_file(path)?.read(limit)
    }

    /// Reads the first bytes of a regular file, at most `limit`.
    ///
    /// # Errors
    /// If it cannot be read or is no regular file.
    pub fn read_start(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        self.open_file(path)?.read_start(limit)
    }

    /// Reads a small text file, such as those below `/proc` and `/sys`, without the white space at its end.
    ///
    /// # Errors
    /// As [`Node::read`].
    pub fn read_text(&self, path: &Path) -> Result<String, FileError> {
        let content = self.read(path, 1 << 20)?;
        Ok(String::from_utf8_lossy(&content).trim_end().to_owned())
    }

    /// The number that a file below `/proc` or `/sys` holds; `None` where the kernel has no such file.
    ///
    /// # Errors
    /// As [`Node::read`], or if it holds something else.
    pub fn read_number<N: FromStr>(&self, path: &Path) -> Result<Option<N>, FileError> {
        match self.read_text(path) {
            Ok(text) => text.parse().map(Some).map_err(|_| FileError::NoNumber { path: path.to_owned() }),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the file system knows of a path; links are followed.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn metadata(&self, path: &Path) -> Result<std::fs::Metadata, FileError> {
        if self.is_this() {
            return std::fs::metadata(path).map_err(|error| Node::system(path)(errno_of(&error)));
        }
        let fd = self.open(path, OFlag::O_PATH)?;
        File::from(fd).metadata().map_err(|error| Node::system(path)(errno_of(&error)))
    }

    /// The target of a link. `None` if the path is none.
    #[must_use]
    pub fn link_target(&self, path: &Path) -> Option<PathBuf> {
        if self.is_this() {
            return nix::fcntl::readlink(path).ok().map(PathBuf::from);
        }
        let folder = self.open(path.parent()?, OFlag::O_PATH | OFlag::O_DIRECTORY).ok()?;
        nix::fcntl::readlinkat(folder, path.file_name()?).ok().map(PathBuf::from)
    }

    /// The names in a folder, at most `limit` of them, without `.` and `..`.
    ///
    /// # Errors
    /// If it cannot be read or is no folder.
    pub fn list(&self, folder: &Path, limit: usize) -> Result<Listing, FileError> {
        let fd = self.open(folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK)?;
        // Not by readdir(3), for which musl asks the kernel for memory and gives it back.
        let mut room = [MaybeUninit::uninit(); ENTRIES];
        let mut dir = RawDir::new(fd, &mut room);
        let mut listing = Listing::default();
        while let Some(entry) = dir.next() {
            let entry =
                entry.map_err(|error| Errno::from_raw(error.raw_os_error())).map_err(Node::system(folder))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if listing.names.len() == limit {
                listing.cut = true;
                break;
            }
            listing.names.push(std::ffi::OsStr::from_bytes(name).to_owned());
        }
        Ok(listing)
    }

    /// The path by which this process reaches one of the node's: links are resolved as on the node, below its root. What is
    /// not there yet stands where it would be made.
    #[must_use]
    pub fn reached(&self, path: &Path) -> PathBuf {
        let resolved = |path: &Path| {
            let fd = self.open(path, OFlag::O_PATH).ok()?;
            std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
        };
        let mut there = path.to_owned();
        let mut missing = Vec::new();
        loop {
            if let Some(mut reached) = resolved(&there) {
                reached.extend(missing.iter().rev());
                return reached;
            }
            let Some(name) = there.file_name().map(ToOwned::to_owned) else {
                return self.root.join(path.strip_prefix("/").unwrap_or(path));
            };
            missing.push(name);
            there.pop();
        }
    }

    /// Whether two paths lead to the same file.
    #[must_use]
    pub fn is_same_file(&self, one: &Path, other: &Path) -> bool {
        match (self.metadata(one), self.metadata(other)) {
            (Ok(one), Ok(other)) => one.dev() == other.dev() && one.ino() == other.ino(),
            _ => false,
        }
    }
}

/// A regular file that is open for reading.
#[derive(Debug)]
pub struct OpenFile {
    path: PathBuf,
    /// The file.
    pub file: File,
    /// What the file system knows of it.
    pub metadata: std::fs::Metadata,
}

impl OpenFile {
    /// Reads all of it, at most `limit` bytes.
    ///
    /// # Errors
    /// If it cannot be read or is larger.
    pub fn read(self, limit: u64) -> Result<Vec<u8>, FileError> {
        let path = self.path.clone();
        let content = self.read_start(limit + 1)?;
        if content.len() as u64 > limit { Err(FileError::TooLarge { path, limit }) } else { Ok(content) }
    }

    /// Reads its last bytes, at most `limit`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_end(self, limit: u64) -> Result<FileEnd, FileError> {
        use std::io::Seek as _;
        let start = self.metadata.len().saturating_sub(limit);
        let mut file = &self.file;
        file.seek(std::io::SeekFrom::Start(start))
            .map_err(|error| Node::system(&self.path)(errno_of(&error)))?;
        Ok(FileEnd { content: self.read_start(limit)?, is_all: start == 0 })
    }

    /// Reads its first bytes, at most `limit`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_start(self, limit: u64) -> Result<Vec<u8>, FileError> {
        // Files of procfs have no size. What fits is read in one piece.
        let expected = self.metadata.len().clamp(1024, limit.clamp(1024, 64 * 1024));
        let mut content = Vec::with_capacity(usize::try_from(expected).unwrap_or(1024) + 1);
        let read = self.file.take(limit).read_to_end(&mut content);
        read.map_err(|error| Node::system(&self.path)(errno_of(&error)))?;
        Ok(content)
    }
}

/// The end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEnd {
    /// The bytes.
    pub content: Vec<u8>,
    /// There are no others before them.
    pub is_all: bool,
}

/// What is asked for, so that a test can put something else there.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    thread_local! {
        static PATHS: RefCell<BTreeSet<PathBuf>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(path: &Path) {
        PATHS.with_borrow_mut(|paths| paths.insert(path.to_owned()));
    }

    /// The paths that this thread has asked for since the last call.
    pub(crate) fn taken() -> BTreeSet<PathBuf> {
        PATHS.take()
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// A word for the kind of a file.
#[must_use]
pub fn kind(metadata: &std::fs::Metadata) -> &'static str {
    let file_type = metadata.file_type();
    match () {
        () if file_type.is_file() => "regular file",
        () if file_type.is_dir() => "folder",
        () if file_type.is_symlink() => "link",
        () if file_type.is_fifo() => "FIFO",
        () if file_type.is_socket() => "socket",
        () if file_type.is_block_device() || file_type.is_char_device() => "device",
        () => "file of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn node() -> (tempfile::TempDir, Node) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::write(folder.path().join("etc/file"), "content\n").unwrap();
        let node = Node::at(folder.path());
        (folder, node)
    }

    #[test]
    fn reads_below_the_root_and_up_to_the_limit() {
        let (_folder, node) = node();
        assert_eq!(node.read_text(Path::new("/etc/file")).unwrap(), "content");
        assert_eq!(node.read_start(Path::new("/etc/file"), 3).unwrap(), b"con");
        let error = node.read(Path::new("/etc/file"), 3).unwrap_err();
        assert_eq!(error.to_string(), "/etc/file: is larger than 3 bytes");
    }

    #[test]
    fn links_stay_inside_the_root() {
        let (folder, node) = node();
        std::os::unix::fs::symlink("/etc/file", folder.path().join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../etc/file", folder.path().join("etc/up")).unwrap();
        assert_eq!(node.read_text(Path::new("/absolute")).unwrap(), "content");
        assert_eq!(node.read_text(Path::new("/etc/up")).unwrap(), "content");
        assert_eq!(node.link_target(Path::new("/absolute")), Some(PathBuf::from("/etc/file")));
        assert_eq!(node.link_target(Path::new("/etc/file")), None);
        assert!(node.is_same_file(Path::new("/absolute"), Path::new("/etc/file")));
    }

    #[test]
    fn a_path_is_reached_through_links_of_the_node() {
        let (folder, node) = node();
        let root = folder.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        for (path, reached) in [
            ("/etc/file", "etc/file"),
            ("/link/file", "etc/file"),
            ("/link/new/file", "etc/new/file"),
            ("/none/file", "none/file"),
            ("/", ""),
        ] {
            assert_eq!(node.reached(Path::new(path)), root.join(reached), "{path}");
        }
    }

    #[test]
    fn a_fifo_or_a_folder_is_refused_at_once() {
        let (folder, node) = node();
        nix::unistd::mkfifo(&folder.path().join("fifo"), Mode::S_IRUSR).unwrap();
        let error = node.read(Path::new("/fifo"), 1).unwrap_err();
        assert_eq!(error.to_string(), "/fifo: is a FIFO, expected a regular file");
        let error = node.read(Path::new("/etc"), 1).unwrap_err();
        assert_eq!(error.to_string(), "/etc: is a folder, expected a regular file");
    }

    #[test]
    fn what_is_missing_says_so() {
        let (_folder, node) = node();
        let error = node.read(Path::new("/etc/none"), 1).unwrap_err();
        assert!(error.is_missing());
        assert_eq!(error.to_string(), "/etc/none: no such file or directory");
        assert!(node.metadata(Path::new("/etc/file/below")).unwrap_err().is_missing());
        assert!(node.list(Path::new("/none"), 1).unwrap_err().is_missing());
    }

    #[test]
    fn folders_are_listed_up_to_the_limit() {
        let (_folder, node) = node();
        assert_eq!(
            node.list(Path::new("/etc"), 10).unwrap(),
            Listing { names: vec!["file".into()], cut: false }
        );
        assert!(node.list(Path::new("/etc"), 0).unwrap().cut);
    }
}
