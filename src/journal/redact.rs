//! Takes secrets out of what is written down: the last thing that happens to every string of a record.
//!
//! A value goes by its key (`"password": …`) or by its looks (a JWT, a PEM block, credentials in a URL). Paths stay
//! (`etcd_key_file`, `kubeconfig`): they are evidence.

mod writing;

use std::ops::Range;

use serde_json::Value;

pub use writing::Redacting;

/// What stands in a secret's place.
pub const REDACTED: &str = "<redacted>";

/// Parts of a key that make its value a secret. Keys are compared in lower case, letters and digits alone.
const SECRET_KEYS: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "psk",
    "sharedkey",
    "encryptionkey",
    "signingkey",
    "keydata",
    "certificatedata",
];
/// Keys that are short for one.
const SHORT_SECRET_KEYS: [&str; 3] = ["pass", "pwd", "certificateauthoritydata"];
/// Ends of a key that speak of the secret without holding it.
const HARMLESS_ENDS: [&str; 14] = [
    "file",
    "path",
    "dir",
    "name",
    "ref",
    "id",
    "type",
    "url",
    "ttl",
    "seconds",
    "namespace",
    "enabled",
    "version",
    "mode",
];
/// Ends of a key whose value is key material or a path to it.
const MATERIAL_ENDS: [&str; 4] = ["key", "cert", "certificate", "ca"];
/// How tokens of known issuers begin, and the least length of one.
const TOKEN_STARTS: [(&str, usize); 12] = [
    ("AKIA", 20),
    ("ASIA", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 24),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("AIza", 35),
    ("hvs.", 20),
    ("npm_", 20),
];

/// `-----BEGIN ` in base64, whatever follows.
const PEM_IN_BASE64: &str = "LS0tLS1CRUdJTi";

/// Which keys hold secrets.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    keys: Vec<Vec<u8>>,
}

impl Redaction {
    /// The known keys, and `keys` in addition.
    #[must_use]
    pub fn new(keys: &[String]) -> Redaction {
        Redaction { keys: keys.iter().map(|key| normal(key)).collect() }
    }

    /// Takes the secrets out of a document.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                for (key, value) in members.iter_mut() {
                    match self.sensitivity(key) {
                        Sensitivity::Secret => hide(value),
                        Sensitivity::Material if value.as_str().is_some_and(looks_like_material) => {
                            hide(value);
                        }
                        _ => self.value(value),
                    }
                }
            }
            _ => {}
        }
    }

    /// The text without its secrets. `None` if there are none.
    #[must_use]
    pub fn text(&self, text: &str) -> Option<String> {
        if is_plain(text) {
            return None;
        }
        let mut secrets = Vec::new();
        url_credentials(text, &mut secrets);
        self.words(text, &mut secrets);
        if secrets.is_empty() {
            return None;
        }
        Some(without(text, secrets))
    }

    fn sensitivity(&self, key: &str) -> Sensitivity {
        if self.keys.is_empty() && is_harmless(key) {
            return Sensitivity::None;
        }
        let key = normal(key);
        if self.keys.contains(&key) || SHORT_SECRET_KEYS.iter().any(|short| short.as_bytes() == key) {
            Sensitivity::Secret
        } else if has_part(&key) {
            if ends_in(&key, &HARMLESS_ENDS) { Sensitivity::None } else { Sensitivity::Secret }
        } else if ends_in(&key, &MATERIAL_ENDS) {
            Sensitivity::Material
        } else {
            Sensitivity::None
        }
    }

    /// Looks at every word: whether it is a token itself, and whether it is the key of a secret that follows it.
    fn words(&self, text: &str, secrets: &mut Vec<Range<usize>>) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(offset) = bytes[at..].iter().position(|byte| is_word(*byte)) {
            let start = at + offset;
            let end = run(bytes, start, is_word);
            at = end;
            let word = &text[start..end];
            if is_token(word) {
                secrets.push(start..end);
            } else if word == "-----BEGIN" {
                at = end_of_pem(text, start);
                secrets.push(start..at);
            } else if word.starts_with(PEM_IN_BASE64) {
                at = run(bytes, start, is_base64);
                secrets.push(start..at);
            } else if let Some(secret) = self.follows(text, start, end) {
                at = secret.end;
                secrets.push(secret);
            }
        }
    }

    /// The secret behind the word at `start..end`: `password=…`, `--token …`, `"secret": "…"`, `Bearer …`, and `token: …`
    /// where what follows looks like one.
    fn follows(&self, text: &str, start: usize, end: usize) -> Option<Range<usize>> {
        let word = &text[start..end];
        let next = *text.as_bytes().get(end)?;
        // A key is no longer than this; and most words have nothing behind them that could be a value.
        if word.len() > 64 || !matches!(next, b'=' | b':' | b' ' | b'\t' | b'"' | b'\'' | b'\\') {
            return None;
        }
        if word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") {
            return credentials(text, end);
        }
        let value = assigned(text, start, end)?;
        (self.sensitivity(word) == Sensitivity::Secret).then_some(value)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sensitivity {
    Secret,
    Material,
    None,
}

