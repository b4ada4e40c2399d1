//! What error texts say: the messages of plugins, runtimes and libraries, and the cause that each stands for.
//!
//! A signature is data. The files beside this one have one a line, by the family that says it, with the place that it
//! was learned from: a file of the program's source, or a case of the corpus. `build.rs` makes one document of them.

mod grams;

use std::sync::OnceLock;

use super::catalogue::Cause;
use grams::{Gram, Grams};

#[cfg(test)]
mod tests;

/// How much a signature tells, from the least to the most. Of two that fit, the one of the higher rank decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Words that many failures have; they decide only where there is nothing else.
    Weak,
    /// A message around another error, which decides if it tells more.
    Around,
    /// The system's own words, whoever repeats them.
    Word,
    /// A message that is an error by itself.
    Exact,
    /// Words that mean one cause whatever stands around them.
    Decisive,
    /// The container runtime's words for what has nothing to do with the network.
    Runtime,
    /// A signature of this node's owner.
    Own,
}

impl Rank {
    /// The rank with this word, as in the data files.
    fn from_word(word: &str) -> Option<Rank> {
        Some(match word {
            "weak" => Rank::Weak,
            "around" => Rank::Around,
            "word" => Rank::Word,
            "exact" => Rank::Exact,
            "decisive" => Rank::Decisive,
            "runtime" => Rank::Runtime,
            _ => return None,
        })
    }

    /// How sure a reading by it is.
    #[must_use]
    pub fn confidence(self) -> &'static str {
        match self {
            Rank::Weak | Rank::Around => "low",
            Rank::Word => "medium",
            Rank::Exact | Rank::Decisive | Rank::Runtime | Rank::Own => "high",
        }
    }
}

/// A text that tells a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The cause.
    pub cause: Cause,
    /// How much it tells.
    pub rank: Rank,
    /// What must occur in the text, in this order and near each other, as its author writes it.
    pub parts: Vec<String>,
    /// The same in lower case, and whether only one word stands before it.
    lower: Vec<(String, bool)>,
    /// What a text has that it fits.
    gram: Option<Gram>,
}

/// Where in a text a signature fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// Between two parts of a signature stand names, addresses, a command: no more than this many bytes.
const GAP: usize = 400;
/// How many occurrences of the first part are tried.
const TRIES: usize = 4;
/// How many bytes of a part must be there where the text is cut in the middle of it.
const CUT: usize = 14;

impl Signature {
    /// A signature of a text in which ` * ` stands for anything and ` <> ` for one word.
    #[must_use]
    fn new(cause: Cause, rank: Rank, text: &str) -> Signature {
        let mut parts = Vec::new();
        let mut lower = Vec::new();
        for piece in text.split(" * ") {
            for (position, part) in piece.split(" <> ").enumerate() {
                parts.push(part.to_owned());
                lower.push((part.to_ascii_lowercase(), position > 0));
            }
        }
        let gram = lower.first().and_then(|(first, _)| grams::middle(first));
        Signature { cause, rank, parts, lower, gram }
    }

    /// The last place where it fits a text in lower case.
    #[must_use]
    pub fn fit(&self, text: &str) -> Option<Span> {
        let ((first, _), others) = self.lower.split_first()?;
        let mut end = text.len();
        for _ in 0..TRIES {
            let Some(start) = text[..end].rfind(first.as_str()) else { break };
            let fitted = others.iter().try_fold(start + first.len(), |at, (part, is_next_word)| {
                let near = floor(text, at + GAP + part.len());
                let found = text[at..near].find(part.as_str())?;
                let is_word = !text[at..at + found].trim().contains(' ');
                (is_word || !is_next_word).then_some(at + found + part.len())
            });
            match fitted {
                Some(end) if self.is_bounded(text, start, end) => return Some(Span { start, end }),
                // The next one may overlap this one.
                _ => end = start + first.len() - 1,
            }
            end = floor(text, end);
        }
        self.fit_cut(text)
    }

    /// Where the text ends, or begins, in the middle of a signature of one part.
    fn fit_cut(&self, text: &str) -> Option<Span> {
        let [(part, _)] = self.lower.as_slice() else { return None };
        if self.rank < Rank::Word || part.len() <= CUT || text.len() <= CUT {
            return None;
        }
        let least = CUT.max(part.len() * 2 / 3);
        let longest = part.len().min(text.len());
        (least..longest).rev().find_map(|length| {
            let is_start = is_inside_word(part, length) && text.ends_with(&part[..length]);
            if is_start && self.is_bounded(text, text.len() - length, text.len()) {
                return Some(Span { start: text.len() - length, end: text.len() });
            }
            let from = part.len() - length;
            let is_end = is_inside_word(part, from) && text.starts_with(&part[from..]);
            is_end.then_some(Span { start: 0, end: length })
        })
    }

    /// Whether what fits is not a piece of longer words. Whole messages may go on: `provide` and `provided`.
    fn is_bounded(&self, text: &str, start: usize, end: usize) -> bool {
        let bytes = text.as_bytes();
        let joins = |at: usize| {
            let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            at > 0 && is_word(bytes.get(at - 1)) && is_word(bytes.get(at))
        };
        !joins(start) && (self.rank > Rank::Word || !joins(end))
    }

    /// The parts as they are quoted.
    #[must_use]
    pub fn quoted(&self) -> String {
        let quoted: Vec<_> = self.parts.iter().map(|part| format!("“{}”", part.trim())).collect();
        quoted.join(" and ")
    }
}

/// Whether a text cut here would be cut in the middle of a word. Where whole words are left, it may be another message.
fn is_inside_word(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    at > 0 && at < bytes.len() && bytes[at - 1].is_ascii_alphanumeric() && bytes[at].is_ascii_alphanumeric()
}

/// The next boundary of a character at or before this byte.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// What stands in the data files but for the last column, its fields separated by tabs.
const DATA: &str = include_str!(concat!(env!("OUT_DIR"), "/signatures"));

/// Every signature.
#[must_use]
pub fn all() -> &'static [Signature] {
    static ALL: OnceLock<Vec<Signature>> = OnceLock::new();
    ALL.get_or_init(|| DATA.lines().filter_map(parse).collect())
}

/// The signatures that fit a text in lower case, each with the last place where it does.
pub fn fitting(text: &str) -> impl Iterator<Item = (&'static Signature, Span)> {
    let grams = Grams::of(text);
    let possible = all().iter().filter(move |signature| grams.may_have(signature.gram));
    possible.filter_map(move |signature| Some((signature, signature.fit(text)?)))
}

/// In the text ` * ` stands for anything and ` <> ` for one word. A test holds that every line is a signature.
fn parse(line: &str) -> Option<Signature> {
    let mut fields = line.split('\t');
    let cause = Cause::from_id(fields.next()?)?;
    let rank = Rank::from_word(fields.next()?)?;
    let text = fields.next()?;
    fields.next().is_none().then(|| Signature::new(cause, rank, text))
}
