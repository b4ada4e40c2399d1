//! The explanation of a text, which may be one error or a log with many.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::catalogue::{Cause, Fix};
use super::events;
use super::finding::{Finding, Status};
use super::own::Own;
use super::peel::{self, Layers};
use super::reading::{self, Reading};
use super::reason::{self, Happened};
use super::signatures::Rank;

/// A failure that a text tells of, with what is known of its cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The cause.
    pub cause: Cause,
    /// What is wrong, in a few words.
    pub title: String,
    /// What failed and why, in one line.
    pub summary: String,
    /// Why this is the cause.
    pub evidence: Vec<String>,
    /// What to do, in order; what destroys something says so.
    pub fix: Vec<String>,
    /// Commands that only look, to see whether it is so.
    pub verify: &'static [&'static str],
    /// How sure the reading is: `high`, `medium`, `low`, or `none`.
    pub confidence: &'static str,
    /// How often the text tells of it.
    pub count: u64,
    /// What was looked at on the node and found to be well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ruled_out: Vec<String>,
    /// What stood around the error, and the error.
    pub peeled: Layers,
    /// What is wrong: the summary without what failed.
    #[serde(skip)]
    pub what: String,
    /// The text.
    #[serde(skip)]
    text: String,
    /// How much it tells.
    #[serde(skip)]
    rank: Option<Rank>,
}

/// What a text tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The failure to mend first.
    #[serde(flatten)]
    pub first: Failure,
    /// The others, the most frequent before the rarer ones.
    pub others: Vec<Failure>,
}

/// A piece of a text that may tell of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// How often it was seen.
    pub count: u64,
    /// The namespace and name of the Pod that it is about, where that is known from elsewhere.
    pub pod: Option<(String, String)>,
}

/// Words that an entry of a log has which tells of a failure.
const FAILURE: &[&str] = &[
    "error",
    "fail",
    "unable",
    "cannot",
    "can't",
    "could not",
    "denied",
    "refused",
    "timeout",
    "timed out",
    "panic",
    "fatal",
    "not found",
    "not ready",
    "invalid",
    "missing",
    "no such",
    "not permitted",
    "unreachable",
    "no space left",
    "no ip",
    "no available",
    "no free",
    "not available",
    "exhausted",
    "exceeded",
    "conflict",
    "no chain/target",
    "already in use",
    "unauthorized",
    "forbidden",
];
/// The kubelet's words for a sandbox that it could not make.
const OF_SANDBOX: &str = "Failed to create pod sandbox";
/// Words of this length with a digit in them are ids and names.
const ID: usize = 16;

/// Explains a text: an error, a log, or events as JSON. Of one that tells of no failure the first is unknown, and its count
/// is 0.
#[must_use]
pub fn explain(text: &str, own: &[Own]) -> Explanation {
    if let Some(events) = events::of_json(text) {
        return explain_pieces(&events, own);
    }
    let entries = peel::entries(text);
    let is_log = entries.len() > 1;
    let mut pieces = alike(entries.iter().copied().filter(|entry| !is_log || tells_of_failure(entry)));
    if pieces.is_empty() {
        // What the kernel says of a full table has no word for a failure.
        pieces = alike(entries.into_iter());
        pieces.retain(|piece| reading::read(&piece.text, own).rank >= Some(Rank::Word));
    }
    explain_pieces(&pieces, own)
}

/// The entries of a log, each with how often it is there.
fn alike<'a>(entries: impl Iterator<Item = &'a str>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for entry in entries {
        let place = *places.entry(shape(entry)).or_insert(pieces.len());
        let count = events::times(entry);
        match pieces.get_mut(place) {
            Some(piece) => piece.count += count,
            None => pieces.push(Piece { text: entry.to_owned(), count, pod: None }),
        }
    }
    pieces
}

/// Explains events as `kubectl` prints them.
#[must_use]
pub fn explain_events(text: &str, own: &[Own]) -> Explanation {
    let events = events::of_json(text).unwrap_or_else(|| events::of_text(text));
    explain_pieces(&events, own)
}

