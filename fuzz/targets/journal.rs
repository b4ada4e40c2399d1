//! A journal that others have written to: no line makes a reader panic.

#![no_main]

use std::fs;

use cniscope::journal::head::Head;
use cniscope::journal::read;
use cniscope::journal::sources::Sources;
use cniscope::node::Node;
use cniscope::render::otlp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("journal.jsonl"), data).unwrap();
    let reading = read::calls(&Node::at(folder.path()), Sources::open(&[folder.path()]).unwrap(), &|_: &Head| true).unwrap();
    for call in &reading.calls {
        let _ = (call.has_failed(), call.is_suspect(), call.text("id"), otlp::request(call));
    }
});
