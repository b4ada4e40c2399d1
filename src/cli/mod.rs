//! For people: `cniscope VERB`, one file a verb.

mod agent;
mod bundle;
mod causes;
mod completions;
mod doctor;
mod explain;
mod filter;
mod folders;
mod follow;
mod install;
mod journal;
mod man;
mod metrics;
mod one_call;
mod output;
mod places;
mod replay;
mod report;
mod show;
mod stats;
mod status;
mod uninstall;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueHint};

use crate::bundle::check::CheckError;
use crate::bundle::unpacked;
use crate::install::lists::ListsError;
use crate::install::put_in::InstallError;
use crate::journal::read::{Passed, ReadError};
use crate::journal::sources::Sources;
use crate::journal::stored::PortionError;
use crate::language::Language;
use crate::node::Node;
use crate::render::time::Zone;
use crate::settings::Settings;

/// The version with the commit that it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CNISCOPE_COMMIT"), ")");
/// The heading of what every verb understands.
const GENERAL: &str = "General options";
/// What follows the list of verbs.
const AFTER_HELP: &str = "\
As a CNI plugin: put {\"type\": \"cniscope\", \"cniscope\": {\"wraps\": \"PLUGIN\"}} in PLUGIN's place in the conflist.
Exit status: 0 fine (warnings too), 1 a problem was found, 2 wrong usage or it could not run.";
/// What follows the options of a verb.
const EXIT_STATUS: &str =
    "Exit status: 0 fine (warnings too), 1 a problem was found, 2 wrong usage or it could not run.";

/// Explains what CNI plugins do on this node: every call recorded, failures with their cause.
#[derive(Debug, Parser)]
#[command(name = "cniscope", version = VERSION, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Debug, clap::Args)]
struct Common {
    /// Folder of a journal, or a bundle; may be repeated [default: the settings', or /var/log/cniscope]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::AnyPath, help_heading = GENERAL)]
    journal: Vec<PathBuf>,
    /// Language of titles, explanations and fixes: en, ru, zh [default: that of LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, global = true, value_enum, value_name = "LANG", hide_possible_values = true, help_heading = GENERAL)]
    lang: Option<Language>,
    /// Look at the node whose files stand below this folder
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/", help_heading = GENERAL)]
    root: PathBuf,
    /// Show times in UTC instead of the local zone
    #[arg(long, global = true, help_heading = GENERAL)]
    utc: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Keep the networks wrapped, and serve metrics
    Agent(agent::Arguments),
    /// Pack evidence of this node into one file, without secrets
    Bundle(bundle::Arguments),
    /// List the causes that a diagnosis names
    Causes(causes::Arguments),
    /// Print what a shell needs to complete the command line
    Completions(completions::Arguments),
    /// Examine this node now
    Doctor(doctor::Arguments),
    /// Say the cause of an error text
    Explain(explain::Arguments),
    /// Put cniscope in the place of the plugins of this node's network
    Install(install::Arguments),
    /// List calls
    Journal(journal::Arguments),
    /// Write the manual pages into a folder
    Man(man::Arguments),
    /// Tell Prometheus what was counted
    Metrics(metrics::Arguments),
    /// Run a recorded call again, where it cannot change the node
    Replay(replay::Arguments),
    /// Write a report with charts: one HTML file
    Report(report::Arguments),
    /// Show one call with everything that is known of it
    Show(show::Arguments),
    /// Count calls and failures, and how long they took
    Stats(stats::Arguments),
    /// Say what of cniscope stands on this node
    Status(status::Arguments),
    /// Take cniscope out of this node
    Uninstall(uninstall::Arguments),
}

