//! Calls of which little or nothing is recorded.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Call, Place, eventually};

/// A STATUS call whose state is kept in this place instead of /run.
fn status<'a>(place: &'a Place, plugin: &str) -> Call<'a> {
    let state = place.path("run");
    fs::create_dir_all(&state).unwrap();
    let state = state.display();
    place.wrapped("STATUS", plugin).behind(&format!(
        "mount -t tmpfs none /run; mkdir /run/cniscope; mount --bind '{state}' /run/cniscope"
    ))
}

/// The one file in which the last outcome is kept, with its content.
fn state(place: &Place) -> Option<(PathBuf, Value)> {
    let file = fs::read_dir(place.path("run/status")).ok()?.next()?.unwrap();
    Some((file.path(), serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?))
}

/// Waits until so many calls like the last one that was recorded have not been.
fn wait_for_silent(place: &Place, count: u64) {
    eventually(|| (state(place)?.1["silent"] == count).then_some(()));
}

/// Lets eleven minutes pass, as far as the kept outcome tells.
fn age(place: &Place) {
    let (path, mut state) = state(place).unwrap();
    let seconds = state["recorded"]["secs_since_epoch"].as_u64().unwrap();
    state["recorded"]["secs_since_epoch"] = json!(seconds - 11 * 60);
    fs::write(&path, state.to_string()).unwrap();
}

#[test]
fn status_is_recorded_when_its_outcome_changes_and_now_and_then_while_it_fails() {
    let place = Place::new();
    let answer = |script: &str| {
        place.plugin("plugin", script);
        status(&place, "plugin").run().status
    };
    let (good, bad) = ("exit 0", "echo '{\"code\":50,\"msg\":\"not ready\"}'; exit 1");
    assert_eq!(answer(good), 0);
    wait_for_silent(&place, 1);
    assert!(!place.path("log").exists(), "what goes well from the start is no news");
    assert_eq!(answer(bad), 1);
    place.ends(1);
    for count in [1, 2] {
        assert_eq!(answer(bad), 1);
        wait_for_silent(&place, count);
    }
    age(&place);
    assert_eq!(answer(bad), 1);
    place.ends(2);
    assert_eq!(answer(bad), 1);
    wait_for_silent(&place, 1);
    assert_eq!(answer(good), 0);
    place.ends(3);
    assert_eq!(answer(good), 0);
    wait_for_silent(&place, 1);
    let records = place.records();
    let told: Vec<_> = records.iter().map(|one| [&one["event"], &one["outcome"], &one["repeated"]]).collect();
    assert_eq!(json!(told), json!([["end", "failed", null], ["end", "failed", 2], ["end", "ok", null]]));
}

#[test]
fn version_is_not_recorded() {
    let place = Place::new();
    place.plugin("plugin", "exit 0");
    assert_eq!(place.wrapped("VERSION", "plugin").run().status, 0);
    assert!(!place.path("log").exists());
}
