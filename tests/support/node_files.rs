//! The files of a node below a folder, for the verbs that install.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Place, Ran};

/// A list as people write it: nothing of it may change but what is wrapped.
pub const LIST: &str = r#"{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {"type": "bridge", "mtu": 1.5e3, "ipam": {"type": "host-local"}},
    {"type": "portmap"},
    {"type": "istio-cni"}
  ]
}
"#;
/// Its path.
pub const FILE: &str = "etc/cni/net.d/10-pods.conflist";
/// The path of the binary.
pub const BINARY: &str = "opt/cni/bin/cniscope";

/// The files of a node.
pub struct NodeFiles {
    /// Where they are, below `node`.
    pub place: Place,
}

impl NodeFiles {
    /// One with a list and its plugins.
    pub fn new() -> NodeFiles {
        let node = NodeFiles::empty();
        node.put(FILE, LIST);
        for plugin in ["bridge", "portmap", "host-local", "istio-cni"] {
            node.put(&format!("opt/cni/bin/{plugin}"), "#!/bin/sh\n");
        }
        node
    }

    /// One without.
    pub fn empty() -> NodeFiles {
        let node = NodeFiles { place: Place::new() };
        node.put("etc/hostname", "worker-1\n");
        node
    }

    /// The path of a file.
    pub fn path(&self, path: &str) -> PathBuf {
        self.place.path("node").join(path)
    }

    /// Writes a file that can be executed.
    pub fn put(&self, path: &str, content: &str) {
        self.place.put(&format!("node/{path}"), content);
    }

    /// What is in a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Runs a verb.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let root = self.path("");
        self.place.cli(&[arguments, &["--root", root.to_str().unwrap()]].concat())
    }

    /// Runs a verb that has to succeed, and gives what it says. What is of this build alone is `VERSION`.
    pub fn told(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.status, String::from_utf8_lossy(&ran.stderr).as_ref()), (0, ""), "{}", ran.text());
        self.steady(&ran)
    }

    /// What a verb said.
    pub fn steady(&self, ran: &Ran) -> String {
        let version = self.place.cli(&["--version"]).text();
        ran.text().replace(version.trim().trim_start_matches("cniscope "), "VERSION")
    }

    /// Why a verb could not run, with its exit status.
    pub fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let ran = self.run(arguments);
        assert_eq!(ran.text(), "");
        (ran.status, String::from_utf8(ran.stderr).unwrap())
    }

    /// A sandbox that was added with the list as it is now.
    pub fn add(&self, id: &str, pod: &str) -> PathBuf {
        use base64::Engine as _;
        let config = base64::prelude::BASE64_STANDARD.encode(self.read(FILE));
        let kept = json!({
            "kind": "cniCacheV1", "containerId": id, "ifName": "eth0", "networkName": "pods", "config": config,
            "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", pod]],
        });
        let path = format!("var/lib/cni/results/pods-{id}-eth0");
        self.put(&path, &kept.to_string());
        self.path(&path)
    }

    /// Every file and folder, sorted.
    pub fn files(&self) -> Vec<String> {
        fn below(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                found.push(entry.path().strip_prefix(root).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    below(&entry.path(), root, found);
                }
            }
        }
        let mut found = Vec::new();
        below(&self.path(""), &self.path(""), &mut found);
        found.sort();
        found
    }
}
