//! Which lists of a node are wrapped, and what becomes of each of their entries.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::conflist::{ConflistError, Which, wrap};
use super::edited_by_others;
use super::places::Places;
use crate::checks::networks::{self, Entry, Folder, Network};
use crate::node::Node;
use crate::node::files::FileError;

/// A larger file is no configuration.
const MAX_BYTES: u64 = 1 << 20;

/// A file with a network that the node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its path.
    pub file: PathBuf,
    /// The name of its network.
    pub network: String,
    /// Its entry stands behind those of the list before it.
    pub is_beside: bool,
    /// Its plugins, in their order, those of networks inside of them behind.
    pub entries: Vec<Planned>,
    /// What is in it.
    pub before: Vec<u8>,
    /// What is to be in it.
    pub after: Vec<u8>,
}

/// An entry, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The plugin.
    pub plugin: String,
    /// Whether cniscope stands in its place already.
    pub is_wrapped: bool,
    /// Whether it is to stand there.
    pub is_wanted: bool,
    /// Why it is not to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

impl List {
    /// Whether any of its entries is to be wrapped.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.entries.iter().any(|entry| entry.is_wanted)
    }

    /// The same as one whose entry is not the first of its network.
    fn beside(self, which: Which) -> List {
        let behind = |entry: Planned| {
            let is_wanted = entry.is_wrapped || which.has(1, &entry.plugin);
            Planned { is_wanted, reason: reason(is_wanted, &entry.plugin), ..entry }
        };
        let entries: Vec<_> = self.entries.into_iter().map(behind).collect();
        let is_wanted = entries.iter().any(|entry| entry.is_wanted);
        let after = if is_wanted { self.after } else { self.before.clone() };
        List { is_beside: true, entries, after, ..self }
    }
}

fn reason(is_wanted: bool, plugin: &str) -> Option<&'static str> {
    let others = edited_by_others::find(plugin).map(|others| others.reason);
    (!is_wanted).then(|| others.unwrap_or("only the first entry is wanted (--head-only)"))
}

/// Why there is nothing to wrap.
#[derive(Debug, thiserror::Error)]
pub enum ListsError {
    /// There is no list.
    #[error(
        "{}: no network configuration is there; the network add-on writes it, cniscope makes none", conf_dir.display()
    )]
    None {
        /// The folder.
        conf_dir: PathBuf,
    },
    /// The runtime refuses the one that it takes.
    #[error("{}: {flaw}", file.display())]
    Flaw {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        flaw: String,
    },
    /// It cannot be wrapped.
    #[error("{}: {source}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// Why.
        source: ConflistError,
    },
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The lists that the node runs: the one that wins, what libcni puts behind it, and, where its plugin runs others, those.
/// Or the one that is told, by its path or by its name in the folder.
///
/// # Errors
/// If there is none, or one of them cannot be wrapped.
pub fn chosen(
    node: &Node,
    places: &Places,
    told: Option<&Path>,
    which: Which,
) -> Result<Vec<List>, ListsError> {
    let mut lists = Vec::new();
    for file in files(node, places, told)? {
        let mut list = list(node, &file, which)?;
        let is_list = file.extension().is_some_and(|ending| ending == "conflist");
        let beside = if is_list { networks::files_beside(node, &file, &list.before) } else { Vec::new() };
        // Its own entries come first.
        list.entries.truncate(list.entries.len() - beside.len());
        lists.push(list);
        for file in beside {
            lists.push(self::list(node, &file, which)?.beside(which));
        }
    }
    Ok(lists)
}

fn files(node: &Node, places: &Places, told: Option<&Path>) -> Result<Vec<PathBuf>, ListsError> {
    if let Some(told) = told {
        return Ok(vec![places.conf_dir.join(told)]);
    }
    let missing = || ListsError::None { conf_dir: places.conf_dir.clone() };
    let mut folder = match Folder::read(node, &places.conf_dir) {
        Err(error) if error.is_missing() => return Err(missing()),
        folder => folder?,
    };
    if places.runtime == Some("CRI-O") {
        // ocicni passes over what it cannot load.
        folder.files.retain(|file| file.networks.is_ok());
    }
    let first = folder.files.first().ok_or_else(missing)?;
    if let Err(flaw) = &first.networks {
        return Err(ListsError::Flaw { file: first.path.clone(), flaw: flaw.to_string() });
    }
    let is_chosen = |file: &&networks::File| file.networks.is_ok() && folder.is_taken(file);
    Ok(folder.files.iter().filter(is_chosen).map(|file| file.path.clone()).collect())
}

/// One list, with what is to become of it.
///
/// # Errors
/// If it is none, or cannot be wrapped.
pub fn list(node: &Node, file: &Path, which: Which) -> Result<List, ListsError> {
    let flaw = |flaw: networks::Flaw| ListsError::Flaw { file: file.to_owned(), flaw: flaw.to_string() };
    let networks = networks::read(node, file).map_err(flaw)?;
    let before = node.read(file, MAX_BYTES)?;
    let after =
        wrap(&before, which).map_err(|source| ListsError::Content { file: file.to_owned(), source })?;
    let network = networks.first().map(|network| network.name.clone()).unwrap_or_default();
    let entries = networks.iter().flat_map(|network| planned(network, which)).collect();
    Ok(List { file: file.to_owned(), network, is_beside: false, entries, before, after })
}

fn planned(network: &Network, which: Which) -> Vec<Planned> {
    let one = |(position, entry): (usize, &Entry)| {
        let is_wanted = entry.is_wrapped || which.has(position, &entry.plugin);
        let reason = reason(is_wanted, &entry.plugin);
        Planned { plugin: entry.plugin.clone(), is_wrapped: entry.is_wrapped, is_wanted, reason }
    };
    network.entries.iter().enumerate().map(one).collect()
}

/// Every file of a node that may name cniscope, whether the node runs it or not: `told`, those of the folder, and what stands
/// beside each.
///
/// # Errors
/// If the folder is there and cannot be read.
pub(super) fn everywhere(
    node: &Node,
    places: &Places,
    told: Option<&Path>,
) -> Result<Vec<PathBuf>, FileError> {
    let mut files = match Folder::read(node, &places.conf_dir) {
        Err(error) if error.is_missing() => Vec::new(),
        folder => folder?.files.into_iter().map(|file| file.path).collect(),
    };
    files.extend(told.map(|told| places.conf_dir.join(told)));
    let mut found = Vec::new();
    for file in files {
        let Ok(content) = node.read(&file, MAX_BYTES) else { continue };
        found.extend(networks::files_beside(node, &file, &content));
        found.push(file);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
