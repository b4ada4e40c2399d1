//! The checks before the delegate: those that fit the call.

use std::time::Duration;

use super::super::messages::Denial;
use crate::checks::subject::Subject;
use crate::checks::{self, Check, Depth};
use crate::cni::environment::Verb;
use crate::diagnosis::finding::{Finding, Status};
use crate::node::Node;
use crate::settings::{Mode, Settings};

/// Unless they decide about the call, it need not wait for these. What the first three look at, no delegate changes. And for the
/// lock under which the kernel tells of a bridge calls queue where many Pods start at once, for tens of milliseconds: there
/// the question is before those of the delegate.
const UNWAITED: [&str; 4] = ["plugin-binary", "config", "netns", "bridge"];

/// A check, and how closely it looks.
type Look = (&'static Check, Depth);

/// Runs those of them that the delegate has to wait for, one after the other.
pub(super) fn run(node: &Node, subject: &Subject, looks: &[Look]) -> Vec<Finding> {
    let waited_for = looks.iter().filter(|look| !can_wait(look));
    waited_for.map(|(check, depth)| checks::run(check, node, subject, *depth)).collect()
}

/// Runs the others, and gives the findings of all in the order of the table.
pub(super) fn complete(
    node: &Node,
    subject: &Subject,
    looks: &[Look],
    waited_for: Vec<Finding>,
) -> Vec<Finding> {
    let mut waited_for = waited_for.into_iter();
    let finding = |look: &Look| {
        if can_wait(look) { Some(checks::run(look.0, node, subject, look.1)) } else { waited_for.next() }
    };
    looks.iter().filter_map(finding).collect()
}

fn can_wait((check, depth): &Look) -> bool {
    *depth == Depth::Quick && UNWAITED.contains(&check.name)
}

/// What is known of them where they did not answer within `limit`.
pub(super) fn late(settings: &Settings, subject: &Subject, limit: Duration) -> Vec<Finding> {
    fitting(settings, subject).into_iter().map(|(check, _)| checks::late(check, limit)).collect()
}

/// Those that fit the call.
pub(super) fn fitting(settings: &Settings, subject: &Subject) -> Vec<Look> {
    let fitting = checks::TABLE.iter().filter(|check| (check.fits)(subject));
    let look = |check: &'static Check| match settings.mode(check.name) {
        Mode::Off => None,
        Mode::Warn => check.before.then_some((check, Depth::Quick)),
        // What decides about a call is looked at closely.
        Mode::Deny => Some((check, Depth::Full)),
    };
    fitting.filter_map(look).collect()
}

/// Whether a check that is set to deny refuses this ADD.
pub(super) fn denial(settings: &Settings, verb: &Verb, findings: &[Finding]) -> Option<Denial> {
    if *verb != Verb::Add {
        return None;
    }
    let denies =
        |finding: &&Finding| finding.status == Status::Fail && settings.mode(&finding.check) == Mode::Deny;
    let finding = findings.iter().find(denies)?;
    Some(Denial { check: finding.check.clone(), summary: finding.summary.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::catalogue::Cause;

    #[test]
    fn only_a_check_that_failed_and_is_set_to_deny_refuses_only_an_add() {
        let entry = br#"{"checks":{"bridge":"deny","netns":"deny"}}"#;
        let settings = Settings::of_entry(Some(entry));
        let named = |check: &str, finding: Finding| Finding { check: check.into(), ..finding };
        let failed = named("bridge", Finding::fail(Cause::BridgeWrongKind, "br0 is a veth"));
        let denied =
            |verb: Verb, finding: &Finding| denial(&settings, &verb, std::slice::from_ref(finding)).is_some();
        assert!(denied(Verb::Add, &failed));
        assert!(!denied(Verb::Del, &failed));
        assert!(!denied(Verb::Add, &named("netns", Finding::skipped("late"))));
        assert!(!denied(Verb::Add, &named("netns", Finding::warn("odd"))));
        assert!(!denied(Verb::Add, &named("interface", Finding::fail(Cause::InterfaceExists, "eth0"))));
    }

    #[test]
    fn the_delegate_waits_for_what_it_changes_and_for_what_decides() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let subject =
            Subject { plugin: "bridge".into(), netns: "/run/netns/pod".into(), ..Subject::default() };
        let names = |findings: &[Finding]| findings.iter().map(|one| one.check.clone()).collect::<Vec<_>>();
        for (entry, waited_for) in [
            (r"{}", &["interface"][..]),
            (r#"{"checks":{"config":"deny"}}"#, &["config", "interface"]),
            (r#"{"checks":{"bridge":"deny"}}"#, &["interface", "bridge"]),
            (r#"{"checks":{"interface":"off"}}"#, &[]),
        ] {
            let settings = Settings::of_entry(Some(entry.as_bytes()));
            let looks = fitting(&settings, &subject);
            let before = run(&node, &subject, &looks);
            assert_eq!(names(&before), waited_for, "{entry}");
            let all = names(&complete(&node, &subject, &looks, before));
            let wanted: Vec<&str> = looks.iter().map(|(check, _)| check.name).collect();
            assert_eq!(all, wanted, "{entry}");
        }
    }

    #[test]
    fn checks_that_are_late_are_skipped_with_the_reason() {
        let settings = Settings::of_entry(Some(br#"{"checks":{"bridge":"off","iptables":"deny"}}"#));
        let subject = Subject { plugin: "bridge".into(), ..Subject::default() };
        let late = late(&settings, &subject, Duration::from_millis(40));
        let named: Vec<_> = late.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(named, ["plugin-binary", "config", "netns", "interface", "iptables"]);
        for finding in late {
            assert_eq!(
                (finding.status, finding.summary.as_str()),
                (Status::Skipped, "did not answer within 40 ms")
            );
        }
    }
}
