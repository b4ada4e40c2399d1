//! Calls as spans of OpenTelemetry: OTLP in JSON, a document a line, as the Collector's `otlpjsonfile` receiver reads it.
//!
//! A call is a span; its preflight, its delegate and its diagnosis are its children. Ids are made of the call's own, so
//! that they are the same whenever and wherever its record is read.

use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};

use crate::digest::sha256;
use crate::journal::read::Call;
use crate::journal::trace;
use crate::node::clock;

/// `SPAN_KIND_INTERNAL`: what a process does by itself.
const INTERNAL: u8 = 1;
/// `SPAN_KIND_CLIENT`: a process that another one runs.
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// A flag of a span, above those of the trace: it is known whether its parent is in another process.
const HAS_IS_REMOTE: u32 = 0x100;
/// See above.
const IS_REMOTE: u32 = 0x200;

/// The call as an `ExportTraceServiceRequest`. `None` for a call that runs: its span would be another one when it has ended.
#[must_use]
pub fn request(call: &Call) -> Option<Value> {
    let spans = Spans::of(call)?.all();
    let resource = resource(call);
    let version = call.text("cniscope_version");
    Some(json!({"resourceSpans": [{
        "resource": {"attributes": resource.0},
        "scopeSpans": [{"scope": {"name": "cniscope", "version": version}, "spans": spans}],
    }]}))
}

/// Where a call was made, and for whom.
fn resource(call: &Call) -> Attributes {
    let node = call.text("node");
    // A host outside of Kubernetes has no name in it.
    let of_kubernetes = if call.text("pod_name").is_empty() { "" } else { node };
    Attributes::default()
        .text("service.name", "cniscope")
        .text("service.version", call.text("cniscope_version"))
        .text("host.name", node)
        .text("k8s.node.name", of_kubernetes)
        .text("k8s.namespace.name", call.text("pod_namespace"))
        .text("k8s.pod.name", call.text("pod_name"))
        .text("k8s.pod.uid", call.text("pod_uid"))
}

/// A call, on its way to become spans. Times are nanoseconds since 1970.
struct Spans<'a> {
    call: &'a Call,
    parent: Option<trace::Parent<'a>>,
    trace_id: String,
    start: u64,
    end: u64,
}

