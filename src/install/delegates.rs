//! The plugins that cniscope is to stand for: each is there, and says that it speaks the network's version.
//!
//! VERSION carries no configuration, so a wrapped entry answers it without its plugin: what the runtime sees of a missing or
//! too old plugin when it loads a list, it does not see any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::lists::List;
use super::places::Places;
use crate::checks::networks::{self, Entry};
use crate::checks::subject::{Origin, Subject};
use crate::cni::path;
use crate::node::Node;
use crate::node::plugin_versions::Answer;

/// What libcni takes where a configuration tells no version.
const IMPLIED: &str = "0.1.0";

/// A plugin that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Its path.
    pub path: PathBuf,
    /// The versions that it supports.
    pub versions: Vec<String>,
}

/// Asks the plugins of lists, and gives those that answered; of a node whose plugins cannot be started, none.
///
/// # Errors
/// Which of them is not there, does not answer, or does not support its network's version.
pub fn ask(node: &Node, places: &Places, lists: &[List]) -> Result<Vec<Answered>, String> {
    let mut answered = BTreeMap::new();
    // What stands beside a list is read with it, and has its version.
    for list in lists.iter().filter(|list| !list.is_beside) {
        for network in networks::read(node, &list.file).unwrap_or_default() {
            for entry in &network.entries {
                for name in needed(entry) {
                    one(node, places, &name, entry, &mut answered)?;
                }
            }
        }
    }
    let answered = answered.into_iter();
    Ok(answered.map(|(path, versions)| Answered { path, versions }).collect())
}

/// The plugin of an entry, and those that it runs.
fn needed(entry: &Entry) -> Vec<String> {
    let subject = Subject {
        origin: Origin::Entry { file: PathBuf::new(), is_wrapped: false },
        plugin: entry.plugin.clone(),
        config: entry.config.clone(),
        ..Subject::default()
    };
    subject.plugins().into_iter().map(|(_, name)| name).collect()
}

fn one(
    node: &Node,
    places: &Places,
    name: &str,
    entry: &Entry,
    answered: &mut BTreeMap<PathBuf, Vec<String>>,
) -> Result<(), String> {
    let Some(path) = find(node, &places.bin_dirs, name) else {
        let folders: Vec<_> = places.bin_dirs.iter().map(|folder| folder.display().to_string()).collect();
        return Err(format!("the plugin {name} is not in {}: install it first", folders.join(", ")));
    };
    if node.starts_plugins().is_err() {
        return Ok(());
    }
    if !answered.contains_key(&path) {
        let versions = node.plugin_versions(&path, Answer::Forgotten);
        let versions = versions.map_err(|why| format!("{}: {why}", path.display()))?;
        answered.insert(path.clone(), versions);
    }
    let version =
        entry.config["cniVersion"].as_str().filter(|version| !version.is_empty()).unwrap_or(IMPLIED);
    let versions = &answered[&path];
    if versions.iter().any(|one| one == version) {
        return Ok(());
    }
    Err(format!(
        "{} supports {}, but the network's cniVersion is {version}: install a release of it that does",
        path.display(),
        versions.join(", ")
    ))
}

/// Where libcni finds a plugin.
fn find(node: &Node, folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    let mut paths = folders.iter().map(|folder| path::join(folder, Path::new(name).as_os_str()));
    paths.find(|path| node.metadata(path).is_ok_and(|metadata| metadata.is_file()))
}
