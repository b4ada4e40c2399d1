//! The delegate: the real plugin, run so that it cannot tell the difference.
//!
//! Environment, folder, umask, limits, signal mask and dispositions are handed on as the runtime gave them. Two things are
//! wanted to differ: the delegate has a process group of its own, so that all of it can be stopped at the deadline, and it
//! dies with cniscope (`PR_SET_PDEATHSIG`), as it would have died with the runtime's kill.

mod capture;
mod ending;
mod passage;
mod pump;
pub mod signals;
mod spawn;

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;

pub use capture::Capture;
#[cfg(test)]
pub(super) use capture::Keeps;
pub(in crate::shim) use ending::bury;
pub use ending::{End, Used};
use signals::Signals;
pub(in crate::shim) use spawn::become_program;
use spawn::{Child, Pipes};

/// How a delegate is to be run.
#[derive(Debug)]
pub struct Order<'a> {
    /// What stands on its stdin.
    pub stdin: &'a [u8],
    /// How long it may take.
    pub deadline: Option<Duration>,
    /// After exit status 0 its output is waited for until it is one whole JSON document.
    pub prints_document: bool,
}

/// A delegate that has been started: its process, and the signals that are read meanwhile instead of ending this one.
pub struct Delegate {
    child: Child,
    signals: Signals,
}

/// What a delegate that was started has done.
#[derive(Debug)]
pub struct Ended {
    /// Its process.
    pub pid: i32,
    /// How it ended.
    pub end: End,
    /// The deadline came before its end.
    pub at_deadline: bool,
    /// A signal to cniscope that was passed on to it.
    pub interrupted: Option<Signal>,
    /// What it printed.
    pub stdout: Capture,
    /// What it printed on stderr; it has been passed on already.
    pub stderr: Capture,
    /// When it was started.
    pub started: Instant,
    /// From its start to its end.
    pub took: Duration,
    /// What it used, with the children that it waited for.
    pub used: Used,
}

/// Starts the delegate at `path` when it may; nothing, if it may not.
///
/// # Errors
/// If it cannot be started.
pub fn start(path: &Path, may_start: &dyn Fn() -> bool) -> Result<Option<Delegate>, Errno> {
    let pipes = Pipes::new()?;
    let signals = Signals::take()?;
    Ok(spawn::spawn(path, pipes, &signals, may_start)?.map(|child| Delegate { child, signals }))
}

impl Delegate {
    /// Runs it to its end. It is to be [buried](bury) when the call has answered.
    #[must_use]
    pub fn run(self, order: &Order<'_>) -> Ended {
        let Delegate { child, signals } = self;
        let (pid, started) = (child.pid.as_raw(), child.started);
        let mut pump = pump::Pump::new(order, child, &signals);
        let (end, used) = pump.run();
        Ended {
            pid,
            end,
            at_deadline: pump.at_deadline(),
            interrupted: pump.interrupted(),
            started,
            took: pump.took(),
            used,
            stdout: pump.stdout,
            stderr: pump.stderr,
        }
    }
}
