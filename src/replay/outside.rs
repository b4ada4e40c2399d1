//! The outside: starts the inside in new namespaces, and does not wait for it longer than it may take.
//!
//! Two processes stand between this one and the plugins. The first takes new namespaces, which changes it alone; it starts
//! the second, the first process of a new process namespace, and the kernel kills all others there when that one ends. Each
//! is killed when the one that started it ends, however that ends: so nothing stays.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::Report;
use super::plan::Plan;
use super::scratch;
use crate::node::Node;
use crate::node::links::Link;

/// What making the scratch node, and looking at it, may take beside the calls.
const OVERHEAD: Duration = Duration::from_mins(1);
/// The longest answer that is read.
const MAX_ANSWER: u64 = 256 << 20;

/// The two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// Takes new namespaces.
    Apart,
    /// Is the first in them.
    Inside,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Stage::Apart => "apart",
            Stage::Inside => "inside",
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Only root can.
    #[error("a replay makes namespaces and mounts, which only root may: run it with sudo")]
    NotRoot,
    /// A process could not be started, or its answer not be read.
    #[error("the scratch node could not be started: {0}")]
    Start(#[from] std::io::Error),
    /// The inside says so.
    #[error("the scratch node could not be made: {0}")]
    Inside(String),
    /// It did not end.
    #[error("the scratch node did not answer within {} s and was killed", .0.as_secs())]
    Late(Duration),
}

/// What the inside is told.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    plan: Plan,
    /// Those of the node, of which some have a stand-in.
    links: Vec<Known>,
    /// Whether the node hands packets on.
    forwards: bool,
}

/// What a stand-in has to know of a link of the node.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    name: String,
    kind: Option<String>,
    mtu: u32,
}

/// Runs a plan in namespaces of its own.
///
/// # Errors
/// If it could not be run. The node is as it was in any case.
pub fn run(plan: &Plan) -> Result<Report, ReplayError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(ReplayError::NotRoot);
    }
    let links = Node::this().links().unwrap_or_default();
    let links =
        links.into_iter().map(|link| Known { name: link.name, kind: link.kind, mtu: link.mtu }).collect();
    let forwards = Node::this().read_text(Path::new(scratch::FORWARDING)).is_ok_and(|value| value == "1");
    let order = Order { plan: plan.clone(), links, forwards };
    let order = serde_json::to_vec(&order).map_err(std::io::Error::from)?;
    let mut child = start(Stage::Apart)?;
    let calls = u32::try_from(plan.entries.len() * plan.verbs.len()).unwrap_or(u32::MAX);
    // cniscope itself stops a plugin at its deadline, and needs some seconds for that.
    let limit = OVERHEAD + (plan.timeout + Duration::from_secs(10)).saturating_mul(calls);
    let answer = exchange(&mut child, order, limit);
    if answer.is_none() {
        child.kill()?;
        // One that sleeps in the kernel for ever cannot be waited for.
        return Err(ReplayError::Late(limit));
    }
    child.wait()?;
    let answer: Result<Report, String> = answer
        .and_then(|answer| serde_json::from_slice(&answer).ok())
        .unwrap_or_else(|| Err("it ended without an answer".to_owned()));
    answer.map_err(ReplayError::Inside)
}

/// Writes the order, keeps the pipe open, and reads the answer. `None` if it does not come in time.
fn exchange(child: &mut Child, order: Vec<u8>, limit: Duration) -> Option<Vec<u8>> {
    let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    crate::node::bounded::run(limit, move || {
        let mut stdin = stdin;
        let _ = stdin.write_all(&order).and_then(|()| stdin.write_all(b"\n")).and_then(|()| stdin.flush());
        let mut answer = Vec::new();
        let _ = stdout.take(MAX_ANSWER).read_to_end(&mut answer);
        answer
    })
}

fn start(stage: Stage) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args(["replay", "--stage", stage.as_str()]);
    let inherited = stage == Stage::Inside;
    let pipe = || if inherited { Stdio::inherit() } else { Stdio::piped() };
    command.stdin(pipe()).stdout(pipe()).spawn()
}

/// Is one of the two processes; gives the status to exit with.
///
/// # Errors
/// If it cannot be it.
pub fn be(stage: Stage) -> Result<u8, ReplayError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from)?;
    // Whoever started it may have ended before that.
    if has_hung_up() {
        return Ok(2);
    }
    match stage {
        Stage::Apart => {
            let new = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
            if let Err(errno) = unshare(new) {
                answer(&Err(format!("the kernel gives no new namespaces: {errno}")))?;
                return Ok(2);
            }
            let status = start(Stage::Inside)?.wait()?;
            Ok(u8::try_from(status.code().unwrap_or(2)).unwrap_or(2))
        }
        Stage::Inside => {
            let mut order = String::new();
            std::io::stdin().read_line(&mut order)?;
            let order: Order = serde_json::from_str(&order).map_err(std::io::Error::from)?;
            let known =
                |known: Known| Link { name: known.name, kind: known.kind, mtu: known.mtu, ..Link::default() };
            let links: Vec<Link> = order.links.into_iter().map(known).collect();
            let report = scratch::run(&order.plan, &links, order.forwards);
            answer(&report.map_err(|error| error.to_string()))?;
            Ok(0)
        }
    }
}

fn answer(answer: &Result<Report, String>) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, answer)?;
    stdout.flush()
}

/// Whether nobody holds the other end of stdin any more.
fn has_hung_up() -> bool {
    let stdin = std::io::stdin();
    let mut watched = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    let polled = poll(&mut watched, PollTimeout::ZERO);
    polled.is_ok()
        && watched[0].revents().is_some_and(|seen| seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
}

/// Lets a file stay open in the programs that are started; gives its descriptor.
///
/// # Errors
/// If the system refuses.
pub fn pass_on(file: &std::fs::File) -> Result<i32, std::io::Error> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(std::io::Error::from)?;
    Ok(file.as_raw_fd())
}
