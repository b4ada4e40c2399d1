//! The settings of one call: built-in, then the file, then the entry on stdin.
//!
//! A mistake never fails a call. What is unknown or has a bad value is left at its default, and a warning that names
//! the place, the key and what is expected goes into the record.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cni::environment::Verb;
use crate::node::Node;

pub mod file;
mod layer;
pub mod signatures;

pub use layer::{KEYS, VERBS};

/// What a failing check does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The check is not run.
    Off,
    /// It is recorded.
    Warn,
    /// An ADD is refused.
    Deny,
}

/// Which calls the journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recording {
    /// All.
    All,
    /// Failures in full, a small record for the others.
    Failures,
    /// None.
    Off,
}

/// Where and how the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JournalSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// The size in bytes at which a file is rotated.
    pub max_bytes: u64,
    /// How many files there are, the current one included.
    pub max_files: u32,
    /// Which calls it holds.
    pub record: Recording,
    /// The permissions of its files.
    pub mode: u32,
    /// The group of its files, by name or number.
    pub group: String,
}

/// Deadlines by verb, where the built-in ones (see [`Settings::deadline`]) are not wanted. Zero is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deadlines(BTreeMap<String, Duration>);

/// The settings of one call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// `deadlineSeconds`.
    pub deadlines: Deadlines,
    /// `checks`: those that are not at `warn`.
    pub checks: BTreeMap<String, Mode>,
    /// `enrich`: a failure is returned with its cause.
    pub enrich: bool,
    /// `verify`: a good ADD is looked at again.
    pub verify: bool,
    /// `evidenceMilliseconds`: how long the checks after a failure may take in all.
    pub evidence: Duration,
    /// `journal`.
    pub journal: JournalSettings,
    /// `redact`: keys whose values are secret, in addition to the known ones.
    pub redact: Vec<String>,
    /// What was wrong in the settings.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            deadlines: Deadlines::default(),
            checks: BTreeMap::new(),
            enrich: true,
            verify: true,
            evidence: Duration::from_secs(1),
            journal: JournalSettings {
                dir: PathBuf::from("/var/log/cniscope"),
                max_bytes: 16 << 20,
                max_files: 8,
                record: Recording::All,
                mode: 0o600,
                group: "root".to_owned(),
            },
            redact: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Settings {
    /// The built-in settings with those of the entry alone: all that can be told without looking at a file.
    #[must_use]
    pub fn of_entry(entry: Option<&[u8]>) -> Settings {
        let mut settings = Settings::default();
        settings.apply_entry(entry);
        settings
    }

    /// The settings of a call: built-in, then the file (`named` is the value of `CNISCOPE_CONFIG`), then the entry.
    #[must_use]
    pub fn of_call(node: &Node, named: Option<&OsString>, entry: Option<&[u8]>) -> Settings {
        let mut settings = Settings::of_node(node, named);
        settings.apply_entry(entry);
        settings
    }

    /// Whether anything is told of a call: in the journal, or in the error that it returns.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.enrich || self.journal.record != Recording::Off
    }

    /// The settings of a node: built-in, then the file.
    #[must_use]
    pub fn of_node(node: &Node, named: Option<&OsString>) -> Settings {
        let mut settings = Settings::default();
        match file::read(node, named) {
            Ok(None) => {}
            Ok(Some((path, content))) => {
                let place = format!("settings file {}", path.display());
                match serde_json::from_slice(&content) {
                    Ok(value) => {
                        settings.apply(&place, &value, None);
                        settings.refuse_unknown_group(node, &place);
                    }
                    Err(error) => settings.warnings.push(format!("{place}: not used: {error}")),
                }
            }
            Err(why) => settings.warnings.push(format!("settings file {why}")),
        }
        settings
    }

    /// That a group is one can be told only by looking at the node.
    fn refuse_unknown_group(&mut self, node: &Node, place: &str) {
        let default = Settings::default().journal.group;
        let group = &self.journal.group;
        if *group != default && node.group_id(group).is_none() {
            self.warnings.push(format!(
                "{place}: \"journal.group\" is {group:?}, expected a group of this node; the default is used"
            ));
            self.journal.group = default;
        }
    }

    fn apply_entry(&mut self, entry: Option<&[u8]>) {
        let Some(entry) = entry else { return };
        match serde_json::from_slice(entry) {
            Ok(value) => self.apply("entry \"cniscope\"", &value, Some(&layer::ENTRY_KEYS)),
            Err(error) => self.warnings.push(format!("entry \"cniscope\": not used: {error}")),
        }
    }

    /// The deadline of a call of this verb by a caller of this name, e.g. `containerd`.
    ///
    /// The built-in ones end below those of the runtimes. CRI-O lets a late ADD succeed, so it has none there.
    #[must_use]
    pub fn deadline(deadlines: &Deadlines, verb: &Verb, caller: &str) -> Option<Duration> {
        let built_in = match (caller, verb) {
            ("containerd", Verb::Add) => 200,
            ("containerd", Verb::Del) => 100,
            ("crio", Verb::Del) => 50,
            _ => 0,
        };
        let deadline = deadlines.0.get(verb.as_str()).copied().unwrap_or(Duration::from_secs(built_in));
        (!deadline.is_zero()).then_some(deadline)
    }

    /// What a check of this name does in this call.
    #[must_use]
    pub fn mode(&self, check: &str) -> Mode {
        self.checks.get(check).copied().unwrap_or(Mode::Warn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_follow_the_caller_unless_they_are_set() {
        let set: Deadlines =
            serde_json::from_str(r#"{"ADD":{"secs":7,"nanos":0},"DEL":{"secs":0,"nanos":0}}"#).unwrap();
        let table = [
            (Deadlines::default(), Verb::Add, "containerd", Some(200)),
            (Deadlines::default(), Verb::Del, "containerd", Some(100)),
            (Deadlines::default(), Verb::Del, "crio", Some(50)),
            (Deadlines::default(), Verb::Add, "crio", None),
            (Deadlines::default(), Verb::Check, "containerd", None),
            (Deadlines::default(), Verb::Add, "cnitool", None),
            (set.clone(), Verb::Add, "cnitool", Some(7)),
            (set.clone(), Verb::Del, "containerd", None),
        ];
        for (deadlines, verb, caller, expected) in table {
            assert_eq!(
                Settings::deadline(&deadlines, &verb, caller),
                expected.map(Duration::from_secs),
                "{verb} by {caller}"
            );
        }
    }

    #[test]
    fn an_entry_sets_only_what_it_may() {
        let entry = br#"{"wraps":"x","named":true,"enrich":false,"journal":{"dir":"/tmp"},"redact":[]}"#;
        let settings = Settings::of_entry(Some(entry));
        assert!(!settings.enrich);
        assert_eq!(settings.journal, Settings::default().journal);
        assert_eq!(
            settings.warnings,
            [
                "entry \"cniscope\": \"journal\" is not a key that an entry may set; the default is used",
                "entry \"cniscope\": \"redact\" is not a key that an entry may set; the default is used",
            ]
        );
    }

    #[test]
    fn the_entry_comes_after_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("c"),
            r#"{"enrich":false,"checks":{"netns":"off","bridge":"off"}}"#,
        )
        .unwrap();
        let entry = br#"{"checks":{"netns":"deny"}}"#;
        let settings = Settings::of_call(&Node::at(folder.path()), Some(&"/c".into()), Some(entry));
        assert_eq!(settings.warnings, [""; 0]);
        assert!(!settings.enrich);
        assert_eq!((settings.mode("netns"), settings.mode("bridge")), (Mode::Deny, Mode::Off));
    }

    #[test]
    fn a_file_that_is_no_json_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c"), "{").unwrap();
        let settings = Settings::of_node(&Node::at(folder.path()), Some(&"/c".into()));
        let expected = "settings file /c: not used: EOF while parsing an object at line 1 column 1";
        assert_eq!(settings.warnings, [expected]);
    }
}
