//! Reading the journal: the files in their order, the lines that are whole, and what became of each call.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::append::{CURRENT, rotated};
use super::unfinished;
use crate::node::Node;

/// A longer line is none of ours.
const MAX_LINE: u64 = 10 << 20;
/// The highest number of a rotated file that is looked for (`maxFiles` goes to 1000).
const MAX_FILES: u32 = 1000;
/// How often the files are opened again because they were being rotated.
const MAX_TRIES: usize = 16;

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
        source: std::io::Error,
    },
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
        !matches!(self.outcome.as_str(), "ok" | "running")
    }

    /// Whether the plugin said that all is well, and the network is not there.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        // Only what was looked at after the call gives a good one a cause.
        self.outcome == "ok" && !self.text("cause").is_empty()
    }
}

/// The calls of a journal.
#[derive(Debug, Default)]
pub struct Reading {
    /// In the order in which they began.
    pub calls: Vec<Call>,
    /// How many lines are no records: the disk was full, or something else wrote there.
    pub broken: usize,
}

/// Reads all calls of the journal in `dir` for which `wanted` holds.
///
/// # Errors
/// If there is no journal, or it cannot be read.
pub fn calls(node: &Node, dir: &Path, wanted: impl Fn(&Call) -> bool) -> Result<Reading, ReadError> {
    let mut state = State::default();
    let files = open_files(dir)?;
    if files.is_empty() {
        return Err(ReadError::Missing { dir: dir.to_owned() });
    }
    for (path, file) in files {
        state.read(BufReader::new(file), &wanted).map_err(|source| ReadError::File { path, source })?;
    }
    Ok(state.finish(node, &wanted))
}

/// The files of the journal, the oldest first, as they stand together at one moment: opened one by one while others
/// rotate, one could be met twice and another not at all.
///
/// # Errors
/// If one of them cannot be opened.
pub fn open_files(dir: &Path) -> Result<Vec<(PathBuf, File)>, ReadError> {
    let mut opened = open_each(dir)?;
    for _ in 0..MAX_TRIES {
        let again = open_each(dir)?;
        if inodes(&opened) == inodes(&again) {
            break;
        }
        opened = again;
    }
    Ok(opened)
}

fn open_each(dir: &Path) -> Result<Vec<(PathBuf, File)>, ReadError> {
    let names = (1..MAX_FILES).rev().map(rotated).chain([CURRENT.to_owned()]);
    let mut files = Vec::new();
    for path in names.map(|name| dir.join(name)) {
        match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path) {
            Ok(file) => files.push((path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ReadError::File { path, source }),
        }
    }
    Ok(files)
}

fn inodes(files: &[(PathBuf, File)]) -> Vec<Option<u64>> {
    files.iter().map(|(_, file)| file.metadata().ok().map(|metadata| metadata.ino())).collect()
}

#[derive(Default)]
struct State {
    open: HashMap<String, Value>,
    /// The calls that have ended: a begin that was late stands behind its end.
    ended: HashSet<String>,
    stalls: HashMap<String, Vec<Value>>,
    calls: Vec<Call>,
    /// Ids in lines that are broken.
    torn: BTreeSet<String>,
    broken: usize,
}

impl State {
    fn read(&mut self, mut lines: impl BufRead, wanted: &impl Fn(&Call) -> bool) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            match serde_json::from_slice::<Value>(&line) {
                Ok(record) if record["id"].is_string() => self.record(record, wanted),
                // What a running process has written so far of its first line.
                _ if line.trim_ascii().is_empty() => {}
                _ => {
                    self.broken += 1;
                    self.torn.extend(id_in(&line));
                }
            }
        }
    }

    fn record(&mut self, record: Value, wanted: &impl Fn(&Call) -> bool) {
        let id = record["id"].as_str().unwrap_or_default().to_owned();
        match record["event"].as_str() {
            Some("begin") if self.ended.contains(&id) => {}
            Some("begin") => {
                self.open.insert(id, record);
            }
            Some("stall") => self.stalls.entry(id).or_default().push(record),
            Some("end") => {
                self.open.remove(&id);
                let outcome = record["outcome"].as_str().unwrap_or_default().to_owned();
                let call = Call { outcome, stalls: self.stalls.remove(&id).unwrap_or_default(), record };
                self.ended.insert(id);
                if wanted(&call) {
                    self.calls.push(call);
                }
            }
            // Of a later release.
            _ => {}
        }
    }

    fn finish(mut self, node: &Node, wanted: &impl Fn(&Call) -> bool) -> Reading {
        let mut lost = unfinished::calls(node, Path::new(unfinished::NOTES));
        lost.append(&mut self.torn);
        let boot_id = node.boot_id();
        for (id, begin) in self.open {
            let outcome = if is_running(node, &boot_id, &begin) {
                "running"
            } else if lost.contains(&id) {
                "unfinished"
            } else {
                "killed"
            };
            let stalls = self.stalls.remove(&id).unwrap_or_default();
            let call = Call { record: begin, outcome: outcome.to_owned(), stalls };
            if wanted(&call) {
                self.calls.push(call);
            }
        }
        self.calls.sort_by(|one, other| {
            one.text("time").cmp(other.text("time")).then_with(|| one.text("id").cmp(other.text("id")))
        });
        Reading { calls: self.calls, broken: self.broken }
    }
}

