//! Appending to the journal: safe with hundreds of processes at a time, rotation included.
//!
//! An append takes no lock. It is one `write(2)` on `O_APPEND`, with a newline before it if the last line of the file
//! is not ended (the disk was full). Then the file is looked at: if it has been rotated out of existence meanwhile, or
//! the line has landed behind another one that was torn meanwhile, it is written once more.
//!
//! Rotation is guarded by `flock` on a file beside the journal, which is waited for only as long as a rotation takes:
//! whoever does not get it appends to the file that is there. A rotation that is killed leaves a gap in the numbers,
//! which the next one fills.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::node::Node;
use crate::settings::JournalSettings;

/// The name of the file that is appended to.
pub const CURRENT: &str = "journal.jsonl";
/// The name of the file that guards rotation.
const LOCK: &str = "journal.lock";
/// How often an append starts again because of other processes' rotations.
const TRIES: usize = 16;
/// Another process' rotation is looked at again after these milliseconds. In all they are much less than a call may wait.
const PAUSES: [u64; 4] = [1, 2, 4, 8];
/// Longer than the write of a line takes.
const WRITING: Duration = Duration::from_millis(1);

/// Why a line was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The system refused.
    #[error("{path}: cannot {what}: {source}", path = path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Something that is no regular file stands in the journal's place.
    #[error("{path}: is a {kind}, expected a regular file; move it away", path = path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The journal cannot be rotated and has reached its bound.
    #[error("{path}: {bytes} bytes and cannot be rotated: another process holds {LOCK}", path = path.display())]
    Full {
        /// The path.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Other processes rotate faster than this one can write.
    #[error("{path}: rotated away {TRIES} times", path = path.display())]
    Outrun {
        /// The path.
        path: PathBuf,
    },
}

/// The name of the `number`-th rotated file; 1 is the youngest.
#[must_use]
pub fn rotated(number: u32) -> String {
    format!("journal.{number}.jsonl")
}

/// Appends one line, which ends with a newline.
///
/// # Errors
/// If it could not be written as a whole.
pub fn append(settings: &JournalSettings, line: &[u8]) -> Result<(), AppendError> {
    let path = settings.dir.join(CURRENT);
    let failed = |what| {
        let path = path.clone();
        move |source| AppendError::System { path, what, source }
    };
    for turn in 0..TRIES {
        let file = open(settings, &path)?;
        let metadata = file.metadata().map_err(failed("look at it"))?;
        if !metadata.is_file() {
            let kind = crate::node::files::kind(&metadata);
            return Err(AppendError::Kind { path, kind });
        }
        let size = metadata.len();
        if size > 0 && size + line.len() as u64 > settings.max_bytes {
            // Where others fill every new file at once, a file that is too large is better than a lost record.
            if turn < TRIES / 2 && is_rotated(settings, &metadata)? {
                continue;
            }
            if size >= settings.max_bytes.saturating_mul(u64::from(settings.max_files)) {
                return Err(AppendError::Full { path, bytes: size });
            }
        }
        let is_whole = write(&file, size, line).map_err(failed("append to it"))?;
        let metadata = file.metadata().map_err(failed("look at it"))?;
        if is_whole && metadata.nlink() > 0 {
            return Ok(());
        }
    }
    Err(AppendError::Outrun { path })
}

/// One write of the whole line. `false` if it is part of another one: a process that wrote after the file had this `size`
/// was killed in the middle of its line, which the kernel tears between two pages.
fn write(mut file: &File, size: u64, line: &[u8]) -> io::Result<bool> {
    let torn = is_torn(file, size)?;
    let whole: std::borrow::Cow<'_, [u8]> = if torn { [b"\n", line].concat().into() } else { line.into() };
    let written = file.write(&whole)?;
    if written < whole.len() {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("{written} of {} bytes were written", whole.len()),
        ));
    }
    // With O_APPEND the position is behind what was written. Where that is where the file ended, nobody has come between.
    let start = file.stream_position()?.saturating_sub(line.len() as u64);
    Ok(torn || start == size || is_ended(file, start)?)
}

