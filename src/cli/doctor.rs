//! `cniscope doctor`: examines the node.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;

use super::{CliError, Common, Outcome};
use crate::checks::examination::{Examination, Plan, examine};
use crate::checks::names;
use crate::cni::path;
use crate::diagnosis::finding::Status;
use crate::render::{self, escape, examination};

/// How long a check may take: node-problem-detector gives up after five seconds.
const LIMIT: Duration = Duration::from_secs(4);
/// How often `--watch` examines.
const INTERVAL: Duration = Duration::from_secs(5);

/// How the findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For people, with a line for every check
    Wide,
    /// One document
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only these checks
    #[arg(value_name = "CHECK", value_parser = PossibleValuesParser::new(names()))]
    checks: Vec<String>,
    /// Folder of the network configurations
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    conf_dir: PathBuf,
    /// Folders of the plugins, with ':' between them
    #[arg(long, value_name = "DIRS", default_value = "/opt/cni/bin")]
    cni_path: OsString,
    /// How the findings are written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// The worst finding in one line, for node-problem-detector
    #[arg(long, conflicts_with = "output")]
    one_line: bool,
    /// Examine again every few seconds
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    if arguments.watch && arguments.output == Output::Json {
        return Err(CliError::Usage("--watch does not go with -o json, which is one document".to_owned()));
    }
    if !common.root.is_dir() {
        let root = common.root.to_string_lossy();
        return Err(CliError::Usage(format!("--root {} is no folder", escape::line(&root))));
    }
    let plan = Plan {
        checks: arguments.checks.clone(),
        conf_dir: arguments.conf_dir.clone(),
        bin_folders: path::folders(&arguments.cni_path),
        limit: LIMIT,
    };
    loop {
        let found = examine(&common.node(), &plan);
        if arguments.watch {
            render::clear_terminal()?;
        }
        let mut is_closed = false;
        render::to_stdout(|out| {
            let written = write(out, arguments, &found).and_then(|()| out.flush());
            is_closed = written.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
            written
        })?;
        if !arguments.watch || is_closed {
            return Ok(outcome(&found));
        }
        std::thread::sleep(INTERVAL);
    }
}

fn write(out: &mut dyn Write, arguments: &Arguments, found: &Examination) -> std::io::Result<()> {
    let is_wide = arguments.output == Output::Wide || !arguments.checks.is_empty();
    match arguments.output {
        _ if arguments.one_line => writeln!(out, "{}", examination::line(found)),
        Output::Text | Output::Wide => examination::whole(out, found, is_wide, render::terminal_width()),
        Output::Json => writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(found)?)),
    }
}

fn outcome(found: &Examination) -> Outcome {
    match found.status {
        Status::Ok | Status::Warn => Outcome::Fine,
        Status::Fail => Outcome::Problem,
        Status::Skipped => Outcome::Blind,
    }
}
