//! `cniscope report`: one HTML file over many calls.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::filter::{Filter, Wanted};
use super::{CliError, Common, Outcome};
use crate::journal::read::{self, Passed, ReadError};
use crate::node::clock;
use crate::node::replace::replace;
use crate::render::count::counted;
use crate::render::html::{self, About};
use crate::render::time::bytes;
use crate::render::{self, escape};
use crate::report::Report;
use crate::report::row::Rows;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// The file; - for standard output
    #[arg(short = 'O', long, value_name = "FILE", default_value = "cniscope-report.html")]
    out: PathBuf,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let is_stdout = arguments.out == Path::new("-");
    if is_stdout && io::stdout().is_terminal() {
        return Err(CliError::Usage(
            "a report is an HTML file, not for a terminal; use -O FILE, or a pipe".to_owned(),
        ));
    }
    let now = SystemTime::now();
    let wanted = arguments.filter.wanted(now, common.zone()).map_err(CliError::Usage)?;
    let (rows, passed) = gather(common, &wanted)?;
    let offset = i64::from(common.zone().offset(now).whole_seconds());
    let report = Report::of(rows, offset, arguments.filter.leaves_out_good());
    let about = About {
        zone: common.zone(),
        made: clock::rfc3339(now),
        filters: escape::line(&arguments.filter.words()).into_owned(),
        broken: passed.broken,
    };
    let page = html::page(&report, &about);
    if is_stdout {
        render::to_stdout_as_is(|out| out.write_all(page.as_bytes()))?;
        return Ok(Outcome::Fine);
    }
    let name = escape::line(&arguments.out.display().to_string()).into_owned();
    write(&arguments.out, page.as_bytes())
        .map_err(|error| CliError::Usage(format!("cannot write {name}: {error}; use -O FILE for another")))?;
    #[allow(clippy::cast_precision_loss, reason = "the size of a file")]
    let size = bytes(page.len() as f64);
    let calls = counted(report.figures.calls, "call");
    let nodes = counted(report.nodes.len(), "node");
    render::to_stdout(|out| writeln!(out, "{name}: {calls} of {nodes}, {size}"))?;
    Ok(Outcome::Fine)
}

/// All calls that are wanted, each made small as it is read: whole records of a large journal would fill the memory.
fn gather(common: &Common, wanted: &Wanted) -> Result<(Rows, Passed), ReadError> {
    let mut rows = Rows::default();
    let passed = read::for_each(&common.node(), common.sources()?, wanted, |call| {
        rows.take(&call);
        ControlFlow::Continue(())
    })?;
    Ok((rows, passed))
}

/// Writes the file as a whole: whoever opens it meanwhile has the old one or the new one. It can be read by its owner alone,
/// as the journal can.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Ok(there) = fs::metadata(path)
        && !there.is_file()
    {
        // A device or a FIFO is not to be replaced by a file.
        return File::options().write(true).open(path)?.write_all(content);
    }
    replace(path, content, 0o600)
}