/// Whether the last line of a file of this size is not ended, and nobody is about to end it.
fn is_torn(file: &File, size: u64) -> io::Result<bool> {
    if is_ended(file, size)? {
        return Ok(false);
    }
    // What another process writes shows page by page.
    std::thread::sleep(WRITING);
    Ok(file.metadata()?.len() == size)
}

fn is_ended(file: &File, size: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if size > 0 {
        file.read_at(&mut last, size - 1)?;
    }
    Ok(last == [b'\n'])
}

fn open(settings: &JournalSettings, path: &Path) -> Result<File, AppendError> {
    let failed = |what| move |source| AppendError::System { path: path.to_owned(), what, source };
    for _ in 0..TRIES {
        match options().open(path) {
            Ok(file) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("open it")(error)),
        }
        match options().create_new(true).mode(settings.mode).open(path) {
            Ok(file) => {
                give_to_group(settings, &file);
                return Ok(file);
            }
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_folder(&settings.dir)?,
            Err(error) => return Err(failed("create it")(error)),
        }
    }
    Err(AppendError::Outrun { path: path.to_owned() })
}

/// Links are not followed, and a FIFO is not waited for.
fn options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).append(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

fn create_folder(dir: &Path) -> Result<(), AppendError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let create = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    create.map_err(|source| AppendError::System { path: dir.to_owned(), what: "create it", source })
}

/// The mode and the group, whatever the umask. A group that does not exist leaves the file to this process' own.
fn give_to_group(settings: &JournalSettings, file: &File) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = file.set_permissions(std::fs::Permissions::from_mode(settings.mode));
    if settings.group != "root"
        && let Some(group) = Node::this().group_id(&settings.group)
    {
        let _ = std::os::unix::fs::fchown(file, None, Some(group));
    }
}

/// Rotates, or waits for the process that does. `false` if that takes longer than a rotation.
fn is_rotated(settings: &JournalSettings, full: &std::fs::Metadata) -> Result<bool, AppendError> {
    for pause in PAUSES {
        if rotate(settings, full)? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(pause));
    }
    rotate(settings, full)
}

/// Moves the current file away, if it is still the one with `full`'s inode. `false` if another process holds the lock.
fn rotate(settings: &JournalSettings, full: &std::fs::Metadata) -> Result<bool, AppendError> {
    let path = settings.dir.join(LOCK);
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| AppendError::System { path, what, source }
    };
    let current = settings.dir.join(CURRENT);
    let is_still_full = || {
        std::fs::symlink_metadata(&current)
            .is_ok_and(|now| now.ino() == full.ino() && now.dev() == full.dev())
    };
    if !is_still_full() {
        return Ok(true);
    }
    let lock = options().create(true).mode(0o600).open(&path).map_err(failed("open it", &path))?;
    let Ok(_held) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else { return Ok(false) };
    if !is_still_full() {
        return Ok(true);
    }
    if settings.max_files == 1 {
        std::fs::remove_file(&current).map_err(failed("remove it", &current))?;
        return Ok(true);
    }
    // Up to the first free number: a gap that a killed rotation left is closed.
    let numbered = |number| settings.dir.join(rotated(number));
    let last =
        (1..settings.max_files).find(|number| !numbered(*number).exists()).unwrap_or(settings.max_files - 1);
    for number in (1..last).rev() {
        let from = numbered(number);
        std::fs::rename(&from, numbered(number + 1)).map_err(failed("rename it", &from))?;
    }
    std::fs::rename(&current, numbered(1)).map_err(failed("rename it", &current))?;
    remove_surplus(settings);
    Ok(true)
}

/// Keeps the journal within its bound: processes that look at a file's size at the same time make it larger than
/// `max_bytes`. The oldest files go then, but never the youngest.
fn remove_surplus(settings: &JournalSettings) {
    let room = settings.max_bytes.saturating_mul(u64::from(settings.max_files - 1));
    let mut total = 0;
    for path in (1..settings.max_files).map(|number| settings.dir.join(rotated(number))) {
        let is_youngest = total == 0;
        total += std::fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
        if total > room && !is_youngest {
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests;
