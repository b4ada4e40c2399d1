//! Passes the delegate's stderr on to the runtime while it is printed, as it would be seen without cniscope: a runtime that
//! kills a call quotes it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What the runtime has not taken yet is kept up to this.
const MAX_PENDING: usize = 1 << 20;
/// With more than this, the delegate is held up, as it would be by the runtime's own pipe.
const CONGESTED: usize = MAX_PENDING / 2;
/// A pipe that is writable takes this much at once (`PIPE_BUF`, pipe(7)).
const STEP: usize = 4096;
/// How long the runtime is given to take the next piece. One that takes nothing holds nobody up any longer.
const PATIENCE_MILLISECONDS: u16 = 1000;

/// Bytes on their way to a descriptor that is not ours to change: its flags belong to whoever else holds it.
#[derive(Debug)]
pub struct Passage<T> {
    to: T,
    pending: Vec<u8>,
    closed: bool,
    /// Since when something has been waiting to be taken.
    waiting_since: Instant,
}

impl<T: AsFd> Passage<T> {
    pub(super) fn new(to: T) -> Passage<T> {
        Passage { to, pending: Vec::new(), closed: false, waiting_since: Instant::now() }
    }

    /// Takes what was read, and passes on what can be passed on now.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        if self.pending.is_empty() {
            self.waiting_since = Instant::now();
        }
        let room = MAX_PENDING - self.pending.len();
        if !self.closed {
            self.pending.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        self.advance(PollTimeout::ZERO);
    }

    /// The descriptor, where something waits for it to become writable.
    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        (!self.pending.is_empty()).then(|| self.to.as_fd())
    }

    /// Until when nothing more should be read for it, where the runtime is slow.
    pub(super) fn congested_until(&self, now: Instant) -> Option<Instant> {
        let until = self.waiting_since + Duration::from_millis(PATIENCE_MILLISECONDS.into());
        (self.pending.len() > CONGESTED && now < until).then_some(until)
    }

    /// Passes on what is left, as long as somebody takes it.
    pub(super) fn finish(&mut self) {
        self.advance(PollTimeout::from(PATIENCE_MILLISECONDS));
    }

    pub(super) fn advance(&mut self, patience: PollTimeout) {
        let mut written = 0;
        while written < self.pending.len() && self.is_writable(patience) {
            let step = &self.pending[written..self.pending.len().min(written + STEP)];
            match nix::unistd::write(self.to.as_fd(), step) {
                Ok(length) => written += length,
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.closed = true;
                    self.pending.clear();
                    return;
                }
            }
        }
        if written > 0 {
            self.waiting_since = Instant::now();
            self.pending.drain(..written);
        }
    }

    fn is_writable(&self, patience: PollTimeout) -> bool {
        let mut fds = [PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)];
        poll(&mut fds, patience).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_reader_that_sleeps_holds_nobody_up_and_gets_it_later() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let mut passage = Passage::new(writer);
        for _ in 0..50 {
            passage.push(&[b'x'; 8192]);
        }
        assert!(passage.waits_for().is_some());
        let thread = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::fs::File::from(reader).read_to_end(&mut all).unwrap();
            all.len()
        });
        passage.finish();
        drop(passage);
        assert_eq!(thread.join().unwrap(), 50 * 8192);
    }

    #[test]
    fn a_reader_that_is_slow_holds_up_who_writes_until_it_takes_nothing_more() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let mut passage = Passage::new(writer);
        let is_congested = |passage: &Passage<_>, later: u64| {
            passage.congested_until(Instant::now() + Duration::from_millis(later)).is_some()
        };
        passage.push(&vec![b'x'; 100_000]);
        assert!(!is_congested(&passage, 0));
        passage.push(&vec![b'x'; CONGESTED + 100_000]);
        assert!(is_congested(&passage, 0));
        assert!(!is_congested(&passage, 1001));
        let mut taken = vec![0; 300_000];
        let mut reader = std::fs::File::from(reader);
        for piece in taken.chunks_mut(30_000) {
            reader.read_exact(piece).unwrap();
            passage.advance(PollTimeout::ZERO);
        }
        assert!(!is_congested(&passage, 0));
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        let mut passage = Passage::new(writer);
        passage.push(b"x");
        passage.push(b"y");
        assert!(passage.waits_for().is_none());
    }
}