/// A key in lower case, letters and digits alone: `apiKey`, `api_key` and `API-KEY` are one.
fn normal(key: &str) -> Vec<u8> {
    key.bytes().map(letter).filter(|letter| *letter != 0).collect()
}

/// Whether a key surely makes nothing a secret. A record has a hundred keys, and this is on the path of every call: hardly three
/// letters of a key begin one of the parts, and hardly a key ends as those of key material do.
fn is_harmless(key: &str) -> bool {
    let mut last = [0; 3];
    for letter in key.bytes().map(letter).filter(|letter| *letter != 0) {
        last = [last[1], last[2], letter];
        if begins_part(last) {
            return false;
        }
    }
    !MATERIAL_ENDS.iter().any(|end| end.as_bytes().ends_with(&last[1..]))
}

/// Whether one of the parts may begin with these three.
fn begins_part([first, second, third]: [u8; 3]) -> bool {
    let [seconds, thirds] = BEGINNINGS[usize::from(first)];
    seconds & bit(second) != 0 && thirds & bit(third) != 0
}

/// For every letter that a part of a secret's key begins with, the sets of those that come second and third.
static BEGINNINGS: [[u32; 2]; 256] = beginnings(beginnings([[0; 2]; 256], &SECRET_KEYS), &SHORT_SECRET_KEYS);

const fn beginnings(mut beginnings: [[u32; 2]; 256], parts: &[&str]) -> [[u32; 2]; 256] {
    let mut index = 0;
    while index < parts.len() {
        let part = parts[index].as_bytes();
        beginnings[part[0] as usize][0] |= bit(part[1]);
        beginnings[part[0] as usize][1] |= bit(part[2]);
        index += 1;
    }
    beginnings
}

/// The set of one letter. Digits share theirs with letters, of which a set then says more than is there.
const fn bit(letter: u8) -> u32 {
    1 << (letter & 31)
}

/// A letter in lower case, or a digit; 0 for whatever else.
fn letter(byte: u8) -> u8 {
    static LETTERS: [u8; 256] = letters();
    LETTERS[usize::from(byte)]
}

const fn letters() -> [u8; 256] {
    let (mut letters, mut byte) = ([0; 256], 0_u8);
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            letters[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    letters
}

fn has_part(key: &[u8]) -> bool {
    let begins = |at: usize| SECRET_KEYS.iter().any(|part| key[at..].starts_with(part.as_bytes()));
    let may_begin = |three: &[u8]| begins_part([three[0], three[1], three[2]]);
    key.windows(3).enumerate().any(|(at, three)| may_begin(three) && begins(at))
}

/// Whether a key ends in one of these, by the last letter first.
fn ends_in(key: &[u8], ends: &[&str]) -> bool {
    let last = key.last();
    ends.iter().any(|end| end.as_bytes().last() == last && key.ends_with(end.as_bytes()))
}

fn hide(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(text) if text.is_empty() => {}
        _ => *value = Value::String(REDACTED.to_owned()),
    }
}

fn looks_like_material(text: &str) -> bool {
    text.len() >= 16 && !text.starts_with('/') && !text.contains(char::is_whitespace)
}

/// Whether a text is too short for a secret that stands alone, and has nothing that could make one of its words the key of
/// another: most of a record.
fn is_plain(text: &str) -> bool {
    text.len() < "-----BEGIN".len() && text.bytes().all(is_word)
}

/// Letters, digits, `_`, `-` and `.`.
fn is_word(byte: u8) -> bool {
    const WORD: [bool; 256] = word_bytes();
    WORD[usize::from(byte)]
}

