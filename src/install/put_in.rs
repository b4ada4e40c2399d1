//! `install`: the binary first, then the lists; each step verified, and all of it taken back where one fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::binary::{self, Binary, Standing};
use super::conflist::{Which, unwrap, wrap};
use super::delegates::{self, Answered};
use super::edit::{Edited, edit, refusal};
use super::lists::{self, List, ListsError};
use super::loaded::{self, Loaded};
use super::lock::{Lock, LockError};
use super::marker;
use super::places::{self, Places};
use super::switch::{self, Switch};
use crate::node::Node;
use crate::node::plugin_versions::Answer;

/// How long another installer is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The list, instead of those that the node runs.
    pub conflist: Option<PathBuf>,
    /// Which entries are wrapped.
    pub which: Which,
    /// The places.
    pub places: Places,
}

/// What is to be done, as far as it can be told before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where the binary is to be, on the node.
    pub binary: PathBuf,
    /// What is there.
    pub standing: Standing,
    /// The lists.
    pub lists: Vec<List>,
    /// An uninstall has left its marker.
    pub is_marked: bool,
    /// Whether it is switched off.
    pub switch: Switch,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// As it was planned.
    pub plan: Plan,
    /// The plugins that answered VERSION.
    pub plugins: Vec<Answered>,
    /// Why they were not asked.
    pub not_asked: Option<&'static str>,
    /// Whether the runtime has it.
    pub loaded: Loaded,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is nothing to wrap, or it cannot be.
    #[error(transparent)]
    Lists(#[from] ListsError),
    /// Another installer is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The binary cannot be put in its place, or looked at.
    #[error("{}: {reason}", path.display())]
    Binary {
        /// Its path on the node.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A step failed, and what was done before it was taken back.
    #[error("{why}; {}", taken_back(left))]
    Failed {
        /// Why.
        why: String,
        /// What could not be taken back.
        left: Vec<String>,
    },
}

fn taken_back(left: &[String]) -> String {
    if left.is_empty() {
        return "nothing on the node is changed".to_owned();
    }
    format!("and this could not be taken back: {}", left.join("; "))
}

impl Plan {
    /// What there is to do.
    ///
    /// # Errors
    /// If there is nothing to wrap, or it cannot be.
    pub fn of(node: &Node, wish: &Wish) -> Result<Plan, InstallError> {
        let lists = lists::chosen(node, &wish.places, wish.conflist.as_deref(), wish.which)?;
        let head = lists.first().and_then(|list| list.entries.first());
        let binary = wish.places.binary(node, head.map_or("", |entry| entry.plugin.as_str()));
        let standing = binary::standing(&places::entry(node, &binary))
            .map_err(|error| InstallError::Binary { path: binary.clone(), reason: error.to_string() })?;
        let (is_marked, switch) = (marker::is_there(node), switch::standing(node));
        Ok(Plan { binary, standing, lists, is_marked, switch })
    }

    /// Whether all is as it should be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.standing == Standing::Same
            && self.lists.iter().all(|list| list.before == list.after)
            && !self.is_marked
            && self.switch != Switch::Forwarder
    }
}

/// Puts cniscope in the plugins' place.
///
/// # Errors
/// If it cannot be done; then the node is as it was.
pub fn install(node: &Node, wish: &Wish) -> Result<Installed, InstallError> {
    let lock = Lock::take(node, PATIENCE)?;
    let plan = Plan::of(node, wish)?;
    let mut done =
        Done { node, lock: &lock, binary: None, lists: Vec::new(), was_marked: false, was_forwarder: false };
    let failed = |done: Done<'_>, why: String| InstallError::Failed { why, left: done.undo() };
    match done.carry_out(&plan, wish) {
        Ok((plugins, loaded)) => {
            Binary::at(&places::entry(node, &plan.binary)).forget();
            Ok(Installed { plan, plugins, not_asked: node.starts_plugins().err(), loaded })
        }
        Err(why) => Err(failed(done, why)),
    }
}

/// What has been done so far.
struct Done<'a> {
    node: &'a Node,
    lock: &'a Lock,
    binary: Option<Binary>,
    /// The lists that were changed, with what was in them and what is now.
    lists: Vec<(PathBuf, Vec<u8>, Vec<u8>)>,
    was_marked: bool,
    was_forwarder: bool,
}

