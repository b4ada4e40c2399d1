//! What was counted, and all that is needed to go on from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::counters::Counters;
use super::tail::{self, Place};
use crate::journal::read::{self, Call};
use crate::journal::unfinished;
use crate::node::Node;

/// The version of the ledger's form.
const SCHEMA: u32 = 1;
/// The most calls that are waited for to end.
const MOST_OPEN: usize = 10_000;
/// What comes again of a call that has ended comes soon: the latest ones are remembered, so many of them.
const MOST_ENDED: usize = 1000;
/// An end is waited for so long after its process was seen to be gone: helpers write it, who may be late on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// What of a begin record is needed when no end comes.
const OF_A_BEGIN: [&str; 6] = ["plugin", "command", "time", "pid", "boot_id", "start_ticks"];

/// What was counted in a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    schema: u32,
    places: Vec<Place>,
    open: BTreeMap<String, Open>,
    /// Ids begin with their time. A begin may be late, and an end that was written into a file that was being removed is
    /// written once more.
    ended: BTreeSet<String>,
    pub(super) counters: Counters,
}

/// A call whose end is not recorded yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    begin: Value,
    /// When its process was first seen to be gone. The record of its end may come a little after that.
    gone: Option<SystemTime>,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            schema: SCHEMA,
            places: Vec::new(),
            open: BTreeMap::new(),
            ended: BTreeSet::new(),
            counters: Counters::default(),
        }
    }
}

impl Ledger {
    /// Whether its form is the one that is known here.
    pub(super) fn is_of_this_release(&self) -> bool {
        self.schema == SCHEMA
    }

    /// Counts what is new in the journal's files, the oldest first.
    pub(super) fn read(&mut self, files: impl IntoIterator<Item = File>) -> io::Result<()> {
        let places = std::mem::take(&mut self.places);
        let (places, is_gap) = tail::read_new(files, &places, |line| self.line(line))?;
        self.places = places;
        self.counters.gaps += u64::from(is_gap);
        Ok(())
    }

    /// Counts one line, as [`read::calls`] understands it.
    fn line(&mut self, line: &[u8]) {
        match serde_json::from_slice::<Value>(line) {
            Ok(record) if record["id"].is_string() => self.record(record),
            _ if line.trim_ascii().is_empty() => {}
            _ => self.counters.broken += 1,
        }
    }

    fn record(&mut self, record: Value) {
        let id = record["id"].as_str().unwrap_or_default().to_owned();
        match record["event"].as_str() {
            Some("begin") if !self.ended.contains(&id) => {
                let kept = OF_A_BEGIN.iter().map(|field| ((*field).to_owned(), record[*field].clone()));
                self.open.insert(id, Open { begin: Value::Object(kept.collect()), gone: None });
                if self.open.len() > MOST_OPEN {
                    self.open.pop_first();
                }
            }
            Some("end") => {
                self.open.remove(&id);
                if !self.ended.insert(id) {
                    return;
                }
                if self.ended.len() > MOST_ENDED {
                    self.ended.pop_first();
                }
                let outcome = record["outcome"].as_str().unwrap_or_default().to_owned();
                self.counters.add(&Call { record, outcome, stalls: Vec::new() });
            }
            _ => {}
        }
    }

    /// Counts the calls whose process has been gone for a while and whose end has not come; where there will be no next time,
    /// all whose process is gone. Gives how many are under way.
    pub(super) fn settle(&mut self, node: &Node, is_kept: bool) -> u64 {
        let boot_id = node.boot_id();
        let is_running = |open: &Open| {
            let begin = &open.begin;
            let boot_then = begin["boot_id"].as_str().unwrap_or_default();
            read::is_running(
                node,
                &boot_id,
                (boot_then, begin["pid"].as_f64(), begin["start_ticks"].as_f64()),
            )
        };
        let unwritten = unfinished::calls(node, Path::new(unfinished::NOTES));
        self.settle_with(is_running, &unwritten, is_kept.then(SystemTime::now))
    }

    fn settle_with(
        &mut self,
        is_running: impl Fn(&Open) -> bool,
        unwritten: &BTreeSet<String>,
        now: Option<SystemTime>,
    ) -> u64 {
        let mut running = 0;
        let counters = &mut self.counters;
        self.open.retain(|id, open| {
            if is_running(open) {
                running += 1;
                return true;
            }
            if let Some(now) = now {
                let gone = *open.gone.get_or_insert(now);
                // A clock that was set back begins the while anew.
                let Ok(since) = now.duration_since(gone) else {
                    open.gone = Some(now);
                    return true;
                };
                if since < PATIENCE {
                    return true;
                }
            }
            let outcome = if unwritten.contains(id) { "unfinished" } else { "killed" };
            let record = std::mem::take(&mut open.begin);
            counters.add(&Call { record, outcome: outcome.to_owned(), stalls: Vec::new() });
            false
        });
        running
    }
}

#[cfg(test)]
mod tests;
