//! The process' three streams, without the standard library's: its buffers and locks are of no use to one answer, and are
//! paid for in pages.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::stdio::{stderr, stdin, stdout};

/// Opens `/dev/null` where the runtime gave no stream, so that no file of ours gets its number.
pub fn open_missing() {
    let mut fds = [stdin(), stdout(), stderr()].map(|fd| PollFd::new(fd, PollFlags::empty()));
    let _ = poll(&mut fds, PollTimeout::ZERO);
    if fds.iter().any(|fd| fd.revents().is_some_and(|events| events.contains(PollFlags::POLLNVAL))) {
        while let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
            if null.as_raw_fd() > 2 {
                return;
            }
            std::mem::forget(null);
        }
    }
}

/// Reads stdin to its end.
pub(super) fn read_stdin() -> io::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(4096);
    loop {
        match rustix::io::read(stdin(), spare_capacity(&mut read)) {
            Ok(0) => return Ok(read),
            Ok(_) if read.len() == read.capacity() => read.reserve(read.len()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(stdin(), PollFlags::POLLIN),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Prints the answer. That the runtime does not listen any more is no error of the call.
pub(super) fn print(answer: &[u8]) {
    let mut left = answer;
    while !left.is_empty() {
        match rustix::io::write(stdout(), left) {
            Ok(0) => return,
            Ok(written) => left = &left[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(stdout(), PollFlags::POLLOUT),
            Err(_) => return,
        }
    }
}

/// For a stream that the runtime has set not to block.
fn wait(stream: BorrowedFd<'_>, what: PollFlags) {
    let _ = poll(&mut [PollFd::new(stream, what)], PollTimeout::NONE);
}
