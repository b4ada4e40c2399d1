//! The call's side of its helper: a forked process that does whatever may hang, waited for up to a limit.
//!
//! A helper that is late is left behind. When the delegate has ended, a second one is forked: it knows all that the call
//! knows, and goes on from there.

use std::io::{self, Write};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use super::messages::{self, ToCaller, ToHelper};

/// How long the rest of a message may take whose first byte is there: it is short, and sent at once.
const REST: Duration = Duration::from_millis(1);

/// Which of the two processes this is.
pub(super) enum Side {
    /// The one that the runtime started.
    Caller(Helper),
    /// The helper, with its end of the socket.
    Helper(UnixStream),
}

/// The helper, as the call sees it. Where there is none, nothing comes of asking it.
#[derive(Debug)]
pub(super) struct Helper {
    link: Option<(UnixStream, Pid)>,
}

impl Helper {
    /// Forks. Where the system refuses, the call goes on without a helper.
    pub(super) fn fork() -> Side {
        let none = Side::Caller(Helper { link: None });
        let Ok((ours, theirs)) = UnixStream::pair() else { return none };
        match fork_process() {
            Ok(ForkResult::Child) => Side::Helper(theirs),
            Ok(ForkResult::Parent { child }) => {
                let _ = ours.set_read_timeout(Some(REST));
                Side::Caller(Helper { link: Some((ours, child)) })
            }
            Err(_) => none,
        }
    }

    /// Whether the delegate may start, once that is told; what is told late denies nothing. The message stays to be received.
    pub(super) fn allows(&self, until: Instant) -> bool {
        let Some((socket, _)) = &self.link else { return true };
        is_ready(socket, PollFlags::POLLIN, until).is_none() || !messages::is_denial(socket)
    }

    /// The next message, if it comes in time.
    pub(super) fn receive(&self, until: Instant) -> Option<ToCaller> {
        let (socket, _) = self.link.as_ref()?;
        is_ready(socket, PollFlags::POLLIN, until)?;
        messages::read(socket).ok()
    }

    /// Sends a message, if the helper takes it in time.
    pub(super) fn send(&self, message: &ToHelper, until: Instant) {
        if let Some((socket, _)) = &self.link {
            let _ = messages::write(Bounded { socket, until }, message);
        }
    }

    /// Waits until the helper has recorded the call. Its end is not waited for, since to give back its memory takes the kernel
    /// longer than a record: init takes it, as it takes every shim of containerd.
    pub(super) fn finish(self, until: Instant) {
        let Some((socket, pid)) = &self.link else { return };
        while is_ready(socket, PollFlags::POLLIN, until).is_some() {
            match messages::read(socket) {
                Ok(ToCaller::Recorded) => return,
                Ok(_) => {}
                // The kernel closes its end of the socket when the last of its threads has ended.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let _ = waitpid(*pid, None);
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

/// The way to a helper that may have stopped reading.
struct Bounded<'a> {
    socket: &'a UnixStream,
    until: Instant,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => {
                    is_ready(self.socket, PollFlags::POLLOUT, self.until).ok_or(io::ErrorKind::TimedOut)?;
                }
                sent => return Ok(sent?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits with poll(2), which is exact: a timeout of the socket itself is rounded up to the kernel's ticks, a long one by 32
/// ms. `None` if nothing comes of it in time; what is there already is never late.
fn is_ready(socket: &UnixStream, what: PollFlags, until: Instant) -> Option<()> {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left + Duration::from_micros(999)).ok()?;
    let ready = poll(&mut [PollFd::new(socket.as_fd(), what)], timeout).ok()?;
    (ready > 0).then_some(())
}

#[allow(unsafe_code, reason = "there is no safe fork")]
fn fork_process() -> Result<ForkResult, nix::errno::Errno> {
    // SAFETY: the process that the runtime started has one thread, so the child may do whatever it could.
    unsafe { fork() }
}
