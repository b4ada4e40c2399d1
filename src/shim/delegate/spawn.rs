//! Starting the delegate.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sched::{CloneFlags, clone};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, execv, getpid, getppid, pipe2, setpgid};

use super::signals::Signals;

/// A binary that is being replaced (ETXTBSY) is waited for this long; libcni waits as well (`pkg/invoke/raw_exec.go`).
const BUSY: Duration = Duration::from_secs(1);
/// How often it is tried again meanwhile.
const BUSY_STEP: Duration = Duration::from_millis(10);
/// The stack of the child until it executes: a few system calls deep, and every page of it costs.
const STACK: usize = 8 * 1024;

/// What a child ends with that may not start; execve(2) knows no such error.
const HELD_BACK: Errno = Errno::ECANCELED;

/// The delegate's three streams: its ends, and ours, which do not block.
#[derive(Debug)]
pub(super) struct Pipes {
    stdin: (OwnedFd, OwnedFd),
    stdout: (OwnedFd, OwnedFd),
    stderr: (OwnedFd, OwnedFd),
}

impl Pipes {
    pub(super) fn new() -> Result<Pipes, Errno> {
        let (stdin_theirs, stdin) = pipe2(OFlag::O_CLOEXEC)?;
        let (stdout, stdout_theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let (stderr, stderr_theirs) = pipe2(OFlag::O_CLOEXEC)?;
        for ours in [&stdin, &stdout, &stderr] {
            fcntl(ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Pipes {
            stdin: (stdin_theirs, stdin),
            stdout: (stdout_theirs, stdout),
            stderr: (stderr_theirs, stderr),
        })
    }
}

/// A delegate that has been started, with our ends of its streams.
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) started: Instant,
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Starts the program at `path`, in a process that is made first and asks then whether it may. `None` if it may not.
pub(super) fn spawn(
    path: &Path,
    pipes: Pipes,
    signals: &Signals,
    may_start: &dyn Fn() -> bool,
) -> Result<Option<Child>, Errno> {
    let program = program(path)?;
    let Pipes { stdin, stdout, stderr } = pipes;
    let parent = getpid();
    let started = Cell::new(Instant::now());
    let become_delegate = || {
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        die_with(parent)?;
        dup2_stdin(&stdin.0)?;
        dup2_stdout(&stdout.0)?;
        dup2_stderr(&stderr.0)?;
        if !may_start() {
            return Err(HELD_BACK);
        }
        started.set(Instant::now());
        signals.give_back()?;
        execv(&program, &[&program])
    };
    match retried_while_busy(|| start(&become_delegate)) {
        Ok(pid) => {
            let started = started.get();
            Ok(Some(Child { pid, started, stdin: stdin.1, stdout: stdout.1, stderr: stderr.1 }))
        }
        Err(HELD_BACK) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Becomes the program at `path`, in this process.
pub(in crate::shim) fn become_program(path: &Path) -> Result<Infallible, Errno> {
    let program = program(path)?;
    // The environment is handed on as it is, byte for byte: execv(3) takes `environ` itself.
    retried_while_busy(|| execv(&program, &[&program]))
}

fn program(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::ENOENT)
}

fn retried_while_busy<T>(attempt: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(Errno::ETXTBSY) if started.elapsed() < BUSY => std::thread::sleep(BUSY_STEP),
            done => return done,
        }
    }
}

/// A child that becomes a program, and the reason if it could not. As with vfork(2) the child borrows this process'
/// memory, which stands still meanwhile: copying page tables would cost a tenth of what a call may cost.
#[allow(unsafe_code, reason = "there is no safe vfork, and posix_spawn(3) cannot set PR_SET_PDEATHSIG")]
fn start(become_delegate: &dyn Fn() -> Result<Infallible, Errno>) -> Result<Pid, Errno> {
    let failure = Cell::new(None);
    let child = Box::new(|| {
        let Err(errno) = become_delegate();
        failure.set(Some(errno));
        127
    });
    let mut stack = [0; STACK];
    // SAFETY: this process has one thread, and CLONE_VFORK holds it until the child has executed or ended, so the two
    // never run at the same time; the child has a stack of its own, and what it changes beside memory (descriptors,
    // signals, process group) is its own without CLONE_FILES and CLONE_SIGHAND.
    let pid = unsafe {
        clone(child, &mut stack, CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK, Some(libc::SIGCHLD))
    }?;
    match failure.get() {
        None => Ok(pid),
        Some(errno) => {
            let _ = waitpid(pid, None);
            Err(errno)
        }
    }
}

/// The kernel kills this process when its parent dies; the parent may have died already.
fn die_with(parent: Pid) -> Result<(), Errno> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH) }
}
