//! Work on the parts of something long, done side by side and handed on in the order of the parts.
//!
//! Only so many parts are in memory as are under way, and their buffers are used again: on small machines, new memory
//! costs more than what is done with it.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

/// How many parts a worker has before it, the one that it works on included.
const AHEAD: usize = 2;
/// More workers than this wait for the one who brings the parts.
const MAX_WORKERS: usize = 8;

/// Where the parts come in.
pub struct Parts<R> {
    empty: Receiver<Vec<u8>>,
    full: SyncSender<(Vec<u8>, SyncSender<R>)>,
    ordered: SyncSender<Receiver<R>>,
}

impl<R> Parts<R> {
    /// A buffer to fill; `None` if nobody wants more. It is not emptied of what stood in it before.
    pub fn buffer(&self) -> Option<Vec<u8>> {
        self.empty.recv().ok()
    }

    /// Hands over the next part.
    pub fn put(&self, part: Vec<u8>) -> ControlFlow<()> {
        let (done, result) = sync_channel(1);
        if self.ordered.send(result).is_err() || self.full.send((part, done)).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Runs `bring`, which puts the parts in, `work` on each of them, and `take` on the results, in the order of the parts,
/// until it breaks off.
pub fn run<R: Send, B: Send>(
    bring: impl FnOnce(&Parts<R>) -> B + Send,
    work: impl Fn(&mut Vec<u8>) -> R + Sync,
    mut take: impl FnMut(R) -> ControlFlow<()>,
) -> Option<B> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let parts = workers * AHEAD;
    let (give_back, empty) = channel();
    let (full, waiting) = sync_channel::<(Vec<u8>, SyncSender<R>)>(parts);
    let (ordered, results) = sync_channel(parts);
    for _ in 0..=parts {
        let _ = give_back.send(Vec::new());
    }
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        let bringing = scope.spawn(move || bring(&Parts { empty, full, ordered }));
        for _ in 0..workers {
            let (give_back, waiting, work) = (give_back.clone(), &waiting, &work);
            scope.spawn(move || {
                loop {
                    let next = waiting.lock().ok().and_then(|waiting| waiting.recv().ok());
                    let Some((mut part, done)) = next else { return };
                    let _ = done.send(work(&mut part));
                    let _ = give_back.send(part);
                }
            });
        }
        drop(give_back);
        while let Some(result) = results.recv().ok().and_then(|result| result.recv().ok()) {
            if take(result).is_break() {
                break;
            }
        }
        drop(results);
        bringing.join().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(parts: &Parts<u64>, count: u64) -> u64 {
        let mut brought = 0;
        for number in 0..count {
            let Some(mut buffer) = parts.buffer() else { break };
            buffer.clear();
            buffer.extend(number.to_le_bytes());
            if parts.put(buffer).is_break() {
                break;
            }
            brought += 1;
        }
        brought
    }

    fn number(part: &mut Vec<u8>) -> u64 {
        u64::from_le_bytes(part.as_slice().try_into().unwrap())
    }

    #[test]
    fn results_come_in_the_order_of_the_parts() {
        let mut taken = Vec::new();
        let brought = run(
            |parts| numbers(parts, 1000),
            number,
            |result| {
                taken.push(result);
                ControlFlow::Continue(())
            },
        );
        assert_eq!((brought, taken), (Some(1000), (0..1000).collect()));
    }

    #[test]
    fn who_has_enough_breaks_off() {
        let mut last = 0;
        let brought = run(
            |parts| numbers(parts, u64::MAX),
            number,
            |result| {
                last = result;
                if result == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert_eq!(last, 10);
        assert!(brought.is_some_and(|brought| brought < 100), "{brought:?}");
    }

    #[test]
    fn nothing_is_brought_and_nothing_taken() {
        assert_eq!(run(|_: &Parts<u64>| 5, number, |_| ControlFlow::Continue(())), Some(5));
    }
}
