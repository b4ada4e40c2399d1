//! The process' three streams.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Opens `/dev/null` where the runtime gave no stream, so that no file of ours gets its number.
pub fn open_missing() {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let mut fds =
        [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].map(|fd| PollFd::new(fd, PollFlags::empty()));
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
    let mut stdin = Vec::with_capacity(4096);
    io::stdin().lock().read_to_end(&mut stdin)?;
    Ok(stdin)
}

/// Prints the answer. That the runtime does not listen any more is no error of the call.
pub(super) fn print(answer: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(answer).and_then(|()| stdout.flush());
}
