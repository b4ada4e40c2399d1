//! Keeps the wrapping: one look at the node, and what is to be done about it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::attachments::Attachments;
use super::fights::{Fight, Verdict};
use super::log::Line;
use super::mend;
use super::standing::{Network, Own, Standing};
use super::watched::{Concern, Watched};
use super::writers;
use crate::checks::networks::{self, Folder};
use crate::install::conflist::{self, Which};
use crate::install::edit::{Edited, edit};
use crate::install::lock::Lock;
use crate::install::marker::{self, MARKER};
use crate::install::places::{Places, STATE};
use crate::node::Node;
use crate::node::replace::replace_loosely;
use crate::node::results;

/// How long another installer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this, what could not be done is tried again: that a folder can be written again, nobody is told.
const AGAIN: Duration = Duration::from_secs(30);
/// The largest configuration that is read, as by libcni's users.
const MAX_BYTES: u64 = 1 << 20;
/// The name of the status file.
pub(super) const STATUS: &str = "agent.json";

/// What is to be kept.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The folder of the networks, if it is told.
    pub conf_dir: Option<PathBuf>,
    /// The folder of the plugins, if it is told.
    pub bin_dir: Option<PathBuf>,
    /// Which entries are wrapped.
    pub which: Which,
    /// The folder of the journal, as this process reaches it.
    pub journal: PathBuf,
}

/// What a look has found and done.
#[derive(Debug)]
pub struct Looked {
    /// How things stand.
    pub standing: Standing,
    /// Where things stand.
    pub places: Places,
    /// What is to be watched until the next look.
    pub watched: Watched,
    /// When to look again though nothing changes.
    pub again: Option<Instant>,
    /// What is to be said.
    pub lines: Vec<Line>,
}

/// Who looks, and remembers.
#[derive(Debug)]
pub struct Keeper {
    node: Node,
    wanted: Wanted,
    own: Own,
    fights: BTreeMap<PathBuf, Fight<(u64, SystemTime)>>,
    attachments: Attachments,
    standing: Standing,
    written: Vec<u8>,
}

/// What a list's bytes say.
enum State {
    Wrapped,
    NotWrapped,
    Unusable(String),
}

impl Keeper {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(node: Node, wanted: Wanted, own: Own) -> Keeper {
        Keeper {
            node,
            wanted,
            own,
            fights: BTreeMap::new(),
            attachments: Attachments::default(),
            standing: Standing::default(),
            written: Vec::new(),
        }
    }

    /// Looks, and does what is to be done.
    pub fn look(&mut self, now: Instant, concern: Concern) -> Looked {
        let places =
            Places::find(&self.node, self.wanted.conf_dir.as_deref(), self.wanted.bin_dir.as_deref());
        let mut looked = Looked {
            standing: Standing { tally: self.standing.tally.clone(), ..Standing::default() },
            watched: watched(&places),
            places,
            again: None,
            lines: Vec::new(),
        };
        if concern.networks {
            self.keep(now, &mut looked);
        } else {
            looked.standing = self.standing.clone();
        }
        if concern.results {
            let standing = &looked.standing;
            let tally =
                self.attachments.look(&self.node, &self.wanted.journal, |network| standing.wrapped(network));
            looked.lines.extend(tally.news.iter().map(Line::warn));
            looked.standing.tally = tally;
        }
        self.say_changes(&mut looked);
        self.standing = looked.standing.clone();
        self.write_status();
        looked
    }

