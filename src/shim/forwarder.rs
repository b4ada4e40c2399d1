//! The pure forwarder: stdin edited, the delegate executed in this very process, nothing else.
//!
//! It stands in when `/etc/cniscope/disabled` exists, and it is what stays after an uninstall while old Pods need it.

use std::fs::File;
use std::io::{Seek as _, Write as _};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::AccessFlags;

use super::delegate;
use super::refusal::Refusal;
use super::request::Request;
use crate::cni::environment::Environment;
use crate::install::switch::SWITCH;

/// Whether cniscope is switched off.
pub(super) fn is_on() -> bool {
    nix::unistd::access(SWITCH, AccessFlags::F_OK).is_ok()
}

/// Becomes the delegate. Comes back only if that is not possible.
pub(super) fn forward(environment: &Environment, stdin: &[u8]) -> Refusal {
    let request = Request::new(std::time::Instant::now(), environment.clone(), stdin.to_vec());
    if let Some(refusal) = &request.refusal {
        return refusal.clone();
    }
    match execute(&request) {
        Err(Failed::Stdin(error)) => Refusal::stdin_unreadable(&error),
        Err(Failed::Program(errno)) => Refusal::not_executable(&request, errno),
    }
}

enum Failed {
    Stdin(std::io::Error),
    Program(nix::errno::Errno),
}

fn execute(request: &Request) -> Result<std::convert::Infallible, Failed> {
    let stdin = in_memory(&request.delegate_stdin).map_err(Failed::Stdin)?;
    let put_in_place = || {
        nix::unistd::dup2_stdin(&stdin)?;
        delegate::signals::give_back_sigpipe()?;
        delegate::become_program(&request.plugin_path)
    };
    put_in_place().map_err(Failed::Program)
}

fn in_memory(content: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
