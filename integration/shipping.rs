//! The configurations of other shippers of the journal, as their own programs take them.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::collector::{SHIPPED, calls, comparable};
use crate::support::{eventually, spawn};
use crate::world::{World, tool};

/// Filebeat with the shipped configuration; `more` stands behind it.
fn filebeat(more: &[&str]) -> Command {
    let mut command = Command::new(tool("bin/filebeat"));
    // Who owns the files of the repository is none of its concern.
    command.args(["--strict.perms=false", "-c", &format!("{SHIPPED}/filebeat.yml")]).args(more);
    command.args(["-E", "path.data=/run/filebeat/data", "-E", "path.logs=/run/filebeat/log"]);
    command.stdin(Stdio::null());
    command
}

/// Filebeat in a world, ended with the test.
struct Filebeat(Child);

impl Filebeat {
    /// Starts it. It sends to a file instead of Elasticsearch.
    fn start(world: &World) -> Filebeat {
        let mut command = filebeat(&[
            "-E",
            "output.elasticsearch.enabled=false",
            "-E",
            "output.file.path=/run/filebeat/read",
            "-E",
            "output.file.rotate_every_kb=100000",
            "--environment=container",
        ]);
        let child = world.inside(|| {
            let log = fs::File::options().create(true).append(true).open("/run/filebeat.log").unwrap();
            spawn(command.stdout(log.try_clone().unwrap()).stderr(log))
        });
        Filebeat(child)
    }

    /// Stops it as a service is stopped.
    fn stop(mut self) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Filebeat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The documents that Filebeat has sent.
fn sent(world: &World) -> Vec<Value> {
    let text = world.sh("cat /run/filebeat/read/* 2>/dev/null || true");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn filebeat_sends_every_line_of_the_journal_once_through_rotations_and_a_restart() {
    let world = World::new();
    let settings = json!({"journal": {"maxBytes": 16384, "maxFiles": 100}});
    world.write("/etc/cniscope/config.json", &settings.to_string());
    calls(&world, 10);
    let filebeat = Filebeat::start(&world);
    eventually(|| (sent(&world).len() >= 20).then_some(()));
    calls(&world, 20);
    filebeat.stop();
    calls(&world, 20);
    let _filebeat = Filebeat::start(&world);
    let mut records = world.records();
    assert_eq!(records.len(), 100);
    let mut documents = eventually(|| Some(sent(&world)).filter(|sent| sent.len() >= records.len()));
    let key = |record: &Value| (record["id"].to_string(), record["event"].to_string());
    records.sort_by_key(key);
    documents.sort_by_key(|document| key(&document["cniscope"]));
    assert_eq!(documents.len(), records.len(), "lines were lost or doubled");
    for (document, record) in documents.iter().zip(&records) {
        assert_eq!(comparable(&document["cniscope"]), comparable(record));
        // It keeps milliseconds.
        assert_eq!(document["@timestamp"].as_str().unwrap()[..23], record["time"].as_str().unwrap()[..23]);
    }
}

#[test]
fn what_plugins_name_as_they_like_makes_no_fields_of_filebeats_index() {
    let world = World::new();
    let mut command = filebeat(&["export", "template"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = world.inside(|| spawn(&mut command)).wait_with_output().unwrap();
    let template: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fields = &template["template"]["mappings"]["properties"]["cniscope"]["properties"];
    let flattened = ["checks", "config", "env", "result", "snapshot"];
    let of_file: Value =
        serde_json::from_str(&fs::read_to_string(format!("{SHIPPED}/elasticsearch-template.json")).unwrap())
            .unwrap();
    for field in flattened {
        assert_eq!(fields[field]["type"], "flattened", "{field}");
        assert_eq!(of_file["template"]["mappings"]["properties"][field]["type"], "flattened", "{field}");
    }
}

/// What Alloy's own formatter says of a configuration.
fn formatted(configuration: &str) -> Result<String, String> {
    let mut command = Command::new(tool("bin/alloy-fmt"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    child.stdin.take().unwrap().write_all(configuration.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn alloys_configuration_is_as_alloy_formats_it() {
    let shipped = fs::read_to_string(format!("{SHIPPED}/alloy.alloy")).unwrap();
    assert_eq!(formatted(&shipped).as_deref(), Ok(shipped.as_str()));
    let broken = shipped.replacen("forward_to = [", "forward_to = ", 1);
    assert!(formatted(&broken).unwrap_err().contains("standard input:"));
}

#[test]
fn labels_do_not_tell_pods_or_calls_apart() {
    let shipped = fs::read_to_string(format!("{SHIPPED}/alloy.alloy")).unwrap();
    let (_, labels) = shipped.split_once("stage.labels {").unwrap();
    let (labels, _) = labels.split_once("\t}\n").unwrap();
    assert_eq!(labels.trim(), r#"values = {node = "", plugin = "", command = "", outcome = "", cause = ""}"#);
}
