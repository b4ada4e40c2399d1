//! The command line as such: usage, help, colours, what is printed for a terminal.

use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Place, Ran, spawn};

/// A place with one good call and one that failed, all of whose texts hold what a terminal would act on.
fn hostile() -> Place {
    let place = Place::new();
    place.plugin("good", "echo '{\"cniVersion\":\"1.0.0\"}'");
    place.plugin(
        "bad",
        "cat <<'end'\n{\"code\":7,\"msg\":\"a\\u001b[31mb\\r\\u202e\"}\nend\nprintf '\\033]0;title\\007' >&2; exit 3",
    );
    for plugin in ["good", "bad"] {
        let call =
            place.wrapped("ADD", plugin).env("CNI_ARGS", "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=ca\x1b[2Jrt\n");
        call.env("CNI_CONTAINERID", "c\x07").config("key\u{1b}", json!("\u{9b}31m")).run();
    }
    place.ends(2);
    place
}

fn error(ran: &Ran) -> (i32, &[u8], String) {
    (ran.status, &ran.stdout, String::from_utf8(ran.stderr.clone()).unwrap())
}

#[test]
fn text_from_outside_is_harmless_for_a_terminal() {
    let place = hostile();
    for arguments in [
        &["journal"][..],
        &["journal", "-o", "wide"],
        &["journal", "-o", "json"],
        &["journal", "-o", "jsonl"],
        &["journal", "-o", "otlp"],
        &["show", "last"],
        &["show", "last-failed", "-o", "json"],
        &["show", "0"],
        &["stats", "-o", "wide"],
        &["stats", "--by", "pod"],
        &["stats", "-o", "json"],
        &["show", "\x1b[31m"],
        &["journal", "--since", "\x1b[31m"],
    ] {
        let ran = place.cli(arguments);
        let text = [ran.text(), String::from_utf8(ran.stderr).unwrap()].concat();
        let is_active =
            |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
        assert!(!text.is_empty() && !text.contains(is_active), "{arguments:?}: {text:?}");
    }
    let shown = place.cli(&["show", "last"]).text();
    for text in
        [r"shop/ca\u{1b}[2Jrt\n", r"container  c\u{7}", r"  a\u{1b}[31mb\r\u{202e}", r"  \u{1b}]0;title\u{7}"]
    {
        assert!(shown.contains(text), "{text} in {shown}");
    }
}

/// What is printed on a terminal.
fn on_terminal(place: &Place, variables: &[(&str, &str)]) -> String {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = place.cli_command(&["journal", "--utc"]);
    command.env("TERM", "xterm-256color").envs(variables.iter().copied());
    command.stdout(Stdio::from(terminal.slave)).stderr(Stdio::null());
    let mut child = spawn(&mut command);
    // The last descriptor of the terminal's other side, without which its end would not be seen.
    drop(command);
    let mut text = Vec::new();
    // It ends with EIO when nobody has the other side open any more.
    let _ = File::from(terminal.master).read_to_end(&mut text);
    assert!(child.wait().unwrap().success());
    String::from_utf8(text).unwrap().replace("\r\n", "\n")
}

#[test]
fn colours_are_for_terminals_and_not_where_no_color_is_set() {
    let place = hostile();
    let coloured = on_terminal(&place, &[]);
    assert!(coloured.contains("\x1b[1m\x1b[31mfailed\x1b[0m"), "{coloured:?}");
    let plain = on_terminal(&place, &[("NO_COLOR", "1")]);
    assert!(plain.contains("failed") && !plain.contains('\x1b'), "{plain:?}");
    assert_eq!(place.cli(&["journal", "--utc"]).text(), plain);
}

