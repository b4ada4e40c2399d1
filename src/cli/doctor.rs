//! `cniscope doctor`: examines the node.

use std::io::{Read as _, Write};
use std::net::IpAddr;
use std::time::Duration;

use clap::builder::PossibleValuesParser;

use super::folders::Folders;
use super::{CliError, Common, Outcome};
use crate::checks::examination::{Examination, Plan, examine};
use crate::checks::names;
use crate::diagnosis::finding::Status;
use crate::language;
use crate::node::{Node, bounded};
use crate::render::examination::{self, Detail, View};
use crate::render::{self, escape};
use crate::settings::signatures;

/// How long a check may take: node-problem-detector gives up after five seconds.
const LIMIT: Duration = Duration::from_secs(4);
/// How often `--watch` examines.
const INTERVAL: Duration = Duration::from_secs(5);

/// The check that asks other nodes.
const ASKING: &str = "overlay";
/// The most nodes that are asked at once.
const MAX_PEERS: usize = 256;

/// More of an event's text is not read.
const MAX_EVENT: u64 = 1 << 20;

/// How the findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For people, with the evidence of what is well too
    Wide,
    /// One document
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only these checks
    #[arg(value_name = "CHECK", value_parser = PossibleValuesParser::new(names()))]
    checks: Vec<String>,
    /// Text of a Pod's event, or of another error, to be explained with what is found; - reads standard input
    #[arg(long, value_name = "TEXT", conflicts_with = "one_line")]
    event: Option<String>,
    /// Overlay addresses of other nodes, with ',' between them; each is asked by ICMP whether it answers up to the full MTU
    #[arg(long, value_name = "ADDR", value_delimiter = ',', value_parser = peer)]
    peers: Vec<IpAddr>,
    #[command(flatten)]
    folders: Folders,
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
    let asks = arguments.checks.is_empty() || arguments.checks.iter().any(|check| check == ASKING);
    if !arguments.peers.is_empty() && !asks {
        return Err(CliError::Usage(format!(
            "--peers is for the check {ASKING}, which is not among those named"
        )));
    }
    if arguments.peers.len() > MAX_PEERS {
        return Err(CliError::Usage(format!("--peers takes at most {MAX_PEERS} addresses")));
    }
    let event = arguments.event.as_deref().map(text).transpose()?;
    let node = common.node();
    loop {
        let mut found = examine(&node, &plan(&node, arguments, event.clone()));
        language::examination(common.language(), &mut found);
        if arguments.watch {
            render::clear_terminal()?;
        }
        let mut is_closed = false;
        render::to_stdout(|out| {
            let written = write(out, arguments, common, &found).and_then(|()| out.flush());
            is_closed = written.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
            written
        })?;
        if !arguments.watch || is_closed {
            return Ok(outcome(&found));
        }
        std::thread::sleep(INTERVAL);
    }
}

/// An address that one node can have.
fn peer(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| "expected an IP address".to_owned())?;
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        return Err("expected the address of one node".to_owned());
    }
    Ok(address)
}

/// The text itself, or for `-` what stands on standard input.
fn text(argument: &str) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_EVENT)
        .read_to_end(&mut text)
        .map_err(|error| CliError::Usage(format!("standard input cannot be read: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What is to be examined. Folders that are not told are those that the runtime uses now.
fn plan(node: &Node, arguments: &Arguments, event: Option<String>) -> Plan {
    let (conf_dir, bin_folders) = arguments.folders.on(node, LIMIT);
    let of = node.clone();
    let own = bounded::run(LIMIT, move || signatures::of_node(&of).0).unwrap_or_default();
    Plan {
        checks: arguments.checks.clone(),
        conf_dir,
        bin_folders,
        event,
        own,
        peers: arguments.peers.clone(),
        limit: LIMIT,
    }
}

fn write(
    out: &mut dyn Write,
    arguments: &Arguments,
    common: &Common,
    found: &Examination,
) -> std::io::Result<()> {
    let view = View {
        detail: match arguments.output {
            Output::Wide => Detail::Evidence,
            _ if arguments.checks.is_empty() => Detail::Checks,
            _ => Detail::Entries,
        },
        width: render::terminal_width(),
        time: arguments.watch.then(|| common.zone()),
        language: common.language(),
    };
    match arguments.output {
        _ if arguments.one_line => writeln!(out, "{}", examination::line(found)),
        Output::Text | Output::Wide => examination::whole(out, found, view),
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
