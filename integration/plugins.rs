//! The reference plugins and tools that `scripts/setup test` installs.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Place, cniscope};
use crate::world::tool;

/// The plugins that the networks of the runtimes are made of.
const OF_NETWORKS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];

/// Puts cniscope and the plugins into a place's folder of plugins.
pub fn put_into(place: &Place) {
    link_into(&place.path("bin"));
}

/// Links cniscope and the plugins into a folder.
pub fn link_into(bin: &Path) {
    symlink(cniscope(), bin.join("cniscope")).unwrap();
    for plugin in OF_NETWORKS {
        symlink(tool(&format!("plugins/{plugin}")), bin.join(plugin)).unwrap();
    }
}

/// The entry with cniscope in the plugin's place.
pub fn wrapped(entry: &Value) -> Value {
    let mut wrapped = entry.clone();
    wrapped["type"] = json!("cniscope");
    wrapped["cniscope"] = json!({"wraps": entry["type"]});
    wrapped
}
