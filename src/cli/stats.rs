//! `cniscope stats`: calls and failures, counted, and how long they took.

use std::ops::ControlFlow;
use std::time::SystemTime;

use super::filter::Filter;
use super::{CliError, Common, Outcome};
use crate::journal::head::Head;
use crate::journal::read;
use crate::journal::statistics::Sample;
use crate::journal::stored::Stored;
use crate::journal::summary::Summary;
use crate::render::statistics::{self, By, View};
use crate::render::time::Zone;
use crate::render::{self, escape, list};

/// How they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Tables
    Table,
    /// Tables with all columns, however wide
    Wide,
    /// One document
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// What the calls are put together by
    #[arg(long, value_enum, default_value = "plugin")]
    by: By,
    /// How they are written
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let wanted = arguments.filter.wanted(SystemTime::now(), common.zone()).map_err(CliError::Usage)?;
    let mut summary = Summary::default();
    let (zone, by) = (common.zone(), arguments.by);
    let told = |call: &Head| {
        let sample = Sample::of_head(call);
        let name = name(zone, by, call, &sample);
        Some((sample, name, Stored::of(call)))
    };
    let passed =
        read::map_each(&common.node(), common.sources()?, &wanted, told, |(sample, name, call), _| {
            summary.add(&sample, name, call);
            ControlFlow::Continue(())
        })?;
    let view = View { by, zone, width: render::terminal_width(), is_wide: arguments.output == Output::Wide };
    render::to_stdout(|out| match arguments.output {
        Output::Table | Output::Wide => statistics::whole(out, &summary, view),
        Output::Json => {
            let document = statistics::json(&summary, by, passed.broken);
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&document)?))
        }
    })?;
    super::say_passed(passed);
    if summary.all.calls + summary.all.running == 0 && arguments.output != Output::Json {
        anstream::eprintln!("no call in {} matches", common.journal_names());
    }
    Ok(Outcome::Fine)
}

/// The name of the group that a call belongs to.
fn name(zone: Zone, by: By, of: &Head, sample: &Sample) -> Option<Vec<String>> {
    match by {
        By::Plugin => Some(vec![of.plugin.to_string(), of.command.to_string()]),
        By::Pod => Some(vec![list::subject(of)]),
        By::Cause => sample.cause.as_deref().map(|cause| vec![cause.to_owned()]),
        By::Hour => Some(vec![zone.hour(&of.time)]),
    }
}
