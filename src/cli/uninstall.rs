//! `cniscope uninstall`: the plugins in their own place again.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use serde_json::{Value, json};

use super::output::Output;
use super::places::{self, Places};
use super::{CliError, Common, Outcome};
use crate::install::take_out::{Wish, plan, uninstall, wait};
use crate::render::{self, escape};

/// `--wait` without a number.
const FOR_EVER: u64 = 0;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Wait until no Pod needs the binary any more, so many seconds at most [default: without end]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    wait: Option<u64>,
    /// Stay when it is done, and do nothing more: the program of a DaemonSet's Pod must not end
    #[arg(long, conflicts_with = "dry_run")]
    stay: bool,
    /// Remove the journal too
    #[arg(long)]
    purge: bool,
    /// A list that is not in the folder of the network configurations
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
        places: arguments.places.on(&node),
        conflist: arguments.conflist.clone(),
        purge: arguments.purge,
    };
    let longest = arguments.wait.filter(|seconds| *seconds != FOR_EVER).map(Duration::from_secs);
    let done = match (arguments.dry_run, arguments.wait) {
        (true, _) => plan(&node, &wish)?,
        (false, None) => uninstall(&node, &wish)?,
        (false, Some(_)) => wait(&node, &wish, longest, |done| {
            // That it cannot be said keeps nobody from waiting.
            let _ = render::uninstall::waits(&mut anstream::stderr(), done);
        })?,
    };
    render::to_stdout(|out| match arguments.output {
        Output::Text => render::uninstall::told(
            out,
            &node.host_name(),
            &done,
            arguments.dry_run,
            render::terminal_width(),
        ),
        Output::Json => {
            let mut document = json!({"schema": 1});
            if let (Value::Object(document), Value::Object(fields)) =
                (&mut document, serde_json::to_value(&done)?)
            {
                document.extend(fields);
            }
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&document)?))
        }
    })?;
    if arguments.stay {
        loop {
            nix::unistd::pause();
        }
    }
    // Who waits wants it gone.
    let is_left = arguments.wait.is_some() && done.forwarder.is_some();
    Ok(if is_left { Outcome::Problem } else { Outcome::Fine })
}
