//! Calls that cniscope does not pass on: the only errors of its own.

use nix::errno::Errno;

use super::answer::{Failure, Judged};
use super::messages::Denial;
use super::request::Request;
use crate::cni::entry::EntryError;
use crate::cni::error::{Error, code};
use crate::cni::{go, path};
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::reason::Happened;
use crate::journal::record::Outcome;

/// The exit status of a refused call.
pub(super) const STATUS: u8 = 1;

/// Why the delegate is not started.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// The error, without the prefix and the bracket that are added to every error.
    pub(super) error: Error,
    /// What the diagnosis is to know.
    happened: Happened,
}

impl Refusal {
    fn new(cni_version: Option<String>, code: u64, cause: Cause, msg: String) -> Refusal {
        let happened = Happened::NotStarted { text: msg.clone(), cause };
        Refusal { error: Error { cni_version, code: Some(code), msg, details: String::new() }, happened }
    }

    pub(super) fn stdin_unreadable(error: &std::io::Error) -> Refusal {
        Refusal::new(
            None,
            code::IO_FAILURE,
            Cause::Unknown,
            format!("cniscope: stdin cannot be read: {error}"),
        )
    }

    pub(super) fn stdin_not_an_object(error: &EntryError) -> Refusal {
        let msg = format!("cniscope: the network configuration on stdin cannot be decoded: {error}");
        Refusal::new(None, code::DECODING_FAILURE, Cause::ConfigInvalid, msg)
    }

    pub(super) fn bad_wraps(request: &Request, mistake: &str) -> Refusal {
        let msg = format!(
            "cniscope: {mistake}: the entry of network {:?} must name the plugin that it wraps, as {}",
            request.network, r#"{"type": "cniscope", "cniscope": {"wraps": "PLUGIN"}}"#
        );
        Refusal::new(request.cni_version.clone(), code::INVALID_CONFIG, Cause::ConfigInvalid, msg)
    }

    pub(super) fn no_cni_path(request: &Request) -> Refusal {
        let msg = format!("cniscope: CNI_PATH is not set: {} cannot be found", request.plugin);
        Refusal::new(request.cni_version.clone(), code::INVALID_ENVIRONMENT, Cause::PluginNotFound, msg)
    }

    pub(super) fn not_found(request: &Request) -> Refusal {
        let msg = path::not_found_text(&request.plugin, &request.folders);
        Refusal::new(request.cni_version.clone(), code::IO_FAILURE, Cause::PluginNotFound, msg)
    }

    pub(super) fn wraps_itself(request: &Request) -> Refusal {
        let path = request.plugin_path.display();
        Refusal::bad_wraps(request, &format!("\"wraps\" is {:?}, but {path} is this program", request.plugin))
    }

    /// libcni's text for a plugin that cannot be started.
    pub(super) fn not_executable(request: &Request, errno: Errno) -> Refusal {
        let path = request.plugin_path.display();
        let msg =
            format!("netplugin failed with no error message: fork/exec {path}: {}", go::errno_text(errno));
        let cause = cause_of_exec(errno);
        Refusal::new(request.cni_version.clone(), code::IO_FAILURE, cause, msg)
    }

    pub(super) fn denied(request: &Request, denial: &Denial) -> Refusal {
        let msg = format!("cniscope: the check {} denies this call: {}", denial.check, denial.summary);
        let refusal = Refusal::new(request.cni_version.clone(), code::INVALID_CONFIG, Cause::Unknown, msg);
        Refusal { happened: Happened::Denied { check: denial.check.clone() }, ..refusal }
    }

    pub(super) fn judged(self) -> Judged {
        let failure = Failure {
            error: self.error,
            happened: self.happened,
            from_delegate: false,
            must_be_rewritten: true,
        };
        Judged { outcome: Outcome::Refused, status: STATUS, failure: Some(failure) }
    }
}

/// What is wrong with a program that cannot be executed (execve(2)). Where the system has no memory or no descriptors left,
/// it is not the program.
fn cause_of_exec(errno: Errno) -> Cause {
    match errno {
        Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::E2BIG | Errno::EIO => {
            Cause::Unknown
        }
        _ => Cause::PluginNotExecutable,
    }
}
