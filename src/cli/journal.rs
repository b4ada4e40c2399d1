//! `cniscope journal`: lists calls.

use std::collections::HashSet;
use std::io::Write;
use std::time::SystemTime;

use serde_json::Value;

use super::filter::Filter;
use super::{CliError, Common, Outcome, follow};
use crate::journal::head::Head;
use crate::journal::read::{self, Call, Filter as _, Reading};
use crate::render::{self, call, escape};

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
}

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

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let wanted = arguments.filter.wanted(SystemTime::now(), common.zone()).map_err(CliError::Usage)?;
    if arguments.follow && arguments.output == Output::Json {
        return Err(CliError::Usage(
            "-f does not go with -o json, which is one document; use -o jsonl".to_owned(),
        ));
    }
    // The place is taken before reading, so that nothing that is written meanwhile is lost.
    let follower = match (arguments.follow, common.journals().as_slice()) {
        (false, _) => None,
        (true, [dir]) => Some(follow::Follower::at_end(dir)),
        (true, _) => return Err(CliError::Usage("-f follows one folder; give --journal once".to_owned())),
    };
    let read = common.sources().and_then(|sources| read::calls(&common.node(), sources, &wanted));
    let reading = match read {
        Err(read::ReadError::Missing { .. }) if arguments.follow => Reading::default(),
        other => other?,
    };
    let first = arguments.last.map_or(0, |last| reading.calls.len().saturating_sub(last));
    let calls = &reading.calls[first..];
    render::to_stdout(|out| write(out, common, arguments, calls))?;
    super::say_passed(reading.passed);
    if calls.is_empty() && !arguments.follow && matches!(arguments.output, Output::Table | Output::Wide) {
        anstream::eprintln!("no call in {} matches", common.journal_names());
    }
    if let Some(follower) = follower {
        // One that was running has not been seen to end.
        let ended = calls.iter().filter(|call| call.text("event") == "end");
        let seen: HashSet<String> = ended.map(|call| call.text("id").to_owned()).collect();
        go_on(
            common,
            arguments,
            |call| wanted.holds_for(call) && !seen.contains(call.id.as_ref()),
            follower,
        )?;
    }
    Ok(Outcome::Fine)
}

fn write(out: &mut dyn Write, common: &Common, arguments: &Arguments, calls: &[Call]) -> std::io::Result<()> {
    match arguments.output {
        Output::Table | Output::Wide => {
            let is_wide = arguments.output == Output::Wide;
            let width = if is_wide { None } else { render::terminal_width() };
            if calls.is_empty() {
                Ok(())
            } else {
                call::table(calls, common.zone(), is_wide).write(out, width)
            }
        }
        Output::Json => {
            let records: Vec<Value> = calls.iter().map(call::record).collect();
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&records)?))
        }
        Output::Jsonl => {
            calls.iter().try_for_each(|one| writeln!(out, "{}", escape::json(&call::record(one).to_string())))
        }
    }
}

/// Writes calls as they end, until the reader or the user has enough.
fn go_on(
    common: &Common,
    arguments: &Arguments,
    wanted: impl Fn(&Head) -> bool,
    mut follower: follow::Follower,
) -> Result<(), CliError> {
    loop {
        let ended: Vec<Call> = follower.wait(&wanted)?;
        let mut is_closed = false;
        render::to_stdout(|out| {
            let written = match arguments.output {
                Output::Json | Output::Jsonl => write(out, common, arguments, &ended),
                Output::Table | Output::Wide => ended.iter().try_for_each(|one| {
                    writeln!(out, "{}", call::line(one, common.zone(), arguments.output == Output::Wide))
                }),
            };
            let flushed = written.and_then(|()| out.flush());
            is_closed = flushed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
            flushed
        })?;
        if is_closed {
            return Ok(());
        }
    }
}
