//! `uninstall`: the marker first, then the lists, then the binary, which stays as a forwarder while sandboxes need it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::agent::hold;
use super::binary::Binary;
use super::conflist::unwrap;
use super::edit::{EditError, Edited, edit, sweep};
use super::holders::{Holder, has_name, holders};
use super::loaded;
use super::lock::{Lock, LockError};
use super::places::{self, Places, STATE};
use super::{lists, marker, running, switch};
use crate::cni::entry::NAME;
use crate::node::Node;
use crate::node::files::FileError;
use crate::settings::Settings;
use crate::settings::file::FILES;

/// How long another installer is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long calls that are under way, and the runtime, may take.
const SETTLE: Duration = Duration::from_secs(10);
/// How often it is looked.
const STEP: Duration = Duration::from_millis(50);
/// What a runtime that does not tell what it has loaded is given to load it: it is told by the kernel, and reads at once.
const UNSEEN: Duration = Duration::from_secs(2);
/// What is kept while the node runs.
const RUN: &str = "/run/cniscope";
/// A larger file is no configuration.
const MAX_BYTES: u64 = 1 << 20;

/// What was done, and what is left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TakenOut {
    /// The lists that were unwrapped, or would be.
    pub unwrapped: Vec<PathBuf>,
    /// The binary that was removed, or would be.
    pub removed: Option<PathBuf>,
    /// The binary that stays as a forwarder.
    pub forwarder: Option<PathBuf>,
    /// Who needs it.
    pub holders: Vec<Holder>,
    /// Why else it stays.
    pub held: Option<String>,
    /// An agent runs, for which the marker stays.
    pub agents: Vec<u32>,
    /// The folder of the journal, where it stays.
    pub journal: Option<PathBuf>,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// Another installer is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A list cannot be unwrapped. The binary stays.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A folder cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A list names cniscope, but is none that can be unwrapped.
    #[error("{}: names cniscope, but {flaw}; repair it by hand, then: cniscope uninstall", file.display())]
    Flaw {
        /// The list.
        file: PathBuf,
        /// What is wrong with it.
        flaw: String,
    },
    /// Something cannot be written or removed.
    #[error("{}: {source}", path.display())]
    System {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The places.
    pub places: Places,
    /// A list elsewhere.
    pub conflist: Option<PathBuf>,
    /// The journal goes too.
    pub purge: bool,
}

/// What an uninstall would do.
///
/// # Errors
/// If a list cannot be unwrapped.
pub fn plan(node: &Node, wish: &Wish) -> Result<TakenOut, UninstallError> {
    let unwrapped = wrapped_lists(node, wish)?;
    let binary = binaries(node, &wish.places).into_iter().next();
    let holders = holders(node, &wish.places);
    let (forwarder, removed) = if holders.is_empty() { (None, binary) } else { (binary, None) };
    let agents = running::agents(node);
    Ok(TakenOut {
        unwrapped,
        removed,
        forwarder,
        holders,
        agents,
        held: None,
        journal: kept_journal(node, wish),
    })
}

/// Takes cniscope out, as far as nobody needs it any more.
///
/// # Errors
/// If it cannot be done; a second run goes on where this one ended.
pub fn uninstall(node: &Node, wish: &Wish) -> Result<TakenOut, UninstallError> {
    let lock = Lock::take(node, PATIENCE)?;
    marker::put(node).map_err(at(marker::MARKER))?;
    let mut done = TakenOut::default();
    lists::everywhere(node, &wish.places, wish.conflist.as_deref())?
        .iter()
        .for_each(|file| sweep(node, &lock, file));
    for file in wrapped_lists(node, wish)? {
        if let Edited::Changed { .. } = edit(node, &lock, &file, unwrap)? {
            done.unwrapped.push(file);
        }
    }
    // What an installation that was killed has left among the plugins.
    for folder in &wish.places.bin_dirs {
        Binary::at(&places::entry(node, &folder.join(NAME))).forget();
    }
    let binaries = binaries(node, &wish.places);
    if !binaries.is_empty() {
        switch::put(node).map_err(at(switch::SWITCH))?;
    }
    done.held = settle(node, &wish.places, !done.unwrapped.is_empty());
    done.holders = holders(node, &wish.places);
    done.agents = running::agents(node);
    done.journal = kept_journal(node, wish);
    if !binaries.is_empty() && (done.held.is_some() || !done.holders.is_empty()) {
        done.forwarder = binaries.into_iter().next();
        return Ok(done);
    }
    for binary in binaries {
        std::fs::remove_file(places::entry(node, &binary)).map_err(at(&binary))?;
        done.removed.get_or_insert(binary);
    }
    remove_rest(node, wish, &lock, &done)?;
    if done.agents.is_empty() {
        marker::remove(node).map_err(at(marker::MARKER))?;
        lock.remove();
    }
    Ok(done)
}

