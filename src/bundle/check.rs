//! Whether a bundle is what it says: every file is there with its hash, and nothing else. Nothing is unpacked.
//!
//! A bundle comes from somebody else. It is read as a stream; what an honest one never has is refused before it is looked at:
//! links, devices, paths that lead out of it, more than fits a bundle.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use super::manifest::{self, Manifest};
use crate::digest::sha256_of;

/// More is in no bundle, unpacked, in bytes.
pub const MAX_SIZE: u64 = 1 << 30;
/// More files are in no bundle.
const MAX_FILES: usize = 1 << 17;
/// The longest path.
const MAX_PATH: u64 = 8192;
/// The largest manifest, in bytes.
const MAX_MANIFEST: u64 = 256 << 20;

/// Why a file cannot be looked at as a bundle.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("{}: is no bundle: {why}", path.display())]
    NoBundle {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What was found.
#[derive(Debug)]
pub struct Checked {
    /// What the bundle says of itself; `None` where that is missing or broken.
    pub manifest: Option<Manifest>,
    /// How many of its files are as it says.
    pub whole: usize,
    /// What is not.
    pub problems: Vec<String>,
}

/// Looks at a bundle.
///
/// # Errors
/// If the file cannot be read, or is something else.
pub fn check(path: &Path) -> Result<Checked, CheckError> {
    let of_file = |source| CheckError::File { path: path.to_owned(), source };
    // Without waiting, where it is a FIFO.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(of_file)?;
    if !file.metadata().map_err(of_file)?.is_file() {
        return Err(CheckError::NoBundle { path: path.to_owned(), why: "it is no regular file".to_owned() });
    }
    let mut start = [0; 2];
    let is_gzip = (&file).read_exact(&mut start).is_ok() && start == [0x1f, 0x8b];
    if !is_gzip {
        return Err(CheckError::NoBundle {
            path: path.to_owned(),
            why: "it is not compressed by gzip".to_owned(),
        });
    }
    Ok(read(start.chain(file), MAX_SIZE))
}

/// Reads no more than so many bytes, unpacked.
fn read(compressed: impl Read, most: u64) -> Checked {
    let mut found = Found::default();
    let mut archive = Archive::new(GzDecoder::new(compressed).take(most));
    let read = found.read(&mut archive);
    // What is read no further looks cut.
    if archive.into_inner().limit() == 0 {
        found.problems.push(format!("there are more than {most} bytes in it"));
    } else if let Err(why) = read {
        found.problems.push(why);
    }
    found.compared()
}

/// What is in a bundle.
#[derive(Default)]
struct Found {
    /// The hash of every file, by its path below the bundle's folder.
    files: BTreeMap<String, String>,
    folder: Option<String>,
    manifest: Option<Manifest>,
    problems: Vec<String>,
}

impl Found {
    /// Reads to the end, or to what no bundle has.
    fn read(&mut self, archive: &mut Archive<impl Read>) -> Result<(), String> {
        let broken = |error: io::Error| format!("it is cut or broken: {error}");
        // Raw, since the library would read a name of any length into memory, and sparse files of any size.
        let mut long_name = None;
        for entry in archive.entries().map_err(broken)?.raw(true) {
            let mut entry = entry.map_err(broken)?;
            let kind = entry.header().entry_type();
            if kind == EntryType::GNULongName {
                if entry.size() > MAX_PATH {
                    return Err(format!("a path in it has {} bytes", entry.size()));
                }
                let mut name = Vec::new();
                entry.read_to_end(&mut name).map_err(broken)?;
                long_name = Some(name);
                continue;
            }
            let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
            if kind != EntryType::Regular {
                return Err(format!("{name}: is no regular file ({kind:?}), which no bundle has"));
            }
            let path = self.below(&name)?;
            if self.files.len() >= MAX_FILES {
                return Err(format!("there are more than {MAX_FILES} files in it"));
            }
            let hash = if path == manifest::NAME {
                let mut content = Vec::new();
                (&mut entry).take(MAX_MANIFEST).read_to_end(&mut content).map_err(broken)?;
                self.read_manifest(&content);
                String::new()
            } else {
                sha256_of(&mut entry).map_err(broken)?
            };
            if self.files.insert(path, hash).is_some() {
                return Err(format!("{name}: is there twice"));
            }
        }
        Ok(())
    }

    /// A path below the bundle's one folder.
    fn below(&mut self, name: &str) -> Result<String, String> {
        let mut parts = Path::new(name).components();
        let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let (Some(folder), true) = (parts.next(), is_plain) else {
            return Err(format!("{name}: leads out of the bundle"));
        };
        let folder = folder.as_os_str().to_string_lossy().into_owned();
        if self.folder.get_or_insert_with(|| folder.clone()) != &folder {
            return Err(format!("{name}: is not below the bundle's folder"));
        }
        let path = parts.as_path().to_string_lossy().into_owned();
        if path.is_empty() { Err(format!("{name}: is not below the bundle's folder")) } else { Ok(path) }
    }

    fn read_manifest(&mut self, content: &[u8]) {
        match serde_json::from_slice::<Manifest>(content) {
            Ok(manifest) => self.manifest = Some(manifest),
            Err(error) => self.problems.push(format!("{}: {error}", manifest::NAME)),
        }
    }

    /// What there is against what the manifest says.
    fn compared(mut self) -> Checked {
        let is_there = self.files.remove(manifest::NAME).is_some();
        let Some(manifest) = self.manifest else {
            if !is_there {
                self.problems.push(format!("there is no {} in it", manifest::NAME));
            }
            return Checked { manifest: None, whole: 0, problems: self.problems };
        };
        let mut whole = 0;
        for row in &manifest.items {
            let Some(path) = &row.path else { continue };
            match (self.files.remove(path), &row.sha256) {
                (Some(found), Some(hash)) if found == *hash => whole += 1,
                (Some(_), _) => {
                    self.problems.push(format!("{path}: is not what the manifest says: its hash is another"));
                }
                (None, _) => self.problems.push(format!("{path}: is missing")),
            }
        }
        let others = self.files.into_keys().map(|path| format!("{path}: is not in the manifest"));
        self.problems.extend(others);
        Checked { manifest: Some(manifest), whole, problems: self.problems }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    #[test]
    fn what_is_larger_than_any_bundle_is_not_read_to_its_end() {
        let mut header = tar::Header::new_gnu();
        header.set_size(1 << 40);
        header.set_path("top/x").unwrap();
        header.set_cksum();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(header.as_bytes()).unwrap();
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
        let checked = read(gzip.finish().unwrap().as_slice(), 1 << 19);
        assert_eq!(checked.problems[0], "there are more than 524288 bytes in it");
    }
}
