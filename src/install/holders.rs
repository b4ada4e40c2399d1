//! Who still needs the binary after an uninstall: sandboxes that were added through it, whose DEL the runtime makes with the
//! configuration that it has kept.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::places::Places;
use crate::checks::networks::Folder;
use crate::cni::entry;
use crate::node::Node;

/// What libcni, CRI-O and Multus keep of the networks that they have added.
const KEPT: &str = "/var/lib/cni";
/// What is kept there by plugins and not by runtimes.
const OF_PLUGINS: [&str; 2] = ["networks", "flannel"];
/// How deep it is looked.
const DEPTH: usize = 4;
/// More files of a folder are not looked at.
const MAX_FILES: usize = 1 << 16;
/// A larger file is none of theirs.
const MAX_BYTES: u64 = 4 << 20;

/// A file that names cniscope, and whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// `namespace/name`; empty where it is none of a Pod, or does not tell.
    pub pod: String,
    /// The container's id.
    pub container_id: String,
    /// The network.
    pub network: String,
    /// The interface.
    pub ifname: String,
    /// The file.
    pub file: PathBuf,
}

/// Who holds it.
#[must_use]
pub fn holders(node: &Node, places: &Places) -> Vec<Holder> {
    let mut found = Vec::new();
    look(node, Path::new(KEPT), DEPTH, &mut found);
    for folder in folders_of_multus(node, places) {
        if !folder.starts_with(KEPT) {
            look(node, &folder, DEPTH, &mut found);
        }
    }
    found.sort();
    found
}

/// Where Multus keeps what it has added, if its configuration says so.
fn folders_of_multus(node: &Node, places: &Places) -> Vec<PathBuf> {
    let Ok(folder) = Folder::read(node, &places.conf_dir) else { return Vec::new() };
    let networks = folder.files.iter().flat_map(|file| file.networks.iter().flatten());
    let told =
        networks.flat_map(|network| &network.entries).filter_map(|entry| entry.config["cniDir"].as_str());
    told.filter(|told| told.starts_with('/')).map(PathBuf::from).collect()
}

fn look(node: &Node, folder: &Path, depth: usize, found: &mut Vec<Holder>) {
    for name in node.list(folder, MAX_FILES).unwrap_or_default().names {
        let path = folder.join(&name);
        let Ok(metadata) = node.metadata(&path) else { continue };
        if metadata.is_dir() {
            let is_of_plugins = folder == Path::new(KEPT) && OF_PLUGINS.iter().any(|one| name == *one);
            if depth > 0 && !is_of_plugins {
                look(node, &path, depth - 1, found);
            }
        } else if let Ok(content) = node.read(&path, MAX_BYTES) {
            found.extend(holder(&path, &content));
        }
    }
}

fn holder(file: &Path, content: &[u8]) -> Option<Holder> {
    let Ok(kept) = serde_json::from_slice::<Value>(content) else {
        // What cannot be read is kept on the safe side.
        return has_name(content).then(|| Holder { file: file.to_owned(), ..of(&Value::Null) });
    };
    if !names_cniscope(&kept) {
        return None;
    }
    let mut holder = Holder { file: file.to_owned(), ..of(&kept) };
    if holder.container_id.is_empty() {
        // Multus' own files are named so.
        holder.container_id = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    }
    Some(holder)
}

/// What libcni's cache says of an attachment (`libcni/api.go`, `cachedInfo`).
fn of(kept: &Value) -> Holder {
    let text = |key: &str| kept[key].as_str().unwrap_or_default().to_owned();
    let arguments = || kept["cniArgs"].as_array().into_iter().flatten();
    let argument =
        |name: &str| arguments().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str()).unwrap_or("");
    let (namespace, name) = (argument("K8S_POD_NAMESPACE"), argument("K8S_POD_NAME"));
    Holder {
        pod: if name.is_empty() { String::new() } else { format!("{namespace}/{name}") },
        container_id: text("containerId"),
        network: text("networkName"),
        ifname: text("ifName"),
        file: PathBuf::new(),
    }
}

/// Whether a document has an entry whose plugin is cniscope, itself or in one of its texts: libcni and Multus keep the
/// configuration in base64.
pub(super) fn names_cniscope(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.get("type").and_then(Value::as_str) == Some(entry::NAME)
                || members.values().any(names_cniscope)
        }
        Value::Array(values) => values.iter().any(names_cniscope),
        Value::String(text) => {
            let decoded = || BASE64_STANDARD.decode(text).ok();
            let inner = if text.trim_start().starts_with(['{', '[']) {
                Some(text.as_bytes().to_vec())
            } else {
                decoded()
            };
            inner.is_some_and(|inner| match serde_json::from_slice::<Value>(&inner) {
                Ok(document) if document.is_object() || document.is_array() => names_cniscope(&document),
                Ok(_) => false,
                Err(_) => has_name(&inner),
            })
        }
        _ => false,
    }
}

pub(super) fn has_name(content: &[u8]) -> bool {
    memchr::memmem::find(content, format!("\"{}\"", entry::NAME).as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn kept(config: &str) -> String {
        json!({
            "kind": "cniCacheV1", "containerId": "c1", "ifName": "eth0", "networkName": "pods",
            "config": BASE64_STANDARD.encode(config),
            "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "web-0"]],
        })
        .to_string()
    }

    const WRAPPED: &str = r#"{"plugins":[{"type":"cniscope","cniscope":{"wraps":"bridge"}}]}"#;
    const DIRECT: &str = r#"{"name":"cniscope","plugins":[{"type":"bridge"}]}"#;

    #[test]
    fn whoever_was_added_through_it_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "/var/lib/cni/results/pods-c1-eth0", &kept(WRAPPED));
        put(root, "/var/lib/cni/results/pods-c2-eth0", &kept(DIRECT));
        put(root, "/var/lib/cni/results/broken", "{\"type\":\"cniscope\",");
        put(root, "/var/lib/cni/networks/pods/10.1.1.1", "{\"type\":\"cniscope\"}");
        let delegates = json!([{"Conf": {"type": "a"}, "Bytes": BASE64_STANDARD.encode(WRAPPED)}]);
        put(root, "/var/lib/cni/multus/c3", &delegates.to_string());
        put(root, "/var/lib/cni/cache/results/pods-c1-net1", &kept(WRAPPED));
        put(root, "/own/c4", &json!([{"type": "cniscope"}]).to_string());
        put(root, "/etc/cni/net.d/00-multus.conf", r#"{"name":"m","type":"multus","cniDir":"/own"}"#);
        let node = Node::at(root);
        let found: Vec<_> = holders(&node, &Places::find(&node, None, None))
            .into_iter()
            .map(|one| {
                format!(
                    "{} {} {} {} {}",
                    one.pod,
                    one.container_id,
                    one.network,
                    one.ifname,
                    one.file.display()
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "    /var/lib/cni/results/broken",
                " c3   /var/lib/cni/multus/c3",
                " c4   /own/c4",
                "shop/web-0 c1 pods eth0 /var/lib/cni/cache/results/pods-c1-net1",
                "shop/web-0 c1 pods eth0 /var/lib/cni/results/pods-c1-eth0",
            ]
        );
    }

    #[test]
    fn on_an_empty_node_nobody_does() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(holders(&node, &Places::find(&node, None, None)), []);
    }
}
