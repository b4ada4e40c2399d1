//! `cniscope show`: one call with everything that is known of it.

use serde_json::{Value, json};

use crate::support::{Place, Ran};

/// A place with a call that failed and a later one that went well, and their end records.
fn two_calls() -> (Place, Value, Value) {
    let place = Place::new();
    place.plugin("bad", r#"echo '{"code":7,"msg":"no","details":"why"}'; echo words >&2; exit 3"#);
    place.plugin("good", "echo '{\"cniVersion\":\"1.0.0\"}'");
    place.wrapped("ADD", "bad").env("CNI_ARGS", "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart").run();
    let bad = place.end();
    place.wrapped("DEL", "good").run();
    let good = place.ends(2).remove(1);
    (place, bad, good)
}

/// What is shown, with what differs from call to call replaced by its name: a value together with the word before it,
/// since two may be the same (a plugin that was written in the millisecond of its call).
fn masked(place: &Place, ran: &Ran, end: &Value) -> String {
    let text = |field: &str| end[field].as_str().unwrap();
    let shown_time = |time: &str| format!("{} {} +00:00", &time[..10], &time[11..23]);
    let caller = format!("{} (pid {})", end["caller"]["name"].as_str().unwrap(), end["caller"]["pid"]);
    let shown = place
        .steady(&ran.text())
        .replace(text("id"), "ID")
        .replace(&format!("time       {}", shown_time(text("time"))), "time       TIME")
        .replace(&format!("changed {}", shown_time(text("plugin_mtime"))), "changed MTIME")
        .replace(&caller, "CALLER")
        .replace(&caller.replace(" (", ", ").replace(')', ""), "CALLER")
        .replace(&format!("node       {}", text("node")), "node       NODE")
        .replace(&format!("pid {}", end["plugin_pid"]), "pid PID");
    let measured = |line: &str| match line.split_once(" after ") {
        _ if line.starts_with("  took ") => "  took       MEASURED".to_owned(),
        _ if line.starts_with("  used ") => "  used       MEASURED".to_owned(),
        Some((start, _)) => format!("{start} after MEASURED"),
        None => line.to_owned(),
    };
    let mut section = "";
    let mut lines = Vec::new();
    for line in shown.lines() {
        if !line.starts_with([' ', '>']) {
            section = line.split(' ').next().unwrap_or_default();
        }
        let is_of_calls = section == "timeline" || (section == "calls" && line.starts_with([' ', '>']));
        lines.push(if is_of_calls { without_numbers(line) } else { measured(line) });
    }
    lines.join("\n")
}

/// A line without what differs from call to call: words that begin with a digit, ids, and their units.
fn without_numbers(line: &str) -> String {
    let is_id = |word: &str| word.len() == 8 && word.chars().all(|digit| digit.is_ascii_hexdigit());
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit() || first == '+');
    let is_unit = |word: &str| matches!(word, "ms" | "s" | "ms," | "s,");
    let words = line.split_whitespace().filter(|word| !is_id(word) && !is_number(word) && !is_unit(word));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_failed_call_is_shown_whole() {
    let (place, bad, _) = two_calls();
    let ran = place.cli(&["show", "last-failed", "--utc"]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(masked(&place, &ran, &bad), @r#"
    ADD shop/cart by bad: failed after MEASURED

    cause: unknown
      the cause is not known
      ruled out: plugin-binary, config
      evidence   check netns: /proc/self/ns/net is the plugin's own network namespace
      ruled out  plugin-binary: bad can be executed
                 config: the entry has no mistake that is known

    call
      id         ID
      time       TIME
      node       NODE
      container  container1
      interface  eth0 in /proc/self/ns/net
      network    net, version 1.0.0
      plugin     PLACE/bin/bad, 79 B, changed MTIME
      called by  CALLER
      took       MEASURED
      ended with exit status 3, pid PID
      used       MEASURED

    timeline
    begin CALLER
    checks plugin-binary config netns
    delegate bad ran exit status
    diagnosis unknown
    end failed, of it in cniscope

    plugin's error (code 7)
      no
      why

    returned (code 7)
      plugin type="bad" failed (add): no
      why [cniscope: unknown cause; ruled out: plugin-binary, config; see: cniscope show ID]

    checks
      ok      plugin-binary  bad can be executed
      ok      config         the entry has no mistake that is known
      warn    netns          /proc/self/ns/net is the plugin's own network namespace
              path: /proc/self/ns/net

    stderr
      words

    configuration
      {
        "cniVersion": "1.0.0",
        "name": "net",
        "type": "cniscope",
        "cniscope": {
          "wraps": "bad"
        }
      }

    environment
      CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart
      CNI_COMMAND=ADD
      CNI_CONTAINERID=container1
      CNI_IFNAME=eth0
      CNI_NETNS=/proc/self/ns/net
      CNI_PATH=PLACE/bin
      PATH=/usr/sbin:/usr/bin:/sbin:/bin
    "#);
}

#[test]
fn the_last_call_is_shown() {
    let (place, _, good) = two_calls();
    let ran = place.cli(&["show", "last", "--utc"]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(masked(&place, &ran, &good), @r#"
    DEL container1 by good: ok after MEASURED

    call
      id         ID
      time       TIME
      node       NODE
      container  container1
      interface  eth0 in /proc/self/ns/net
      network    net, version 1.0.0
      plugin     PLACE/bin/good, 40 B, changed MTIME
      called by  CALLER
      took       MEASURED
      ended with exit status 0, pid PID
      used       MEASURED

    timeline
    begin CALLER
    checks plugin-binary config
    delegate good ran exit status
    end ok, of it in cniscope

    checks
      ok      plugin-binary  good can be executed
      ok      config         the entry has no mistake that is known

    calls for this container
    TIME VERB POD PLUGIN TOOK OUTCOME CAUSE ID
    ADD shop/cart bad failed unknown
    > DEL container1 good ok

    result
      {
        "cniVersion": "1.0.0"
      }

    configuration
      {
        "cniVersion": "1.0.0",
        "name": "net",
        "type": "cniscope",
        "cniscope": {
          "wraps": "good"
        }
      }

    environment
      CNI_COMMAND=DEL
      CNI_CONTAINERID=container1
      CNI_IFNAME=eth0
      CNI_NETNS=/proc/self/ns/net
      CNI_PATH=PLACE/bin
      PATH=/usr/sbin:/usr/bin:/sbin:/bin
    "#);
}

#[test]
fn json_is_the_record() {
    let (place, bad, good) = two_calls();
    assert_eq!(place.cli(&["show", "last-failed", "-o", "json"]).json(), bad);
    assert_eq!(place.cli(&["show", "last", "-o", "json"]).json(), good);
}

#[test]
fn an_id_may_be_shortened_at_either_end() {
    let (place, bad, _) = two_calls();
    let id = bad["id"].as_str().unwrap();
    for id in [id, &id[28..], &id[..30], &id.to_uppercase()] {
        let ran = place.cli(&["show", id, "-o", "json"]);
        assert_eq!((ran.status, ran.json()), (0, bad.clone()), "{id}");
    }
}

#[test]
fn an_id_that_fits_several_calls_lists_them() {
    let (place, bad, good) = two_calls();
    let ran = place.cli(&["show", "0"]);
    assert_eq!((ran.status, ran.text()), (2, String::new()));
    let stderr = String::from_utf8(ran.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines[0], "cniscope: 2 calls fit \"0\":");
    let ids: Vec<&str> = lines[2..].iter().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(ids, [&bad["id"].as_str().unwrap()[28..], &good["id"].as_str().unwrap()[28..]]);
}

#[test]
fn an_id_that_fits_no_call_is_an_error() {
    let (place, _, _) = two_calls();
    for id in ["zzz", "01a1fea9-738b-7663-9cd6-c32d8d5fbfab-"] {
        let ran = place.cli(&["show", id]);
        assert_eq!((ran.status, ran.text()), (2, String::new()), "{id}");
        let expected =
            format!("cniscope: no call {id:?} in PLACE/log; `cniscope journal` lists those that are there\n");
        assert_eq!(place.steady(&String::from_utf8(ran.stderr).unwrap()), expected);
    }
}

#[test]
fn without_a_failure_there_is_no_last_one() {
    let place = Place::new();
    place.plugin("good", "echo '{}'");
    place.wrapped("ADD", "good").run();
    place.end();
    let ran = place.cli(&["show", "last-failed"]);
    assert_eq!((ran.status, ran.text()), (2, String::new()));
    assert_eq!(
        place.steady(&String::from_utf8(ran.stderr).unwrap()),
        "cniscope: no call \"last-failed\" in PLACE/log; `cniscope journal` lists those that are there\n"
    );
}

#[test]
fn what_was_seen_of_a_plugin_that_hung_is_shown() {
    let place = Place::new();
    place.plugin("hanging", "exec sleep 60");
    place.wrapped("ADD", "hanging").entry("deadlineSeconds", json!({"ADD": 3})).run();
    place.end();
    let shown = place.cli(&["show", "last"]).text();
    let part = shown.split("\nhanging (1, after ").nth(1).unwrap();
    assert!(part.contains("\"command_line\": \"sleep 60\""), "{shown}");
}

#[test]
fn a_container_or_a_pod_means_its_last_add_or_failure() {
    let place = Place::new();
    place.plugin("bad", "exit 1");
    place.plugin("good", "echo '{}'");
    let args = |pod: &str| format!("K8S_POD_NAMESPACE=shop;K8S_POD_NAME={pod}");
    let calls =
        [("ADD", "bad", "4abc", "cart"), ("DEL", "good", "4abc", "cart"), ("DEL", "good", "5def", "web")];
    for (count, (verb, plugin, container, pod)) in (1..).zip(calls) {
        place.wrapped(verb, plugin).env("CNI_ARGS", args(pod)).env("CNI_CONTAINERID", container).run();
        place.ends(count);
    }
    let ends = place.ends(3);
    for (name, expected) in [("shop/cart", 0), ("cart", 0), ("shop/web", 2), ("last", 2), ("last-failed", 0)]
    {
        let ran = place.cli(&["show", name, "-o", "json"]);
        assert_eq!((ran.status, ran.json()), (0, ends[expected].clone()), "{name}");
    }
    let ran = place.cli(&["show", "shop/other"]);
    assert_eq!((ran.status, ran.text()), (2, String::new()));
}

#[test]
fn a_part_is_given_as_it_was_recorded() {
    let (place, bad, good) = two_calls();
    let json = |value: &Value| format!("{value}\n");
    let table = [
        (&bad, "--config", json(&bad["config"]), ""),
        (&bad, "--stdout", json(&bad["error"]), ""),
        (&bad, "--stderr", "words\n".to_owned(), ""),
        (&good, "--stdout", json(&good["result"]), ""),
        (&good, "--stderr", String::new(), "the record has no stderr\n"),
    ];
    for (end, part, stdout, stderr) in table {
        let ran = place.cli(&["show", end["id"].as_str().unwrap(), part]);
        assert_eq!(ran.answer(), (0, stdout, stderr.to_owned()), "{part}");
    }
    assert_eq!(place.cli(&["show", "last", "--config", "--stderr"]).status, 2);
}

#[test]
fn what_was_redacted_in_a_part_is_said() {
    let place = Place::new();
    place.plugin("good", "echo 'token=abcdefghijklmnop0123456789' >&2; printf '\\033[31mred' >&2; echo '{}'");
    place.wrapped("ADD", "good").config("password", json!("hunter2")).run();
    place.end();
    let ran = place.cli(&["show", "last", "--config"]);
    assert_eq!((ran.status, &ran.json()["password"]), (0, &json!("<redacted>")));
    assert_eq!(
        String::from_utf8(ran.stderr).unwrap(),
        "1 value was redacted when it was recorded: <redacted>\n"
    );
    let stderr = place.cli(&["show", "last", "--stderr"]).text();
    assert!(stderr.ends_with("\u{1b}[31mred") && !stderr.contains("abcdefghijklmnop"), "{stderr:?}");
}
