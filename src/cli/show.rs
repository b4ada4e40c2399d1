//! `cniscope show`: one call, with everything that is known of it.

use super::{CliError, Common, Outcome};
use crate::journal::head::Head;
use crate::journal::read::{self, Call};
use crate::render::{self, call, escape};

/// How the call is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    Text,
    /// Its record
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The call: its id, or the start or end of it; `last`; `last-failed`
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let wanted = arguments.id.to_lowercase();
    let mut calls = match wanted.as_str() {
        "last" | "last-failed" => {
            let of_any = wanted == "last";
            let reading =
                read::calls(&common.node(), common.sources()?, &|call: &Head| of_any || call.has_failed())?;
            reading.calls.into_iter().next_back().into_iter().collect()
        }
        _ => {
            let is_wanted = |call: &Head| call.id.starts_with(&wanted) || call.id.ends_with(&wanted);
            read::calls(&common.node(), common.sources()?, &is_wanted)?.calls
        }
    };
    match calls.len() {
        0 => Err(CliError::Usage(format!(
            "no call {:?} in {}",
            escape::line(&arguments.id),
            common.journal_names()
        ))),
        1 => write(common, arguments, &calls.remove(0)),
        _ => {
            let shown: Vec<&Call> = calls.iter().rev().take(8).collect();
            let list: Vec<String> =
                shown.iter().map(|one| format!("  {}", call::line(one, common.zone(), false))).collect();
            let message = format!(
                "{} calls have an id like {:?}, among them:\n{}",
                calls.len(),
                arguments.id,
                list.join("\n")
            );
            Err(CliError::Usage(message))
        }
    }
}

fn write(common: &Common, arguments: &Arguments, one: &Call) -> Result<Outcome, CliError> {
    render::to_stdout(|out| match arguments.output {
        Output::Text => call::whole(out, one, common.zone()),
        Output::Json => writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&call::record(one))?)),
    })?;
    Ok(Outcome::Fine)
}
