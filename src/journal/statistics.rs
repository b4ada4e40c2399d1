//! What many calls have in common: how many there were, how many failed and why, and how long they took. Pure; calls come one
//! after the other and are not kept, so what it costs does not grow with their number.

use std::collections::BTreeMap;

use super::head::{self, Head};
use super::read::Call;
use super::stored::Stored;

/// How far a percentile may be from the exact one, as a part of it. The largest and the smallest are exact.
pub const ERROR: f64 = 0.01;
/// Each bucket's upper bound by its lower one, so that the middle of a bucket is off by no more than [`ERROR`].
const GROWTH: f64 = (1.0 + ERROR) / (1.0 - ERROR);
/// What is shorter than this, in milliseconds, is told apart from nothing.
const LEAST: f64 = 0.001;
/// What is longer is counted as this: a year.
const MOST: f64 = 366.0 * 24.0 * 3600.0 * 1e3;

/// What statistics need to know of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it began, RFC 3339 in UTC.
    pub time: Box<str>,
    /// How long it took, in milliseconds; `None` where its end is not recorded.
    pub took: Option<f64>,
    /// What became of it.
    pub ended: Ended,
    /// Why it failed, or why its network is suspect. Where no cause is recorded, what became of it: `killed`, `unfinished`.
    pub cause: Option<Box<str>>,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It did what it was to do.
    Well,
    /// Its plugin said that all is well, but the network is not there.
    Suspect,
    /// It failed.
    Failed,
    /// It is still running.
    NotYet,
}

impl Sample {
    /// Of a call of which only the head was read.
    #[must_use]
    pub fn of_head(call: &Head) -> Sample {
        Sample::new(&call.outcome, &call.cause, &call.time, call.duration_ms)
    }

    /// Of a call.
    #[must_use]
    pub fn of(call: &Call) -> Sample {
        let took = call.record["duration_ms"].as_f64();
        Sample::new(&call.outcome, call.text("cause"), call.text("time"), took)
    }

    fn new(outcome: &str, cause: &str, time: &str, took: Option<f64>) -> Sample {
        let ended = match () {
            () if outcome == "running" => Ended::NotYet,
            () if head::has_failed(outcome) => Ended::Failed,
            () if head::is_suspect(outcome, cause) => Ended::Suspect,
            () => Ended::Well,
        };
        let cause = match (ended, cause) {
            (Ended::Failed, "") => Some(outcome.into()),
            (Ended::Failed | Ended::Suspect, cause) => Some(cause.into()),
            (Ended::Well | Ended::NotYet, _) => None,
        };
        Sample { time: time.into(), took, ended, cause }
    }
}

/// Calls, counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// All that have ended, well or not.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that went well by their plugin's word, and left no network that works.
    pub suspects: u64,
    /// Those that are still running.
    pub running: u64,
    /// How long they took.
    pub durations: Durations,
    /// When the first one began, RFC 3339 in UTC; empty where there is none.
    pub first: String,
    /// When the last one began.
    pub last: String,
}

impl Group {
    /// Counts a call.
    pub fn add(&mut self, sample: &Sample) {
        match sample.ended {
            Ended::NotYet => self.running += 1,
            Ended::Well => self.calls += 1,
            Ended::Suspect => {
                self.calls += 1;
                self.suspects += 1;
            }
            Ended::Failed => {
                self.calls += 1;
                self.failures += 1;
            }
        }
        if let Some(took) = sample.took {
            self.durations.add(took);
        }
        if !sample.time.is_empty() && (self.first.is_empty() || *sample.time < *self.first) {
            self.first = sample.time.to_string();
        }
        if *sample.time > *self.last {
            self.last = sample.time.to_string();
        }
    }

    /// Which part of the calls failed, from 0 to 1.
    #[must_use]
    pub fn failure_rate(&self) -> f64 {
        part(self.failures, self.calls)
    }
}

/// One number as a part of another; 0 of nothing.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 calls")]
pub fn part(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

/// How long calls took: buckets whose bounds grow by the same factor, of which only those are kept that hold something.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    buckets: BTreeMap<u16, u64>,
    count: u64,
    least: f64,
    most: f64,
}

