//! A plugin that writes down what it was given, and prints a result: what it gets through cniscope must be what it gets
//! directly.
//!
//! `main` is C's: Rust's own start-up changes the dispositions that are to be written down.

#![no_main]
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "where /proc is not there, nothing can be compared"
)]

use std::ffi::{c_char, c_int};
use std::fmt::Write as _;
use std::fs;

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, argv: *const *const c_char) -> c_int {
    let mut seen = String::new();
    // SAFETY: the C library gives at least the name that the program was executed under.
    let name = unsafe { std::ffi::CStr::from_ptr(*argv) };
    writeln!(seen, "argv[0]: {}", name.to_string_lossy()).unwrap();
    writeln!(seen, "cwd: {}", fs::read_link("/proc/self/cwd").unwrap().display()).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of_the_caller =
        ["Umask:", "SigBlk:", "SigIgn:", "SigCgt:", "ShdPnd:", "NoNewPrivs:", "CapEff:", "Cpus_allowed:"];
    for line in status.lines().filter(|line| of_the_caller.iter().any(|start| line.starts_with(start))) {
        writeln!(seen, "{line}").unwrap();
    }
    for file in ["limits", "oom_score_adj", "cgroup", "loginuid"] {
        writeln!(seen, "{file}: {}", fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default())
            .unwrap();
    }
    let mut fds: Vec<String> =
        fs::read_dir("/proc/self/fd").unwrap().map(|fd| describe(&fd.unwrap().path())).collect();
    fds.sort();
    writeln!(seen, "fds: {}", fds.join(", ")).unwrap();
    let mut stdin = Vec::new();
    std::io::Read::read_to_end(&mut std::io::stdin(), &mut stdin).unwrap();
    let folder = std::env::var_os("SEEN").expect("SEEN names the folder to write to");
    let folder = std::path::PathBuf::from(folder);
    fs::write(folder.join("stdin"), stdin).unwrap();
    fs::write(folder.join("environment"), fs::read("/proc/self/environ").unwrap()).unwrap();
    fs::write(folder.join("process"), seen).unwrap();
    println!("{{\"cniVersion\":\"1.0.0\"}}");
    0
}

/// A descriptor's number and kind; the names of pipes differ from call to call.
fn describe(fd: &std::path::Path) -> String {
    let target = fs::read_link(fd).map(|target| target.display().to_string()).unwrap_or_default();
    let kind = target.split(":[").next().unwrap_or_default().to_owned();
    // The one through which this folder is being read.
    let kind = if kind.starts_with("/proc/") { "this".to_owned() } else { kind };
    format!("{} {kind}", fd.file_name().unwrap().to_string_lossy())
}
