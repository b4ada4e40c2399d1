//! `explain`: no text makes it panic, or print what a terminal acts on.

#![no_main]

mod shown;

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
            let mut written = Vec::new();
            explanation::whole(&mut written, &explained, false, language, Some(80)).unwrap();
            shown::assert_harmless(&written);
        }
    }
});
