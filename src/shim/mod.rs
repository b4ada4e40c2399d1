//! One call, from the runtime's start of the process to its exit status.
//!
//! `request → preflight → delegate → (evidence → diagnosis) → answer → journal → exit with the delegate's status`.
//!
//! The process that the runtime started reads stdin, runs the delegate, answers, and exits. Everything else (settings,
//! checks, journal) is the work of a forked [`helper`], whose side is told in [`recorder`]: a process with a thread in
//! uninterruptible sleep cannot exit, so whatever may hang must not be part of this one. The helper is waited for, but
//! never for longer than the limits here.

mod answer;
pub mod delegate;
mod forwarder;
mod helper;
mod messages;
mod recorder;
mod refusal;
mod request;
pub mod streams;

use std::time::{Duration, Instant};

use crate::cni::environment::{Environment, Verb};
use crate::cni::version;
use crate::diagnosis::{bracket, reason};
use crate::journal::record::ErrorText;
use crate::settings::Settings;
use answer::{Failure, Judged};
use delegate::{Delegate, Ended, Order};
use helper::{Helper, Side};
use messages::{Answered, Prepared, Report, ToCaller, ToHelper};
use refusal::Refusal;
use request::Request;

/// How long the call waits for settings, checks and the begin record before the delegate starts.
const BEFORE_DELEGATE: Duration = Duration::from_millis(LIMIT);
/// How long it waits for the end record after its answer, where the helper was not late before.
const AFTER_ANSWER: Duration = Duration::from_millis(LIMIT);
/// In milliseconds. Where `make hot` watches a call, everything takes a hundred times as long, and is not to be late for it.
const LIMIT: u64 = if cfg!(watched) { 40_000 } else { 40 };
/// Where it was, how long the second one may take to read what it is told: both together stay below 50 ms.
const SECOND: Duration = Duration::from_millis(4);

/// Whether a process without arguments was started as a CNI plugin.
#[must_use]
pub fn is_call() -> bool {
    std::env::var_os("CNI_COMMAND").is_some()
}

/// Runs one call, and gives the status to exit with.
#[must_use]
pub fn run(started: Instant) -> u8 {
    let environment = Environment::read(|name| std::env::var_os(name));
    if environment.command == Verb::Version {
        streams::print(version::answer().as_bytes());
        return 0;
    }
    let stdin = match streams::read_stdin() {
        Ok(stdin) => stdin,
        Err(error) => return refuse_at_once(&Refusal::stdin_unreadable(&error)),
    };
    if forwarder::is_on() {
        return refuse_at_once(&forwarder::forward(&environment, &stdin));
    }
    let request = Request::new(started, environment, stdin);
    // Both sides need it.
    let _ = request.caller();
    match Helper::fork() {
        Side::Helper(socket) => recorder::run(&request, socket),
        Side::Caller(helper) => call(&request, helper),
    }
}

/// Ends the process, which somebody waits for.
#[allow(unsafe_code, reason = "the C library's exit handlers have nothing to do after a call, and take time")]
pub fn leave(status: u8) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(status.into()) }
}

