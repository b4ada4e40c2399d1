//! `cniscope causes`: the catalogue.

use serde_json::Value;

use crate::support::Place;

#[test]
fn the_list_names_every_cause_by_subject() {
    let ran = Place::new().cli(&["causes"]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    let text = ran.text();
    assert!(
        text.starts_with("Plugins and configuration\n  plugin-not-found          a plugin binary is not on")
    );
    assert!(text.ends_with(
        "  unknown                   the cause is not known\n\nMore of one: cniscope causes ID\n"
    ));
    // 43 causes and `unknown`.
    assert_eq!(text.lines().filter(|line| line.starts_with("  ")).count(), 44, "{text}");
}

#[test]
fn a_page_tells_what_to_do() {
    let ran = Place::new().cli(&["causes", "Chain-Order-Wrong"]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r#"
    chain-order-wrong: a chained plugin runs where it cannot

      Plugins as portmap, bandwidth or tuning work on the result of the plugin before them, and got none. The plugin stands first in the list or alone in a .conf file, or the one before it made no interface.

      text       Required prevResult missing
                 must be called as chained plugin
      checks     config
      fix 1      put the plugin behind the one that makes the interface
      fix 2      turn a single .conf into a .conflist that has both plugins
      fix 3      destructive: if the cached result of the Pod was lost, delete the Pod: a new sandbox is made
      verify     cniscope doctor config
                 grep -n '"type"' /etc/cni/net.d/*
    "#);
}

#[test]
fn as_json_every_cause_has_all_its_fields() {
    let ran = Place::new().cli(&["causes", "-o", "json"]);
    let causes: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(causes.len(), 44);
    for cause in &causes {
        let keys: Vec<&String> = cause.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["id", "title", "about", "texts", "checks", "fix", "verify", "hides"]);
    }
    let one = Place::new().cli(&["causes", "ipam-exhausted", "-o", "json"]).json();
    assert_eq!(Some(&one), causes.iter().find(|cause| cause["id"] == "ipam-exhausted"));
}

#[test]
fn as_markdown_it_is_the_document_of_the_repository() {
    let ran = Place::new().cli(&["causes", "-o", "markdown"]);
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md")).unwrap();
    assert!(ran.text() == document, "run: cniscope causes -o markdown >docs/causes.md");
    let section = Place::new().cli(&["causes", "disk-full", "-o", "markdown"]).text();
    assert!(section.starts_with("### disk-full\n") && document.contains(&section), "{section}");
}

#[test]
fn a_cause_that_is_none_is_wrong_usage() {
    let ran = Place::new().cli(&["causes", "rain\u{1b}"]);
    let expected = "cniscope: no cause \"rain\\\\u{1b}\"; cniscope causes lists all of them\n";
    assert_eq!((ran.status, ran.stdout.as_slice()), (2, b"".as_slice()));
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), expected);
}
