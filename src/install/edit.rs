//! One configuration file, edited so that at any time it is the old one or the new one, whole, and that nothing which
//! somebody else writes meanwhile is lost.
//!
//! The new bytes are written beside the file, and the two files change their names in one step. What stood at the name
//! until then is looked at once more: its writer may have it open still (Calico's installer truncates the list and writes
//! it in pieces), or another one may have put a file of its own there. Such a file gets its name back, and is edited in its
//! turn.

pub(super) mod beside;
mod left;
pub(super) mod refusal;
mod settled;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::conflist::ConflistError;
use super::lock::Lock;
use crate::node::Node;
use crate::node::files::kind;
use beside::Beside;
use left::Left;
use settled::settled;

/// For how long a writer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// A larger file is no configuration.
const MAX_BYTES: u64 = 1 << 20;
/// How the files end that are written beside the edited ones: nobody looks for it.
pub(super) const ENDING: &str = ".cniscope-new";

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// Nothing: the bytes are what they should be.
    Unchanged,
    /// The file has new bytes.
    Changed {
        /// Those it had.
        before: Vec<u8>,
        /// Those it has.
        after: Vec<u8>,
    },
}

/// Why a file was not edited. It is then what it was, or what others have made of it meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Its content is not one that can be changed so.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ConflistError,
    },
    /// It is one that is not to be edited, or cannot be.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Others keep writing to it.
    #[error("{}: is being written by another program; run it again when that is done", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The system refused something else.
    #[error("{}: cannot {what}: {source}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Edits a file of the node: its bytes become what `change` makes of them. Links are followed to where the bytes are; mode,
/// owner, SELinux label and other attributes stay. Where `change` changes nothing, nothing is written.
///
/// # Errors
/// If the content cannot be changed, or the file cannot be replaced.
pub fn edit(
    node: &Node,
    lock: &Lock,
    path: &Path,
    change: impl Fn(&[u8]) -> Result<Vec<u8>, ConflistError>,
) -> Result<Edited, EditError> {
    edit_within(node, lock, path, change, PATIENCE)
}

fn edit_within(
    node: &Node,
    _: &Lock,
    path: &Path,
    change: impl Fn(&[u8]) -> Result<Vec<u8>, ConflistError>,
    patience: Duration,
) -> Result<Edited, EditError> {
    let reached = node.reached(path);
    if let Some(reason) = refusal::of_path(&reached) {
        return Err(EditError::Refused { path: path.to_owned(), reason });
    }
    let at = Place { path, reached: &reached };
    sweep_beside(&reached);
    let until = Instant::now() + patience;
    loop {
        let file = at.open()?;
        let before = settled(&file, until).map_err(at.failed("read it"))?;
        if !before.is_done {
            return Err(at.busy());
        }
        if is_replaced(&file, &reached) && Instant::now() < until {
            continue;
        }
        let after =
            change(&before.bytes).map_err(|source| EditError::Content { path: path.to_owned(), source })?;
        if after == before.bytes {
            return Ok(Edited::Unchanged);
        }
        let beside = Beside::write(&reached, &file, &after).map_err(|error| at.refused(error))?;
        let displaced = beside.exchange().map_err(|error| at.refused(error))?;
        let now = settled(&displaced, until).map_err(at.failed("read it"));
        let is_same = now.as_ref().is_ok_and(|now| now.is_done && now.bytes == before.bytes);
        if is_same && is_one(&file, &displaced) {
            beside.remove();
            return Ok(Edited::Changed { before: before.bytes, after });
        }
        // It is newer than what was read: it has its name back, and is read in its turn.
        beside.put_back().map_err(at.failed("put it back"))?;
        if !now?.is_done || Instant::now() > until {
            return Err(at.busy());
        }
    }
}

/// Removes what an edit of this file left that was killed. Where that is the file of a writer who has gone on, it gets its
/// name back.
pub(super) fn sweep(node: &Node, _: &Lock, path: &Path) {
    sweep_beside(&node.reached(path));
}

fn sweep_beside(reached: &Path) {
    let Some(folder) = reached.parent() else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(name) = name_of(&entry.file_name()).map(|name| folder.join(name)) else { continue };
        let left = Left { path: entry.path(), name };
        if left.is_newer().unwrap_or(false) && left.put_back().is_err() {
            continue;
        }
        let _ = std::fs::remove_file(&left.path);
    }
}

/// The file, as the node names it and as it is reached.
struct Place<'a> {
    path: &'a Path,
    reached: &'a Path,
}

impl Place<'_> {
    fn open(&self) -> Result<File, EditError> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW);
        let file = options.open(self.reached).map_err(self.failed("read it"))?;
        let metadata = file.metadata().map_err(self.failed("read it"))?;
        let refused = |reason| EditError::Refused { path: self.path.to_owned(), reason };
        if !metadata.is_file() {
            return Err(refused(format!("is a {}, expected a regular file", kind(&metadata))));
        }
        if metadata.size() > MAX_BYTES {
            return Err(refused(format!("is larger than {MAX_BYTES} bytes, which no network is")));
        }
        match refusal::of_file(&file, self.reached) {
            Some(reason) => Err(refused(reason)),
            None => Ok(file),
        }
    }

    fn failed(&self, what: &'static str) -> impl Fn(io::Error) -> EditError {
        let path = self.path.to_owned();
        move |source| EditError::System { path: path.clone(), what, source }
    }

    fn refused(&self, error: io::Error) -> EditError {
        match refusal::of_error(&error, self.reached) {
            Some(reason) => EditError::Refused { path: self.path.to_owned(), reason },
            None => self.failed("replace it")(error),
        }
    }

    fn busy(&self) -> EditError {
        EditError::Busy { path: self.path.to_owned() }
    }
}

/// The name of the file beside which one of this name was written.
fn name_of(name: &OsStr) -> Option<&OsStr> {
    let name = name.as_bytes().strip_prefix(b".")?.strip_suffix(ENDING.as_bytes())?;
    Some(OsStr::from_bytes(name))
}

fn is_one(one: &File, other: &File) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Whether another file has come in the place of this one.
fn is_replaced(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(file), Ok(there)) => (file.dev(), file.ino()) != (there.dev(), there.ino()),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
