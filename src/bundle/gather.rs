//! What an item is gathered with: the node, the room that is left, and the way into the bundle, on which everything is cleaned.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use serde::Serialize;

use super::clean::{Form, Hidden, Text};
use super::manifest::Status;
use crate::node::Node;
use crate::node::files::FileError;

/// The largest file that is copied, and the most that is copied of a larger one.
const MAX_FILE: u64 = 16 << 20;
/// Folders in folders are followed so deep.
const MAX_DEPTH: usize = 6;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folder of the network configurations.
    pub conf_dir: PathBuf,
    /// The folders of the plugins.
    pub bin_folders: Vec<PathBuf>,
    /// The folder of the journal, as this process sees it.
    pub journal: PathBuf,
    /// A kubeconfig by which the API server is asked, before those that are found.
    pub kubeconfig: Option<PathBuf>,
}

/// A file for the bundle, or why there is none.
#[derive(Debug)]
pub struct Piece {
    /// Its path below the bundle's folder, and what is in it.
    pub file: Option<(String, Vec<u8>)>,
    /// What became of it.
    pub status: Status,
    /// Why it is not there, or not whole.
    pub reason: Option<String>,
    /// What was hidden in it.
    pub hidden: Vec<Hidden>,
}

/// Nobody waits for the item any more.
#[derive(Debug)]
pub struct Over;

/// The end of an item: everything is in the bundle, or nobody waits any more.
pub type Gathered = Result<(), Over>;

/// What an item is gathered with.
pub struct Gatherer {
    /// The node.
    pub node: Node,
    /// What is asked for.
    pub plan: Arc<Plan>,
    /// How long the item may take.
    pub limit: Duration,
    pub(super) text: Arc<Text>,
    pub(super) room: Arc<AtomicU64>,
    /// How many names were hidden.
    pub(super) unnamed: Arc<AtomicU64>,
    pub(super) sender: SyncSender<Option<Piece>>,
}

/// Which part of a file is wanted where it is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its first bytes.
    Start,
    /// Its last whole lines, in so many bytes.
    End(u64),
}

impl Gatherer {
    /// What is not in the bundle, and why.
    pub(super) fn without(&self, status: Status, reason: impl Into<String>) -> Gathered {
        self.send(Piece { file: None, status, reason: Some(reason.into()), hidden: Vec::new() })
    }

    /// Puts in what cniscope has found out, as JSON.
    pub(super) fn found(&self, path: &str, what: &impl Serialize) -> Gathered {
        match serde_json::to_vec(what) {
            Ok(content) => self.put(path, &content, Form::Findings, None),
            Err(error) => self.without(Status::Failed, format!("{path}: {error}")),
        }
    }

    /// Puts in a text of this form; where it is not whole, why.
    pub(super) fn put(&self, path: &str, content: &[u8], form: Form, cut: Option<String>) -> Gathered {
        let cleaned = self.text.clean(content, form);
        let status = if cut.is_some() { Status::Cut } else { Status::Ok };
        let file = Some((self.named(path), cleaned.content));
        self.send(Piece { file, status, reason: cut, hidden: cleaned.hidden })
    }

    /// Copies a file of the node to its own place below `host/`; a file that is not there is no news.
    pub(super) fn copy(&self, path: &Path, form: Form, part: Part) -> Gathered {
        self.copy_to(&below_host(path), path, form, part)
    }

    /// Copies a file of the node.
    pub(super) fn copy_to(&self, to: &str, path: &Path, form: Form, part: Part) -> Gathered {
        match self.read(path, part) {
            Ok((content, cut)) => self.put(to, &content, form, cut),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => self.without(Status::Failed, error.to_string()),
        }
    }

    /// What is to be copied of a file, and why that is not all.
    fn read(&self, path: &Path, part: Part) -> Result<(Vec<u8>, Option<String>), FileError> {
        let room = self.room.load(Ordering::Relaxed);
        let most = match part {
            Part::Start => MAX_FILE,
            Part::End(most) => most,
        };
        let most = most.min(room);
        let file = self.node.open_file(path)?;
        let size = file.metadata.len();
        if part == Part::Start {
            let mut content = file.read_start(most + 1)?;
            let is_cut = content.len() as u64 > most;
            content.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            let why = || format!("the first {most} bytes of {}", path.display());
            return Ok((content, is_cut.then(why)));
        }
        let end = file.read_end(most)?;
        if end.is_all {
            return Ok((end.content, None));
        }
        let whole = end.content.iter().position(|byte| *byte == b'\n');
        // What stands before the first line's end may be the rest of a secret.
        let whole = whole.map_or(end.content.len(), |newline| newline + 1);
        let content = end.content[whole..].to_vec();
        let why = format!("the last {} of the {size} bytes of {}", content.len(), path.display());
        Ok((content, Some(why)))
    }

    /// Copies the files of a folder and of those in it, at most `most` of them.
    pub(super) fn copy_folder(&self, folder: &Path, form: Form, part: Part, most: usize) -> Gathered {
        let mut files = Vec::new();
        if let Err(error) = self.walk(folder, MAX_DEPTH, most + 1, &mut files) {
            return if error.is_missing() { Ok(()) } else { self.without(Status::Failed, error.to_string()) };
        }
        let is_cut = files.len() > most;
        for path in files.iter().take(most) {
            self.copy(path, form, part)?;
        }
        if is_cut {
            self.without(Status::Cut, format!("{} has more than {most} files", folder.display()))?;
        }
        Ok(())
    }

    /// The files below a folder, in the order of their names. Links to folders are not followed.
    fn walk(
        &self,
        folder: &Path,
        depth: usize,
        most: usize,
        found: &mut Vec<PathBuf>,
    ) -> Result<(), FileError> {
        let mut names = self.node.list(folder, most)?.names;
        names.sort();
        for path in names.into_iter().map(|name| folder.join(name)) {
            if found.len() >= most {
                break;
            }
            let is_folder = self.node.metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            if !is_folder {
                found.push(path);
            } else if depth > 0 && self.node.link_target(&path).is_none() {
                // One that cannot be listed hides none of the others.
                let _ = self.walk(&path, depth - 1, most, found);
            }
        }
        Ok(())
    }

    /// The path under which a file is in the bundle. A name can hold a secret too: of names that no program gives its files
    /// only the place is told.
    fn named(&self, path: &str) -> String {
        let is_usual =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:~+-".contains(&byte));
        let named = |name: &str| {
            if is_usual(name) && self.text.hide(name).is_none() {
                return name.to_owned();
            }
            format!("redacted-{}", self.unnamed.fetch_add(1, Ordering::Relaxed))
        };
        path.split('/').map(named).collect::<Vec<_>>().join("/")
    }

    fn send(&self, mut piece: Piece) -> Gathered {
        if let Some((path, content)) = &piece.file {
            let size = content.len() as u64;
            let taken =
                self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(size));
            if taken.is_err() {
                piece.reason = Some(format!("{path}: no room is left for its {size} bytes (--max-size)"));
                piece = Piece { file: None, status: Status::Cut, hidden: Vec::new(), ..piece };
            }
        }
        self.sender.send(Some(piece)).map_err(|_| Over)
    }
}

/// A path of the node in the bundle.
#[must_use]
pub fn below_host(path: &Path) -> String {
    format!("host/{}", path.strip_prefix("/").unwrap_or(path).display())
}
