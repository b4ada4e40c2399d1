//! The agent: a process that stays on the node, and keeps the networks wrapped whoever rewrites them.
//!
//! One loop ([`waiting`]) waits for what the kernel tells ([`Watcher`]), for signals and for a few times; nothing is asked again and again.
//! What takes time is done beside it: [`keeper`] looks at the networks and wraps them, [`examination`] runs `doctor`,
//! [`http`] answers from what both have put on the [`board`]. What is decided is decided in pure functions: [`fights`],
//! [`writers`], [`bypass`], [`watched`].

pub mod attachments;
pub mod board;
pub mod bypass;
pub mod examination;
pub mod fights;
pub(super) mod hold;
pub mod http;
mod keeper;
pub mod log;
mod mend;
pub mod metrics;
pub mod standing;
mod waiting;
pub mod watched;
pub mod writers;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::unix::AsyncFd;
use tokio::runtime;
use tokio::time::sleep;

use super::places::STATE;
use crate::metrics::Sources;
use crate::node::Node;
use crate::node::watch::Watcher;
use board::Board;
use hold::Held;
use keeper::Keeper;
use log::{Form, Line};
use standing::Own;
use waiting::Loop;

pub use keeper::Wanted;

/// How long an agent is waited for that is about to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried.
const STEP: Duration = Duration::from_millis(200);

/// What the agent is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The node.
    pub node: Node,
    /// The folder below which its files stand.
    pub root: PathBuf,
    /// What is to be kept.
    pub wanted: Wanted,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How often the node is examined, if it is.
    pub doctor_every: Option<Duration>,
    /// How its log is written.
    pub form: Form,
}

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another one is there.
    #[error(
        "an agent runs on this node already{}: one is enough; end it, or let it be",
        pid.map(|pid| format!(", process {pid}")).unwrap_or_default()
    )]
    Another {
        /// Its process.
        pid: Option<u32>,
    },
    /// Its address cannot be had.
    #[error("cannot listen at {address}: {}; name another address with --listen", known_words(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system gives not what it needs.
    #[error("cannot {what}: {source}")]
    System {
        /// What for.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

fn failed<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> AgentError {
    move |error| AgentError::System { what, source: error.into() }
}

/// Runs until SIGTERM or SIGINT. The networks stay wrapped then.
///
/// # Errors
/// If it cannot run.
pub fn run(plan: Plan) -> Result<(), AgentError> {
    // Before there are threads, so that none of them is ended by them.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().map_err(failed("wait for signals"))?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(failed("wait for signals"))?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_stack_size(512 * 1024)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .map_err(failed("start"))?;
    let done = runtime.block_on(async {
        let signals = registered(signals).map_err(failed("wait for signals"))?;
        let stop = Box::pin(async { signals.readable().await.map(|_| ()) });
        match select(stop, Box::pin(keep(plan))).await {
            Either::Left((stopped, _)) => stopped.map_err(failed("wait for signals")),
            Either::Right((ended, _)) => ended,
        }
    });
    // What hangs is not waited for.
    runtime.shutdown_background();
    done
}

async fn keep(plan: Plan) -> Result<(), AgentError> {
    let form = plan.form;
    let _lock = hold(&plan).await?;
    let listener = http::listen(plan.listen)
        .await
        .map_err(|source| AgentError::Listen { address: plan.listen, source })?;
    let listen = listener.local_addr().unwrap_or(plan.listen).to_string();
    Line::info(format!("cniscope {} keeps this node, http://{listen}/metrics", env!("CARGO_PKG_VERSION")))
        .say(form);
    let sources = Sources {
        journal: plan.wanted.journal.clone(),
        state: plan.node.reached(Path::new(STATE)),
        conf_dir: PathBuf::new(),
        bin_folders: Vec::new(),
    };
    let board = Arc::new(Board::new(plan.node.clone(), sources, form));
    tokio::spawn(http::serve(listener, board.clone()));
    let watcher = Watcher::new().map_err(failed("watch folders (fs.inotify.max_user_instances)"))?;
    let watcher = registered(watcher).map_err(failed("watch folders"))?;
    let own = own(&plan.node, listen);
    let _removed_at_the_end = StatusFile(plan.node.reached(Path::new(standing::STATUS)));
    let keeper = Keeper::new(plan.node.clone(), plan.wanted.clone(), own);
    Loop::new(plan, board, watcher, keeper).run().await
}

#[allow(unsafe_code, reason = "tokio cannot see that its descriptor stays open")]
fn registered<T: AsRawFd>(inner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: both that are registered own their descriptor and give no other one as long as they live.
    Ok(unsafe { AsyncFd::register(inner) }?)
}

/// Waits for the lock. Without a place for it the agent runs all the same.
async fn hold(plan: &Plan) -> Result<Option<std::fs::File>, AgentError> {
    let folder = plan.node.reached(Path::new(STATE));
    let until = Instant::now() + PATIENCE;
    loop {
        match hold::take(&folder) {
            Held::Own(file) => return Ok(Some(file)),
            Held::OfAnother(_) if Instant::now() < until => sleep(STEP).await,
            Held::OfAnother(pid) => return Err(AgentError::Another { pid }),
            Held::Impossible(error) => {
                let folder = folder.display();
                Line::warn(format!("{folder}: {error}: that no other agent runs here cannot be told"))
                    .say(plan.form);
                return Ok(None);
            }
        }
    }
}

fn own(node: &Node, listen: String) -> Own {
    let pid = std::process::id();
    let start_ticks = Node::this().process(pid).map_or(0, |process| process.start_ticks);
    Own { pid, start_ticks, boot_id: node.boot_id(), listen }
}

/// Tells of an agent that runs, so it goes with it.
struct StatusFile(PathBuf);

impl Drop for StatusFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An error in the words that people know and look for, whatever C library the program is built with.
fn known_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{} (os error {number})", Errno::from_raw(number).desc()),
        None => error.to_string(),
    }
}
