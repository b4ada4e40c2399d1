//! The CNI protocol as the specification and libcni have it: versions, environment, configuration, errors.
//!
//! Everything here is pure and works on bytes: what the runtime wrote reaches the delegate as it was written.

pub mod entry;
pub mod environment;
pub mod error;
pub mod go;
pub mod json;
pub mod path;
pub mod version;