impl Durations {
    /// Counts a duration in milliseconds. What is no number is not counted.
    pub fn add(&mut self, milliseconds: f64) {
        if !milliseconds.is_finite() {
            return;
        }
        let milliseconds = milliseconds.clamp(0.0, MOST);
        self.least = if self.count == 0 { milliseconds } else { self.least.min(milliseconds) };
        self.most = self.most.max(milliseconds);
        self.count += 1;
        *self.buckets.entry(bucket(milliseconds)).or_default() += 1;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, in milliseconds, exact; `None` where there is none.
    #[must_use]
    pub fn most(&self) -> Option<f64> {
        (self.count > 0).then_some(self.most)
    }

    /// The duration that this part of them did not exceed, in milliseconds: the one of that rank, but for [`ERROR`]. `None`
    /// where there is none.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank from 1 to the count"
    )]
    pub fn percentile(&self, part: f64) -> Option<f64> {
        let rank = (part * self.count as f64).ceil().clamp(1.0, self.count.max(1) as f64) as u64;
        let mut below = 0;
        let holder = self.buckets.iter().find(|(_, count)| {
            below += **count;
            below >= rank
        });
        holder.map(|(bucket, _)| middle(*bucket).clamp(self.least, self.most))
    }

    /// How many there are up to each of the `bounds` (milliseconds, rising) and above the one before it; those above the last
    /// bound come last. A bucket that a bound cuts is counted where its middle is.
    #[must_use]
    pub fn histogram(&self, bounds: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        for (bucket, count) in &self.buckets {
            let middle = middle(*bucket).clamp(self.least, self.most);
            let position = bounds.iter().position(|bound| middle <= *bound).unwrap_or(bounds.len());
            counts[position] += count;
        }
        counts
    }
}

/// The bucket that holds a duration: 0 up to [`LEAST`], then one for each growth by [`GROWTH`].
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to MOST it is below 1800")]
fn bucket(milliseconds: f64) -> u16 {
    if milliseconds <= LEAST {
        return 0;
    }
    (milliseconds / LEAST).log(GROWTH).ceil().max(1.0) as u16
}

/// What stands for all durations of a bucket: as far from its lower bound as from its upper one, as a part of each.
fn middle(bucket: u16) -> f64 {
    if bucket == 0 {
        return LEAST;
    }
    LEAST * GROWTH.powi(i32::from(bucket)) * 2.0 / (GROWTH + 1.0)
}

/// Calls in groups. Where names come from outside, there may be more of them than memory: what comes after the first `limit`
/// names is counted together.
#[derive(Debug, Clone)]
pub struct Groups<K> {
    named: BTreeMap<K, Group>,
    limit: usize,
    /// The calls of all other names.
    pub others: Group,
}

impl<K: Ord> Groups<K> {
    /// No calls yet.
    #[must_use]
    pub fn new(limit: usize) -> Groups<K> {
        Groups { named: BTreeMap::new(), limit, others: Group::default() }
    }

    /// Counts a call in the group of this name.
    pub fn add(&mut self, name: K, sample: &Sample) {
        let is_full = self.named.len() >= self.limit;
        match self.named.get_mut(&name) {
            Some(group) => group.add(sample),
            None if is_full => self.others.add(sample),
            None => self.named.entry(name).or_default().add(sample),
        }
    }

    /// Each group and its name, in the names' order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Group)> {
        self.named.iter()
    }

    /// Each group and its name, the one with most failures first; of those with as many, the one with most calls.
    #[must_use]
    pub fn worst_first(&self) -> Vec<(&K, &Group)> {
        let mut groups: Vec<_> = self.named.iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse((group.failures, group.calls + group.running)));
        groups
    }
}

/// The calls that took longest.
#[derive(Debug, Clone)]
pub struct Slowest {
    /// Each with how long it took, in milliseconds.
    calls: Vec<(f64, Stored)>,
    most: usize,
}

impl Slowest {
    /// So many of them.
    #[must_use]
    pub fn new(most: usize) -> Slowest {
        Slowest { calls: Vec::with_capacity(most + 1), most }
    }

    /// Keeps the call if it is one of them. Of those that took equally long, the earlier ones stay.
    pub fn add(&mut self, took: Option<f64>, call: Stored) {
        let Some(took) = took else { return };
        let position = self.calls.partition_point(|(other, _)| *other >= took);
        if position < self.most {
            self.calls.insert(position, (took, call));
            self.calls.truncate(self.most);
        }
    }

    /// They, the slowest first.
    pub fn calls(&self) -> impl Iterator<Item = &Stored> {
        self.calls.iter().map(|(_, call)| call)
    }
}

#[cfg(test)]
mod tests;
