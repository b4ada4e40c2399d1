//! Evidence after a failure: the checks that can tell why, bounded in time, and bounded on a node.
//!
//! In an outage hundreds of calls fail at a time, and for the same reason. What a check says of the node rather than of one
//! call is used again for some seconds, and no more than two calls look at a time.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde_json::json;

use crate::checks::subject::Subject;
use crate::checks::{self, After, Check, Depth};
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::{Finding, Status};
use crate::digest::sha256;
use crate::node::Node;
use crate::node::replace::replace_loosely;
use crate::settings::{Mode, Settings};

/// Findings that are used again, and the slots of those who look.
const CACHE: &str = "/run/cniscope/evidence";
/// How many calls look at a time.
const SLOTS: usize = 2;
/// How long a finding is used again.
const FRESH: Duration = Duration::from_secs(5);
/// What takes less is no burden to every call.
const CHEAP: Duration = Duration::from_millis(1);
/// How often a call that waits for another one's finding looks for it.
const STEP: Duration = Duration::from_millis(10);

/// Runs the checks that are worth it (`None`: all), and puts what they find to what was found before.
pub(super) fn gather(
    node: &Node,
    settings: &Settings,
    subject: &Subject,
    worth: Option<&[&str]>,
    before: Vec<Finding>,
) -> Vec<Finding> {
    let is_wanted = |check: &&Check| {
        let is_worth = match check.after {
            After::Never => false,
            After::Named => worth.is_some_and(|worth| worth.contains(&check.name)),
            After::Always => worth.is_none_or(|worth| worth.contains(&check.name)),
        };
        is_worth && settings.mode(check.name) != Mode::Off && (check.fits)(subject)
    };
    let wanted: Vec<&'static Check> = checks::TABLE.iter().filter(is_wanted).collect();
    if settings.evidence.is_zero() || wanted.is_empty() {
        return before;
    }
    let limit = settings.evidence;
    let run = Arc::new(Run { slot: Mutex::new(None) });
    let findings = checks::run_all(&wanted, limit, |check| {
        let (node, subject, run) = (node.clone(), subject.clone(), Arc::clone(&run));
        move || {
            if check.of_the_node {
                shared(check, &node, &subject, limit, &run)
            } else {
                checks::run(check, &node, &subject, Depth::Full)
            }
        }
    });
    merged(before, findings)
}

/// Of two findings of a check the worse one stays; where they are alike, the later one, which looked more closely.
fn merged(before: Vec<Finding>, after: Vec<Finding>) -> Vec<Finding> {
    let mut merged = before;
    for finding in after {
        match merged.iter_mut().find(|earlier| earlier.check == finding.check) {
            Some(earlier) if earlier.status > finding.status => {}
            Some(earlier) => *earlier = finding,
            None => merged.push(finding),
        }
    }
    merged
}

/// A finding that another call may have made some seconds ago, or is making.
fn shared(check: &Check, node: &Node, subject: &Subject, limit: Duration, run: &Run) -> Finding {
    let folder = Path::new(CACHE);
    let cached = folder.join(key(check, subject));
    let until = Instant::now() + limit / 2;
    loop {
        if let Some(finding) = read(&cached) {
            return finding;
        }
        if run.may_look(folder) {
            let finding = checks::run(check, node, subject, Depth::Full);
            write(&cached, &finding);
            return finding;
        }
        if Instant::now() >= until {
            let mut finding = Finding::skipped("two other calls are looking already");
            check.name.clone_into(&mut finding.check);
            return finding;
        }
        std::thread::sleep(STEP);
    }
}

/// The checks of one call: they look together, in one slot, until the last of them has ended.
struct Run {
    slot: Mutex<Option<Slot>>,
}

impl Run {
    fn may_look(&self, folder: &Path) -> bool {
        let mut held = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = slot(folder);
        }
        held.is_some()
    }
}

/// A finding that is made anew for every call where that is cheap, and used again for some seconds where it is not.
pub(super) fn sparing(check: &Check, node: &Node, subject: &Subject) -> Finding {
    let cached = Path::new(CACHE).join(key(check, subject));
    if let Some(finding) = read(&cached) {
        return finding;
    }
    let finding = checks::run(check, node, subject, Depth::Full);
    if Duration::from_micros(finding.took_us) > CHEAP {
        make(Path::new(CACHE));
        write(&cached, &finding);
    }
    finding
}