/// Waits until nobody holds the binary, as long as told, and takes it out. `waits` hears for whom, if it has to wait.
///
/// # Errors
/// As [`uninstall`].
pub fn wait(
    node: &Node,
    wish: &Wish,
    longest: Option<Duration>,
    waits: impl FnOnce(&TakenOut),
) -> Result<TakenOut, UninstallError> {
    let started = Instant::now();
    let mut done = uninstall(node, wish)?;
    if done.forwarder.is_some() {
        waits(&done);
    }
    loop {
        let is_over = longest.is_some_and(|longest| started.elapsed() >= longest);
        // Without its marker somebody has installed it again.
        if done.forwarder.is_none() || is_over || !marker::is_there(node) {
            return Ok(done);
        }
        std::thread::sleep(STEP * 10);
        if holders(node, &wish.places).is_empty() && marker::is_there(node) {
            let unwrapped = std::mem::take(&mut done.unwrapped);
            done = uninstall(node, wish)?;
            done.unwrapped.extend(unwrapped);
        }
    }
}

fn at(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> UninstallError {
    let path = path.as_ref().to_owned();
    move |source| UninstallError::System { path, source }
}

/// Those that name cniscope.
fn wrapped_lists(node: &Node, wish: &Wish) -> Result<Vec<PathBuf>, UninstallError> {
    let mut wrapped = Vec::new();
    for file in lists::everywhere(node, &wish.places, wish.conflist.as_deref())? {
        let content = node.read(&file, MAX_BYTES)?;
        match unwrap(&content) {
            Ok(unwrapped) if unwrapped == content => {}
            Ok(_) => wrapped.push(file),
            Err(flaw) if has_name(&content) => {
                return Err(UninstallError::Flaw { file, flaw: flaw.to_string() });
            }
            Err(_) => {}
        }
    }
    wrapped.dedup();
    Ok(wrapped)
}

/// Where the binary stands among the plugins.
fn binaries(node: &Node, places: &Places) -> Vec<PathBuf> {
    let paths = places.bin_dirs.iter().map(|folder| folder.join(NAME));
    paths.filter(|path| std::fs::symlink_metadata(places::entry(node, path)).is_ok()).collect()
}

/// Waits until calls that may have begun with a wrapped list are over, and the runtime has loaded what it is to use. Gives why
/// the binary has to stay, if that does not happen.
fn settle(node: &Node, places: &Places, has_changed: bool) -> Option<String> {
    let until = Instant::now() + SETTLE;
    let mut unseen = has_changed.then(|| Instant::now() + UNSEEN);
    loop {
        let loaded = loaded::names_wrapped(node, places);
        let now = Instant::now();
        let why = match loaded {
            Ok(found) if found.is_wrapped => Some(format!(
                "{} has not loaded the unwrapped list; it says: {}",
                found.runtime, found.status
            )),
            Err(_) if loaded::has_runtime(node) && unseen.is_some_and(|until| now < until) => {
                std::thread::sleep(STEP);
                continue;
            }
            Ok(_) | Err(_) => None,
        };
        unseen = None;
        if now > until || why.is_none() && !running::is_adding(node) {
            return why;
        }
        std::thread::sleep(STEP);
    }
}

/// What is not a person's: switch, caches, counters.
fn remove_rest(node: &Node, wish: &Wish, _: &Lock, done: &TakenOut) -> Result<(), UninstallError> {
    switch::remove(node).map_err(at(switch::SWITCH))?;
    remove_folder(&node.reached(Path::new(RUN))).map_err(at(RUN))?;
    let state = node.reached(Path::new(STATE));
    for entry in std::fs::read_dir(&state).into_iter().flatten().flatten() {
        let path = Path::new(STATE).join(entry.file_name());
        let is_settings = FILES.iter().any(|file| path == Path::new(file));
        let is_last = path == Path::new(marker::MARKER) || entry.file_name() == super::lock::NAME;
        let is_held = entry.file_name() == hold::NAME && !done.agents.is_empty();
        if is_settings || is_last || is_held {
            continue;
        }
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        };
        removed.map_err(at(path))?;
    }
    if wish.purge && done.journal.is_none() {
        purge(node)?;
    }
    Ok(())
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn journal(node: &Node) -> PathBuf {
    Settings::of_node(node, None).journal.dir
}

fn kept_journal(node: &Node, wish: &Wish) -> Option<PathBuf> {
    let journal = journal(node);
    (!wish.purge && node.metadata(&journal).is_ok()).then_some(journal)
}

/// Removes the journal's files, and its folder if nothing else is in it.
fn purge(node: &Node) -> Result<(), UninstallError> {
    let journal = journal(node);
    let folder = node.reached(&journal);
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.starts_with("journal.") || name.starts_with("cniscope.log");
        if is_ours {
            std::fs::remove_file(entry.path()).map_err(at(journal.join(name)))?;
        }
    }
    let _ = std::fs::remove_dir(&folder);
    Ok(())
}
