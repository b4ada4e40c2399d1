//! Disks that are full, read-only, frozen or dead below cniscope's own files and below what it looks at: the runtime gets
//! the plugin's answer, and gets it in time.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::mounts::{Disk, Mounts};
use crate::support::side_by_side::SideBySide;
use crate::support::{Place, records_in};

/// Keeps the node's own state and journal out of it.
const OWN_STATE: &str =
    "mount -t tmpfs own-run /run; mount -t tmpfs own-log /var/log; mount -t tmpfs own-lib /var/lib";

/// A file system whose server never answers, so that even looking at it hangs.
const DEAD: &str = "mkdir -p $1/dead; exec 3<>/dev/fuse
mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead $1/dead";

fn mounted(place: &Place, script: &str) -> Mounts {
    Mounts::new(&place.path(""), &format!("{OWN_STATE}\n{script}"), "")
}

fn calls<'a>(place: &'a Place, mounts: &'a Mounts) -> SideBySide<'a> {
    SideBySide::new(place, |command| mounts.enter(command))
}

/// Calls are answered as without cniscope, and nothing of them is left running.
fn nothing_changes(place: &Place, calls: &SideBySide<'_>) {
    calls.must_be_alike();
    calls.must_be_explained();
    place.has_come_to_rest();
}

/// Calls are answered as without cniscope although their helpers hang.
fn nothing_changes_although_it_hangs(place: &Place, calls: &SideBySide<'_>) {
    calls.must_be_alike();
    calls.must_be_explained_in_the_end();
    assert!(!place.processes().is_empty(), "nothing hangs");
}

fn outcomes(records: &[Value]) -> (usize, usize) {
    let of = |event: &str| records.iter().filter(|record| record["event"] == event).count();
    (of("begin"), of("end"))
}

#[test]
fn a_full_disk_under_the_journal() {
    let place = Place::new();
    let fill =
        "mkdir $1/log; mount -t tmpfs -o size=16k full $1/log; ! cat /dev/zero 2>/dev/null > $1/log/filling";
    let mounts = mounted(&place, fill);
    let calls = calls(&place, &mounts);
    nothing_changes(&place, &calls);
    let log = mounts.path(&place.path("log"));
    assert_eq!(records_in(&log), [Value::Null; 0]);
    let notes = fs::read_to_string(mounts.path(Path::new("/run/cniscope/unfinished.jsonl"))).unwrap();
    assert!(notes.contains("journal.jsonl: cannot append to it: No space left on device"), "{notes}");
    fs::remove_file(log.join("filling")).unwrap();
    calls.wrapped("ADD", "good", true).run();
    place.has_come_to_rest();
    assert_eq!(outcomes(&records_in(&log)), (1, 1));
}

#[test]
fn a_read_only_disk_under_the_journal() {
    let place = Place::new();
    let mounts = mounted(&place, "mkdir $1/log; mount -t tmpfs -o ro read-only $1/log");
    nothing_changes(&place, &calls(&place, &mounts));
}

#[test]
fn a_frozen_disk_under_the_journal() {
    let place = Place::new();
    let disk = Disk::new(&place.path(""), "log", OWN_STATE);
    let calls = calls(&place, disk.mounts());
    calls.wrapped("ADD", "good", true).run();
    place.has_come_to_rest();
    disk.freeze();
    calls.must_be_alike();
    calls.must_be_explained();
    assert!(!place.processes().is_empty(), "nothing hangs");
    disk.thaw();
    place.has_come_to_rest();
    let log = disk.mounts().path(&place.path("log"));
    let (begun, ended) = outcomes(&records_in(&log));
    assert!(begun == ended && ended >= 15, "{begun} begin and {ended} end");
    let shown = Place::cli_on(&log, &["journal", "-o", "json"]).json();
    assert_eq!(shown.as_array().unwrap().len(), ended);
    assert!(shown.as_array().unwrap().iter().all(|call| call["outcome"] != "killed"), "{shown:#}");
}

