//! `cniscope agent`: stays on the node and keeps the networks wrapped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{CliError, Common, Outcome, filter};
use crate::install::agent::log::Form;
use crate::install::agent::{self, Plan, Wanted};
use crate::install::conflist::Which;
use crate::render::escape;

/// The shortest time between two examinations: one takes some seconds of checks at most.
const SHORTEST: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address and port at which /metrics, /healthz and /readyz are served
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// How often the node is examined, such as 10m; 0 for never
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = every)]
    doctor_every: Every,
    /// Folder of the network configurations [default: the runtime's]
    #[arg(long, value_name = "DIR")]
    conf_dir: Option<PathBuf>,
    /// Folder of the plugins [default: the runtime's]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Wrap the first plugin of a list alone
    #[arg(long)]
    head_only: bool,
    /// How the log is written
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
}

/// A time between two examinations, if there are to be any.
#[derive(Debug, Clone, Copy)]
struct Every(Option<Duration>);

fn every(text: &str) -> Result<Every, String> {
    match filter::duration(text) {
        _ if text == "0" => Ok(Every(None)),
        Some(every) if every >= SHORTEST => Ok(Every(Some(every))),
        _ => Err(format!("expected a time of at least {} s, such as 10m, or 0", SHORTEST.as_secs())),
    }
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> Result<Outcome, CliError> {
    if !common.root.is_dir() {
        let root = common.root.to_string_lossy();
        return Err(CliError::Usage(format!("--root {} is no folder", escape::line(&root))));
    }
    let wanted = Wanted {
        conf_dir: arguments.conf_dir.clone(),
        bin_dir: arguments.bin_dir.clone(),
        which: if arguments.head_only { Which::Head } else { Which::All },
        journal: common.own_journal()?,
    };
    agent::run(Plan {
        node: common.node(),
        root: common.root.clone(),
        wanted,
        listen: arguments.listen,
        doctor_every: arguments.doctor_every.0,
        form: arguments.output,
    })?;
    Ok(Outcome::Fine)
}
