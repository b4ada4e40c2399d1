//! What the delegate gets is what it gets without cniscope.

use std::fs;
use std::os::unix::process::CommandExt as _;

use crate::support::{Call, Place, os};

/// What the recording delegate wrote down: stdin, environment, and the rest of what a process inherits.
fn seen<'a>(place: &'a Place, change: impl Fn(Call<'a>) -> Call<'a>) -> [(Vec<u8>, Vec<u8>, String); 2] {
    place.plugin_of("recorder", "delegate");
    let folder = place.path("seen");
    [place.direct("ADD", "recorder"), place.wrapped("ADD", "recorder")].map(|call| {
        fs::create_dir(&folder).unwrap();
        let ran = change(call).env("SEEN", &folder).run();
        assert_eq!(ran.answer(), (0, "{\"cniVersion\":\"1.0.0\"}\n".into(), String::new()));
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let seen = (read("stdin"), read("environment"), String::from_utf8(read("process")).unwrap());
        fs::remove_dir_all(&folder).unwrap();
        seen
    })
}

#[test]
fn everything_is_inherited() {
    let place = Place::new();
    let [direct, wrapped] = seen(&place, |call| call);
    assert_eq!(direct.2, wrapped.2);
    assert_eq!(direct.1, wrapped.1);
}

#[test]
fn the_environment_stays_byte_for_byte() {
    let place = Place::new();
    let [direct, wrapped] = seen(&place, |call| {
        call.env("EMPTY", "")
            .env("INVALID", os(b"\xff\xfe=\n"))
            .env("HUGE", "x".repeat(100_000))
            .without("CNI_IFNAME")
            .env("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=p")
    });
    assert_eq!(direct.1, wrapped.1);
}

#[test]
fn signals_limits_and_umask_stay() {
    let place = Place::new();
    let [direct, wrapped] = seen(&place, |mut call| {
        let change = || {
            use nix::sys::resource::{Resource, setrlimit};
            use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
            setrlimit(Resource::RLIMIT_NOFILE, 333, 444)?;
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
            let mut mask = SigSet::empty();
            mask.add(Signal::SIGUSR1);
            mask.add(Signal::SIGTERM);
            mask.thread_block()?;
            // SAFETY: the child has one thread, and no handler is installed.
            unsafe {
                for ignored in [Signal::SIGCHLD, Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGQUIT] {
                    signal(ignored, SigHandler::SigIgn)?;
                }
            }
            Ok(())
        };
        // SAFETY: what is done between fork and exec is done with system calls alone.
        unsafe { call.command().pre_exec(change) };
        call
    });
    assert!(direct.2.contains("Umask:\t0027"), "{}", direct.2);
    assert_eq!(direct.2, wrapped.2);
}

#[test]
fn a_default_sigpipe_stays_default() {
    let place = Place::new();
    let [direct, wrapped] = seen(&place, |mut call| {
        let default = || {
            use nix::sys::signal::{SigHandler, Signal, signal};
            // SAFETY: no handler is installed.
            unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
            Ok(())
        };
        // SAFETY: one system call.
        unsafe { call.command().pre_exec(default) };
        call
    });
    assert_eq!(direct.2, wrapped.2);
}

#[test]
fn stdin_loses_nothing_but_what_was_wrapped() {
    let place = Place::new();
    let entries = [
        (
            r#" { "cniVersion" : "1.0.0" ,"name":"net", "type": "cniscope", "cniscope": {"wraps": "recorder"}, "a":1,"a":2, "n":12345678901234567890,"f":1.0,"e":"\u00e9\ud800\/", "deep":[[[{"type":"cniscope"}]]] } "#,
            r#" { "cniVersion" : "1.0.0" ,"name":"net", "type": "recorder", "a":1,"a":2, "n":12345678901234567890,"f":1.0,"e":"\u00e9\ud800\/", "deep":[[[{"type":"cniscope"}]]] } "#,
        ),
        (
            r#"{"cniscope":{"wraps":"recorder"},"cniVersion":"1.0.0","name":"net","type":"cniscope"}"#,
            r#"{"cniVersion":"1.0.0","name":"net","type":"recorder"}"#,
        ),
        // Every `type` that is wrapped is restored, every `cniscope` dropped, and the last one decides.
        (
            r#"{"type":"cniscope","cniscope":{"wraps":"other"},"type":"loopback","cniscope":7,"type":"cniscope","cniscope":{"wraps":"other","wraps":"recorder"}}"#,
            r#"{"type":"recorder","type":"loopback","type":"recorder"}"#,
        ),
    ];
    for (wrapped, expected) in entries {
        let [_, (stdin, _, _)] = seen(&place, |call| call.stdin(wrapped));
        assert_eq!(String::from_utf8(stdin).unwrap(), expected);
    }
}
