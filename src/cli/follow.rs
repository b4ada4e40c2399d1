//! Following the journal as it grows, through rotations.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::mem;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::journal::head::Head;
use crate::journal::sources;
use crate::journal::stored::Stored;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// How many stalls of calls are kept until these end. Of a call that is killed no end comes.
const MOST_STALLS: usize = 64;

/// A place in the journal.
#[derive(Debug)]
pub(super) struct Follower {
    dir: PathBuf,
    current: Option<File>,
    /// The files that were there at the last look. They are held open, so that none of their inodes can be that of a newer
    /// file.
    known: Vec<File>,
    /// The start of a line whose end is not written yet.
    rest: Vec<u8>,
    /// What was seen while delegates hung, with the call's id.
    stalls: VecDeque<(String, Value)>,
}

impl Follower {
    /// The end of what is there now.
    pub(super) fn at_end(dir: &Path) -> Follower {
        let mut follower = Follower {
            dir: dir.to_owned(),
            current: None,
            known: Vec::new(),
            rest: Vec::new(),
            stalls: VecDeque::new(),
        };
        follower.current = follower.newer().pop();
        if let Some(file) = &mut follower.current {
            let _ = file.seek(SeekFrom::End(0));
        }
        follower
    }

    /// Waits for wanted calls to end.
    pub(super) fn wait(&mut self, wanted: &impl Fn(&Head) -> bool) -> io::Result<Vec<Stored>> {
        loop {
            let calls = self.poll(wanted)?;
            if !calls.is_empty() {
                return Ok(calls);
            }
            std::thread::sleep(INTERVAL);
        }
    }

    /// The calls that have ended since the last look.
    fn poll(&mut self, wanted: &impl Fn(&Head) -> bool) -> io::Result<Vec<Stored>> {
        // What is newer than the current file is known before that is read to its end: nothing is written to it later but
        // by who had it open.
        let newer = self.newer();
        let mut calls = self.read_current(wanted)?;
        for file in newer {
            self.current = Some(file);
            calls.extend(self.read_current(wanted)?);
        }
        Ok(calls)
    }

    /// The files that are newer than the current one, the oldest first. If that is gone, or compressed, those are that have
    /// come since the last look.
    fn newer(&mut self) -> Vec<File> {
        // A folder that cannot be read now may be readable at the next look.
        let Ok(mut files) = sources::open_files(&self.dir) else { return Vec::new() };
        files.retain(|(path, _)| path.extension().is_none_or(|extension| extension != "gz"));
        let inode = |file: &File| file.metadata().ok().map(|metadata| metadata.ino());
        let current = self.current.as_ref().and_then(inode);
        let position = files.iter().position(|(_, file)| current.is_some() && inode(file) == current);
        let known: Vec<Option<u64>> = self.known.iter().map(inode).collect();
        self.known.clear();
        let mut newer = Vec::new();
        for (number, (_, file)) in files.into_iter().enumerate() {
            if position.map_or_else(|| !known.contains(&inode(&file)), |position| number > position) {
                newer.extend(file.try_clone());
            }
            self.known.push(file);
        }
        newer
    }

    fn read_current(&mut self, wanted: &impl Fn(&Head) -> bool) -> io::Result<Vec<Stored>> {
        if let Some(file) = &mut self.current {
            // logrotate's `copytruncate` begins the same file anew.
            if file.metadata()?.len() < file.stream_position()? {
                file.rewind()?;
                self.rest.clear();
            }
            file.read_to_end(&mut self.rest)?;
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(Vec::new()) };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        Ok(lines.split(|byte| *byte == b'\n').filter_map(|line| self.ended(line, wanted)).collect())
    }

