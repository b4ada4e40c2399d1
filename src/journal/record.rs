//! The records of the journal: one JSON object a line, flat and in snake_case, made for `jq`, Loki and Elasticsearch.
//!
//! The words of the specification inside `config`, `result` and `error` stay as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diagnosis::Diagnosis;
use crate::diagnosis::finding::Finding;

/// The version of the records' form.
pub const SCHEMA: u32 = 1;

/// What names a call; every record of it holds these fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// A UUID of version 7: it sorts by time.
    pub id: String,
    /// When the call began, RFC 3339 with microseconds in UTC.
    pub time: String,
    /// The host's name.
    pub node: String,
    /// The id of the boot.
    pub boot_id: String,
    /// The process that the runtime started.
    pub pid: u32,
    /// When that process started, in clock ticks since boot.
    pub start_ticks: u64,
    /// The verb: `CNI_COMMAND`.
    pub command: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `K8S_POD_NAMESPACE` of `CNI_ARGS`.
    pub pod_namespace: String,
    /// `K8S_POD_NAME` of `CNI_ARGS`.
    pub pod_name: String,
    /// The network's `name`.
    pub network: String,
    /// The delegate: `wraps`.
    pub plugin: String,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The delegate succeeded.
    Ok,
    /// The delegate returned an error.
    Failed,
    /// The delegate died, or ended without a CNI error.
    Crashed,
    /// The delegate was stopped at the deadline.
    Deadline,
    /// cniscope did not start the delegate.
    Refused,
    /// The delegate ended after a signal to cniscope that was passed on.
    Interrupted,
}

impl Outcome {
    /// The word in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Crashed => "crashed",
            Outcome::Deadline => "deadline",
            Outcome::Refused => "refused",
            Outcome::Interrupted => "interrupted",
        }
    }
}

/// The process that called, or that was called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Its id.
    pub pid: u32,
    /// Its name, such as `containerd`.
    pub name: String,
}

/// A CNI error as it stands in a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorText {
    /// Its code, where it had one.
    pub code: Option<u64>,
    /// Its short text.
    pub msg: String,
    /// Its longer text.
    pub details: String,
}

impl From<&crate::cni::error::Error> for ErrorText {
    fn from(error: &crate::cni::error::Error) -> ErrorText {
        ErrorText { code: error.code, msg: error.msg.clone(), details: error.details.clone() }
    }
}

/// How things are otherwise than in the last good call of the same network and plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The id of that call.
    pub id: String,
    /// When it began.
    pub time: String,
    /// What is not as it was.
    pub changes: Vec<Change>,
}

/// Something that is not as it was. What was not there is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is, in words.
    pub what: String,
    /// How it was.
    pub before: String,
    /// How it is.
    pub now: String,
}

/// Written before the delegate starts.
#[derive(Debug, Serialize)]
pub struct Begin<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `begin`.
    pub event: &'static str,
    /// The call.
    #[serde(flatten)]
    pub identity: &'a Identity,
}

/// Written after the answer; complete in itself together with [`Circumstances`], whose fields stand in the same line.
#[derive(Debug, Serialize)]
pub struct End<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `end`.
    pub event: &'static str,
    /// The call.
    #[serde(flatten)]
    pub identity: &'a Identity,
    /// How it ended.
    pub outcome: Outcome,
    /// The cause of a failure.
    pub cause: Option<String>,
    /// From the start of cniscope to its answer.
    pub duration_ms: f64,
    /// From the start of the delegate to its end.
    pub plugin_ms: Option<f64>,
    /// The difference.
    pub overhead_ms: f64,
    /// From the start of cniscope to the start of the delegate.
    pub plugin_after_ms: Option<f64>,
    /// The delegate's exit status, where it ended by itself.
    pub exit_status: Option<i32>,
    /// The signal that ended it, else.
    pub signal: Option<i32>,
    /// The delegate's process.
    pub plugin_pid: Option<u32>,
    /// Its largest resident memory in KiB.
    pub plugin_rss_kb: Option<i64>,
    /// The processor time that it and its children used.
    pub plugin_cpu_ms: Option<f64>,
    /// The delegate's error, where it returned one.
    pub error: Option<ErrorText>,
    /// The error that was returned instead of the delegate's.
    pub returned: Option<ErrorText>,
    /// How the cause was found.
    pub diagnosis: Option<Diagnosis>,
    /// The delegate's result, where it printed one.
    pub result: Value,
    /// What it printed on stderr; the end of it, where it was much.
    pub stderr: String,
    /// What it printed on stdout, where that is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_raw: Option<String>,
    /// What the checks found.
    pub checks: Vec<Finding>,
    /// What has changed since the last good call, where this one is none and there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
    /// STATUS: how many calls with this outcome came since the last record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
}

/// What an end record says that is known before the delegate has ended, beside the configuration and its hash.
#[derive(Debug, Serialize)]
pub struct Circumstances {
    /// The configuration's `cniVersion`.
    pub cni_version: Option<String>,
    /// `K8S_POD_UID` of `CNI_ARGS`.
    pub pod_uid: String,
    /// The path under which the delegate was executed.
    pub plugin_path: Option<String>,
    /// What that path leads to, if it is a link.
    pub plugin_target: Option<String>,
    /// When the delegate's file was last changed, RFC 3339.
    pub plugin_mtime: Option<String>,
    /// Its size in bytes.
    pub plugin_size: Option<u64>,
    /// This program's version.
    pub cniscope_version: &'static str,
    /// The environment: `CNI_*`, `PATH`, proxies, trace context.
    pub env: BTreeMap<String, String>,
    /// The process that called.
    pub caller: Caller,
    /// `traceparent`, `tracestate`, `baggage`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub trace: BTreeMap<String, String>,
    /// What was wrong in the settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Written instead of [`End`] for a call that went well where the journal is to hold failures.
#[derive(Debug, Serialize)]
pub struct SmallEnd<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `end`.
    pub event: &'static str,
    /// The call.
    #[serde(flatten)]
    pub identity: &'a Identity,
    /// How it ended.
    pub outcome: Outcome,
    /// From the start of cniscope to its answer.
    pub duration_ms: f64,
    /// From the start of the delegate to its end.
    pub plugin_ms: Option<f64>,
    /// The difference.
    pub overhead_ms: f64,
    /// From the start of cniscope to the start of the delegate.
    pub plugin_after_ms: Option<f64>,
}

/// Written while a delegate hangs.
#[derive(Debug, Serialize)]
pub struct Stall<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `stall`.
    pub event: &'static str,
    /// The call's id.
    pub id: &'a str,
    /// When it was looked at.
    pub time: String,
    /// How long the delegate had been running.
    pub after_ms: f64,
    /// Its processes and what they wait for.
    pub snapshot: Value,
}
