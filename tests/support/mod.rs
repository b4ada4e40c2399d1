//! A place for calls: a folder with plugins, a journal and settings of its own, and the built binary.

pub mod agent;
mod leftovers;
pub mod listeners;
pub mod node_files;
pub mod processes;
mod share;
pub mod side_by_side;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::RwLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use cniscope::checks::After;

/// Held to write while an executable is being written, to read while a process is started: a child forked in between
/// would hold the file open for writing, and its execution would fail with ETXTBSY (golang/go#22315).
static EXECUTABLES: RwLock<()> = RwLock::new(());

/// Starts a process while no test is writing an executable.
pub fn spawn(command: &mut Command) -> Child {
    try_spawn(command).unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()))
}

/// The same, where it may be refused.
pub fn try_spawn(command: &mut Command) -> std::io::Result<Child> {
    let _none_is_written = EXECUTABLES.read().unwrap();
    command.spawn()
}

/// The binary that is tested: the one that `make build` makes, unless `CNISCOPE` names another.
pub fn cniscope() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/cniscope");
    let path = std::env::var_os("CNISCOPE").map_or(built, PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run `make build`, or let CNISCOPE name the binary",
        path.display()
    );
    path
}

/// A program of tests/programs, which cargo builds with the tests.
pub fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.is_file(), "{} is missing: run `cargo build --examples`", path.display());
    path
}

/// A folder for calls, removed at the end.
pub struct Place {
    folder: tempfile::TempDir,
    _share: share::Share,
}

/// What came of a call.
#[derive(Debug)]
pub struct Ran {
    /// The exit status; 128 and more for a signal.
    pub status: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it printed on stderr.
    pub stderr: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Of a process that has ended.
    pub fn of(output: Output, took: Duration) -> Ran {
        use std::os::unix::process::ExitStatusExt as _;
        let status = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap());
        Ran { status, stdout: output.stdout, stderr: output.stderr, took }
    }

    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Stdout as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// Exit status, stdout and stderr: what the runtime can tell apart.
    pub fn answer(&self) -> (i32, String, String) {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (self.status, lossy(&self.stdout), lossy(&self.stderr))
    }
}

impl Place {
    /// A new one. Its settings put the journal into it.
    pub fn new() -> Place {
        Place::with(share::Share::with_others())
    }

    /// A new one, when there is no other: for a test that keeps the whole machine busy.
    pub fn alone() -> Place {
        Place::with(share::Share::alone())
    }

    fn with(share: share::Share) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap(), _share: share };
        fs::create_dir(place.path("bin")).unwrap();
        place.settings(&json!({}));
        place
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the settings file; the journal stays in this place unless `settings` moves it. What checks say that look
    /// at the whole node after any failure is different on every machine: they are off unless `settings` has them.
    pub fn settings(&self, settings: &Value) {
        let mut settings = settings.clone();
        if settings["journal"]["dir"].is_null() {
            settings["journal"]["dir"] = json!(self.path("log"));
        }
        if settings["checks"].is_null() {
            settings["checks"] = json!({});
        }
        if let Some(checks) = settings["checks"].as_object_mut() {
            for check in
                cniscope::checks::TABLE.iter().filter(|check| check.after == After::Always && !check.before)
            {
                checks.entry(check.name).or_insert_with(|| json!("off"));
            }
        }
        let path = self.path("config.json");
        fs::write(&path, settings.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Makes a plugin of a shell script.
    pub fn plugin(&self, name: &str, script: &str) {
        self.executable(name, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755);
    }

    /// Makes a plugin of a program of tests/programs.
    pub fn plugin_of(&self, name: &str, of: &str) {
        self.install(name, &program(of));
    }

    /// Puts an executable beside the plugins.
    fn install(&self, name: &str, executable: &Path) {
        self.executable(name, &fs::read(executable).unwrap(), 0o755);
    }

    /// Puts a file among the plugins.
    pub fn executable(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.path("bin").join(name);
        let _no_process_starts = EXECUTABLES.write().unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Puts a file with the mode of an executable, which is not executed, below a folder of this place.
    pub fn put(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A call of the plugin through cniscope.
    pub fn wrapped(&self, verb: &str, plugin: &str) -> Call<'_> {
        let entry =
            json!({"cniVersion": "1.0.0", "name": "net", "type": "cniscope", "cniscope": {"wraps": plugin}});
        Call::new(self, &cniscope(), verb).stdin(entry.to_string())
    }

    /// The same call of the plugin itself.
    pub fn direct(&self, verb: &str, plugin: &str) -> Call<'_> {
        let entry = json!({"cniVersion": "1.0.0", "name": "net", "type": plugin});
        Call::new(self, &self.path("bin").join(plugin), verb).stdin(entry.to_string())
    }

    /// The command line of cniscope, on this place's journal.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        Place::cli_on(&self.path("log"), arguments)
    }

    /// The command line of cniscope, on the journal of another folder.
    pub fn cli_on(journal: &Path, arguments: &[&str]) -> Ran {
        let started = Instant::now();
        let child = spawn(&mut cli_command(journal, arguments));
        Ran::of(child.wait_with_output().unwrap(), started.elapsed())
    }

    /// The command line of cniscope on this place's journal, not started yet.
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        cli_command(&self.path("log"), arguments)
    }

    /// Text in which this place is `PLACE`, and the id in `cniscope show <id>` is `ID`.
    pub fn steady(&self, text: &str) -> String {
        let text = text.replace(self.folder.path().to_str().unwrap(), "PLACE");
        // An id is a UUID; where it stands in a text, it follows these words.
        let mut parts = text.split("cniscope show ");
        let mut steady = parts.next().unwrap().to_owned();
        for part in parts {
            let length = part.bytes().take_while(|byte| byte.is_ascii_hexdigit() || *byte == b'-').count();
            steady.push_str("cniscope show ");
            steady.push_str(if length == 36 { "ID" } else { &part[..length] });
            steady.push_str(&part[length..]);
        }
        steady
    }

    /// Every record of the journal, in the order in which they were written; a line that is broken is a failure.
    pub fn records(&self) -> Vec<Value> {
        records_in(&self.path("log"))
    }

    /// The one end record there is.
    pub fn end(&self) -> Value {
        self.ends(1).remove(0)
    }

    /// So many end records, in the order in which they were written. On a busy machine the last ones come after the answer.
    pub fn ends(&self, count: usize) -> Vec<Value> {
        let ends = eventually(|| {
            let mut records =
                if self.path("log/journal.jsonl").exists() { self.records() } else { Vec::new() };
            records.retain(|record| record["event"] == "end");
            (records.len() >= count).then_some(records)
        });
        assert_eq!(ends.len(), count, "{ends:#?}");
        ends
    }
}

