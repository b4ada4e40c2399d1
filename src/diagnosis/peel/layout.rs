//! How a text is laid out: escaped once or twice, a JSON document, lines of a log.

use serde_json::Value;

/// How often a text may be escaped: a record of a log in a field of a record of another one.
const ESCAPED: usize = 3;
/// The fields of a JSON record that hold the error, in the order in which they are read.
const MESSAGES: &[&str] = &["msg", "message", "note", "error", "err", "reason", "details", "desc"];

/// The text without its escapes; of a JSON record its messages.
pub(super) fn readable(text: &str) -> String {
    let mut text = of_json(text.trim()).unwrap_or_else(|| text.trim().to_owned());
    for _ in 0..ESCAPED {
        if !text.contains("\\\"") && !text.contains("\\n") {
            break;
        }
        text = unescaped(&text);
    }
    text
}

/// The messages of a JSON record, as far as it is one.
fn of_json(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let record: Value = serde_json::from_str(text).ok()?;
    let message = |key: &&str| {
        let (_, value) = record.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        value.as_str().filter(|text| !text.is_empty())
    };
    let messages: Vec<&str> = MESSAGES.iter().filter_map(message).collect();
    (!messages.is_empty()).then(|| messages.join(": "))
}

/// One level of escapes taken away, as JSON and Go's `%q` write them.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.clone().next() {
            Some('"') => plain.push('"'),
            Some('\\') => plain.push('\\'),
            Some('n') => plain.push('\n'),
            Some('t' | 'r') => plain.push(' '),
            _ => {
                plain.push('\\');
                continue;
            }
        }
        characters.next();
    }
    plain
}

/// The text in one line.
pub(super) fn flat(text: &str, between_lines: &str) -> String {
    let mut flat = String::with_capacity(text.len());
    for line in text.lines() {
        if !flat.is_empty() {
            flat.push_str(between_lines);
        }
        // As a mail or a page quotes it.
        let line = line.strip_prefix("> ").unwrap_or(line);
        // What a broken line goes on with stands at its start; an indent is the page's.
        flat.push_str(if between_lines.is_empty() { line.trim_start() } else { line.trim() });
    }
    flat
}

/// The runtime that a line of journald names: `Jan 02 10:20:30 node containerd[1234]: …`.
pub(super) fn runtime(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    let (head, _) = line.split_once("]: ").or_else(|| line.split_once(": "))?;
    let (head, pid) = head.rsplit_once('[').unwrap_or((head, "0"));
    let name = head.rsplit(' ').next()?;
    let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    let known = match name {
        "containerd" | "cri-containerd" => "containerd",
        "dockerd" | "cri-dockerd" => "docker",
        "crio" | "cri-o" => "cri-o",
        "podman" => "podman",
        _ => return None,
    };
    is_number.then(|| known.to_owned())
}

/// The entries of a log: a line that begins one, and those that belong to it. A text that is no log is one entry.
#[must_use]
pub fn entries(text: &str) -> Vec<&str> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_start_of_entry(line) {
            starts.push(at);
        }
        at += line.len();
    }
    if starts.is_empty() {
        return if text.trim().is_empty() { Vec::new() } else { vec![text] };
    }
    // What stands before the first entry belongs to one whose start was cut off.
    if !text[..starts[0]].trim().is_empty() {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| text[*start..end].trim_end()).collect()
}

/// Whether a line begins an entry of a log: a time in one of the usual forms, a level, a record of JSON.
#[must_use]
pub fn is_start_of_entry(line: &str) -> bool {
    let start = line.as_bytes();
    let line = line.trim_end();
    shaped(start, b"AAA 99 99:99:99")
        || shaped(start, b"AAA _9 99:99:99")
        || shaped(start, b"9999-99-99?99:99:99")
        || shaped(start, b"9999/99/99 99:99:99")
        || shaped(start, b"A9999 99:99:99")
        || shaped(start, b"AAAA[9999")
        || line.starts_with("time=\"")
        || line.starts_with("level=")
        || (line.starts_with("{\"") && line.ends_with('}'))
        || ["Warning ", "Normal "].iter().any(|level| line.trim_start().starts_with(level))
}

/// Whether a text begins like this: `A` is a letter, `9` a digit, `_` a space, `?` anything.
fn shaped(text: &[u8], shape: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'A' => byte.is_ascii_alphabetic(),
        b'9' => byte.is_ascii_digit(),
        b'_' => *byte == b' ',
        b'?' => true,
        _ => byte == form,
    };
    text.len() >= shape.len() && text.iter().zip(shape).all(fits)
}
