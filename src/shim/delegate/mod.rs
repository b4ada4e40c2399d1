//! The delegate: the real plugin, run so that it cannot tell the difference.
//!
//! Environment, folder, umask, limits, signal mask and dispositions are handed on as the runtime gave them. Two things are
//! wanted to differ: the delegate has a process group of its own, so that all of it can be stopped at the deadline, and it
//! dies with cniscope (`PR_SET_PDEATHSIG`), as it would have died with the runtime's kill.

mod capture;
mod passage;
mod pump;
pub mod signals;
mod spawn;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;

pub use capture::Capture;
#[cfg(test)]
pub(super) use capture::Keeps;
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

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
}

impl End {
    /// The exit status by which a shell tells the same.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let code = match self {
            End::Exited(status) => status,
            End::Signaled { signal, .. } => 128 + signal,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

/// As Go's `os.ProcessState` prints it: `exit status 3`, `signal: killed`.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(status) => write!(f, "exit status {status}"),
            End::Signaled { signal, core_dumped } => {
                let core = if *core_dumped { " (core dumped)" } else { "" };
                write!(f, "signal: {}{core}", crate::cni::go::signal_text(*signal))
            }
        }
    }
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
    /// Its largest resident memory in KiB.
    pub max_rss_kb: i64,
    /// The processor time that it and the children it waited for have used.
    pub cpu: Duration,
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
    /// Runs it to its end.
    #[must_use]
    pub fn run(self, order: &Order<'_>) -> Ended {
        let Delegate { child, signals } = self;
        let (pid, started) = (child.pid.as_raw(), child.started);
        let mut pump = pump::Pump::new(order, child, &signals);
        let end = pump.run();
        // Only the delegate has been waited for so far: these are its numbers.
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).ok();
        let micros = |time: nix::sys::time::TimeVal| {
            Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
        };
        Ended {
            pid,
            end,
            at_deadline: pump.at_deadline(),
            interrupted: pump.interrupted(),
            started,
            took: pump.took(),
            max_rss_kb: usage.as_ref().map_or(0, nix::sys::resource::Usage::max_rss),
            cpu: usage
                .map_or(Duration::ZERO, |usage| micros(usage.user_time()) + micros(usage.system_time())),
            stdout: pump.stdout,
            stderr: pump.stderr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_read_as_in_go_and_as_in_a_shell() {
        let table = [
            (End::Exited(3), "exit status 3", 3),
            (End::Signaled { signal: 9, core_dumped: false }, "signal: killed", 137),
            (
                End::Signaled { signal: 11, core_dumped: true },
                "signal: segmentation fault (core dumped)",
                139,
            ),
        ];
        for (end, text, code) in table {
            assert_eq!((end.to_string().as_str(), end.exit_code()), (text, code));
        }
    }
}
