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
    // With O_APPEND the position is behind what was written.
    let start = file.stream_position()?.saturating_sub(line.len() as u64);
    Ok(torn || is_ended(file, start)?)
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
mod tests {
    use super::*;
    use crate::settings::Settings;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn settings(dir: &Path) -> JournalSettings {
        JournalSettings { dir: dir.to_owned(), max_bytes: 20, max_files: 3, ..Settings::default().journal }
    }

    fn files(dir: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn expect(dir: &Path, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(files(dir), expected);
    }

    #[test]
    fn files_are_rotated_before_they_grow_too_large_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        for line in ["1111111\n", "2222222\n", "3333333\n", "4444444\n"] {
            append(&settings(dir.path()), line.as_bytes()).unwrap();
        }
        expect(
            dir.path(),
            &[("journal.1.jsonl", "1111111\n2222222\n"), ("journal.jsonl", "3333333\n4444444\n")],
        );
        for line in ["5\n", "666666666666666666\n", "777777777777777777\n"] {
            append(&settings(dir.path()), line.as_bytes()).unwrap();
        }
        expect(
            dir.path(),
            &[
                ("journal.1.jsonl", "666666666666666666\n"),
                ("journal.2.jsonl", "3333333\n4444444\n5\n"),
                ("journal.jsonl", "777777777777777777\n"),
            ],
        );
    }

    #[test]
    fn a_line_larger_than_a_file_is_written_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let line = format!("{}\n", "x".repeat(100));
        append(&settings(dir.path()), line.as_bytes()).unwrap();
        append(&settings(dir.path()), b"y\n").unwrap();
        expect(dir.path(), &[("journal.1.jsonl", &line), ("journal.jsonl", "y\n")]);
    }

    #[test]
    fn a_torn_line_is_ended_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CURRENT), "{\"to").unwrap();
        append(&settings(dir.path()), b"{}\n").unwrap();
        expect(dir.path(), &[("journal.jsonl", "{\"to\n{}\n")]);
    }

    #[test]
    fn a_line_behind_one_that_was_torn_meanwhile_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CURRENT);
        fs::write(&path, "{}\n{\"to").unwrap();
        let file = options().open(&path).unwrap();
        assert!(!write(&file, 3, b"{}\n").unwrap());
        assert!(write(&file, 11, b"{}\n").unwrap());
        expect(dir.path(), &[("journal.jsonl", "{}\n{\"to{}\n{}\n")]);
    }

    #[test]
    fn the_oldest_files_go_when_others_are_larger_than_they_should_be() {
        let dir = tempfile::tempdir().unwrap();
        for (name, size) in [(CURRENT.to_owned(), 30), (rotated(1), 20), (rotated(2), 20)] {
            fs::write(dir.path().join(name), "x".repeat(size - 1) + "\n").unwrap();
        }
        append(&JournalSettings { max_files: 4, ..settings(dir.path()) }, b"now\n").unwrap();
        let sizes: Vec<_> = files(dir.path()).into_iter().map(|(name, text)| (name, text.len())).collect();
        let expected = [("journal.1.jsonl", 30), ("journal.2.jsonl", 20), ("journal.jsonl", 4)];
        assert_eq!(sizes, expected.map(|(name, size)| (name.to_owned(), size)));
    }

    #[test]
    fn another_process_rotation_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let current = dir.path().join(CURRENT);
        fs::write(&current, "x".repeat(19) + "\n").unwrap();
        let full = fs::metadata(&current).unwrap();
        let lock = File::create(dir.path().join(LOCK)).unwrap();
        let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
        assert!(!rotate(&settings(dir.path()), &full).unwrap());
        let rotates = std::thread::spawn(move || {
            fs::rename(&current, current.with_file_name(rotated(1))).unwrap();
            drop(held);
        });
        assert!(is_rotated(&settings(dir.path()), &full).unwrap());
        rotates.join().unwrap();
    }

    #[test]
    fn a_gap_that_a_killed_rotation_left_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        let settings = JournalSettings { max_files: 5, ..settings(dir.path()) };
        fs::write(dir.path().join(rotated(1)), "new\n").unwrap();
        fs::write(dir.path().join(rotated(3)), "old\n").unwrap();
        fs::write(dir.path().join(CURRENT), "x".repeat(19) + "\n").unwrap();
        append(&settings, b"now\n").unwrap();
        expect(
            dir.path(),
            &[
                ("journal.1.jsonl", "xxxxxxxxxxxxxxxxxxx\n"),
                ("journal.2.jsonl", "new\n"),
                ("journal.3.jsonl", "old\n"),
                ("journal.jsonl", "now\n"),
            ],
        );
    }

    #[test]
    fn one_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let settings = JournalSettings { max_files: 1, ..settings(dir.path()) };
        for line in ["111111111111\n", "222222222222\n"] {
            append(&settings, line.as_bytes()).unwrap();
        }
        expect(dir.path(), &[("journal.jsonl", "222222222222\n")]);
    }

    #[test]
    fn a_held_lock_lets_the_file_grow_up_to_the_bound_of_the_whole_journal() {
        let dir = tempfile::tempdir().unwrap();
        let lock = File::create(dir.path().join(LOCK)).unwrap();
        let _held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
        for _ in 0..6 {
            append(&settings(dir.path()), b"123456789\n").unwrap();
        }
        let error = append(&settings(dir.path()), b"123456789\n").unwrap_err().to_string();
        assert!(
            error.ends_with(
                "journal.jsonl: 60 bytes and cannot be rotated: another process holds journal.lock"
            )
        );
    }

    #[test]
    fn a_file_and_its_folder_are_made_with_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("log/cniscope");
        append(&JournalSettings { mode: 0o640, ..settings(&folder) }, b"1\n").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(CURRENT))), (0o700, 0o640));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join(CURRENT), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = append(&settings(dir.path()), b"1\n").unwrap_err().to_string();
        assert!(
            error.ends_with("journal.jsonl: is a FIFO, expected a regular file; move it away"),
            "{error}"
        );
        fs::remove_file(dir.path().join(CURRENT)).unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join(CURRENT)).unwrap();
        let error = append(&settings(dir.path()), b"1\n").unwrap_err().to_string();
        assert!(error.contains("cannot open it: Too many levels of symbolic links"), "{error}");
    }
}
