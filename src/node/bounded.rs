//! Work that may hang, done in a thread that its caller can leave behind.
//!
//! A thread in uninterruptible sleep (a frozen or dead disk) cannot be ended by anybody. All that can be done is not
//! to wait for it.

use std::sync::mpsc;
use std::time::Duration;

/// Runs `work` in a thread of its own and waits for its result, at most for `limit`.
///
/// `None` if the work took longer, panicked, or no thread could be had. The thread may then still be running.
pub fn run<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    spawn(move || {
        let _ = sender.send(work());
    })?;
    receiver.recv_timeout(limit).ok()
}

/// Starts a thread for work of cniscope's own. `None` if the system has none to give.
pub fn spawn(work: impl FnOnce() + Send + 'static) -> Option<()> {
    // A check parses small files: the default of 2 MiB of stack would only cost page tables.
    let builder = std::thread::Builder::new().stack_size(512 * 1024);
    builder.spawn(work).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn gives_the_result() {
        assert_eq!(run(Duration::from_secs(10), || 7), Some(7));
    }

    #[test]
    fn leaves_what_hangs() {
        let started = Instant::now();
        assert_eq!(run(Duration::from_millis(20), || std::thread::sleep(Duration::from_mins(1))), None);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_panic_is_no_result() {
        assert_eq!(run(Duration::from_secs(10), || -> u8 { panic!("on purpose") }), None);
    }
}
