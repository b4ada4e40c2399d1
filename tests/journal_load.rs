//! The journal under load: hundreds of calls at once, through rotations, and with their processes killed in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::{Call, Place, Ran, eventually, program, spawn};

/// How many calls a test makes: each writes two records.
const CALLS: usize = 2500;
/// How many are under way at a time.
const AT_ONCE: usize = 200;
/// What the plugin prints.
const RESULT: &str = "{\"cniVersion\":\"1.0.0\"}\n";

/// A place that has the machine for itself, with a journal in small files.
fn place(max_bytes: u64, max_files: u64) -> Place {
    let place = Place::alone();
    place.plugin_of("prompt", "prompt");
    place.settings(&json!({"journal": {"maxBytes": max_bytes, "maxFiles": max_files}}));
    place
}

/// The call of this number: its container's id tells it apart.
fn call(place: &Place, number: usize) -> Call<'_> {
    place.wrapped("ADD", "prompt").env("CNI_CONTAINERID", container(number))
}

fn container(number: usize) -> String {
    format!("container{number:04}")
}

/// Makes all calls, and waits until nothing of them runs any more.
fn make_calls(place: &Place, make: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= CALLS {
                        return;
                    }
                    make(number);
                }
            });
        }
    });
    place.has_come_to_rest();
}

fn is_well(ran: &Ran) {
    assert_eq!(ran.answer(), (0, RESULT.to_owned(), String::new()));
}

/// How often each event of each container was recorded.
fn counted(records: &[Value]) -> BTreeMap<(String, String), usize> {
    let text = |record: &Value, key: &str| record[key].as_str().unwrap().to_owned();
    let mut counted = BTreeMap::new();
    for record in records {
        *counted.entry((text(record, "container_id"), text(record, "event"))).or_default() += 1;
    }
    counted
}

/// The outcomes that `cniscope journal` shows, by container.
fn outcomes(place: &Place) -> BTreeMap<String, String> {
    let calls = place.cli(&["journal", "-o", "json"]).json();
    let text = |call: &Value, key: &str| call[key].as_str().unwrap().to_owned();
    let outcomes: Vec<_> = calls
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (text(call, "container_id"), text(call, "outcome")))
        .collect();
    let by_container: BTreeMap<_, _> = outcomes.iter().cloned().collect();
    assert_eq!(by_container.len(), outcomes.len(), "a call is shown twice");
    by_container
}

/// The journal's files.
fn files(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect()
}

/// Their sizes.
fn sizes(place: &Place) -> Vec<u64> {
    files(&place.path("log")).iter().map(|path| fs::metadata(path).unwrap().len()).collect()
}

#[test]
fn every_record_of_hundreds_of_calls_at_once_is_there_once_and_whole() {
    let place = place(256 << 10, 100);
    make_calls(&place, |number| is_well(&call(&place, number).run()));
    let records = place.records();
    let expected: BTreeMap<_, _> = (0..CALLS)
        .flat_map(|number| ["begin", "end"].map(|event| ((container(number), event.to_owned()), 1)))
        .collect();
    assert!(counted(&records) == expected, "{:?}", wrong(&counted(&records), &expected));
    let ids: BTreeSet<_> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), CALLS);
    assert!(sizes(&place).len() > 10, "{:?}", sizes(&place));
    let expected: BTreeMap<_, _> = (0..CALLS).map(|number| (container(number), "ok".to_owned())).collect();
    assert!(outcomes(&place) == expected, "{:?}", wrong(&outcomes(&place), &expected));
}

/// What differs between two large maps.
fn wrong<K: Ord + Clone, V: PartialEq + Clone>(
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) -> Vec<(K, Option<V>)> {
    let keys: BTreeSet<&K> = found.keys().chain(expected.keys()).collect();
    let differing = keys.into_iter().filter(|key| found.get(key) != expected.get(key));
    differing.map(|key| (key.clone(), found.get(key).cloned())).collect()
}

#[test]
fn a_journal_that_is_full_drops_its_oldest_records_and_stays_within_its_bound() {
    let (max_bytes, max_files) = (256 << 10, 5);
    let place = place(max_bytes, max_files);
    make_calls(&place, |number| is_well(&call(&place, number).run()));
    let sizes = sizes(&place);
    let total: u64 = sizes.iter().sum();
    assert!(total <= max_bytes * max_files, "{total}: {sizes:?}");
    assert!(total > max_bytes * (max_files - 3), "{total}: {sizes:?}");
    assert!(counted(&place.records()).values().all(|count| *count == 1));
}

/// What is killed of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Nothing,
    TheCall,
    ItsHelpers,
    Both,
}

/// A number that looks random and is the same in every run (splitmix64).
fn random(seed: usize) -> u64 {
    let mut mixed = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Makes a call and kills of it what its number says, when its number says. Gives the exit status, and whether a helper of
/// it was killed.
fn make_and_kill(place: &Place, number: usize) -> (Option<i32>, bool) {
    let random = random(number);
    let victims = [Victim::Nothing, Victim::TheCall, Victim::ItsHelpers, Victim::Both];
    let victim = victims[usize::from(random.to_le_bytes()[0]) % victims.len()];
    let child = call(place, number).start();
    let pid = i32::try_from(child.id()).unwrap();
    let mut helpers = Vec::new();
    if victim != Victim::Nothing {
        thread::sleep(Duration::from_micros((random >> 8) % 200_000));
    }
    if matches!(victim, Victim::ItsHelpers | Victim::Both) {
        helpers = children(pid);
    }
    if matches!(victim, Victim::TheCall | Victim::Both) {
        send_kill(pid);
    }
    for helper in &helpers {
        send_kill(*helper);
    }
    (child.wait_with_output().unwrap().status.code(), !helpers.is_empty())
}

/// The processes that a call has forked and that are still cniscope, so no delegate.
fn children(call: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{call}/task/{call}/children")).unwrap_or_default();
    let pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "cniscope\n"))
        .collect()
}

