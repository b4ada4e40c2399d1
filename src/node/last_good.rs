//! The last good calls of this node, one of each network and plugin. The shim keeps them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Node;

/// Where they are kept, each in a file of its own.
pub const FOLDER: &str = "/var/lib/cniscope/good";
/// The most of them: networks may be made by tenants.
pub const MOST: usize = 1024;
/// No file of them is larger, in bytes.
pub const LARGEST: u64 = 1 << 20;
/// The fact that is the kernel's release.
pub const KERNEL: &str = "kernel";

/// What a call depends on, by name.
pub type Facts = BTreeMap<String, String>;

/// A call that went well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// The hash of `facts`. It stands first: the beginning of a file tells whether they are still the same.
    pub of: String,
    /// The call.
    pub id: String,
    /// When it began, as in the record.
    pub time: String,
    /// The plugin.
    #[serde(default)]
    pub plugin: String,
    /// What every call looks at.
    pub facts: Facts,
    /// What is looked at when the call is kept.
    #[serde(default)]
    pub of_node: Facts,
}

impl Node {
    /// The last good calls that can be read, the latest first.
    #[must_use]
    pub fn good_calls(&self) -> Vec<Good> {
        let names = self.list(Path::new(FOLDER), MOST).unwrap_or_default().names;
        let read =
            |name| serde_json::from_slice(&self.read(&Path::new(FOLDER).join(name), LARGEST).ok()?).ok();
        let mut calls: Vec<Good> = names.iter().filter_map(read).collect();
        calls.sort_by(|one, other| other.time.cmp(&one.time));
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_calls_are_read_the_latest_first_and_junk_is_not() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(node.good_calls(), []);
        let folder = root.path().join(FOLDER.trim_start_matches('/'));
        std::fs::create_dir_all(&folder).unwrap();
        let call = |time: &str| Good { time: time.into(), ..Good::default() };
        let (early, late) = (call("2026-01-01T00:00:00.000Z"), call("2026-01-02T00:00:00.000Z"));
        for (name, call) in [("1", &early), ("2", &late)] {
            std::fs::write(folder.join(name), serde_json::to_vec(call).unwrap()).unwrap();
        }
        std::fs::write(folder.join("3"), "{").unwrap();
        std::fs::create_dir(folder.join("4")).unwrap();
        assert_eq!(node.good_calls(), [late, early]);
    }
}
