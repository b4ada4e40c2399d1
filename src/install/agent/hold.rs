//! One agent a node: the one that holds the lock.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The name of its file.
pub const NAME: &str = "agent.lock";

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Held {
    /// This process has it, as long as this lives.
    Own(File),
    /// Another one has it, whose id this is if it says so.
    OfAnother(Option<u32>),
    /// Nobody can have it.
    Impossible(io::Error),
}

/// Asks for the lock in this folder, which is made if it is not there.
#[must_use]
pub fn take(folder: &Path) -> Held {
    match open(folder).and_then(locked) {
        Ok(held) => held,
        Err(error) => Held::Impossible(error),
    }
}

fn open(folder: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(folder.join(NAME))
}

fn locked(mut file: File) -> io::Result<Held> {
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())?;
            Ok(Held::Own(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.take(16).read_to_string(&mut pid)?;
            Ok(Held::OfAnother(pid.trim().parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_it_and_has_it_after_him() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let Held::Own(held) = take(&state) else { panic!("nobody has it") };
        let Held::OfAnother(pid) = take(&state) else { panic!("somebody has it") };
        assert_eq!(pid, Some(std::process::id()));
        drop(held);
        assert!(matches!(take(&state), Held::Own(_)));
    }

    #[test]
    fn where_there_can_be_none_nobody_has_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(take(&folder.path().join("file")), Held::Impossible(_)));
    }
}
