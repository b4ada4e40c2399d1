//! `cniscope journal`: which calls it lists, and how.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Place, eventually, spawn};

/// A place with four calls, and their end records: a good ADD, one that failed, a slow DEL, an ADD that crashed.
fn history() -> (Place, Vec<Value>) {
    let place = Place::new();
    place.plugin("good", "echo '{\"cniVersion\":\"1.0.0\"}'");
    place.plugin("bad", "echo '{\"code\":7,\"msg\":\"no\"}'; exit 1");
    place.plugin("slow", "sleep 0.4");
    place.plugin("crashing", "kill -9 $$");
    let calls = [
        ("ADD", "good", "shop", "cart-1", "aaa111"),
        ("ADD", "bad", "shop", "cart-2", "aab222"),
        ("DEL", "slow", "shop", "cart-1", "aaa111"),
        ("ADD", "crashing", "other", "cart-1", "ccc333"),
    ];
    for (count, (verb, plugin, namespace, pod, container)) in (1..).zip(calls) {
        let args = format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={pod}");
        place.wrapped(verb, plugin).env("CNI_ARGS", args).env("CNI_CONTAINERID", container).run();
        place.ends(count);
    }
    let ends = place.ends(4);
    (place, ends)
}

/// The numbers of the calls that these arguments list.
fn listed(place: &Place, ends: &[Value], arguments: &[&str]) -> Vec<usize> {
    let ran = place.cli(&[&["journal", "-o", "jsonl"], arguments].concat());
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()), "{arguments:?}");
    let text = ran.text();
    let record = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    text.lines().map(|line| 1 + ends.iter().position(|end| *end == record(line)).unwrap()).collect()
}

#[test]
fn filters_choose_calls() {
    let (place, ends) = history();
    let time = |number: usize| ends[number - 1]["time"].as_str().unwrap();
    let table: [(&[&str], &[usize]); 22] = [
        (&[], &[1, 2, 3, 4]),
        (&["--failed"], &[2, 4]),
        (&["--pod", "cart-1"], &[1, 3, 4]),
        (&["--pod", "shop/cart-1"], &[1, 3]),
        (&["--pod", "shop/cart"], &[]),
        (&["--container", "aa"], &[1, 2, 3]),
        (&["--container", "aaa111"], &[1, 3]),
        (&["--plugin", "bad"], &[2]),
        (&["--command", "DEL"], &[3]),
        (&["--command", "add"], &[1, 2, 4]),
        (&["--cause", "plugin-crashed"], &[4]),
        (&["--cause", "unknown"], &[2]),
        (&["--since", time(3)], &[3, 4]),
        (&["--until", time(2)], &[1, 2]),
        (&["--since", time(2), "--until", time(3)], &[2, 3]),
        (&["--since", "1h"], &[1, 2, 3, 4]),
        (&["--since", "yesterday"], &[1, 2, 3, 4]),
        (&["--until", "1h"], &[]),
        (&["-n", "1"], &[4]),
        (&["-n", "3"], &[2, 3, 4]),
        (&["--failed", "-n", "1", "--plugin", "bad"], &[2]),
        (&["--failed", "--pod", "cart-1"], &[4]),
    ];
    for (arguments, expected) in table {
        assert_eq!(listed(&place, &ends, arguments), expected, "{arguments:?}");
    }
}

#[test]
fn slow_calls_can_be_asked_for() {
    let (place, ends) = history();
    let slower = |milliseconds: f64| {
        (1..=4)
            .filter(|number| ends[number - 1]["duration_ms"].as_f64().unwrap() > milliseconds)
            .collect::<Vec<_>>()
    };
    // On a busy machine others may be slow too.
    assert!(slower(350.0).contains(&3));
    assert_eq!(listed(&place, &ends, &["--slower-than", "350ms"]), slower(350.0));
    assert_eq!(listed(&place, &ends, &["--slower-than", "1m"]), slower(60_000.0));
}

/// The cells of a table, without the time that a call took.
fn cells(text: &str) -> Vec<Vec<&str>> {
    let of_line = |line| str::split(line, "  ").map(str::trim).filter(|cell| !cell.is_empty());
    let is_time = |cell: &&str| cell.ends_with(" ms") || cell.ends_with(" s");
    text.lines().map(|line| of_line(line).filter(|cell| !is_time(cell)).collect()).collect()
}

