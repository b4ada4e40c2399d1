//! Where things stand on a node: the folder of networks, those of plugins, and what is cniscope's own.

use std::path::{Path, PathBuf};

use crate::checks::runtime::folders;
use crate::cni::entry::NAME;
use crate::node::Node;

/// What cniscope keeps on the node.
pub const STATE: &str = "/var/lib/cniscope";

/// The places of a node. Paths are those of the node: below another root they are reached by [`Node::reached`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The runtime whose folders these are, if one is known.
    pub runtime: Option<&'static str>,
    /// The folder of network configurations.
    pub conf_dir: PathBuf,
    /// The folders of plugins, in the order in which they are looked through.
    pub bin_dirs: Vec<PathBuf>,
    /// The one in which the binary is to be, if that was told.
    pub told: Option<PathBuf>,
}

impl Places {
    /// Those that the node's runtime uses, but for what is told.
    #[must_use]
    pub fn find(node: &Node, conf_dir: Option<&Path>, bin_dir: Option<&Path>) -> Places {
        let folders::InUse { runtime, conf_dir: in_use, mut bin_dirs } = folders::in_use(node);
        let told = bin_dir.map(Path::to_owned);
        bin_dirs.extend(told.clone().filter(|told| !bin_dirs.contains(told)));
        Places { runtime, conf_dir: conf_dir.map_or(in_use, Path::to_owned), bin_dirs, told }
    }

    /// Where the binary is to stand: in the folder that was told, or where it stands, or beside a plugin of the node, since a
    /// folder that a runtime looks through may be one that nobody has made; else in the first folder.
    #[must_use]
    pub fn binary(&self, node: &Node, beside: &str) -> PathBuf {
        let has = |name: &'_ str| {
            let folder = self.bin_dirs.iter().find(|folder| node.metadata(&folder.join(name)).is_ok());
            folder.cloned()
        };
        let first = || self.bin_dirs.first().cloned().unwrap_or_default();
        self.told.clone().or_else(|| has(NAME)).or_else(|| has(beside)).unwrap_or_else(first).join(NAME)
    }
}

/// The path by which this process reaches a name of the node, as [`Node::reached`], but for the name itself: where it is a link,
/// it is that link that comes and goes.
#[must_use]
pub fn entry(node: &Node, path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => node.reached(folder).join(name),
        _ => node.reached(path),
    }
}
