//! `cniscope man`: the manual pages, for who packages it.

use std::path::PathBuf;

use super::{CliError, Outcome, command};
use crate::render::manual;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder that the pages are written to, such as /usr/local/share/man/man1
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, CliError> {
    let failed = |path: &std::path::Path, error| CliError::Usage(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&arguments.folder).map_err(|error| failed(&arguments.folder, error))?;
    for (name, page) in manual::pages(command()).map_err(CliError::Output)? {
        let path = arguments.folder.join(name);
        std::fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    Ok(Outcome::Fine)
}