#[test]
fn a_table_has_a_row_for_each_call() {
    let (place, ends) = history();
    let time = |number: usize| {
        let time = ends[number - 1]["time"].as_str().unwrap();
        format!("{} {}", &time[5..10], &time[11..23])
    };
    let id = |number: usize| &ends[number - 1]["id"].as_str().unwrap()[28..];
    let caller = fs::read_to_string("/proc/self/comm").unwrap();
    let times: Vec<String> = (1..=4).map(time).collect();
    let rows: Vec<Vec<&str>> = vec![
        vec!["TIME", "VERB", "POD", "PLUGIN", "TOOK", "OUTCOME", "CAUSE", "ID"],
        vec![&times[0], "ADD", "shop/cart-1", "good", "ok", id(1)],
        vec![&times[1], "ADD", "shop/cart-2", "bad", "failed", "unknown", id(2)],
        vec![&times[2], "DEL", "shop/cart-1", "slow", "ok", id(3)],
        vec![&times[3], "ADD", "other/cart-1", "crashing", "crashed", "plugin-crashed", id(4)],
    ];
    let table = place.cli(&["journal", "--utc"]).text();
    assert_eq!(cells(&table), rows);
    let more = ["NETWORK", "CONTAINER", "INTERFACE", "CALLER"];
    let of_call = |container| ["net", container, "eth0", caller.trim()];
    let more = [more, of_call("aaa111"), of_call("aab222"), of_call("aaa111"), of_call("ccc333")];
    let wide: Vec<Vec<&str>> =
        rows.iter().zip(more).map(|(row, more)| [row.as_slice(), &more].concat()).collect();
    assert_eq!(cells(&place.cli(&["journal", "--utc", "-o", "wide"]).text()), wide);
}

#[test]
fn json_is_one_document_of_whole_records() {
    let (place, ends) = history();
    let ran = place.cli(&["journal", "-o", "json"]);
    assert_eq!((ran.status, ran.json()), (0, json!(ends)));
    assert_eq!(place.cli(&["journal", "-o", "json", "--pod", "nobody"]).text(), "[]\n");
}

#[test]
fn csv_is_for_spreadsheets() {
    let place = Place::new();
    place.plugin("bad", r#"echo '{"code":7,"msg":"=cmd|1","details":"a, \"b\""}'; exit 1"#);
    place.wrapped("ADD", "bad").env("CNI_ARGS", "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=-cart").run();
    let end = place.end();
    let ran = place.cli(&["journal", "-o", "csv"]);
    let text = |field: &str| end[field].as_str().unwrap();
    let expected = format!(
        "time,node,command,pod_namespace,pod_name,container_id,ifname,network,plugin,outcome,cause,duration_ms,plugin_ms,\
         overhead_ms,code,error,id\r\n{},{},ADD,shop,\"'-cart\",container1,eth0,net,bad,failed,unknown,{},{},{},7,\
         \"'=cmd|1; a, \"\"b\"\"\",{}\r\n",
        text("time"),
        text("node"),
        end["duration_ms"],
        end["plugin_ms"],
        end["overhead_ms"],
        text("id")
    );
    assert_eq!(ran.answer(), (0, expected, String::new()));
}

#[test]
fn jsonl_is_the_record_as_it_is_stored() {
    let (place, _) = history();
    let stored = fs::read_to_string(place.path("log/journal.jsonl")).unwrap();
    let ends: Vec<&str> = stored.lines().filter(|line| line.contains("\"event\":\"end\"")).collect();
    assert_eq!(place.cli(&["journal", "-o", "jsonl"]).text(), ends.join("\n") + "\n");
}

#[test]
fn several_journals_are_read_as_one_and_a_call_in_two_of_them_once() {
    let (place, ends) = history();
    let copy = place.path("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(place.path("log/journal.jsonl"), copy.join("journal.jsonl.1")).unwrap();
    let mut packed = Command::new("gzip");
    let status = packed.arg(copy.join("journal.jsonl.1")).status().expect("gzip is missing: install gzip");
    assert!(status.success());
    let other = r#"{"event":"end","id":"x","time":"1999-01-01T00:00:00Z","outcome":"ok"}"#;
    fs::write(copy.join("journal.jsonl"), format!("{other}\n")).unwrap();
    let ran = place.cli(&["journal", "-o", "json", "--journal", copy.to_str().unwrap()]);
    let expected = [&[serde_json::from_str(other).unwrap()], ends.as_slice()].concat();
    assert_eq!((ran.status, ran.json()), (0, json!(expected)));
    let follow = place.cli(&["journal", "-f", "--journal", copy.to_str().unwrap()]);
    assert_eq!(
        follow.answer(),
        (2, String::new(), "cniscope: -f follows one folder of a journal\n".to_owned())
    );
}

#[test]
fn a_journal_that_is_not_there_or_cannot_be_read_is_said_with_what_to_do() {
    let place = Place::new();
    let missing = place.cli(&["journal"]);
    assert_eq!(
        place.steady(&String::from_utf8(missing.stderr).unwrap()),
        "cniscope: no journal in PLACE/log\n\
         No call has been recorded here yet: a conflist has to name cniscope in a plugin's place.\n\
         For a journal elsewhere: cniscope --journal DIR\n"
    );
    assert_eq!(missing.status, 2);
    fs::create_dir_all(place.path("log/journal.jsonl")).unwrap();
    let odd = place.cli(&["journal"]);
    assert_eq!(
        (odd.status, place.steady(&String::from_utf8(odd.stderr).unwrap()).as_str()),
        (2, "cniscope: PLACE/log/journal.jsonl: not a regular file\n")
    );
}

#[test]
fn nothing_that_matches_is_said_and_no_error() {
    let (place, _) = history();
    let ran = place.cli(&["journal", "--pod", "nobody"]);
    assert_eq!((ran.status, ran.text()), (0, String::new()));
    assert_eq!(place.steady(&String::from_utf8(ran.stderr).unwrap()), "no call in PLACE/log matches\n");
}

#[test]
fn an_empty_journal_is_no_error() {
    let place = Place::new();
    fs::create_dir(place.path("log")).unwrap();
    fs::write(place.path("log/journal.jsonl"), "").unwrap();
    let ran = place.cli(&["journal", "-o", "json"]);
    assert_eq!(ran.answer(), (0, "[]\n".into(), String::new()));
}

#[test]
fn broken_lines_are_passed_over_and_counted() {
    let (place, ends) = history();
    let path = place.path("log/journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(0, "not JSON");
    lines.insert(3, "{\"event\":\"end\"}");
    fs::write(&path, lines.join("\n") + "\n\u{0}\u{1}\n{\"event\":\"begin\",\"id\":\"x\n").unwrap();
    let ran = place.cli(&["journal", "-o", "json"]);
    assert_eq!((ran.status, ran.json()), (0, json!(ends)));
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "4 lines are broken and passed over\n");
}

#[test]
fn a_call_whose_end_is_torn_is_unfinished() {
    let (place, ends) = history();
    let path = place.path("log/journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 100]).unwrap();
    let ran = place.cli(&["journal", "-o", "jsonl", "-n", "1"]);
    let last: Value = serde_json::from_str(ran.text().trim()).unwrap();
    assert_eq!((&last["id"], &last["outcome"]), (&ends[3]["id"], &json!("unfinished")));
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "1 line is broken and passed over\n");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let (place, _) = history();
    for arguments in [&["journal"][..], &["journal", "-o", "json"], &["show", "last"]] {
        let mut child = spawn(&mut place.cli_command(arguments));
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), output.stderr.as_slice()),
            (Some(0), b"".as_slice()),
            "{arguments:?}"
        );
    }
}

