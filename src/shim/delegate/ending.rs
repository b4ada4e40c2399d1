//! How the delegate's process ended, and what it used.
//!
//! It is looked at while the kernel keeps it, and taken from there when the call has answered. Of a plugin with many threads, as
//! each in Go is, the kernel tells the end while the last of them still gives back its folder in procfs. Who takes the process
//! at that moment gives back the same, and turns round and round until the other gets on (`shrink_dcache_parent` in
//! fs/dcache.c): half a millisecond of a processor for each call where many Pods start at once. Later it has more often got on.

use std::fmt;
use std::mem::MaybeUninit;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
}

impl End {
    /// The exit status by which a shell tells the same.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let code = match self {
            End::Exited(status) => status,
            End::Signaled { signal, .. } => 128 + signal,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

/// As Go's `os.ProcessState` prints it: `exit status 3`, `signal: killed`.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(status) => write!(f, "exit status {status}"),
            End::Signaled { signal, core_dumped } => {
                let core = if *core_dumped { " (core dumped)" } else { "" };
                write!(f, "signal: {}{core}", crate::cni::go::signal_text(*signal))
            }
        }
    }
}

/// What a process used, with the children that it waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The largest resident memory in KiB.
    pub max_rss_kb: i64,
    /// Processor time.
    pub cpu: Duration,
}

/// How the child `pid` ended and what it used, if it has. The kernel goes on keeping it.
#[allow(unsafe_code, reason = "waitid(3) leaves out what waitid(2) tells of what was used")]
pub(super) fn look(pid: Pid) -> Option<(End, Used)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let number = |value: i32| libc::c_long::from(value);
    let how = number(libc::WEXITED | libc::WNOHANG | libc::WNOWAIT);
    let which = libc::c_long::from(libc::P_PID);
    // SAFETY: the kernel fills in one `siginfo_t` and the beginning of one `rusage`, which is all of its own.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            which,
            number(pid.as_raw()),
            info.as_mut_ptr(),
            how,
            usage.as_mut_ptr(),
        )
    };
    // SAFETY: zeros are valid in both, and so is what the kernel has filled in. Where no child has ended the zeros are left, and
    // that makes the pid zero.
    let (info, usage) = unsafe { (info.assume_init(), usage.assume_init()) };
    // SAFETY: of SIGCHLD, which it is then, the kernel tells these two.
    let (child, status) = unsafe { (info.si_pid(), info.si_status()) };
    if answer != 0 || child != pid.as_raw() {
        return None;
    }
    let end = match info.si_code {
        libc::CLD_EXITED => End::Exited(status),
        code => End::Signaled { signal: status, core_dumped: code == libc::CLD_DUMPED },
    };
    let time = |time: libc::timeval| {
        Duration::from_micros(u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or(0))
    };
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    Some((end, Used { max_rss_kb: usage.ru_maxrss, cpu }))
}

/// Takes the child `pid` from the kernel, if it has ended and is there still.
pub(in crate::shim) fn bury(pid: i32) {
    let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    #[allow(clippy::zombie_processes, reason = "it is what is looked at")]
    fn ended(script: &str) -> (Pid, End, Used) {
        let child = Command::new("sh").args(["-c", script]).stderr(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let started = Instant::now();
        loop {
            if let Some((end, used)) = look(pid) {
                return (pid, end, used);
            }
            assert!(started.elapsed() < Duration::from_mins(1), "{script}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn an_end_is_seen_as_often_as_it_is_looked_at_until_it_is_buried() {
        let (pid, end, used) = ended("exit 3");
        assert_eq!(end, End::Exited(3));
        assert_eq!(look(pid), Some((end, used)));
        bury(pid.as_raw());
        assert_eq!(look(pid), None);
    }

    #[test]
    fn a_signal_is_told_and_what_was_used() {
        let (pid, end, used) = ended("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; kill -9 $$");
        assert_eq!(end, End::Signaled { signal: 9, core_dumped: false });
        assert!(used.max_rss_kb > 100 && used.cpu > Duration::from_millis(1), "{used:?}");
        bury(pid.as_raw());
    }

    #[test]
    fn who_is_still_at_work_has_not_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        bury(pid.as_raw());
        assert_eq!(look(pid), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn ends_read_as_in_go_and_as_in_a_shell() {
        let table = [
            (End::Exited(3), "exit status 3", 3),
            (End::Signaled { signal: 9, core_dumped: false }, "signal: killed", 137),
            (
                End::Signaled { signal: 11, core_dumped: true },
                "signal: segmentation fault (core dumped)",
                139,
            ),
        ];
        for (end, text, code) in table {
            assert_eq!((end.to_string().as_str(), end.exit_code()), (text, code));
        }
    }
}
