//! A file whose writer may not be done yet.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::{Duration, Instant};

use super::MAX_BYTES;
use crate::cni::json;

/// How often it is looked.
const STEP: Duration = Duration::from_millis(10);
/// Where the kernel does not tell whether it is open for writing, a file that has stood still for so long is done.
const STILL: Duration = Duration::from_millis(500);

/// fcntl(2)'s command that says which signal tells of a lease (`linux/fcntl.h`).
const F_SETSIG: i32 = 10;

/// What is in a file.
pub(super) struct Content {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Nobody writes to it any more.
    pub(super) is_done: bool,
}

/// What is in a file when its writer is done: nobody has it open for writing, and it is JSON. Or what is in it at the given
/// time.
pub(super) fn settled(file: &File, until: Instant) -> io::Result<Content> {
    let mut last = None;
    let mut since = Instant::now();
    loop {
        let is_written = is_open_for_writing(file);
        let seen = (read(file)?, file.metadata()?.mtime_nsec());
        if last.as_ref() != Some(&seen) {
            since = Instant::now();
        }
        let is_done = is_written.map_or(since.elapsed() >= STILL, |is_written| !is_written);
        // What is no JSON may have a writer that opens it once more.
        let is_left = json::validate(&seen.0).is_ok() || since.elapsed() >= STILL;
        if is_done && is_left || Instant::now() >= until {
            return Ok(Content { bytes: seen.0, is_done });
        }
        last = Some(seen);
        std::thread::sleep(STEP);
    }
}

pub(super) fn read(file: &File) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.size().min(MAX_BYTES + 1);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut at = 0;
    while at < bytes.len() {
        match file.read_at(&mut bytes[at..], at as u64)? {
            0 => break,
            read => at += read,
        }
    }
    bytes.truncate(at);
    Ok(bytes)
}

/// Whether somebody has the file open for writing; `None` where the kernel does not tell. It tells by refusing a lease,
/// which is given back at once: who opens the file in this moment waits for that long.
#[allow(unsafe_code, reason = "no library asks for a lease")]
pub(super) fn is_open_for_writing(file: &File) -> Option<bool> {
    let fd = file.as_raw_fd();
    // SAFETY: system calls with numbers only, about a descriptor that is open. The signal by which the kernel would claim
    // the lease back is one that is ignored, not SIGIO, which would end the process.
    let leased = unsafe {
        libc::fcntl(fd, F_SETSIG, libc::SIGURG);
        libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK)
    };
    if leased == 0 {
        // SAFETY: as above.
        unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) };
        return Some(false);
    }
    (io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)).then_some(true)
}
