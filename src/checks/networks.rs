//! The network configurations of a node, read as libcni does (`libcni/conf.go`): which files there are, and what stands in
//! them, as the plugins get it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde_json::{Value, json};

use super::subject::{Origin, Subject};
use crate::cni::json::{self, SyntaxError};
use crate::cni::{entry, path};
use crate::install::conflist;
use crate::node::Node;
use crate::node::files::FileError;

/// How files end in which runtimes look for networks.
const ENDINGS: [&str; 3] = ["conf", "conflist", "json"];
/// Plugins that run the networks of other files.
const META: [&str; 4] = ["multus", "multus-shim", "genie", "danm"];
/// More files than this are not looked at.
const MAX_FILES: usize = 256;
/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The folder of a runtime's network configurations.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
    /// The files that a runtime reads, in its order: it takes the first.
    pub files: Vec<File>,
    /// The names of files that no runtime reads, since they end in something else.
    pub unread: Vec<String>,
}

/// A file in it.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Its path.
    pub path: PathBuf,
    /// Its network, and behind it those that stand inside its entries.
    pub networks: Result<Vec<Network>, Flaw>,
}

/// A network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its plugins, in their order.
    pub entries: Vec<Entry>,
}

/// An entry of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The plugin that does the work.
    pub plugin: String,
    /// Whether cniscope stands in its place.
    pub is_wrapped: bool,
    /// What the plugin gets on stdin, as far as that is known without a call.
    pub config: Value,
}

/// Why a file holds no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The runtime refuses it.
    #[error("{0}")]
    Refused(String),
    /// It could not be looked at here.
    #[error("{0}")]
    Unread(String),
}

impl Folder {
    /// Reads a folder.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn read(node: &Node, path: &Path) -> Result<Folder, FileError> {
        let mut folder = Folder { path: path.to_owned(), files: Vec::new(), unread: Vec::new() };
        for file in names(node, path)?.into_iter().map(|name| path.join(name)) {
            let ending = file.extension().and_then(OsStr::to_str).unwrap_or_default();
            if ENDINGS.contains(&ending) {
                folder.files.push(File { networks: read(node, &file), path: file });
            } else {
                folder.unread.push(file_name(&file));
            }
        }
        Ok(folder)
    }

    /// Whether its first network's plugin runs those of other files.
    #[must_use]
    pub fn has_meta_head(&self) -> bool {
        self.files.first().is_some_and(|first| first.heads().any(|plugin| META.contains(&plugin)))
    }

    /// Whether the runtime makes the networks of this file: of the first, and of all others where that one's plugin runs
    /// them.
    #[must_use]
    pub fn is_taken(&self, file: &File) -> bool {
        let Some(first) = self.files.first() else { return false };
        first.path == file.path || self.has_meta_head()
    }

    /// What checks are to look at: the node as such, and every entry that the runtime takes. Where it can take none, since the
    /// file is broken, those of the other files: one of them may be the node's network.
    #[must_use]
    pub fn subjects(&self, bin_folders: &[PathBuf]) -> Vec<Subject> {
        let of_the_node = Subject {
            origin: Origin::Node { conf_dir: self.path.clone() },
            folders: bin_folders.to_vec(),
            ..Subject::default()
        };
        let mut subjects = vec![of_the_node];
        let is_usable = self.files.iter().any(|file| self.is_taken(file) && file.networks.is_ok());
        for file in self.files.iter().filter(|file| !is_usable || self.is_taken(file)) {
            let entries = file.networks.iter().flatten().flat_map(|network| &network.entries);
            subjects.extend(entries.map(|entry| Subject {
                origin: Origin::Entry { file: file.path.clone(), is_wrapped: entry.is_wrapped },
                plugin: entry.plugin.clone(),
                folders: bin_folders.to_vec(),
                config: entry.config.clone(),
                ..Subject::default()
            }));
        }
        subjects
    }
}

impl File {
    /// The last part of its path.
    #[must_use]
    pub fn name(&self) -> String {
        file_name(&self.path)
    }

