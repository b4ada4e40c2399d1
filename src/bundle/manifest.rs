//! What a bundle says of itself: every file with its hash, and everything that is not in it, with why.

use serde::{Deserialize, Serialize};

use super::clean::Why;

/// The version of the manifest's form.
pub const SCHEMA: u32 = 1;
/// Its name in the bundle.
pub const NAME: &str = "manifest.json";
/// The name of the list of what was hidden.
pub const REDACTED: &str = "redacted.json";

/// What became of an item, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is in the bundle, whole.
    Ok,
    /// There is nothing of it on the node.
    Missing,
    /// Only a part of it is in the bundle.
    Cut,
    /// It could not be had.
    Failed,
    /// It could not be had in time.
    Timeout,
}

impl Status {
    /// The word in the manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Missing => "missing",
            Status::Cut => "cut",
            Status::Failed => "failed",
            Status::Timeout => "timeout",
        }
    }
}

/// A file of the bundle, or something that is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The item that it belongs to.
    pub name: String,
    /// Its path below the bundle's folder. `None` where there is no file.
    pub path: Option<String>,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: Option<String>,
    /// The size of the file, in bytes.
    pub size: u64,
    /// What became of it.
    pub status: Status,
    /// Why it is not there whole.
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of cniscope that made it.
    pub version: String,
    /// The node's name.
    pub node: String,
    /// When it was begun, RFC 3339.
    pub time: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How much was hidden: places in all files.
    pub redacted: usize,
    /// Every file, and everything that is missing.
    pub items: Vec<Row>,
}

/// Something that was hidden in a file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redacted {
    /// The file.
    pub file: String,
    /// The key, or the line.
    pub place: String,
    /// Why.
    pub kind: Why,
}
