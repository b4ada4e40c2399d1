//! `cniscope agent`: what it keeps in place, whoever writes there, and what it says of it.

mod cost;
mod ending;
mod http;
mod keeping;
mod mending;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Place;
use crate::support::agent::Agent;

/// The list of an add-on.
const LIST: &str = r#"{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"bridge"},{"type":"portmap"}]}"#;
/// The same, wrapped.
const WRAPPED: &str = r#"{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"cniscope", "cniscope": {"wraps": "bridge", "verify": false}},{"type":"cniscope", "cniscope": {"wraps": "portmap"}}]}"#;

/// A node of its own: folders, and no runtime.
struct Node {
    place: Place,
}

impl Node {
    /// One whose add-on has written its list.
    fn new() -> Node {
        let node = Node::without_networks();
        fs::create_dir_all(node.conf_dir()).unwrap();
        fs::write(node.list(), LIST).unwrap();
        node
    }

    /// One where it has not, nor made the folder.
    fn without_networks() -> Node {
        let node = Node { place: Place::new() };
        fs::create_dir_all(node.path("opt/cni/bin")).unwrap();
        node.place.put("root/bin/sh", PLUGIN);
        for plugin in ["bridge", "portmap"] {
            node.place.put(&format!("root/opt/cni/bin/{plugin}"), PLUGIN);
        }
        node
    }

    fn path(&self, path: &str) -> PathBuf {
        self.place.path("root").join(path)
    }

    fn conf_dir(&self) -> PathBuf {
        self.path("etc/cni/net.d")
    }

    fn list(&self) -> PathBuf {
        self.conf_dir().join("10-pods.conflist")
    }

    fn binary(&self) -> PathBuf {
        self.path("opt/cni/bin/cniscope")
    }

    /// What is in the list now; nothing where there is none.
    fn content(&self) -> String {
        fs::read_to_string(self.list()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.place.path("agent.log")
    }

    /// Its agent, which does not examine the node unless the arguments say so.
    fn agent(&self, arguments: &[&str]) -> Agent {
        let root = self.path("");
        let own = ["--root", root.to_str().unwrap()];
        let quiet: &[&str] =
            if arguments.contains(&"--doctor-every") { &[] } else { &["--doctor-every", "0"] };
        Agent::start(&self.log(), &[&own, quiet, arguments].concat())
    }
}

/// A plugin that answers VERSION and nothing else.
const PLUGIN: &str = "#!/bin/sh
cat >/dev/null
echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}'
";

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}
