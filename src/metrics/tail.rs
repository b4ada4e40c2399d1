//! What is new in the journal's files since they were last read.
//!
//! A file is known again by how it begins, and not by its name or inode: rotation renames it, and a new file may get the
//! inode of one that is gone. Each begins with a record, whose id is there once.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};

use crate::digest::sha256;

/// How much of a file's start tells it apart from others, in bytes.
const START: u64 = 512;
/// A longer line is none of ours; it is read in pieces.
const MAX_LINE: u64 = 10 << 20;

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The hash of its first bytes.
    start: String,
    /// How many of them.
    length: u64,
    /// The bytes that were read: whole lines.
    read: u64,
}

/// Reads the lines of the files (the oldest first) that are not behind one of the `places`, and shows each to `line`. Gives
/// the new places, and whether lines may have been missed: the file that was the newest one is not there any more.
pub(super) fn read_new(
    files: impl IntoIterator<Item = File>,
    places: &[Place],
    mut line: impl FnMut(&[u8]),
) -> io::Result<(Vec<Place>, bool)> {
    let mut left: Vec<Option<&Place>> = places.iter().map(Some).collect();
    let mut new = Vec::new();
    for file in files {
        // Of files that begin alike, each has a place of its own; the one that more bytes tell of is the surer one.
        let fitting = left.iter_mut().filter(|place| place.is_some_and(|place| is_at(&file, place)));
        let known = fitting.max_by_key(|place| place.map_or(0, |place| place.length)).and_then(Option::take);
        let read = read_from(&file, known.map_or(0, |place| place.read), &mut line)?;
        if read > 0 {
            let length = read.min(START);
            new.push(Place { start: start(&file, length)?, length, read });
        }
    }
    Ok((new, left.last().is_some_and(Option::is_some)))
}

fn is_at(file: &File, place: &Place) -> bool {
    start(file, place.length).is_ok_and(|start| start == place.start)
}

/// The hash of a file's first bytes.
fn start(file: &File, length: u64) -> io::Result<String> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(sha256(&bytes))
}

/// Shows every whole line behind `from`, and gives where the last of them ends. A line without an end is one that is being
/// written.
fn read_from(mut file: &File, from: u64, line: &mut impl FnMut(&[u8])) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from))?;
    let mut lines = BufReader::with_capacity(64 << 10, file);
    let (mut read, mut bytes) = (from, Vec::new());
    loop {
        bytes.clear();
        let count = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)? as u64;
        if bytes.last() != Some(&b'\n') && count < MAX_LINE {
            return Ok(read);
        }
        read += count;
        line(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A folder with files, and how far they were read.
    struct Folder {
        dir: tempfile::TempDir,
        places: Vec<Place>,
    }

    impl Folder {
        fn new() -> Folder {
            Folder { dir: tempfile::tempdir().unwrap(), places: Vec::new() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn append(&self, name: &str, text: &str) {
            use std::io::Write as _;
            let mut file = File::options().append(true).create(true).open(self.path(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// The new lines of these files, and whether some may have been missed.
        fn new_lines(&mut self, names: &[&str]) -> (Vec<String>, bool) {
            let files: Vec<File> = names.iter().map(|name| File::open(self.path(name)).unwrap()).collect();
            let mut lines = Vec::new();
            let line = |line: &[u8]| lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
            let (places, is_gap) = read_new(files, &self.places, line).unwrap();
            self.places = places;
            (lines, is_gap)
        }
    }

    fn lines(expected: &[&str]) -> Vec<String> {
        expected.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_line_is_read_once_when_it_is_whole() {
        let mut folder = Folder::new();
        folder.append("a", "one\ntw");
        assert_eq!(folder.new_lines(&["a"]), (lines(&["one"]), false));
        assert_eq!(folder.new_lines(&["a"]), (lines(&[]), false));
        folder.append("a", "o\nthree\n");
        assert_eq!(folder.new_lines(&["a"]), (lines(&["two", "three"]), false));
    }

    #[test]
    fn a_file_is_known_again_under_another_name() {
        let mut folder = Folder::new();
        folder.append("a", "one\n");
        folder.new_lines(&["a"]);
        folder.append("a", "two\n");
        fs::rename(folder.path("a"), folder.path("b")).unwrap();
        folder.append("a", "three\n");
        assert_eq!(folder.new_lines(&["b", "a"]), (lines(&["two", "three"]), false));
    }

    #[test]
    fn a_new_file_with_the_inode_of_one_that_is_gone_is_another_one() {
        let mut folder = Folder::new();
        folder.append("a", "one\ntwo\n");
        folder.new_lines(&["a"]);
        // Written over in place, it keeps the inode whatever the file system does.
        fs::write(folder.path("a"), "new\nand longer than before\n").unwrap();
        assert_eq!(folder.new_lines(&["a"]), (lines(&["new", "and longer than before"]), true));
    }

    #[test]
    fn a_copy_whose_original_was_emptied_is_not_read_again() {
        let mut folder = Folder::new();
        folder.append("a", "one\n");
        folder.new_lines(&["a"]);
        fs::copy(folder.path("a"), folder.path("b")).unwrap();
        fs::write(folder.path("a"), "two\n").unwrap();
        assert_eq!(folder.new_lines(&["b", "a"]), (lines(&["two"]), false));
    }

    #[test]
    fn that_an_old_file_is_gone_is_no_gap_and_that_the_newest_is_is_one() {
        let mut folder = Folder::new();
        folder.append("b", "one\n");
        folder.append("a", "two\n");
        folder.new_lines(&["b", "a"]);
        assert_eq!(folder.new_lines(&["a"]), (lines(&[]), false));
        folder.append("c", "three\n");
        assert_eq!(folder.new_lines(&["c"]), (lines(&["three"]), true));
    }

    #[test]
    fn a_file_that_was_cut_is_read_on_from_where_it_was() {
        let mut folder = Folder::new();
        let long = "x".repeat(600);
        folder.append("a", &format!("{long}\ntwo\n"));
        folder.new_lines(&["a"]);
        File::options().write(true).open(folder.path("a")).unwrap().set_len(601).unwrap();
        assert_eq!(folder.new_lines(&["a"]), (lines(&[]), false));
        folder.append("a", "two\nthree\n");
        assert_eq!(folder.new_lines(&["a"]), (lines(&["three"]), false));
    }
}
