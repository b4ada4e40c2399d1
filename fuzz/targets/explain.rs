//! `explain`: no text makes it panic, or print what a terminal acts on.

#![no_main]

use cniscope::diagnosis::{explain, own};
use cniscope::language::Language;
use cniscope::render::explanation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // A signature of the node's owner, and a text.
    let (signature, text) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(0));
    let (own, _) = own::parse("signature.json", signature);
    let text = String::from_utf8_lossy(text);
    for explained in [explain::explain(&text, &own), explain::explain_events(&text, &own)] {
        for language in [Language::En, Language::Zh] {
            let mut shown = Vec::new();
            explanation::whole(&mut shown, &explained, false, language, Some(80)).unwrap();
            let shown = without_colours(&String::from_utf8(shown).unwrap());
            assert!(!shown.chars().any(|character| character.is_control() && character != '\n'), "{shown:?}");
        }
    }
});

/// The text without `ESC [ … m`, which is what cniscope itself writes.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .trim_start_matches(|character: char| character.is_ascii_digit() || character == ';')
            .strip_prefix('m')
        {
            Some(behind) => rest.push_str(behind),
            None => rest.extend(["\u{1b}[", part]),
        }
    }
    rest
}
