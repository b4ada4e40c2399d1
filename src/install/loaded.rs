//! Whether the runtime has loaded what stands in its folder.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::holders::names_cniscope;
use super::places::Places;
use crate::checks::runtime::folders;
use crate::node::Node;

/// How long a runtime may take: it is told by the kernel, and reads the folder at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked.
const STEP: Duration = Duration::from_millis(50);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "seen")]
pub enum Loaded {
    /// The runtime itself names what it has loaded.
    Yes {
        /// The runtime.
        runtime: &'static str,
    },
    /// It could not be seen.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Waits until the runtime has loaded wrapped lists.
///
/// # Errors
/// If it tells that it has not.
pub fn wait_for_wrapped(node: &Node, places: &Places) -> Result<Loaded, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = match names_wrapped(node, places) {
            Ok(found) => found,
            Err(reason) => return Ok(Loaded::Unknown { reason }),
        };
        match found {
            Found { runtime, is_wrapped: true, .. } => return Ok(Loaded::Yes { runtime }),
            Found { runtime, status, .. } if Instant::now() > until => {
                return Err(format!(
                    "{runtime} has not loaded the wrapped list within {} s; it says: {status}",
                    PATIENCE.as_secs()
                ));
            }
            Found { .. } => std::thread::sleep(STEP),
        }
    }
}

/// Whether a runtime has its socket on this node.
#[must_use]
pub fn has_runtime(node: &Node) -> bool {
    folders::socket(node).is_some()
}

/// What a runtime has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The runtime.
    pub runtime: &'static str,
    /// Whether it names cniscope.
    pub is_wrapped: bool,
    /// What it says of its last attempt.
    pub status: String,
}

/// Whether the runtime names cniscope in what it has loaded.
///
/// # Errors
/// Why that is not known.
pub fn names_wrapped(node: &Node, places: &Places) -> Result<Found, String> {
    let Some((runtime, socket)) = folders::socket(node) else {
        return Err("no runtime has its socket on this node".to_owned());
    };
    if folders::in_use(node).conf_dir != places.conf_dir {
        return Err(format!("{runtime} reads another folder than {}", places.conf_dir.display()));
    }
    let told = node.runtime_status(Path::new(socket), LIMIT);
    let told = told.map_err(|why| format!("{runtime} does not tell what it has loaded: {why}"))?;
    let Some(config) = told.get("cniconfig") else {
        return Err(format!("{runtime} does not tell which lists it has loaded"));
    };
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let status = told.get("lastCNILoadStatus").cloned().unwrap_or_default();
    Ok(Found { runtime, is_wrapped: names_cniscope(&config), status })
}
