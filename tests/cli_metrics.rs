//! `cniscope metrics`: what is counted, once, whatever becomes of the journal's files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cniscope::metrics::text::METRICS;
use nix::fcntl::{Flock, FlockArg};
use serde_json::json;

use crate::support::{Place, Ran, spawn};

/// Asks for the metrics of a place's journal; nothing of the machine is looked at.
fn metrics(place: &Place, arguments: &[&str]) -> Ran {
    metrics_of(place, &place.path("log"), arguments)
}

/// The same of another journal.
fn metrics_of(place: &Place, journal: &Path, arguments: &[&str]) -> Ran {
    let (state, root) = (place.path("state"), place.path("root"));
    fs::create_dir_all(&root).unwrap();
    let own = ["metrics", "--state", state.to_str().unwrap(), "--root", root.to_str().unwrap()];
    Place::cli_on(journal, &[&own, arguments].concat())
}

/// The samples whose lines begin so, without the other parts of their lines.
fn samples(text: &str, name: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line[name.len()..].to_owned()).collect()
}

/// How many calls were counted.
fn calls(ran: &Ran) -> u64 {
    assert_eq!(ran.status, 0, "{}", String::from_utf8_lossy(&ran.stderr));
    let of_line = |line: &String| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    samples(&ran.text(), "cniscope_calls_total{").iter().map(of_line).sum()
}

fn told(ran: &Ran) -> &str {
    std::str::from_utf8(&ran.stderr).unwrap()
}

/// Appends the end records of so many good calls to a file of the journal.
fn write(place: &Place, file: &str, numbers: std::ops::Range<u32>) {
    fs::create_dir_all(place.path("log")).unwrap();
    let mut file = fs::File::options().append(true).create(true).open(place.path("log").join(file)).unwrap();
    for number in numbers {
        let record = json!({
            "schema": 1, "event": "end", "id": format!("019f0000-0000-7000-8000-{number:012}"), "plugin": "bridge",
            "command": "ADD", "outcome": "ok", "duration_ms": 20.0, "overhead_ms": 0.7, "time": "2026-11-21T10:00:00Z",
        });
        writeln!(file, "{record}").unwrap();
    }
}

/// Puts the current file aside, as rotation does.
fn rotate(place: &Place) {
    let log = place.path("log");
    for number in (1..9).rev() {
        let _ = fs::rename(
            log.join(format!("journal.{number}.jsonl")),
            log.join(format!("journal.{}.jsonl", number + 1)),
        );
    }
    fs::rename(log.join("journal.jsonl"), log.join("journal.1.jsonl")).unwrap();
}

#[test]
fn real_calls_are_counted_by_plugin_verb_outcome_and_cause() {
    let place = Place::new();
    place.plugin("good", "echo '{\"cniVersion\":\"1.0.0\"}'");
    place.plugin("bad", "echo '{\"code\":7,\"msg\":\"no\"}'; exit 1");
    place.plugin("crashing", "kill -9 $$");
    for plugin in ["good", "bad", "good", "crashing"] {
        place.wrapped("ADD", plugin).run();
    }
    place.ends(4);
    let ran = metrics(&place, &[]);
    assert_eq!((ran.status, told(&ran)), (0, ""));
    let text = ran.text();
    assert_eq!(
        samples(&text, "cniscope_calls_total"),
        [
            "{plugin=\"bad\",command=\"ADD\",outcome=\"failed\"} 1",
            "{plugin=\"crashing\",command=\"ADD\",outcome=\"crashed\"} 1",
            "{plugin=\"good\",command=\"ADD\",outcome=\"ok\"} 2",
        ]
    );
    assert_eq!(
        samples(&text, "cniscope_failures_total"),
        ["{plugin=\"bad\",cause=\"unknown\"} 1", "{plugin=\"crashing\",cause=\"plugin-crashed\"} 1"]
    );
    assert_eq!(
        samples(&text, "cniscope_call_duration_seconds_count"),
        [
            "{plugin=\"bad\",command=\"ADD\"} 1",
            "{plugin=\"crashing\",command=\"ADD\"} 1",
            "{plugin=\"good\",command=\"ADD\"} 2",
        ]
    );
    assert_eq!(samples(&text, "cniscope_overhead_seconds_count"), [" 4"]);
    assert_eq!(samples(&text, "cniscope_last_success_timestamp_seconds{").len(), 1);
    let size = fs::metadata(place.path("log/journal.jsonl")).unwrap().len();
    assert_eq!(samples(&text, "cniscope_journal_size_bytes"), [format!(" {size}")]);
}

