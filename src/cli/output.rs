//! How a verb writes what has no table.

/// For whom it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// One document
    Json,
}
