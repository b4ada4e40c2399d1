//! The parts of a record, gathered as early as they are known: what names the call before the delegate starts, the rest
//! while it runs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::super::messages::{Answered, Report};
use super::super::request::Request;
use crate::checks::subject::{Origin, Subject};
use crate::cni::environment::Verb;
use crate::digest::sha256;
use crate::journal::Journal;
use crate::journal::line::Part;
use crate::journal::record::{Circumstances, End, ErrorText, Identity, SCHEMA};
use crate::node::{Node, clock};
use crate::settings::Settings;

/// Variables of the environment that are recorded beside `CNI_*`: where plugins are found, and what may stand between them
/// and an API server. Everything else may be a secret.
const RECORDED: [&str; 9] = [
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];
/// Trace context (W3C), as runtimes hand it on.
const TRACE: [&str; 3] = ["TRACEPARENT", "TRACESTATE", "BAGGAGE"];

/// What names the call.
pub(super) fn identity(node: &Node, request: &Request) -> Identity {
    let pid = request.pid;
    let environment = &request.environment;
    Identity {
        id: request.id.clone(),
        time: clock::rfc3339(request.time),
        node: node.host_name(),
        boot_id: node.boot_id(),
        pid,
        start_ticks: node.process(pid).map(|process| process.start_ticks).unwrap_or_default(),
        command: environment.command.to_string(),
        container_id: lossy(&environment.container_id),
        ifname: lossy(&environment.ifname),
        netns: lossy(&environment.netns),
        pod_namespace: environment.pod.namespace.clone(),
        pod_name: environment.pod.name.clone(),
        network: request.network.clone(),
        plugin: request.plugin.clone(),
    }
}

/// What is known before the delegate has ended, without secrets.
pub(super) struct Ready {
    /// The fields of the record.
    pub(super) part: Part,
    /// What stood on stdin, which they hold too.
    pub(super) config: Vec<u8>,
}

pub(super) fn circumstances(node: &Node, request: &Request, settings: &Settings, journal: &Journal) -> Ready {
    let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let pick = |wanted: &dyn Fn(&OsStr) -> bool| {
        let picked = variables.iter().filter(|(name, _)| wanted(name));
        picked.map(|(name, value)| (lossy(name), lossy(value))).collect::<BTreeMap<_, _>>()
    };
    let is_one_of = |names: &[&str], name: &OsStr| names.iter().any(|known| *known == name);
    let is_recorded = |name: &OsStr| {
        name.as_bytes().starts_with(b"CNI_") || is_one_of(&RECORDED, name) || is_one_of(&TRACE, name)
    };
    let trace = pick(&|name| is_one_of(&TRACE, name));
    let path = &request.plugin_path;
    let file = request.plugin_file.as_ref();
    let mut part = journal.part(&Circumstances {
        cni_version: request.cni_version.clone(),
        pod_uid: request.environment.pod.uid.clone(),
        plugin_path: (*path != PathBuf::new()).then(|| path.display().to_string()),
        plugin_target: node.link_target(path).map(|target| target.display().to_string()),
        plugin_mtime: file.and_then(|file| file.modified().ok()).map(clock::rfc3339),
        plugin_size: file.map(MetadataExt::size),
        cniscope_version: env!("CARGO_PKG_VERSION"),
        env: pick(&is_recorded),
        caller: request.caller(),
        trace: trace.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
        warnings: settings.warnings.clone(),
    });
    let config = journal.clean(&parsed(&request.stdin));
    part.put("config", &config);
    // The last field of a record: by it, readers know that a line is whole.
    part.put("config_sha256", format!("\"{}\"", sha256(&config)).as_bytes());
    Ready { part, config }
}

/// How long things took, in milliseconds.
pub(super) struct Times {
    /// From the start of cniscope to its answer.
    pub(super) whole: f64,
    /// The delegate.
    pub(super) plugin: Option<f64>,
    /// The difference.
    pub(super) overhead: f64,
    /// From the start of cniscope to the delegate's.
    pub(super) plugin_after: Option<f64>,
}