#[test]
fn a_call_is_counted_once_through_rotations_and_removals() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    assert_eq!(calls(&metrics(&place, &[])), 3);
    assert_eq!(calls(&metrics(&place, &[])), 3);
    write(&place, "journal.jsonl", 3..5);
    rotate(&place);
    write(&place, "journal.jsonl", 5..6);
    assert_eq!(calls(&metrics(&place, &[])), 6);
    rotate(&place);
    write(&place, "journal.jsonl", 6..8);
    rotate(&place);
    write(&place, "journal.jsonl", 8..9);
    // The oldest one, all of which was counted.
    fs::remove_file(place.path("log/journal.3.jsonl")).unwrap();
    let ran = metrics(&place, &[]);
    assert_eq!(
        (calls(&ran), samples(&ran.text(), "cniscope_journal_gaps_total")),
        (9, vec![" 0".to_owned()])
    );
}

#[test]
fn a_journal_that_was_removed_takes_nothing_back_and_is_told() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    metrics(&place, &[]);
    fs::remove_dir_all(place.path("log")).unwrap();
    let ran = metrics(&place, &[]);
    assert_eq!(
        (calls(&ran), samples(&ran.text(), "cniscope_journal_gaps_total")),
        (3, vec![" 1".to_owned()])
    );
    assert_eq!(
        place.steady(told(&ran)),
        "cniscope: no journal in PLACE/log: no call has been recorded yet; name another folder with --journal\n"
    );
    write(&place, "journal.jsonl", 3..5);
    assert_eq!(calls(&metrics(&place, &[])), 5);
}

#[test]
fn without_what_was_kept_the_journal_is_counted_anew() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    metrics(&place, &[]);
    fs::remove_dir_all(place.path("state")).unwrap();
    assert_eq!(calls(&metrics(&place, &[])), 3);
    let kept = fs::read_dir(place.path("state")).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "json")).unwrap();
    fs::write(&kept, "{").unwrap();
    let ran = metrics(&place, &[]);
    assert_eq!(calls(&ran), 3);
    assert!(told(&ran).starts_with("cniscope: counters begin anew: "), "{}", told(&ran));
    assert_eq!((calls(&metrics(&place, &[])), told(&metrics(&place, &[]))), (3, ""), "and kept from then on");
}

#[test]
fn where_nothing_can_be_kept_it_counts_what_is_there_and_says_so() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    // Not even root can make a folder below it.
    fs::write(place.path("state"), "").unwrap();
    let ran = metrics(&place, &[]);
    assert_eq!((calls(&ran), samples(&ran.text(), "cniscope_counters_kept")), (3, vec![" 0".to_owned()]));
    assert_eq!(
        place.steady(told(&ran)),
        "cniscope: counters are not kept and can go back when the journal rotates: PLACE/state: \
         File exists (os error 17); name a folder with --state\n"
    );
}

#[test]
fn another_journal_has_counters_of_its_own() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    metrics(&place, &[]);
    let other = place.path("other");
    fs::rename(place.path("log"), &other).unwrap();
    assert_eq!([(); 2].map(|()| calls(&metrics_of(&place, &other, &[]))), [3, 3]);
    assert_eq!(calls(&metrics(&place, &[])), 3, "what was counted in the first one is still known");
}

#[test]
fn who_looks_while_another_one_keeps_the_counters_tells_the_same() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    metrics(&place, &[]);
    write(&place, "journal.jsonl", 3..5);
    let lock = fs::File::options().write(true).open(place.path("state/counters.lock")).unwrap();
    let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    for _ in 0..2 {
        let ran = metrics(&place, &[]);
        assert_eq!((calls(&ran), told(&ran)), (5, ""));
    }
    drop(held);
    assert_eq!(calls(&metrics(&place, &[])), 5);
}

#[test]
fn many_at_once_tell_the_same() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..50);
    let counted: Vec<u64> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| calls(&metrics(&place, &[])))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(counted, [50; 8]);
    assert_eq!(calls(&metrics(&place, &[])), 50);
}

/// How many calls a test makes while metrics are asked for.
const CALLS: usize = 400;

