//! What has changed since the last good call: its facts are kept, and held against those of a call that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::checks::subject::Subject;
use crate::cni::json;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::catalogue::Cause;
use crate::digest::sha256;
use crate::journal::record::{Change, Changed, Identity};
use crate::node::replace::replace_loosely;
use crate::node::{Node, bounded, clock};
use crate::settings::Settings;

/// Where the last good calls are kept, one for each network and plugin.
const FOLDER: &str = "/var/lib/cniscope/good";
/// The most of them: networks may be made by tenants.
const MOST: usize = 1024;
/// No file of them is larger, in bytes.
const LARGEST: u64 = 1 << 20;
/// How much of a file holds `{"of":"` and the hash.
const START: usize = 23;
/// How long reading one may take.
const LIMIT: Duration = Duration::from_millis(20);
/// While nothing changes, a good call is remembered this often.
const AGAIN: Duration = Duration::from_mins(1);
/// What is longer is kept as its hash.
const LONGEST: usize = 256;
/// Parts of a configuration that are different for every call.
const OF_THE_CALL: [&str; 5] =
    ["prevResult", "runtimeConfig", "args", "cni.dev/attachments", "cni.dev/valid-attachments"];
/// What flanneld has for the node.
const SUBNET_ENV: &str = "/run/flannel/subnet.env";

/// For causes that are known, the beginnings of what explains them if it has changed.
const EXPLAINS: &[(Cause, &[&str])] = &[
    (Cause::PluginCrashed, &["binary"]),
    (Cause::PluginNotExecutable, &["binary"]),
    (Cause::CniVersionMismatch, &["binary", "configuration"]),
    (Cause::ConfigInvalid, &["configuration"]),
    (Cause::ChainOrderWrong, &["configuration"]),
    (Cause::BridgeAddressConflict, &["configuration", SUBNET_ENV]),
    (Cause::InterfaceMissing, &["configuration", "kernel"]),
    (Cause::MtuInvalid, &["configuration", SUBNET_ENV]),
    (Cause::KernelUnsupported, &["kernel", "binary"]),
    (Cause::BpfFailed, &["kernel", "binary"]),
    (Cause::IptablesFailed, &["kernel"]),
    (Cause::SysctlFailed, &["kernel"]),
];

/// What a call depends on, by name.
type Facts = BTreeMap<String, String>;

/// A call that went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Good {
    /// The hash of the facts. It stands first: the beginning of a file tells whether they are still the same.
    of: String,
    id: String,
    time: String,
    facts: Facts,
}

/// The facts of this call, beside those that are kept.
#[derive(Debug)]
pub(super) struct Memory {
    /// The file of the network and the plugin.
    path: PathBuf,
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
        let facts = facts(node, settings, subject, identity, config);
        let of = hashed(&facts);
        Memory { path, facts, of }
    }

    /// What is not as it was. Nothing, if no good call is known.
    pub(super) fn changed(&self) -> Option<Changed> {
        let path = self.path.clone();
        let read = move || serde_json::from_slice(&Node::this().read(&path, LARGEST).ok()?).ok();
        let good: Good = bounded::run(LIMIT, read)??;
        Some(self.since(&good))
    }

    fn since(&self, good: &Good) -> Changed {
        let names: BTreeSet<&String> = good.facts.keys().chain(self.facts.keys()).collect();
        let change = |name: &String| {
            let of = |facts: &Facts| facts.get(name).cloned().unwrap_or_default();
            let (before, now) = (of(&good.facts), of(&self.facts));
            (before != now).then(|| Change { what: name.clone(), before, now })
        };
        let changes = names.into_iter().filter_map(change).collect();
        Changed { id: good.id.clone(), time: good.time.clone(), changes }
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
            facts: self.facts.clone(),
        };
        let Ok(content) = serde_json::to_vec(&good) else { return };
        if known.is_none() {
            let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(FOLDER);
            forget(Path::new(FOLDER));
        }
        let _ = replace_loosely(&self.path, &content);
    }
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

