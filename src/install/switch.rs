//! The switch that makes of cniscope a pure forwarder, which is what stays of it while Pods need it.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde::Serialize;

use crate::node::Node;
use crate::node::replace::replace;

/// Its existence switches cniscope off.
pub const SWITCH: &str = "/etc/cniscope/disabled";
/// By this content it is known whether `uninstall` has put it there.
const CONTENT: &str =
    "cniscope is uninstalled, and stays as a forwarder while Pods need it (cniscope status).\n";

/// Who has switched it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Nobody.
    On,
    /// `uninstall`.
    Forwarder,
    /// A person.
    Off,
}

/// How it stands.
#[must_use]
pub fn standing(node: &Node) -> Switch {
    match node.read(Path::new(SWITCH), 1 << 10) {
        Err(error) if error.is_missing() => Switch::On,
        Ok(content) if content == CONTENT.as_bytes() => Switch::Forwarder,
        _ => Switch::Off,
    }
}

/// Makes a forwarder of cniscope, unless a person has switched it off already.
///
/// # Errors
/// If it cannot be written.
pub fn put(node: &Node) -> io::Result<()> {
    if standing(node) != Switch::On {
        return Ok(());
    }
    let path = node.reached(Path::new(SWITCH));
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    replace(&path, CONTENT.as_bytes(), 0o644)
}

/// Removes what [`put`] put there, with its folder where that is empty. Gives whether it was there.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(node: &Node) -> io::Result<bool> {
    if standing(node) != Switch::Forwarder {
        return Ok(false);
    }
    let path = node.reached(Path::new(SWITCH));
    std::fs::remove_file(&path)?;
    if let Some(folder) = path.parent() {
        // Settings and signatures in it are a person's.
        let _ = std::fs::remove_dir(folder);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_comes_and_goes() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let node = Node::at(root.path());
        assert_eq!(standing(&node), Switch::On);
        put(&node).unwrap();
        assert_eq!(standing(&node), Switch::Forwarder);
        assert!(remove(&node).unwrap());
        assert!(!root.path().join("etc/cniscope").exists());
        assert!(!remove(&node).unwrap());
    }

    #[test]
    fn a_persons_stays() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/cniscope")).unwrap();
        std::fs::write(root.path().join(&SWITCH[1..]), "").unwrap();
        let node = Node::at(root.path());
        put(&node).unwrap();
        assert_eq!(standing(&node), Switch::Off);
        assert!(!remove(&node).unwrap());
        assert!(root.path().join(&SWITCH[1..]).exists());
    }
}
