//! Following the journal as it grows, through rotations.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::journal::head::Head;
use crate::journal::read::Call;
use crate::journal::sources;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// A place in the journal.
#[derive(Debug)]
pub(super) struct Follower {
    dir: PathBuf,
    current: Option<File>,
    /// The start of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Follower {
    /// The end of what is there now.
    pub(super) fn at_end(dir: &Path) -> Follower {
        let mut current = sources::open_files(dir).unwrap_or_default().pop().map(|(_, file)| file);
        if let Some(file) = &mut current {
            let _ = file.seek(SeekFrom::End(0));
        }
        Follower { dir: dir.to_owned(), current, rest: Vec::new() }
    }

    /// Waits for wanted calls to end.
    pub(super) fn wait(&mut self, wanted: &impl Fn(&Head) -> bool) -> io::Result<Vec<Call>> {
        loop {
            let calls = self.poll(wanted)?;
            if !calls.is_empty() {
                return Ok(calls);
            }
            std::thread::sleep(INTERVAL);
        }
    }

    /// The calls that have ended since the last look.
    fn poll(&mut self, wanted: &impl Fn(&Head) -> bool) -> io::Result<Vec<Call>> {
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

    /// The files that are newer than the current one, the oldest first.
    fn newer(&self) -> Vec<File> {
        // A folder that cannot be read now may be readable at the next look.
        let mut files: Vec<File> =
            sources::open_files(&self.dir).unwrap_or_default().into_iter().map(|(_, file)| file).collect();
        let inode = |file: &File| file.metadata().ok().map(|metadata| metadata.ino());
        let current = self.current.as_ref().and_then(inode);
        // If the current one is gone, everything that is left is newer.
        if let Some(position) = files.iter().position(|file| current.is_some() && inode(file) == current) {
            files.drain(..=position);
        }
        files
    }

    fn read_current(&mut self, wanted: &impl Fn(&Head) -> bool) -> io::Result<Vec<Call>> {
        if let Some(file) = &mut self.current {
            file.read_to_end(&mut self.rest)?;
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(Vec::new()) };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        Ok(lines.split(|byte| *byte == b'\n').filter_map(|line| ended(line, wanted)).collect())
    }
}

fn ended(line: &[u8], wanted: &impl Fn(&Head) -> bool) -> Option<Call> {
    let head = Head::of(line).filter(|head| head.event == "end" && wanted(head))?;
    Some(Call { record: head.record()?, outcome: head.outcome.to_string(), stalls: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    fn end(id: u32) -> String {
        format!("{{\"event\":\"end\",\"id\":\"{id}\",\"outcome\":\"ok\"}}\n")
    }

    fn ids(calls: &[Call]) -> Vec<&str> {
        calls.iter().map(|call| call.text("id")).collect()
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
    fn a_journal_that_is_not_there_yet_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut follower = Follower::at_end(dir.path());
        assert!(follower.poll(&|_: &Head| true).unwrap().is_empty());
        fs::write(dir.path().join("journal.jsonl"), end(1)).unwrap();
        assert_eq!(ids(&follower.poll(&|_: &Head| true).unwrap()), ["1"]);
    }
}
