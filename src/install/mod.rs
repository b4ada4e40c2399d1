//! Putting cniscope in the place of real plugins, and taking it back.
//!
//! What is here is pure: bytes of a configuration in, bytes out.

pub mod conflist;
pub mod edited_by_others;
