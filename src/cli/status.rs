//! `cniscope status`: what stands on the node.

use super::output::Output;
use super::places::{self, Places};
use super::{CliError, Common, Outcome, VERSION};
use crate::install::standing;
use crate::render::{self, escape};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    places: Places,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let node = places::node(common)?;
    let state = standing::look(&node, &arguments.places.on(&node), VERSION);
    render::to_stdout(|out| match arguments.output {
        Output::Text => render::standing::whole(out, &state, render::terminal_width()),
        Output::Json => writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&state)?)),
    })?;
    Ok(if state.problems.is_empty() { Outcome::Fine } else { Outcome::Problem })
}
