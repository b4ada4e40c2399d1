//! What is read of journals, whole and broken.

use super::*;
use serde_json::json;
use std::fs;
use std::io::Write as _;

fn read<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Reading {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    calls(&Node::this(), Sources::open(&[dir.path()]).unwrap(), &|_: &Head| true).unwrap()
}

fn shown(reading: &Reading) -> Vec<(&str, &str)> {
    reading.calls.iter().map(|call| (call.text("id"), call.outcome.as_str())).collect()
}

const END_A: &str = "{\"event\":\"end\",\"id\":\"a\",\"time\":\"2026-01-01T00:00:01Z\",\"outcome\":\"ok\"}\n";
const BEGIN_B: &str =
    "{\"event\":\"begin\",\"id\":\"b\",\"time\":\"2026-01-01T00:00:00Z\",\"boot_id\":\"x\",\"pid\":1}\n";

#[test]
fn a_begin_without_an_end_whose_process_is_gone_was_killed() {
    let reading = read(&[("journal.jsonl", &format!("{BEGIN_B}{END_A}"))]);
    assert_eq!(shown(&reading), [("b", "killed"), ("a", "ok")]);
    assert!(reading.calls[0].has_failed());
}

#[test]
fn one_whose_process_is_there_is_running() {
    let node = Node::this();
    let process = node.process(std::process::id()).unwrap();
    let begin = json!({
        "event": "begin", "id": "r", "boot_id": node.boot_id(), "pid": process.pid, "start_ticks": process.start_ticks,
    });
    let reading = read(&[("journal.jsonl", &format!("{begin}\n"))]);
    assert_eq!(shown(&reading), [("r", "running")]);
    assert!(!reading.calls[0].has_failed());
}

#[test]
fn one_whose_end_is_torn_is_unfinished() {
    let reading = read(&[(
        "journal.jsonl",
        &format!("{BEGIN_B}{{\"schema\":1,\"event\":\"end\",\"id\":\"b\",\"ti\n{END_A}"),
    )]);
    assert_eq!(shown(&reading), [("b", "unfinished"), ("a", "ok")]);
    assert_eq!(reading.passed.broken, 1);
}

#[test]
fn begin_and_end_may_stand_in_different_files_and_stalls_belong_to_their_call() {
    let stall = "{\"event\":\"stall\",\"id\":\"a\",\"after_ms\":10000}\n";
    let begin = "{\"event\":\"begin\",\"id\":\"a\"}\n";
    let reading = read(&[("journal.2.jsonl", begin), ("journal.1.jsonl", stall), ("journal.jsonl", END_A)]);
    assert_eq!(shown(&reading), [("a", "ok")]);
    assert_eq!(reading.calls[0].stalls.len(), 1);
}

#[test]
fn a_begin_that_was_late_stands_behind_its_end() {
    let reading =
        read(&[("journal.1.jsonl", END_A), ("journal.jsonl", "{\"event\":\"begin\",\"id\":\"a\"}\n")]);
    assert_eq!(shown(&reading), [("a", "ok")]);
}

#[test]
fn what_is_no_record_is_counted_and_passed_over() {
    let content =
        format!("junk\n\u{0}\u{1}\n[1]\n\n{{\"event\":\"new\",\"id\":\"z\"}}\n{END_A}{{\"id\":\"cut");
    let reading = read(&[("journal.jsonl", &content)]);
    assert_eq!((shown(&reading), reading.passed.broken), (vec![("a", "ok")], 4));
}

#[test]
fn no_journal_is_told_apart_from_an_empty_one() {
    assert!(read(&[("journal.jsonl", "")]).calls.is_empty());
    let error = Sources::open(&["/nowhere"]).unwrap_err();
    assert_eq!(error.to_string(), "no journal in /nowhere");
}

/// A record of the end of a call.
fn end(id: u32) -> String {
    format!("{{\"event\":\"end\",\"id\":\"{id:03}\",\"time\":\"2026-01-01T00:00:00Z\",\"outcome\":\"ok\"}}\n")
}