/// What the finding depends on: the network's configuration without what is different for every call.
fn key(check: &Check, subject: &Subject) -> String {
    let mut config = subject.config.clone();
    if let Some(config) = config.as_object_mut() {
        for of_the_call in ["prevResult", "runtimeConfig", "args"] {
            config.remove(of_the_call);
        }
    }
    let of = json!([check.name, subject.plugin, subject.verb.as_str(), config]).to_string();
    sha256(of.as_bytes())
}

enum Slot {
    Held(#[allow(dead_code, reason = "held until it is dropped")] Flock<File>),
    /// There is no place for slots: whoever looks, looks.
    Unavailable,
}

/// A slot, if one is free.
fn slot(folder: &Path) -> Option<Slot> {
    make(folder);
    for number in 0..SLOTS {
        let path = folder.join(format!("slot.{number}"));
        let Ok(file) = options().create(true).truncate(false).open(path) else {
            return Some(Slot::Unavailable);
        };
        if let Ok(held) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            return Some(Slot::Held(held));
        }
    }
    None
}

fn make(folder: &Path) {
    let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
}

fn options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

fn read(path: &PathBuf) -> Option<Finding> {
    let age = std::fs::symlink_metadata(path).ok()?.modified().ok()?.elapsed().ok()?;
    if age > FRESH {
        return None;
    }
    let content = Node::this().read(path, 1 << 20).ok()?;
    let finding: Finding = serde_json::from_slice(&content).ok()?;
    Some(finding.with("cached_ms", u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
}

/// Keeps a finding for others.
fn write(path: &Path, finding: &Finding) {
    // That one container has an address already is not true of the next one.
    if finding.status == Status::Skipped || finding.cause == Some(Cause::IpamDuplicate) {
        return;
    }
    let Ok(content) = serde_json::to_vec(finding) else { return };
    let _ = replace_loosely(path, &content);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(check: &str, finding: Finding) -> Finding {
        Finding { check: check.into(), ..finding }
    }

    #[test]
    fn of_two_findings_the_worse_and_of_equal_ones_the_later_stays() {
        let before = vec![
            named("a", Finding::fail(Cause::InterfaceExists, "before")),
            named("b", Finding::ok("before")),
            named("c", Finding::ok("before")),
        ];
        let after = vec![
            named("a", Finding::ok("after")),
            named("b", Finding::ok("after")),
            named("c", Finding::skipped("after")),
            named("d", Finding::ok("after")),
        ];
        let merged = merged(before, after);
        let summaries: Vec<_> =
            merged.iter().map(|finding| (finding.check.as_str(), finding.summary.as_str())).collect();
        assert_eq!(summaries, [("a", "before"), ("b", "after"), ("c", "before"), ("d", "after")]);
    }

    #[test]
    fn a_finding_is_used_again_while_it_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert_eq!(read(&path), None);
        write(&path, &named("bridge", Finding::ok("well")));
        assert_eq!(read(&path).unwrap().summary, "well");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - FRESH * 2).unwrap();
        assert_eq!(read(&path), None);
        write(&folder.path().join("skipped"), &Finding::skipped("late"));
        assert!(!folder.path().join("skipped").exists());
    }

    #[test]
    fn two_look_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (slot(folder.path()), slot(folder.path()));
        assert!(matches!((&first, &second), (Some(Slot::Held(_)), Some(Slot::Held(_)))));
        assert!(slot(folder.path()).is_none());
        drop(first);
        assert!(matches!(slot(folder.path()), Some(Slot::Held(_))));
        assert!(matches!(slot(Path::new("/proc/none")), Some(Slot::Unavailable)));
    }

    #[test]
    fn the_checks_of_one_call_look_in_one_slot() {
        let folder = tempfile::tempdir().unwrap();
        let runs = [(); 3].map(|()| Run { slot: Mutex::new(None) });
        let may_look = runs.each_ref().map(|run| [(); 3].map(|()| run.may_look(folder.path())));
        assert_eq!(may_look, [[true; 3], [true; 3], [false; 3]]);
    }
}
