//! This program, started once more: what it takes is given back when it ends, and what hangs can be left behind.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::tools::printed_by;

/// This program, whatever has become of its file.
const OWN: &str = "/proc/self/exe";

/// Runs this program with these arguments and gives what it prints, at most `most` bytes.
///
/// # Errors
/// Why it prints nothing.
#[allow(unsafe_code, reason = "it must not outlive the process that asks")]
pub fn run<A: AsRef<OsStr>>(arguments: &[A], limit: Duration, most: u64) -> Result<Vec<u8>, String> {
    let mut command = Command::new(OWN);
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    // SAFETY: one system call, which takes no lock and allocates nothing.
    unsafe { command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)) };
    let child = command.spawn().map_err(|error| error.to_string())?;
    let printed = printed_by(child, limit, most);
    let printed = printed.ok_or_else(|| format!("it did not answer within {} s", limit.as_secs_f32()))?;
    match printed {
        printed if printed.text.is_empty() => Err("it printed nothing".to_owned()),
        printed if printed.is_cut => Err(format!("it printed more than {most} bytes")),
        printed => Ok(printed.text),
    }
}
