//! Feeds the delegate, drains it, and watches it, until its call is over.
//!
//! One loop over one poll(2): stdin is written while both output pipes are read, so nobody waits for anybody.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, read, write};

use super::Order;
use super::capture::{Capture, Keeps};
use super::ending::{End, Used, bury, look};
use super::passage::Passage;
use super::signals::Signals;
use super::spawn::Child;
use crate::cni::json;

/// The most that is kept of stdout.
pub const MAX_STDOUT: usize = 16 << 20;
/// The most that is kept of stderr.
pub const MAX_STDERR: usize = 1 << 20;
/// A process that still holds a pipe after the delegate's end is listened to until it is silent for this long.
const SILENCE: Duration = Duration::from_millis(250);
/// From SIGTERM at the deadline to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether what the delegate has started is gone: nobody tells when it is.
const LOOK: Duration = Duration::from_millis(10);
/// What a plugin prints is mostly the last thing that it does. How long, and how often in a call, only its end is waited for
/// then: it closes one pipe after the other, and who is woken for each keeps it from ending.
const END: Duration = Duration::from_millis(1);
const ENDS: u32 = 4;
/// From SIGKILL to giving up: a process in uninterruptible sleep does not die.
const GIVE_UP: Duration = Duration::from_secs(1);

/// What the deadline has led to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopping {
    NotYet,
    Terminated { at: Instant },
    Killed { at: Instant },
}

/// A running delegate.
pub(super) struct Pump<'a> {
    order: &'a Order<'a>,
    signals: &'a Signals,
    pid: Pid,
    started: Instant,
    stdin: Option<OwnedFd>,
    written: usize,
    stdout_pipe: Option<OwnedFd>,
    stderr_pipe: Option<OwnedFd>,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    passage: Passage<io::Stderr>,
    ended: Option<(End, Used, Instant)>,
    /// When something was last read, or the delegate ended.
    last_heard: Instant,
    /// How often something else came when its end was waited for.
    ends: u32,
    /// Something was read in this round.
    has_heard: bool,
    stopping: Stopping,
    interrupted: Option<Signal>,
}

