//! A call again, where it cannot change the node.
//!
//! [`plan`] says what is to be run, from a record of the journal or from a network's configuration, and refuses what would
//! reach out of the namespaces ([`local`]) or is not whole ([`redacted`]). [`outside`] starts this program once more, twice:
//! the first takes new namespaces for network, mounts and processes, the second is the first process in them. With its end
//! everything in them ends. [`scratch`] is its side: it makes a node that can be written to, calls the plugins through
//! cniscope as a runtime would, and compares the state before and after. Back outside, [`judged`] finds the cause of a
//! failure with what only the node itself can tell, and [`versus`] compares two of them.

pub mod change;
pub mod judged;
pub mod local;
pub mod outside;
pub mod plan;
pub mod redacted;
pub mod scratch;
pub mod versus;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use change::Change;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The calls, in their order. After one that failed there are no others.
    pub calls: Vec<Called>,
    /// What is not as it was before the first of them.
    pub changes: Vec<Change>,
    /// What stands there for something of the node, and what else differs from the node.
    pub notes: Vec<String>,
}

/// One call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Called {
    /// Its end record, as cniscope wrote it in the scratch node.
    pub record: Value,
    /// What was seen while its plugin hung.
    pub stalls: Vec<Value>,
    /// The plugin's own result, not redacted: what the next plugin is given.
    #[serde(skip)]
    pub result: Value,
}

impl Called {
    /// Whether the plugin did what it was to do.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.record["outcome"] == "ok"
    }
}

impl Report {
    /// Whether every call went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.calls.is_empty() && self.calls.iter().all(Called::is_ok)
    }
}
