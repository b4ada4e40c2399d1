//! The helper's side of a call: settings, checks before the delegate, the begin record; then, when the delegate has
//! ended, evidence and diagnosis if it failed, and the end record.
//!
//! It holds none of the runtime's descriptors, and nobody waits for it for long: where it hangs, a second helper goes on
//! from the delegate's end ([`run_late`]).

mod draft;
mod evidence;
mod facts;
mod memory;
mod preflight;
mod status;
mod verification;

use std::cell::OnceCell;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::messages::{self, Answered, Prepared, Report, ToCaller, ToHelper};
use super::request::Request;
use crate::checks::subject::Subject;
use crate::cni::environment::Verb;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::own::Own;
use crate::diagnosis::reason::Happened;
use crate::diagnosis::waiting::{self, Wait};
use crate::diagnosis::{Diagnosis, bracket, reason};
use crate::journal::line::Part;
use crate::journal::record::{Begin, Changed, Identity, Outcome, SCHEMA, SmallEnd, Stall};
use crate::journal::redact::Redaction;
use crate::journal::{Journal, log};
use crate::node::stall::Snapshot;
use crate::node::{Node, bounded, clock};
use crate::settings::{Recording, Settings, signatures};
use memory::Memory;

/// When a delegate that has not ended is looked at.
const SILENT: Duration = Duration::from_secs(10);
/// How long before its deadline it is looked at again.
const BEFORE_DEADLINE: Duration = Duration::from_millis(300);
/// How long looking at its processes may take.
const SNAPSHOT: Duration = Duration::from_millis(250);
/// How long reading the owner's signatures may take.
const SIGNATURES: Duration = Duration::from_millis(50);

/// Serves one call from its beginning.
#[inline(never)]
pub(super) fn run(request: &Request, socket: UnixStream) -> ! {
    let mut recorder = Recorder::new(request, socket);
    let findings = recorder.prepare();
    recorder.conclude(findings);
    recorder.warn();
    let _ = messages::write(&recorder.socket, &ToCaller::Recorded);
    // To the call, if it waits for this processor; the rest of this process is for nobody.
    let _ = nix::sched::sched_yield();
    super::leave(0)
}

/// Serves one call whose helper hangs, from the delegate's end.
pub(super) fn run_late(request: &Request, socket: UnixStream) -> ! {
    let mut recorder = Recorder::new(request, socket);
    recorder.conclude(preflight::late(&recorder.settings, &recorder.subject, super::BEFORE_DELEGATE));
    let late = "the checks before the delegate and the begin record were late";
    recorder.journal.warn(&format!("call {}: {late}", request.id));
    recorder.warn();
    super::leave(0)
}

/// Lets go of the runtime's descriptors: nobody is to wait for a pipe that the helper still holds.
fn detach(socket: &UnixStream) {
    close_all_but(socket.as_raw_fd());
    // No file of ours must get the number of a stream that something may print to, and nothing must print to the socket.
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(&null);
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
        // It may be one of the three.
        std::mem::forget(null);
    }
}

/// Closes every descriptor but one.
#[allow(unsafe_code, reason = "there is no safe way to close descriptors that others opened")]
fn close_all_but(kept: i32) {
    let Ok(number) = u32::try_from(kept) else { return };
    let close = |first: u32, last: u32| {
        // SAFETY: nothing in this process uses them any more: it has just been forked, and its parent's streams are not
        // its own.
        first > last || unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0
    };
    let closed = number.checked_sub(1).is_none_or(|last| close(0, last)) && close(number + 1, u32::MAX);
    if closed {
        return;
    }
    // Kernels before 5.9.
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd != kept) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// What is to be told of a call, beside how it ended.
struct Told {
    result: Value,
    findings: Vec<Finding>,
    diagnosis: Option<Diagnosis>,
    changed: Option<Changed>,
}

/// What the helper has at hand.
struct Recorder<'a> {
    node: Node,
    request: &'a Request,
    settings: Settings,
    journal: Journal,
    identity: Identity,
    subject: Subject,
    socket: UnixStream,
    /// The signatures of this node's owner and what is wrong with others of them, where they were needed.
    own: OnceCell<(Vec<Own>, Vec<String>)>,
}

