//! libcni's cache of results: what it keeps of every attachment that was added and not deleted (`libcni/api.go`, `cacheAdd`).

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Node;
use super::netns::Netns;

/// The folders in which runtimes, old ones among them, and Multus for the networks that it runs, let libcni keep it.
pub const FOLDERS: [&str; 3] =
    ["/var/lib/cni/results", "/var/lib/cni/cache/results", "/var/lib/cni/multus/results"];
/// A larger file is none.
const MAX_BYTES: u64 = 1 << 20;

/// An attachment, as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// The network.
    pub network: String,
    /// The container.
    pub container: String,
    /// The interface.
    pub interface: String,
    /// The network configuration that was in effect, with what it was made of. Empty where libcni is too old to keep it.
    pub config: Vec<u8>,
    /// When its ADD had ended.
    pub ended: SystemTime,
    /// When its network namespace was made, if that is still there.
    pub made: Option<SystemTime>,
    /// Whether its network namespace is gone.
    pub is_gone: bool,
}

/// What is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    network_name: String,
    container_id: String,
    if_name: String,
    #[serde(default)]
    config: Option<String>,
    #[serde(default)]
    netns: String,
}

impl Node {
    /// What a file of the cache tells. `None` if it is none.
    #[must_use]
    pub fn cached_result(&self, file: &Path) -> Option<Cached> {
        let opened = self.open_file(file).ok()?;
        let ended = opened.metadata.modified().ok()?;
        let written: Written = serde_json::from_slice(&opened.read(MAX_BYTES).ok()?).ok()?;
        let netns = (!written.netns.is_empty()).then(|| PathBuf::from(&written.netns));
        let found = netns.as_deref().map(|netns| self.netns(netns));
        let made = match (&netns, found) {
            // The kernel makes the file with the namespace.
            (Some(netns), Some(Netns::Present { own: false })) => self.metadata(netns).ok()?.modified().ok(),
            _ => None,
        };
        Some(Cached {
            network: written.network_name,
            container: written.container_id,
            interface: written.if_name,
            config: written.config.and_then(|config| STANDARD.decode(config).ok()).unwrap_or_default(),
            ended,
            made,
            is_gone: match (&netns, found) {
                (_, Some(Netns::NotOne)) => true,
                // Without its folder nothing can be told: a container may not be shown it.
                (Some(netns), Some(Netns::Missing)) => {
                    netns.parent().is_some_and(|folder| self.metadata(folder).is_ok())
                }
                _ => false,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libcni_keeps_is_read() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let put = |name: &str, content: &str| std::fs::write(root.path().join(name), content).unwrap();
        let read = |name: &str| node.cached_result(&Path::new("/").join(name));
        let own = r#""kind":"cniCacheV1","containerId":"c1","ifName":"eth0","networkName":"pods","netns":"/run/none""#;
        std::fs::create_dir(root.path().join("run")).unwrap();
        put("new", &format!(r#"{{{own},"config":"eyJ4IjoxfQ==","result":{{}}}}"#));
        let found = read("new").unwrap();
        assert_eq!(
            [&found.network, &found.container, &found.interface],
            ["pods", "c1", "eth0"].map(str::to_owned).each_ref()
        );
        assert_eq!((found.config.as_slice(), found.made, found.is_gone), (&br#"{"x":1}"#[..], None, true));
        std::fs::remove_dir(root.path().join("run")).unwrap();
        assert!(!read("new").unwrap().is_gone, "the folder is not to be seen");
        put("old", r#"{"containerId":"c1","ifName":"eth0","networkName":"pods","config":null}"#);
        let found = read("old").unwrap();
        assert_eq!((found.config.as_slice(), found.made, found.is_gone), (&b""[..], None, false));
        for (name, content) in [("torn", "{\"containerId"), ("other", "{}")] {
            put(name, content);
            assert_eq!(read(name), None);
        }
        assert_eq!(read("missing"), None);
    }
}
