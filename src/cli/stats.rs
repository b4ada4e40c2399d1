//! `cniscope stats`: calls and failures, counted, and how long they took.

use std::ops::ControlFlow;
use std::time::SystemTime;

use super::filter::Filter;
use super::{CliError, Common, Outcome};
use crate::journal::read::{self, Call};
use crate::journal::statistics::Sample;
use crate::journal::summary::Summary;
use crate::render::statistics::{self, By, View};
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
    let passed = read::for_each(&common.node(), common.sources()?, &wanted, |call| {
        summary.add(&call, name(common, arguments.by, &call));
        ControlFlow::Continue(())
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
            let document = statistics::json(&summary, arguments.by, passed.broken);
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
fn name(common: &Common, by: By, of: &Call) -> Option<Vec<String>> {
    let text = |field: &str| of.text(field).to_owned();
    match by {
        By::Plugin => Some(vec![text("plugin"), text("command")]),
        By::Pod => Some(vec![list::pod_or_container(
            of.text("pod_namespace"),
            of.text("pod_name"),
            of.text("container_id"),
        )]),
        By::Cause => Sample::of(of).cause.map(|cause| vec![cause.to_owned()]),
        By::Hour => Some(vec![common.zone().hour(of.text("time"))]),
    }
}
