//! The marker by which an agent knows that cniscope is to be taken out of this node.
//!
//! `uninstall` puts it there before anything else, `install` removes it. While it is there no agent wraps anything, and
//! one that runs takes the wrapping back.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::places::STATE;
use crate::node::Node;
use crate::node::replace::replace;

/// Where it stands on the node.
pub const MARKER: &str = "/var/lib/cniscope/uninstalled";

/// What is in it, for whoever finds it.
const CONTENT: &str = "cniscope is uninstalled: no agent wraps networks while this file is here. `cniscope install` removes it.\n";

/// Whether it is there.
#[must_use]
pub fn is_there(node: &Node) -> bool {
    node.metadata(Path::new(MARKER)).is_ok()
}

/// Puts it there.
///
/// # Errors
/// If it cannot be written.
pub fn put(node: &Node) -> io::Result<()> {
    if is_there(node) {
        return Ok(());
    }
    let folder = node.reached(Path::new(STATE));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    replace(&node.reached(Path::new(MARKER)), CONTENT.as_bytes(), 0o600)
}

/// Removes it. Gives whether it was there.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove(node: &Node) -> io::Result<bool> {
    match std::fs::remove_file(node.reached(Path::new(MARKER))) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_until_it_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert!(!is_there(&node));
        put(&node).unwrap();
        put(&node).unwrap();
        assert!(is_there(&node));
        assert_eq!(std::fs::read_to_string(root.path().join(&MARKER[1..])).unwrap(), CONTENT);
        assert!(remove(&node).unwrap());
        assert!(!is_there(&node));
        assert!(!remove(&node).unwrap());
    }
}
