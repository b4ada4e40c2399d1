//! cniscope stands in a real CNI plugin's place, records every call, and answers a failure with its cause.
//!
//! The way of one call is told in ARCHITECTURE.md; it begins in [`shim`].

pub mod bundle;
pub mod checks;
pub mod cli;
pub mod cni;
pub mod diagnosis;
pub mod digest;
pub mod install;
pub mod journal;
pub mod language;
pub mod metrics;
pub mod node;
pub mod render;
pub mod replay;
pub mod report;
pub mod settings;
pub mod shim;
