//! Where calls are read from: a folder of a journal, with what an external logrotate has made of its files, or a bundle.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::append::CURRENT;
use super::blocks::Blocks;
use super::in_order::Parts;
use super::read::ReadError;

/// How often the files are opened again because they were being rotated.
const MAX_TRIES: usize = 16;
/// The folder of the journal inside a bundle.
const IN_BUNDLE: &str = "journal";
/// What gzip writes first.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What every tar file has there.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Files that calls are read from, in the order of their age as far as their names tell it.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<(PathBuf, File)>,
    /// How many files are compressed by something else than gzip.
    unread: usize,
}

/// What was met on the way.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Lines that are longer than any record.
    pub(super) too_long: usize,
    /// Files that break off.
    pub(super) cut: usize,
    /// Files that are compressed by something else than gzip.
    pub(super) unread: usize,
}

impl Sources {
    /// Opens folders of journals, bundles, unpacked bundles and single files of a journal.
    ///
    /// # Errors
    /// If there is no journal in one of them, or it cannot be opened.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Sources, ReadError> {
        let mut sources = Sources::default();
        for path in paths.iter().map(AsRef::as_ref) {
            if path.is_file() {
                sources.files.push((path.to_owned(), open(path)?));
                continue;
            }
            let in_bundle = path.join(IN_BUNDLE);
            let mut files = open_files(path)?;
            if files.is_empty() {
                files = open_files(&in_bundle)?;
            }
            let unread = otherwise_compressed(path) + otherwise_compressed(&in_bundle);
            sources.unread += unread;
            if files.is_empty() && unread == 0 {
                return Err(ReadError::Missing { dir: path.to_owned() });
            }
            sources.files.append(&mut files);
        }
        Ok(sources)
    }

    /// Hands over the lines of all files.
    pub(super) fn put<R>(self, parts: &Parts<R>) -> Result<Met, ReadError> {
        let mut met = Met { unread: self.unread, ..Met::default() };
        for (path, file) in self.files {
            match put_file(file, parts, &mut met) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(source) => return Err(ReadError::File { path, source }),
            }
        }
        Ok(met)
    }
}

fn put_file<R>(file: File, parts: &Parts<R>, met: &mut Met) -> io::Result<ControlFlow<()>> {
    let mut start = [0; TAR.0 + TAR.1.len()];
    if file.read_at(&mut start, 0)? >= GZIP.len() && start.starts_with(&GZIP) {
        let mut unpacked = MultiGzDecoder::new(io::BufReader::with_capacity(64 * 1024, file));
        let mut start = Vec::new();
        let read = unpacked.by_ref().take(512).read_to_end(&mut start);
        if start.len() < 512 {
            // Whatever keeps it from being longer, such a file is no bundle.
            met.cut += usize::from(read.is_err());
            return put_lines(start.as_slice(), parts, met);
        }
        if start[TAR.0..].starts_with(TAR.1) {
            return put_bundle(start.chain(unpacked), parts, met);
        }
        return put_lines(start.chain(unpacked), parts, met);
    }
    if start[TAR.0..] == *TAR.1 { put_bundle(file, parts, met) } else { put_lines(file, parts, met) }
}

