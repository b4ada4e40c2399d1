//! The texts of the other languages: unpacked when one is asked for (`build.rs` packs them).

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::DeflateDecoder;
use serde::Deserialize;

use crate::diagnosis::catalogue::entries;

/// What is told of a cause.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    pub title: String,
    pub about: String,
    /// As many as in English, in their order.
    pub fix: Vec<String>,
}

/// All texts of a language, by the English ones; of causes, by id.
#[derive(Debug)]
pub(super) struct Data {
    pub causes: HashMap<String, Told>,
    pub words: HashMap<String, String>,
    /// Fixes of the catalogue.
    fixes: HashMap<&'static str, String>,
    /// What checks find and tell to do, with names of the node in it.
    pub sentences: Vec<Sentence>,
}

/// A sentence with places for names.
#[derive(Debug)]
pub(super) struct Sentence {
    /// The English text around and between the places.
    pub around: Vec<String>,
    pub told: String,
}

/// The files of a language, as one document.
#[derive(Debug, Default, Deserialize)]
struct Texts {
    causes: HashMap<String, Told>,
    words: HashMap<String, String>,
    fixes: HashMap<String, String>,
    findings: HashMap<String, String>,
}

macro_rules! data {
    ($language:literal) => {{
        static DATA: OnceLock<Data> = OnceLock::new();
        DATA.get_or_init(|| Data::unpack(include_bytes!(concat!(env!("OUT_DIR"), "/", $language))))
    }};
}

impl Data {
    pub fn russian() -> &'static Data {
        data!("ru")
    }

    pub fn chinese() -> &'static Data {
        data!("zh")
    }

    fn unpack(packed: &[u8]) -> Data {
        let mut document = Vec::new();
        // None, which is English, if it is broken: a test holds it whole.
        let _ = DeflateDecoder::new(packed).read_to_end(&mut document);
        let texts: Texts = serde_json::from_slice(&document).unwrap_or_default();
        let mut fixes = HashMap::new();
        for entry in entries() {
            let told = texts.causes.get(entry.id).map(|told| told.fix.as_slice()).unwrap_or_default();
            fixes.extend(entry.fix.iter().zip(told).map(|(fix, told)| (fix.text, told.clone())));
        }
        let sentences = texts.fixes.into_iter().chain(texts.findings);
        let sentences = sentences.map(|(english, told)| Sentence::new(&english, told)).collect();
        Data { causes: texts.causes, words: texts.words, fixes, sentences }
    }

    /// What an English sentence is in this language.
    pub fn sentence(&self, english: &str) -> Option<String> {
        if let Some(told) = self.fixes.get(english) {
            return Some(told.clone());
        }
        let fitting =
            self.sentences.iter().filter_map(|sentence| Some((sentence, sentence.values(english)?)));
        // Of two that fit, the one that has more words of its own is meant.
        let (sentence, values) = fitting.max_by_key(|(sentence, _)| sentence.own())?;
        // A name stays as it is, and a part of a sentence is one that is known too.
        let values: Vec<Cow<'_, str>> = values
            .into_iter()
            .map(|value| self.sentence(value).map_or(Cow::Borrowed(value), Cow::Owned))
            .collect();
        Some(filled(&sentence.told, &values.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
    }
}

impl Sentence {
    fn new(english: &str, told: String) -> Sentence {
        let mut around = Vec::new();
        let mut rest = english;
        while let Some((before, after)) = rest.split_once(&format!("{{{}}}", around.len())) {
            around.push(before.to_owned());
            rest = after;
        }
        around.push(rest.to_owned());
        Sentence { around, told }
    }

    /// How much of it is the same wherever it is said.
    fn own(&self) -> usize {
        self.around.iter().map(String::len).sum()
    }

    /// What stands in its places, if this is the sentence.
    fn values<'t>(&self, english: &'t str) -> Option<Vec<&'t str>> {
        let (first, others) = self.around.split_first()?;
        let Some((last, between)) = others.split_last() else {
            return (english == first).then(Vec::new);
        };
        let mut rest = english.strip_prefix(first.as_str())?.strip_suffix(last.as_str())?;
        let mut values = Vec::new();
        for text in between {
            let (value, after) = rest.split_once(text.as_str())?;
            values.push(value);
            rest = after;
        }
        values.push(rest);
        values.iter().all(|value| !value.is_empty()).then_some(values)
    }
}

/// The text with these values in the places of `{0}`, `{1}` and so on.
pub(super) fn filled(text: &str, values: &[&str]) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(number, after)| {
            let value = values.get(number.parse::<usize>().ok()?)?;
            Some((value, after))
        });
        if let Some((value, after)) = value {
            filled.push_str(value);
            rest = after;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled + rest
}
