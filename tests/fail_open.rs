//! Whatever is wrong with cniscope's own files, or with what it looks at, the runtime gets the plugin's answer, and gets
//! it in time. What needs root to be set up is in `integration/`.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};

use crate::support::side_by_side::SideBySide;
use crate::support::{Place, eventually};

/// Good and failing calls are answered as without cniscope, and nothing of them is left running.
fn nothing_changes(place: &Place, calls: &SideBySide<'_>) {
    calls.must_be_alike();
    calls.must_be_explained();
    place.has_come_to_rest();
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn fifo(path: &Path) {
    mkfifo(path, Mode::from_bits_truncate(0o666)).unwrap();
    // Whatever the umask.
    allow(path, 0o666);
}

/// A place whose journal, in a folder that everybody may write, has been spoilt.
fn with_journal(spoil: impl Fn(&Path)) -> Place {
    let place = Place::new();
    let log = place.path("log");
    fs::create_dir(&log).unwrap();
    allow(&log, 0o777);
    spoil(&log);
    place
}

#[test]
fn a_journal_folder_that_cannot_be_made() {
    let place = Place::new();
    let calls = SideBySide::unprivileged(&place);
    fs::create_dir(place.path("closed")).unwrap();
    allow(&place.path("closed"), 0o555);
    place.settings(&json!({"journal": {"dir": place.path("closed/log")}}));
    allow(&place.path("config.json"), 0o644);
    nothing_changes(&place, &calls);
    assert!(!place.path("closed/log").exists());
}

#[test]
fn a_file_in_the_place_of_the_journal_folder() {
    let place = Place::new();
    fs::write(place.path("log"), "mine").unwrap();
    nothing_changes(&place, &SideBySide::unprivileged(&place));
    assert_eq!(fs::read_to_string(place.path("log")).unwrap(), "mine");
}

#[test]
fn a_fifo_in_the_place_of_the_journal_folder() {
    let place = Place::new();
    fifo(&place.path("log"));
    nothing_changes(&place, &SideBySide::unprivileged(&place));
}

#[test]
fn a_link_to_nowhere_in_the_place_of_the_journal_folder() {
    let place = Place::new();
    symlink(place.path("nowhere"), place.path("log")).unwrap();
    nothing_changes(&place, &SideBySide::unprivileged(&place));
    assert!(!place.path("nowhere").exists());
}

#[test]
fn a_journal_folder_that_belongs_to_somebody_else() {
    let place = with_journal(|log| allow(log, 0o000));
    nothing_changes(&place, &SideBySide::unprivileged(&place));
    allow(&place.path("log"), 0o700);
    assert_eq!(fs::read_dir(place.path("log")).unwrap().count(), 0);
}

#[test]
fn a_journal_that_may_not_be_written() {
    let place = with_journal(|log| {
        fs::write(log.join("journal.jsonl"), "").unwrap();
        allow(&log.join("journal.jsonl"), 0o444);
    });
    nothing_changes(&place, &SideBySide::unprivileged(&place));
}

#[test]
fn a_folder_in_the_place_of_the_journal() {
    let place = with_journal(|log| fs::create_dir(log.join("journal.jsonl")).unwrap());
    nothing_changes(&place, &SideBySide::unprivileged(&place));
}

#[test]
fn fifos_in_the_place_of_the_journal_and_of_the_log() {
    let place = with_journal(|log| {
        fifo(&log.join("journal.jsonl"));
        fifo(&log.join("cniscope.log"));
    });
    nothing_changes(&place, &SideBySide::unprivileged(&place));
}

#[test]
fn links_in_the_place_of_the_journal_and_of_the_log_are_not_followed() {
    let place = with_journal(|log| {
        for name in ["journal.jsonl", "cniscope.log"] {
            let target = log.join(name).with_extension("target");
            fs::write(&target, "mine").unwrap();
            allow(&target, 0o666);
            symlink(&target, log.join(name)).unwrap();
        }
    });
    nothing_changes(&place, &SideBySide::unprivileged(&place));
    for target in ["journal.target", "cniscope.target"] {
        assert_eq!(fs::read_to_string(place.path("log").join(target)).unwrap(), "mine");
    }
}

#[test]
fn a_journal_that_is_junk_is_gone_on_with() {
    let place = with_journal(|log| {
        fs::write(log.join("journal.jsonl"), b"\0\xff{\"event\":\"end\"").unwrap();
        allow(&log.join("journal.jsonl"), 0o666);
    });
    nothing_changes(&place, &SideBySide::unprivileged(&place));
    let shown = place.cli(&["journal", "-o", "json"]);
    assert!(shown.json().as_array().unwrap().len() > 10);
    assert_eq!(String::from_utf8(shown.stderr).unwrap(), "1 line is broken and passed over\n");
}

#[test]
fn a_lock_that_another_process_holds_for_ever() {
    let place = with_journal(|log| {
        File::create(log.join("journal.lock")).unwrap();
        allow(&log.join("journal.lock"), 0o666);
    });
    place.settings(&json!({"journal": {"maxBytes": 4096, "maxFiles": 8}}));
    let lock = File::open(place.path("log/journal.lock")).unwrap();
    let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).unwrap();
    nothing_changes(&place, &SideBySide::unprivileged(&place));
    let size = fs::metadata(place.path("log/journal.jsonl")).unwrap().len();
    assert!((4096..8 * 4096 + 8192).contains(&size), "{size}");
    assert!(!place.path("log/journal.1.jsonl").exists());
    drop(held);
}