/// Why a verb could not run.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Journal(#[from] ReadError),
    #[error("{}: the bundle cannot be written: {source}", path.display())]
    Bundle { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Agent(#[from] crate::install::agent::AgentError),
    #[error(transparent)]
    Install(#[from] crate::install::put_in::InstallError),
    #[error(transparent)]
    Uninstall(#[from] crate::install::take_out::UninstallError),
    #[error(transparent)]
    Replay(#[from] crate::replay::outside::ReplayError),
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    #[error("{0}")]
    Usage(String),
}

impl From<PortionError> for CliError {
    fn from(error: PortionError) -> CliError {
        match error {
            PortionError::Read(error) => CliError::Journal(error),
            PortionError::Take(error) => CliError::Output(error),
        }
    }
}

/// The end of a verb that ran.
enum Outcome {
    Fine,
    /// A problem was found.
    Problem,
    /// Nothing could be looked at.
    Blind,
}

/// The command line.
fn command() -> clap::Command {
    Arguments::command().mut_subcommands(|verb| verb.after_help(EXIT_STATUS))
}

/// Runs a command line, its first word included, and gives the status to exit with.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> u8 {
    let parsed = command().try_get_matches_from(arguments);
    let arguments = match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let common = &arguments.common;
    let done = match &arguments.verb {
        Verb::Agent(arguments) => agent::run(common, arguments),
        Verb::Bundle(arguments) => bundle::run(common, arguments),
        Verb::Causes(arguments) => causes::run(common, arguments),
        Verb::Completions(arguments) => completions::run(arguments),
        Verb::Doctor(arguments) => doctor::run(common, arguments),
        Verb::Explain(arguments) => explain::run(common, arguments),
        Verb::Install(arguments) => install::run(common, arguments),
        Verb::Journal(arguments) => journal::run(common, arguments),
        Verb::Man(arguments) => man::run(arguments),
        Verb::Metrics(arguments) => metrics::run(common, arguments),
        Verb::Replay(arguments) => replay::run(common, arguments),
        Verb::Report(arguments) => report::run(common, arguments),
        Verb::Show(arguments) => show::run(common, arguments),
        Verb::Stats(arguments) => stats::run(common, arguments),
        Verb::Status(arguments) => status::run(common, arguments),
        Verb::Uninstall(arguments) => uninstall::run(common, arguments),
    };
    match done {
        Ok(Outcome::Fine) => 0,
        Ok(Outcome::Problem) => 1,
        Ok(Outcome::Blind) => 2,
        Err(error) => {
            anstream::eprintln!(
                "{}cniscope: {error}{}",
                crate::render::BAD,
                crate::render::BAD.render_reset()
            );
            if let Some(hint) = hint(&error) {
                anstream::eprintln!("{hint}");
            }
            2
        }
    }
}

/// What to do about an error.
fn hint(error: &CliError) -> Option<String> {
    match error {
        CliError::Journal(ReadError::Missing { .. }) => Some(
            "No call has been recorded here yet: a conflist has to name cniscope in a plugin's place.\n\
             For a journal elsewhere: cniscope --journal DIR"
                .to_owned(),
        ),
        CliError::Journal(ReadError::File { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Some("The journal can be read by root, and by the group in the settings.".to_owned())
        }
        CliError::Install(InstallError::Lists(ListsError::None { .. })) => Some(
            "Run it again when the list is there, or let the agent wait for it: cniscope agent\n\
             For a folder elsewhere: cniscope install --conf-dir DIR"
                .to_owned(),
        ),
        CliError::Bundle { .. } => {
            Some("Name a file that can be written: cniscope bundle --out FILE".to_owned())
        }
        _ => None,
    }
}

/// Says what could not be read of a journal.
fn say_passed(passed: Passed) {
    let one_or_more = |count, one, more| if count == 1 { one } else { more };
    if passed.broken > 0 {
        let lines = one_or_more(passed.broken, "line is", "lines are");
        anstream::eprintln!("{} {lines} broken and passed over", passed.broken);
    }
    if passed.cut > 0 {
        let files = one_or_more(passed.cut, "compressed file breaks", "compressed files break");
        anstream::eprintln!("{} {files} off; what stands before is read", passed.cut);
    }
    if passed.unread > 0 {
        let files = one_or_more(passed.unread, "file is", "files are");
        anstream::eprintln!(
            "{} {files} compressed by something else than gzip and passed over",
            passed.unread
        );
    }
}

impl Common {
    /// The node whose files are below the root. The links of one that is in a bundle are those in the bundle.
    fn node(&self) -> Node {
        let node = Node::at(&self.root);
        match unpacked::links(&self.root) {
            Some(links) => node.with_links(&links),
            None => node,
        }
    }

    fn zone(&self) -> Zone {
        if self.utc { Zone::Utc } else { Zone::Local }
    }

    fn language(&self) -> Language {
        self.lang.unwrap_or_else(|| Language::of_environment(|name| std::env::var_os(name)))
    }

    /// Where calls are read from: as told, or the folder that the node's settings have.
    fn journals(&self) -> Vec<PathBuf> {
        if !self.journal.is_empty() {
            return self.journal.clone();
        }
        let named = std::env::var_os("CNISCOPE_CONFIG");
        let dir = Settings::of_node(&self.node(), named.as_ref()).journal.dir;
        vec![self.root.join(dir.strip_prefix("/").unwrap_or(&dir))]
    }

    /// The folder of this node's journal, for a verb that has to do with no other.
    fn own_journal(&self) -> Result<PathBuf, CliError> {
        let [journal] = self.journals().try_into().map_err(|_| {
            CliError::Usage("--journal names one folder here: that of the node's journal".to_owned())
        })?;
        Ok(journal)
    }

    /// The same, opened.
    fn sources(&self) -> Result<Sources, ReadError> {
        Sources::open(&self.journals())
    }

    /// The same, for a sentence.
    fn journal_names(&self) -> String {
        let names: Vec<String> = self.journals().iter().map(|path| path.display().to_string()).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
