//! Reading the journal: the lines that are whole, and what became of each call.
//!
//! Files are read as a stream, and of what a filter rejects nothing is kept but a hash of the call's id. A record that
//! stands in several files, such as a bundle and the folder that it was made of, is one record.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use memchr::memmem;
use serde_json::Value;

use super::head::{self, Head};
use super::sources::{Met, Sources};
use super::written::{Field, Written};
use super::{in_order, unfinished};
use crate::node::Node;

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no journal.
    #[error("no journal in {}", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// A file of it cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Which calls are wanted. It is asked by several threads at once.
pub trait Filter: Sync {
    /// Whether a call is wanted, by the head of its record and its outcome.
    fn holds_for(&self, call: &Head) -> bool;

    /// False only where [`Filter::holds_for`] surely is, for a line of an end that has not been parsed.
    fn may_hold_for(&self, _end: &Written) -> bool {
        true
    }
}

impl<F: Fn(&Head) -> bool + Sync> Filter for F {
    fn holds_for(&self, call: &Head) -> bool {
        self(call)
    }
}

/// One call, as far as its records tell.
#[derive(Debug, Clone)]
pub struct Call {
    /// The record of its end, or of its begin where that is all there is.
    pub record: Value,
    /// `outcome` of the end; `running`, `killed` or `unfinished` where there is none.
    pub outcome: String,
    /// What was seen while its delegate hung.
    pub stalls: Vec<Value>,
}

impl Call {
    /// A field of the record that is text; empty where it is not.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.record[field].as_str().unwrap_or_default()
    }

    /// Whether the call did not do what it was to do. A call that is running has not failed yet.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        head::has_failed(&self.outcome)
    }

    /// Whether the plugin said that all is well, and the network is not there.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        head::is_suspect(&self.outcome, self.text("cause"))
    }
}

/// The calls of a journal.
#[derive(Debug, Default)]
pub struct Reading {
    /// In the order in which they began.
    pub calls: Vec<Call>,
    /// What could not be read.
    pub passed: Passed,
}

/// What was passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Lines that are no records: the disk was full, or something else wrote there.
    pub broken: usize,
    /// Files that break off, such as one that is being compressed.
    pub cut: usize,
    /// Files that are compressed by something else than gzip.
    pub unread: usize,
}

/// Reads all calls for which `filter` holds, and keeps them.
///
/// # Errors
/// If there is no journal, or it cannot be read.
pub fn calls(node: &Node, sources: Sources, filter: &impl Filter) -> Result<Reading, ReadError> {
    let mut calls = Vec::new();
    let passed = for_each(node, sources, filter, |call| {
        calls.push(call);
        ControlFlow::Continue(())
    })?;
    calls.sort_by(|one, other| {
        one.text("time").cmp(other.text("time")).then_with(|| one.text("id").cmp(other.text("id")))
    });
    Ok(Reading { calls, passed })
}

/// Reads the calls for which `filter` holds one by one, until `visit` breaks off: those that have ended in the order of
/// their ends, then those that have not.
///
/// # Errors
/// If there is no journal, or it cannot be read.
pub fn for_each(
    node: &Node,
    sources: Sources,
    filter: &impl Filter,
    mut visit: impl FnMut(Call) -> ControlFlow<()>,
) -> Result<Passed, ReadError> {
    let call = |head: &Head| {
        Some(Call { record: head.record()?, outcome: head.outcome.to_string(), stalls: Vec::new() })
    };
    map_each(node, sources, filter, call, |mut call, stalls| {
        call.stalls = stalls;
        visit(call)
    })
}

/// The same for who needs less than the record: `map` takes it out of the head or the line, by several threads at once;
/// where it gives nothing, the line is broken. `visit` gets it with the snapshots of a delegate that hung.
///
/// # Errors
/// If there is no journal, or it cannot be read.
pub fn map_each<T: Send>(
    node: &Node,
    sources: Sources,
    filter: &impl Filter,
    map: impl Fn(&Head) -> Option<T> + Sync,
    visit: impl FnMut(T, Vec<Value>) -> ControlFlow<()>,
) -> Result<Passed, ReadError> {
    let keys = RandomState::new();
    let mut state = State::of(visit);
    let met = in_order::run(
        |parts| sources.put(parts),
        |block| batch(block, &keys, filter, &map),
        |batch| state.add(batch),
    );
    let met = met.unwrap_or_else(|| Ok(Met::default()))?;
    if !state.has_enough {
        state.without_end(node, &keys, filter, &map);
    }
    Ok(Passed { broken: state.broken + met.too_long, cut: met.cut, unread: met.unread })
}

/// What stands in a block.
struct Batch<T> {
    lines: Vec<Line<T>>,
    broken: usize,
    /// The calls of lines that are broken.
    torn: Vec<u64>,
}

/// What is kept of a line; the call is a hash of its id.
enum Line<T> {
    Begin(u64, Box<[u8]>),
    Stall(u64, Box<[u8]>),
    End(u64, Option<T>),
    OfLaterRelease,
}

fn batch<T>(
    block: &[u8],
    keys: &RandomState,
    filter: &impl Filter,
    map: impl Fn(&Head) -> Option<T>,
) -> Batch<T> {
    let mut batch = Batch { lines: Vec::new(), broken: 0, torn: Vec::new() };
    let key = |id: &str| keys.hash_one(id);
    for line in lines(block) {
        let read = |line: &[u8]| read_line(line, key, filter, &map);
        // One byte that a disk got wrong does not hide a call.
        if let Some(line) = read(line).or_else(|| read(String::from_utf8_lossy(line).as_bytes())) {
            batch.lines.push(line);
        } else {
            batch.broken += 1;
            batch.torn.extend(id_in(line).as_deref().map(key));
        }
    }
    batch
}

