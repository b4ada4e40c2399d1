//! Notes about records that could not be written, beside the journal: on a memory file system, so that they can be
//! written when the disk is full.
//!
//! With them a reader tells a call whose end is missing since it could not be written from one that the runtime killed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::node::Node;
use crate::node::clock;

/// Where the notes are.
pub const NOTES: &str = "/run/cniscope/unfinished.jsonl";
/// When there is more than this, they begin anew.
const MAX_BYTES: u64 = 64 * 1024;

/// Notes that a record of `call` could not be written. That this is not possible either changes nothing.
pub fn note(notes: &Path, call: &str, why: &str) {
    let Some(folder) = notes.parent() else { return };
    let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let line =
        json!({"id": call, "time": clock::rfc3339(std::time::SystemTime::now()), "error": why}).to_string();
    let options = |file: &mut std::fs::OpenOptions| {
        file.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(notes)
    };
    if std::fs::symlink_metadata(notes).is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
        let _ = options(File::options().write(true).truncate(true));
    }
    if let Ok(mut file) = options(File::options().append(true).create(true)) {
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// The calls of which a record could not be written.
#[must_use]
pub fn calls(node: &Node, notes: &Path) -> BTreeSet<String> {
    let content = node.read(notes, 4 * MAX_BYTES).unwrap_or_default();
    let lines = content.split(|byte| *byte == b'\n');
    let notes = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    notes.filter_map(|note| Some(note["id"].as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_and_what_is_torn_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("run/notes");
        note(&notes, "a", "disk full");
        std::fs::write(&notes, format!("{{\"id\":\"to\n{}", std::fs::read_to_string(&notes).unwrap()))
            .unwrap();
        note(&notes, "b", "disk full");
        let found: Vec<_> = calls(&Node::this(), &notes).into_iter().collect();
        assert_eq!(found, ["a", "b"]);
    }

    #[test]
    fn notes_do_not_grow_without_bound() {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        for number in 0..100 {
            note(&notes, &number.to_string(), &"x".repeat(2000));
        }
        assert!(std::fs::metadata(&notes).unwrap().len() < MAX_BYTES + 4096);
        assert!(calls(&Node::this(), &notes).contains("99"));
    }
}