impl<'a> Spans<'a> {
    fn of(call: &'a Call) -> Option<Spans<'a>> {
        if call.outcome == "running" {
            return None;
        }
        let start = nanoseconds(call.text("time"))?;
        let end = match call.record["duration_ms"].as_f64() {
            Some(took) => after(start, took),
            // That it was seen last is all that is known of the end.
            None => call.stalls.iter().filter_map(seen_at).fold(start, u64::max),
        };
        let parent = call.record["trace"]["traceparent"].as_str().and_then(trace::parent);
        let trace_id =
            parent.map_or_else(|| own_trace_id(call.text("id")), |parent| parent.trace_id.to_owned());
        Some(Spans { call, parent, trace_id, start, end })
    }

    fn all(&self) -> Vec<Value> {
        let mut spans = vec![self.whole()];
        let number = |field: &str| self.call.record[field].as_f64();
        let (Some(before), Some(took)) = (number("plugin_after_ms"), number("plugin_ms")) else {
            return spans;
        };
        let started = after(self.start, before).min(self.end);
        let ended = after(started, took).min(self.end);
        spans.push(self.child("preflight", "preflight", INTERNAL, (self.start, started)));
        spans.push(self.delegate((started, ended)));
        // What is looked at after a good call comes after its end.
        if self.call.has_failed() && self.call.record["diagnosis"].is_object() {
            spans.push(self.diagnosis((ended, self.end)));
        }
        spans
    }

    fn whole(&self) -> Value {
        let (call, record) = (self.call, &self.call.record);
        let (cause, error) = (call.text("cause"), &record["error"]);
        let name = [call.text("command"), call.text("plugin")].join(" ");
        let mut span = self.span(&self.id("call"), name.trim(), INTERNAL, (self.start, self.end));
        let mut flags = HAS_IS_REMOTE;
        if let Some(parent) = &self.parent {
            span["parentSpanId"] = parent.span_id.into();
            flags |= IS_REMOTE | u32::from(parent.flags);
            if let Some(state) = record["trace"]["tracestate"].as_str().filter(|state| trace::is_state(state))
            {
                span["traceState"] = state.into();
            }
        }
        span["flags"] = flags.into();
        let mut attributes = Attributes::default()
            .text("cni.command", call.text("command"))
            .text("cni.plugin", call.text("plugin"))
            .text("cni.network", call.text("network"))
            .text("cni.version", call.text("cni_version"))
            .text("cni.netns", call.text("netns"))
            .text("cni.caller", record["caller"]["name"].as_str().unwrap_or_default())
            .integer("cni.error.code", &error["code"])
            .text("network.interface.name", call.text("ifname"))
            .text("container.id", call.text("container_id"))
            .integer("process.pid", &record["pid"])
            .integer("process.parent_pid", &record["caller"]["pid"])
            .text("cniscope.id", call.text("id"))
            .text("cniscope.outcome", &call.outcome)
            .text("cniscope.cause", cause)
            .double("cniscope.overhead_ms", &record["overhead_ms"])
            .texts("cniscope.checks.failed", &self.checks("fail"))
            .texts("cniscope.checks.warned", &self.checks("warn"));
        if call.is_suspect() {
            attributes = attributes.truth("cniscope.suspect");
        }
        if call.has_failed() {
            let summary = record["diagnosis"]["summary"].as_str().unwrap_or_default();
            let why = if cause.is_empty() { &call.outcome } else { cause };
            span["status"] = failed(&joined(": ", &[why, summary]));
            attributes = attributes.text("error.type", why).text("error.message", &text_of(error));
        }
        span["attributes"] = attributes.0.into();
        if record["plugin_after_ms"].is_null() {
            // There is no delegate that they could stand in.
            span["events"] = self.stalls().into();
        }
        span
    }

    fn delegate(&self, during: (u64, u64)) -> Value {
        let (call, record) = (self.call, &self.call.record);
        let mut span = self.child("delegate", call.text("plugin"), CLIENT, during);
        let mut attributes = Attributes::default()
            .text("process.executable.name", call.text("plugin"))
            .text("process.executable.path", call.text("plugin_path"))
            .integer("process.pid", &record["plugin_pid"])
            .integer("process.exit.code", &record["exit_status"])
            .integer("cniscope.delegate.signal", &record["signal"])
            .double("cniscope.delegate.cpu_ms", &record["plugin_cpu_ms"])
            .integer("cniscope.delegate.rss_kb", &record["plugin_rss_kb"]);
        if call.has_failed() {
            span["status"] = failed(&text_of(&record["error"]));
            attributes = attributes.text("error.type", &call.outcome);
        }
        span["attributes"] = attributes.0.into();
        span["events"] = self.stalls().into();
        span
    }

    fn diagnosis(&self, during: (u64, u64)) -> Value {
        let found = &self.call.record["diagnosis"];
        let text = |field: &str| found[field].as_str().unwrap_or_default();
        let texts = |field: &str| {
            let all = found[field].as_array().map(Vec::as_slice).unwrap_or_default();
            all.iter().filter_map(Value::as_str).collect::<Vec<_>>()
        };
        let mut span = self.child("diagnosis", "diagnosis", INTERNAL, during);
        let attributes = Attributes::default()
            .text("cniscope.cause", text("cause"))
            .text("cniscope.summary", text("summary"))
            .texts("cniscope.evidence", &texts("evidence"))
            .texts("cniscope.fix", &texts("fix"));
        span["attributes"] = attributes.0.into();
        span
    }

    /// What was seen while the delegate was silent.
    fn stalls(&self) -> Vec<Value> {
        let event = |stall: &Value| {
            let processes = stall["snapshot"]["processes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let processes: Vec<String> = processes.iter().map(waiting).collect();
            let processes: Vec<&str> = processes.iter().map(String::as_str).collect();
            let attributes = Attributes::default()
                .double("cniscope.after_ms", &stall["after_ms"])
                .texts("cniscope.processes", &processes);
            Some(json!({
                "timeUnixNano": seen_at(stall)?.to_string(), "name": "stall", "attributes": attributes.0,
            }))
        };
        self.call.stalls.iter().filter_map(event).collect()
    }

    /// The names of the checks that ended like this.
    fn checks(&self, status: &str) -> Vec<&str> {
        let all = self.call.record["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ended_so = all.iter().filter(|check| check["status"] == status);
        ended_so.filter_map(|check| check["check"].as_str()).collect()
    }

    fn child(&self, part: &str, name: &str, kind: u8, during: (u64, u64)) -> Value {
        let mut span = self.span(&self.id(part), name, kind, during);
        span["parentSpanId"] = self.id("call").into();
        let of_trace = self.parent.map_or(0, |parent| u32::from(parent.flags));
        span["flags"] = (HAS_IS_REMOTE | of_trace).into();
        span
    }

    fn span(&self, id: &str, name: &str, kind: u8, (start, end): (u64, u64)) -> Value {
        json!({
            "traceId": self.trace_id, "spanId": id, "name": name, "kind": kind,
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
        })
    }

    /// The id of the span of a part of the call.
    fn id(&self, part: &str) -> String {
        sha256(format!("{} {part}", self.call.text("id")).as_bytes())[..16].to_owned()
    }
}

/// The trace of a call that is part of no other: its id's own digits, where that is a UUID.
fn own_trace_id(id: &str) -> String {
    let digits = id.replace('-', "");
    if trace::is_trace_id(&digits) { digits } else { sha256(id.as_bytes())[..32].to_owned() }
}

fn nanoseconds(time: &str) -> Option<u64> {
    let since = clock::parse_rfc3339(time)?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn after(start: u64, milliseconds: f64) -> u64 {
    start.saturating_add((milliseconds * 1e6).round() as u64)
}

fn seen_at(stall: &Value) -> Option<u64> {
    nanoseconds(stall["time"].as_str()?)
}

/// A process of a snapshot: its name and state, the lock that it waits for, and where its connections lead.
fn waiting(process: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut parts = vec![format!("{} {}", text(&process["name"]), text(&process["state"]))];
    if let Some(path) = process["waits_for_lock"]["path"].as_str() {
        parts.push(format!("lock {path}"));
    }
    for connection in process["connections"].as_array().into_iter().flatten() {
        parts.push(format!("{} {}", text(&connection["state"]), text(&connection["peer"])));
    }
    parts.join(", ")
}

fn failed(why: &str) -> Value {
    json!({"code": ERROR, "message": why})
}

/// A CNI error as libcni prints it.
fn text_of(error: &Value) -> String {
    joined("; ", &["msg", "details"].map(|field| error[field].as_str().unwrap_or_default()))
}

fn joined(between: &str, texts: &[&str]) -> String {
    texts.iter().copied().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(between)
}

/// Attributes in OTLP's form. What is empty or missing is left out.
#[derive(Debug, Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn text(self, key: &str, text: &str) -> Attributes {
        if text.is_empty() { self } else { self.with(key, "stringValue", text.into()) }
    }

    fn texts(self, key: &str, texts: &[&str]) -> Attributes {
        let values: Vec<Value> = texts.iter().map(|text| json!({"stringValue": text})).collect();
        if values.is_empty() { self } else { self.with(key, "arrayValue", json!({"values": values})) }
    }

    /// 64 bits are a text in JSON.
    fn integer(self, key: &str, number: &Value) -> Attributes {
        match number.as_i64() {
            Some(number) => self.with(key, "intValue", number.to_string().into()),
            None => self,
        }
    }

    fn double(self, key: &str, number: &Value) -> Attributes {
        if number.is_number() { self.with(key, "doubleValue", number.clone()) } else { self }
    }

    fn truth(self, key: &str) -> Attributes {
        self.with(key, "boolValue", true.into())
    }

    fn with(mut self, key: &str, form: &str, value: Value) -> Attributes {
        let value = Map::from_iter([(form.to_owned(), value)]);
        self.0.push(json!({"key": key, "value": value}));
        self
    }
}

#[cfg(test)]
mod tests;
