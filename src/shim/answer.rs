//! What the runtime gets: the delegate's own answer, or its error with the cause added.
//!
//! The text that libcni would have shown without cniscope stays whole and in one piece inside the new one, so that every
//! alert on it still matches.

use std::time::Duration;

use super::delegate::{End, Ended};
use super::request::Request;
use crate::cni::environment::Verb;
use crate::cni::error::{Error, code, undecodable_text};
use crate::cni::{go, json};
use crate::diagnosis::reason::Happened;
use crate::journal::record::Outcome;

/// How much of the end of stderr is put into an error.
const STDERR_TAIL: usize = 1024;
/// Phrases for which a runtime takes a failed DEL for a good one (containerd/go-cni, `cni.go`, `Remove`): none must come
/// in through what cniscope adds.
const SWALLOWED: [(&str, &str); 2] =
    [("not found", "not-found"), ("no such file or directory", "no such file")];

/// What came of a call.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// The status to exit with.
    pub(super) status: u8,
    /// Nothing if the delegate's output is the answer.
    pub(super) failure: Option<Failure>,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The delegate's error, or one that is made up for it; without what cniscope adds.
    pub(super) error: Error,
    /// What the diagnosis is to know.
    pub(super) happened: Happened,
    /// The delegate itself printed the error.
    pub(super) from_delegate: bool,
    /// The delegate's output cannot be the answer, even where errors are not to be enriched.
    pub(super) must_be_rewritten: bool,
}

/// Judges what a delegate did.
pub(super) fn judge(request: &Request, ended: &Ended, deadline: Option<Duration>) -> Judged {
    let undecodable = match (ended.end, &request.environment.command) {
        (End::Exited(0), Verb::Add) => undecodable_result(ended),
        (End::Exited(0), _) => None,
        _ => return failed(request, ended, deadline),
    };
    match undecodable {
        None => Judged { outcome: Outcome::Ok, status: 0, failure: None },
        Some(_) if ended.at_deadline => failed(request, ended, deadline),
        Some(why) => {
            let error =
                made_up(request, format!("failed to unmarshal raw result: {why}"), stderr_words(ended));
            let how = format!("{}, but its result cannot be decoded: {why}", ended.end);
            let failure = Failure {
                error,
                happened: crashed(how, ended),
                from_delegate: false,
                must_be_rewritten: true,
            };
            Judged { outcome: Outcome::Crashed, status: 1, failure: Some(failure) }
        }
    }
}