#[test]
fn a_limit_on_the_size_of_files_ends_the_helper_and_not_the_call() {
    let place = Place::new();
    let calls = SideBySide::new(&place, |command| {
        use std::os::unix::process::CommandExt as _;
        let limit = || Ok(setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?);
        // SAFETY: one system call.
        unsafe { command.pre_exec(limit) };
    });
    nothing_changes(&place, &calls);
    assert_eq!(place.records(), [Value::Null; 0]);
}

/// Spoils the settings file. Where there is no journal that may be written, nothing is.
fn with_settings(spoil: impl Fn(&Path)) {
    let place = Place::new();
    let calls = SideBySide::unprivileged(&place);
    let path = place.path("config.json");
    fs::remove_file(&path).unwrap();
    spoil(&path);
    nothing_changes(&place, &calls);
}

#[test]
fn settings_that_are_missing() {
    with_settings(|_| {});
}

#[test]
fn settings_that_may_not_be_read() {
    with_settings(|path| {
        fs::write(path, "{}").unwrap();
        allow(path, 0o000);
    });
}

#[test]
fn a_folder_in_the_place_of_the_settings() {
    with_settings(|path| fs::create_dir(path).unwrap());
}

#[test]
fn a_fifo_in_the_place_of_the_settings() {
    with_settings(fifo);
}

#[test]
fn settings_that_are_no_json() {
    with_settings(|path| {
        fs::write(path, "{\"enrich\": tru").unwrap();
        allow(path, 0o644);
    });
}

/// Spoils the pool, and gives what the check says of it.
fn with_pool(spoil: impl Fn(&Path)) -> Value {
    let place = Place::new();
    fs::create_dir(place.path("pools")).unwrap();
    let calls = SideBySide::unprivileged(&place);
    spoil(&place.path("pools/net"));
    nothing_changes(&place, &calls);
    // As the last one looked, which was the closest look.
    let found = place.records().into_iter().rev().find_map(|record| {
        let checks = record["checks"].as_array()?.clone();
        checks.into_iter().find(|check| check["check"] == "ipam-pool")
    });
    let found = found.expect("the pool was looked at");
    let summary = found["summary"].as_str().unwrap().replace(place.path("").to_str().unwrap(), "…/");
    json!([found["status"], summary])
}

#[test]
fn a_pool_that_may_not_be_read() {
    let found = with_pool(|pool| {
        fs::create_dir(pool).unwrap();
        allow(pool, 0o000);
    });
    assert_eq!(found, json!(["skipped", "…/pools/net: permission denied"]));
}

#[test]
fn a_fifo_in_the_place_of_the_pool() {
    assert_eq!(with_pool(fifo), json!(["skipped", "…/pools/net: not a directory"]));
}

#[test]
fn fifos_in_the_place_of_the_pools_files() {
    let found = with_pool(|pool| {
        fs::create_dir(pool).unwrap();
        for name in ["lock", "last_reserved_ip.0", "10.9.0.2"] {
            fifo(&pool.join(name));
        }
    });
    assert_eq!(found, json!(["ok", "1 of 5 addresses used"]));
}

#[test]
fn a_pool_whose_lock_another_process_holds() {
    let place = Place::new();
    let pool = place.path("pools/net");
    fs::create_dir_all(&pool).unwrap();
    let lock = File::create(pool.join("lock")).unwrap();
    let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).unwrap();
    nothing_changes(&place, &SideBySide::unprivileged(&place));
    drop(held);
}

/// A plugin that waits for a word before it prints a result, which is more than a socket holds.
const WAITS: &str = r#"read -r _ < "$WORD"; cat "$RESULT""#;

/// From the word until the call has ended. In between, `meanwhile` is done.
fn after_the_word(place: &Place, call: crate::support::Call<'_>, meanwhile: impl Fn(i32)) -> Duration {
    let word = place.path("word");
    let child = call.env("WORD", &word).env("RESULT", place.path("result")).start();
    // Opened when the plugin has opened its end.
    let mut word = File::options().write(true).open(word).unwrap();
    meanwhile(i32::try_from(child.id()).unwrap());
    let started = Instant::now();
    word.write_all(b"go\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout == fs::read(place.path("result")).unwrap(), "the result is another one");
    started.elapsed()
}

#[test]
fn a_helper_that_stands_still_while_the_plugin_runs() {
    let place = Place::new();
    place.plugin("waits", WAITS);
    fifo(&place.path("word"));
    let result = json!({"cniVersion": "1.0.0", "filling": "x".repeat(400 << 10)});
    fs::write(place.path("result"), result.to_string()).unwrap();
    let is_helper =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "cniscope\n");
    let stopped = |call: i32| {
        let helpers: Vec<i32> =
            place.processes().into_iter().filter(|pid| *pid != call && is_helper(pid)).collect();
        assert_eq!(helpers.len(), 1);
        kill(Pid::from_raw(helpers[0]), Signal::SIGSTOP).unwrap();
    };
    let (mut direct, mut wrapped) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        direct = direct.min(after_the_word(&place, place.direct("ADD", "waits"), |_| {}));
        wrapped = wrapped.min(after_the_word(&place, place.wrapped("ADD", "waits"), stopped));
        for pid in place.processes() {
            kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
        }
        place.has_come_to_rest();
    }
    assert!(wrapped <= direct + Duration::from_millis(50), "{wrapped:?}, directly {direct:?}");
}

#[test]
fn nothing_is_left_running_after_many_calls() {
    let place = Place::new();
    let calls = SideBySide::unprivileged(&place);
    for _ in 0..50 {
        calls.wrapped("ADD", "good", true).run();
    }
    place.has_come_to_rest();
    let ends = || place.records().iter().filter(|record| record["event"] == "end").count();
    eventually(|| (ends() == 50).then_some(()));
}
