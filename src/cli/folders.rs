//! The folders that a node's networks and plugins are looked for in, as options of the verbs that look at a node.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::checks::runtime::folders;
use crate::cni::path;
use crate::node::{Node, bounded};

#[derive(Debug, clap::Args)]
pub(super) struct Folders {
    /// Folder of the network configurations [default: the runtime's]
    #[arg(long, value_name = "DIR")]
    conf_dir: Option<PathBuf>,
    /// Folders of the plugins, with ':' between them [default: the runtime's]
    #[arg(long, value_name = "DIRS")]
    cni_path: Option<OsString>,
}

impl Folders {
    /// The folder of network configurations and those of plugins: what is not told is what the runtime uses now, for which
    /// it is looked no longer than `limit`.
    pub(super) fn on(&self, node: &Node, limit: Duration) -> (PathBuf, Vec<PathBuf>) {
        let of = node.clone();
        let in_use = bounded::run(limit, move || folders::in_use(&of)).unwrap_or_else(folders::usual);
        let bin_dirs = self.cni_path.as_deref().map_or(in_use.bin_dirs, path::folders);
        (self.conf_dir.clone().unwrap_or(in_use.conf_dir), bin_dirs)
    }
}
