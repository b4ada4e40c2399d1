//! `status`: what stands on a node, and what needs somebody's attention.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::binary::{self, Standing};
use super::conflist::Which;
use super::holders::{Holder, holders};
use super::lists::{self, Planned};
use super::places::{self, Places};
use super::switch::{self, SWITCH, Switch};
use super::{agent, loaded, marker, running};
use crate::checks::networks::Folder;
use crate::cni::entry::NAME;
use crate::node::Node;
use crate::settings::Settings;
use crate::settings::file::FILES;

/// How long a binary may take to tell its version.
const LIMIT: Duration = Duration::from_secs(2);
/// A longer one is none.
const MAX_VERSION: u64 = 256;

/// What stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// The version of this document.
    pub schema: u8,
    /// The node.
    pub node: String,
    /// In short.
    pub state: Summary,
    /// What needs attention, with what to do.
    pub problems: Vec<String>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// The runtime.
    pub runtime: Option<&'static str>,
    /// The folder of networks.
    pub conf_dir: PathBuf,
    /// Those of plugins.
    pub bin_dirs: Vec<PathBuf>,
    /// The binary among the plugins.
    pub binary: Option<BinaryState>,
    /// The lists that the node runs, and others that are wrapped.
    pub lists: Vec<ListState>,
    /// Whether the runtime names cniscope in what it has loaded; `null` where it does not tell.
    pub loaded: Option<bool>,
    /// The settings file that is used.
    pub settings: Option<&'static str>,
    /// Whether it is switched off.
    pub switch: Switch,
    /// Whether the marker of an uninstall is there.
    pub uninstalled: bool,
    /// The agents that run.
    pub agents: Vec<u32>,
    /// The sandboxes that were added through it.
    pub holders: Vec<Holder>,
}

/// What stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// Every list that the node runs is wrapped, and the binary is there.
    Installed,
    /// Some of it.
    Partly,
    /// The binary alone, for old sandboxes.
    Forwarder,
    /// Nothing.
    Absent,
}

/// The binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BinaryState {
    /// Where it stands.
    pub path: PathBuf,
    /// Whether it is the one that runs.
    pub is_this: bool,
    /// Its version; `null` where it does not tell.
    pub version: Option<String>,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListState {
    /// Its file.
    pub file: PathBuf,
    /// Its network.
    pub network: String,
    /// Whether the node runs it.
    pub is_taken: bool,
    /// Its entries.
    pub entries: Vec<Planned>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
}

impl ListState {
    fn is_wrapped(&self) -> bool {
        self.entries.iter().any(|entry| entry.is_wrapped)
    }

    /// Whether it is as `install` makes it; with `--head-only` the first entry alone is wrapped.
    fn is_whole(&self) -> bool {
        self.entries.first().is_some_and(|head| head.is_wrapped)
    }
}

/// Looks at a node. `version` is that of this binary.
#[must_use]
pub fn look(node: &Node, places: &Places, version: &str) -> State {
    let folder = Folder::read(node, &places.conf_dir).ok();
    let loaded = loaded::names_wrapped(node, places).ok().map(|found| found.is_wrapped);
    let mut state = State {
        schema: 1,
        node: node.host_name(),
        state: Summary::Absent,
        problems: Vec::new(),
        notes: Vec::new(),
        runtime: places.runtime,
        conf_dir: places.conf_dir.clone(),
        bin_dirs: places.bin_dirs.clone(),
        binary: binary_state(node, places, version),
        lists: folder.as_ref().map(|folder| lists_of(node, places, folder)).unwrap_or_default(),
        loaded,
        settings: FILES.into_iter().find(|file| node.metadata(Path::new(file)).is_ok()),
        switch: switch::standing(node),
        uninstalled: marker::is_there(node),
        agents: running::agents(node),
        holders: holders(node, places),
    };
    state.state = state.summary();
    state.problems = state.problems();
    state.problems.extend(agent::standing::told(node, &state.agents));
    state.notes = Settings::of_node(node, None).warnings;
    if state.state != Summary::Absent && folder.is_some_and(|folder| folder.has_meta_head()) {
        state.notes.push(
            "networks in the API (NetworkAttachmentDefinition) cannot be wrapped here: name cniscope in their config"
                .to_owned(),
        );
    }
    state
}