impl<'a> Pump<'a> {
    pub(super) fn new(order: &'a Order<'a>, child: Child, signals: &'a Signals) -> Pump<'a> {
        Pump {
            order,
            signals,
            pid: child.pid,
            started: child.started,
            stdin: Some(child.stdin),
            written: 0,
            stdout_pipe: Some(child.stdout),
            stderr_pipe: Some(child.stderr),
            stdout: Capture::new(MAX_STDOUT, Keeps::Start),
            stderr: Capture::new(MAX_STDERR, Keeps::End),
            passage: Passage::new(io::stderr()),
            ended: None,
            last_heard: child.started,
            ends: 0,
            has_heard: false,
            stopping: Stopping::NotYet,
            interrupted: None,
        }
    }

    /// Runs the call to its end.
    pub(super) fn run(&mut self) -> (End, Used) {
        self.write_stdin();
        while !self.is_over() {
            self.stop_if_due();
            self.wait();
            while let Some(signal) = self.signals.next() {
                self.handle(signal);
            }
            self.write_stdin();
            self.read_outputs();
            self.passage.advance(PollTimeout::ZERO);
        }
        self.passage.finish();
        // A delegate that cannot even be killed is left to the kernel.
        let killed = End::Signaled { signal: libc::SIGKILL, core_dumped: false };
        self.ended.map_or((killed, Used::default()), |(end, used, _)| (end, used))
    }

    /// Whether the delegate did not end by itself in time.
    pub(super) fn at_deadline(&self) -> bool {
        self.stopping != Stopping::NotYet
    }

    /// The last signal that was passed on.
    pub(super) fn interrupted(&self) -> Option<Signal> {
        self.interrupted
    }

    /// From the delegate's start to its end.
    pub(super) fn took(&self) -> Duration {
        self.ended.map_or_else(|| self.started.elapsed(), |(.., at)| at - self.started)
    }

    fn is_over(&self) -> bool {
        let now = Instant::now();
        let Some((end, ..)) = self.ended else {
            return matches!(self.stopping, Stopping::Killed { at } if now >= at + GIVE_UP);
        };
        if self.has_left_others() {
            return false;
        }
        if self.stdout_pipe.is_none() && self.stderr_pipe.is_none() {
            return true;
        }
        let silent = now >= self.last_heard + SILENCE;
        silent && (!self.awaits_document(end) || self.is_past_deadline(now))
    }

    /// A plugin that prints through another process (`tee`) has exited before its output is there.
    fn awaits_document(&self, end: End) -> bool {
        self.order.prints_document
            && end == End::Exited(0)
            && self.stdout_pipe.is_some()
            && json::validate(self.stdout.bytes()).is_err()
    }

    fn is_past_deadline(&self, now: Instant) -> bool {
        self.order.deadline.is_some_and(|deadline| now >= self.started + deadline)
    }

    /// Whether processes of its group that were to end at the deadline have not.
    fn has_left_others(&self) -> bool {
        matches!(self.stopping, Stopping::Terminated { .. }) && killpg(self.pid, None).is_ok()
    }

    fn stop_if_due(&mut self) {
        let now = Instant::now();
        match self.stopping {
            Stopping::NotYet if self.ended.is_none() && self.is_past_deadline(now) => {
                let _ = killpg(self.pid, Signal::SIGTERM);
                self.stopping = Stopping::Terminated { at: now };
            }
            Stopping::Terminated { at } if now >= at + GRACE => {
                let _ = killpg(self.pid, Signal::SIGKILL);
                self.stopping = Stopping::Killed { at: now };
            }
            _ => {}
        }
    }

    /// When something is due without anybody saying a word.
    fn next_timer(&self) -> Option<Instant> {
        if self.ended.is_some() {
            if self.has_left_others() {
                return Some(Instant::now() + LOOK);
            }
            let silence = self.last_heard + SILENCE;
            // Waiting for a document, there is only the deadline left, or nothing.
            return if Instant::now() < silence {
                Some(silence)
            } else {
                self.order.deadline.map(|deadline| self.started + deadline)
            };
        }
        match self.stopping {
            Stopping::NotYet => self.order.deadline.map(|deadline| self.started + deadline),
            Stopping::Terminated { at } => Some(at + GRACE),
            Stopping::Killed { at } => Some(at + GIVE_UP),
        }
    }

    /// Whether it ended, or a signal came, right after it was heard.
    fn ends_now(&mut self) -> bool {
        let has_heard = std::mem::take(&mut self.has_heard);
        if !has_heard || self.ended.is_some() || self.stdin.is_some() || self.ends == ENDS {
            return false;
        }
        self.ends += 1;
        let mut fds = [PollFd::new(self.signals.fd().as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(END).unwrap_or(PollTimeout::ZERO)).is_ok_and(|ready| ready > 0)
    }

    fn wait(&mut self) {
        if self.ends_now() {
            return;
        }
        if self.ended.is_some() {
            // What it has left behind may take long.
            bury(self.pid.as_raw());
        }
        let mut fds = vec![PollFd::new(self.signals.fd().as_fd(), PollFlags::POLLIN)];
        let congested_until = self.passage.congested_until(Instant::now());
        let stderr_pipe = self.stderr_pipe.as_ref().filter(|_| congested_until.is_none());
        let outputs = self.stdout_pipe.iter().chain(stderr_pipe);
        fds.extend(outputs.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.stdin.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)));
        fds.extend(self.passage.waits_for().map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
        let timer = self.next_timer().into_iter().chain(congested_until).min();
        let timeout = timer.map_or(PollTimeout::NONE, |at| {
            // Rounded up: a poll that ends a little too early would come back at once.
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        // EINTR cannot be told from any other reason to look again.
        let _ = poll(&mut fds, timeout);
    }

    fn handle(&mut self, signal: Signal) {
        if signal == Signal::SIGCHLD {
            self.look();
        } else if self.ended.is_none() {
            // To the process alone, as the runtime's signal would have gone.
            let _ = kill(self.pid, signal);
            self.interrupted = Some(signal);
        }
    }

    fn look(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let Some((end, used)) = look(self.pid) else { return };
        let now = Instant::now();
        self.ended = Some((end, used, now));
        self.last_heard = now;
        self.stdin = None;
        if self.at_deadline() {
            // As long as it is kept, its process group is not empty.
            bury(self.pid.as_raw());
        }
    }

    /// Writes what the pipe takes. A delegate that does not read its stdin makes no error.
    fn write_stdin(&mut self) {
        let Some(pipe) = &self.stdin else { return };
        while self.written < self.order.stdin.len() {
            match write(pipe, &self.order.stdin[self.written..]) {
                Ok(length) => self.written += length,
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        self.stdin = None;
    }

    fn read_outputs(&mut self) {
        let open = self.open_pipes();
        if drain(&mut self.stdout_pipe, |chunk| self.stdout.push(chunk)) {
            self.last_heard = Instant::now();
            self.has_heard = true;
        }
        let now = Instant::now();
        let is_congested = self.passage.congested_until(now).is_some();
        let mut pass_on = |chunk: &[u8]| {
            self.stderr.push(chunk);
            self.passage.push(chunk);
        };
        // What is not listened to is not silent.
        if is_congested || drain(&mut self.stderr_pipe, &mut pass_on) {
            self.last_heard = now;
        }
        // A pipe that it has closed speaks of its end, too.
        self.has_heard |= self.open_pipes() != open;
    }

    /// Which of stdout and stderr have not come to their end.
    fn open_pipes(&self) -> (bool, bool) {
        (self.stdout_pipe.is_some(), self.stderr_pipe.is_some())
    }
}

/// Reads what there is, up to a piece for each turn; a pipe at its end is closed. Tells whether there was anything.
fn drain(pipe: &mut Option<OwnedFd>, mut take: impl FnMut(&[u8])) -> bool {
    const TURN: usize = 64;
    let mut buffer = [0; 8 * 1024];
    let mut heard = false;
    for _ in 0..TURN {
        let Some(open) = pipe else { break };
        match read(open.as_fd(), &mut buffer) {
            Ok(0) => *pipe = None,
            Ok(length) => {
                heard = true;
                take(&buffer[..length]);
            }
            Err(Errno::EAGAIN) => break,
            Err(Errno::EINTR) => {}
            Err(_) => *pipe = None,
        }
    }
    heard
}
