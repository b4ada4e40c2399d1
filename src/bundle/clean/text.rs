//! Free text, such as a log: what the journal hides, and whatever else looks like a secret. Here a word too many may go, since
//! nobody looks again before it leaves the node.

use std::ops::Range;

use super::{Hidden, Why};
use crate::journal::redact::{REDACTED, Redaction, run, without};

/// Keys that are no secrets in a CNI record, and are elsewhere in a log.
const KEYS: [&str; 16] = [
    "auth",
    "identitytoken",
    "registrytoken",
    "sig",
    "signature",
    "accountkey",
    "sharedaccesskey",
    "connectionstring",
    "dsn",
    "jwt",
    "otp",
    "community",
    "passcode",
    "clientsecret",
    "sessionid",
    "presharedkey",
];
/// Behind these nothing but a secret stands, whatever it looks like.
const PASSWORDS: [&str; 6] = ["password", "passwd", "passphrase", "passcode", "secret", "psk"];
/// Headers of HTTP whose whole value goes.
const HEADERS: [&str; 6] =
    ["authorization:", "cookie:", "set-cookie:", "x-auth-token:", "x-vault-token:", "x-api-key:"];
/// How hashes of passwords begin (crypt(5)).
const HASHES: [&str; 9] = ["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$7$", "$apr1$"];
/// The least length of a word that may be a key or a token for its looks alone.
const LONG: usize = 20;

/// What hides secrets in texts.
#[derive(Debug, Clone)]
pub struct Text {
    known: Redaction,
}

impl Text {
    /// With the keys that the node's settings name.
    #[must_use]
    pub fn new(of_settings: &[String]) -> Text {
        let keys: Vec<String> =
            KEYS.iter().map(|key| (*key).to_owned()).chain(of_settings.iter().cloned()).collect();
        Text { known: Redaction::new(&keys) }
    }

    /// What the journal itself hides, with more keys.
    #[must_use]
    pub fn known(&self) -> &Redaction {
        &self.known
    }

    /// The text without what looks like a secret. `None` if nothing does.
    #[must_use]
    pub fn hide(&self, text: &str) -> Option<String> {
        let known = self.known.text(text);
        let text = known.as_deref().unwrap_or(text);
        let lower = text.to_ascii_lowercase();
        let mut secrets = Vec::new();
        headers(text, &lower, &mut secrets);
        hashes(text, &mut secrets);
        passwords(text, &lower, &mut secrets);
        rests_of_pem(text, &mut secrets);
        random_words(text, &mut secrets);
        // What is hidden already is found again by its neighbours.
        secrets.retain(|secret| &text[secret.clone()] != REDACTED);
        if secrets.is_empty() { known } else { Some(without(text, secrets)) }
    }

    /// The same, with the lines in which something was hidden.
    #[must_use]
    pub fn hide_in_lines(&self, text: &str) -> (String, Vec<Hidden>) {
        let Some(clean) = self.hide(text) else { return (text.to_owned(), Vec::new()) };
        let line = |number: usize| Hidden { place: format!("line {number}"), why: Why::Looks };
        let touched =
            |(number, line_of_text): (usize, &str)| line_of_text.contains(REDACTED).then(|| line(number + 1));
        let hidden = clean.lines().enumerate().filter_map(touched).collect();
        (clean, hidden)
    }
}

fn find_all<'a>(text: &'a str, what: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(what).map(|(at, _)| at)
}

fn headers(text: &str, lower: &str, secrets: &mut Vec<Range<usize>>) {
    if !text.contains(':') {
        return;
    }
    for header in HEADERS {
        for at in find_all(lower, header) {
            let start = run(text.as_bytes(), at + header.len(), |byte| byte == b' ');
            let end = run(text.as_bytes(), start, |byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\''));
            secrets.extend((end > start).then_some(start..end));
        }
    }
}

fn hashes(text: &str, secrets: &mut Vec<Range<usize>>) {
    if !text.contains('$') {
        return;
    }
    for hash in HASHES {
        for at in find_all(text, hash) {
            let end =
                run(text.as_bytes(), at, |byte| byte.is_ascii_alphanumeric() || b"$./=,+-_".contains(&byte));
            secrets.extend((end - at >= LONG).then_some(at..end));
        }
    }
}

fn passwords(text: &str, lower: &str, secrets: &mut Vec<Range<usize>>) {
    if !text.contains([':', '=']) {
        return;
    }
    for word in PASSWORDS {
        for at in find_all(lower, word) {
            let behind =
                run(text.as_bytes(), at + word.len(), |byte| matches!(byte, b'"' | b'\'' | b'\\' | b' '));
            let is_given = matches!(text.as_bytes().get(behind), Some(b':' | b'='));
            if !is_given {
                continue;
            }
            let start = run(text.as_bytes(), behind + 1, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b' '));
            let end = run(text.as_bytes(), start, |byte| {
                !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'\\' | b',' | b';' | b'&')
            });
            secrets.extend((end > start).then_some(start..end));
        }
    }
}

