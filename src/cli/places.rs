//! The places of an installation, as options of the verbs that make one, take it back or look at it.

use std::path::PathBuf;

use clap::ValueHint;

use super::{CliError, Common};
use crate::install::places;
use crate::node::Node;
use crate::render::escape;

#[derive(Debug, clap::Args)]
pub(super) struct Places {
    /// Folder of the network configurations [default: the runtime's]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    conf_dir: Option<PathBuf>,
    /// Folder of the plugins, in which the binary is put [default: the runtime's]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    bin_dir: Option<PathBuf>,
}

impl Places {
    /// The folders that are told.
    pub(super) fn told(&self) -> (Option<PathBuf>, Option<PathBuf>) {
        (self.conf_dir.clone(), self.bin_dir.clone())
    }

    pub(super) fn on(&self, node: &Node) -> places::Places {
        places::Places::find(node, self.conf_dir.as_deref(), self.bin_dir.as_deref())
    }
}

/// The node, if it is there.
pub(super) fn node(common: &Common) -> Result<Node, CliError> {
    if !common.root.is_dir() {
        let root = common.root.to_string_lossy();
        return Err(CliError::Usage(format!("--root {} is no folder", escape::line(&root))));
    }
    Ok(common.node())
}

/// The same, to be changed.
pub(super) fn node_to_change(common: &Common) -> Result<Node, CliError> {
    let node = node(common)?;
    if node.is_this() && !nix::unistd::geteuid().is_root() {
        return Err(CliError::Usage(
            "it changes what this node's networks are made by: run it as root".to_owned(),
        ));
    }
    Ok(node)
}
