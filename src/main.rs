//! cniscope: started by a container runtime it is a CNI plugin, started by a person a command-line program.
//!
//! `main` is C's. Rust's own start-up reads `/proc/self/maps` and installs handlers for stack overflows, which costs a
//! tenth of what a call may cost; and it changes SIGPIPE, which the delegate is to get as the runtime gave it.

#![no_main]

use std::ffi::{c_char, c_int};
use std::panic::catch_unwind;
use std::time::Instant;

/// The exit status where nothing else is left to say.
const FAILED: u8 = 2;

#[allow(unsafe_code, reason = "the C library calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let started = Instant::now();
    cniscope::shim::streams::open_missing();
    cniscope::shim::delegate::signals::ignore_sigpipe();
    if cniscope::shim::is_call() {
        cniscope::shim::leave(catch_unwind(|| cniscope::shim::run(started)).unwrap_or(FAILED))
    }
    c_int::from(catch_unwind(cniscope::cli::run).unwrap_or(FAILED))
}
