//! `cniscope man`: the manual pages.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::Place;

/// The pages by name, and the place that they are in.
fn pages() -> (Place, BTreeMap<String, PathBuf>) {
    let place = Place::new();
    let folder = place.path("share/man1");
    let ran = place.cli(&["man", folder.to_str().unwrap()]);
    assert_eq!(ran.answer(), (0, String::new(), String::new()));
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = paths.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect();
    (place, pages)
}

/// What a program of the manual says of a page.
fn said(program: &str, arguments: &[&str], page: &PathBuf) -> (Option<i32>, String, String) {
    let mut command = Command::new(program);
    command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("MANWIDTH", "80")]);
    let output = command.args(arguments).arg(page).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}; scripts/setup test"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_verb_has_a_page() {
    let (place, pages) = pages();
    let help = place.cli(&["--help"]).text();
    let verbs = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs = verbs.lines().map(|line| format!("cniscope-{}.1", line.split_whitespace().next().unwrap()));
    let mut expected: Vec<String> = verbs.chain(["cniscope.1".to_owned()]).collect();
    expected.sort();
    assert_eq!(pages.keys().cloned().collect::<Vec<_>>(), expected);
}

#[test]
fn the_pages_are_well_formed() {
    for path in pages().1.values() {
        let clean = (Some(0), String::new(), String::new());
        assert_eq!(said("mandoc", &["-T", "lint", "-W", "warning"], path), clean, "{}", path.display());
        let (status, _, warnings) = said("man", &["--warnings", "--local-file"], path);
        assert_eq!((status, warnings.as_str()), (Some(0), ""), "{}", path.display());
    }
}

#[test]
fn a_page_tells_what_help_tells_and_the_exit_status() {
    let (_place, pages) = pages();
    let (_, page, _) = said("man", &["--local-file"], &pages["cniscope-completions.1"]);
    let page = page.split_once("\n\n").unwrap().1.split_once("SEE ALSO").unwrap().0;
    insta::assert_snapshot!(page, @r#"
    NAME
           cniscope-completions - Print what a shell needs to complete the command
           line

    SYNOPSIS
           cniscope completions [--journal] [--lang] [--root] [--utc]  [-h|--help]
           <SHELL>

    DESCRIPTION
           Print what a shell needs to complete the command line

    OPTIONS
           -h, --help
                  Print help

           <SHELL>
                  The shell

                  Possible values:

                         • bash

                         • elvish

                         • fish

                         • powershell

                         • zsh

    GENERAL OPTIONS
           --journal <DIR>
                  Folder  of a journal, or a bundle; may be repeated [default: the
                  settings', or /var/log/cniscope]

           --lang <LANG>
                  Language of titles, explanations and fixes: en, ru, zh [default:
                  that of LC_ALL, LC_MESSAGES or LANG]

           --root <DIR> [default: /]
                  Look at the node whose files stand below this folder

           --utc  Show times in UTC instead of the local zone

    EXIT STATUS
           0      All is well, or there are warnings only.

           1      A problem was found.

           2      Wrong usage, or it could not run.
    "#);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    let ran = place.cli(&["man", place.path("file/man1").to_str().unwrap()]);
    assert_eq!(
        (ran.status, place.steady(&String::from_utf8(ran.stderr).unwrap())),
        (2, "cniscope: PLACE/file/man1: Not a directory (os error 20)\n".into())
    );
}
