//! What has changed since the last good call: its facts are kept, and held against those of a call that fails.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::facts::{self, BRIDGE, DEFAULT_ROUTE, RESOLV_CONF, SUBNET_ENV};
use crate::checks::subject::Subject;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::catalogue::Cause;
use crate::digest::sha256;
use crate::journal::record::{Change, Changed, Identity};
use crate::node::last_good::{FOLDER, Facts, Good, LARGEST, MOST};
use crate::node::replace::replace_loosely;
use crate::node::{Node, bounded};
use crate::settings::Settings;

/// How much of a file holds `{"of":"` and the hash.
const START: usize = 23;
/// How long reading one may take.
const LIMIT: Duration = Duration::from_millis(20);
/// While nothing changes, a good call is remembered this often.
const AGAIN: Duration = Duration::from_mins(1);
/// For causes that are known, the beginnings of what explains them if it has changed.
const EXPLAINS: &[(Cause, &[&str])] = &[
    (Cause::PluginCrashed, &["binary"]),
    (Cause::PluginNotExecutable, &["binary"]),
    (Cause::CniVersionMismatch, &["binary", "configuration"]),
    (Cause::ConfigInvalid, &["configuration"]),
    (Cause::ChainOrderWrong, &["configuration"]),
    (Cause::BridgeAddressConflict, &["configuration", SUBNET_ENV, BRIDGE]),
    (Cause::BridgeWrongKind, &["configuration", BRIDGE]),
    (Cause::InterfaceMissing, &["configuration", "kernel"]),
    (Cause::MtuInvalid, &["configuration", SUBNET_ENV, DEFAULT_ROUTE]),
    (Cause::KernelUnsupported, &["kernel", "binary"]),
    (Cause::BpfFailed, &["kernel", "binary"]),
    (Cause::IptablesFailed, &["kernel"]),
    (Cause::SysctlFailed, &["kernel", "net."]),
    (Cause::ApiserverUnreachable, &["configuration", RESOLV_CONF, DEFAULT_ROUTE]),
];

/// The facts of this call, beside those that are kept.
#[derive(Debug)]
pub(super) struct Memory {
    /// The file of the network and the plugin.
    path: PathBuf,
    /// The bridge that the call uses.
    bridge: Option<String>,
    facts: Facts,
    /// Their hash, made while the delegate runs.
    of: String,
}

impl Memory {
    /// Looks while the delegate works. `config` is free of secrets.
    pub(super) fn of(
        node: &Node,
        settings: &Settings,
        subject: &Subject,
        identity: &Identity,
        config: &[u8],
    ) -> Memory {
        let whose = [&settings.journal.dir.to_string_lossy(), identity.network.as_str(), &identity.plugin];
        let path = Path::new(FOLDER).join(sha256(whose.join("\n").as_bytes()));
        let facts = facts::of_call(node, settings, subject, identity, config);
        let of = hashed(&facts);
        Memory { path, bridge: subject.bridge(), facts, of }
    }

    /// What is not as it was. Nothing, if no good call is known.
    pub(super) fn changed(&self) -> Option<Changed> {
        let path = self.path.clone();
        let read = move || serde_json::from_slice(&Node::this().read(&path, LARGEST).ok()?).ok();
        let good: Good = bounded::run(LIMIT, read)??;
        let bridge = self.bridge.clone();
        let of_node = bounded::run(LIMIT, move || facts::of_node(&Node::this(), bridge.as_deref()));
        let mut all = changes(&good.facts, &self.facts);
        // A call that an earlier release has kept has none of them.
        if let Some(of_node) = of_node.filter(|_| !good.of_node.is_empty()) {
            all.extend(changes(&good.of_node, &of_node));
        }
        Some(Changed { id: good.id, time: good.time, changes: all })
    }

    /// Keeps a call that went well as the last one. That this is not possible changes nothing.
    pub(super) fn remember(&self, identity: &Identity) {
        let known = Known::of(&self.path);
        if known.as_ref().is_some_and(|known| known.is_fresh && known.start.contains(&self.of)) {
            return;
        }
        let good = Good {
            of: self.of.clone(),
            id: identity.id.clone(),
            time: identity.time.clone(),
            plugin: identity.plugin.clone(),
            facts: self.facts.clone(),
            of_node: facts::of_node(&Node::this(), self.bridge.as_deref()),
        };
        let Ok(content) = serde_json::to_vec(&good) else { return };
        if known.is_none() {
            let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(FOLDER);
            forget(Path::new(FOLDER));
        }
        let _ = replace_loosely(&self.path, &content);
    }
}

/// What is not as it was, by name.
fn changes(before: &Facts, now: &Facts) -> Vec<Change> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let change = |name: &String| {
        let of = |facts: &Facts| facts.get(name).cloned().unwrap_or_default();
        let (before, now) = (of(before), of(now));
        (before != now).then(|| Change { what: name.clone(), before, now })
    };
    names.into_iter().filter_map(change).collect()
}

