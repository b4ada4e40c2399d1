//! What the call and its helper tell each other: JSON documents over a socket, each behind its length.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answer::Judged;
use super::delegate::{Capture, End, Ended, Used};
use crate::cni::error::Error;
use crate::diagnosis::reason::Happened;
use crate::journal::record::{ErrorText, Outcome};
use crate::settings::{Deadlines, Settings};

/// A longer message is none of ours.
const MAX_MESSAGE: usize = 64 << 20;
/// How long a message is stands before it.
const LENGTH: usize = size_of::<u32>();
/// How a denial begins: who waits to become the delegate looks no further.
const DENIED: &[u8] = br#"{"Denied":"#;
/// The most of stdout that is reported: a record holds less.
const MAX_STDOUT: usize = 1 << 20;
/// The most of stderr that is reported.
const MAX_STDERR: usize = 64 << 10;

/// From the call to its helper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToHelper {
    /// The delegate has ended, or was not started. Without `answered`, the call waits for the diagnosis.
    Ended { report: Box<Report>, answered: Option<Answered> },
    /// The call has answered with what was diagnosed.
    Answered(Answered),
}

/// From the helper to its call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToCaller {
    /// The delegate may start.
    Prepared(Prepared),
    /// It may not. On the wire it begins with [`DENIED`].
    Denied { prepared: Prepared, denial: Denial },
    /// Why the call failed.
    Diagnosed { bracket: String, waiting_for: Option<String> },
    /// The call is recorded, and nothing is left to wait for.
    Recorded,
}

/// As much of the settings as the call itself needs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Prepared {
    pub(super) deadlines: Deadlines,
    pub(super) enrich: bool,
    pub(super) evidence: Duration,
}

impl Prepared {
    /// What the settings say.
    pub(super) fn of(settings: &Settings) -> Prepared {
        Prepared {
            deadlines: settings.deadlines.clone(),
            enrich: settings.enrich,
            evidence: settings.evidence,
        }
    }
}

/// A check that is set to `deny` has failed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Denial {
    pub(super) check: String,
    pub(super) summary: String,
}

/// What became of the delegate.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) outcome: Outcome,
    pub(super) process: Option<ProcessReport>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// How much of stdout and stderr is not here.
    pub(super) cut: (u64, u64),
    /// The delegate's own error.
    pub(super) error: Option<Error>,
    /// Nothing if the call went well.
    pub(super) happened: Option<Happened>,
}

fn start_of(stdout: &[u8]) -> &[u8] {
    &stdout[..stdout.len().min(MAX_STDOUT)]
}

/// What a program says last is why it ended.
fn end_of(stderr: &[u8]) -> &[u8] {
    &stderr[stderr.len().saturating_sub(MAX_STDERR)..]
}

/// The delegate's process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProcessReport {
    pub(super) pid: i32,
    pub(super) exit_status: Option<i32>,
    pub(super) signal: Option<i32>,
    /// From the start of cniscope to its own.
    pub(super) after: Duration,
    pub(super) took: Duration,
    pub(super) used: Used,
}

impl Report {
    /// Of a call that was `started` then.
    pub(super) fn of(started: Instant, judged: &Judged, ended: Option<&Ended>) -> Report {
        let text = |capture: Option<&Capture>, kept: fn(&[u8]) -> &[u8]| {
            let Some(capture) = capture else { return (String::new(), 0) };
            let bytes = capture.bytes();
            let kept = kept(bytes);
            (String::from_utf8_lossy(kept).into_owned(), capture.lost() + (bytes.len() - kept.len()) as u64)
        };
        let (stdout, stdout_cut) = text(ended.map(|ended| &ended.stdout), start_of);
        let (stderr, stderr_cut) = text(ended.map(|ended| &ended.stderr), end_of);
        let failure = judged.failure.as_ref();
        Report {
            outcome: judged.outcome,
            process: ended.map(|ended| {
                let (exit_status, signal) = match ended.end {
                    End::Exited(status) => (Some(status), None),
                    End::Signaled { signal, .. } => (None, Some(signal)),
                };
                let Ended { pid, took, used, .. } = *ended;
                let after = ended.started.saturating_duration_since(started);
                ProcessReport { pid, exit_status, signal, after, took, used }
            }),
            stdout,
            stderr,
            cut: (stdout_cut, stderr_cut),
            error: failure.filter(|failure| failure.from_delegate).map(|failure| failure.error.clone()),
            happened: failure.map(|failure| failure.happened.clone()),
        }
    }
}

/// What the runtime was given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Answered {
    /// The error that cniscope composed; nothing where the delegate's output is the answer.
    pub(super) returned: Option<ErrorText>,
    /// From the start of the process to the answer.
    pub(super) duration: Duration,
}

/// Writes one message.
pub(super) fn write<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = length.to_ne_bytes().to_vec();
    frame.extend_from_slice(&body);
    to.write_all(&frame)
}

/// Reads one message. A timeout of the socket before its first byte is `WouldBlock`, and nothing is lost by it.
pub(super) fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; LENGTH];
    from.read_exact(&mut length)?;
    let length = u32::from_ne_bytes(length) as usize;
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// Whether the message that comes next denies the call. It stays to be read.
pub(super) fn is_denial(from: &UnixStream) -> bool {
    let mut start = [0; LENGTH + DENIED.len()];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(from.as_raw_fd(), &mut start, flags).is_ok() && start.ends_with(DENIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_each_other() {
        let mut wire = Vec::new();
        write(&mut wire, &ToCaller::Diagnosed { bracket: "[a]".into(), waiting_for: None }).unwrap();
        let answered = Answered { returned: None, duration: Duration::from_millis(7) };
        write(&mut wire, &ToHelper::Answered(answered)).unwrap();
        let mut wire = wire.as_slice();
        assert!(matches!(read(&mut wire).unwrap(), ToCaller::Diagnosed { bracket, .. } if bracket == "[a]"));
        assert!(matches!(read(&mut wire).unwrap(), ToHelper::Answered(Answered { returned: None, .. })));
        assert_eq!(read::<ToHelper>(&mut wire).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_denial_is_told_from_other_messages_before_it_is_read() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(!is_denial(&ours), "nothing has come");
        let prepared = || Prepared::of(&Settings::default());
        let denial = Denial { check: "bridge".into(), summary: "cni0 is a veth".into() };
        write(&theirs, &ToCaller::Prepared(prepared())).unwrap();
        assert!(!is_denial(&ours));
        assert!(matches!(read(&ours).unwrap(), ToCaller::Prepared(_)));
        write(&theirs, &ToCaller::Denied { prepared: prepared(), denial }).unwrap();
        assert!(is_denial(&ours));
        assert!(matches!(read(&ours).unwrap(), ToCaller::Denied { denial, .. } if denial.check == "bridge"));
    }

    #[test]
    fn an_absurd_length_is_refused() {
        let wire = u32::MAX.to_ne_bytes();
        assert_eq!(read::<ToHelper>(&wire[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
