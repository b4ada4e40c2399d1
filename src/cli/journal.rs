//! `cniscope journal`: lists calls.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::SystemTime;

use super::filter::{Filter, Wanted};
use super::{CliError, Common, Outcome, follow};
use crate::journal::head::Head;
use crate::journal::read::{Filter as _, Passed, ReadError};
use crate::journal::sources::Sources;
use crate::journal::stored::{self, PortionError, Stored};
use crate::render::list::List;
use crate::render::{self, list};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// Only the last N of them
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// Go on with calls as they end
    #[arg(short, long)]
    follow: bool,
    /// How they are written
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

/// How the calls are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table
    Table,
    /// A table with more columns
    Wide,
    /// An array of records
    Json,
    /// A record a line
    Jsonl,
    /// For spreadsheets
    Csv,
    /// Spans of OpenTelemetry, a document a line
    Otlp,
}

impl Output {
    fn form(self) -> list::Form {
        match self {
            Output::Table => list::Form::Table,
            Output::Wide => list::Form::Wide,
            Output::Json => list::Form::Json,
            Output::Jsonl => list::Form::Jsonl,
            Output::Csv => list::Form::Csv,
            Output::Otlp => list::Form::Otlp,
        }
    }
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let wanted = arguments.filter.wanted(SystemTime::now(), common.zone()).map_err(CliError::Usage)?;
    // The place is taken before reading, so that nothing that is written meanwhile is lost.
    let follower = if arguments.follow { Some(follower(common, arguments)?) } else { None };
    let sources = match common.sources() {
        Err(ReadError::Missing { .. }) if arguments.follow => Sources::default(),
        other => other?,
    };
    let mut list =
        List::new(arguments.output.form(), common.zone(), render::terminal_width(), arguments.follow);
    let mut ended = HashSet::new();
    let mut passed = Ok(Passed::default());
    print(arguments, |out| {
        let take = |calls: Vec<Stored>| {
            if arguments.follow {
                // One that was running has not been seen to end.
                let of_end = calls.iter().filter(|call| call.head().event == "end");
                ended.extend(of_end.map(|call| call.id().to_owned()));
            }
            list.write(out, &calls)
        };
        passed = stored::in_portions(&common.node(), sources, &wanted, arguments.last, take);
        match &mut passed {
            Err(PortionError::Take(error)) => Err(std::mem::replace(error, io::ErrorKind::Other.into())),
            _ => list.end(out),
        }
    })?;
    if let Err(PortionError::Read(error)) = passed {
        return Err(error.into());
    }
    super::say_passed(passed.unwrap_or_default());
    if list.is_empty() && !arguments.follow && arguments.output.form().is_table() {
        anstream::eprintln!("no call in {} matches", common.journal_names());
    }
    match follower {
        Some(follower) => go_on(arguments, &mut list, &wanted, &ended, follower),
        None => Ok(Outcome::Fine),
    }
}

fn follower(common: &Common, arguments: &Arguments) -> Result<follow::Follower, CliError> {
    if arguments.output == Output::Json {
        let why = "-f does not go with -o json, which is one document; use -o jsonl";
        return Err(CliError::Usage(why.to_owned()));
    }
    match common.journals().as_slice() {
        [dir] if !dir.is_file() => Ok(follow::Follower::at_end(dir)),
        _ => Err(CliError::Usage("-f follows one folder of a journal".to_owned())),
    }
}

/// Writes with styles for people, as it is for programs.
fn print(arguments: &Arguments, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if arguments.output.form().is_table() { render::to_stdout(write) } else { render::to_stdout_as_is(write) }
}

/// Writes calls as they end, until the reader or the user has enough.
fn go_on(
    arguments: &Arguments,
    list: &mut List,
    wanted: &Wanted,
    ended: &HashSet<String>,
    mut follower: follow::Follower,
) -> Result<Outcome, CliError> {
    let is_new = |call: &Head| wanted.holds_for(call) && !ended.contains(call.id.as_ref());
    loop {
        let calls = follower.wait(&is_new)?;
        let mut is_closed = false;
        print(arguments, |out| {
            let written = list.write(out, &calls).and_then(|()| out.flush());
            is_closed = written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
            written
        })?;
        if is_closed {
            return Ok(Outcome::Fine);
        }
    }
}
