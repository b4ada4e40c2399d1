//! The signals of a call, and how the delegate gets them back as the runtime gave them.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals to cniscope that the delegate gets as well, unless they are ignored.
const PASSED_ON: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Whether SIGPIPE was ignored when the program was started.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Ignores SIGPIPE, since a reader that has gone is an error to handle and no reason to die, and remembers how it was.
pub fn ignore_sigpipe() {
    SIGPIPE_WAS_IGNORED.store(is_ignored(Signal::SIGPIPE), Ordering::Relaxed);
    let _ = set(Signal::SIGPIPE, SigHandler::SigIgn);
}

/// Whether this process ignores the signal.
#[allow(unsafe_code, reason = "nix cannot ask for a disposition without setting one")]
fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null pointer for the new action, sigaction(2) only fills in the old one.
    let asked = unsafe { libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: a zeroed sigaction is a valid one, and so is one that was filled in.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// The signals that a call listens to while the delegate runs.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    mask_before: SigSet,
    sigchld_was_ignored: bool,
}

impl Signals {
    /// From now on signals are read from a descriptor instead of ending the process.
    pub(super) fn take() -> Result<Signals, Errno> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        for signal in PASSED_ON {
            if !is_ignored(signal) {
                mask.add(signal);
            }
        }
        // Where SIGCHLD is ignored, the kernel throws away how children end (wait(2), notes).
        let sigchld_was_ignored = is_ignored(Signal::SIGCHLD);
        if sigchld_was_ignored {
            set(Signal::SIGCHLD, SigHandler::SigDfl)?;
        }
        let mut mask_before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut mask_before))?;
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { fd, mask_before, sigchld_was_ignored })
    }

    /// In the child that is to become the delegate: as the runtime gave them.
    pub(super) fn give_back(&self) -> Result<(), Errno> {
        give_back_sigpipe()?;
        if self.sigchld_was_ignored {
            set(Signal::SIGCHLD, SigHandler::SigIgn)?;
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask_before), None)
    }

    /// The next signal that has come, if any.
    pub(super) fn next(&self) -> Option<Signal> {
        let info = self.fd.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }

    /// The descriptor to wait on.
    pub(super) fn fd(&self) -> &SignalFd {
        &self.fd
    }
}

/// SIGPIPE as the runtime gave it, for a program that is about to be executed.
///
/// # Errors
/// If the system refuses.
pub fn give_back_sigpipe() -> Result<(), Errno> {
    if SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        return Ok(());
    }
    set(Signal::SIGPIPE, SigHandler::SigDfl)
}

#[allow(unsafe_code, reason = "dispositions can be changed in no other way")]
fn set(signal: Signal, handler: SigHandler) -> Result<(), Errno> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed, only default and ignore.
    unsafe { sigaction(signal, &action) }.map(drop)
}
