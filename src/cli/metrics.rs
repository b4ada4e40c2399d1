//! `cniscope metrics`: what Prometheus is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folders::Folders;
use super::{CliError, Common, Outcome};
use crate::metrics::{self, Sources, text};
use crate::node::replace::replace;
use crate::render::{self, escape};

/// How long it may take to find out what the runtime uses.
const LIMIT: Duration = Duration::from_secs(2);
/// Where counters are kept, on the node.
const STATE: &str = "var/lib/cniscope";
/// The node exporter runs as another user.
const MODE: u32 = 0o644;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write a file, for the node exporter's textfile collector, instead of standard output
    #[arg(long, value_name = "FILE", value_parser = file)]
    textfile: Option<PathBuf>,
    /// Folder in which counters are kept [default: /var/lib/cniscope]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    folders: Folders,
}

/// The collector reads no other files.
fn file(text: &str) -> Result<PathBuf, String> {
    let is_one = Path::new(text).extension().is_some_and(|extension| extension == "prom");
    if is_one {
        Ok(PathBuf::from(text))
    } else {
        Err("expected the name of a file that ends in .prom".to_owned())
    }
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let node = common.node();
    let (conf_dir, bin_folders) = arguments.folders.on(&node, LIMIT);
    let sources = Sources {
        journal: common.own_journal()?,
        state: arguments.state.clone().unwrap_or_else(|| common.root.join(STATE)),
        conf_dir,
        bin_folders,
    };
    let facts = metrics::gather(&node, &sources)?;
    let text = text::text(&facts);
    match &arguments.textfile {
        Some(path) => replace(path, text.as_bytes(), MODE)
            .map_err(|error| CliError::Usage(format!("cannot write {}: {error}", path.display())))?,
        None => render::to_stdout(|out| out.write_all(text.as_bytes()))?,
    }
    for warning in &facts.warnings {
        anstream::eprintln!("cniscope: {}", escape::line(warning));
    }
    Ok(Outcome::Fine)
}
