//! A real OpenTelemetry Collector with the configurations that are shipped: it reads the spans of `cniscope journal -o otlp`,
//! and the journal itself through its rotations.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};

use crate::support::{cniscope, eventually, spawn};
use crate::world::{POD, World, tool};

pub const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf-examples/kubernetes/shipping");
/// Where the collector writes what it has read.
const READ: &str = "/run/read.jsonl";
/// Where it takes traces over HTTP.
const HTTP: &str = "127.0.0.1:4318";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector in a world.
struct Collector<'a> {
    world: &'a World,
    child: Child,
}

impl<'a> Collector<'a> {
    /// Starts it with a shipped configuration. It sends to a file instead of a server, and shows no metrics of its own;
    /// traces it takes over HTTP too.
    fn start(world: &'a World, configuration: &str, signal: &str) -> Collector<'a> {
        let mut instead = json!({
            "exporters": {"file": {"path": READ, "append": true, "flush_interval": "100ms"}},
            "processors": {"batch": {"timeout": "100ms"}},
            "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": {signal: {"exporters": ["file"]}}},
        });
        if signal == "traces" {
            instead["receivers"] = json!({"otlp": {"protocols": {"http": {"endpoint": HTTP}}}});
            instead["service"]["pipelines"]["traces"]["receivers"] = json!(["otlpjsonfile", "otlp"]);
        }
        world.write("/run/instead.yaml", &instead.to_string());
        let mut command = Command::new(tool("bin/otelcol"));
        command.args(["--config", &format!("{SHIPPED}/{configuration}"), "--config", "/run/instead.yaml"]);
        command.env("OTLP_ENDPOINT", "http://127.0.0.1:4318").stdin(Stdio::null());
        let child = world.inside(|| {
            let log = std::fs::File::options().create(true).append(true).open("/run/otelcol.log").unwrap();
            spawn(command.stdout(log.try_clone().unwrap()).stderr(log))
        });
        Collector { world, child }
    }

