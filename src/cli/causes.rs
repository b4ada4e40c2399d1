//! `cniscope causes`: what a diagnosis may name.

use super::{CliError, Common, Outcome};
use crate::diagnosis::catalogue::{self, Cause, Entry};
use crate::render::{self, causes, escape};

/// How the catalogue is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One document
    Json,
    /// As docs/causes.md
    Markdown,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this cause, with everything that is known of it
    id: Option<String>,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let one = arguments.id.as_deref().map(entry).transpose()?;
    let (language, width) = (common.language(), render::terminal_width());
    render::to_stdout(|out| match (arguments.output, one) {
        (Output::Text, None) => causes::list(out, language, width),
        (Output::Text, Some(entry)) => causes::page(out, entry, language, width),
        (Output::Json, None) => {
            let all: Vec<_> = catalogue::entries().map(|entry| causes::json(entry, language)).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)
        }
        (Output::Json, Some(entry)) => {
            writeln!(out, "{}", serde_json::to_string_pretty(&causes::json(entry, language))?)
        }
        (Output::Markdown, None) => write!(out, "{}", causes::document(language)),
        (Output::Markdown, Some(entry)) => write!(out, "{}", causes::section(entry, language)),
    })?;
    Ok(Outcome::Fine)
}

fn entry(id: &str) -> Result<&'static Entry, CliError> {
    let found = Cause::from_id(&id.to_lowercase()).map(Cause::entry);
    found.ok_or_else(|| {
        let id = escape::line(id).into_owned();
        CliError::Usage(format!("no cause {id:?}; cniscope causes lists all of them"))
    })
}
