//! Much data, data that nobody reads, and pipes that somebody else still holds.

use std::fs;
use std::io::Read as _;
use std::process::{Child, ChildStderr, ChildStdout};
use std::time::Duration;

use crate::support::processes::Left;
use crate::support::{Call, Place, Ran, eventually};

const RESULT: &str = r#"{"cniVersion":"1.0.0"}"#;

/// What the plugin of this script answers directly and through cniscope.
fn both<'a>(place: &'a Place, verb: &str, script: &str, change: impl Fn(Call<'a>) -> Call<'a>) -> [Ran; 2] {
    place.plugin("plugin", script);
    [place.direct(verb, "plugin"), place.wrapped(verb, "plugin")].map(|call| change(call).run())
}

#[test]
fn two_megabytes_on_stdin_reach_the_plugin_whole() {
    let place = Place::new();
    place.plugin("plugin", &format!("cat >\"$0.stdin\"; echo '{RESULT}'"));
    let [direct, wrapped] = [place.direct("ADD", "plugin"), place.wrapped("ADD", "plugin")].map(|call| {
        let ran = call.large().run();
        assert_eq!(ran.answer(), (0, format!("{RESULT}\n"), String::new()));
        fs::read(place.path("bin/plugin.stdin")).unwrap()
    });
    assert!(wrapped.len() > 2_000_000);
    assert!(direct == wrapped, "{} and {} bytes", direct.len(), wrapped.len());
}

#[test]
fn a_plugin_that_never_reads_does_not_hang_the_call() {
    for (verb, script) in [
        ("DEL", "exit 0".to_owned()),
        ("ADD", format!("echo '{RESULT}'")),
        ("ADD", format!("echo '{RESULT}'; exec <&-; sleep 0.1")),
    ] {
        let place = Place::new();
        let [direct, wrapped] = both(&place, verb, &script, Call::large);
        assert_eq!(direct.answer(), wrapped.answer(), "{script}");
        assert_eq!(place.end()["outcome"], "ok", "{script}");
    }
}

#[test]
fn ten_megabytes_on_stderr_come_before_the_result() {
    let place = Place::new();
    let script = format!("head -c 10485760 /dev/zero | tr '\\0' e >&2; echo '{RESULT}'");
    let [direct, wrapped] = both(&place, "ADD", &script, |call| call);
    assert_eq!(direct.stderr.len(), 10_485_760);
    assert_eq!((wrapped.status, wrapped.text()), (0, format!("{RESULT}\n")));
    assert!(direct.stderr == wrapped.stderr, "{} bytes on stderr", wrapped.stderr.len());
}

/// Starts a call of a plugin that prints ten megabytes on stderr before its result. What it prints is not read yet.
fn talkative(place: &Place) -> (Child, ChildStdout, ChildStderr) {
    place.plugin(
        "plugin",
        &format!("head -c 10485760 /dev/zero | tr '\\0' e >&2; echo '{RESULT}'; : >\"$0.ended\""),
    );
    let mut child = place.wrapped("ADD", "plugin").start();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    (child, stdout, stderr)
}

#[test]
fn a_runtime_that_reads_slowly_loses_nothing() {
    let place = Place::new();
    let (mut child, mut stdout, mut stderr) = talkative(&place);
    let mut start = vec![0; 1 << 20];
    for piece in start.chunks_mut(1 << 18) {
        std::thread::sleep(Duration::from_millis(100));
        stderr.read_exact(piece).unwrap();
    }
    let (mut rest, mut result) = (Vec::new(), String::new());
    stderr.read_to_end(&mut rest).unwrap();
    stdout.read_to_string(&mut result).unwrap();
    assert_eq!((start.len() + rest.len(), result), (10_485_760, format!("{RESULT}\n")));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_runtime_that_does_not_read_stderr_does_not_hang_the_call() {
    let place = Place::new();
    let (mut child, mut stdout, _stderr) = talkative(&place);
    eventually(|| place.path("bin/plugin.ended").exists().then_some(()));
    let mut result = String::new();
    stdout.read_to_string(&mut result).unwrap();
    assert_eq!(result, format!("{RESULT}\n"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_result_of_five_megabytes_is_returned_byte_for_byte() {
    let place = Place::new();
    let script = r#"printf '{"filler":"'; head -c 5000000 /dev/zero | tr '\0' x; printf '"}'"#;
    let [direct, wrapped] = both(&place, "ADD", script, |call| call);
    assert_eq!((direct.status, wrapped.status), (0, 0));
    assert_eq!(direct.stdout.len(), 5_000_013);
    assert!(direct.stdout == wrapped.stdout, "{} bytes", wrapped.stdout.len());
}

#[test]
fn a_result_beyond_the_cap_is_drained_and_is_an_error() {
    let place = Place::new();
    let script = r#"printf '{"filler":"'; head -c 17000000 /dev/zero | tr '\0' x; printf '"}'"#;
    let [direct, wrapped] = both(&place, "ADD", script, |call| call);
    assert_eq!((direct.status, direct.stdout.len()), (0, 17_000_013));
    assert_eq!(wrapped.status, 1);
    insta::assert_snapshot!(place.steady(&wrapped.text()), @r#"{"cniVersion":"1.0.0","code":999,"msg":"plugin type=\"plugin\" failed (add): failed to unmarshal raw result: it is longer than 16777216 bytes","details":"[cniscope: plugin-crashed: the plugin ended with exit status 0, but its result cannot be decoded: it is longer than 16777216 bytes; fix: read what the plugin printed: cniscope show; see: cniscope show ID]"}"#);
}

#[test]
fn a_grandchild_that_holds_the_pipes_is_not_waited_for_and_lives_on() {
    for verb in ["ADD", "DEL"] {
        let place = Place::new();
        place.plugin("plugin", &format!("sleep 20 & echo $! >\"$0.child\"; echo '{RESULT}'; echo words >&2"));
        let ran = place.wrapped(verb, "plugin").run();
        let left = Left::of(&place, "plugin.child");
        assert_eq!(ran.answer(), (0, format!("{RESULT}\n"), "words\n".into()));
        assert!(left.is_alive());
        assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    }
}

#[test]
fn output_that_comes_after_the_end_of_an_add_is_waited_for() {
    // Longer than the silence that ends other calls.
    let whole = format!("(sleep 0.6; echo '{RESULT}') &");
    let half = r#"printf '{"cniVersion":'; (sleep 0.6; printf '"1.0.0"}') &"#.to_owned();
    let tee = format!(
        r#"rm -f "$0.pipe"; mkfifo "$0.pipe"; (sleep 0.6; exec tee "$0.log" <"$0.pipe") & exec >"$0.pipe"; echo '{RESULT}'"#
    );
    for script in [whole, half, tee] {
        let place = Place::new();
        let [direct, wrapped] = both(&place, "ADD", &script, |call| call);
        assert_eq!(direct.answer(), wrapped.answer(), "{script}");
        assert_eq!(wrapped.status, 0, "{script}");
    }
}