    /// The first plugins of its networks.
    pub fn heads(&self) -> impl Iterator<Item = &str> {
        let networks = self.networks.iter().flatten();
        networks.filter_map(|network| Some(network.entries.first()?.plugin.as_str()))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The names of a folder's files, sorted by their bytes as Go sorts them.
fn names(node: &Node, folder: &Path) -> Result<Vec<std::ffi::OsString>, FileError> {
    let mut names = node.list(folder, MAX_FILES)?.names;
    names.sort_unstable();
    names.retain(|name| {
        let path = folder.join(name);
        // libcni passes over folders, but not over links to them.
        !node.metadata(&path).is_ok_and(|metadata| metadata.is_dir()) || node.link_target(&path).is_some()
    });
    Ok(names)
}

/// Reads one file: its network, and behind it those that stand inside its entries.
///
/// # Errors
/// If it holds no network.
pub fn read(node: &Node, file: &Path) -> Result<Vec<Network>, Flaw> {
    let own = content(node, file)?;
    let is_list = file.extension().is_some_and(|ending| ending == "conflist");
    let mut beside = Vec::new();
    for path in if is_list { files_beside(node, file, &own) } else { Vec::new() } {
        let entry = content(node, &path).and_then(|content| document(&content));
        beside.push(entry.map_err(|flaw| flaw.at(&path.display().to_string()))?);
    }
    let network = document(&own)?;
    if is_list { list(&network, &beside) } else { single(&network) }
}

/// The files whose entries libcni 1.3 puts behind those of a list: they stand in the folder of the network's name.
#[must_use]
pub fn files_beside(node: &Node, list: &Path, content: &[u8]) -> Vec<PathBuf> {
    let Some(folder) = folder_beside(content).map(|name| list.with_file_name(name)) else {
        return Vec::new();
    };
    let paths = names(node, &folder).unwrap_or_default().into_iter().map(|name| folder.join(name));
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "conf")).collect()
}

fn content(node: &Node, file: &Path) -> Result<Vec<u8>, Flaw> {
    node.read(file, MAX_BYTES).map_err(|error| match error {
        FileError::System { errno: Errno::EACCES | Errno::EPERM, .. } | FileError::TooLarge { .. } => {
            Flaw::Unread(error.to_string())
        }
        _ => Flaw::Refused(error.to_string()),
    })
}

fn folder_beside(list: &[u8]) -> Option<String> {
    let list: Value = serde_json::from_slice(list).ok()?;
    let is_closed = [json!(true), json!("true")].contains(&list["loadOnlyInlinedPlugins"]);
    let name = list["name"].as_str().filter(|name| path::is_plugin_name(name) && !is_closed)?;
    Some(name.to_owned())
}

impl Flaw {
    fn at(self, place: &str) -> Flaw {
        match self {
            Flaw::Refused(what) => Flaw::Refused(format!("{place}: {what}")),
            Flaw::Unread(what) => Flaw::Unread(format!("{place}: {what}")),
        }
    }
}

fn refused<T>(what: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Refused(what.into()))
}

/// A document as it is written, and with every entry unwrapped.
struct Document {
    written: Value,
    unwrapped: Value,
}

fn document(content: &[u8]) -> Result<Document, Flaw> {
    if content.iter().all(u8::is_ascii_whitespace) {
        return refused("is empty");
    }
    json::validate(content).or_else(|error| refused(format!("is no JSON: {}", located(&error, content))))?;
    let parsed = |bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes)
            .map_err(|error| Flaw::Unread(format!("cannot be read: {error}")))
    };
    let written = parsed(content)?;
    if !written.is_object() {
        return refused("is no JSON object");
    }
    let unwrapped = match conflist::unwrap(content) {
        Ok(bytes) => parsed(&bytes)?,
        Err(error @ conflist::ConflistError::WrapsNothing { .. }) => return refused(error.to_string()),
        // What else is wrong is told better by what is missing.
        Err(_) => written.clone(),
    };
    Ok(Document { written, unwrapped })
}

fn located(error: &SyntaxError, content: &[u8]) -> String {
    let SyntaxError::InvalidCharacter { offset, .. } = error else { return error.to_string() };
    let line = content.iter().take(*offset).filter(|byte| **byte == b'\n').count() + 1;
    format!("{error} (line {line})")
}