    /// Stops it as a service is stopped.
    fn stop(mut self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.world.sh("cat /run/otelcol.log"));
    }

    /// The documents that it has written.
    fn documents(&self) -> Vec<Value> {
        assert!(
            kill(Pid::from_raw(self.child.id().try_into().unwrap()), None).is_ok(),
            "{}",
            self.world.sh("cat /run/otelcol.log")
        );
        let text = self.world.sh(&format!("touch {READ}; cat {READ}"));
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The spans of documents, each with its resource and scope, in a form in which equal ones are equal: attributes are an
/// object, and nothing is empty.
fn spans(documents: &[Value]) -> Vec<Value> {
    let mut spans = Vec::new();
    for of_resource in documents.iter().flat_map(|document| items(&document["resourceSpans"])) {
        for of_scope in items(&of_resource["scopeSpans"]) {
            for span in items(&of_scope["spans"]) {
                let parts =
                    [("resource", &of_resource["resource"]), ("scope", &of_scope["scope"]), ("span", span)];
                spans.push(Value::Object(
                    parts.iter().map(|(name, part)| ((*name).to_owned(), plain(part))).collect(),
                ));
            }
        }
    }
    let id = |span: &Value| span["span"]["spanId"].as_str().unwrap().to_owned();
    spans.sort_by_key(id);
    spans
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The same without what is empty, and with attributes by their keys.
fn plain(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        other => other.is_null(),
    };
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .filter(|(_, value)| !is_empty(value))
                .collect(),
        ),
        Value::Array(items) if items.iter().any(|item| item["key"].is_string()) => Value::Object(
            items
                .iter()
                .map(|item| (item["key"].as_str().unwrap().to_owned(), item["value"].clone()))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// Calls of the plugin `loopback`, which do not need a network, one after the other.
pub fn calls(world: &World, count: usize) {
    let entry =
        json!({"cniVersion": "1.0.0", "name": "lo", "type": "cniscope", "cniscope": {"wraps": "loopback"}});
    world.sh(&format!(
        "export CNI_COMMAND=ADD CNI_NETNS={POD} CNI_IFNAME=lo CNI_PATH=/opt/cni/bin
         for number in $(seq {count}); do
             echo '{entry}' | CNI_CONTAINERID=container$number {} >/dev/null
         done",
        cniscope().display()
    ));
}

#[test]
fn the_collector_reads_the_spans_of_the_journal_as_they_were_written() {
    let world = World::new();
    world.configure(&json!({"cniVersion": "1.0.0", "name": "full", "plugins": [
        {"type": "cniscope", "cniscope": {"wraps": "bridge"}, "bridge": "otlp0",
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.9.0.0/30"}]]}},
    ]}));
    let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart;K8S_POD_UID=0b6c3c0e";
    for (verb, container, status) in [("add", "one", 0), ("add", "two", 1), ("del", "one", 0)] {
        let call = world.cnitool(verb, "full").env("CNI_CONTAINERID", container).env("CNI_IFNAME", container);
        let ran = call.env("CNI_ARGS", args).env("TRACEPARENT", TRACEPARENT).run();
        assert_eq!(ran.status, status, "{ran:?}");
    }
    assert_eq!(world.ends().len(), 3);
    let ran = world.cli(&["journal", "-o", "otlp"]);
    let documents: Vec<Value> = ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let written = spans(&documents);
    let names: Vec<&Value> = documents
        .iter()
        .flat_map(|one| items(&one["resourceSpans"][0]["scopeSpans"][0]["spans"]))
        .map(|span| &span["name"])
        .collect();
    assert_eq!(
        names,
        [
            "ADD bridge",
            "preflight",
            "bridge",
            "ADD bridge",
            "preflight",
            "bridge",
            "diagnosis",
            "DEL bridge",
            "preflight",
            "bridge"
        ]
    );
    assert!(written.iter().all(|span| span["span"]["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"));

    world.write("/var/log/cniscope/spans.jsonl", &ran.text());
    let collector = Collector::start(&world, "opentelemetry-collector-traces.yaml", "traces");
    let read = eventually(|| Some(collector.documents()).filter(|read| spans(read).len() >= written.len()));
    assert_eq!(spans(&read), written);
    // What comes later is read too, as from `journal -f`.
    world.sh("cat /var/log/cniscope/spans.jsonl >/run/again; sed s/4bf92f35/4bf92f36/ /run/again >>/var/log/cniscope/spans.jsonl");
    eventually(|| (spans(&collector.documents()).len() == 2 * written.len()).then_some(()));
    for line in ran.text().lines() {
        let answer = world.inside(|| post(&line.replace("4bf92f35", "4bf92f37")));
        assert!(answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    eventually(|| (spans(&collector.documents()).len() == 3 * written.len()).then_some(()));
    collector.stop();
}

/// Sends a line as the documentation says; gives the answer.
fn post(line: &str) -> String {
    let mut stream = TcpStream::connect(HTTP).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        line.len()
    );
    stream.write_all((head + line).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What the collector has read of the journal: the bodies of the log records as they were.
fn bodies(documents: &[Value]) -> Vec<Value> {
    let records = documents.iter().flat_map(|document| items(&document["resourceLogs"]));
    let records = records.flat_map(|of_resource| items(&of_resource["scopeLogs"]));
    records
        .flat_map(|of_scope| items(&of_scope["logRecords"]))
        .map(|record| value_of(&record["body"]))
        .collect()
}

/// The same as programs may write it anew: 6.0 as 6, and members that are null not at all.
pub fn comparable(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name.clone(), comparable(value))).collect())
        }
        other => other.clone(),
    }
}

/// A value in OTLP's form as plain JSON.
fn value_of(value: &Value) -> Value {
    let Some((form, value)) = value.as_object().and_then(|members| members.iter().next()) else {
        return Value::Null;
    };
    match form.as_str() {
        "kvlistValue" => {
            let pairs = items(&value["values"]).iter();
            let pairs =
                pairs.map(|pair| (pair["key"].as_str().unwrap().to_owned(), value_of(&pair["value"])));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        "arrayValue" => items(&value["values"]).iter().map(value_of).collect(),
        "intValue" => json!(value.as_str().unwrap().parse::<i64>().unwrap()),
        _ => value.clone(),
    }
}

#[test]
fn the_collector_reads_every_line_of_the_journal_once_through_rotations_and_a_restart() {
    let world = World::new();
    // A file holds some five calls.
    let settings = json!({"journal": {"maxBytes": 16384, "maxFiles": 100}});
    world.write("/etc/cniscope/config.json", &settings.to_string());
    calls(&world, 10);
    let collector = Collector::start(&world, "opentelemetry-collector-logs.yaml", "logs");
    let read_of = |collector: &Collector, count: usize| {
        eventually(|| Some(bodies(&collector.documents())).filter(|read| read.len() >= count))
    };
    read_of(&collector, 20);
    calls(&world, 40);
    // In the middle of it all.
    collector.stop();
    calls(&world, 20);
    let collector = Collector::start(&world, "opentelemetry-collector-logs.yaml", "logs");
    calls(&world, 20);
    let records = world.records();
    assert_eq!(records.len(), 180);
    let rotated = world.sh("ls /var/log/cniscope/journal.*.jsonl | wc -l");
    assert!(rotated.trim().parse::<usize>().unwrap() > 5, "{rotated}");
    let mut read = read_of(&collector, records.len());
    let key = |record: &Value| (record["id"].to_string(), record["event"].to_string());
    read.sort_by_key(key);
    let mut records = records;
    records.sort_by_key(key);
    assert_eq!(read.len(), records.len(), "lines were lost or doubled");
    for (read, record) in read.iter().zip(&records) {
        assert_eq!(comparable(read), comparable(record));
    }
    collector.stop();
}

#[test]
fn attributes_that_an_index_may_have_do_not_tell_pods_apart() {
    let world = World::new();
    calls(&world, 1);
    world.records();
    let collector = Collector::start(&world, "opentelemetry-collector-logs.yaml", "logs");
    let documents = eventually(|| Some(collector.documents()).filter(|read| bodies(read).len() == 2));
    let of_resource = &documents[0]["resourceLogs"][0];
    let host = world.sh("hostname");
    assert_eq!(
        plain(&of_resource["resource"])["attributes"],
        json!({"host.name": {"stringValue": host.trim()}, "service.name": {"stringValue": "cniscope"}})
    );
    let records = documents.iter().flat_map(|document| items(&document["resourceLogs"]));
    let records = records.flat_map(|of_resource| items(&of_resource["scopeLogs"]));
    let end = records
        .flat_map(|of_scope| items(&of_scope["logRecords"]))
        .map(plain)
        .find(|record| record["severityText"] == "ok");
    let text = |text: &str| json!({"stringValue": text});
    let expected = json!({
        "cniscope.event": text("end"), "cni.plugin": text("loopback"), "cni.command": text("ADD"),
        "cniscope.outcome": text("ok"), "log.file.name": text("journal.jsonl"),
    });
    assert_eq!(end.unwrap()["attributes"], expected);
    collector.stop();
}
