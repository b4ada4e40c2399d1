//! What is counted of calls. Pure. Names come from outside and each makes series of its own, so there are no more than so many
//! of them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::journal::read::Call;
use crate::journal::statistics::{Ended, Sample};
use crate::node::clock;

/// The bounds of the histogram of calls, in seconds: from a plugin that does little to the deadlines of runtimes.
pub const CALL_BOUNDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0];
/// The bounds of the histogram of what cniscope adds to a call, in seconds.
pub const OVERHEAD_BOUNDS: [f64; 10] = [0.0005, 0.001, 0.0015, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0];
/// The most plugins that have series of their own.
const MOST_PLUGINS: usize = 64;
/// The most causes of a plugin that have.
const MOST_CAUSES: usize = 256;
/// A longer name is cut, in characters.
const LONGEST: usize = 100;
/// What the others are counted as.
const OTHER: &str = "other";
/// The verbs of the specification.
const VERBS: [&str; 6] = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"];
/// What a call can end with.
const OUTCOMES: [&str; 8] =
    ["ok", "failed", "crashed", "deadline", "refused", "interrupted", "killed", "unfinished"];

/// Everything that was counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// By plugin.
    pub plugins: BTreeMap<String, Plugin>,
    /// What cniscope added to calls.
    pub overhead: Histogram,
    /// Lines of the journal that are no records.
    pub broken: u64,
    /// How often records may have gone uncounted: the file that was the newest one was gone when it was looked again.
    pub gaps: u64,
}

/// The calls of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plugin {
    /// By verb.
    pub verbs: BTreeMap<String, Verb>,
    /// Those that failed, by cause.
    pub failures: BTreeMap<String, u64>,
    /// Those whose network was not there although the plugin said so, by cause.
    pub suspects: BTreeMap<String, u64>,
}

/// The calls of a plugin with one verb.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verb {
    /// By outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// How long they took.
    pub durations: Histogram,
    /// When the last one ended that went well, in microseconds since 1970.
    pub last_success: Option<u64>,
}

/// Durations, by the first bound that each does not exceed. Of which bounds it is, is known to those who count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many there are for each bound, those above all of them last. Empty where there are none.
    counts: Vec<u64>,
    /// Their sum in microseconds: an integer stays the same however often it is written and read.
    sum: u64,
}

impl Counters {
    /// Counts a call that has ended, or was killed.
    pub fn add(&mut self, call: &Call) {
        let sample = Sample::of(call);
        let plugin = entry(&mut self.plugins, call.text("plugin"), MOST_PLUGINS);
        let verb = plugin.verbs.entry(known(&VERBS, call.text("command"))).or_default();
        *verb.outcomes.entry(known(&OUTCOMES, &call.outcome)).or_default() += 1;
        if let Some(took) = sample.took {
            verb.durations.add(took, &CALL_BOUNDS);
        }
        if let Some(overhead) = call.record["overhead_ms"].as_f64() {
            self.overhead.add(overhead, &OVERHEAD_BOUNDS);
        }
        let cause = sample.cause.as_deref().unwrap_or_default();
        match sample.ended {
            Ended::Well => verb.last_success = verb.last_success.max(ended_at(&sample)),
            Ended::Failed => *entry(&mut plugin.failures, cause, MOST_CAUSES) += 1,
            Ended::Suspect => *entry(&mut plugin.suspects, cause, MOST_CAUSES) += 1,
            Ended::NotYet => {}
        }
    }
}

/// The value of a name; of another one, where there are too many.
fn entry<'a, V: Default>(of: &'a mut BTreeMap<String, V>, name: &str, most: usize) -> &'a mut V {
    let name: String = name.chars().take(LONGEST).collect();
    let is_known = of.contains_key(&name);
    let name = if is_known || of.len() < most { name } else { OTHER.to_owned() };
    of.entry(name).or_default()
}

fn known(words: &[&str], word: &str) -> String {
    if words.contains(&word) { word } else { OTHER }.to_owned()
}

/// When a call ended, in microseconds since 1970.
fn ended_at(sample: &Sample) -> Option<u64> {
    let began = clock::parse_rfc3339(&sample.time)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let took = Duration::try_from_secs_f64(sample.took.unwrap_or_default() / 1e3).unwrap_or_default();
    u64::try_from((began + took).as_micros()).ok()
}