impl Times {
    pub(super) fn of(report: &Report, answered: &Answered) -> Times {
        let plugin = report.process.as_ref().map(|process| process.took);
        Times {
            whole: milliseconds(answered.duration),
            plugin: plugin.map(milliseconds),
            overhead: milliseconds(answered.duration.saturating_sub(plugin.unwrap_or_default())),
            plugin_after: report.process.as_ref().map(|process| milliseconds(process.after)),
        }
    }
}

/// What became of the delegate, without what the checks and the diagnosis say. `result` is what it printed.
pub(super) fn end<'a>(
    identity: &'a Identity,
    report: &Report,
    result: Value,
    answered: &Answered,
) -> End<'a> {
    let times = Times::of(report, answered);
    let is_json = !result.is_string() && report.cut.0 == 0;
    // An error that the delegate returned stands in `error`.
    let is_result = is_json && report.happened.is_none();
    let process = report.process.as_ref();
    End {
        schema: SCHEMA,
        event: "end",
        identity,
        outcome: report.outcome,
        cause: None,
        duration_ms: times.whole,
        plugin_ms: times.plugin,
        overhead_ms: times.overhead,
        plugin_after_ms: times.plugin_after,
        exit_status: process.and_then(|process| process.exit_status),
        signal: process.and_then(|process| process.signal),
        plugin_pid: process.and_then(|process| u32::try_from(process.pid).ok()),
        plugin_rss_kb: process.map(|process| process.used.max_rss_kb),
        plugin_cpu_ms: process.map(|process| milliseconds(process.used.cpu)),
        error: report.error.as_ref().map(ErrorText::from),
        returned: answered.returned.clone(),
        diagnosis: None,
        result: if is_result { result } else { Value::Null },
        stderr: noted_end(&report.stderr, report.cut.1),
        stdout_raw: (!is_json && !report.stdout.is_empty()).then(|| noted(&report.stdout, report.cut.0)),
        checks: Vec::new(),
        changed: None,
        repeated: None,
    }
}

/// What checks are to know of the call.
pub(super) fn subject(request: &Request) -> Subject {
    let environment = &request.environment;
    let mut config: Value = serde_json::from_slice(&request.delegate_stdin).unwrap_or_default();
    // As a tree, a thousand of them are a megabyte. Only CHECK is held to what an earlier plugin has returned.
    if environment.command != Verb::Check
        && let Some(result) = config.get_mut("prevResult").and_then(Value::as_object_mut)
    {
        result.shift_remove("routes");
    }
    Subject {
        origin: Origin::Call,
        verb: environment.command.clone(),
        plugin: request.plugin.clone(),
        folders: request.folders.clone(),
        config,
        container_id: lossy(&environment.container_id),
        netns: PathBuf::from(&environment.netns),
        ifname: lossy(&environment.ifname),
        netns_override: environment.netns_override,
        result: Value::Null,
        peers: Vec::new(),
    }
}

/// A document as it is recorded: what `serde_json` does not take (Go takes more) as text; nothing as `null`.
pub(super) fn parsed(document: &[u8]) -> Value {
    if document.trim_ascii().is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(document)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(document).into_owned()))
}

fn noted(text: &str, cut: u64) -> String {
    if cut == 0 { text.to_owned() } else { format!("{text}… <{cut} bytes cut>") }
}

/// The end of a text of which `cut` bytes stood before it.
fn noted_end(text: &str, cut: u64) -> String {
    if cut == 0 { text.to_owned() } else { format!("<{cut} bytes cut> …{text}") }
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// Milliseconds with three digits behind the point.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_kept_as_what_they_are() {
        let table: [(&[u8], Value); 4] = [
            (b"", Value::Null),
            (b" {\"n\":12345678901234567890}", serde_json::json!({"n": 12_345_678_901_234_567_890_u64})),
            (b"OK", Value::String("OK".into())),
            (b"{\"a\":\"\xff\"}", Value::String("{\"a\":\"\u{fffd}\"}".into())),
        ];
        for (document, expected) in table {
            assert_eq!(parsed(document), expected);
        }
    }

    #[test]
    fn times_have_microseconds() {
        let shown = milliseconds(Duration::from_nanos(1_234_567));
        assert!((shown - 1.235).abs() < 1e-9, "{shown}");
    }
}