const fn word_bytes() -> [bool; 256] {
    let (mut bytes, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        bytes[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        byte += 1;
    }
    bytes
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

/// The text with [`REDACTED`] in the place of each secret; they may overlap.
pub(crate) fn without(text: &str, mut secrets: Vec<Range<usize>>) -> String {
    secrets.sort_by_key(|range| range.start);
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    for secret in secrets {
        if secret.start >= at {
            clean.push_str(&text[at..secret.start]);
            clean.push_str(REDACTED);
        }
        at = at.max(secret.end);
    }
    clean.push_str(&text[at..]);
    clean
}

/// The end of the run of bytes from `start` that `belongs` to.
pub(crate) fn run(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| !belongs(*byte)).map_or(bytes.len(), |length| start + length)
}

/// The value that is given to the key at `start..end` of the text.
fn assigned(text: &str, start: usize, end: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let skip = |from: usize, skipped: &[u8]| run(bytes, from, |byte| skipped.contains(&byte));
    let after_key = skip(end, b"\"'\\");
    let key_is_quoted = after_key > end;
    let separator = skip(after_key, b" \t");
    let flag = text[start..].starts_with("--");
    let value = match bytes.get(separator)? {
        b'=' | b':' => skip(separator + 1, b" \t"),
        _ if flag && separator > end => separator,
        _ => return None,
    };
    let quotes = skip(value, b"\"'\\");
    let stop = if quotes > value {
        run(bytes, quotes, |byte| !matches!(byte, b'"' | b'\'' | b'\\'))
    } else {
        run(bytes, quotes, |byte| {
            !byte.is_ascii_whitespace()
                && !matches!(byte, b',' | b';' | b'&' | b')' | b'}' | b']' | b'"' | b'\'')
        })
    };
    let certain = key_is_quoted || flag || bytes[separator] == b'=';
    let found = &text[quotes..stop];
    (!found.is_empty() && (certain || looks_random(found))).then_some(quotes..stop)
}

/// Whether a word behind `token: ` is one rather than a sentence about one.
fn looks_random(word: &str) -> bool {
    word.len() >= 12
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !word.starts_with('/')
}

/// Where the PEM block that begins at `start` ends: with the text, where its end is cut off.
fn end_of_pem(text: &str, start: usize) -> usize {
    let Some(offset) = text[start..].find("-----END ") else { return text.len() };
    let end = start + offset + "-----END ".len();
    text[end..].find("-----").map_or(text.len(), |dashes| end + dashes + "-----".len())
}

/// A JSON web token, a token of a known issuer, a Kubernetes bootstrap token.
fn is_token(word: &str) -> bool {
    if word.len() < 20 {
        return false;
    }
    let is_jwt = word.starts_with("eyJ") && (word.len() >= 40 || word.contains('.'));
    let is_issued = TOKEN_STARTS.iter().any(|(start, least)| word.len() >= *least && word.starts_with(start));
    is_jwt || is_issued || is_bootstrap_token(word)
}

/// `abcdef.0123456789abcdef`.
fn is_bootstrap_token(word: &str) -> bool {
    let lower = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    word.len() == 23
        && word.split_once('.').is_some_and(|(id, secret)| {
            id.len() == 6 && lower(id) && lower(secret) && secret.bytes().any(|byte| byte.is_ascii_digit())
        })
}

/// `https://user:password@host`: everything before the `@`.
fn url_credentials(text: &str, secrets: &mut Vec<Range<usize>>) {
    if !text.contains('@') {
        return;
    }
    for (scheme, _) in text.match_indices("://") {
        let start = scheme + 3;
        let end = run(text.as_bytes(), start, |byte| {
            !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'"' | b'\'' | b'?' | b'#' | b',' | b'\\')
        });
        if let Some(at_sign) = text[start..end].rfind('@').filter(|at_sign| *at_sign > 0) {
            secrets.push(start..start + at_sign);
        }
    }
}

/// What follows `Bearer` or `Basic`, where it is no plain word.
fn credentials(text: &str, end: usize) -> Option<Range<usize>> {
    let start = end + 1;
    let end = run(text.as_bytes(), start, |byte| is_base64(byte) || byte == b'.');
    let word = text.get(start..end)?;
    (word.len() >= 8 && !word.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(start..end)
}

#[cfg(test)]
mod tests;
