//! The built binary with scripted delegates in temporary folders. Nothing here needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(unsafe_code, reason = "what a call inherits is set between fork and exec")]

mod agent;
mod answers;
mod cli;
mod cli_bundle;
mod cli_causes;
mod cli_completions;
mod cli_doctor;
mod cli_explain;
mod cli_install;
mod cli_journal;
mod cli_language;
mod cli_man;
mod cli_metrics;
mod cli_report;
mod cli_show;
mod cli_stats;
mod conf_examples;
mod deadlines;
mod exit_statuses;
mod fail_open;
mod forwarder;
mod inherited;
mod journal_load;
mod recorded;
mod refusals;
mod secrets;
mod settings;
mod signals;
mod starting;
mod support;
mod trace_context;
mod traffic;
mod unrecorded;
mod waiting;
