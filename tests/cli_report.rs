//! `cniscope report`: which calls are in the file, and where it is written.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Place, Ran, spawn};

/// A place with a good ADD, and one that failed.
fn history() -> Place {
    let place = Place::new();
    place.plugin("good", "echo '{\"cniVersion\":\"1.0.0\"}'");
    place.plugin("bad", "echo '{\"code\":7,\"msg\":\"no </script> today\"}'; exit 1");
    for plugin in ["good", "bad"] {
        let args = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart";
        place.wrapped("ADD", plugin).env("CNI_ARGS", args).run();
    }
    place.ends(2);
    place
}

/// The report, as it is written to a pipe.
fn html(place: &Place, arguments: &[&str]) -> String {
    let ran = place.cli(&[&["report", "--utc", "-O", "-"], arguments].concat());
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()), "{arguments:?}");
    ran.text()
}

/// What stands in an element of the page.
fn element<'a>(html: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = html.split_once(start).unwrap_or_else(|| panic!("{start} in {html}"));
    rest.split_once(end).unwrap().0
}

/// The rows of the table.
fn rows(html: &str) -> Vec<Value> {
    let data: Value = serde_json::from_str(element(html, "id=\"data\">", "</script>")).unwrap();
    data["rows"].as_array().unwrap().clone()
}

fn complaint(ran: &Ran) -> (i32, String, String) {
    (ran.status, ran.text(), String::from_utf8(ran.stderr.clone()).unwrap())
}

#[test]
fn a_report_holds_the_calls_with_what_is_known_of_them() {
    let place = history();
    let ends = place.ends(2);
    let html = html(&place, &[]);
    assert_eq!(element(&html, "<h1>", "</h1>"), "1 of 2 calls failed.");
    let because = element(&html, "<p class=\"because\">", "</p>");
    assert_eq!(because, "All for the same cause: unknown, for 1 Pod.");
    let rows = rows(&html);
    let told: Vec<_> = rows.iter().map(|row| [&row[0], &row[5], &row[6], &row[8], &row[11]]).collect();
    let (good, bad) = (&ends[0]["id"], &ends[1]["id"]);
    let (pod, of) = (json!("shop/cart"), |text: &str| json!(text));
    assert_eq!(
        told,
        [
            [good, &pod, &of("good"), &of("ok"), &of("")],
            [bad, &pod, &of("bad"), &of("failed"), &of("no </script> today")],
        ]
    );
    let details: Value = serde_json::from_str(element(&html, "id=\"details-0\">", "</script>")).unwrap();
    assert_eq!(details[1]["error"], ends[1]["error"]);
    assert_eq!(details[1]["diagnosis"]["cause"], "unknown");
    let configs: Value = serde_json::from_str(element(&html, "id=\"configs\">", "</script>")).unwrap();
    assert_eq!(configs[rows[1][12].as_str().unwrap()], ends[1]["config"]);
}

#[test]
fn nothing_is_asked_for_over_the_network() {
    let html = html(&history(), &[]);
    let (_, body) = html.split_once("<style>").unwrap();
    for address in ["http:", "https:", "src=", "@import", "url("] {
        let found: Vec<_> = body.match_indices(address).collect();
        // The name of SVG's elements, which nothing looks up.
        let is_name = |at: usize| body[at..].starts_with("http://www.w3.org/2000/svg\"");
        assert!(found.iter().all(|(at, _)| is_name(*at)), "{address}");
    }
    let policy = element(&html, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    assert!(policy.starts_with("default-src &#39;none&#39;; "), "{policy}");
}

#[test]
fn filters_choose_the_calls() {
    let place = history();
    let listed = |arguments: &[&str]| rows(&html(&place, arguments)).len();
    let table: [(&[&str], usize); 5] = [
        (&[], 2),
        (&["--failed"], 1),
        (&["--plugin", "good"], 1),
        (&["--pod", "nobody"], 0),
        (&["--until", "1h"], 0),
    ];
    for (arguments, expected) in table {
        assert_eq!(listed(arguments), expected, "{arguments:?}");
    }
    let html = html(&place, &["--failed", "--since", "1h"]);
    assert!(element(&html, "<p class=\"span\">", "</p>").ends_with(" UTC · only --failed --since 1h"));
}

#[test]
fn nothing_that_matches_is_a_report_that_says_so() {
    let html = html(&history(), &["--pod", "nobody"]);
    assert_eq!(element(&html, "<h1>", "</h1>"), "No calls.");
    let because = element(&html, "<p class=\"because\">", "</p>");
    assert_eq!(because, "Nothing in the journal matches what was asked for.");
}

/// Nodes, each with so many good calls and failures.
type Counts = &'static [(&'static str, usize, usize)];

