//! What is told by HTTP, and who puts it there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::http::{Answer, Answers};
use super::log::{Form, Line};
use super::metrics::{self, Told};
use crate::install::places::Places;
use crate::metrics::{Sources, gather, text};
use crate::node::Node;

/// Whoever asks for metrics so soon after another one is told the same.
const FRESH: Duration = Duration::from_secs(1);
/// How long counting may take. Prometheus gives up after ten seconds.
const LIMIT: Duration = Duration::from_secs(9);
/// After this, a look at the networks that goes on hangs.
const HANGS: Duration = Duration::from_mins(1);

/// What is told.
#[derive(Debug)]
pub struct Board {
    node: Node,
    sources: Mutex<Sources>,
    form: Form,
    told: Mutex<Option<Told>>,
    /// Since when the networks have been looked at, if they are.
    looking: Mutex<Option<Instant>>,
    /// The calls, as they were counted last.
    counted: Mutex<Option<(Instant, String)>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// What was said of counting.
    said: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// An empty one.
    #[must_use]
    pub fn new(node: Node, sources: Sources, form: Form) -> Board {
        Board {
            node,
            sources: Mutex::new(sources),
            form,
            told: Mutex::default(),
            looking: Mutex::default(),
            counted: Mutex::default(),
            turn: Arc::default(),
            said: Mutex::default(),
        }
    }

    /// A look begins.
    pub fn looks(&self) {
        *locked(&self.looking) = Some(Instant::now());
    }

    /// It has ended, and this is how things stand.
    pub fn has_looked(&self, places: &Places, change: impl FnOnce(&mut Told)) {
        *locked(&self.looking) = None;
        let mut sources = locked(&self.sources);
        sources.conf_dir.clone_from(&places.conf_dir);
        sources.bin_folders.clone_from(&places.bin_dirs);
        drop(sources);
        self.change(change);
    }

    /// Something else is known.
    pub fn change(&self, change: impl FnOnce(&mut Told)) {
        change(locked(&self.told).get_or_insert_default());
    }

    /// Counts the calls. What is not as it should be is said when it comes.
    fn count(&self) -> String {
        let sources = locked(&self.sources).clone();
        let (counted, warnings) = match gather(&self.node, &sources) {
            Ok(facts) => (text::text(&facts), facts.warnings),
            Err(error) => (String::new(), vec![format!("calls cannot be counted: {error}")]),
        };
        let mut said = locked(&self.said);
        for warning in warnings.iter().filter(|warning| !said.contains(warning)) {
            Line::warn(warning).say(self.form);
        }
        *said = warnings;
        counted
    }

    /// The calls as they are counted now; one at a time does it, and those who wait are told the same.
    async fn counted(self: &Arc<Board>) -> Option<String> {
        let counted = async {
            let turn = self.turn.clone().lock_owned().await;
            let last = locked(&self.counted).clone();
            if let Some((_, text)) = last.filter(|(when, _)| when.elapsed() < FRESH) {
                return Some(text);
            }
            let board = self.clone();
            let counting = spawn_blocking(move || {
                // The next one's turn comes when this is done, whether or not who asked for it is still there.
                let _turn = turn;
                let text = board.count();
                *locked(&board.counted) = Some((Instant::now(), text.clone()));
                text
            });
            counting.await.ok()
        };
        timeout(LIMIT, counted).await.ok().flatten()
    }
}

fn well(text: impl Into<String>) -> Answer {
    Answer { is_well: true, text: text.into() }
}

fn not_well(text: impl Into<String>) -> Answer {
    Answer { is_well: false, text: text.into() }
}

impl Answers for Board {
    fn health(&self) -> Answer {
        match locked(&self.looking).map(|since| since.elapsed()) {
            Some(taken) if taken > HANGS => not_well(format!(
                "the networks have been looked at for {} s: is a disk dead?\n",
                taken.as_secs()
            )),
            _ => well("ok\n"),
        }
    }

    fn readiness(&self) -> Answer {
        let told = locked(&self.told);
        let Some(told) = told.as_ref() else { return not_well("the networks have not been looked at yet\n") };
        let reasons = told.standing.reasons();
        if !reasons.is_empty() {
            return not_well(format!("{}\n", reasons.join("\n")));
        }
        let names: Vec<String> =
            told.standing.networks.iter().map(|network| format!("{:?}", network.name)).collect();
        well(format!("wrapped: {}\n", names.join(", ")))
    }

    async fn metrics(self: Arc<Board>) -> Answer {
        let counted = self.counted().await;
        let own = metrics::text(locked(&self.told).as_ref().unwrap_or(&Told::default()));
        // The agent's own are worth having without the others.
        well(counted.unwrap_or_default() + &own)
    }
}