#[test]
fn a_frozen_disk_under_a_new_journal_and_a_large_result() {
    let place = Place::new();
    let disk = Disk::new(&place.path(""), "log", OWN_STATE);
    let calls = calls(&place, disk.mounts());
    // More than a socket holds.
    let result = json!({"cniVersion": "1.0.0", "filling": "x".repeat(400 << 10)});
    fs::write(place.path("bin/bridge.result"), result.to_string()).unwrap();
    disk.freeze();
    calls.must_be_alike();
    assert!(!place.processes().is_empty(), "nothing hangs");
    disk.thaw();
    place.has_come_to_rest();
}

#[test]
fn a_frozen_disk_under_the_settings() {
    let place = Place::new();
    let disk = Disk::new(&place.path(""), "settings", &format!("{OWN_STATE}; cp $1/config.json $1/settings"));
    let calls = SideBySide::new(&place, |command| {
        disk.mounts().enter(command);
        command.env("CNISCOPE_CONFIG", place.path("settings/config.json"));
    });
    disk.freeze();
    nothing_changes(&place, &calls);
    disk.thaw();
    assert!(outcomes(&place.records()).1 >= 15, "the settings were not used");
}

#[test]
fn a_frozen_disk_under_the_pool() {
    let place = Place::new();
    let pool = "mkdir $1/pools/net; echo container0 > $1/pools/net/10.9.0.2";
    let disk = Disk::new(&place.path(""), "pools", &format!("{OWN_STATE}; {pool}"));
    disk.freeze();
    nothing_changes(&place, &calls(&place, disk.mounts()));
    disk.thaw();
}

#[test]
fn a_dead_disk_under_the_journal() {
    let place = Place::new();
    place.settings(&json!({"journal": {"dir": place.path("dead/log")}}));
    let mounts = mounted(&place, DEAD);
    let calls = calls(&place, &mounts);
    calls.must_be_alike();
    calls.must_be_explained();
    assert!(!place.processes().is_empty(), "nothing hangs");
    drop(calls);
    drop(mounts);
    place.has_come_to_rest();
}

#[test]
fn a_dead_disk_under_the_settings() {
    let place = Place::new();
    let mounts = mounted(&place, DEAD);
    let calls = SideBySide::new(&place, |command| {
        mounts.enter(command);
        command.env("CNISCOPE_CONFIG", place.path("dead/config.json"));
    });
    nothing_changes_although_it_hangs(&place, &calls);
    drop(calls);
    drop(mounts);
    place.has_come_to_rest();
}

#[test]
fn a_dead_disk_under_the_pool() {
    let place = Place::new();
    let mounts = mounted(&place, &DEAD.replace("$1/dead", "$1/pools"));
    let calls = calls(&place, &mounts);
    nothing_changes_although_it_hangs(&place, &calls);
    drop(calls);
    drop(mounts);
    place.has_come_to_rest();
    let (begun, ended) = outcomes(&place.records());
    assert!(begun == ended && ended >= 15, "{begun} begin and {ended} end");
}

#[test]
fn no_state_of_its_own() {
    let place = Place::new();
    let mounts = mounted(&place, "rmdir /run/cniscope /var/lib/cniscope 2>/dev/null || true");
    nothing_changes(&place, &calls(&place, &mounts));
}

#[test]
fn a_read_only_disk_under_its_state() {
    let place = Place::new();
    let mounts = mounted(&place, "mount -o remount,ro /run; mount -o remount,ro /var/lib");
    nothing_changes(&place, &calls(&place, &mounts));
}

#[test]
fn files_in_the_place_of_its_state() {
    let place = Place::new();
    let mounts = mounted(&place, "echo mine > /run/cniscope; echo mine > /var/lib/cniscope");
    nothing_changes(&place, &calls(&place, &mounts));
}

#[test]
fn a_dead_disk_under_its_state() {
    let place = Place::new();
    let mounts = mounted(&place, &format!("{DEAD}; mkdir /run/cniscope; mount --bind $1/dead /run/cniscope"));
    let calls = calls(&place, &mounts);
    calls.must_be_alike();
    calls.must_be_explained_in_the_end();
    place.has_come_to_rest();
}
