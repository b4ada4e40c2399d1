//! The reference plugins and tools that `scripts/setup test` installs.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Place, cniscope};

/// The plugins that the networks of the runtimes are made of.
const OF_NETWORKS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];

/// What setup installs below `.tools`.
fn installed(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools").join(path);
    assert!(path.is_file(), "{} is missing: run `scripts/setup test`", path.display());
    path
}

/// A tool for people, e.g. `crictl`.
pub fn tool(name: &str) -> PathBuf {
    installed(&format!("bin/{name}"))
}

/// Puts cniscope and the plugins into a place's folder of plugins.
pub fn put_into(place: &Place) {
    let bin = place.path("bin");
    symlink(cniscope(), bin.join("cniscope")).unwrap();
    for plugin in OF_NETWORKS {
        symlink(installed(&format!("plugins/{plugin}")), bin.join(plugin)).unwrap();
    }
}

/// The entry with cniscope in the plugin's place.
pub fn wrapped(entry: &Value) -> Value {
    let mut wrapped = entry.clone();
    wrapped["type"] = json!("cniscope");
    wrapped["cniscope"] = json!({"wraps": entry["type"]});
    wrapped
}
