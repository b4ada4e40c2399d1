//! The objects for the Prometheus Operator, as its own definitions judge them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::spawn;
use crate::world::tool;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf-examples/kubernetes/prometheus");

/// What the validator says of some YAML.
fn judged(yaml: &str) -> (bool, String) {
    let mut command = Command::new(tool("bin/validate-manifests"));
    command.arg(tool("definitions")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// What the README's commands hand to kubectl.
fn applied() -> String {
    let readme = fs::read_to_string(format!("{FOLDER}/README.md")).unwrap();
    let (_, rest) = readme.split_once("```sh\n").unwrap();
    let (commands, _) = rest.split_once("```").unwrap();
    // In kubectl's place stands what prints the objects.
    let script = format!("kubectl() {{ echo ---; cat ${{3#-}}; }}\n{commands}");
    let mut command = Command::new("bash");
    command.args(["-ec", &script]).current_dir(FOLDER).stdin(Stdio::null()).stdout(Stdio::piped());
    let output = spawn(&mut command).wait_with_output().unwrap();
    assert!(output.status.success(), "{commands}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_readmes_commands_give_objects_that_the_operator_takes() {
    let applied = applied();
    assert_eq!(
        judged(&applied),
        (true, "valid: PodMonitor cniscope/cniscope\nvalid: PrometheusRule cniscope/cniscope\n".to_owned())
    );
    for (right, wrong, why) in [
        ("action: labeldrop", "action: labeldrops", "Unsupported value: \"labeldrops\""),
        ("port: metrics", "prot: metrics", "unknown field"),
        ("for: 5m", "for: soon", "spec.groups[0].rules[3].for"),
        ("expr: |", "expression: |", "spec.groups[0].rules[0].expr: Required value"),
    ] {
        let (is_valid, told) = judged(&applied.replacen(right, wrong, 1));
        assert!(!is_valid && told.contains(why), "{wrong}: {told}");
    }
}
