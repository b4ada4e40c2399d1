//! An examination of the node: all checks, of every entry of its network configurations and of the node as such.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::networks::Folder;
use super::subject::{Origin, Subject};
use super::{Check, Depth, TABLE, run, run_each};
use crate::diagnosis::Diagnosis;
use crate::diagnosis::catalogue::{Cause, DESTRUCTIVE};
use crate::diagnosis::finding::{Finding, Status};
use crate::diagnosis::own::Own;
use crate::diagnosis::reason::{self, Happened};
use crate::node::{Node, bounded, clock};

/// The version of what [`Examination`] is as JSON.
const SCHEMA: u32 = 1;

/// What is said of an entry in a file that the runtime does not take.
pub const NOT_TAKEN: &str = ", which the runtime does not take";

/// What is to be examined, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The names of the checks; all of them where there are none.
    pub checks: Vec<String>,
    /// The folder of the network configurations.
    pub conf_dir: PathBuf,
    /// The folders of the plugins.
    pub bin_folders: Vec<PathBuf>,
    /// The text of a Pod's event, or of another error, which is judged with what is found.
    pub event: Option<String>,
    /// The signatures of this node's owner, which such a text is read by.
    pub own: Vec<Own>,
    /// The overlay's addresses of other nodes, which are asked whether they answer.
    pub peers: Vec<IpAddr>,
    /// How long a check may take.
    pub limit: Duration,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// The version of this form.
    pub schema: u32,
    /// The node's name.
    pub node: String,
    /// When it began, as RFC 3339.
    pub time: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The worst of the findings.
    pub status: Status,
    /// What to do first. `None` where nothing is wrong.
    pub first: Option<First>,
    /// The cause of the event that was asked about.
    pub event: Option<Diagnosis>,
    /// The networks of the node, in the runtime's order.
    pub networks: Vec<Seen>,
    /// The findings, the worst first.
    pub findings: Vec<Examined>,
}

/// A network that is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Its plugins, in their order.
    pub plugins: Vec<String>,
    /// Those of them in whose place cniscope stands.
    pub wrapped: Vec<String>,
    /// Whether the runtime takes it.
    pub taken: bool,
}

/// A finding, and what it is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examined {
    /// The finding. Where the check itself knows no fix, those of its cause are in it.
    #[serde(flatten)]
    pub finding: Finding,
    /// The entries that it is about, such as `bridge in 10-pods.conflist`. Empty where it is about the node.
    pub about: Vec<String>,
}

/// The one thing to do first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct First {
    /// The check whose finding it mends; `None` where it follows from the event alone.
    pub check: Option<String>,
    /// What to do.
    pub fix: String,
}

/// Examines the node.
#[must_use]
pub fn examine(node: &Node, plan: &Plan) -> Examination {
    let (time, started) = (SystemTime::now(), Instant::now());
    let folder = read(node, plan);
    let mut subjects = folder.subjects(&plan.bin_folders);
    for subject in &mut subjects {
        subject.peers.clone_from(&plan.peers);
    }
    let wanted = |check: &&Check| plan.checks.is_empty() || plan.checks.iter().any(|name| name == check.name);
    let mut work = Vec::new();
    let mut about = Vec::new();
    let mut findings = Vec::new();
    for check in TABLE.iter().filter(wanted) {
        let fitting = fitting(check, &subjects);
        if fitting.is_empty() && !plan.checks.is_empty() {
            let nothing = Finding::skipped("there is nothing on this node that it looks at");
            let finding = Finding { check: check.name.to_owned(), ..nothing };
            findings.push(Examined { finding, about: Vec::new() });
        }
        for subject in fitting {
            about.push(subject);
            let (node, subject) = (node.clone(), subject.clone());
            work.push((check, move || run(check, &node, &subject, Depth::Full)));
        }
    }
    for (finding, subject) in run_each(work, plan.limit).into_iter().zip(about) {
        add(&mut findings, finding, subject, &folder);
    }
    let findings = ordered(findings);
    let event = plan.event.as_deref().map(|text| of_event(text, &findings, &plan.own));
    Examination {
        schema: SCHEMA,
        node: node.host_name(),
        time: clock::rfc3339(time),
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        status: findings.iter().map(|one| one.finding.status).max().unwrap_or(Status::Skipped),
        first: event.as_ref().and_then(|event| first_of_event(event, &findings)).or_else(|| first(&findings)),
        event,
        networks: seen(&folder),
        findings,
    }
}

/// The network configurations. That the folder cannot be read, or not in time, is the finding of the check `config`.
fn read(node: &Node, plan: &Plan) -> Folder {
    let (of, path) = (node.clone(), plan.conf_dir.clone());
    let read = bounded::run(plan.limit, move || Folder::read(&of, &path).ok()).flatten();
    read.unwrap_or_else(|| Folder { path: plan.conf_dir.clone(), files: Vec::new(), unread: Vec::new() })
}