impl Recorder<'_> {
    fn new(request: &Request, socket: UnixStream) -> Recorder<'_> {
        detach(&socket);
        let node = Node::this();
        let named = std::env::var_os("CNISCOPE_CONFIG");
        let settings = Settings::of_call(&node, named.as_ref(), request.entry_settings.as_deref());
        let dir = settings.journal.dir.clone();
        std::panic::set_hook(Box::new(move |panic| log::warn(&dir, &panic.to_string())));
        let journal = Journal::new(&settings.journal, Redaction::new(&settings.redact));
        let identity = draft::identity(&node, request);
        let subject = draft::subject(request);
        Recorder { subject, node, request, settings, journal, identity, socket, own: OnceCell::new() }
    }

    /// What comes before the delegate.
    fn prepare(&self) -> Vec<Finding> {
        // STATUS is asked for every few seconds: it has no begin.
        if self.request.environment.command != Verb::Status {
            self.append(&Begin { schema: SCHEMA, event: "begin", identity: &self.identity });
        }
        let looks = preflight::fitting(&self.settings, &self.subject);
        let findings = preflight::run(&self.node, &self.subject, &looks);
        let prepared = Prepared::of(&self.settings);
        let answer = match preflight::denial(&self.settings, &self.request.environment.command, &findings) {
            None => ToCaller::Prepared(prepared),
            Some(denial) => ToCaller::Denied { prepared, denial },
        };
        // If the call is not there any more, that is seen at the next message.
        let _ = messages::write(&self.socket, &answer);
        // What is sent to the call's process group, from a terminal or by whoever stops it, does not end the record. A
        // session of its own would do as well, but costs a group of the scheduler.
        let own = nix::unistd::Pid::from_raw(0);
        let _ = nix::unistd::setpgid(own, own);
        preflight::complete(&self.node, &self.subject, &looks, findings)
    }

    /// What comes after it. Nothing, if the call itself is gone: the runtime has killed it, which a reader tells by the
    /// missing end.
    fn conclude(&mut self, before: Vec<Finding>) -> Option<()> {
        let ready = draft::circumstances(&self.node, self.request, &self.settings, &self.journal);
        let remember =
            || Memory::of(&self.node, &self.settings, &self.subject, &self.identity, &ready.config);
        // Where nothing is told of calls, nothing is to be remembered for it.
        let memory = self.settings.tells().then(remember);
        let (report, answered, snapshot) = self.wait_for_end()?;
        let wait = snapshot.as_ref().and_then(waiting::seen);
        let (findings, diagnosis) = if let Some(happened) = &report.happened {
            let (findings, diagnosis) = self.diagnose(happened, wait.as_ref(), before);
            (findings, Some(diagnosis))
        } else {
            self.subject.result = draft::parsed(report.stdout.as_bytes());
            self.verify(&report, before)
        };
        let changed = diagnosis.as_ref().and(memory.as_ref()).and_then(Memory::changed);
        let diagnosis = diagnosis.map(|diagnosis| memory::told(changed.as_ref(), diagnosis));
        let is_good = diagnosis.is_none();
        let said = report.happened.as_ref().map(Happened::said).unwrap_or_default();
        let ask = || self.ask_for_answer(said, diagnosis.as_ref(), wait.as_ref());
        let answered = answered.or_else(ask)?;
        // Where the delegate failed, its cause was waited for: then only now.
        let result = match report.happened {
            Some(_) => draft::parsed(report.stdout.as_bytes()),
            None => std::mem::take(&mut self.subject.result),
        };
        self.end(&ready.part, &report, Told { result, findings, diagnosis, changed }, &answered);
        if let Some(memory) = memory.filter(|_| is_good && self.subject.verb == Verb::Add) {
            memory.remember(&self.identity);
        }
        Some(())
    }

    /// Logs what was wrong in the settings and the owner's signatures; last, since the log may hang.
    fn warn(&self) {
        let of_signatures = self.own.get().into_iter().flat_map(|(_, warnings)| warnings);
        for warning in self.settings.warnings.iter().chain(of_signatures) {
            self.journal.warn(warning);
        }
    }

    /// Looks at the node, and says why the call failed. Not among what a good call runs.
    #[cold]
    fn diagnose(
        &self,
        happened: &Happened,
        wait: Option<&Wait>,
        before: Vec<Finding>,
    ) -> (Vec<Finding>, Diagnosis) {
        let own = self.own_signatures();
        let by_wait = wait.and_then(|wait| wait.checks_worth_running(happened, own));
        let worth = by_wait.or_else(|| reason::checks_worth_running(happened, own));
        let findings = evidence::gather(&self.node, &self.settings, &self.subject, worth, before);
        let diagnosis = reason::diagnose(happened, &findings, own);
        let diagnosis = match wait {
            Some(wait) => wait.decide(happened, &findings, own, diagnosis),
            None => diagnosis,
        };
        (findings, diagnosis)
    }

    /// Looks at what a good call has left. That it is not what the result promises changes nothing but the record.
    fn verify(&self, report: &Report, before: Vec<Finding>) -> (Vec<Finding>, Option<Diagnosis>) {
        let mut findings = before;
        let found = verification::run(&self.node, &self.settings, &self.subject, report.outcome);
        let diagnosis = verification::diagnose(&found);
        findings.extend(found);
        (findings, diagnosis)
    }

    /// The signatures of this node's owner. Their folder may be on a disk that hangs.
    fn own_signatures(&self) -> &[Own] {
        let node = self.node.clone();
        let read = || bounded::run(SIGNATURES, move || signatures::of_node(&node)).unwrap_or_default();
        &self.own.get_or_init(read).0
    }

    fn append<T: Serialize>(&self, record: &T) {
        self.journal.append(record, &Part::empty(), &self.identity.id);
    }

    /// Waits for the delegate's end, and looks at it while it takes long.
    fn wait_for_end(&self) -> Option<(Box<Report>, Option<Answered>, Option<Snapshot>)> {
        let started = Instant::now();
        let mut looks = looks_at(self.request.deadline(&self.settings.deadlines)).into_iter();
        let mut next = looks.next();
        let mut snapshot = None;
        loop {
            let left =
                next.map(|after| after.saturating_sub(started.elapsed()).max(Duration::from_millis(1)));
            self.socket.set_read_timeout(left).ok()?;
            match messages::read(&self.socket) {
                Ok(ToHelper::Ended { report, answered }) => return Some((report, answered, snapshot)),
                Ok(ToHelper::Answered(_)) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    next = looks.next();
                    snapshot = self.look_at_stall(started.elapsed()).or(snapshot);
                }
                Err(_) => return None,
            }
        }
    }

    #[cold]
    fn look_at_stall(&self, after: Duration) -> Option<Snapshot> {
        let (node, call) = (self.node.clone(), self.identity.pid);
        let snapshot = bounded::run(SNAPSHOT, move || node.stall_snapshot(call, std::process::id()))?;
        self.append(&Stall {
            schema: SCHEMA,
            event: "stall",
            id: &self.identity.id,
            time: clock::rfc3339(std::time::SystemTime::now()),
            after_ms: draft::milliseconds(after),
            snapshot: serde_json::to_value(&snapshot).unwrap_or_default(),
        });
        Some(snapshot)
    }

    /// Tells the call what was diagnosed, and hears what it has made of it.
    #[cold]
    fn ask_for_answer(
        &self,
        said: &str,
        diagnosis: Option<&Diagnosis>,
        wait: Option<&Wait>,
    ) -> Option<Answered> {
        let config = String::from_utf8_lossy(&self.request.stdin);
        let known = [said, &config];
        let bracket = diagnosis.map(|diagnosis| bracket::of(diagnosis, &self.request.id, &known));
        let bracket = bracket.unwrap_or_default();
        let waiting_for = wait.map(|wait| wait.what.clone());
        messages::write(&self.socket, &ToCaller::Diagnosed { bracket, waiting_for }).ok()?;
        self.socket.set_read_timeout(None).ok()?;
        match messages::read(&self.socket).ok()? {
            ToHelper::Answered(answered) => Some(answered),
            ToHelper::Ended { .. } => None,
        }
    }

    fn end(&self, ready: &Part, report: &Report, told: Told, answered: &Answered) {
        let Told { result, findings, diagnosis, changed } = told;
        let mut repeated = None;
        if self.request.environment.command == Verb::Status {
            match status::judge(&self.settings.journal.dir, &self.identity, report.outcome) {
                status::Verdict::Silent => return,
                status::Verdict::Record { since_last } => repeated = since_last,
            }
        }
        let is_well = report.outcome == Outcome::Ok && diagnosis.is_none();
        if is_well && self.settings.journal.record == Recording::Failures {
            let times = draft::Times::of(report, answered);
            return self.append(&SmallEnd {
                schema: SCHEMA,
                event: "end",
                identity: &self.identity,
                outcome: report.outcome,
                duration_ms: times.whole,
                plugin_ms: times.plugin,
                overhead_ms: times.overhead,
                plugin_after_ms: times.plugin_after,
            });
        }
        let mut end = draft::end(&self.identity, report, result, answered);
        end.checks = findings;
        end.cause = diagnosis.as_ref().map(|diagnosis| diagnosis.cause.id().to_owned());
        end.diagnosis = diagnosis;
        end.changed = changed;
        end.repeated = repeated;
        self.journal.append(&end, ready, &self.identity.id);
    }
}

/// After how long a delegate that still runs is looked at.
fn looks_at(deadline: Option<Duration>) -> Vec<Duration> {
    let before = deadline.map(|deadline| deadline.saturating_sub(BEFORE_DEADLINE.min(deadline / 4)));
    let mut looks: Vec<Duration> = before.into_iter().collect();
    if before.is_none_or(|before| SILENT < before) {
        looks.insert(0, SILENT);
    }
    looks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_delegate_is_looked_at_and_again_before_its_deadline() {
        let seconds = |deadline: Option<u64>| -> Vec<f64> {
            looks_at(deadline.map(Duration::from_secs)).iter().map(Duration::as_secs_f64).collect()
        };
        assert_eq!(seconds(None), [10.0]);
        assert_eq!(seconds(Some(200)), [10.0, 199.7]);
        assert_eq!(seconds(Some(10)), [9.7]);
        assert_eq!(seconds(Some(1)), [0.75]);
    }
}
