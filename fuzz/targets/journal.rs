//! A journal that others have written to: no line makes a reader panic.

#![no_main]

use std::fs;

use cniscope::journal::read;
use cniscope::node::Node;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("journal.jsonl"), data).unwrap();
    let reading = read::calls(&Node::at(folder.path()), folder.path(), |_| true).unwrap();
    for call in &reading.calls {
        let _ = (call.has_failed(), call.is_suspect(), call.text("id"));
    }
});