/// What the beginning of a file tells.
struct Known {
    is_fresh: bool,
    start: String,
}

impl Known {
    /// Nothing, if there is none.
    fn of(path: &Path) -> Option<Known> {
        let options = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).clone();
        let mut file = options.open(path).ok()?;
        let age = file.metadata().ok()?.modified().ok()?.elapsed();
        let mut start = [0; START];
        file.read_exact(&mut start).ok()?;
        let start = String::from_utf8_lossy(&start).into_owned();
        Some(Known { is_fresh: age.is_ok_and(|age| age < AGAIN), start })
    }
}

/// Makes room for one more.
fn forget(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let dated = |entry: std::fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let mut kept: Vec<(SystemTime, PathBuf)> = entries.filter_map(dated).collect();
    kept.sort();
    for (_, path) in kept.iter().take((kept.len() + 1).saturating_sub(MOST)) {
        let _ = std::fs::remove_file(path);
    }
}

/// What it is recognised by: to hash it takes less than to write it down, and every call does.
pub(super) fn hashed(what: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Tells in a diagnosis what has changed, where that decides: where it explains the cause, or where none is known.
pub(super) fn told(changed: Option<&Changed>, diagnosis: Diagnosis) -> Diagnosis {
    let Some(changed) = changed else { return diagnosis };
    let explaining = EXPLAINS.iter().find(|(cause, _)| *cause == diagnosis.cause).map(|(_, what)| *what);
    let decides = |change: &&Change| match explaining {
        Some(words) => words.iter().any(|word| change.what.starts_with(word)),
        None => diagnosis.cause == Cause::Unknown,
    };
    let deciding: Vec<&Change> = changed.changes.iter().filter(decides).collect();
    if deciding.is_empty() {
        return diagnosis;
    }
    let names: Vec<&str> = deciding.iter().map(|change| change.what.as_str()).collect();
    let since = format!("changed since the last good call: {}", names.join(", "));
    let mut diagnosis = diagnosis;
    diagnosis.summary = match diagnosis.cause {
        Cause::Unknown => format!("{since}; {}", diagnosis.summary),
        _ => format!("{}; {since}", diagnosis.summary),
    };
    let shown = |change: &&Change| {
        let Change { what, before, now } = change;
        format!("{what} has changed since the last good call, of {}: {before:?}, now {now:?}", changed.time)
    };
    diagnosis.evidence.extend(deciding.iter().map(shown));
    diagnosis
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(cause: Cause, summary: &str) -> Diagnosis {
        Diagnosis {
            cause,
            title: String::new(),
            summary: summary.into(),
            evidence: Vec::new(),
            ruled_out: Vec::new(),
            fix: Vec::new(),
        }
    }

    fn changed(names: &[&str]) -> Changed {
        let change = |name: &&str| Change { what: (*name).into(), before: "a".into(), now: "b".into() };
        Changed { id: "1".into(), time: "T".into(), changes: names.iter().map(change).collect() }
    }

    #[test]
    fn a_change_is_told_where_it_explains_the_cause_or_none_is_known() {
        let both = changed(&["binary of x", "boot"]);
        let table = [
            (Cause::PluginCrashed, "it died; changed since the last good call: binary of x", 1),
            (Cause::Unknown, "changed since the last good call: binary of x, boot; it died", 2),
            (Cause::IpamExhausted, "it died", 0),
            (Cause::ConfigInvalid, "it died", 0),
        ];
        for (cause, summary, lines) in table {
            let told = told(Some(&both), diagnosis(cause, "it died"));
            assert_eq!((told.summary.as_str(), told.evidence.len()), (summary, lines), "{cause}");
        }
        let plain = diagnosis(Cause::Unknown, "it died");
        assert_eq!(told(None, plain.clone()), plain);
        assert_eq!(told(Some(&changed(&[])), plain.clone()), plain);
    }

    #[test]
    fn of_two_states_the_differences_are_told() {
        let facts = |pairs: &[(&str, &str)]| -> Facts {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let before = facts(&[("kernel", "6"), ("gone", "x"), ("same", "s")]);
        let now = facts(&[("kernel", "7"), ("new", "y"), ("same", "s")]);
        let changes: Vec<[String; 3]> =
            changes(&before, &now).into_iter().map(|one| [one.what, one.before, one.now]).collect();
        assert_eq!(changes, [["gone", "x", ""], ["kernel", "6", "7"], ["new", "", "y"]]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MOST {
            let file = File::create(folder.path().join(number.to_string())).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64)).unwrap();
        }
        forget(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), MOST - 1);
        assert!(!folder.path().join("0").exists());
        forget(Path::new("/nowhere"));
    }
}