#[test]
fn help_is_no_error() {
    let ran = Place::new().cli(&["--help"]);
    insta::assert_snapshot!(ran.text(), @r#"
    Explains what CNI plugins do on this node: every call recorded, failures with their cause

    Usage: cniscope [OPTIONS] <COMMAND>

    Commands:
      agent        Keep the networks wrapped, and serve metrics
      bundle       Pack evidence of this node into one file, without secrets
      causes       List the causes that a diagnosis names
      completions  Print what a shell needs to complete the command line
      doctor       Examine this node now
      explain      Say the cause of an error text
      install      Put cniscope in the place of the plugins of this node's network
      journal      List calls
      man          Write the manual pages into a folder
      metrics      Tell Prometheus what was counted
      replay       Run a recorded call again, where it cannot change the node
      report       Write a report with charts: one HTML file
      show         Show one call with everything that is known of it
      stats        Count calls and failures, and how long they took
      status       Say what of cniscope stands on this node
      uninstall    Take cniscope out of this node

    Options:
      -h, --help     Print help
      -V, --version  Print version

    General options:
          --journal <DIR>  Folder of a journal, or a bundle; may be repeated [default: the settings', or
                           /var/log/cniscope]
          --lang <LANG>    Language of titles, explanations and fixes: en, ru, zh [default: that of
                           LC_ALL, LC_MESSAGES or LANG]
          --root <DIR>     Look at the node whose files stand below this folder [default: /]
          --utc            Show times in UTC instead of the local zone

    As a CNI plugin: put {"type": "cniscope", "cniscope": {"wraps": "PLUGIN"}} in PLUGIN's place in the
    conflist.
    Exit status: 0 fine (warnings too), 1 a problem was found, 2 wrong usage or it could not run.
    "#);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    let verbs = [
        "agent",
        "bundle",
        "causes",
        "completions",
        "doctor",
        "explain",
        "install",
        "journal",
        "man",
        "metrics",
        "report",
        "show",
        "stats",
        "status",
        "uninstall",
    ];
    for verb in verbs {
        let ran = Place::new().cli(&[verb, "--help"]);
        assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
        assert!(ran.text().contains(&format!("Usage: cniscope {verb} [OPTIONS]")), "{}", ran.text());
    }
}

#[test]
fn the_version_names_the_commit() {
    let ran = Place::new().cli(&["--version"]);
    let text = ran.text();
    let commit = text.strip_prefix("cniscope 0.1.0 (").and_then(|rest| rest.strip_suffix(")\n")).unwrap();
    assert!(commit.len() >= 7 && commit.chars().all(|digit| digit.is_ascii_hexdigit()), "{text}");
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_expected() {
    let place = hostile();
    for (arguments, expected) in [
        (&[][..], "error: 'cniscope' requires a subcommand but one was not provided\n"),
        (&["jurnal"], "error: unrecognized subcommand 'jurnal'\n"),
        (&["journal", "--faild"], "error: unexpected argument '--faild' found\n"),
        (&["show"], "error: the following required arguments were not provided:\n  <ID>\n"),
        (&["journal", "-o", "xml"], "error: invalid value 'xml' for '--output <OUTPUT>'\n"),
        (&["stats", "--by", "node"], "error: invalid value 'node' for '--by <BY>'\n"),
        (&["journal", "-n", "-1"], "error: unexpected argument '-1' found\n"),
        (
            &["journal", "--since", "soon"],
            "cniscope: --since \"soon\" is no time; expected 10m, 2h, 3d, today, yesterday, a date or RFC 3339\n",
        ),
        (
            &["journal", "--until", "24:00"],
            "cniscope: --until \"24:00\" is no time; expected 10m, 2h, 3d, today, yesterday, a date or RFC 3339\n",
        ),
        (
            &["journal", "--slower-than", "5"],
            "cniscope: --slower-than \"5\" is no duration; expected 500ms, 2s, 1m\n",
        ),
        (
            &["journal", "-f", "-o", "json"],
            "cniscope: -f does not go with -o json, which is one document; use -o jsonl\n",
        ),
    ] {
        let ran = place.cli(arguments);
        let (status, stdout, stderr) = error(&ran);
        assert_eq!((status, stdout), (2, b"".as_slice()), "{arguments:?}");
        assert!(stderr.starts_with(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_journal_that_is_not_there_is_an_error_with_what_to_do() {
    for arguments in
        [&["journal"][..], &["journal", "-o", "json"], &["report"], &["show", "last"], &["stats"]]
    {
        let place = Place::new();
        let ran = place.cli(arguments);
        assert_eq!((ran.status, ran.text()), (2, String::new()));
        assert_eq!(
            place.steady(&error(&ran).2),
            "cniscope: no journal in PLACE/log\n\
             No call has been recorded here yet: a conflist has to name cniscope in a plugin's place.\n\
             For a journal elsewhere: cniscope --journal DIR\n"
        );
    }
}

#[test]
fn arguments_make_it_a_command_line_even_with_the_variables_of_a_call() {
    let place = hostile();
    let mut call = place.wrapped("ADD", "good");
    call.command().args(["journal", "-n", "0", "-o", "json", "--journal"]).arg(place.path("log"));
    assert_eq!(call.run().answer(), (0, "[]\n".into(), String::new()));
}
