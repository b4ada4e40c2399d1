//! Processes that a plugin starts.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Place, eventually};

/// A process whose id a plugin has written into a file beside it. It is killed at the end of the test.
pub struct Left(Pid);

impl Left {
    /// Waits for the file, whose name this is, and reads it.
    pub fn of(place: &Place, file: &str) -> Left {
        let path = place.path("bin").join(file);
        Left(eventually(|| fs::read_to_string(&path).ok()?.trim().parse().ok().map(Pid::from_raw)))
    }

    /// Whether it is there; one that has ended is not, even if nobody has waited for it.
    pub fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    }

    /// Sends it a signal.
    pub fn send(&self, signal: Signal) {
        kill(self.0, signal).unwrap();
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = kill(self.0, Signal::SIGKILL);
        }
    }
}
