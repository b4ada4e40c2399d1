//! Appends lines to a journal until it is killed, and says on stdout which of them were appended.
//!
//!     writer DIR NAME

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a writer that cannot go on shows in what it has not said"
)]

use cniscope::journal::append::append;
use cniscope::settings::{JournalSettings, Settings};

/// Longer than a page, so that the kernel can tear it.
const LENGTH: usize = 60_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().expect("a folder").into();
    let name = arguments.next().expect("a name");
    let settings =
        JournalSettings { dir, max_bytes: 1 << 20, max_files: 1000, ..Settings::default().journal };
    for number in 0.. {
        let id = format!("{name}.{number}");
        let line = format!("{{\"id\":\"{id}\",\"event\":\"end\",\"filling\":\"{}\"}}\n", "x".repeat(LENGTH));
        append(&settings, line.as_bytes()).unwrap();
        println!("{id}");
    }
}
