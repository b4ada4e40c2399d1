//! The exit status of every verb: 0 fine, 1 a problem was found, 2 wrong usage or it could not run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::Place;

/// A place with a call that failed, and two nodes: one that is well, and one that misses a plugin.
fn place() -> Place {
    let place = Place::new();
    place.plugin("bad", "echo '{\"code\":7,\"msg\":\"no\"}'; exit 3");
    place.wrapped("ADD", "bad").run();
    place.end();
    for (node, plugin) in [("well", "opt/cni/bin/dummy"), ("ill", "opt/cni/bin/other")] {
        for (path, content) in [
            ("bin/sh", "#!/bin/sh"),
            (plugin, "#!/bin/sh"),
            (
                "etc/cni/net.d/10-pods.conflist",
                r#"{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"dummy"}]}"#,
            ),
        ] {
            place.put(&format!("{node}/{path}"), content);
        }
    }
    fs::write(place.path("file"), "").unwrap();
    place
}

/// Arguments, in which `PLACE` is the place, and the status.
const TABLE: &[(&str, i32)] = &[
    ("--help", 0),
    ("--version", 0),
    ("", 2),
    ("no-such-verb", 2),
    ("agent --root PLACE/none", 2),
    ("agent --root PLACE/well --listen 192.0.2.1:1", 2),
    ("agent --doctor-every 1s", 2),
    ("bundle --root PLACE/well -O PLACE/bundle.tar.gz", 0),
    ("bundle --check PLACE/bundle.tar.gz", 0),
    ("bundle --root PLACE/none -O PLACE/none.tar.gz", 2),
    ("bundle -O PLACE/none/bundle.tar.gz --root PLACE/well", 2),
    ("bundle --check PLACE/file", 2),
    ("causes", 0),
    ("causes disk-full", 0),
    ("causes -o json", 0),
    ("causes no-such-cause", 2),
    ("completions bash", 0),
    ("completions tcsh", 2),
    ("completions", 2),
    ("doctor plugin-binary --root PLACE/well", 0),
    ("doctor plugin-binary --root PLACE/well -o json", 0),
    ("doctor plugin-binary --root PLACE/ill", 1),
    ("doctor plugin-binary --root PLACE/ill -o json", 1),
    ("doctor plugin-binary --root PLACE/ill --one-line", 1),
    ("doctor netns --root PLACE/well", 2),
    ("doctor --root PLACE/none", 2),
    ("doctor no-such-check", 2),
    ("explain no IP ranges specified", 0),
    ("explain it rained", 0),
    ("explain", 2),
    ("install --root PLACE/well --dry-run", 0),
    ("install --root PLACE/well", 0),
    ("install --root PLACE/ill", 1),
    ("install --root PLACE/none", 2),
    ("install --root PLACE/well --conf-dir /none", 2),
    ("journal", 0),
    ("journal --failed -o jsonl", 0),
    ("journal --plugin none", 0),
    ("journal --since soon", 2),
    ("journal --journal PLACE/none", 2),
    ("man PLACE/man", 0),
    ("man PLACE/file", 2),
    ("man", 2),
    ("metrics --root PLACE/well --state PLACE/state", 0),
    ("metrics --root PLACE/well --state PLACE/state --textfile PLACE/none/cniscope.prom", 2),
    ("metrics --textfile name", 2),
    ("replay --plugin", 2),
    ("report -O PLACE/report.html", 0),
    ("report -O PLACE/none/report.html", 2),
    ("report --journal PLACE/none", 2),
    ("show last", 0),
    ("show last-failed -o json", 0),
    ("show ffffffff", 2),
    ("show last --journal PLACE/none", 2),
    ("show", 2),
    ("stats", 0),
    ("stats -o json", 0),
    ("stats --by weather", 2),
    ("stats --journal PLACE/none", 2),
    ("status --root PLACE/well", 0),
    ("status --root PLACE/well -o json", 0),
    ("status --root PLACE/none", 2),
    ("uninstall --root PLACE/well --dry-run", 0),
    ("uninstall --root PLACE/well", 0),
    ("uninstall --root PLACE/none", 2),
    ("uninstall --wait soon", 2),
];
/// What runs only as root, in namespaces: its other statuses are tested with real plugins.
const NEEDS_ROOT: &str = "replay";
/// What goes on until it is told to end, and exits with 0 then: that is tested with those that end it.
const GOES_ON: &str = "agent";

#[test]
fn every_verb_exits_with_what_its_help_says() {
    let place = place();
    for (arguments, status) in TABLE {
        let arguments = arguments.replace("PLACE", place.path("").to_str().unwrap().trim_end_matches('/'));
        let log = place.path("log");
        let (words, journal) = match arguments.split_once(" --journal ") {
            Some((words, journal)) => (words, Path::new(journal)),
            None => (arguments.as_str(), log.as_path()),
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        let ran = Place::cli_on(journal, &words);
        assert_eq!(ran.status, *status, "{arguments}: {ran:?}");
        // Why it could not run stands on stderr; that doctor had nothing to look at is what it found.
        let is_told = !ran.stderr.is_empty() || arguments.starts_with("doctor netns");
        assert!(*status < 2 || is_told, "{arguments}: {ran:?}");
    }
}

#[test]
fn every_verb_has_its_rows_and_says_so_in_its_help() {
    let help = Place::new().cli(&["--help"]).text();
    let verbs = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for verb in verbs.lines().map(|line| line.split_whitespace().next().unwrap()) {
        let of_verb = TABLE.iter().filter(|(arguments, _)| arguments.split(' ').next() == Some(verb));
        let statuses: BTreeSet<i32> = of_verb.map(|(_, status)| *status).collect();
        let expected =
            if [NEEDS_ROOT, GOES_ON].contains(&verb) { BTreeSet::from([2]) } else { BTreeSet::from([0, 2]) };
        assert!(statuses.is_superset(&expected), "{verb}: {statuses:?}");
        let help = Place::new().cli(&[verb, "--help"]).text();
        let expected =
            "Exit status: 0 fine (warnings too), 1 a problem was found, 2 wrong usage or it could not run.";
        let joined = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(expected), "{help}");
    }
}