    /// The call that has ended with this line.
    fn ended(&mut self, line: &[u8], wanted: &impl Fn(&Head) -> bool) -> Option<Stored> {
        let head = Head::of(line)?;
        match head.event.as_ref() {
            "stall" => {
                if self.stalls.len() == MOST_STALLS {
                    self.stalls.pop_front();
                }
                self.stalls.push_back((head.id.to_string(), head.record()?));
                None
            }
            "end" => {
                let is_own = |(id, _): &(String, Value)| *id == head.id;
                let (own, others): (VecDeque<_>, _) =
                    mem::take(&mut self.stalls).into_iter().partition(is_own);
                self.stalls = others;
                let stalls = own.into_iter().map(|(_, stall)| stall).collect();
                wanted(&head).then(|| Stored::of(&head).with(stalls))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    fn end(id: u32) -> String {
        format!("{{\"event\":\"end\",\"id\":\"{id}\",\"outcome\":\"ok\"}}\n")
    }

    fn ids(calls: &[Stored]) -> Vec<&str> {
        calls.iter().map(Stored::id).collect()
    }

    #[test]
    fn calls_are_followed_through_rotations() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        fs::write(&path, end(1)).unwrap();
        let mut follower = Follower::at_end(dir.path());
        assert!(follower.poll(&|_: &Head| true).unwrap().is_empty());
        let line = end(2);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&line.as_bytes()[..10]).unwrap();
        assert!(follower.poll(&|_: &Head| true).unwrap().is_empty(), "half a line is waited for");
        file.write_all(&line.as_bytes()[10..]).unwrap();
        fs::rename(&path, dir.path().join("journal.2.jsonl")).unwrap();
        fs::write(
            dir.path().join("journal.1.jsonl"),
            format!("{{\"event\":\"begin\",\"id\":\"x\"}}\n{}", end(3)),
        )
        .unwrap();
        fs::write(&path, end(4)).unwrap();
        assert_eq!(ids(&follower.poll(&|_: &Head| true).unwrap()), ["2", "3", "4"]);
        assert!(follower.poll(&|_: &Head| true).unwrap().is_empty());
        fs::remove_file(dir.path().join("journal.2.jsonl")).unwrap();
        File::options().append(true).open(&path).unwrap().write_all(end(5).as_bytes()).unwrap();
        assert_eq!(ids(&follower.poll(&|_: &Head| true).unwrap()), ["5"]);
    }

    #[test]
    fn what_logrotate_does_meanwhile_is_followed_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        fs::write(dir.path().join("journal.jsonl-20261119"), end(1)).unwrap();
        fs::write(&path, end(2) + &end(3)).unwrap();
        let mut follower = Follower::at_end(dir.path());
        assert!(follower.poll(&|_: &Head| true).unwrap().is_empty());
        // copytruncate
        fs::copy(&path, dir.path().join("journal.jsonl.1")).unwrap();
        fs::write(&path, end(4)).unwrap();
        let ids_of = |calls: Vec<Stored>| ids(&calls).join(" ");
        assert_eq!(ids_of(follower.poll(&|_: &Head| true).unwrap()), "4");
        // Renamed, and compressed at once.
        fs::write(dir.path().join("journal.jsonl-20261120.gz"), b"\x1f\x8b").unwrap();
        fs::remove_file(dir.path().join("journal.jsonl-20261119")).unwrap();
        fs::rename(&path, dir.path().join("journal.jsonl.1")).unwrap();
        fs::write(&path, end(5)).unwrap();
        assert_eq!(ids_of(follower.poll(&|_: &Head| true).unwrap()), "5");
        assert_eq!(ids_of(follower.poll(&|_: &Head| true).unwrap()), "");
    }

    #[test]
    fn a_call_has_what_was_seen_while_its_delegate_hung() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        fs::write(&path, "").unwrap();
        let mut follower = Follower::at_end(dir.path());
        let stall =
            |id: usize, after: u32| format!("{{\"event\":\"stall\",\"id\":\"{id}\",\"after_ms\":{after}}}\n");
        fs::write(&path, stall(1, 10) + &stall(2, 20) + &stall(1, 30)).unwrap();
        assert!(follower.poll(&|_: &Head| true).unwrap().is_empty());
        // As many are kept, of calls that never end.
        let of_others: String = (10..).take(MOST_STALLS - 2).map(|id| stall(id, 1)).collect();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all((of_others + &end(1) + &end(2) + &end(1)).as_bytes()).unwrap();
        let calls = follower.poll(&|_: &Head| true).unwrap();
        let after = |call: &Stored| {
            call.call().stalls.iter().map(|stall| stall["after_ms"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(calls.iter().map(after).collect::<Vec<_>>(), [vec![30], vec![20], vec![]]);
        assert_eq!(follower.stalls.len(), MOST_STALLS - 2);
    }

    #[test]
    fn a_journal_that_is_not_there_yet_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut follower = Follower::at_end(dir.path());
        assert!(follower.poll(&|_: &Head| true).unwrap().is_empty());
        fs::write(dir.path().join("journal.jsonl"), end(1)).unwrap();
        assert_eq!(ids(&follower.poll(&|_: &Head| true).unwrap()), ["1"]);
    }
}
