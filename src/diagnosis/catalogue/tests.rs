//! What holds for the whole table.

use std::collections::BTreeSet;

use super::*;

/// The checks of the design: an entry may name one before it is written.
const CHECKS: [&str; 24] = [
    "plugin-binary",
    "config",
    "cni-version",
    "ipam-pool",
    "bridge",
    "flannel",
    "calico",
    "cilium",
    "netns",
    "interface",
    "iptables",
    "conntrack",
    "disk",
    "limits",
    "kernel",
    "sysctl",
    "clock",
    "cidr",
    "apiserver",
    "runtime",
    "agent",
    "attachment",
    "overlay",
    "leftovers",
];

fn known() -> impl Iterator<Item = &'static Entry> {
    entries().filter(|entry| entry.cause != Cause::Unknown)
}

#[test]
fn ids_are_those_that_are_serialised_and_are_there_once() {
    let mut ids = BTreeSet::new();
    for entry in entries() {
        assert_eq!(serde_json::to_value(entry.cause).unwrap(), entry.id);
        assert_eq!((entry.cause.id(), Cause::from_id(entry.id)), (entry.id, Some(entry.cause)));
        assert!(ids.insert(entry.id), "{} is there twice", entry.id);
    }
    assert_eq!(entries().last().unwrap().cause, Cause::Unknown);
}

#[test]
fn every_cause_has_its_entry() {
    // `unknown` is the last of the enum, so its number is that of the others.
    assert_eq!(entries().count(), Cause::Unknown as usize + 1);
    assert_eq!(Cause::from_id("it-rained"), None);
}

#[test]
fn every_cause_but_unknown_has_checks_fixes_and_commands_that_verify_it() {
    for entry in known() {
        assert!(
            !entry.checks.is_empty() && !entry.fix.is_empty() && !entry.verify.is_empty(),
            "{}",
            entry.id
        );
    }
}

#[test]
fn the_checks_are_those_of_the_design() {
    for entry in entries() {
        for check in entry.checks {
            assert!(CHECKS.contains(check), "{}: {check}", entry.id);
        }
    }
    for check in crate::checks::names() {
        assert!(CHECKS.contains(&check), "{check} is not in the list of this test");
    }
}

#[test]
fn every_check_can_tell_some_cause() {
    let named: BTreeSet<_> = entries().flat_map(|entry| entry.checks).copied().collect();
    assert_eq!(named, CHECKS.into_iter().collect());
}

#[test]
fn what_destroys_something_stands_behind_what_does_not_and_is_never_the_only_fix() {
    for entry in known() {
        assert!(!entry.fix[0].destroys, "{}", entry.id);
        assert!(entry.fix.is_sorted_by_key(|fix| fix.destroys), "{}", entry.id);
    }
}

#[test]
fn a_fix_that_destroys_something_says_so_where_it_is_shown() {
    assert_eq!(safe("wait").to_string(), "wait");
    assert_eq!(destructive("reboot").to_string(), "destructive: reboot");
    for fix in known().flat_map(|entry| entry.fix) {
        assert!(!fix.text.contains(DESTRUCTIVE), "{}", fix.text);
    }
}

#[test]
fn commands_that_verify_change_nothing() {
    let changing = [
        " rm ",
        "delete",
        " -F",
        " flush",
        "restart",
        " kill",
        "apply",
        "chmod",
        "mount -o",
        "sysctl -w",
        " -D ",
    ];
    for entry in entries() {
        for command in entry.verify {
            let padded = format!(" {command} ");
            assert!(changing.iter().all(|word| !padded.contains(word)), "{}: {command}", entry.id);
        }
    }
}

#[test]
fn no_cause_hides_itself_or_unknown_and_none_that_hides_it() {
    for entry in entries() {
        for hidden in entry.hides {
            assert!(*hidden != entry.cause && *hidden != Cause::Unknown, "{}", entry.id);
            assert!(!hidden.entry().hides.contains(&entry.cause), "{} and {hidden}", entry.id);
        }
    }
}

#[test]
fn every_cause_is_told_by_the_texts_that_it_names() {
    for entry in known() {
        assert!(!entry.texts.is_empty(), "{}", entry.id);
        for text in entry.texts {
            for around in ["", "plugin type=\"x\" name=\"y\" failed (add): "] {
                let cause = crate::diagnosis::reading::read(&format!("{around}{text}"), &[]).cause;
                assert_eq!(cause, entry.cause, "{around}{text}");
            }
        }
    }
}

#[test]
fn texts_are_short_sentences_in_ascii() {
    for entry in entries() {
        let fixes = entry.fix.iter().map(|fix| fix.text);
        for text in fixes.chain([entry.title, entry.about]).chain(entry.verify.iter().copied()) {
            assert!(text.is_ascii() && !text.contains("  ") && text.trim() == text, "{}: {text}", entry.id);
        }
        assert!(entry.title.len() <= 80 && !entry.title.ends_with('.'), "{}: {}", entry.id, entry.title);
        let sentences = entry.about.split_inclusive(['.', '?']).count();
        assert!(entry.about.ends_with('.') && entry.about.len() < 500 && sentences >= 2, "{}", entry.id);
    }
}