/// One that has ended already is none to kill.
fn send_kill(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

#[test]
fn calls_and_helpers_killed_at_any_moment_leave_a_journal_that_tells_of_the_others() {
    let place = place(64 << 10, 1000);
    let made = Mutex::new(BTreeMap::new());
    make_calls(&place, |number| {
        let ended = make_and_kill(&place, number);
        made.lock().unwrap().insert(container(number), ended);
    });
    let made = made.into_inner().unwrap();
    let (records, broken) = lines(&place.path("log"));
    let counted = counted(&records);
    assert!(counted.values().all(|count| *count == 1), "a record is there twice");
    let has = |container: &str, event: &str| counted.contains_key(&(container.to_owned(), event.to_owned()));
    let unharmed = made.iter().filter(|(_, ended)| **ended == (Some(0), false));
    let lost: Vec<_> =
        unharmed.filter(|(container, _)| !has(container, "begin") || !has(container, "end")).collect();
    assert!(lost.is_empty(), "{lost:?}");
    // What the kernel has torn in the middle is not counted among the records.
    let killed_helpers = made.values().filter(|(_, was_killed)| *was_killed).count();
    assert!(broken.len() <= killed_helpers, "{broken:?}");
    let begun = made.keys().filter(|container| has(container, "begin") || has(container, "end"));
    let expected: BTreeMap<_, _> = begun
        .map(|container| {
            (container.clone(), if has(container, "end") { "ended" } else { "killed" }.to_owned())
        })
        .collect();
    let mut shown = outcomes(&place);
    // A delegate that was killed before it was one has crashed.
    for outcome in shown.values_mut().filter(|outcome| matches!(outcome.as_str(), "ok" | "crashed")) {
        "ended".clone_into(outcome);
    }
    assert!(shown == expected, "{:?}", wrong(&shown, &expected));
    assert!(
        expected.values().filter(|outcome| *outcome == "killed").count() > 100,
        "hardly anything was killed"
    );
    is_well(&call(&place, CALLS).run());
    eventually(|| {
        let (records, _) = lines(&place.path("log"));
        let of_it = records.iter().filter(|record| record["container_id"] == container(CALLS)).count();
        (of_it == 2).then_some(())
    });
}

/// Every record of the journal in a folder, and the lines that are none.
fn lines(dir: &Path) -> (Vec<Value>, Vec<String>) {
    let (mut records, mut broken) = (Vec::new(), Vec::new());
    for path in files(dir) {
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(_) => broken.push(line.to_owned()),
            }
        }
    }
    (records, broken)
}

/// How many writers are killed, and how many write at a time.
const WRITERS: usize = 300;
const WRITERS_AT_ONCE: usize = 8;

#[test]
fn writers_that_do_nothing_else_and_are_killed_tear_no_line_but_their_own() {
    let place = Place::alone();
    let dir = place.path("log");
    let mut writing = Vec::new();
    let mut said = Vec::new();
    let mut kill_one = |writing: &mut Vec<Child>, which: usize| {
        let mut writer = writing.swap_remove(which);
        writer.kill().unwrap();
        let said_last = writer.wait_with_output().unwrap().stdout;
        said.extend(String::from_utf8(said_last).unwrap().lines().map(str::to_owned));
    };
    for number in 0..WRITERS {
        let mut writer = Command::new(program("writer"));
        writer.arg(&dir).arg(format!("writer{number}")).stdout(Stdio::piped());
        writing.push(spawn(&mut writer));
        if writing.len() > WRITERS_AT_ONCE {
            let random = random(number);
            thread::sleep(Duration::from_micros(random % 10_000));
            let which = usize::from(random.to_le_bytes()[7]) % writing.len();
            kill_one(&mut writing, which);
        }
    }
    while !writing.is_empty() {
        kill_one(&mut writing, 0);
    }
    let (records, broken) = lines(&dir);
    let mut counted = BTreeMap::new();
    for record in &records {
        *counted.entry(record["id"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert!(counted.values().all(|count| *count == 1), "a record is there twice");
    let lost: Vec<_> = said.iter().filter(|id| !counted.contains_key(id.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(broken.len() <= WRITERS, "{} lines are broken", broken.len());
    assert!(said.len() > WRITERS, "only {} records were written", said.len());
}

#[test]
fn what_is_listed_while_hundreds_write_is_whole_and_only_grows() {
    let place = place(1 << 20, 100);
    let listed = || -> BTreeSet<String> {
        let ran = place.cli(&["journal", "--plugin", "prompt", "--command", "add", "-o", "jsonl"]);
        assert_eq!((ran.status, String::from_utf8_lossy(&ran.stderr).as_ref()), (0, ""));
        let record = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let text = ran.text();
        let records = text.lines().map(record).filter(|record| record["outcome"] == "ok");
        records.map(|record| record["container_id"].as_str().unwrap().to_owned()).collect()
    };
    is_well(&call(&place, CALLS).run());
    thread::scope(|scope| {
        let making = scope.spawn(|| make_calls(&place, |number| is_well(&call(&place, number).run())));
        let mut before = BTreeSet::new();
        while !making.is_finished() {
            let now = listed();
            assert!(now.is_superset(&before), "{:?}", before.difference(&now));
            before = now;
        }
    });
    assert_eq!(listed(), (0..=CALLS).map(container).collect());
}
