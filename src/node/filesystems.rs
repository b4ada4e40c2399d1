//! File systems: their room, and what they are.

use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::Node;
use super::files::FileError;

/// The file system that a path is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// Its kind: the magic number of `linux/magic.h`, all of which have 32 bits.
    pub magic: u32,
    /// Its size in bytes.
    pub size: u64,
    /// What root can still write, in bytes.
    pub free: u64,
    /// How many inodes it has; 0 where they are not counted.
    pub inodes: u64,
    /// How many of them are free.
    pub free_inodes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

impl Node {
    /// The file system that `path` is on.
    ///
    /// # Errors
    /// If the path cannot be reached.
    pub fn file_system(&self, path: &Path) -> Result<FileSystem, FileError> {
        let fd = self.open(path, OFlag::O_PATH)?;
        let found = fstatvfs(&fd).map_err(Node::system(path))?;
        let kind = fstatfs(&fd).map_err(Node::system(path))?.filesystem_type();
        Ok(FileSystem {
            magic: magic(kind),
            size: found.blocks().saturating_mul(found.fragment_size()),
            free: found.blocks_free().saturating_mul(found.fragment_size()),
            inodes: found.files(),
            free_inodes: found.files_free(),
            read_only: found.flags().contains(FsFlags::ST_RDONLY),
        })
    }
}

/// The magic number of a kind, whose type and sign differ from one C library to the next.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the kernel's are 32 bits")]
pub(super) fn magic(kind: FsType) -> u32 {
    kind.0 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_looked_at_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let found = node.file_system(Path::new("/")).unwrap();
        assert!(found.size >= found.free && !found.read_only, "{found:?}");
        assert!(node.file_system(Path::new("/none")).unwrap_err().is_missing());
        let of_processes = Node::this().file_system(Path::new("/proc")).unwrap();
        assert_eq!(of_processes.magic, 0x9fa0, "PROC_SUPER_MAGIC");
    }
}