/// Why libcni could not decode the result of a good ADD, in Go's words (`pkg/invoke/exec.go`, `fixupResultVersion`).
fn undecodable_result(ended: &Ended) -> Option<String> {
    let stdout = ended.stdout.bytes();
    if ended.stdout.lost() > 0 {
        return Some(format!("it is longer than {} bytes", stdout.len()));
    }
    match json::validate(stdout) {
        Err(error) => Some(error.to_string()),
        Ok(value) if matches!(stdout[value.start], b'{' | b'n') => None,
        Ok(value) => {
            let kind = crate::cni::error::kind(&stdout[value]);
            Some(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
        }
    }
}

fn failed(request: &Request, ended: &Ended, deadline: Option<Duration>) -> Judged {
    let status = match ended.end {
        End::Exited(0) => 1,
        end => end.exit_code(),
    };
    let (outcome, failure) = if ended.at_deadline {
        (Outcome::Deadline, at_deadline(request, ended, deadline.unwrap_or(ended.took)))
    } else {
        by_itself(request, ended)
    };
    Judged { outcome, status, failure: Some(failure) }
}

fn by_itself(request: &Request, ended: &Ended) -> (Outcome, Failure) {
    let stdout = ended.stdout.bytes();
    let decoded = Error::decode(stdout).and_then(|error| {
        let empty = error.msg.is_empty() && error.details.is_empty();
        if empty { Err("it holds no msg".to_owned()) } else { Ok(error) }
    });
    let signaled = matches!(ended.end, End::Signaled { .. });
    let (mut outcome, mut failure) = match decoded {
        Ok(error) => {
            let happened = Happened::Error { text: error.text() };
            let outcome = if signaled { Outcome::Crashed } else { Outcome::Failed };
            (outcome, Failure { error, happened, from_delegate: true, must_be_rewritten: false })
        }
        Err(why) => {
            let text = undecodable_text(stdout, ended.stderr.bytes(), &why, &ended.end.to_string());
            let words = if stdout.is_empty() {
                String::new()
            } else {
                joined(&ended.end.to_string(), &stderr_words(ended))
            };
            let error = made_up(request, text, words);
            let happened = crashed(format!("{} and printed no CNI error", ended.end), ended);
            (Outcome::Crashed, Failure { error, happened, from_delegate: false, must_be_rewritten: false })
        }
    };
    if let Some(signal) = ended.interrupted {
        outcome = Outcome::Interrupted;
        failure.happened =
            Happened::Interrupted { signal: signal.as_str().to_owned(), printed: printed(ended) };
    }
    (outcome, failure)
}

fn at_deadline(request: &Request, ended: &Ended, deadline: Duration) -> Failure {
    let code =
        if request.environment.command == Verb::Status { code::NOT_AVAILABLE } else { code::TRY_AGAIN_LATER };
    let after = format!("{} s", deadline.as_secs_f64());
    let error = Error {
        code: Some(code),
        ..made_up(
            request,
            format!("{} did not end within {after} and was stopped", request.plugin),
            stderr_words(ended),
        )
    };
    Failure { error, happened: Happened::Deadline { after }, from_delegate: false, must_be_rewritten: true }
}

fn made_up(request: &Request, msg: String, details: String) -> Error {
    Error { cni_version: request.cni_version.clone(), code: Some(code::INTERNAL), msg, details }
}

fn crashed(how: String, ended: &Ended) -> Happened {
    Happened::Crashed { how, printed: printed(ended) }
}

fn printed(ended: &Ended) -> String {
    let text = |capture: &super::delegate::Capture| String::from_utf8_lossy(capture.bytes()).into_owned();
    joined(&text(&ended.stdout), &text(&ended.stderr))
}

/// The end of what was printed on stderr, in words for an error.
fn stderr_words(ended: &Ended) -> String {
    let stderr = ended.stderr.bytes();
    if stderr.is_empty() {
        return String::new();
    }
    let tail = &stderr[stderr.len().saturating_sub(STDERR_TAIL)..];
    format!("stderr: {}", go::quote(tail))
}

fn joined(one: &str, other: &str) -> String {
    [one, other].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The error to return: the delegate's, whole, behind the prefix that libcni would have written, with the bracket.
pub(super) fn compose(
    request: &Request,
    failure: &Failure,
    bracket: Option<&str>,
    waiting_for: Option<&str>,
) -> Error {
    let verb = &request.environment.command;
    let original = &failure.error;
    let prefix = prefix(request);
    let mut error = original.clone();
    error.msg = format!("{prefix}{}", original.msg);
    if let (Happened::Deadline { .. }, Some(waiting_for)) = (&failure.happened, waiting_for) {
        error.msg.push_str("; it was waiting for ");
        error.msg.push_str(waiting_for);
    }
    if let Some(bracket) = bracket {
        let space = if original.details.is_empty() { "" } else { " " };
        error.details = format!("{}{space}{bracket}", original.details);
    }
    if *verb == Verb::Del {
        keep_swallowed_phrases_out(&mut error, failure, &prefix);
    }
    error
}

/// `plugin type="calico" failed (add): `, as libcni writes it before the errors of ADD and DEL.
fn prefix(request: &Request) -> String {
    let Some(word) = request.environment.command.failed_word() else { return String::new() };
    // Where the entry does not say what it wraps, libcni's own prefix names it.
    if request.plugin.is_empty() {
        return String::new();
    }
    let name = if request.named {
        format!(" name={}", go::quote(request.network.as_bytes()))
    } else {
        String::new()
    };
    format!("plugin type={}{name} failed ({word}): ", go::quote(request.plugin.as_bytes()))
}

/// Words that a runtime would swallow stay where libcni's own text has them, and come in nowhere else.
fn keep_swallowed_phrases_out(error: &mut Error, failure: &Failure, prefix: &str) {
    // What libcni would have shown: of an error that is made up, the details are cniscope's own.
    let own = if failure.from_delegate { failure.error.text() } else { failure.error.msg.clone() };
    let own = format!("{prefix}{own}");
    for (phrase, instead) in SWALLOWED {
        if !own.contains(phrase) {
            error.msg = error.msg.replace(phrase, instead);
            error.details = error.details.replace(phrase, instead);
        }
    }
}

#[cfg(test)]
mod tests;