/// The end of a PEM block whose beginning was cut off with the start of the text.
fn rests_of_pem(text: &str, secrets: &mut Vec<Range<usize>>) {
    for end in find_all(text, "-----END ") {
        let mut start = end;
        while let Some(before) = text[..start].strip_suffix('\n') {
            let line = before.rfind('\n').map_or(0, |at| at + 1);
            if before.len() == line || !before[line..].bytes().all(is_base64) {
                break;
            }
            start = line;
        }
        secrets.extend((start < end).then_some(start..end));
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

fn random_words(text: &str, secrets: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(offset) = text.as_bytes()[at..].iter().position(|byte| is_base64(*byte)) {
        let start = at + offset;
        let end = run(text.as_bytes(), start, is_base64);
        at = end;
        let word = &text[start..end];
        if word.len() < LONG {
            continue;
        }
        // A path is looked at part by part; base64 has slashes too, and does not begin with one.
        let is_path =
            word.starts_with('/') || start > 0 && matches!(text.as_bytes()[start - 1], b'.' | b':' | b'~');
        if !is_path && is_random(word) {
            secrets.push(start..end);
            continue;
        }
        let mut part_start = start;
        for part in word.split(['/', '=']) {
            if is_random(part) {
                secrets.push(part_start..part_start + part.len());
            }
            part_start += part.len() + 1;
        }
    }
}

/// Whether a word looks made at random: letters of both kinds with digits, or many digits among small letters. Ids are of
/// hexadecimal digits, with dashes or without, and stay: they are what a call is found by.
fn is_random(word: &str) -> bool {
    let count = |belongs: fn(&u8) -> bool| word.bytes().filter(belongs).count();
    let digits = count(u8::is_ascii_digit);
    let (upper, lower) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    if word.len() < LONG || digits == 0 || word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return false;
    }
    if upper > 0 && lower > 0 {
        return true;
    }
    let longest = word.split(['-', '_', '/', '+', '=']).map(str::len).max().unwrap_or_default();
    longest >= 24 && digits >= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> String {
        Text::new(&["own".to_owned()]).hide(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let table = [
            ("password: hunter-2 was wrong", "password: <redacted> was wrong"),
            ("{\"auth\":\"dXNlcjpodW50ZXItMg==\"}", "{\"auth\":\"<redacted>\"}"),
            ("GET / Authorization: Digest username=\"x\"", "GET / Authorization: <redacted>\"x\""),
            ("Set-Cookie: a=b; Path=/\nnext", "Set-Cookie: <redacted>\nnext"),
            ("admin:$2y$05$abcdefghijklmnopqrstuv end", "admin:<redacted> end"),
            ("key wPj4YkFxZ0q3mB2sT7uV9nRdE1cA6hGiJ8lKoLpXyQ= set", "key <redacted> set"),
            ("sent c3VwZXIgc2VjcmV0/dmFsdWUgd2l0aCBzbGFzaA", "sent <redacted>"),
            ("/v1/keys/AbCdEfGhIjKlMnOpQrSt12345/x", "/v1/keys/<redacted>/x"),
            ("MIIEvQ\nab==\n-----END PRIVATE KEY-----\nwell", "<redacted>-----END PRIVATE KEY-----\nwell"),
            ("own=1", "own=<redacted>"),
            ("id z3m9q8w7e6r5t4y3u2i1o0p9a8s7", "id <redacted>"),
        ];
        for (text, expected) in table {
            assert_eq!(hidden(text), expected);
        }
    }

    #[test]
    fn what_tells_something_stays() {
        for text in [
            "plugin type=\"bridge\" failed (add): failed to allocate for range 0",
            "sandbox 6f1c9a3b2d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd",
            "pod kube-system/coredns-6f6b679f8f-x2x4z uid 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            "/var/lib/kubelet/pods/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/volumes/kubernetes.io~projected/kube-api-access-x2x4z",
            "I1121 10:20:30.123456    1234 reconciler_common.go:251] operationExecutor.VerifyControllerAttachedVolume",
            "image registry.k8s.io/pause@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097",
            "2026-11-21T10:20:30.123456789Z stderr F NetworkPluginNotReady fe80::5054:ff:fe12:3456",
        ] {
            assert_eq!(hidden(text), text);
        }
    }

    #[test]
    fn the_lines_are_named() {
        let text = Text::new(&[]);
        let (clean, hidden) = text.hide_in_lines("a\npassword=b\nc\npsk: d\n");
        assert_eq!(clean, "a\npassword=<redacted>\nc\npsk: <redacted>\n");
        assert_eq!(hidden.iter().map(|one| one.place.as_str()).collect::<Vec<_>>(), ["line 2", "line 4"]);
    }
}
