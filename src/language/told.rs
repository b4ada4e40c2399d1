//! What is told to people, in their language. As JSON, titles, explanations and fixes follow the language; ids, and the
//! summaries and evidence that programs may look for, stay as they are.

use super::Language;
use crate::checks::examination::Examination;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::explain::{Explanation, Failure};

/// An explanation with titles and fixes in this language.
pub fn explanation(language: Language, explanation: &mut Explanation) {
    for failure in std::iter::once(&mut explanation.first).chain(&mut explanation.others) {
        title(language, failure.cause, &mut failure.title);
        fixes(language, &mut failure.fix);
    }
}

/// What was found, with titles and fixes in this language.
pub fn examination(language: Language, found: &mut Examination) {
    if let Some(event) = &mut found.event {
        title(language, event.cause, &mut event.title);
        fixes(language, &mut event.fix);
    }
    for one in &mut found.findings {
        fixes(language, &mut one.finding.fix);
    }
    if let Some(first) = &mut found.first {
        fixes(language, std::slice::from_mut(&mut first.fix));
    }
}

/// What failed and why, in one line.
#[must_use]
pub fn of_failure(language: Language, failure: &Failure) -> String {
    let what = of_cause(language, failure.cause, &failure.what);
    match (failure.peeled.verb.as_deref(), failure.peeled.plugin.as_deref()) {
        (Some(verb), Some(plugin)) => language.filled("{0} of {1} failed: {2}", &[verb, plugin, &what]),
        (Some(failed), None) | (None, Some(failed)) => language.filled("{0} failed: {1}", &[failed, &what]),
        (None, None) => what,
    }
}

/// What is wrong, in one line.
#[must_use]
pub fn of_diagnosis(language: Language, diagnosis: &Diagnosis) -> String {
    of_cause(language, diagnosis.cause, &diagnosis.summary)
}

/// What is said of a cause: its title, or what a check found.
fn of_cause(language: Language, cause: Cause, said: &str) -> String {
    if said == cause.entry().title {
        language.title(cause).to_owned()
    } else {
        language.sentence(said).into_owned()
    }
}

/// The title of the catalogue; one of the node's owner stays.
fn title(language: Language, cause: Cause, title: &mut String) {
    if title == cause.entry().title {
        language.title(cause).clone_into(title);
    }
}

fn fixes(language: Language, fixes: &mut [String]) {
    for fix in fixes {
        *fix = language.sentence(fix).into_owned();
    }
}