impl Done<'_> {
    fn carry_out(&mut self, plan: &Plan, wish: &Wish) -> Result<(Vec<Answered>, Loaded), String> {
        let node = self.node;
        if plan.standing != Standing::Same {
            self.put_binary(&plan.binary)?;
        }
        self.ask_binary(&plan.binary)?;
        let plugins = delegates::ask(node, &wish.places, &plan.lists)?;
        self.was_marked = marker::remove(node).map_err(|error| format!("{}: {error}", marker::MARKER))?;
        self.was_forwarder = switch::remove(node).map_err(|error| format!("{}: {error}", switch::SWITCH))?;
        for list in plan.lists.iter().filter(|list| list.is_wanted()) {
            let edited = edit(node, self.lock, &list.file, |bytes| wrap(bytes, wish.which));
            if let Edited::Changed { before, after } = edited.map_err(|error| error.to_string())? {
                self.lists.push((list.file.clone(), before, after));
            }
        }
        let loaded = self.verify(plan, wish)?;
        Ok((plugins, loaded))
    }

    fn put_binary(&mut self, path: &Path) -> Result<(), String> {
        let reached = places::entry(self.node, path);
        let failed = |error: std::io::Error| {
            let reason = refusal::of_error(&error, &reached).unwrap_or_else(|| error.to_string());
            format!("{}: {reason}; --bin-dir DIR names another folder", path.display())
        };
        let binary = Binary::copy(self.lock, &reached).map_err(failed)?;
        let beside = path.with_file_name(binary.path().file_name().unwrap_or_default());
        if let Err(why) = self.ask_binary(&beside) {
            binary.forget();
            return Err(why);
        }
        binary.put().map_err(failed)?;
        self.binary = Some(binary);
        Ok(())
    }

    /// The binary runs where it stands.
    fn ask_binary(&self, path: &Path) -> Result<(), String> {
        if self.node.starts_plugins().is_err() {
            return Ok(());
        }
        let answer = self.node.plugin_versions(path, Answer::Forgotten);
        answer.map(drop).map_err(|why| format!("{}: cannot be run there: {why}", path.display()))
    }

    /// What was written is read again, and the runtime is asked whether it has it.
    fn verify(&self, plan: &Plan, wish: &Wish) -> Result<Loaded, String> {
        for list in plan.lists.iter().filter(|list| list.is_wanted()) {
            let now = lists::list(self.node, &list.file, wish.which).map_err(|error| error.to_string())?;
            if now.before != now.after {
                return Err(format!(
                    "{}: another program has written it anew; cniscope agent keeps it wrapped",
                    list.file.display()
                ));
            }
        }
        match &wish.conflist {
            Some(_) => {
                Ok(Loaded::Unknown { reason: "the list was named, and may not be the runtime's".to_owned() })
            }
            None => loaded::wait_for_wrapped(self.node, &wish.places),
        }
    }

    /// Takes everything back, and gives what could not be.
    fn undo(self) -> Vec<String> {
        let mut left = Vec::new();
        for (file, before, after) in &self.lists {
            let back = |bytes: &[u8]| if bytes == after { Ok(before.clone()) } else { unwrap(bytes) };
            if let Err(error) = edit(self.node, self.lock, file, back) {
                left.push(error.to_string());
            }
        }
        if let Some(binary) = self.binary.filter(|_| left.is_empty())
            && let Err(error) = binary.undo()
        {
            left.push(format!("{}: {error}", binary.path().display()));
        }
        let back = [
            (self.was_marked, marker::put as fn(&Node) -> std::io::Result<()>, marker::MARKER),
            (self.was_forwarder, switch::put, switch::SWITCH),
        ];
        for (_, put, path) in back.into_iter().filter(|(was, ..)| *was) {
            if let Err(error) = put(self.node) {
                left.push(format!("{path}: {error}"));
            }
        }
        left
    }
}

/// The same as a document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: u8,
    changed: bool,
    binary: &'a Path,
    binary_was: Standing,
    lists: Vec<DocumentList<'a>>,
    switched_off: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugins: Option<&'a [Answered]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded: Option<&'a Loaded>,
}

#[derive(Debug, Serialize)]
struct DocumentList<'a> {
    file: &'a Path,
    network: &'a str,
    changed: bool,
    entries: &'a [lists::Planned],
}

impl Plan {
    /// For programs: what is planned, or with `installed` what was done.
    #[must_use]
    pub fn document<'a>(&'a self, installed: Option<&'a Installed>) -> Document<'a> {
        let list = |list: &'a List| DocumentList {
            file: &list.file,
            network: &list.network,
            changed: list.before != list.after,
            entries: &list.entries,
        };
        Document {
            schema: 1,
            changed: !self.is_done(),
            binary: &self.binary,
            binary_was: self.standing,
            lists: self.lists.iter().map(list).collect(),
            switched_off: self.switch == Switch::Off,
            plugins: installed.map(|installed| installed.plugins.as_slice()),
            loaded: installed.map(|installed| &installed.loaded),
        }
    }
}
