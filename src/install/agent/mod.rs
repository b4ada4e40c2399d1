//! The agent: a process that stays on the node, and keeps the networks wrapped whoever rewrites them.
//!
//! One loop waits for what the kernel tells ([`Watcher`]), for signals and for a few times; nothing is asked again and again.
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
pub mod watched;
pub mod writers;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::unix::AsyncFd;
use tokio::runtime;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Sleep, sleep, sleep_until};

use super::places::{Places, STATE};
use crate::metrics::Sources;
use crate::node::Node;
use crate::node::watch::Watcher;
use board::Board;
use hold::Held;
use keeper::{Keeper, Looked};
use log::{Form, Line};
use standing::{Examined, Own};
use watched::{Concern, Watched};

pub use keeper::Wanted;

/// How long an agent is waited for that is about to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried.
const STEP: Duration = Duration::from_millis(200);
/// A result that is cached is looked at with those that come within this.
const GATHERED: Duration = Duration::from_secs(1);
/// How often is looked where the kernel does not tell.
const UNTOLD: Duration = Duration::from_secs(30);

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
    #[error("cannot listen at {address}: {source}; name another address with --listen")]
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
    let _removed_at_the_end = StatusFile(plan.node.reached(Path::new(STATE)).join(keeper::STATUS));
    let keeper = Keeper::new(plan.node.clone(), plan.wanted.clone(), own);
    let mut agent = Loop {
        doctor: Schedule::new(plan.doctor_every),
        plan,
        board,
        watcher,
        keeper: Some(keeper),
        watched: Watched::default(),
        places: None,
        pending: Concern { networks: true, results: true },
        look: None,
        again: None,
        results: None,
        warned: None,
    };
    loop {
        agent.start();
        agent.step().await?;
    }
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

/// When the node is examined.
struct Schedule {
    every: Option<Duration>,
    next: Option<Pin<Box<Sleep>>>,
    running: Option<JoinHandle<Result<Examined, String>>>,
    last: Option<Examined>,
}

impl Schedule {
    fn new(every: Option<Duration>) -> Schedule {
        Schedule { every, next: every.map(|_| Box::pin(sleep(Duration::ZERO))), running: None, last: None }
    }
}

/// What the loop has in its hands.
struct Loop {
    plan: Plan,
    board: Arc<Board>,
    watcher: AsyncFd<Watcher>,
    /// Not here while it looks.
    keeper: Option<Keeper>,
    watched: Watched,
    places: Option<Places>,
    /// What is to be looked at.
    pending: Concern,
    look: Option<JoinHandle<(Keeper, Looked)>>,
    /// When to look again though nothing changes.
    again: Option<Pin<Box<Sleep>>>,
    /// When to look at results.
    results: Option<Pin<Box<Sleep>>>,
    /// What was said of watching.
    warned: Option<Errno>,
    doctor: Schedule,
}

/// What happened.
enum Event {
    Changed(Concern),
    Looked(Box<(Keeper, Looked)>),
    Lost,
    Again,
    Results,
    Examine,
    Examined(Result<Examined, String>),
}

impl Loop {
    /// Starts what is to be done.
    fn start(&mut self) {
        if self.pending == Concern::default() {
            return;
        }
        let Some(mut keeper) = self.keeper.take() else { return };
        let concern = std::mem::take(&mut self.pending);
        // What changes from now on is seen.
        self.watch();
        self.board.looks();
        self.look = Some(spawn_blocking(move || {
            let looked = keeper.look(Instant::now(), concern);
            (keeper, looked)
        }));
    }

    fn watch(&mut self) {
        let watched = self.watcher.get_mut().watch(&self.plan.node, self.watched.folders());
        if let Err(errno) = watched {
            let until = tokio::time::Instant::now() + UNTOLD;
            self.again = Some(Box::pin(sleep_until(until)));
            if self.warned != Some(errno) {
                let seconds = UNTOLD.as_secs();
                Line::warn(format!(
                    "folders cannot be watched: {}: looking every {seconds} s instead; raise fs.inotify.max_user_watches",
                    errno.desc()
                ))
                .say(self.plan.form);
            }
        }
        self.warned = watched.err();
    }

