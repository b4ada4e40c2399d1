//! How an agent ends, and how another one takes its place.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{LIST, Node, WRAPPED};
use crate::support::agent::{Agent, command};
use crate::support::{Ran, eventually, spawn};

#[test]
fn a_signal_ends_it_at_once_and_leaves_the_wrapping() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let node = Node::new();
        let mut agent = node.agent(&[]);
        agent.is(200, "wrapped");
        let status = node.path("var/lib/cniscope/agent.json");
        let told: Value = serde_json::from_slice(&fs::read(&status).unwrap()).unwrap();
        assert_eq!(told["pid"], agent.pid());
        let (code, took) = agent.end(signal);
        assert_eq!(code, Some(0), "{}", agent.log());
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(node.content(), WRAPPED);
        assert!(node.binary().is_file() && !status.exists());
    }
}

#[test]
fn one_that_was_killed_is_followed_by_another_one() {
    let node = Node::new();
    let mut agent = node.agent(&[]);
    agent.is(200, "wrapped");
    agent.end(Signal::SIGKILL);
    fs::write(node.list(), LIST).unwrap();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    assert_eq!(node.content(), WRAPPED);
}

#[test]
fn a_second_one_takes_over_when_the_first_ends() {
    let node = Node::new();
    let mut first = node.agent(&[]);
    first.is(200, "wrapped");
    let log = node.place.path("second.log");
    let root = node.path("");
    let mut command = command(&log, &["--root", root.to_str().unwrap(), "--doctor-every", "0"]);
    let second = spawn(&mut command);
    // It waits for as long as the first one is there, which is seen by what it does not say.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    first.end(Signal::SIGTERM);
    Agent::of(second, &log).is(200, "wrapped");
}

#[test]
fn a_second_one_gives_up_and_names_the_first() {
    let node = Node::new();
    let first = node.agent(&[]);
    first.is(200, "wrapped");
    let log = node.place.path("second.log");
    let root = node.path("");
    let mut second = command(&log, &["--root", root.to_str().unwrap()]);
    let status = spawn(&mut second).wait().unwrap();
    let said = fs::read_to_string(&log).unwrap();
    let expected = format!(
        "cniscope: an agent runs on this node already, process {}: one is enough; end it, or let it be\n",
        first.pid()
    );
    assert_eq!((status.code(), said), (Some(2), expected));
}

#[test]
fn an_address_that_somebody_keeps_is_named() {
    let node = Node::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let root = node.path("");
    let ran: Ran = node.place.cli(&["agent", "--root", root.to_str().unwrap(), "--listen", &address]);
    let expected = format!(
        "cniscope: cannot listen at {address}: Address already in use (os error 98); name another address with --listen\n"
    );
    assert_eq!(ran.answer(), (2, String::new(), expected));
    assert_eq!(node.content(), LIST, "nothing is done by one that cannot tell of it");
}

#[test]
fn an_address_that_is_free_a_moment_later_is_had() {
    let node = Node::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let root = node.path("");
    let log = node.log();
    let mut command = command(&log, &["--root", root.to_str().unwrap()]);
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut own = std::process::Command::new(command.get_program());
    own.args(
        arguments.iter().map(|one| if one == "127.0.0.1:0" { address.as_ref() } else { one.as_os_str() }),
    );
    own.env_clear().stderr(fs::File::create(&log).unwrap());
    let child = spawn(&mut own);
    std::thread::sleep(Duration::from_millis(300));
    drop(other);
    let agent = Agent::of(child, &log);
    agent.is(200, "wrapped");
    eventually(|| agent.log().contains(&address).then_some(()));
    let _ = &mut command;
}
