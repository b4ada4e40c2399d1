//! The calls: cniscope in the plugin's place, as a runtime would have it, with a journal that nobody else has.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::mounts::SUBSTITUTES;
use crate::cni::{entry, path};
use crate::journal::head::Head;
use crate::journal::read;
use crate::journal::sources::Sources;
use crate::node::Node;
use crate::replay::Called;
use crate::replay::judged::OF_THE_NODE;
use crate::replay::plan::{Entry, Plan};

/// The settings of these calls.
const SETTINGS: &str = "/run/cniscope-replay/settings.json";
/// Where plugins stand that write down their system calls.
const TRACED: &str = "/run/cniscope-replay/traced";
/// cniscope's journal.
const JOURNAL: &str = "/var/log/cniscope";
/// What the plugin has where the record does not tell.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much longer than its plugin a call may take before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How long a record may come after the answer.
const RECORD: Duration = Duration::from_secs(5);

/// Makes the calls of a plan, until one fails.
pub(super) fn make(plan: &Plan) -> std::io::Result<Vec<Called>> {
    let mut environment = prepare(plan)?;
    let mut made: Vec<Called> = Vec::new();
    // Of the last plugin that was added; before that, what stands in the configuration.
    let mut result: Option<Value> = None;
    for verb in &plan.verbs {
        let mut entries: Vec<&Entry> = plan.entries.iter().collect();
        if verb == "DEL" {
            entries.reverse();
        }
        environment.verb.clone_from(verb);
        for entry in entries {
            let called = environment.call(entry, result.as_ref())?;
            let is_ok = called.is_ok();
            if verb == "ADD" && is_ok {
                result = Some(called.result.clone());
            }
            made.push(called);
            if !is_ok {
                return Ok(made);
            }
        }
    }
    Ok(made)
}

/// What all calls have in common.
struct Environment<'a> {
    plan: &'a Plan,
    folders: Vec<PathBuf>,
    verb: String,
}

fn prepare(plan: &Plan) -> std::io::Result<Environment<'_>> {
    let mut folders = plan.folders.clone();
    if plan.substitute.is_some() {
        folders.insert(0, PathBuf::from(SUBSTITUTES));
    }
    if let Some(descriptor) = plan.trace {
        for entry in &plan.entries {
            trace(&entry.plugin, &folders, descriptor)?;
        }
        folders.insert(0, PathBuf::from(TRACED));
    }
    let off: serde_json::Map<String, Value> =
        OF_THE_NODE.iter().map(|check| ((*check).to_owned(), json!("off"))).collect();
    let settings = json!({"checks": off, "journal": {"dir": JOURNAL}, "redact": plan.redact});
    let settings_file = Path::new(SETTINGS);
    fs::create_dir_all(settings_file.parent().unwrap_or(settings_file))?;
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(settings_file)?;
    file.write_all(settings.to_string().as_bytes())?;
    Ok(Environment { plan, folders, verb: String::new() })
}

/// Puts a script in the plugin's place that runs it under strace.
fn trace(plugin: &str, folders: &[PathBuf], descriptor: i32) -> std::io::Result<()> {
    let found = folders.iter().map(|folder| path::join(folder, plugin.as_ref())).find(|path| path.is_file());
    let Some(found) = found else { return Ok(()) };
    fs::create_dir_all(TRACED)?;
    let script = Path::new(TRACED).join(plugin);
    let quoted = found.display().to_string().replace('\'', r"'\''");
    let text =
        format!("#!/bin/sh\nexec strace -f -tt -T -s 256 -A -o /proc/self/fd/{descriptor} -- '{quoted}'\n");
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
}

impl Environment<'_> {
    fn call(&self, entry: &Entry, result: Option<&Value>) -> std::io::Result<Called> {
        let before = ids()?;
        let mut child = self.start(entry, result)?;
        let stdout = self.wait(&mut child)?;
        let result = serde_json::from_slice(&stdout).unwrap_or_default();
        let until = Instant::now() + RECORD;
        loop {
            let call = calls()?.into_iter().find(|call| !before.contains(&call.text("id").to_owned()));
            match call {
                Some(call) if call.text("event") == "end" || Instant::now() > until => {
                    let mut record = call.record.clone();
                    record["outcome"] = json!(call.outcome);
                    return Ok(Called { record, stalls: call.stalls, result });
                }
                None if Instant::now() > until => {
                    return Err(std::io::Error::other(
                        "cniscope wrote no record of its call in the scratch node",
                    ));
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn start(&self, entry: &Entry, result: Option<&Value>) -> std::io::Result<Child> {
        let plan = self.plan;
        let mut config = entry.config.clone();
        if let Some(result) = result {
            config["prevResult"] = result.clone();
        }
        config["type"] = json!(entry::NAME);
        let seconds = plan.timeout.as_secs_f64();
        config[entry::NAME] =
            json!({"wraps": entry.plugin, "named": entry.named, "deadlineSeconds": {&self.verb: seconds}});
        let folders: Vec<_> = self.folders.iter().map(|folder| folder.as_os_str()).collect();
        let netns = if plan.netns.is_empty() { Path::new("") } else { &plan.sandbox };
        let mut child = Command::new("/proc/self/exe")
            .env_clear()
            .env("PATH", PATH)
            .envs(&plan.variables)
            .env("CNI_COMMAND", &self.verb)
            .env("CNI_CONTAINERID", &plan.container_id)
            .env("CNI_NETNS", netns)
            .env("CNI_IFNAME", &plan.ifname)
            .env("CNI_PATH", folders.join(std::ffi::OsStr::new(":")))
            .env("CNISCOPE_CONFIG", SETTINGS)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // It reads all of it before anything else.
            stdin.write_all(config.to_string().as_bytes())?;
        }
        Ok(child)
    }

    /// Waits for the answer. A call that does not end is killed: cniscope ends one whose plugin hangs, but not every hang is
    /// the plugin's.
    fn wait(&self, child: &mut Child) -> std::io::Result<Vec<u8>> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let stdout = child.stdout.take();
        let reader = move || {
            let mut answer = Vec::new();
            let read = stdout.map(|mut stdout| stdout.read_to_end(&mut answer));
            let _ = sender.send(read.transpose().map(|_| answer));
        };
        std::thread::Builder::new().spawn(reader)?;
        let answer = receiver.recv_timeout(self.plan.timeout + GRACE);
        if answer.is_err() {
            child.kill()?;
        }
        child.wait()?;
        answer.unwrap_or_else(|_| Ok(Vec::new()))
    }
}

fn calls() -> std::io::Result<Vec<read::Call>> {
    let all = |_: &Head| true;
    let read = Sources::open(&[JOURNAL]).and_then(|sources| read::calls(&Node::this(), sources, &all));
    match read {
        Ok(reading) => Ok(reading.calls),
        Err(read::ReadError::Missing { .. }) => Ok(Vec::new()),
        Err(error) => Err(std::io::Error::other(error)),
    }
}

fn ids() -> std::io::Result<Vec<String>> {
    Ok(calls()?.iter().map(|call| call.text("id").to_owned()).collect())
}
