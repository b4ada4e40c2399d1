//! Others who change the same files at the same time: installers, add-ons, and the runtime that runs what is replaced.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cniscope::install::conflist::unwrap;

use crate::support::node_files::{BINARY, FILE, LIST, NodeFiles};
use crate::support::{Call, Place, cniscope, spawn};

/// An installer about to be started.
fn verb(program: &Path, verb: &str, node: &NodeFiles) -> Command {
    let mut command = Command::new(program);
    command.arg(verb).arg("--root").arg(node.path("")).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn twenty_installers_at_once_install_once() {
    let node = NodeFiles::new();
    let installers: Vec<_> = (0..20).map(|_| spawn(&mut verb(&cniscope(), "install", &node))).collect();
    let mut told = Vec::new();
    for installer in installers {
        let output = installer.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        told.push(String::from_utf8(output.stdout).unwrap());
    }
    let installed = told.iter().filter(|told| told.starts_with("worker-1: installed\n")).count();
    let nothing = told.iter().filter(|told| told.starts_with("worker-1: nothing to do")).count();
    assert_eq!((installed, nothing), (1, 19));
    assert_eq!(String::from_utf8(unwrap(node.read(FILE).as_bytes()).unwrap()).unwrap(), LIST);
}

#[test]
fn installers_and_uninstallers_at_once_leave_a_whole_node() {
    let node = NodeFiles::new();
    let started: Vec<_> = (0..20)
        .map(|number| {
            spawn(&mut verb(&cniscope(), if number % 2 == 0 { "install" } else { "uninstall" }, &node))
        })
        .collect();
    for one in started {
        let output = one.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let is_wrapped = node.read(FILE) != LIST;
    assert_eq!(node.path(BINARY).exists(), is_wrapped);
    assert_eq!(node.run(&["status"]).status, 0);
    node.told(&["uninstall"]);
    assert_eq!(node.read(FILE), LIST);
}

/// How an add-on writes its list.
type Write = fn(&Path, &str);

/// Another file, renamed, as Cilium's agent does.
fn renamed(path: &Path, content: &str) {
    let other = path.with_file_name("own.tmp");
    fs::write(&other, content).unwrap();
    fs::rename(other, path).unwrap();
}

/// In place, in pieces, as Calico's installer does.
fn in_pieces(path: &Path, content: &str) {
    let mut file = File::create(path).unwrap();
    for piece in content.as_bytes().chunks(40) {
        file.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An add-on writes again and again while installers run; what it wrote last is never lost.
fn fight(write: Write) {
    let node = NodeFiles::new();
    let path = node.path(FILE);
    let is_over = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            let mut last = LIST.to_owned();
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                last = LIST.replace("pods", &format!("pods-{number}"));
                write(&path, &last);
                std::thread::sleep(Duration::from_millis(number % 7));
            }
            last
        });
        for number in 0..15 {
            let verb_name = if number % 3 == 2 { "uninstall" } else { "install" };
            // It may give up, but it must not lose what was written.
            spawn(&mut verb(&cniscope(), verb_name, &node)).wait_with_output().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let found = node.read(FILE);
    assert_eq!(String::from_utf8(unwrap(found.as_bytes()).unwrap()).unwrap(), last);
    node.told(&["install"]);
    assert_eq!(String::from_utf8(unwrap(node.read(FILE).as_bytes()).unwrap()).unwrap(), last);
    let left: Vec<String> = node.files().into_iter().filter(|name| name.contains("cniscope-new")).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn an_add_on_that_renames_its_list_loses_nothing() {
    fight(renamed);
}

#[test]
fn an_add_on_that_writes_in_place_and_in_pieces_loses_nothing() {
    fight(in_pieces);
}

/// The call of a binary that stands elsewhere.
fn of_binary<'a>(program: &Path, mut call: Call<'a>) -> Call<'a> {
    let mut command = Command::new(program);
    let variables = call.command().get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(variables);
    *call.command() = command;
    call
}

#[test]
fn calls_that_run_while_the_binary_is_replaced_answer_as_without_it() {
    let place = Place::new();
    let node = NodeFiles::new();
    place.plugin("plugin", r#"cat >/dev/null; sleep 0.02; echo '{"cniVersion":"1.0.0"}'"#);
    node.told(&["install"]);
    let other = node.path("other");
    fs::copy(cniscope(), &other).unwrap();
    File::options().append(true).open(&other).unwrap().write_all(b"\n").unwrap();
    let installed = node.path(BINARY);
    let direct = place.direct("ADD", "plugin").run().answer();
    let is_over = AtomicBool::new(false);
    let calls = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut calls = 0;
                    while !is_over.load(Ordering::Relaxed) || calls < 25 {
                        let call = of_binary(&installed, place.wrapped("ADD", "plugin"));
                        assert_eq!(call.run().answer(), direct, "call {calls}");
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for number in 0..20 {
            let program = if number % 2 == 0 { other.clone() } else { cniscope() };
            let output = spawn(&mut verb(&program, "install", &node)).wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(told.contains("replaced; calls that ran"), "{told} {output:?}");
        }
        is_over.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().unwrap()).sum::<i32>()
    });
    assert!(calls >= 50, "{calls}");
    assert_eq!(fs::read(installed).unwrap(), fs::read(cniscope()).unwrap());
}