/// What the check is to look at: what is true of the node is not looked at once more for every entry.
fn fitting<'s>(check: &Check, subjects: &'s [Subject]) -> Vec<&'s Subject> {
    let fitting: Vec<&Subject> = subjects.iter().filter(|subject| (check.fits)(subject)).collect();
    let of_the_node = fitting.iter().find(|subject| matches!(subject.origin, Origin::Node { .. }));
    match of_the_node {
        Some(subject) if check.of_the_node => vec![subject],
        _ => fitting,
    }
}

/// Puts a finding to the others. What is found alike for several entries is one finding, and so is what one fix mends.
fn add(findings: &mut Vec<Examined>, mut finding: Finding, subject: &Subject, folder: &Folder) {
    let mut about = None;
    if let Origin::Entry { file, .. } = &subject.origin {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let is_taken = folder.files.iter().any(|one| one.path == *file && folder.is_taken(one));
        let not_taken = if is_taken { "" } else { NOT_TAKEN };
        about = Some(format!("{} in {name}{not_taken}", subject.plugin));
        // The calls that fail in this state are not made.
        if !is_taken && finding.status == Status::Fail {
            finding.status = Status::Warn;
        }
    }
    if finding.fix.is_empty() {
        let of_cause = finding.cause.map(|cause| cause.entry().fix).unwrap_or_default();
        finding.fix = of_cause.iter().map(ToString::to_string).collect();
    }
    let is_mended_alike = !finding.fix.is_empty();
    let is_alike = |other: &&mut Examined| {
        let mut other = Finding { took_us: finding.took_us, ..other.finding.clone() };
        if is_mended_alike {
            other.evidence.clone_from(&finding.evidence);
        }
        other == finding
    };
    match findings.iter_mut().find(is_alike) {
        Some(alike) => {
            alike.about.extend(about);
            alike.finding.took_us = alike.finding.took_us.max(finding.took_us);
        }
        None => findings.push(Examined { finding, about: about.into_iter().collect() }),
    }
}

/// The worst first; of those that fail, the ones that no other one explains.
fn ordered(mut findings: Vec<Examined>) -> Vec<Examined> {
    let failing: Vec<Cause> = findings
        .iter()
        .filter(|one| one.finding.status == Status::Fail)
        .filter_map(|one| one.finding.cause)
        .collect();
    let is_hidden = |one: &Examined| {
        one.finding
            .cause
            .is_some_and(|cause| failing.iter().any(|other| other.entry().hides.contains(&cause)))
    };
    findings.sort_by_cached_key(|one| {
        let badness = match one.finding.status {
            Status::Fail => 3,
            Status::Warn => 2,
            Status::Skipped => 1,
            Status::Ok => 0,
        };
        let position = TABLE.iter().position(|check| check.name == one.finding.check);
        (Reverse(badness), is_hidden(one), position)
    });
    findings
}

/// What the text of an event says, together with what was found.
fn of_event(text: &str, findings: &[Examined], own: &[Own]) -> Diagnosis {
    let findings: Vec<Finding> = findings.iter().map(|one| one.finding.clone()).collect();
    reason::diagnose(&Happened::Error { text: text.to_owned() }, &findings, own)
}

fn is_wrong(one: &Examined) -> bool {
    matches!(one.finding.status, Status::Fail | Status::Warn)
}

/// The first fix of the event's cause. Where that is not known, there is none: what was found decides.
fn first_of_event(event: &Diagnosis, findings: &[Examined]) -> Option<First> {
    if event.cause == Cause::Unknown {
        return None;
    }
    let of_cause = findings.iter().find(|one| is_wrong(one) && one.finding.cause == Some(event.cause));
    let check = of_cause.map(|one| one.finding.check.clone());
    Some(First { check, fix: safest(&event.fix)?.clone() })
}

/// The first fix of the worst finding that has one.
fn first(findings: &[Examined]) -> Option<First> {
    let worst = findings.iter().find(|one| is_wrong(one))?.finding.status;
    let mut worst = findings.iter().map(|one| &one.finding).filter(|finding| finding.status == worst);
    worst.find_map(|finding| {
        Some(First { check: Some(finding.check.clone()), fix: safest(&finding.fix)?.clone() })
    })
}

/// The first; one that destroys something only where there is no other.
fn safest(fixes: &[String]) -> Option<&String> {
    fixes.iter().find(|fix| !fix.starts_with(DESTRUCTIVE)).or(fixes.first())
}

fn seen(folder: &Folder) -> Vec<Seen> {
    let mut seen = Vec::new();
    for file in &folder.files {
        for network in file.networks.iter().flatten() {
            let plugin = |entry: &super::networks::Entry| entry.plugin.clone();
            seen.push(Seen {
                name: network.name.clone(),
                file: file.path.clone(),
                plugins: network.entries.iter().map(plugin).collect(),
                wrapped: network.entries.iter().filter(|entry| entry.is_wrapped).map(plugin).collect(),
                taken: folder.is_taken(file),
            });
        }
    }
    seen
}

#[cfg(test)]
mod tests;
