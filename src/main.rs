//! cniscope: started by a container runtime it is a CNI plugin, started by a person a command-line program.
//!
//! `main` is C's. Rust's own start-up reads `/proc/self/maps` and installs handlers for stack overflows, which costs a
//! tenth of what a call may cost; and it changes SIGPIPE, which the delegate is to get as the runtime gave it. With musl only
//! that start-up would know the arguments, so they are taken here.

#![no_main]

mod allocator;

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::catch_unwind;
use std::time::Instant;

use allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// The exit status where nothing else is left to say.
const FAILED: u8 = 2;

#[allow(unsafe_code, reason = "the C library calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    let started = Instant::now();
    cniscope::shim::streams::open_missing();
    cniscope::shim::delegate::signals::ignore_sigpipe();
    if count <= 1 && cniscope::shim::is_call() {
        cniscope::shim::leave(catch_unwind(|| cniscope::shim::run(started)).unwrap_or(FAILED))
    }
    c_int::from(catch_unwind(|| cniscope::cli::run(arguments(count, words))).unwrap_or(FAILED))
}

/// The command line, its first word included.
#[allow(unsafe_code, reason = "C hands over pointers")]
fn arguments(count: c_int, words: *const *const c_char) -> Vec<OsString> {
    let argument = |at: usize| {
        // SAFETY: `words` holds `count` pointers to strings that end with a zero and stay as long as the process (C17,
        // 5.1.2.2.1).
        let text = unsafe { CStr::from_ptr(*words.add(at)) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    (0..usize::try_from(count).unwrap_or(0)).map(argument).collect()
}
