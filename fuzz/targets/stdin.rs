//! What a runtime writes to stdin, and what stands in a settings file and in a network configuration: nothing makes the
//! readers panic, and what is wrapped can be unwrapped to the same bytes.

#![no_main]

use cniscope::cni::entry::{self, Entry};
use cniscope::install::conflist::{self, Which};
use cniscope::journal::redact::Redaction;
use cniscope::settings::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = Entry::read(data) {
        let _ = Settings::of_entry(entry.settings());
        if let Some(edits) = entry.unwrapped() {
            let restored = entry::apply(data, &edits);
            assert!(Entry::read(&restored).is_ok(), "an entry is one object before and after");
        }
    }
    for which in [Which::Head, Which::All] {
        if let Ok(wrapped) = conflist::wrap(data, which) {
            // What was wrapped before is given back by this too.
            if let Ok(bare) = conflist::unwrap(data) {
                let again = conflist::unwrap(&wrapped).unwrap();
                assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&bare));
            }
        }
    }
    let _ = Redaction::default().text(&String::from_utf8_lossy(data));
});
