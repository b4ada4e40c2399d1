//! The node's journal of CNI calls: what is written, how, and how it is read again.

pub mod append;
pub mod attempts;
mod blocks;
pub mod head;
mod in_order;
pub mod line;
pub mod log;
pub mod named;
pub mod read;
pub mod record;
pub mod redact;
pub mod sources;
pub mod statistics;
pub mod stored;
pub mod summary;
pub mod trace;
pub mod unfinished;
pub mod written;

use std::path::Path;

use serde::Serialize;

use crate::settings::{JournalSettings, Recording};
use line::Part;
use redact::Redaction;

/// The journal, as a call writes it.
#[derive(Debug)]
pub struct Journal {
    settings: JournalSettings,
    redaction: Redaction,
}

impl Journal {
    /// A journal with these settings.
    #[must_use]
    pub fn new(settings: &JournalSettings, redaction: Redaction) -> Journal {
        Journal { settings: settings.clone(), redaction }
    }

    /// Fields of a record without their secrets, ready to be put into one.
    #[must_use]
    pub fn part<T: Serialize>(&self, fields: &T) -> Part {
        self.noted(Part::of(fields, &self.redaction)).unwrap_or_else(Part::empty)
    }

    /// A document without its secrets, as JSON.
    #[must_use]
    pub fn clean<T: Serialize>(&self, document: &T) -> Vec<u8> {
        self.noted(line::clean(document, &self.redaction)).unwrap_or_else(|| b"null".to_vec())
    }

    /// Appends a record of the call `id`, with what was made ready before. Where that fails, it is noted and logged, and
    /// nothing else changes.
    pub fn append<T: Serialize>(&self, record: &T, ready: &Part, id: &str) {
        if self.settings.record == Recording::Off {
            return;
        }
        let mut fields = self.part(record);
        fields.extend(ready);
        if let Err(error) = append::append(&self.settings, &fields.into_line()) {
            unfinished::note(Path::new(unfinished::NOTES), id, &error.to_string());
            self.warn(&format!("call {id}: a record is lost: {error}"));
        }
    }

    fn noted<T>(&self, written: serde_json::Result<T>) -> Option<T> {
        written.map_err(|error| self.warn(&format!("a record cannot be written as JSON: {error}"))).ok()
    }

    /// Writes a warning into the program's own log.
    pub fn warn(&self, message: &str) {
        log::warn(&self.settings.dir, message);
    }
}
