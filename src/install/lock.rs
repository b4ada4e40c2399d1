//! One installer at a time: whoever changes a node's networks holds this lock.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::places::STATE;
use crate::node::Node;

/// The name of its file, in [`STATE`]. Not in the folder of the networks, where every file wakes the runtime.
pub(super) const NAME: &str = "install.lock";
/// How often it is tried.
const STEP: Duration = Duration::from_millis(10);

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Why the lock is not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another one has it.
    #[error("{}: another cniscope has been changing this node for {} s; see: fuser -v {}", path.display(), waited.as_secs(), path.display())]
    Held {
        /// The path.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Its file cannot be made.
    #[error("{}: {source}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of a node, after those who are before, for whom it waits as long as this.
    ///
    /// # Errors
    /// If its file cannot be made, or another one still holds it.
    pub fn take(node: &Node, patience: Duration) -> Result<Lock, LockError> {
        let path = node.reached(Path::new(STATE)).join(NAME);
        let failed = |source| LockError::File { path: path.clone(), source };
        let started = Instant::now();
        loop {
            let file = open(&path).map_err(failed)?;
            match file.try_lock() {
                // Whoever had it may have removed it with everything else.
                Ok(()) if is_at(&file, &path) => return Ok(Lock { file, path }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if started.elapsed() < patience => std::thread::sleep(STEP),
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { path, waited: started.elapsed() });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// Removes its file, and the folder if nothing else is in it; whoever waits for it makes new ones.
    pub fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = self.path.parent() {
            let _ = std::fs::remove_dir(folder);
        }
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    match options.open(path) {
        // Its folder has just been removed by the one who had it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            options.open(path)
        }
        opened => opened,
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(file), Ok(there)) => (file.dev(), file.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_LONG: Duration = Duration::from_millis(50);

    #[test]
    fn one_holds_it_and_the_next_has_it_after_that_one() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let first = Lock::take(&node, NOT_LONG).unwrap();
        assert!(matches!(Lock::take(&node, NOT_LONG), Err(LockError::Held { .. })));
        drop(first);
        Lock::take(&node, NOT_LONG).unwrap();
    }

    #[test]
    fn one_that_is_removed_leaves_nothing_and_is_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let state = root.path().join("var/lib/cniscope");
        Lock::take(&node, NOT_LONG).unwrap().remove();
        assert!(!state.exists());
        let held = Lock::take(&node, NOT_LONG).unwrap();
        std::fs::remove_dir_all(&state).unwrap();
        let other = Lock::take(&node, NOT_LONG).unwrap();
        drop((held, other));
    }

    #[test]
    fn what_stands_in_its_place_is_told() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib")).unwrap();
        std::fs::write(root.path().join("var/lib/cniscope"), "").unwrap();
        let error = Lock::take(&Node::at(root.path()), NOT_LONG).unwrap_err().to_string();
        assert!(error.ends_with("/var/lib/cniscope/install.lock: File exists (os error 17)"), "{error}");
    }
}
