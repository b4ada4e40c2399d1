//! The loop: it waits for what happens, and starts what is to be done beside it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tokio::io::unix::AsyncFd;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Sleep, sleep, sleep_until};

use super::board::Board;
use super::keeper::{Keeper, Looked};
use super::log::Line;
use super::standing::Examined;
use super::watched::{Concern, Watched};
use super::{AgentError, Plan, examination};
use crate::install::places::Places;
use crate::node::watch::Watcher;

/// A result that is cached is looked at with those that come within this.
const GATHERED: Duration = Duration::from_secs(1);
/// How often is looked where the kernel does not tell.
const UNTOLD: Duration = Duration::from_secs(30);

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
pub(super) struct Loop {
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
    /// One that has everything to look at.
    pub(super) fn new(plan: Plan, board: Arc<Board>, watcher: AsyncFd<Watcher>, keeper: Keeper) -> Loop {
        Loop {
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
        }
    }

    /// Goes on for ever.
    pub(super) async fn run(mut self) -> Result<(), AgentError> {
        loop {
            self.start();
            self.step().await?;
        }
    }

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