/// A journal of several nodes.
fn nodes(place: &Place, counts: Counts) {
    let mut lines = String::new();
    for (node, good, failed) in counts {
        for number in 0..good + failed {
            let outcome = if number < *good { "ok" } else { "failed" };
            let cause = if number < *good { Value::Null } else { json!("apiserver-unreachable") };
            let record = json!({
                "schema": 1, "event": "end", "id": format!("{node}-{number}"), "time": "2026-11-21T10:00:00Z", "node": node, "command": "ADD",
                "plugin": "calico", "pod_namespace": "shop", "pod_name": format!("cart-{number}"), "outcome": outcome, "cause": cause, "duration_ms": 9.0,
            });
            lines.push_str(&record.to_string());
            lines.push('\n');
        }
    }
    fs::create_dir_all(place.path("log")).unwrap();
    fs::write(place.path("log/journal.jsonl"), lines).unwrap();
}

#[test]
fn one_node_or_the_whole_cluster() {
    let table: [(Counts, &[&str], &str); 4] = [
        (&[("a", 40, 1), ("b", 10, 30), ("c", 60, 0)], &[], "One node: b."),
        (&[("a", 30, 20), ("b", 28, 22), ("c", 35, 15)], &[], "The whole cluster: all 3 nodes."),
        (&[("a", 30, 1), ("b", 28, 0)], &[], "One node or the whole cluster? The journals do not tell."),
        (
            &[("a", 40, 1), ("b", 10, 30)],
            &["--failed"],
            "One node or the whole cluster? The journals do not tell.",
        ),
    ];
    for (counts, arguments, expected) in table {
        let place = Place::new();
        nodes(&place, counts);
        let html = html(&place, arguments);
        assert_eq!(element(&html, "<h1>", "</h1>"), expected, "{counts:?}");
        assert_eq!(html.matches("<table class=\"heat\">").count(), 1);
    }
}

#[test]
fn a_report_is_written_as_a_whole_and_for_its_owner_alone() {
    let place = history();
    fs::create_dir(place.path("out")).unwrap();
    let mut command = place.cli_command(&["report"]);
    let output = spawn(command.current_dir(place.path("out"))).wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("cniscope-report.html: 2 calls of 1 node, ") && told.ends_with("iB\n"),
        "{told}"
    );
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    let names: Vec<_> =
        fs::read_dir(place.path("out")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["cniscope-report.html"]);
    let path = place.path("out/cniscope-report.html");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // Whoever has the old one open keeps it.
    let old = File::open(&path).unwrap();
    let again = place.cli(&["report", "--failed", "--out", path.to_str().unwrap()]);
    assert_eq!(again.status, 0);
    let new = fs::read_to_string(&path).unwrap();
    assert_eq!(rows(&new).len(), 1);
    assert_eq!(rows(&std::io::read_to_string(old).unwrap()).len(), 2);
}

#[test]
fn what_is_no_file_is_written_to_and_not_replaced() {
    let place = history();
    let path = place.path("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::read_to_string(path).unwrap()
    });
    let ran = place.cli(&["report", "-O", path.to_str().unwrap()]);
    assert_eq!(ran.status, 0);
    assert!(reader.join().unwrap().starts_with("<!DOCTYPE html>"));
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let place = history();
    let path = place.path("nowhere/report.html");
    let (status, stdout, stderr) = complaint(&place.cli(&["report", "-O", path.to_str().unwrap()]));
    assert_eq!((status, stdout.as_str()), (2, ""));
    assert_eq!(
        place.steady(&stderr),
        "cniscope: cannot write PLACE/nowhere/report.html: No such file or directory (os error 2); use -O FILE for another\n"
    );
    let (status, _, stderr) = complaint(&place.cli(&["report", "-O", place.path("log").to_str().unwrap()]));
    assert_eq!(status, 2);
    let expected =
        "cniscope: cannot write PLACE/log: Is a directory (os error 21); use -O FILE for another\n";
    assert_eq!(place.steady(&stderr), expected);
}

#[test]
fn html_is_not_for_a_terminal() {
    let place = history();
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = place.cli_command(&["report", "-O", "-"]);
    command.stdout(Stdio::from(terminal.slave));
    let mut child = spawn(&mut command);
    drop(command);
    let mut printed = Vec::new();
    // It ends with EIO when nobody has the other side open any more.
    let _ = File::from(terminal.master).read_to_end(&mut printed);
    let output = child.stderr.take().map(std::io::read_to_string).unwrap().unwrap();
    assert_eq!((child.wait().unwrap().code(), printed), (Some(2), Vec::new()));
    assert_eq!(output, "cniscope: a report is an HTML file, not for a terminal; use -O FILE, or a pipe\n");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = history();
    let mut child = spawn(&mut place.cli_command(&["report", "-O", "-"]));
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn broken_lines_are_counted_in_the_report() {
    let place = history();
    let path = place.path("log/journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}junk\n\u{0}\u{1}\n")).unwrap();
    let html = html(&place, &[]);
    assert!(html.contains("<li>2 lines of the journal are broken, and passed over.</li>"), "{html}");
}