/// `cniscope journal -f`, stopped at the end of the test.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn of(place: &Place, arguments: &[&str]) -> Following {
        let mut child = spawn(&mut place.cli_command(&[&["journal", "-f"], arguments].concat()));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // It ends, and closes the pipe, when nobody wants a line any more.
        std::thread::spawn(move || stdout.lines().try_for_each(|line| sender.send(line.unwrap())));
        Following { child, lines }
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(Duration::from_secs(20)).expect("a line within 20 s");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn calls_are_followed_as_they_end_through_rotations() {
    let place = Place::new();
    place.settings(&json!({"journal": {"maxBytes": 4096, "maxFiles": 100}}));
    place.plugin("good", "echo '{}'");
    place.plugin("bad", "exit 1");
    place.wrapped("ADD", "bad").run();
    let first = place.end();
    let following = Following::of(&place, &["-o", "jsonl", "--failed"]);
    // When this is printed, what comes later is followed.
    assert_eq!(following.next(), first);
    for round in 1..=10 {
        for plugin in ["good", "bad"] {
            place.wrapped("ADD", plugin).run();
        }
        let ends = place.ends(1 + 2 * round);
        let bad = ends.iter().rev().find(|end| end["plugin"] == "bad").unwrap();
        assert_eq!(following.next(), *bad);
    }
    assert!(place.path("log/journal.3.jsonl").exists());
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    let (place, ends) = history();
    let mut following = Following::of(&place, &["-o", "jsonl", "-n", "1"]);
    assert_eq!(following.next(), ends[3]);
    following.lines = channel().1;
    let status = eventually(|| {
        place.wrapped("ADD", "good").run();
        following.child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_journal_that_comes_later_is_followed() {
    let place = Place::new();
    place.plugin("good", "echo '{}'");
    let following = Following::of(&place, &["-o", "jsonl"]);
    place.wrapped("ADD", "good").run();
    let mut next = following.next();
    if next["outcome"] == "running" {
        next = following.next();
    }
    assert_eq!(next, place.end());
}

#[test]
fn a_call_that_runs_when_following_begins_is_followed_to_its_end() {
    let place = Place::new();
    place.plugin("waiting", "until [ -e \"$0.go\" ]; do sleep 0.01; done; echo '{}'");
    let call = place.wrapped("ADD", "waiting").start();
    eventually(|| place.path("log/journal.jsonl").exists().then_some(()));
    eventually(|| (!place.records().is_empty()).then_some(()));
    let following = Following::of(&place, &["-o", "jsonl"]);
    assert_eq!(following.next()["outcome"], "running");
    fs::write(place.path("bin/waiting.go"), "").unwrap();
    assert!(call.wait_with_output().unwrap().status.success());
    assert_eq!(following.next(), place.end());
}

#[test]
fn lines_of_a_journal_may_come_from_another_release() {
    let (place, ends) = history();
    let mut file = fs::File::options().append(true).open(place.path("log/journal.jsonl")).unwrap();
    writeln!(file, "{}", json!({"schema": 2, "event": "verified", "id": ends[0]["id"]})).unwrap();
    let ran = place.cli(&["journal", "-o", "json"]);
    assert_eq!((ran.status, ran.json(), ran.stderr), (0, json!(ends), Vec::new()));
}
