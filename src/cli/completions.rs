//! `cniscope completions`: what a shell needs to complete the command line.

use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use super::{CliError, Outcome, command};
use crate::diagnosis::catalogue;
use crate::render;

/// The name that is completed.
const NAME: &str = "cniscope";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, CliError> {
    let ids = || PossibleValuesParser::new(catalogue::entries().map(|entry| entry.id));
    let with_ids = |verb: clap::Command, argument| verb.mut_arg(argument, |known| known.value_parser(ids()));
    let mut command = command()
        .mut_subcommand("causes", |verb| with_ids(verb, "id"))
        .mut_subcommand("journal", |verb| with_ids(verb, "cause"));
    // Not written directly: it panics where a pipe is closed.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, NAME, &mut script);
    render::to_stdout(|out| out.write_all(&script))?;
    Ok(Outcome::Fine)
}
