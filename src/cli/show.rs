//! `cniscope show`: one call, with everything that is known of it.

use super::{CliError, Common, Outcome};
use crate::journal::attempts::Attempts;
use crate::journal::head::Head;
use crate::journal::named::Name;
use crate::journal::stored::{self, Stored};
use crate::render::list::{Form, List};
use crate::render::part::Part;
use crate::render::{self, call, escape};

/// So many calls are named between which it cannot be decided.
const CANDIDATES: usize = 8;
/// Of a name that fits more calls, the last of them count.
const MOST: usize = 1000;

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
    let name = Name::of(&arguments.id);
    let most = if matches!(name, Name::Some(_)) { MOST } else { 1 };
    let mut calls = Vec::new();
    let may_be = |call: &Head| name.may_be(call);
    stored::in_portions(&common.node(), common.sources()?, &may_be, Some(most), |portion| {
        calls.extend(portion);
        Ok(())
    })?;
    let one = name.choose(calls).map_err(|calls| undecided(common, arguments, &calls))?;
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

/// Says that a name fits no call, or which ones it fits.
fn undecided(common: &Common, arguments: &Arguments, calls: &[Stored]) -> CliError {
    let name = escape::line(&arguments.id);
    if calls.is_empty() {
        return CliError::Usage(format!("no call {name:?} in {}", common.journal_names()));
    }
    let mut list = List::new(Form::Table, common.zone(), render::terminal_width(), false);
    let mut table = Vec::new();
    let shown = &calls[calls.len().saturating_sub(CANDIDATES)..];
    // Nothing that is written into memory fails.
    let _ = list.write(&mut table, shown);
    let more =
        if shown.len() < calls.len() { format!(", the last {} of them", shown.len()) } else { String::new() };
    let table = String::from_utf8_lossy(&table);
    CliError::Usage(format!("{} calls fit {name:?}{more}:\n{}", calls.len(), table.trim_end()))
}
