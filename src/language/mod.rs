//! The languages that people read: titles, explanations and fixes of causes, and the words around them.
//!
//! English is what the catalogue, the checks and the records are written in. What this module adds is for the screen of
//! whoever has asked: it turns English texts into those of the files beside it. Nothing of it is on the path of a call.

mod data;
mod told;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ffi::OsString;

use crate::diagnosis::catalogue::{Cause, DESTRUCTIVE};
use crate::diagnosis::reason::AGAINST;
use data::Data;

pub use told::{examination, explanation, of_diagnosis, of_failure};

/// A language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// English
    #[default]
    En,
    /// Russian
    Ru,
    /// Chinese, simplified
    Zh,
}

/// The variables that tell the language of messages, the first of them that is set decides (POSIX, "Environment Variables",
/// 8.2).
const VARIABLES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

impl Language {
    /// The language that the environment asks for. One that is not there, or that is to be written in another encoding than
    /// UTF-8, is English.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Language {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let locale = VARIABLES.iter().find_map(set).unwrap_or_default();
        Language::of_locale(&locale.to_string_lossy())
    }

    /// The language of a locale, such as `zh_CN.UTF-8@variant`.
    fn of_locale(locale: &str) -> Language {
        let locale = locale.split('@').next().unwrap_or_default();
        let (name, encoding) = locale.split_once('.').unwrap_or((locale, "UTF-8"));
        if !["utf-8", "utf8"].contains(&encoding.to_ascii_lowercase().as_str()) {
            return Language::En;
        }
        match name.split(['_', '-']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "ru" => Language::Ru,
            "zh" => Language::Zh,
            _ => Language::En,
        }
    }

    /// The texts of this language; `None` for English, in which they stand in the code.
    fn data(self) -> Option<&'static Data> {
        match self {
            Language::En => None,
            Language::Ru => Some(Data::russian()),
            Language::Zh => Some(Data::chinese()),
        }
    }

    /// A word or a phrase of the program's own.
    #[must_use]
    pub fn word(self, english: &'static str) -> &'static str {
        self.data().and_then(|data| data.words.get(english)).map_or(english, String::as_str)
    }

    /// A phrase with these values in the places of `{0}`, `{1}` and so on.
    #[must_use]
    pub fn filled(self, english: &'static str, values: &[&str]) -> String {
        data::filled(self.word(english), values)
    }

    /// So many of something: `what` is `{0} problem`, say.
    #[must_use]
    pub fn counted(self, number: usize, one: &'static str, many: &'static str) -> String {
        self.filled(if number == 1 { one } else { many }, &[&number.to_string()])
    }

    /// What is wrong with this cause, in a few words.
    #[must_use]
    pub fn title(self, cause: Cause) -> &'static str {
        self.data()
            .and_then(|data| data.causes.get(cause.id()))
            .map_or(cause.entry().title, |told| &told.title)
    }

    /// What the cause means and how it comes about.
    #[must_use]
    pub fn about(self, cause: Cause) -> &'static str {
        self.data()
            .and_then(|data| data.causes.get(cause.id()))
            .map_or(cause.entry().about, |told| &told.about)
    }

    /// A fix, or what a check found, with this node's names in it. A sentence that is not known, as those of the node's
    /// owner, stays as it is. The mark of what destroys something stays too: programs look for it.
    #[must_use]
    pub fn sentence(self, english: &str) -> Cow<'_, str> {
        let Some(data) = self.data() else { return Cow::Borrowed(english) };
        let (mark, plain) = match english.strip_prefix(DESTRUCTIVE) {
            Some(plain) => (DESTRUCTIVE, plain),
            None => ("", english),
        };
        match data.sentence(plain) {
            Some(told) => Cow::Owned(format!("{mark}{told}")),
            None => Cow::Borrowed(english),
        }
    }

    /// A fix as people see it: with the mark of what destroys something in their language.
    #[must_use]
    pub fn marked(self, fix: &str) -> Cow<'_, str> {
        match fix.strip_prefix(DESTRUCTIVE) {
            Some(plain) => Cow::Owned(format!("{}{plain}", self.word(DESTRUCTIVE))),
            None => Cow::Owned(fix.to_owned()),
        }
    }

    /// What a check found to be well.
    #[must_use]
    pub fn well(self, english: &str) -> String {
        match english.split_once(": ") {
            Some((check, summary)) => format!("{check}: {}", self.sentence(summary)),
            None => english.to_owned(),
        }
    }

    /// What supports a cause: words of the text, or what a check found.
    #[must_use]
    pub fn evidence(self, english: &str) -> Cow<'_, str> {
        if let Some(found) = english.strip_prefix(AGAINST) {
            return Cow::Owned(self.word(AGAINST).to_owned() + &self.evidence(found));
        }
        let found = english.strip_prefix("check ").and_then(|found| found.split_once(": "));
        let Some((check, summary)) = found else { return self.sentence(english) };
        let (summary, deeper) = match summary.strip_suffix(DEEPER) {
            Some(summary) => (summary, self.word(DEEPER)),
            None => (summary, ""),
        };
        Cow::Owned(self.filled("check {0}: {1}", &[check, &self.sentence(summary)]) + deeper)
    }
}

/// What the reasoning adds to the finding that decides against the text.
const DEEPER: &str = ", which is the deeper cause";
