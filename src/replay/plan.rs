//! What is to be run again, as it can be told before: from the record of a call, or from a network's configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::local::{self, NotLocal};
use super::redacted;
use crate::checks::networks::Network;
use crate::cni::{entry, path};
use crate::journal::redact::REDACTED;

/// Where the sandbox's network namespace is where the call had none that could be made at its own path.
const SANDBOX: &str = "/run/netns/cniscope-replay";
/// The container of a call that was never made.
const CONTAINER: &str = "cniscope-replay";
/// The variables that are made anew.
const OWN_VARIABLES: [&str; 5] = ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];
/// Plugins that work on what others have made, and are given its result.
const CHAINED: [&str; 6] = ["bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf"];
/// Plugins that put a link upon another one, which their configuration names.
const UPON_A_MASTER: [&str; 3] = ["macvlan", "ipvlan", "vlan"];
/// Folders of which a scratch node has a copy, whatever is configured.
const FOLDERS: [&str; 3] = ["/etc/cni", "/run", "/var/lib/cni"];

/// Everything that the inside has to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is called, in the order of an ADD.
    pub entries: Vec<Entry>,
    /// The verbs, one after the other.
    pub verbs: Vec<String>,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_NETNS`; empty where the call had none.
    pub netns: String,
    /// Where the sandbox's network namespace is made.
    pub sandbox: PathBuf,
    /// The folders of `CNI_PATH`.
    pub folders: Vec<PathBuf>,
    /// The other variables of the environment.
    pub variables: BTreeMap<String, String>,
    /// Another binary in a plugin's place.
    pub substitute: Option<Substitute>,
    /// The addresses that this container has in the copy of the pools are given back first: it got them by the very call
    /// that is run again.
    pub release: bool,
    /// How long a plugin may take.
    pub timeout: Duration,
    /// The descriptor that a plugin's system calls are written to.
    pub trace: Option<i32>,
    /// Keys whose values are secret in addition to the known ones.
    pub redact: Vec<String>,
}

/// A plugin with what it reads on stdin, without cniscope in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub plugin: String,
    /// Whether errors carry the network's name.
    pub named: bool,
    /// Its configuration.
    pub config: Value,
}

/// Another binary in a plugin's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substitute {
    /// The plugin's name.
    pub plugin: String,
    /// The binary.
    pub path: PathBuf,
}

/// What the user asks for beyond the call itself.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Values for what was redacted, by their paths.
    pub set: Vec<(String, String)>,
    /// The configuration in the place of the recorded one.
    pub config: Option<Value>,
    /// Another verb than the recorded one.
    pub command: Option<String>,
}

/// Why a call cannot be run again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It would not stay inside.
    #[error(transparent)]
    NotLocal(#[from] NotLocal),
    /// The record does not hold what was secret.
    #[error("the record does not hold these secrets; give each with --set PATH=VALUE, or the whole configuration with --config FILE: {}", .0.join(", "))]
    Redacted(Vec<String>),
    /// The record does not hold the configuration, or not all of it.
    #[error("the record {0}; give the configuration that the plugin read with --config FILE")]
    Incomplete(&'static str),
    /// It cannot be used as it was asked for.
    #[error("{0}")]
    Wish(String),
}

impl Plan {
    /// The call that a record tells of, which ended with `outcome`. `folders` are those of plugins where it does not name them.
    ///
    /// # Errors
    /// If it would change the node, or the record is not whole.
    pub fn of_record(
        record: &Value,
        outcome: &str,
        wishes: &Wishes,
        folders: &[PathBuf],
    ) -> Result<Plan, PlanError> {
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let mut variables: BTreeMap<String, String> = record["env"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let recorded_folders = variables.get("CNI_PATH").map(|list| path::folders(list.as_ref()));
        variables.retain(|name, _| {
            !OWN_VARIABLES.contains(&name.as_str()) && (name.starts_with("CNI_") || name == "PATH")
        });
        let mut config = match &wishes.config {
            Some(config) => config.clone(),
            None => config_of(record)?,
        };
        give_secrets(&mut config, &mut variables, &wishes.set)?;
        let entry = Entry::of(config, &text("plugin"))?;
        let (recorded, verbs) = (text("command"), verbs(&text("command"), wishes.command.as_deref())?);
        let mut entries = vec![entry];
        if verbs[0] == "ADD" && recorded != "ADD" {
            drop_final_result(&mut entries[0]);
        }
        local::check(&entries[0].plugin, &entries[0].config)?;
        let netns = text("netns");
        Ok(Plan {
            release: recorded == "ADD" && outcome == "ok",
            entries,
            verbs,
            container_id: text("container_id"),
            ifname: text("ifname"),
            sandbox: sandbox(&netns),
            netns,
            folders: recorded_folders.unwrap_or_else(|| folders.to_vec()),
            variables,
            substitute: None,
            timeout: Duration::ZERO,
            trace: None,
            redact: Vec::new(),
        })
    }

    /// The ADD of a network by a runtime that has called nothing yet.
    ///
    /// # Errors
    /// If it would change the node.
    pub fn of_network(network: &Network, wishes: &Wishes, folders: &[PathBuf]) -> Result<Plan, PlanError> {
        let mut entries = Vec::new();
        let mut unset: BTreeSet<&str> = wishes.set.iter().map(|(path, _)| path.as_str()).collect();
        for (position, one) in network.entries.iter().enumerate() {
            let mut config = one.config.clone();
            if position > 0
                && let Some(config) = config.as_object_mut()
            {
                // It stands for the result that is there once the plugin before has been called.
                config.shift_remove("prevResult");
            }
            for (path, text) in &wishes.set {
                if redacted::set(&mut config, path, text).is_ok() {
                    unset.remove(path.as_str());
                }
            }
            local::check(&one.plugin, &config)?;
            entries.push(Entry { plugin: one.plugin.clone(), named: false, config });
        }
        if let Some(path) = unset.first() {
            return Err(PlanError::Wish(format!(
                "--set {path}: no entry of the configuration has anything there"
            )));
        }
        Ok(Plan {
            entries,
            verbs: verbs("ADD", wishes.command.as_deref())?,
            container_id: CONTAINER.to_owned(),
            ifname: "eth0".to_owned(),
            netns: SANDBOX.to_owned(),
            sandbox: PathBuf::from(SANDBOX),
            folders: folders.to_vec(),
            variables: BTreeMap::new(),
            substitute: None,
            release: false,
            timeout: Duration::ZERO,
            trace: None,
            redact: Vec::new(),
        })
    }

    /// Puts another binary in a plugin's place: `TYPE=PATH`, or the path alone where it tells which one is meant.
    ///
    /// # Errors
    /// If it does not.
    pub fn substitute(&mut self, wish: &str) -> Result<(), PlanError> {
        let (named, path) = match wish.split_once('=') {
            Some((plugin, path)) if path::is_plugin_name(plugin) => (Some(plugin.to_owned()), path),
            _ => (None, wish),
        };
        let taking_part: BTreeSet<String> = self.entries.iter().flat_map(Entry::plugins).collect();
        let file_name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
        let only = || (self.entries.len() == 1).then(|| self.entries[0].plugin.clone());
        let plugin = named.or_else(|| file_name.filter(|name| taking_part.contains(name))).or_else(only);
        let Some(plugin) = plugin.filter(|plugin| taking_part.contains(plugin)) else {
            let known: Vec<String> = taking_part.into_iter().collect();
            let message = format!(
                "--plugin {wish}: say which plugin it stands for, TYPE={path} with a TYPE of {}",
                known.join(", ")
            );
            return Err(PlanError::Wish(message));
        };
        let found =
            std::fs::canonicalize(path).and_then(|path| Ok((std::fs::metadata(&path)?.is_file(), path)));
        match found {
            Ok((true, path)) => self.substitute = Some(Substitute { plugin, path }),
            Ok((false, path)) => {
                return Err(PlanError::Wish(format!("--plugin {}: is no file", path.display())));
            }
            Err(error) => return Err(PlanError::Wish(format!("--plugin {path}: {error}"))),
        }
        Ok(())
    }

    /// The folders of which the scratch node has a copy.
    #[must_use]
    pub fn state_folders(&self) -> Vec<PathBuf> {
        let mut folders: BTreeSet<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
        for entry in &self.entries {
            let config = &entry.config;
            for named in
                [&config["dataDir"], &config["ipam"]["dataDir"], &config["delegate"]["ipam"]["dataDir"]]
            {
                let folder = named.as_str().map(Path::new).filter(|folder| is_plain(folder));
                folders.extend(folder.map(Path::to_owned));
            }
        }
        // One that is copied with another one is not copied twice.
        let all: Vec<PathBuf> = folders.iter().cloned().collect();
        folders.retain(|folder| !all.iter().any(|other| other != folder && folder.starts_with(other)));
        folders.into_iter().collect()
    }

    /// The links that the plugins put theirs upon; `None` stands for the one that the default route leads through.
    #[must_use]
    pub fn masters(&self) -> Vec<Master> {
        let of = |plugin: &str, config: &Value| {
            let is_inside = config["linkInContainer"] == true;
            let name = config["master"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
            UPON_A_MASTER.contains(&plugin).then_some(Master { name, is_inside })
        };
        let mut masters = Vec::new();
        for entry in &self.entries {
            let delegate = &entry.config["delegate"];
            masters.extend(of(&entry.plugin, &entry.config));
            masters.extend(delegate["type"].as_str().and_then(|plugin| of(plugin, delegate)));
        }
        masters.dedup();
        masters
    }

    /// The result that the first plugin is given as that of the ones before it, which have to have a scratch form.
    #[must_use]
    pub fn given(&self) -> Option<&Value> {
        self.entries.first().map(|entry| &entry.config["prevResult"]).filter(|result| result.is_object())
    }
}

/// A link that a plugin puts its own upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its name, where the configuration has one.
    pub name: Option<String>,
    /// Whether it is looked for in the sandbox.
    pub is_inside: bool,
}

impl Entry {
    /// Of what stood on stdin, cniscope's or the plugin's own.
    fn of(mut config: Value, recorded: &str) -> Result<Entry, PlanError> {
        let Some(members) = config.as_object_mut() else {
            return Err(PlanError::Wish("the configuration is no JSON object".to_owned()));
        };
        let settings = members.shift_remove("cniscope").unwrap_or_default();
        let kind = members.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let wraps = settings["wraps"].as_str().unwrap_or(recorded);
        let plugin = if kind == entry::NAME || kind.is_empty() { wraps.to_owned() } else { kind };
        if !path::is_plugin_name(&plugin) {
            return Err(PlanError::Wish("the configuration names no plugin as its \"type\"".to_owned()));
        }
        members.insert("type".to_owned(), Value::String(plugin.clone()));
        Ok(Entry { plugin, named: settings["named"] == true, config })
    }

    /// The plugins that take part, its own first.
    fn plugins(&self) -> Vec<String> {
        let mut plugins = vec![self.plugin.clone()];
        let delegate = &self.config["delegate"];
        for kind in [&self.config["ipam"]["type"], &delegate["type"], &delegate["ipam"]["type"]] {
            plugins.extend(kind.as_str().filter(|kind| !kind.is_empty()).map(str::to_owned));
        }
        if self.plugin == "flannel" {
            plugins.extend(["bridge".to_owned(), "host-local".to_owned()]);
        }
        plugins
    }
}

fn config_of(record: &Value) -> Result<Value, PlanError> {
    let is_cut =
        |field: &str| record["truncated"].as_array().is_some_and(|cut| cut.iter().any(|one| one == field));
    match &record["config"] {
        Value::Null => Err(PlanError::Incomplete("has no configuration")),
        _ if is_cut("config") || is_cut("env") => Err(PlanError::Incomplete("was too long, and is cut")),
        Value::Object(_) => Ok(record["config"].clone()),
        _ => Err(PlanError::Incomplete("has a configuration that is no JSON object")),
    }
}

fn give_secrets(
    config: &mut Value,
    variables: &mut BTreeMap<String, String>,
    set: &[(String, String)],
) -> Result<(), PlanError> {
    for (path, text) in set {
        if let Some(variable) = variables.get_mut(path) {
            text.clone_into(variable);
        } else {
            redacted::set(config, path, text).map_err(PlanError::Wish)?;
        }
    }
    let mut missing = redacted::paths(config);
    missing
        .extend(variables.iter().filter(|(_, value)| value.contains(REDACTED)).map(|(name, _)| name.clone()));
    if missing.is_empty() { Ok(()) } else { Err(PlanError::Redacted(missing)) }
}

/// The verbs to call: the recorded one, or an ADD and then the one that is wanted, which needs what an ADD has made.
fn verbs(recorded: &str, wanted: Option<&str>) -> Result<Vec<String>, PlanError> {
    let verbs: &[&str] = match (recorded, wanted) {
        (_, None) => &[recorded],
        ("GC" | "STATUS", Some(wanted)) => {
            let message =
                format!("--command {wanted}: the recorded call is a {recorded}, which has no attachment");
            return Err(PlanError::Wish(message));
        }
        ("ADD", Some(wanted @ ("CHECK" | "DEL"))) => &["ADD", wanted],
        (_, Some(wanted)) => &[wanted],
    };
    Ok(verbs.iter().map(ToString::to_string).collect())
}

/// CHECK and DEL are given the result of the whole list, of which the head's ADD knows nothing.
fn drop_final_result(entry: &mut Entry) {
    if !CHAINED.contains(&entry.plugin.as_str())
        && let Some(config) = entry.config.as_object_mut()
    {
        config.shift_remove("prevResult");
    }
}

/// The path of the sandbox's namespace: its own where that is among the copied folders.
fn sandbox(netns: &str) -> PathBuf {
    let path = Path::new(netns);
    let is_in_run = ["/run/", "/var/run/"].iter().any(|folder| netns.starts_with(folder));
    if is_in_run && is_plain(path) { path.to_owned() } else { PathBuf::from(SANDBOX) }
}

/// Whether a path is absolute, and goes down only.
fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

#[cfg(test)]
mod tests;
