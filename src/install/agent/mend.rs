//! The binary that wrapped lists name: without it no Pod would start.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::node::Node;
use crate::node::plugin_versions::Answer;

/// This program.
const OWN: &str = "/proc/self/exe";

/// Puts this program there, unless there is one that can be run. Gives whether it was put there.
///
/// # Errors
/// Why it cannot.
pub fn binary(node: &Node, path: &Path) -> Result<bool, String> {
    let is_program = |metadata: fs::Metadata| {
        metadata.is_file() && metadata.len() > 0 && metadata.permissions().mode() & 0o111 != 0
    };
    if node.metadata(path).is_ok_and(is_program) {
        return Ok(false);
    }
    let reached = node.reached(path);
    put(&reached).map_err(|error| error.to_string())?;
    // It is this program itself, whatever root it stands below.
    Node::this().plugin_versions(&reached, Answer::Forgotten)?;
    Ok(true)
}

fn put(path: &Path) -> io::Result<()> {
    let new = path.with_file_name(format!(".cniscope.{}.new", std::process::id()));
    // Of a process with the same id that was killed.
    let _ = fs::remove_file(&new);
    let written = (|| {
        let mut file = File::options().write(true).create_new(true).mode(0o700).open(&new)?;
        io::copy(&mut File::open(OWN)?, &mut file)?;
        file.set_permissions(Permissions::from_mode(0o755))?;
        file.sync_all()?;
        // What is open for writing cannot be executed.
        drop(file);
        fs::rename(&new, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}