fn cli_command(journal: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(cniscope());
    command.env_clear().args(arguments).arg("--journal").arg(journal);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Every record of the journal in a folder, rotated files first.
pub fn records_in(dir: &Path) -> Vec<Value> {
    let rotated = (1..1000).rev().map(|number| dir.join(format!("journal.{number}.jsonl")));
    let files = rotated.chain([dir.join("journal.jsonl")]).filter(|path| path.exists());
    let mut records = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends in the middle of a line", path.display());
        // A line is empty where a process took one that was still being written for a torn one, and ended it.
        for line in text.lines().filter(|line| !line.is_empty()) {
            let record = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
            records.push(record);
        }
    }
    records
}

/// A call that is about to be made.
pub struct Call<'a> {
    place: &'a Place,
    command: Command,
    stdin: Vec<u8>,
}

impl<'a> Call<'a> {
    fn new(place: &'a Place, program: &Path, verb: &str) -> Call<'a> {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", "container1")
            // The own one: what is found there does not depend on the machine.
            .env("CNI_NETNS", "/proc/self/ns/net")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", place.path("bin"))
            .env("CNISCOPE_CONFIG", place.path("config.json"));
        Call { place, command, stdin: Vec::new() }
    }

    /// With this on stdin.
    pub fn stdin(mut self, stdin: impl Into<Vec<u8>>) -> Call<'a> {
        self.stdin = stdin.into();
        self
    }

    /// With this variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Call<'a> {
        self.command.env(name, value);
        self
    }

    /// Without this variable.
    pub fn without(mut self, name: &str) -> Call<'a> {
        self.command.env_remove(name);
        self
    }

    /// With this in the configuration.
    pub fn config(mut self, key: &str, value: Value) -> Call<'a> {
        let mut config: Value = serde_json::from_slice(&self.stdin).unwrap();
        config[key] = value;
        self.stdin = config.to_string().into_bytes();
        self
    }

    /// With two megabytes in the configuration.
    pub fn large(self) -> Call<'a> {
        self.config("filler", json!("x".repeat(2_000_000)))
    }

    /// With this in the entry's `cniscope`.
    pub fn entry(mut self, key: &str, value: Value) -> Call<'a> {
        let mut entry: Value = serde_json::from_slice(&self.stdin).unwrap();
        entry["cniscope"][key] = value;
        self.stdin = entry.to_string().into_bytes();
        self
    }

    /// Made in a mount namespace of its own, after this shell script has changed it.
    pub fn behind(mut self, script: &str) -> Call<'a> {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-ec", &format!("{script}\nexec \"$0\"")]);
        command.arg(self.command.get_program()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.command = command;
        self
    }

    /// With a /run of its own: what is kept there from call to call, as for STATUS, is not to stay on the machine.
    pub fn secluded(self) -> Call<'a> {
        self.behind("mount -t tmpfs none /run")
    }

    /// The command, to change what is not changed often.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Makes the call and waits for its end.
    pub fn run(self) -> Ran {
        let started = Instant::now();
        let output = self.start().wait_with_output().unwrap();
        Ran::of(output, started.elapsed())
    }

    /// Makes the call. Its stdin is written by a thread, as a runtime does.
    pub fn start(mut self) -> Child {
        let _ = self.place;
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut self.command);
        let mut stdin = child.stdin.take().unwrap();
        std::thread::spawn(move || {
            // A plugin that does not read makes no error.
            let _ = stdin.write_all(&self.stdin);
        });
        child
    }
}

/// Makes a call in a new place, and again if its helper was late: what a late one was to do is left out, which is right on
/// a busy machine, and nothing that a test can look at.
pub fn in_time(make: impl Fn(&Place) -> Ran) -> (Place, Ran) {
    eventually(|| {
        let place = Place::new();
        let ran = make(&place);
        place.end();
        let log = fs::read_to_string(place.path("log/cniscope.log")).unwrap_or_default();
        (!log.contains("hangs")).then_some((place, ran))
    })
}

/// Waits until `what` gives something, and fails the test if it takes too long.
pub fn eventually<T>(what: impl FnMut() -> Option<T>) -> T {
    within(20, what)
}

/// The same, with another patience, in seconds.
pub fn within<T>(limit: u64, mut what: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(limit), "it did not happen within {limit} s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The bytes as an `OsString`.
pub fn os(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes.to_vec())
}