    fn keep(&mut self, now: Instant, looked: &mut Looked) {
        if marker::is_there(&self.node) {
            self.take_out(looked);
            return;
        }
        let folder = match Folder::read(&self.node, &looked.places.conf_dir) {
            Ok(folder) => folder,
            Err(error) if error.is_missing() => {
                looked.standing.trouble = Some(format!("{error}: waiting for the network add-on to make it"));
                return;
            }
            Err(error) => {
                looked.standing.trouble = Some(error.to_string());
                looked.again = Some(now + AGAIN);
                return;
            }
        };
        let taken: Vec<&networks::File> = folder.files.iter().filter(|file| folder.is_taken(file)).collect();
        if taken.is_empty() {
            looked.standing.trouble = Some(missing(&folder));
            return;
        }
        let plugin = taken.iter().find_map(|file| file.heads().next()).unwrap_or_default();
        let binary = looked.places.binary(&self.node, plugin);
        looked.watched.file(&binary);
        match mend::binary(&self.node, &binary) {
            Ok(true) => looked.lines.push(Line::info(format!("put the binary at {}", binary.display()))),
            Ok(false) => {}
            Err(error) => {
                let error = format!("the binary cannot be put at {}: {error}", binary.display());
                self.unwrap_all(&folder, looked);
                let again = |file: &networks::File| self.fights.get(&file.path).map_or(0, Fight::total);
                looked.standing.networks = taken.iter().map(|file| network(file, again(file))).collect();
                looked.standing.trouble = Some(format!("{error}; without it no network is wrapped"));
                looked.again = Some(now + AGAIN);
                return;
            }
        }
        for file in taken {
            let network = self.keep_file(now, file, looked);
            looked.standing.networks.push(network);
        }
        let known: Vec<PathBuf> = folder.files.iter().map(|file| file.path.clone()).collect();
        // A file that is made anew is the same fight.
        self.fights.retain(|path, fight| known.contains(path) || fight.total() > 0);
    }

    fn keep_file(&mut self, now: Instant, file: &networks::File, looked: &mut Looked) -> Network {
        self.watch_file(file, &mut looked.watched);
        let fight = self.fights.entry(file.path.clone()).or_default();
        let mut network = network(file, fight.total());
        let state = state(&self.node, &file.path, self.wanted.which);
        let plugins: Vec<&str> = file
            .networks
            .iter()
            .flatten()
            .flat_map(|network| &network.entries)
            .map(|entry| entry.plugin.as_str())
            .collect();
        let writer = writers::of(plugins.iter().copied());
        match state {
            State::Unusable(why) => network.trouble = Some(why),
            State::Wrapped => {
                fight.is_wrapped();
                network.wrapped = changed(&self.node, &file.path).map(|(_, time)| time);
            }
            State::NotWrapped => match fight
                .is_not_wrapped(now, changed(&self.node, &file.path).unwrap_or((0, SystemTime::UNIX_EPOCH)))
            {
                Verdict::Leave(until) => {
                    network.contended = Some(writer);
                    earliest(&mut looked.again, until);
                }
                Verdict::Wrap => match wrap(&self.node, &file.path, self.wanted.which) {
                    Ok(()) => {
                        let place = format!("network {:?} in {}", network.name, file.path.display());
                        if fight.wrapped(now) {
                            let (by, times) = (writer.name, fight.total());
                            looked.lines.push(Line::warn(format!(
                                "{place}: was written anew (by: {by}), wrapped again; so far: {times}"
                            )));
                        } else {
                            looked.lines.push(Line::info(format!("{place}: wrapped")));
                        }
                        network.again = fight.total();
                        network.wrapped = changed(&self.node, &file.path).map(|(_, time)| time);
                    }
                    Err(why) => {
                        network.trouble = Some(why);
                        earliest(&mut looked.again, now + AGAIN);
                    }
                },
            },
        }
        network
    }

    /// The folder of entries beside a list, and the one that a link leads to.
    fn watch_file(&self, file: &networks::File, watched: &mut Watched) {
        let name = file.networks.iter().flatten().map(|network| network.name.as_str()).next();
        if let Some(name) = name.filter(|name| crate::cni::path::is_plugin_name(name)) {
            let beside = file.path.with_file_name(name);
            if self.node.metadata(&beside).is_ok_and(|metadata| metadata.is_dir()) {
                watched.folder(&beside);
            }
        }
        let root = self.node.reached(Path::new("/"));
        let reached = self.node.reached(&file.path);
        if let Ok(real) = reached.strip_prefix(root) {
            watched.file(&Path::new("/").join(real));
        }
    }

    fn take_out(&mut self, looked: &mut Looked) {
        match Folder::read(&self.node, &looked.places.conf_dir) {
            Ok(folder) => self.unwrap_all(&folder, looked),
            Err(error) if error.is_missing() => {}
            Err(error) => looked.lines.push(Line::error(error.to_string())),
        }
        looked.standing.trouble =
            Some(format!("cniscope is uninstalled: {MARKER} is there; `cniscope install` removes it"));
    }

