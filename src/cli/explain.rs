//! `cniscope explain`: the cause of an error text, with or without a node.

use std::io::{IsTerminal as _, Read as _};
use std::time::Duration;

use super::folders::Folders;
use super::output::Output;
use super::{CliError, Common, Outcome};
use crate::checks::examination::{Examined, Plan, examine};
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::explain::{self, Explanation, Failure};
use crate::diagnosis::finding::Finding;
use crate::language;
use crate::render::{self, escape, explanation};
use crate::settings::signatures;

/// The largest text that is read.
const MOST: u64 = 64 << 20;
/// How long a check may take.
const LIMIT: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The text: an error, or a log with many; without it, standard input is read
    text: Vec<String>,
    /// The text is what `kubectl describe pod` or `kubectl get events` prints: explain its warnings
    #[arg(long)]
    event: bool,
    /// It happened on this node: run the checks that can tell more
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    folders: Folders,
    /// How the explanation is written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    let text = text(arguments)?;
    let node = common.node();
    let (own, warnings) = signatures::of_node(&node);
    for warning in &warnings {
        anstream::eprintln!("cniscope: {}", escape::line(warning));
    }
    let mut explanation =
        if arguments.event { explain::explain_events(&text, &own) } else { explain::explain(&text, &own) };
    if arguments.here {
        let found = look(common, arguments, &explanation);
        for failure in std::iter::once(&mut explanation.first).chain(&mut explanation.others) {
            failure.look_at(&about(failure, &found), &own);
        }
    }
    let told = common.language();
    language::explanation(told, &mut explanation);
    render::to_stdout(|out| match arguments.output {
        Output::Text => explanation::whole(out, &explanation, arguments.here, told, render::terminal_width()),
        Output::Json => {
            writeln!(out, "{}", escape::json(&serde_json::to_string_pretty(&explanation)?))
        }
    })?;
    Ok(Outcome::Fine)
}

fn text(arguments: &Arguments) -> Result<String, CliError> {
    let text = if arguments.text.is_empty() {
        let stdin = std::io::stdin().lock();
        if stdin.is_terminal() {
            anstream::eprintln!("Paste the text, then press Ctrl-D.");
        }
        let mut bytes = Vec::new();
        stdin.take(MOST).read_to_end(&mut bytes)?;
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        arguments.text.join(" ")
    };
    if text.trim().is_empty() {
        let message = "there is no text: cniscope explain 'TEXT', or COMMAND | cniscope explain".to_owned();
        return Err(CliError::Usage(message));
    }
    Ok(text)
}

/// What the checks find that can tell more of any of the failures; all of them where the cause of one is unknown.
fn look(common: &Common, arguments: &Arguments, explanation: &Explanation) -> Vec<Examined> {
    let failures: Vec<&Failure> = std::iter::once(&explanation.first).chain(&explanation.others).collect();
    let mut checks: Vec<String> = Vec::new();
    if failures.iter().all(|failure| failure.cause != Cause::Unknown) {
        let named = failures.iter().flat_map(|failure| failure.cause.entry().checks);
        checks.extend(
            named
                .filter(|name| crate::checks::names().any(|known| known == **name))
                .map(|name| (*name).to_owned()),
        );
        if checks.is_empty() {
            return Vec::new();
        }
    }
    let node = common.node();
    let (conf_dir, bin_folders) = arguments.folders.on(&node, LIMIT);
    let plan =
        Plan { checks, conf_dir, bin_folders, event: None, own: Vec::new(), peers: Vec::new(), limit: LIMIT };
    examine(&node, &plan).findings
}

/// What was found about the node and, where the text names a plugin that is configured, about that plugin alone.
fn about(failure: &Failure, found: &[Examined]) -> Vec<Finding> {
    let is_of_plugin = |one: &Examined| {
        let plugin = failure.peeled.plugin.as_deref().map(|plugin| format!("{plugin} in "));
        plugin.is_some_and(|plugin| one.about.iter().any(|about| about.starts_with(&plugin)))
    };
    let is_configured = found.iter().any(is_of_plugin);
    let fitting = found.iter().filter(|one| !is_configured || one.about.is_empty() || is_of_plugin(one));
    fitting.map(|one| one.finding.clone()).collect()
}
