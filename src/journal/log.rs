//! The program's own log, `cniscope.log` beside the journal: warnings and up.
//!
//! It is written directly: the non-blocking writer of `tracing-appender` loses lines when a process ends.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

use tracing::Level;
use tracing_appender::rolling::{RollingFileAppender, Rotation};

/// The log's name.
pub const NAME: &str = "cniscope.log";
/// When the log is larger than this, it becomes `cniscope.log.1`.
const MAX_BYTES: u64 = 1 << 20;

/// Writes a warning into the log in `dir`, which is opened at the first one of a process: most have none.
pub fn warn(dir: &Path, message: &str) {
    static OPENED: Once = Once::new();
    thread_local!(static WRITES: Cell<bool> = const { Cell::new(false) });
    // Panics are logged as well: one in here would wait for itself.
    if WRITES.replace(true) {
        return;
    }
    OPENED.call_once(|| open(dir));
    tracing::warn!("{message}");
    WRITES.set(false);
}

fn open(dir: &Path) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(Mutex::new(LogFile::new(dir.to_owned())))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The file, opened when there is something to write.
struct LogFile {
    dir: PathBuf,
    appender: Option<RollingFileAppender>,
}

impl LogFile {
    fn new(dir: PathBuf) -> LogFile {
        LogFile { dir, appender: None }
    }

    fn open(&self) -> Option<RollingFileAppender> {
        let path = self.dir.join(NAME);
        match std::fs::symlink_metadata(&path) {
            // The appender would wait for a FIFO's reader.
            Ok(metadata) if !metadata.is_file() => return None,
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                let _ = std::fs::rename(&path, self.dir.join(format!("{NAME}.1")));
            }
            _ => {}
        }
        RollingFileAppender::builder().rotation(Rotation::NEVER).filename_prefix(NAME).build(&self.dir).ok()
    }
}

/// That a line cannot be written changes nothing: there is nobody left to tell.
impl Write for LogFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.appender.is_none() {
            self.appender = self.open();
        }
        if let Some(appender) = &mut self.appender {
            let _ = appender.write_all(text);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lines_are_appended_and_a_large_log_is_moved_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        LogFile::new(dir.path().to_owned()).write_all(b"one\n").unwrap();
        LogFile::new(dir.path().to_owned()).write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        fs::write(&path, vec![b'x'; 1 << 21]).unwrap();
        LogFile::new(dir.path().to_owned()).write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(fs::metadata(dir.path().join("cniscope.log.1")).unwrap().len(), 1 << 21);
    }

    #[test]
    fn a_fifo_in_its_place_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join(NAME), nix::sys::stat::Mode::S_IRWXU).unwrap();
        LogFile::new(dir.path().to_owned()).write_all(b"one\n").unwrap();
    }
}