fn facts(node: &Node, settings: &Settings, subject: &Subject, identity: &Identity, config: &[u8]) -> Facts {
    let mut facts = Facts::new();
    let mut put = |name: String, value: String| {
        let value =
            if value.len() > LONGEST { format!("sha256:{}", sha256(value.as_bytes())) } else { value };
        facts.insert(name, value);
    };
    for (_, plugin) in subject.plugins() {
        let file = subject.folders.iter().find_map(|folder| node.metadata(&folder.join(&plugin)).ok());
        let described = file.and_then(|file| {
            Some(format!("{} bytes, changed {}", file.size(), clock::rfc3339(file.modified().ok()?)))
        });
        put(format!("binary of {plugin}"), described.unwrap_or_default());
    }
    for member in json::members(config, &(0..config.len())).into_iter().flatten() {
        let key = member.key(config);
        if !OF_THE_CALL.contains(&key.as_ref()) {
            put(format!("configuration: {key}"), String::from_utf8_lossy(&config[member.value]).into_owned());
        }
    }
    if subject.plugin == "flannel" {
        put(SUBNET_ENV.to_owned(), node.read_text(Path::new(SUBNET_ENV)).unwrap_or_default());
    }
    put("kernel".to_owned(), node.kernel());
    put("boot".to_owned(), identity.boot_id.clone());
    put("cniscope".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    put("settings of cniscope".to_owned(), hashed(settings));
    facts
}

/// What it is recognised by: to hash it takes less than to write it down, and every call does.
fn hashed(what: &impl Hash) -> String {
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
    use serde_json::json;

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
    fn facts_are_those_of_the_network_and_not_of_the_call() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("bin")).unwrap();
        std::fs::write(root.path().join("bin/bridge"), "ELF").unwrap();
        let subject = Subject {
            plugin: "bridge".into(),
            folders: vec!["/none".into(), "/bin".into()],
            config: json!({"ipam": {"type": "host-local"}}),
            ..Subject::default()
        };
        let config = json!({
            "name": "n", "mtu": 1400, "long": "x".repeat(500), "prevResult": {}, "runtimeConfig": {}, "args": {},
        });
        let identity: Identity = serde_json::from_value(json!({
            "id": "1", "time": "", "node": "", "boot_id": "b", "pid": 1, "start_ticks": 1, "command": "ADD",
            "container_id": "", "ifname": "", "netns": "", "pod_namespace": "", "pod_name": "", "network": "n",
            "plugin": "bridge",
        }))
        .unwrap();
        let node = Node::at(root.path());
        let facts = facts(&node, &Settings::default(), &subject, &identity, config.to_string().as_bytes());
        let names: Vec<&str> = facts.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "binary of bridge",
                "binary of host-local",
                "boot",
                "cniscope",
                "configuration: long",
                "configuration: mtu",
                "configuration: name",
                "kernel",
                "settings of cniscope",
            ]
        );
        assert!(facts["binary of bridge"].starts_with("3 bytes, changed 2"), "{facts:?}");
        assert_eq!(
            (facts["binary of host-local"].as_str(), facts["configuration: mtu"].as_str()),
            ("", "1400")
        );
        assert!(facts["configuration: long"].starts_with("sha256:"));
    }

    #[test]
    fn of_two_states_the_differences_are_told() {
        let facts = |pairs: &[(&str, &str)]| -> Facts {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let good = Good {
            of: String::new(),
            id: "1".into(),
            time: "T".into(),
            facts: facts(&[("kernel", "6"), ("gone", "x"), ("same", "s")]),
        };
        let now = facts(&[("kernel", "7"), ("new", "y"), ("same", "s")]);
        let memory = Memory { path: PathBuf::new(), facts: now, of: String::new() };
        let changes: Vec<[String; 3]> =
            memory.since(&good).changes.into_iter().map(|one| [one.what, one.before, one.now]).collect();
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
