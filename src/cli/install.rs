//! `cniscope install`: cniscope in the place of the plugins of the node's network.

use std::path::PathBuf;

use clap::ValueHint;

use super::output::Output;
use super::places::{self, Places};
use super::{CliError, Common, Outcome};
use crate::install::conflist::Which;
use crate::install::put_in::{InstallError, Installed, Plan, Wish, install};
use crate::render::{self, escape};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Wrap the first plugin of a network only
    #[arg(long)]
    head_only: bool,
    /// The list to wrap, by its name in the folder or by its path [default: the one that the runtime takes]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    conflist: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
    /// How it is told what was done
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let node = if arguments.dry_run { places::node(common)? } else { places::node_to_change(common)? };
    let wish = Wish {
        conflist: arguments.conflist.clone(),
        which: if arguments.head_only { Which::Head } else { Which::All },
        places: arguments.places.on(&node),
    };
    if arguments.dry_run {
        let plan = Plan::of(&node, &wish)?;
        write(arguments, &node.host_name(), &plan, None)?;
        return Ok(Outcome::Fine);
    }
    match install(&node, &wish) {
        Ok(installed) => {
            write(arguments, &node.host_name(), &installed.plan, Some(&installed))?;
            Ok(Outcome::Fine)
        }
        Err(error @ InstallError::Failed { .. }) => {
            render::complain(&error.to_string());
            Ok(Outcome::Problem)
        }
        Err(error) => Err(error.into()),
    }
}

fn write(
    arguments: &Arguments,
    node: &str,
    plan: &Plan,
    installed: Option<&Installed>,
) -> Result<(), CliError> {
    let write = |out: &mut dyn std::io::Write| match (arguments.output, installed) {
        (Output::Json, _) => {
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&plan.document(installed))?))
        }
        (Output::Text, None) => render::install::planned(out, node, plan, render::terminal_width()),
        (Output::Text, Some(installed)) => {
            render::install::done(out, node, installed, render::terminal_width())
        }
    };
    Ok(render::to_stdout(write)?)
}
