//! From texts and findings to a cause: pure, nothing here looks at the node.
//!
//! The text of the innermost error tells a cause ([`reading`]). What the checks found confirms one of them or
//! names a deeper one ([`reason`]). `unknown` beats a guess: a wrong cause costs a night.

pub mod bracket;
pub mod catalogue;
pub mod events;
pub mod explain;
pub mod finding;
pub mod own;
pub mod peel;
pub mod peers;
pub mod reading;
pub mod reason;
pub mod signatures;
pub mod waiting;
pub mod words;

use serde::{Deserialize, Serialize};

use catalogue::Cause;

/// The cause of a failure, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The cause.
    pub cause: Cause,
    /// What it means, in a few words.
    pub title: String,
    /// What is wrong here, in one line. It is returned to tenants: it holds counts, and names that stand in the original
    /// text or in this Pod's configuration, and no others.
    pub summary: String,
    /// What supports the cause: text, exit status, findings of checks.
    pub evidence: Vec<String>,
    /// What was looked at and found to be well.
    pub ruled_out: Vec<String>,
    /// What to do, in order; what destroys something says so.
    pub fix: Vec<String>,
}
