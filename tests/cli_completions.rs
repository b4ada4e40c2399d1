//! `cniscope completions`: scripts that real shells load.

use std::process::Command;

use crate::support::{Place, cniscope};

/// What a shell prints that has loaded its script, and runs this; `$script` is the script.
fn shell(shell: &str, options: &[&str], run: &str) -> String {
    let place = Place::new();
    let ran = place.cli(&["completions", shell]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    let script = place.path("script");
    std::fs::write(&script, ran.stdout).unwrap();
    let mut command = Command::new(shell);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", place.path("")).env("TERM", "dumb");
    command.env("script", script).args(options).arg("-c").arg(run);
    let output =
        command.output().unwrap_or_else(|error| panic!("{shell} is needed: {error}; scripts/setup test"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!((output.status.code(), text(output.stderr).as_str()), (Some(0), ""), "{shell}");
    text(output.stdout)
}

/// What bash offers for the last of these words.
fn bash(words: &str) -> Vec<String> {
    let run = format!(
        "source \"$script\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _cniscope cniscope \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\" 2>/dev/null
        printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    shell("bash", &["--norc", "--noprofile"], &run).lines().map(str::to_owned).collect()
}

#[test]
fn bash_knows_the_program_when_the_script_is_loaded() {
    let known = shell("bash", &["--norc", "--noprofile"], "source \"$script\"; complete -p cniscope");
    assert_eq!(known, "complete -o bashdefault -o default -o nosort -F _cniscope cniscope\n");
}

#[test]
fn bash_offers_verbs_options_values_checks_and_causes() {
    let table: [(&str, &[&str]); 8] = [
        ("cniscope d", &["doctor"]),
        ("cniscope s", &["show", "stats", "status"]),
        ("cniscope m", &["man", "metrics"]),
        ("cniscope journal --fa", &["--failed"]),
        ("cniscope explain --lang z", &["zh"]),
        ("cniscope doctor ipam", &["ipam-pool"]),
        ("cniscope causes chain", &["chain-order-wrong"]),
        ("cniscope journal --cause disk", &["disk-full"]),
    ];
    for (words, expected) in table {
        assert_eq!(bash(words), expected, "{words}");
    }
}

#[test]
fn zsh_knows_the_program_when_the_script_is_loaded() {
    let run = "autoload -U compinit && compinit -D -u && source $script && print ${_comps[cniscope]}";
    assert_eq!(shell("zsh", &["-f"], run), "_cniscope\n");
}

#[test]
fn fish_offers_verbs_with_what_they_do() {
    let run = "source $script; complete -C 'cniscope do'; complete -C 'cniscope explain --lang '";
    let offered = shell("fish", &["--no-config"], run);
    assert_eq!(offered, "doctor\tExamine this node now\nen\tEnglish\nru\tRussian\nzh\tChinese, simplified\n");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let run = format!("set -o pipefail; {} completions zsh | head -n 1", cniscope().display());
    let output = Command::new("bash").arg("-c").arg(run).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(
        (output.status.code(), text(output.stdout), text(output.stderr)),
        (Some(0), "#compdef cniscope\n".into(), String::new())
    );
}
