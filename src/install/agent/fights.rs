//! A limit on fights: how often a list is wrapped again that somebody else keeps writing back. Pure.
//!
//! An add-on rewrites its list when its Pod starts. The kubelet starts a container that ends at once again after 10, 20, 40,
//! 80 and 160 s, and then every 300 s: 16 starts in the first hour, after each of which the list is to be wrapped again. Who
//! writes more often does not start, but answers: Cilium writes its list back after every change in the folder, some dozens
//! of times a second. Every change makes the runtime load its configuration again, so such a fight is given up, until nobody
//! has changed the list for an hour.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often a list is wrapped again within [`WINDOW`].
pub const MOST: usize = 20;
/// The time in which that is counted, and for which a list has to be quiet before it is tried again.
pub const WINDOW: Duration = Duration::from_hours(1);

/// What is done with a list that is not wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is wrapped.
    Wrap,
    /// It stays as it is: if nobody changes it, until then.
    Leave(Instant),
}

/// The history of one list. `S` is what a change of the list shows by.
#[derive(Debug, Clone)]
pub struct Fight<S> {
    /// When it was wrapped again.
    again: VecDeque<Instant>,
    /// How often in all.
    total: u64,
    has_been_wrapped: bool,
    /// When somebody else last changed it, and how it looked then, while it is left as it is.
    given_up: Option<(Instant, S)>,
}

impl<S> Default for Fight<S> {
    fn default() -> Fight<S> {
        Fight { again: VecDeque::new(), total: 0, has_been_wrapped: false, given_up: None }
    }
}

impl<S: PartialEq> Fight<S> {
    /// The list is seen to be wrapped, whoever did it.
    pub fn is_wrapped(&mut self) {
        self.has_been_wrapped = true;
        self.given_up = None;
    }

    /// The list is seen not to be wrapped, and looks like this.
    pub fn is_not_wrapped(&mut self, now: Instant, looks: S) -> Verdict {
        if let Some((since, looked)) = &mut self.given_up {
            if *looked != looks {
                (*since, *looked) = (now, looks);
            }
            let until = *since + WINDOW;
            if now < until {
                return Verdict::Leave(until);
            }
            self.given_up = None;
            self.again.clear();
            return Verdict::Wrap;
        }
        self.again.retain(|then| now.duration_since(*then) < WINDOW);
        if self.again.len() < MOST {
            return Verdict::Wrap;
        }
        self.given_up = Some((now, looks));
        Verdict::Leave(now + WINDOW)
    }

    /// It has been wrapped. Gives whether that was done again.
    pub fn wrapped(&mut self, now: Instant) -> bool {
        let is_again = self.has_been_wrapped;
        if is_again {
            self.again.push_back(now);
            self.total += 1;
        }
        self.is_wrapped();
        is_again
    }

    /// It has been unwrapped on purpose: to wrap it the next time is not again.
    pub fn unwrapped(&mut self) {
        self.has_been_wrapped = false;
    }

    /// How often it was wrapped again in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether it is left as it is.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody writes the list back at each of these seconds; gives how often it was wrapped again, and whether it is given
    /// up in the end.
    fn fought(writes: impl IntoIterator<Item = u64>) -> (u64, bool) {
        let start = Instant::now();
        let mut fight = Fight::default();
        assert_eq!(fight.is_not_wrapped(start, u64::MAX), Verdict::Wrap);
        assert!(!fight.wrapped(start), "the first time is not again");
        for second in writes {
            let now = start + Duration::from_secs(second);
            if fight.is_not_wrapped(now, second) == Verdict::Wrap {
                assert!(fight.wrapped(now));
            }
        }
        (fight.total(), fight.is_given_up())
    }

    /// When the kubelet starts a container that always ends at once, for so long.
    fn crash_loop(seconds: u64) -> Vec<u64> {
        let mut starts = vec![0];
        let mut pause = 10;
        while starts.last().is_some_and(|last| last + pause < seconds) {
            starts.extend(starts.last().map(|last| last + pause));
            pause = (pause * 2).min(300);
        }
        starts
    }

    #[test]
    fn an_add_on_that_starts_as_often_as_the_kubelet_lets_it_is_not_given_up() {
        let starts = crash_loop(24 * 3600);
        assert_eq!(crash_loop(3600).len(), 16);
        assert_eq!(fought(starts.clone()), (starts.len() as u64, false));
    }

    #[test]
    fn who_answers_every_change_is_given_up_until_he_was_quiet_for_an_hour() {
        assert_eq!(fought(0..19), (19, false));
        assert_eq!(fought(0..20), (20, false));
        assert_eq!(fought(0..21), (20, true));
        assert_eq!(fought(0..3600), (20, true), "each change begins the hour anew");
        assert_eq!(fought((0..21).chain([3619])), (20, true));
        assert_eq!(fought((0..21).chain([20 + 3600])), (20, true), "that is a change too");
    }

    #[test]
    fn after_a_quiet_hour_it_is_tried_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut fight = Fight::default();
        fight.wrapped(start);
        for _ in 0..MOST {
            fight.wrapped(start);
        }
        assert_eq!(fight.is_not_wrapped(at(1), "a"), Verdict::Leave(at(3601)));
        assert_eq!(fight.is_not_wrapped(at(100), "a"), Verdict::Leave(at(3601)), "nobody changed it");
        assert_eq!(fight.is_not_wrapped(at(200), "b"), Verdict::Leave(at(3800)));
        assert_eq!(fight.is_not_wrapped(at(3800), "b"), Verdict::Wrap);
        assert!(fight.wrapped(at(3800)) && !fight.is_given_up());
        assert_eq!(fight.is_not_wrapped(at(3801), "c"), Verdict::Wrap, "all tries are there again");
    }

    #[test]
    fn what_somebody_else_wraps_is_not_given_up_any_more() {
        let now = Instant::now();
        let mut fight = Fight::default();
        for _ in 0..=MOST {
            fight.wrapped(now);
        }
        assert!(matches!(fight.is_not_wrapped(now, 1), Verdict::Leave(_)) && fight.is_given_up());
        fight.is_wrapped();
        assert!(!fight.is_given_up());
    }
}
