//! The checks before the delegate: those that fit the call.

use super::super::messages::Denial;
use crate::checks::subject::Subject;
use crate::checks::{self, Depth};
use crate::cni::environment::Verb;
use crate::diagnosis::finding::{Finding, Status};
use crate::node::Node;
use crate::settings::{Mode, Settings};

/// Runs them, one after the other.
pub(super) fn run(node: &Node, settings: &Settings, subject: &Subject) -> Vec<Finding> {
    let fitting = checks::TABLE.iter().filter(|check| (check.fits)(subject));
    fitting
        .filter_map(|check| match settings.mode(check.name) {
            Mode::Off => None,
            Mode::Warn if !check.before => None,
            Mode::Warn => Some(checks::run(check, node, subject, Depth::Quick)),
            // What decides about a call is looked at closely.
            Mode::Deny => Some(checks::run(check, node, subject, Depth::Full)),
        })
        .collect()
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
}
