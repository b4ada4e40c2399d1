//! `cniscope stats`: calls and failures, counted, and how long they took.

use std::cell::RefCell;
use std::time::SystemTime;

use super::filter::Filter;
use super::{CliError, Common, Outcome};
use crate::journal::read::{self, Call};
use crate::journal::statistics::Sample;
use crate::journal::summary::Summary;
use crate::render::statistics::{self, By, View};
use crate::render::{self, call, escape};

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
    let broken = each(common, |call| {
        if wanted.holds_for(call) {
            summary.add(call, name(common, arguments.by, call));
        }
    })?;
    let view = View {
        by: arguments.by,
        zone: common.zone(),
        width: render::terminal_width(),
        is_wide: arguments.output == Output::Wide,
    };
    render::to_stdout(|out| match arguments.output {
        Output::Table | Output::Wide => statistics::whole(out, &summary, view),
        Output::Json => {
            let document = statistics::json(&summary, arguments.by, broken);
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&document)?))
        }
    })?;
    if broken > 0 {
        let lines = if broken == 1 { "line is" } else { "lines are" };
        anstream::eprintln!("{broken} {lines} broken and passed over");
    }
    if summary.all.calls + summary.all.running == 0 && arguments.output != Output::Json {
        anstream::eprintln!("no call in {} matches", common.journal_dir().display());
    }
    Ok(Outcome::Fine)
}

/// Shows every call of the journal, and keeps none. Gives the number of broken lines.
fn each(common: &Common, show: impl FnMut(&Call)) -> Result<usize, CliError> {
    let show = RefCell::new(show);
    let reading = read::calls(&common.node(), &common.journal_dir(), |call| {
        show.borrow_mut()(call);
        false
    })?;
    Ok(reading.broken)
}

/// The name of the group that a call belongs to.
fn name(common: &Common, by: By, of: &Call) -> Option<Vec<String>> {
    let text = |field: &str| of.text(field).to_owned();
    match by {
        By::Plugin => Some(vec![text("plugin"), text("command")]),
        By::Pod => Some(vec![call::subject(of)]),
        By::Cause => Sample::of(of).cause.map(|cause| vec![cause.to_owned()]),
        By::Hour => Some(vec![common.zone().hour(of.text("time"))]),
    }
}