/// The part of the process that the runtime started. Not a part of [`run`]'s frame: the helper would get its pages too.
#[inline(never)]
fn call(request: &Request, helper: Helper) -> u8 {
    let until = Instant::now() + BEFORE_DELEGATE;
    // Its process is made while the helper is at work, and waits for the helper's word: to make one takes as long as that.
    let may_start = || helper.allows(until);
    let delegate = match &request.refusal {
        Some(refusal) => Err(refusal.clone()),
        None => delegate::start(&request.plugin_path, &may_start)
            .map_err(|errno| Refusal::not_executable(request, errno)),
    };
    let (prepared, denial, is_late) = match helper.receive(until) {
        Some(ToCaller::Prepared(prepared)) => (prepared, None, false),
        Some(ToCaller::Denied { prepared, denial }) => (prepared, Some(denial), false),
        // What can be told without looking at a file.
        _ => (Prepared::of(&Settings::of_entry(request.entry_settings.as_deref())), None, true),
    };
    let (judged, ended) = match delegate {
        Ok(Some(delegate)) => run_delegate(request, &prepared, delegate),
        // The denial has come then, in one piece.
        Ok(None) => (Refusal::denied(request, &denial.unwrap_or_default()).judged(), None),
        Err(refusal) => (refusal.judged(), None),
    };
    if is_late {
        drop(helper);
        match Helper::fork() {
            Side::Helper(socket) => recorder::run_late(request, socket),
            Side::Caller(second) => {
                conclude(request, &prepared, &judged, ended.as_ref(), &second, SECOND);
            }
        }
    } else {
        let until = conclude(request, &prepared, &judged, ended.as_ref(), &helper, AFTER_ANSWER);
        helper.finish(until);
    }
    if let Some(ended) = &ended {
        delegate::bury(ended.pid);
    }
    judged.status
}

fn run_delegate(request: &Request, prepared: &Prepared, delegate: Delegate) -> (Judged, Option<Ended>) {
    let deadline = request.deadline(&prepared.deadlines);
    let ended = delegate.run(&Order {
        stdin: &request.delegate_stdin,
        deadline,
        prints_document: request.environment.command == Verb::Add,
    });
    let judged = answer::judge(request, &ended, deadline);
    if judged.failure.is_some() {
        // Who looks for the cause is to see the node without it.
        delegate::bury(ended.pid);
    }
    (judged, Some(ended))
}

/// Answers, and tells the helper what to record. From the answer on, all that has to do with the helper may take as long as
/// `patience`; gives the end of that.
fn conclude(
    request: &Request,
    prepared: &Prepared,
    judged: &Judged,
    ended: Option<&Ended>,
    helper: &Helper,
    patience: Duration,
) -> Instant {
    let report = Box::new(Report::of(request.started, judged, ended));
    match &judged.failure {
        Some(failure) if prepared.enrich || failure.must_be_rewritten => {
            let until = Instant::now() + prepared.evidence + AFTER_ANSWER;
            helper.send(&ToHelper::Ended { report, answered: None }, until);
            let returned = answer_with_cause(request, prepared, failure, helper, until);
            let answered = Answered { returned: Some(returned), duration: request.started.elapsed() };
            let until = Instant::now() + patience;
            helper.send(&ToHelper::Answered(answered), until);
            until
        }
        _ => {
            streams::print(ended.map(|ended| ended.stdout.bytes()).unwrap_or_default());
            let answered = Answered { returned: None, duration: request.started.elapsed() };
            let until = Instant::now() + patience;
            helper.send(&ToHelper::Ended { report, answered: Some(answered) }, until);
            until
        }
    }
}

/// Asks the helper for the cause, and returns the error with it.
fn answer_with_cause(
    request: &Request,
    prepared: &Prepared,
    failure: &Failure,
    helper: &Helper,
    until: Instant,
) -> ErrorText {
    let answer = helper.receive(until);
    let (bracket, waiting_for) = if let Some(ToCaller::Diagnosed { bracket, waiting_for }) = answer {
        (bracket, waiting_for)
    } else {
        // The helper hangs, or could not be had: the text alone has to do.
        let diagnosis = reason::diagnose(&failure.happened, &[], &[]);
        (bracket::of(&diagnosis, &request.id, &[failure.happened.said()]), None)
    };
    let bracket = prepared.enrich.then_some(bracket);
    let error = answer::compose(request, failure, bracket.as_deref(), waiting_for.as_deref());
    streams::print(error.to_json().as_bytes());
    ErrorText::from(&error)
}

fn refuse_at_once(refusal: &Refusal) -> u8 {
    streams::print(refusal.error.to_json().as_bytes());
    refusal::STATUS
}