/// Hands over what stands in a bundle below `journal/`, inside the one folder that holds everything or without it.
fn put_bundle<R>(bundle: impl Read, parts: &Parts<R>, met: &mut Met) -> io::Result<ControlFlow<()>> {
    let mut archive = tar::Archive::new(bundle);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let folders: Vec<&OsStr> = path.parent().map(|folder| folder.iter().collect()).unwrap_or_default();
        let is_there = folders.len() <= 2 && folders.last().is_some_and(|folder| *folder == IN_BUNDLE);
        let is_journal = path.file_name().and_then(OsStr::to_str).and_then(age).is_some();
        if !is_there || !is_journal || !entry.header().entry_type().is_file() {
            continue;
        }
        let mut start = Vec::new();
        entry.by_ref().take(2).read_to_end(&mut start)?;
        let is_packed = start == GZIP;
        let whole = io::Cursor::new(start).chain(entry);
        let put = if is_packed {
            put_lines(MultiGzDecoder::new(io::BufReader::new(whole)), parts, met)?
        } else {
            put_lines(whole, parts, met)?
        };
        if put.is_break() {
            return Ok(put);
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn put_lines<R>(file: impl Read, parts: &Parts<R>, met: &mut Met) -> io::Result<ControlFlow<()>> {
    let mut blocks = Blocks::of(file);
    loop {
        let Some(mut block) = parts.buffer() else { return Ok(ControlFlow::Break(())) };
        let goes_on = blocks.next(&mut block);
        if parts.put(block).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if !goes_on {
            break;
        }
    }
    match blocks.end() {
        Ok(too_long) => met.too_long += too_long,
        // gzip is still writing it, or the disk was full.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => met.cut += 1,
        Err(error) => return Err(error),
    }
    Ok(ControlFlow::Continue(()))
}

/// The files of the journal in a folder, the oldest first, as they stand together at one moment: opened one by one while
/// others rotate, one could be met twice and another not at all. There are none where there is no folder.
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
    let failed = |source| ReadError::File { path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if let Some(age) = name.to_str().and_then(age) {
            names.push((age, name));
        }
    }
    names.sort();
    let mut files = Vec::new();
    for path in names.iter().map(|(_, name)| dir.join(name)) {
        match open(&path) {
            Ok(file) => files.push((path, file)),
            Err(ReadError::File { source, .. }) if is_missing(&source) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// How many files of a journal in a folder are compressed by something else than gzip.
fn otherwise_compressed(dir: &Path) -> usize {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_one = |name: &OsStr| {
        let name = name.to_str().and_then(|name| name.rsplit_once('.'));
        name.is_some_and(|(name, by)| matches!(by, "bz2" | "lz4" | "xz" | "zst") && age(name).is_some())
    };
    names.filter(|name| is_one(name)).count()
}

fn open(path: &Path) -> Result<File, ReadError> {
    let failed = |source| ReadError::File { path: path.to_owned(), source };
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        Ok(file)
    } else {
        Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")))
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn inodes(files: &[(PathBuf, File)]) -> Vec<Option<u64>> {
    files.iter().map(|(_, file)| file.metadata().ok().map(|metadata| metadata.ino())).collect()
}

/// How old the files of a journal are, by their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// logrotate's `dateext`; what it was before its rotation.
    Dated(String, Reverse<u32>),
    /// The highest is the oldest.
    Numbered(Reverse<u32>),
    /// The one that is written to.
    Current,
}

/// The age of a file: `journal.jsonl`, `journal.1.jsonl`, and what logrotate makes of them: `journal.jsonl.1`,
/// `journal.jsonl-20261120`, `journal-20261120.jsonl`, with or without `.gz`. `None` for every other file.
fn age(name: &str) -> Option<Age> {
    let (stem, extension) = CURRENT.split_at(CURRENT.find('.')?);
    let rest = name.strip_suffix(".gz").unwrap_or(name).strip_prefix(stem)?;
    let (before, after) = rest.split_once(extension)?;
    let number = |text: &str| text.strip_prefix('.').and_then(|digits| digits.parse::<u32>().ok());
    let date = |text: &str| {
        let date = text.strip_prefix('-')?;
        let is_date =
            date.len() >= 4 && date.bytes().all(|byte| byte.is_ascii_digit() || b"-_T".contains(&byte));
        is_date.then(|| date.to_owned())
    };
    match (before, after) {
        ("", "") => Some(Age::Current),
        ("", text) | (text, "") if text.starts_with('-') => Some(Age::Dated(date(text)?, Reverse(0))),
        ("", text) | (text, "") => Some(Age::Numbered(Reverse(number(text)?))),
        (own, text) if text.starts_with('-') => Some(Age::Dated(date(text)?, Reverse(number(own)?))),
        (own, text) => Some(Age::Numbered(Reverse(number(own)?.max(number(text)?)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names_and_the_oldest_is_first() {
        let in_order = [
            "journal.jsonl-20261118.gz",
            "journal.2.jsonl-20261119.gz",
            "journal.1.jsonl-20261119.gz",
            "journal-20261120.jsonl",
            "journal.jsonl-20261120-1795000000",
            "journal.12.jsonl",
            "journal.3.jsonl.gz",
            "journal.jsonl.2.gz",
            "journal.jsonl.1",
            "journal.jsonl",
        ];
        let ages: Vec<Age> =
            in_order.iter().map(|name| age(name).unwrap_or_else(|| panic!("{name}"))).collect();
        assert!(ages.is_sorted(), "{ages:?}");
        for other in [
            "journal.lock",
            "journal.jsonl.swp",
            "journal.x.jsonl",
            "cniscope.log",
            "journal.jsonl.gz.tmp",
            "journal",
        ] {
            assert_eq!(age(other), None, "{other}");
        }
    }
}
