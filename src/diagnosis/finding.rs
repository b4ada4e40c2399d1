//! What a check found.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalogue::Cause;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It could not look, or not in time.
    Skipped,
    /// All is well.
    Ok,
    /// A call can succeed now, but something is about to go wrong, or looks wrong.
    Warn,
    /// A call like this one fails in this state.
    Fail,
}

impl Status {
    /// The word in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Skipped => "skipped",
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// What a check found. The summary is read by tenants in the events of their Pods: it holds counts, and names that
/// stand in the call's own configuration; what else there is to know stands in the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The name of the check.
    pub check: String,
    /// How it ended.
    pub status: Status,
    /// What it found, in one line.
    pub summary: String,
    /// The facts.
    pub evidence: Map<String, Value>,
    /// The cause that a failure has for this. With `warn`, it confirms what a text says, and never replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What to do, in order, with this node's own names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<String>,
    /// How long the check took, in microseconds.
    pub took_us: u64,
}

impl Finding {
    /// A finding without evidence. The runner fills in the name of the check and the time.
    #[must_use]
    pub fn new(status: Status, summary: impl Into<String>) -> Finding {
        Finding {
            check: String::new(),
            status,
            summary: summary.into(),
            evidence: Map::new(),
            cause: None,
            fix: Vec::new(),
            took_us: 0,
        }
    }

    /// All is well.
    #[must_use]
    pub fn ok(summary: impl Into<String>) -> Finding {
        Finding::new(Status::Ok, summary)
    }

    /// Something looks wrong.
    #[must_use]
    pub fn warn(summary: impl Into<String>) -> Finding {
        Finding::new(Status::Warn, summary)
    }

    /// A call like this one fails for `cause`.
    #[must_use]
    pub fn fail(cause: Cause, summary: impl Into<String>) -> Finding {
        Finding { cause: Some(cause), ..Finding::new(Status::Fail, summary) }
    }

    /// Of this cause, if a call fails: what looks wrong does not make every call fail, but it explains one that did.
    #[must_use]
    pub fn explains(mut self, cause: Cause) -> Finding {
        self.cause = Some(cause);
        self
    }

    /// It could not look.
    #[must_use]
    pub fn skipped(why: impl Into<String>) -> Finding {
        Finding::new(Status::Skipped, why)
    }

    /// With a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Finding {
        self.evidence.insert(key.to_owned(), value.into());
        self
    }

    /// With something to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix.push(fix.into());
        self
    }
}