/// Whether the process that began the call is still there.
fn is_running(node: &Node, boot_id: &str, begin: &Value) -> bool {
    let pid = begin["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    begin["boot_id"] == boot_id
        && pid
            .and_then(|pid| node.process(pid))
            .is_some_and(|process| begin["start_ticks"] == process.start_ticks)
}

/// The id in a line that is torn behind it.
fn id_in(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let (_, rest) = text.split_once("\"id\":\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn read(files: &[(&str, &str)]) -> Reading {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        calls(&Node::this(), dir.path(), |_| true).unwrap()
    }

    fn shown(reading: &Reading) -> Vec<(&str, &str)> {
        reading.calls.iter().map(|call| (call.text("id"), call.outcome.as_str())).collect()
    }

    const END_A: &str =
        "{\"event\":\"end\",\"id\":\"a\",\"time\":\"2026-01-01T00:00:01Z\",\"outcome\":\"ok\"}\n";
    const BEGIN_B: &str =
        "{\"event\":\"begin\",\"id\":\"b\",\"time\":\"2026-01-01T00:00:00Z\",\"boot_id\":\"x\",\"pid\":1}\n";

    #[test]
    fn a_begin_without_an_end_whose_process_is_gone_was_killed() {
        let reading = read(&[("journal.jsonl", &format!("{BEGIN_B}{END_A}"))]);
        assert_eq!(shown(&reading), [("b", "killed"), ("a", "ok")]);
        assert!(reading.calls[0].has_failed());
    }

    #[test]
    fn one_whose_process_is_there_is_running() {
        let node = Node::this();
        let process = node.process(std::process::id()).unwrap();
        let begin = json!({
            "event": "begin", "id": "r", "boot_id": node.boot_id(), "pid": process.pid, "start_ticks": process.start_ticks,
        });
        let reading = read(&[("journal.jsonl", &format!("{begin}\n"))]);
        assert_eq!(shown(&reading), [("r", "running")]);
        assert!(!reading.calls[0].has_failed());
    }

    #[test]
    fn one_whose_end_is_torn_is_unfinished() {
        let reading = read(&[(
            "journal.jsonl",
            &format!("{BEGIN_B}{{\"schema\":1,\"event\":\"end\",\"id\":\"b\",\"ti\n{END_A}"),
        )]);
        assert_eq!(shown(&reading), [("b", "unfinished"), ("a", "ok")]);
        assert_eq!(reading.broken, 1);
    }

    #[test]
    fn begin_and_end_may_stand_in_different_files_and_stalls_belong_to_their_call() {
        let stall = "{\"event\":\"stall\",\"id\":\"a\",\"after_ms\":10000}\n";
        let begin = "{\"event\":\"begin\",\"id\":\"a\"}\n";
        let reading =
            read(&[("journal.2.jsonl", begin), ("journal.1.jsonl", stall), ("journal.jsonl", END_A)]);
        assert_eq!(shown(&reading), [("a", "ok")]);
        assert_eq!(reading.calls[0].stalls.len(), 1);
    }

    #[test]
    fn a_begin_that_was_late_stands_behind_its_end() {
        let reading =
            read(&[("journal.1.jsonl", END_A), ("journal.jsonl", "{\"event\":\"begin\",\"id\":\"a\"}\n")]);
        assert_eq!(shown(&reading), [("a", "ok")]);
    }

    #[test]
    fn what_is_no_record_is_counted_and_passed_over() {
        let content =
            format!("junk\n\u{0}\u{1}\n[1]\n\n{{\"event\":\"new\",\"id\":\"z\"}}\n{END_A}{{\"id\":\"cut");
        let reading = read(&[("journal.jsonl", &content)]);
        assert_eq!((shown(&reading), reading.broken), (vec![("a", "ok")], 4));
    }

    #[test]
    fn no_journal_is_told_apart_from_an_empty_one() {
        assert!(read(&[("journal.jsonl", "")]).calls.is_empty());
        let error = calls(&Node::this(), Path::new("/nowhere"), |_| true).unwrap_err();
        assert_eq!(error.to_string(), "no journal in /nowhere");
    }
}
