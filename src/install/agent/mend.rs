//! The binary that wrapped lists name: without it no Pod would start.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::install::binary::Binary;
use crate::install::lock::Lock;
use crate::install::places;
use crate::node::Node;

/// How long another installer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Puts this program there, unless there is one that can be run. Gives whether it was put there.
///
/// # Errors
/// Why it cannot.
pub(super) fn binary(node: &Node, path: &Path) -> Result<bool, String> {
    let is_program = |metadata: Metadata| {
        metadata.is_file() && metadata.len() > 0 && metadata.permissions().mode() & 0o111 != 0
    };
    if node.metadata(path).is_ok_and(is_program) {
        return Ok(false);
    }
    let lock = Lock::take(node, PATIENCE).map_err(|error| error.to_string())?;
    let binary = Binary::copy(&lock, &places::entry(node, path)).map_err(|error| error.to_string())?;
    binary.put().map_err(|error| error.to_string())?;
    binary.forget();
    Ok(true)
}