    async fn step(&mut self) -> Result<(), AgentError> {
        match poll_fn(|context| self.poll(context)).await {
            Event::Changed(concern) => {
                self.pending.networks |= concern.networks;
                if concern.results && !concern.networks && self.results.is_none() {
                    self.results = Some(Box::pin(sleep(GATHERED)));
                } else if concern.networks {
                    self.pending.results |= concern.results;
                }
            }
            Event::Looked(done) => {
                let (keeper, looked) = *done;
                self.keeper = Some(keeper);
                self.has_looked(looked);
            }
            // A panic: what it remembers is gone, so an agent is to begin anew.
            Event::Lost => {
                let source = io::Error::other("it broke off; please report it");
                return Err(AgentError::System { what: "look at the networks", source });
            }
            Event::Again => self.pending = Concern { networks: true, results: true },
            Event::Results => self.pending.results = true,
            Event::Examine => self.examine(),
            Event::Examined(examined) => self.has_examined(examined),
        }
        Ok(())
    }

    fn has_looked(&mut self, looked: Looked) {
        for line in &looked.lines {
            line.say(self.plan.form);
        }
        self.board.has_looked(&looked.places, |told| told.standing = looked.standing);
        self.places = Some(looked.places);
        self.again = looked.again.map(|at| Box::pin(sleep_until(at.into())));
        if self.watched != looked.watched {
            self.watched = looked.watched;
            // What changed before it was watched.
            self.pending = Concern { networks: true, results: true };
        }
    }

    fn examine(&mut self) {
        self.doctor.next = None;
        let Some(places) = self.places.clone() else {
            self.doctor.next = Some(Box::pin(sleep(GATHERED)));
            return;
        };
        let root = self.plan.root.clone();
        self.doctor.running = Some(spawn_blocking(move || examination::examine(&root, &places)));
    }

    fn has_examined(&mut self, examined: Result<Examined, String>) {
        self.doctor.running = None;
        self.doctor.next = self.doctor.every.map(|every| Box::pin(sleep(every)));
        match examined {
            Ok(examined) => {
                for line in examination::news(self.doctor.last.as_ref(), &examined) {
                    line.say(self.plan.form);
                }
                self.doctor.last = Some(examined.clone());
                self.board.change(|told| told.examined = Some(examined));
            }
            Err(error) => Line::warn(format!("doctor: {error}")).say(self.plan.form),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        while let Poll::Ready(ready) = self.watcher.poll_read_ready(context) {
            let Ok(mut ready) = ready else { break };
            let mut concern = Concern::default();
            for change in ready.get_inner().changes() {
                let one = self.watched.concern(&change);
                concern.networks |= one.networks;
                concern.results |= one.results;
            }
            ready.clear_ready();
            if concern != Concern::default() {
                return Poll::Ready(Event::Changed(concern));
            }
        }
        if let Some(Poll::Ready(done)) = self.look.as_mut().map(|look| Pin::new(look).poll(context)) {
            self.look = None;
            return Poll::Ready(done.map_or(Event::Lost, |done| Event::Looked(Box::new(done))));
        }
        if let Some(Poll::Ready(done)) = self.doctor.running.as_mut().map(|run| Pin::new(run).poll(context)) {
            let done = done.unwrap_or_else(|error| Err(error.to_string()));
            return Poll::Ready(Event::Examined(done));
        }
        if is_over(&mut self.doctor.next, context) {
            return Poll::Ready(Event::Examine);
        }
        if is_over(&mut self.again, context) {
            return Poll::Ready(Event::Again);
        }
        if is_over(&mut self.results, context) {
            return Poll::Ready(Event::Results);
        }
        Poll::Pending
    }
}

/// Whether a time has come, which is then forgotten.
fn is_over(time: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> bool {
    let is_over = time.as_mut().is_some_and(|time| time.as_mut().poll(context).is_ready());
    if is_over {
        *time = None;
    }
    is_over
}