    fn unwrap_all(&mut self, folder: &Folder, looked: &mut Looked) {
        self.fights.values_mut().for_each(Fight::unwrapped);
        for file in &folder.files {
            let content = self.node.read(&file.path, MAX_BYTES).unwrap_or_default();
            if conflist::unwrap(&content).is_ok_and(|unwrapped| unwrapped != content) {
                let place = file.path.display();
                match change(&self.node, &file.path, conflist::unwrap) {
                    Ok(()) => looked.lines.push(Line::warn(format!("{place}: unwrapped"))),
                    Err(error) => looked.lines.push(Line::error(error)),
                }
            }
        }
    }

    /// What keeps the node from being ready is said when it comes, and that it is ready when it is.
    fn say_changes(&self, looked: &mut Looked) {
        let (before, now) = (self.standing.reasons(), looked.standing.reasons());
        for reason in now.iter().filter(|reason| !before.contains(reason)) {
            looked.lines.push(Line::warn(reason.clone()));
        }
        let was_ready = before.is_empty() && !self.standing.networks.is_empty();
        if now.is_empty() && !was_ready {
            looked.lines.push(Line::info("all networks are wrapped"));
        }
    }

    /// What cannot be written is told by HTTP all the same.
    fn write_status(&mut self) {
        let status = self.standing.status(&self.own).to_string().into_bytes();
        if status != self.written && replace_loosely(&self.status_file(), &status).is_ok() {
            self.written = status;
        }
    }

    fn status_file(&self) -> PathBuf {
        self.node.reached(Path::new(STATE)).join(STATUS)
    }
}

/// A network that is not wrapped.
fn network(file: &networks::File, again: u64) -> Network {
    let name = file.networks.iter().flatten().map(|network| network.name.clone()).next();
    Network {
        name: name.unwrap_or_else(|| file.name()),
        file: file.path.clone(),
        wrapped: None,
        again,
        contended: None,
        trouble: None,
    }
}

/// What is watched wherever the lists are.
fn watched(places: &Places) -> Watched {
    let mut watched = Watched::default();
    watched.folder(&places.conf_dir);
    watched.file(Path::new(MARKER));
    for folder in results::FOLDERS {
        watched.results(Path::new(folder));
    }
    watched
}

/// Why there is no network: an add-on that is yet to come, or one that puts the others' lists aside.
fn missing(folder: &Folder) -> String {
    let aside = folder.unread.iter().find(|name| name.ends_with(".cilium_bak"));
    let place = folder.path.display();
    match aside {
        Some(name) => format!(
            "{place} has no network: Cilium has renamed what was there ({name}) and not written its own yet; where others are to \
             stay, set cni.exclusive=false in its Helm values"
        ),
        None => format!("{place} has no network yet: waiting for the add-on to write one"),
    }
}

fn state(node: &Node, path: &Path, which: Which) -> State {
    let content = match node.read(path, MAX_BYTES) {
        Ok(content) => content,
        Err(error) => return State::Unusable(error.to_string()),
    };
    match conflist::wrap(&content, which) {
        Ok(wrapped) if wrapped == content => State::Wrapped,
        Ok(_) => State::NotWrapped,
        Err(error) => State::Unusable(error.to_string()),
    }
}

fn wrap(node: &Node, path: &Path, which: Which) -> Result<(), String> {
    change(node, path, |bytes| conflist::wrap(bytes, which))
}

fn change(
    node: &Node,
    path: &Path,
    how: impl Fn(&[u8]) -> Result<Vec<u8>, conflist::ConflistError>,
) -> Result<(), String> {
    let lock = Lock::take(node, PATIENCE).map_err(|error| error.to_string())?;
    match edit(node, &lock, path, how) {
        Ok(Edited::Changed { .. } | Edited::Unchanged) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What changes whenever somebody changes the file, and when that was.
fn changed(node: &Node, path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = node.metadata(path).ok()?;
    let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).ok()?);
    let nanos = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).ok()?);
    Some((metadata.ino(), SystemTime::UNIX_EPOCH + seconds + nanos))
}

fn earliest(again: &mut Option<Instant>, at: Instant) {
    *again = Some(again.map_or(at, |before| before.min(at)));
}
