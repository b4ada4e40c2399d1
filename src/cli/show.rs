//! `cniscope show`: one call, with everything that is known of it.

use super::{CliError, Common, Outcome, one_call};
use crate::journal::attempts::Attempts;
use crate::journal::stored::Stored;
use crate::render::part::Part;
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
    /// The call: its id, or the start or end of it; a container's id; a Pod, NAMESPACE/NAME; `last`; `last-failed`
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// Only the configuration that the plugin got
    #[arg(long, group = "part", conflicts_with = "output")]
    config: bool,
    /// Only what the plugin wrote to stdout
    #[arg(long, group = "part", conflicts_with = "output")]
    stdout: bool,
    /// Only what the plugin wrote to stderr
    #[arg(long, group = "part", conflicts_with = "output")]
    stderr: bool,
}

impl Arguments {
    fn part(&self) -> Option<Part> {
        let parts = [(self.config, Part::Config), (self.stdout, Part::Stdout), (self.stderr, Part::Stderr)];
        parts.into_iter().find_map(|(is_wanted, part)| is_wanted.then_some(part))
    }
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let one = one_call::find(common, &arguments.id)?;
    match arguments.part() {
        Some(part) => write_part(part, &one)?,
        None if arguments.output == Output::Json => {
            let record = serde_json::from_str::<serde_json::Value>(&one.json());
            let json = record.and_then(|record| serde_json::to_string_pretty(&record));
            let json = json.map_err(std::io::Error::from)?;
            render::to_stdout_as_is(|out| writeln!(out, "{}", escape::json(&json)))?;
        }
        None => {
            let attempts = Attempts::around(&one, &common.node(), common.sources()?)?;
            let (zone, width) = (common.zone(), render::terminal_width());
            render::to_stdout(|out| call::whole(out, &one, &attempts, zone, width))?;
        }
    }
    Ok(Outcome::Fine)
}

/// Writes a part of the record for a pipe, and says beside it what it lacks.
fn write_part(part: Part, one: &Stored) -> Result<(), CliError> {
    let (bytes, remarks) = part.of(&one.call().record);
    render::to_stdout_as_is(|out| out.write_all(&bytes))?;
    for remark in remarks {
        anstream::eprintln!("{remark}");
    }
    Ok(())
}
