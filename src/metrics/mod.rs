//! What Prometheus is told: counters over the journal that never go back, and gauges of the node.
//!
//! [`gather`] looks, [`text::text`] writes it down. The journal's files come and go, so what was counted in them is kept
//! ([`store`]): every end record is counted once, however often the files were renamed since ([`tail`]).

pub mod counters;
mod ledger;
pub mod pools;
mod store;
mod tail;
pub mod text;

use std::path::{Path, PathBuf};

use crate::journal::read::ReadError;
use crate::journal::{self, unfinished};
use crate::node::Node;
use counters::Counters;
use pools::Pool;
use store::Store;

/// Where to look.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The folder of the journal.
    pub journal: PathBuf,
    /// The folder in which what was counted is kept.
    pub state: PathBuf,
    /// The folder of the network configurations.
    pub conf_dir: PathBuf,
    /// The folders of the plugins.
    pub bin_folders: Vec<PathBuf>,
}

/// All that Prometheus is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// What was counted.
    pub counters: Counters,
    /// How many calls are under way.
    pub running: u64,
    /// The pools of addresses.
    pub pools: Vec<Pool>,
    /// The bytes of the journal's files.
    pub journal_bytes: u64,
    /// How many files it has.
    pub journal_files: u64,
    /// How many records could not be written since the node started.
    pub unwritten: u64,
    /// Whether what was counted is kept for the next time.
    pub is_kept: bool,
    /// What is not as it should be, as sentences.
    pub warnings: Vec<String>,
}

/// Looks at the journal and at the pools, and keeps what was counted.
///
/// # Errors
/// If there is a journal that cannot be read.
pub fn gather(node: &Node, sources: &Sources) -> Result<Facts, ReadError> {
    let mut facts =
        Facts { pools: pools::look(node, &sources.conf_dir, &sources.bin_folders), ..Facts::default() };
    count(node, sources, &mut facts)?;
    facts.unwritten = unfinished::calls(node, Path::new(unfinished::NOTES)).len() as u64;
    Ok(facts)
}

/// Counts what is new in the journal.
fn count(node: &Node, sources: &Sources, facts: &mut Facts) -> Result<(), ReadError> {
    let store = Store::open(&sources.state, &sources.journal);
    let mut ledger = store.load(&mut facts.warnings);
    let mut files = journal::sources::open_files(&sources.journal)?;
    // What is compressed was counted before.
    files.retain(|(path, _)| path.extension().is_none_or(|extension| extension != "gz"));
    if files.is_empty() {
        let missing = ReadError::Missing { dir: sources.journal.clone() };
        facts
            .warnings
            .push(format!("{missing}: no call has been recorded yet; name another folder with --journal"));
    }
    for (_, file) in &files {
        facts.journal_files += 1;
        facts.journal_bytes += file.metadata().map_or(0, |metadata| metadata.len());
    }
    let read = ledger.read(files.into_iter().map(|(_, file)| file));
    read.map_err(|source| ReadError::File { path: sources.journal.clone(), source })?;
    facts.running = ledger.settle(node, store.is_kept());
    facts.is_kept = store.save(&ledger, &mut facts.warnings);
    facts.counters = ledger.counters;
    Ok(())
}