#[test]
fn calls_that_end_while_the_journal_rotates_are_counted_once() {
    let place = Place::alone();
    place.plugin_of("prompt", "prompt");
    place.settings(&json!({"journal": {"maxBytes": 64 << 10, "maxFiles": 100}}));
    let next = AtomicUsize::new(0);
    let make = || {
        while next.fetch_add(1, Ordering::Relaxed) < CALLS {
            assert_eq!(place.wrapped("ADD", "prompt").run().status, 0);
        }
    };
    let mut counted = Vec::new();
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        while makers.iter().any(|maker| !maker.is_finished()) {
            counted.push(calls(&metrics(&place, &[])));
        }
    });
    place.has_come_to_rest();
    let ran = metrics(&place, &[]);
    assert!(counted.is_sorted() && counted.len() > 3, "{counted:?}");
    assert_eq!(
        (calls(&ran), samples(&ran.text(), "cniscope_journal_gaps_total")),
        (400, vec![" 0".to_owned()])
    );
    assert!(fs::read_dir(place.path("log")).unwrap().count() > 5, "the journal has hardly rotated");
}

#[test]
fn the_end_of_a_call_whose_process_is_gone_is_waited_for() {
    let place = Place::new();
    fs::create_dir(place.path("log")).unwrap();
    let begin = json!({"event": "begin", "id": "a", "plugin": "bridge", "command": "ADD", "pid": 1, "start_ticks": 0});
    fs::write(place.path("log/journal.jsonl"), format!("{begin}\n")).unwrap();
    assert_eq!([(); 2].map(|()| calls(&metrics(&place, &[]))), [0, 0]);
    // Where nothing can be kept, there is no later.
    fs::remove_dir_all(place.path("state")).unwrap();
    fs::write(place.path("state"), "").unwrap();
    assert_eq!(
        samples(&metrics(&place, &[]).text(), "cniscope_calls_total"),
        ["{plugin=\"bridge\",command=\"ADD\",outcome=\"killed\"} 1"]
    );
}

#[test]
fn pools_are_those_of_the_nodes_networks() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..1);
    let put = |path: &str, content: &str| {
        let path = place.path("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "cniscope", "cniscope": {"wraps": "bridge"}, "ipam": {"type": "host-local", "subnet": "10.1.0.0/29"}},
    ]});
    put("etc/cni/net.d/10-pods.conflist", &list.to_string());
    put("proc/7/environ", "CNI_CONTAINERID=alive\0");
    put("var/lib/cni/networks/pods/10.1.0.2", "alive\r\neth0");
    put("var/lib/cni/networks/pods/10.1.0.3", "gone\r\neth0");
    let text = metrics(&place, &["--conf-dir", "/etc/cni/net.d"]).text();
    assert_eq!(
        samples(&text, "cniscope_ipam_pool_"),
        [
            "capacity_addresses{network=\"pods\",range_set=\"0\"} 5",
            "used_addresses{network=\"pods\",range_set=\"0\"} 2",
            "leaked_addresses{network=\"pods\",range_set=\"0\"} 1",
        ]
    );
}

#[test]
fn a_textfile_is_replaced_as_a_whole_and_everybody_can_read_it() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    let folder = place.path("collector");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("cniscope.prom");
    fs::write(&path, "old").unwrap();
    let old = fs::File::open(&path).unwrap();
    let ran = metrics(&place, &["--textfile", path.to_str().unwrap()]);
    assert_eq!(ran.answer(), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(&path).unwrap(), metrics(&place, &[]).text());
    assert_eq!(std::io::read_to_string(old).unwrap(), "old", "who reads the old file reads it to its end");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_textfile_that_cannot_be_written_is_an_error_that_names_it() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    let path = place.path("nowhere/cniscope.prom");
    let ran = metrics(&place, &["--textfile", path.to_str().unwrap()]);
    assert_eq!(
        (ran.status, place.steady(told(&ran))),
        (
            2,
            "cniscope: cannot write PLACE/nowhere/cniscope.prom: No such file or directory (os error 2)\n"
                .to_owned()
        )
    );
    let ran = metrics(&place, &["--textfile", "cniscope.txt"]);
    assert_eq!(ran.status, 2);
    assert!(told(&ran).contains("expected the name of a file that ends in .prom"), "{}", told(&ran));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    write(&place, "journal.jsonl", 0..3);
    let state = place.path("state");
    let mut child = spawn(&mut place.cli_command(&["metrics", "--state", state.to_str().unwrap()]));
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn every_metric_is_in_the_table_of_the_documentation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `cniscope_")).collect();
    let row = |metric: &cniscope::metrics::text::Metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} | {} |", metric.name, metric.kind, labels.join(", "), metric.help)
    };
    assert_eq!(rows, METRICS.iter().map(row).collect::<Vec<_>>());
}
