//! The checks after a call that went well: whether the network is there that its result promises.
//!
//! They look after the answer has been given.

use super::evidence;
use crate::checks::subject::Subject;
use crate::checks::{self, Check, Depth};
use crate::cni::environment::Verb;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::{Finding, Status};
use crate::journal::record::Outcome;
use crate::node::Node;
use crate::settings::{Mode, Settings};

/// Runs them, on a subject that knows what the delegate has printed.
pub(super) fn run(node: &Node, settings: &Settings, subject: &Subject, outcome: Outcome) -> Vec<Finding> {
    let is_wanted =
        settings.verify && outcome == Outcome::Ok && matches!(subject.verb, Verb::Add | Verb::Check);
    if !is_wanted {
        return Vec::new();
    }
    let is_fitting = |check: &&Check| settings.mode(check.name) != Mode::Off && (check.fits)(subject);
    // Not in threads, which cost more than the looking: where the kernel is slow, it is the record that is late.
    let look = |check: &'static Check| {
        if check.of_the_node {
            evidence::sparing(check, node, subject)
        } else {
            checks::run(check, node, subject, Depth::Quick)
        }
    };
    checks::of_results().filter(is_fitting).map(look).collect()
}

/// The cause where one of them failed: there is no text that could tell another one.
pub(super) fn diagnose(found: &[Finding]) -> Option<Diagnosis> {
    let fault = found.iter().find(|finding| finding.status == Status::Fail)?;
    let cause = fault.cause.unwrap_or(Cause::Unknown);
    let well = found.iter().filter(|finding| finding.status == Status::Ok);
    Some(Diagnosis {
        cause,
        title: cause.entry().title.to_owned(),
        summary: fault.summary.clone(),
        evidence: vec![
            "the plugin said that all is well".to_owned(),
            format!("check {}: {}", fault.check, fault.summary),
        ],
        ruled_out: well.map(|finding| format!("{}: {}", finding.check, finding.summary)).collect(),
        fix: fault.fix.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_check_that_failed_makes_a_diagnosis() {
        let named = |check: &str, finding: Finding| Finding { check: check.into(), ..finding };
        let well = named("overlay", Finding::ok("flannel.1 is up"));
        let fault = Finding::fail(Cause::RouteConflict, "the default route is missing").fix("delete the Pod");
        assert_eq!(diagnose(&[well.clone(), named("attachment", Finding::skipped("late"))]), None);
        let diagnosis = diagnose(&[named("attachment", fault), well]).unwrap();
        assert_eq!(
            (diagnosis.cause, diagnosis.summary.as_str(), diagnosis.fix, diagnosis.ruled_out),
            (
                Cause::RouteConflict,
                "the default route is missing",
                vec!["delete the Pod".to_owned()],
                vec!["overlay: flannel.1 is up".to_owned()],
            )
        );
    }
}