fn binary_state(node: &Node, places: &Places, version: &str) -> Option<BinaryState> {
    let mut paths = places.bin_dirs.iter().map(|folder| folder.join(NAME));
    let path = paths.find(|path| node.metadata(path).is_ok())?;
    let is_this =
        binary::standing(&places::entry(node, &path)).is_ok_and(|standing| standing == Standing::Same);
    let told = || {
        let printed = node.run_program(&path, &["--version"], LIMIT, MAX_VERSION).ok()?;
        let text = String::from_utf8_lossy(&printed.text).into_owned();
        Some(text.trim().strip_prefix(NAME)?.trim().to_owned())
    };
    let version = if is_this { Some(version.to_owned()) } else { told() };
    Some(BinaryState { path, is_this, version })
}

fn lists_of(node: &Node, places: &Places, folder: &Folder) -> Vec<ListState> {
    let taken = lists::chosen(node, places, None, Which::All);
    let flaw = taken.as_ref().err().map(ToString::to_string);
    let mut found: Vec<ListState> =
        taken.unwrap_or_default().into_iter().map(|list| of(list, true)).collect();
    if let (Some(flaw), Some(first)) = (flaw, folder.files.first()) {
        found.push(ListState {
            file: first.path.clone(),
            network: String::new(),
            is_taken: true,
            entries: Vec::new(),
            flaw: Some(flaw),
        });
    }
    for file in &folder.files {
        if found.iter().any(|list| list.file == file.path) {
            continue;
        }
        let other = lists::list(node, &file.path, Which::All).ok().map(|list| of(list, false));
        found.extend(other.filter(ListState::is_wrapped));
    }
    found
}

fn of(list: lists::List, is_taken: bool) -> ListState {
    ListState { file: list.file, network: list.network, is_taken, entries: list.entries, flaw: None }
}

impl State {
    fn taken(&self) -> impl Iterator<Item = &ListState> {
        self.lists.iter().filter(|list| list.is_taken)
    }

    fn summary(&self) -> Summary {
        let is_wrapped = self.lists.iter().any(ListState::is_wrapped);
        match &self.binary {
            Some(_) if self.taken().count() > 0 && self.taken().all(ListState::is_whole) => {
                Summary::Installed
            }
            Some(_) if !is_wrapped && self.switch == Switch::Forwarder => Summary::Forwarder,
            None if !is_wrapped => Summary::Absent,
            _ => Summary::Partly,
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for list in &self.lists {
            let file = list.file.display();
            if let Some(flaw) = &list.flaw {
                problems.push(format!("the list that the runtime takes cannot be wrapped: {flaw}"));
            } else if list.is_wrapped() && self.binary.is_none() {
                problems.push(format!(
                    "{file} names cniscope, which is not among the plugins: no Pod gets a network; put it back: cniscope install"
                ));
            } else if !self.uninstalled && !list.is_whole() && self.state == Summary::Partly {
                problems.push(format!("{file} is not wrapped; wrap it: cniscope install"));
            } else if self.uninstalled && list.is_wrapped() {
                problems
                    .push(format!("{file} is wrapped, though it was uninstalled; go on: cniscope uninstall"));
            }
        }
        if self.switch == Switch::Off && self.state != Summary::Absent {
            problems
                .push(format!("it is switched off: every call is handed on; to use it again: rm {SWITCH}"));
        }
        if self.state == Summary::Forwarder && self.holders.is_empty() {
            problems.push("nobody needs the forwarder any more; remove it: cniscope uninstall".to_owned());
        }
        if self.state == Summary::Installed && self.loaded == Some(false) {
            let runtime = self.runtime.unwrap_or("the runtime");
            problems.push(format!(
                "{runtime} has not loaded the wrapped list; see why: cniscope doctor runtime config"
            ));
        }
        problems
    }
}
