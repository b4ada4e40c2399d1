//! Keeps the wrapping: one look at the node, and what is to be done about it.

mod out;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::attachments::Attachments;
use super::fights::{Fight, Verdict};
use super::log::Line;
use super::mend;
use super::standing::{Network, Own, STATUS, Standing};
use super::watched::{Concern, Watched};
use super::writers;
use crate::checks::networks::Folder;
use crate::cni::path::is_plugin_name;
use crate::install::conflist::{self, Which};
use crate::install::edit::{Edited, edit};
use crate::install::lists::{self, List, ListsError};
use crate::install::lock::Lock;
use crate::install::marker::{self, MARKER};
use crate::install::places::Places;
use crate::install::put_in::{Wish, install};
use crate::node::Node;
use crate::node::replace::replace_loosely;
use crate::node::results;

/// How long another installer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this, what could not be done is tried again: that a folder can be written again, nobody is told.
const AGAIN: Duration = Duration::from_secs(30);
/// After this, what could not be installed is tried again, and each time after twice as long: a plugin may be written after the
/// list that names it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// No longer than this.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// The largest configuration that is read, as by libcni's users.
const MAX_BYTES: u64 = 1 << 20;

/// What is to be kept.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The folder of the networks, if it is told.
    pub conf_dir: Option<PathBuf>,
    /// The folder of the plugins, if it is told.
    pub bin_dir: Option<PathBuf>,
    /// The list, if it is told.
    pub conflist: Option<PathBuf>,
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
    is_installed: bool,
    /// Why it could not be, and when it is tried again.
    not_installed: Option<(Instant, String)>,
    pause: Duration,
    /// Everything was taken out, but for a binary that sandboxes need.
    is_out: bool,
    has_forwarder: bool,
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
            is_installed: false,
            not_installed: None,
            pause: FIRST_PAUSE,
            is_out: false,
            has_forwarder: false,
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
            self.keep(now, concern, &mut looked);
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

    fn keep(&mut self, now: Instant, concern: Concern, looked: &mut Looked) {
        if marker::is_there(&self.node) {
            self.take_out(concern, looked);
            return;
        }
        self.is_out = false;
        let lists = match lists::chosen(
            &self.node,
            &looked.places,
            self.wanted.conflist.as_deref(),
            self.wanted.which,
        ) {
            Ok(lists) => lists,
            Err(error) => {
                self.has_none(now, &error, looked);
                return;
            }
        };
        for list in &lists {
            self.watch_file(list, &mut looked.watched);
        }
        let head = lists.first().and_then(|list| list.entries.first());
        let binary = looked.places.binary(&self.node, head.map_or("", |entry| entry.plugin.as_str()));
        looked.watched.file(&binary);
        let is_needed = lists.iter().flat_map(|list| &list.entries).any(|entry| entry.is_wrapped);
        if (is_needed || self.is_installed) && !self.mend(now, &binary, &lists, looked) {
            return;
        }
        let is_wrapped = lists.iter().all(|list| list.before == list.after);
        if !self.is_installed && !self.install(now, looked) && !is_wrapped {
            looked.standing.networks = self.unwrapped_networks(&lists);
            return;
        }
        for list in &lists {
            // What was installed just now is to be read again.
            let Ok(list) = lists::list(&self.node, &list.file, self.wanted.which)
                .map(|now| List { is_beside: list.is_beside, ..now })
            else {
                continue;
            };
            let network = self.keep_list(now, &list, looked);
            looked.standing.networks.push(network);
        }
    }

    /// There is no list, or none that can be wrapped: what is known of the networks is that they are not wrapped.
    fn has_none(&self, now: Instant, error: &ListsError, looked: &mut Looked) {
        let why = match error {
            ListsError::None { conf_dir } => missing(&self.node, conf_dir),
            ListsError::File(_) => {
                looked.again = Some(now + AGAIN);
                error.to_string()
            }
            _ => error.to_string(),
        };
        if !matches!(error, ListsError::None { .. }) {
            looked.standing.networks.clone_from(&self.standing.networks);
            for network in &mut looked.standing.networks {
                (network.wrapped, network.contended, network.trouble) = (None, None, None);
            }
        }
        looked.standing.trouble = Some(why);
    }

    /// Sees to it that the binary can be run. Where it cannot, the lists are unwrapped.
    fn mend(&mut self, now: Instant, binary: &Path, lists: &[List], looked: &mut Looked) -> bool {
        match mend::binary(&self.node, binary) {
            Ok(true) => looked.lines.push(Line::warn(format!("put the binary back at {}", binary.display()))),
            Ok(false) => {}
            Err(error) => {
                self.unwrap_all(looked);
                looked.standing.networks = self.unwrapped_networks(lists);
                looked.standing.trouble = Some(format!(
                    "the binary cannot be put at {}: {error}; without it no network is wrapped",
                    binary.display()
                ));
                looked.again = Some(now + AGAIN);
                return false;
            }
        }
        true
    }

    /// Does what `cniscope install` does: binary, plugins, lists, and all of it verified.
    fn install(&mut self, now: Instant, looked: &mut Looked) -> bool {
        if let Some((at, why)) = self.not_installed.as_ref().filter(|(at, _)| now < *at) {
            looked.standing.trouble = Some(why.clone());
            looked.again = Some(*at);
            return false;
        }
        let wish = Wish {
            conflist: self.wanted.conflist.clone(),
            which: self.wanted.which,
            places: looked.places.clone(),
        };
        match install(&self.node, &wish) {
            Ok(installed) => {
                let binary = installed.plan.binary.display();
                let changed = installed.plan.lists.iter().filter(|list| list.before != list.after);
                let changed: Vec<String> = changed.map(|list| list.file.display().to_string()).collect();
                let lists = if changed.is_empty() {
                    "wrapped already".to_owned()
                } else {
                    format!("wrapped {}", changed.join(", "))
                };
                looked.lines.push(Line::info(format!("installed: {binary}; {lists}")));
                self.is_installed = true;
                self.not_installed = None;
                self.pause = FIRST_PAUSE;
                true
            }
            Err(error) => {
                let why = format!("cannot be installed: {error}");
                let at = now + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                looked.standing.trouble = Some(why.clone());
                looked.again = Some(at);
                self.not_installed = Some((at, why));
                false
            }
        }
    }

    fn unwrapped_networks(&self, lists: &[List]) -> Vec<Network> {
        let again = |list: &List| self.fights.get(&list.file).map_or(0, Fight::total);
        lists.iter().map(|list| network(list, again(list))).collect()
    }

    fn keep_list(&mut self, now: Instant, list: &List, looked: &mut Looked) -> Network {
        let fight = self.fights.entry(list.file.clone()).or_default();
        let mut network = network(list, fight.total());
        let looks = changed(&self.node, &list.file);
        if !list.is_wanted() || list.before == list.after {
            fight.is_wrapped();
            network.wrapped = looks.map(|(_, time)| time);
            return network;
        }
        let writer = writers::of(list.entries.iter().map(|entry| entry.plugin.as_str()));
        if let Verdict::Leave(until) = fight.is_not_wrapped(now, looks.unwrap_or((0, SystemTime::UNIX_EPOCH)))
        {
            network.contended = Some(writer);
            earliest(&mut looked.again, until);
            return network;
        }
        let which = self.wanted.which;
        if let Err(why) = change(&self.node, &list.file, |bytes| conflist::wrap(bytes, which)) {
            network.trouble = Some(why);
            earliest(&mut looked.again, now + AGAIN);
            return network;
        }
        let place = format!("network {:?} in {}", network.name, list.file.display());
        looked.lines.push(if fight.wrapped(now) {
            let (by, times) = (writer.name, fight.total());
            Line::warn(format!("{place}: was written anew (by: {by}), wrapped again; so far: {times}"))
        } else {
            Line::info(format!("{place}: wrapped"))
        });
        network.again = fight.total();
        network.wrapped = changed(&self.node, &list.file).map(|(_, time)| time);
        network
    }

    /// The folder of entries beside a list, and the one that a link leads to.
    fn watch_file(&self, list: &List, watched: &mut Watched) {
        if is_plugin_name(&list.network) {
            let beside = list.file.with_file_name(&list.network);
            if self.node.metadata(&beside).is_ok_and(|metadata| metadata.is_dir()) {
                watched.folder(&beside);
            }
        }
        watched.file(&list.file);
        let root = self.node.reached(Path::new("/"));
        let reached = self.node.reached(&list.file);
        if let Ok(real) = reached.strip_prefix(root) {
            watched.file(&Path::new("/").join(real));
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
        self.node.reached(Path::new(STATUS))
    }
}

/// A network that is not wrapped.
fn network(list: &List, again: u64) -> Network {
    Network {
        name: list.network.clone(),
        file: list.file.clone(),
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
fn missing(node: &Node, conf_dir: &Path) -> String {
    let place = conf_dir.display();
    let names = match Folder::read(node, conf_dir) {
        Ok(folder) => folder.unread,
        Err(error) => return format!("{error}: waiting for the network add-on to make it"),
    };
    match names.iter().find(|name| name.ends_with(".cilium_bak")) {
        Some(name) => format!(
            "{place} has no network: Cilium has renamed what was there ({name}) and not written its own yet; where others are to \
             stay, set cni.exclusive=false in its Helm values"
        ),
        None => format!("{place} has no network yet: waiting for the add-on to write one"),
    }
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
