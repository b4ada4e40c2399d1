//! What an edit left that was killed: the new file, if the two had not changed names yet, else the one that stood there.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::super::conflist::unwrap;
use super::beside::change_names;
use super::settled::{is_open_for_writing, read};

/// A file that was left, and the one beside which it stands.
pub(super) struct Left {
    /// Where it stands.
    pub(super) path: PathBuf,
    /// The name of the other.
    pub(super) name: PathBuf,
}

impl Left {
    /// Whether it is the file of a writer who has gone on since: nobody else opens it. What he has finished is known by
    /// its time, and by saying something else.
    pub(super) fn is_newer(&self) -> io::Result<bool> {
        let (left, there) = (File::open(&self.path)?, File::open(&self.name)?);
        if is_open_for_writing(&left) == Some(true) {
            return Ok(true);
        }
        let is_later = left.metadata()?.modified()? > there.metadata()?.modified()?;
        Ok(is_later && says_another(&read(&left)?, &read(&there)?))
    }

    /// The two files take each other's name.
    pub(super) fn put_back(&self) -> io::Result<()> {
        change_names(&self.path, &self.name)
    }
}

/// Whether a whole configuration is another one than what stands there, however both are wrapped.
fn says_another(left: &[u8], there: &[u8]) -> bool {
    match (unwrap(left), unwrap(there)) {
        (Ok(left), Ok(there)) => left != there,
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    }
}