/// Explains pieces of which each tells of a failure.
#[must_use]
pub fn explain_pieces(pieces: &[Piece], own: &[Own]) -> Explanation {
    let mut failures: Vec<Failure> = Vec::new();
    let mut places: HashMap<Likeness, usize> = HashMap::new();
    for piece in pieces {
        let mut reading = reading::read(&piece.text, own);
        if let Some((namespace, name)) = &piece.pod {
            reading.layers.namespace = Some(namespace.clone());
            reading.layers.pod = Some(name.clone());
        }
        let place = *places.entry(Likeness::of(&reading)).or_insert(failures.len());
        match failures.get_mut(place) {
            Some(failure) => failure.count += piece.count,
            None => failures.push(Failure::new(reading, &piece.text, piece.count)),
        }
    }
    let causes: HashSet<Cause> = failures.iter().map(|failure| failure.cause).collect();
    let is_hidden =
        |cause: Cause| causes.iter().any(|other| *other != cause && other.entry().hides.contains(&cause));
    // What is known stands before what is guessed, a cause before what follows from it, the failure of the sandbox before what
    // else happened, the frequent before the rare, and the clear before the less clear.
    failures.sort_by_key(|failure| {
        let doubt = match failure.rank {
            Some(Rank::Weak) => 2,
            Some(Rank::Around) => 1,
            Some(_) => 0,
            None => 3,
        };
        let is_aside = !failure.text.contains(OF_SANDBOX);
        (doubt, is_hidden(failure.cause), is_aside, Reverse(failure.count), Reverse(failure.rank))
    });
    let mut failures = failures.into_iter();
    let first = failures.next().unwrap_or_else(|| Failure::new(reading::read("", own), "", 0));
    Explanation { first, others: failures.collect() }
}

impl Failure {
    fn new(reading: Reading, text: &str, count: u64) -> Failure {
        let entry = reading.cause.entry();
        let title = reading.own.and_then(|own| own.title.clone()).unwrap_or_else(|| entry.title.to_owned());
        let mut fix = reading.own.map(|own| own.fix.clone()).unwrap_or_default();
        fix.extend(entry.fix.iter().map(Fix::to_string));
        Failure {
            cause: reading.cause,
            summary: summary(&title, &reading.layers),
            what: title.clone(),
            title,
            confidence: reading.confidence(),
            rank: reading.rank,
            evidence: reading.evidence.into_iter().collect(),
            fix,
            verify: entry.verify,
            count,
            ruled_out: Vec::new(),
            peeled: reading.layers,
            text: text.to_owned(),
        }
    }

    /// The failure with what was found on the node where it happened.
    pub fn look_at(&mut self, findings: &[Finding], own: &[Own]) {
        let told = self.cause;
        let diagnosis = reason::diagnose(&Happened::Error { text: self.text.clone() }, findings, own);
        let is_confirmed =
            |finding: &Finding| finding.status == Status::Fail && finding.cause == Some(diagnosis.cause);
        if diagnosis.cause != told || findings.iter().any(is_confirmed) {
            self.confidence = "high";
        } else if diagnosis.evidence.iter().any(|one| one.starts_with(reason::AGAINST)) {
            self.confidence = "low";
        }
        let is_unknown = diagnosis.cause == Cause::Unknown;
        self.what = if is_unknown { diagnosis.title.clone() } else { diagnosis.summary };
        self.summary = summary(&self.what, &self.peeled);
        self.cause = diagnosis.cause;
        self.title = diagnosis.title;
        self.evidence = diagnosis.evidence;
        self.ruled_out = diagnosis.ruled_out;
        self.fix = diagnosis.fix;
        self.verify = self.cause.entry().verify;
    }
}

/// What failures have in common that are the same one: the cause and the plugin, and the error where the cause is unknown.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Likeness {
    cause: Cause,
    plugin: Option<String>,
    error: Option<String>,
}

impl Likeness {
    fn of(reading: &Reading) -> Likeness {
        let is_unknown = reading.cause == Cause::Unknown;
        Likeness {
            cause: reading.cause,
            plugin: reading.layers.plugin.clone(),
            error: is_unknown.then(|| shape(&reading.layers.error)),
        }
    }
}

/// The verb and the plugin, and what is wrong.
fn summary(title: &str, layers: &Layers) -> String {
    match (&layers.verb, &layers.plugin) {
        (Some(verb), Some(plugin)) => format!("{verb} of {plugin} failed: {title}"),
        (Some(verb), None) => format!("{verb} failed: {title}"),
        (None, Some(plugin)) => format!("{plugin} failed: {title}"),
        (None, None) => title.to_owned(),
    }
}

fn tells_of_failure(entry: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    FAILURE.iter().any(|word| entry.contains(word))
}

/// A text without times and ids: entries of a log that differ in these only are of one failure.
fn shape(text: &str) -> String {
    let is_time = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_digit()) && word.matches(':').count() >= 2
            || word.starts_with("time=")
    };
    let is_id = |word: &str| word.len() >= ID && word.bytes().any(|byte| byte.is_ascii_digit());
    let mut shape = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if is_time(word) {
            continue;
        }
        for piece in word
            .split_inclusive(|character: char| !(character.is_alphanumeric() || "-_.".contains(character)))
        {
            shape.push_str(if is_id(piece) { "#" } else { piece });
        }
        shape.push(' ');
    }
    shape
}

#[cfg(test)]
mod tests;