/// A `.conflist`, with entries from the folder of its name behind its own.
fn list(document: &Document, beside: &[Document]) -> Result<Vec<Network>, Flaw> {
    let list = &document.unwrapped;
    let name = match &list["name"] {
        Value::String(name) => name,
        Value::Null => return refused("name: is missing, expected the network's name"),
        other => return refused(format!("name: is {other}, expected a string")),
    };
    let version = match &list["cniVersion"] {
        version @ (Value::String(_) | Value::Null) => version,
        other => return refused(format!("cniVersion: is {other}, expected a string")),
    };
    for key in ["disableCheck", "disableGC", "loadOnlyInlinedPlugins"] {
        let text = list[key].as_str().map(str::to_lowercase);
        if !matches!(
            (&list[key], text.as_deref()),
            (Value::Null | Value::Bool(_), _) | (_, Some("true" | "false"))
        ) {
            return refused(format!("{key}: is {}, expected true or false", list[key]));
        }
    }
    let own = match &list["plugins"] {
        Value::Array(plugins) if plugins.is_empty() => return refused("plugins: is empty"),
        Value::Array(plugins) => plugins.as_slice(),
        Value::Null if beside.is_empty() && list["type"].is_string() => {
            return refused("plugins: is missing; a single plugin stands in a file that ends in .conf");
        }
        Value::Null if beside.is_empty() => {
            return refused("plugins: is missing, expected an array of entries");
        }
        Value::Null => &[],
        other => return refused(format!("plugins: is {other}, expected an array of entries")),
    };
    let written = |index: usize| &document.written["plugins"][index];
    let own =
        own.iter().enumerate().map(|(index, entry)| (format!("plugins[{index}]"), entry, written(index)));
    let beside = beside
        .iter()
        .enumerate()
        .map(|(index, entry)| (format!("{name}/ (file {})", index + 1), &entry.unwrapped, &entry.written));
    let mut network = Network { name: name.clone(), entries: Vec::new() };
    let mut inner = Vec::new();
    for (position, (place, entry, written)) in own.chain(beside).enumerate() {
        let plugin = kind(entry).map_err(|flaw| flaw.at(&place))?;
        let mut config = entry.clone();
        config["name"] = json!(name);
        if !version.is_null() {
            config["cniVersion"] = version.clone();
        }
        if position > 0 {
            // The result of the entry before it, of which no more is known here.
            config["prevResult"] = json!({"cniVersion": version});
        }
        network.entries.push(Entry { plugin, is_wrapped: written["type"] == entry::NAME, config });
        inner.extend(written["delegates"].as_array().cloned().unwrap_or_default());
    }
    with_delegates(network, &inner)
}

/// A `.conf` or `.json`: one plugin.
fn single(document: &Document) -> Result<Vec<Network>, Flaw> {
    let config = document.unwrapped.clone();
    if config["type"].is_null() && config["plugins"].is_array() {
        return refused("type: is missing; a list of plugins stands in a file that ends in .conflist");
    }
    let plugin = kind(&config)?;
    let name = config["name"].as_str().unwrap_or_default().to_owned();
    let is_wrapped = document.written["type"] == entry::NAME;
    let inner = document.written["delegates"].as_array().cloned().unwrap_or_default();
    with_delegates(Network { name, entries: vec![Entry { plugin, is_wrapped, config }] }, &inner)
}

fn kind(entry: &Value) -> Result<String, Flaw> {
    match &entry["type"] {
        Value::String(kind) if !kind.is_empty() => Ok(kind.clone()),
        Value::Null | Value::String(_) => refused("type: is missing, expected the name of a plugin"),
        other => refused(format!("type: is {other}, expected a string")),
    }
}

/// The network, and those that stand in Multus' `delegates`, as they are written.
fn with_delegates(network: Network, written: &[Value]) -> Result<Vec<Network>, Flaw> {
    let mut networks = vec![network];
    for (index, delegate) in written.iter().enumerate() {
        let read = document(delegate.to_string().as_bytes()).and_then(|document| {
            if delegate["plugins"].is_array() { list(&document, &[]) } else { single(&document) }
        });
        networks.extend(read.map_err(|flaw| flaw.at(&format!("delegates[{index}]")))?);
    }
    Ok(networks)
}

#[cfg(test)]
mod tests;
