//! `cniscope agent`: stays on the node and keeps the networks wrapped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;

use super::places::{self, Places};
use super::{CliError, Common, Outcome, filter};
use crate::install::agent::log::Form;
use crate::install::agent::{self, Plan, Wanted};
use crate::install::conflist::Which;

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
    #[command(flatten)]
    places: Places,
    /// The list to keep wrapped, by its name in the folder or by its path [default: the one that the runtime takes]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    conflist: Option<PathBuf>,
    /// Wrap the first plugin of a network only
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
    let node = places::node_to_change(common)?;
    let (conf_dir, bin_dir) = arguments.places.told();
    let wanted = Wanted {
        conf_dir,
        bin_dir,
        conflist: arguments.conflist.clone(),
        which: if arguments.head_only { Which::Head } else { Which::All },
        journal: common.own_journal()?,
    };
    agent::run(Plan {
        node,
        root: common.root.clone(),
        wanted,
        listen: arguments.listen,
        doctor_every: arguments.doctor_every.0,
        form: arguments.output,
    })?;
    Ok(Outcome::Fine)
}