/// What is kept of a line; `None` if it is no record.
fn read_line<T>(
    line: &[u8],
    key: impl Fn(&str) -> u64,
    filter: &impl Filter,
    map: impl Fn(&Head) -> Option<T>,
) -> Option<Line<T>> {
    let written = Written::of(line);
    let id = written.and_then(|written| str::from_utf8(written.text(Field::Id)?).ok());
    match (written, id) {
        (Some(begin), Some(id)) if !begin.is_end => return Some(Line::Begin(key(id), line.into())),
        (Some(end), Some(id)) if !filter.may_hold_for(&end) => return Some(Line::End(key(id), None)),
        _ => {}
    }
    let head = Head::of(line)?;
    let call = key(&head.id);
    Some(match head.event.as_ref() {
        "begin" => Line::Begin(call, line.into()),
        "stall" => Line::Stall(call, line.into()),
        "end" if filter.holds_for(&head) => Line::End(call, Some(map(&head)?)),
        "end" => Line::End(call, None),
        _ => Line::OfLaterRelease,
    })
}

/// The lines of a block. Empty ones are what a running process has written so far of its first line.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line.trim_ascii())
    })
    .filter(|line| !line.is_empty())
}

/// The id in a line that is torn behind it.
fn id_in(line: &[u8]) -> Option<Cow<'_, str>> {
    const NAME: &[u8] = b"\"id\":\"";
    let rest = &line[memmem::find(line, NAME)? + NAME.len()..];
    Some(String::from_utf8_lossy(&rest[..memchr::memchr(b'"', rest)?]))
}

/// What is known of the calls so far.
struct State<V> {
    visit: V,
    has_enough: bool,
    /// The begins of calls that have not ended.
    open: HashMap<u64, Box<[u8]>>,
    /// The calls that have ended: a begin that was late stands behind its end, and an end may be met again.
    ended: HashSet<u64>,
    stalls: HashMap<u64, Vec<Box<[u8]>>>,
    torn: HashSet<u64>,
    broken: usize,
}

impl<V> State<V> {
    fn of(visit: V) -> State<V> {
        State {
            visit,
            has_enough: false,
            open: HashMap::new(),
            ended: HashSet::new(),
            stalls: HashMap::new(),
            torn: HashSet::new(),
            broken: 0,
        }
    }

    fn add<T>(&mut self, batch: Batch<T>) -> ControlFlow<()>
    where
        V: FnMut(T, Vec<Value>) -> ControlFlow<()>,
    {
        self.broken += batch.broken;
        self.torn.extend(batch.torn);
        for line in batch.lines {
            match line {
                Line::Begin(call, record) if !self.ended.contains(&call) => {
                    self.open.insert(call, record);
                }
                Line::Stall(call, record) if !self.ended.contains(&call) => {
                    let stalls = self.stalls.entry(call).or_default();
                    if !stalls.contains(&record) {
                        stalls.push(record);
                    }
                }
                Line::End(call, found) if self.ended.insert(call) => {
                    self.open.remove(&call);
                    let stalls = self.stalls_of(call);
                    if let Some(found) = found {
                        self.visit(found, stalls)?;
                    }
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn visit<T>(&mut self, found: T, stalls: Vec<Value>) -> ControlFlow<()>
    where
        V: FnMut(T, Vec<Value>) -> ControlFlow<()>,
    {
        let goes_on = (self.visit)(found, stalls);
        self.has_enough = goes_on.is_break();
        goes_on
    }

    fn stalls_of(&mut self, call: u64) -> Vec<Value> {
        let lines = self.stalls.remove(&call).unwrap_or_default();
        lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Tells what became of the calls that have not ended.
    fn without_end<T>(
        &mut self,
        node: &Node,
        keys: &RandomState,
        filter: &impl Filter,
        map: impl Fn(&Head) -> Option<T>,
    ) where
        V: FnMut(T, Vec<Value>) -> ControlFlow<()>,
    {
        let noted = unfinished::calls(node, Path::new(unfinished::NOTES));
        let lost: HashSet<u64> = noted.iter().map(|id| keys.hash_one(id)).chain(self.torn.drain()).collect();
        let boot_id = node.boot_id();
        let mut open: Vec<(u64, Box<[u8]>)> = self.open.drain().collect();
        // All begin with the same fields, and the ids sort by time.
        open.sort_by(|(_, one), (_, other)| one.cmp(other));
        for (call, line) in open {
            let Some(mut begin) = Head::of(&line) else { continue };
            let outcome = if is_running(node, &boot_id, (&begin.boot_id, begin.pid, begin.start_ticks)) {
                "running"
            } else if lost.contains(&call) {
                "unfinished"
            } else {
                "killed"
            };
            begin.outcome = Cow::Borrowed(outcome);
            let stalls = self.stalls_of(call);
            let found = filter.holds_for(&begin).then(|| map(&begin)).flatten();
            if found.is_some_and(|found| self.visit(found, stalls).is_break()) {
                return;
            }
        }
    }
}

/// Whether the process that began a call is still there: its number, and when it was started after which boot.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "clock ticks since boot stay far below 2^53")]
pub fn is_running(node: &Node, boot_id: &str, of: (&str, Option<f64>, Option<f64>)) -> bool {
    let (boot_id_then, pid, start_ticks) = of;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let pid = pid.map(|pid| pid as u32);
    boot_id_then == boot_id
        && pid
            .and_then(|pid| node.process(pid))
            .is_some_and(|process| start_ticks == Some(process.start_ticks as f64))
}

#[cfg(test)]
mod tests;