fn packed(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// A bundle with these files.
fn bundle(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    packed(&archive.into_inner().unwrap())
}

fn ids(reading: &Reading) -> Vec<&str> {
    reading.calls.iter().map(|call| call.text("id")).collect()
}

#[test]
fn what_logrotate_has_compressed_or_renamed_is_read() {
    let files = [
        ("journal.jsonl-20261120.gz", packed(end(1).as_bytes())),
        ("journal.3.jsonl.gz", [packed(end(2).as_bytes()), packed(end(3).as_bytes())].concat()),
        ("journal.jsonl.1", end(4).into_bytes()),
        ("journal.jsonl", end(5).into_bytes()),
        ("journal.lock", b"no".to_vec()),
    ];
    assert_eq!(ids(&read(&files)), ["001", "002", "003", "004", "005"]);
}

#[test]
fn what_is_compressed_in_another_way_is_told() {
    let files = [("journal.jsonl.2.xz", b"\xfd7zXZ".to_vec()), ("journal.jsonl", end(1).into_bytes())];
    let reading = read(&files);
    assert_eq!((ids(&reading), reading.passed.unread), (vec!["001"], 1));
    assert_eq!(read(&files[..1]).passed.unread, 1);
}

#[test]
fn a_compressed_file_that_breaks_off_is_read_so_far() {
    let text: String = (0..200).map(end).collect();
    let mut whole = packed(text.as_bytes());
    whole.truncate(whole.len() - 100);
    let reading = read(&[("journal.jsonl.1.gz", whole), ("journal.jsonl", end(999).into_bytes())]);
    assert_eq!(reading.passed.cut, 1);
    let ids = ids(&reading);
    assert_eq!((ids[..2].to_vec(), *ids.last().unwrap()), (vec!["000", "001"], "999"));
    assert!(ids.len() < 201);
}

#[test]
fn a_bundle_and_the_folder_that_it_was_made_of_have_each_call_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    fs::create_dir(&log).unwrap();
    fs::write(log.join("journal.1.jsonl"), end(2)).unwrap();
    fs::write(log.join("journal.jsonl"), end(3) + &end(4) + &end(4)).unwrap();
    let files = [
        ("pack/manifest.json", b"{}".to_vec()),
        ("pack/journal/journal.2.jsonl.gz", packed(end(1).as_bytes())),
        ("pack/journal/journal.1.jsonl", end(2).into_bytes()),
        ("pack/journal/journal.jsonl", end(3).into_bytes()),
        ("pack/journal/cniscope.log", end(7).into_bytes()),
        ("pack/other/journal.jsonl", end(8).into_bytes()),
    ];
    let path = dir.path().join("pack.tar.gz");
    fs::write(&path, bundle(&files)).unwrap();
    let of = |paths: &[&Path]| calls(&Node::this(), Sources::open(paths).unwrap(), &|_: &Head| true).unwrap();
    assert_eq!(ids(&of(&[&path])), ["001", "002", "003"]);
    assert_eq!(ids(&of(&[&log, &path])), ["001", "002", "003", "004"]);
    assert_eq!(ids(&of(&[&log.join("journal.jsonl")])), ["003", "004"]);
    // The same, unpacked.
    fs::create_dir_all(dir.path().join("pack/journal")).unwrap();
    fs::write(dir.path().join("pack/journal/journal.jsonl"), end(5)).unwrap();
    assert_eq!(ids(&of(&[&dir.path().join("pack")])), ["005"]);
}

#[test]
fn a_byte_that_is_no_text_does_not_hide_its_call() {
    let line = b"{\"event\":\"end\",\"id\":\"a\",\"outcome\":\"failed\",\"stderr\":\"\xff\"}\n";
    let reading = read(&[("journal.jsonl", line)]);
    assert_eq!((shown(&reading), reading.passed), (vec![("a", "failed")], Passed::default()));
    assert_eq!(reading.calls[0].text("stderr"), "\u{fffd}");
}

#[test]
fn long_lines_are_records_and_longer_ones_are_none() {
    let line = |id: &str, length: usize| {
        format!(
            "{{\"event\":\"end\",\"id\":\"{id}\",\"outcome\":\"ok\",\"stderr\":\"{}\"}}\n",
            "x".repeat(length)
        )
    };
    let reading = read(&[("journal.jsonl", line("a", 10_000_000) + &line("b", 20_000_000) + &line("c", 1))]);
    assert_eq!((shown(&reading), reading.passed.broken), (vec![("a", "ok"), ("c", "ok")], 1));
}

#[test]
fn calls_are_in_the_order_of_their_time_even_where_it_jumps() {
    let at = |id: &str, time: &str| {
        format!("{{\"event\":\"end\",\"id\":\"{id}\",\"outcome\":\"ok\",\"time\":\"{time}\"}}\n")
    };
    let content =
        at("c", "2026-01-03T00:00:00Z") + &at("a", "1970-01-01T00:00:01Z") + &at("b", "2026-01-02T00:00:00Z");
    assert_eq!(ids(&read(&[("journal.jsonl", content)])), ["a", "b", "c"]);
}

#[test]
fn who_has_enough_gets_no_more() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("journal.jsonl"), (0..9).map(end).collect::<String>() + BEGIN_B).unwrap();
    let mut seen = Vec::new();
    let sources = Sources::open(&[dir.path()]).unwrap();
    for_each(&Node::this(), sources, &|_: &Head| true, |call| {
        seen.push(call.text("id").to_owned());
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, ["000", "001"]);
}
