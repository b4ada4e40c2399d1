//! The call's side of its helper: a forked process that does whatever may hang, waited for up to a limit.
//!
//! A helper that is late is left behind. When the delegate has ended, a second one is forked: it knows all that the call
//! knows, and goes on from there.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use super::messages::{self, ToCaller, ToHelper};

/// A message that the helper does not take within this time means that it hangs.
const SEND_LIMIT: Duration = Duration::from_millis(40);
/// A timeout of zero would mean none.
const LEAST: Duration = Duration::from_millis(1);

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
                let _ = ours.set_write_timeout(Some(SEND_LIMIT));
                Side::Caller(Helper { link: Some((ours, child)) })
            }
            Err(_) => none,
        }
    }

    /// The next message, if it comes within `limit`.
    pub(super) fn receive(&self, limit: Duration) -> Option<ToCaller> {
        let (socket, _) = self.link.as_ref()?;
        socket.set_read_timeout(Some(limit.max(LEAST))).ok()?;
        messages::read(socket).ok()
    }

    /// Sends a message, if the helper takes it.
    pub(super) fn send(&self, message: &ToHelper) {
        if let Some((socket, _)) = &self.link {
            let _ = messages::write(socket, message);
        }
    }

    /// Waits for the helper's end, at most for `limit`. One that is late goes on by itself, and init takes it.
    pub(super) fn finish(self, limit: Duration) {
        let until = Instant::now() + limit;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let Some((socket, pid)) = &self.link else { return };
            let _ = socket.set_read_timeout(Some(left.max(LEAST)));
            match messages::read::<ToCaller>(socket) {
                Ok(_) => {}
                // The kernel closes its end of the socket when the last of its threads has ended.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    let _ = waitpid(*pid, None);
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

#[allow(unsafe_code, reason = "there is no safe fork")]
fn fork_process() -> Result<ForkResult, nix::errno::Errno> {
    // SAFETY: the process that the runtime started has one thread, so the child may do whatever it could.
    unsafe { fork() }
}