impl Histogram {
    /// Counts a duration in milliseconds. What is none is not counted.
    fn add(&mut self, milliseconds: f64, bounds: &[f64]) {
        if !milliseconds.is_finite() || milliseconds < 0.0 {
            return;
        }
        let seconds = milliseconds / 1e3;
        let position = bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len());
        self.counts.resize(bounds.len() + 1, 0);
        self.counts[position] += 1;
        let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self.sum = self.sum.saturating_add(u64::try_from(took.as_micros()).unwrap_or(0));
    }

    /// How many did not exceed each of the bounds, and how many there are.
    #[must_use]
    pub fn cumulative(&self, bounds: &[f64]) -> Vec<u64> {
        let counts =
            (0..=bounds.len()).map(|position| self.counts.get(position).copied().unwrap_or_default());
        counts
            .scan(0, |below, count| {
                *below += count;
                Some(*below)
            })
            .collect()
    }

    /// Their sum in microseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(plugin: &str, command: &str, outcome: &str, cause: Option<&str>, took: f64) -> Call {
        let record = json!({
            "plugin": plugin, "command": command, "cause": cause, "duration_ms": took, "overhead_ms": 0.7,
            "time": "2026-11-21T10:00:00.500000Z",
        });
        Call { record, outcome: outcome.to_owned(), stalls: Vec::new() }
    }

    #[test]
    fn a_call_is_counted_by_plugin_verb_outcome_and_cause() {
        let mut counters = Counters::default();
        counters.add(&call("bridge", "ADD", "ok", None, 20.0));
        counters.add(&call("bridge", "ADD", "failed", Some("ipam-exhausted"), 30.0));
        counters.add(&call("bridge", "ADD", "ok", Some("overlay-down"), 1e6));
        counters.add(&call("bridge", "DEL", "killed", None, f64::NAN));
        let bridge = &counters.plugins["bridge"];
        let add = &bridge.verbs["ADD"];
        assert_eq!(add.outcomes, BTreeMap::from([("failed".to_owned(), 1), ("ok".to_owned(), 2)]));
        assert_eq!(add.durations.cumulative(&CALL_BOUNDS), [0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3]);
        assert_eq!((add.durations.sum(), add.last_success), (1_000_050_000, Some(1_795_255_200_520_000)));
        assert_eq!(
            bridge.failures,
            BTreeMap::from([("ipam-exhausted".to_owned(), 1), ("killed".to_owned(), 1)])
        );
        assert_eq!(bridge.suspects, BTreeMap::from([("overlay-down".to_owned(), 1)]));
        assert_eq!(counters.overhead.cumulative(&OVERHEAD_BOUNDS)[..2], [0, 4]);
    }

    #[test]
    fn names_from_outside_make_only_so_many_series() {
        let mut counters = Counters::default();
        for number in 0..1000 {
            let (plugin, cause) = (format!("plugin{number}"), format!("cause{number}"));
            counters.add(&call(&plugin, "ADD", "failed", Some(&cause), 1.0));
            counters.add(&call("plugin0", &plugin, &cause, Some(&cause), 1.0));
        }
        assert_eq!(counters.plugins.len(), MOST_PLUGINS + 1);
        assert_eq!(counters.plugins[OTHER].verbs["ADD"].outcomes["failed"], 1000 - MOST_PLUGINS as u64);
        let first = &counters.plugins["plugin0"];
        assert_eq!((first.failures.len(), first.verbs.len()), (MOST_CAUSES + 1, 2));
        assert_eq!(first.verbs[OTHER].outcomes, BTreeMap::from([(OTHER.to_owned(), 1000)]));
        counters.add(&call(&"x".repeat(1000), "ADD", "ok", None, 1.0));
        assert!(counters.plugins.keys().all(|name| name.len() <= LONGEST));
    }

    #[test]
    fn what_was_counted_is_the_same_when_it_was_written_and_read() {
        let mut counters = Counters::default();
        for number in 0..100 {
            counters.add(&call("bridge", "ADD", "ok", None, f64::from(number) * 0.1));
        }
        let written = serde_json::to_string(&counters).unwrap();
        assert_eq!(serde_json::from_str::<Counters>(&written).unwrap(), counters);
    }
}
