//! A plugin that is stopped at its deadline: what its processes were seen to wait for is the cause.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{SockaddrIn, UnixAddr};
use serde_json::{Value, json};

use crate::support::Place;
use crate::support::listeners::full;

/// In seconds: a plugin that is read from a cold disk must have come to its wait by then.
const DEADLINE: u64 = 4;

/// Makes an ADD that reaches its deadline, and gives what the runtime got for it and the record.
fn stopped(place: &Place, script: &str) -> (Value, Value) {
    place.plugin("plugin", script);
    let ran = place.wrapped("ADD", "plugin").entry("deadlineSeconds", json!({"ADD": DEADLINE})).run();
    let returned = ran.json();
    let texts = ["msg", "details"].map(|key| place.steady(returned[key].as_str().unwrap()));
    (json!(texts), place.end())
}

/// What the runtime gets for it.
fn expected(waiting_for: &str, cause: &str, waited: &str, fix: &str) -> Value {
    json!([
        format!(
            "plugin type=\"plugin\" failed (add): plugin did not end within {DEADLINE} s and was stopped; it was waiting for {waiting_for}"
        ),
        format!(
            "[cniscope: {cause}: the plugin was stopped after {DEADLINE} s: it waited for {waited}; fix: {fix}; see: cniscope show ID]"
        ),
    ])
}

/// The evidence of the record, with the process that waited as `WAITER (pid N)`.
fn evidence(place: &Place, end: &Value) -> Vec<String> {
    let line = |line: &Value| {
        let line = place.steady(line.as_str().unwrap());
        match line.split_once(") waited for ") {
            Some((_, rest)) => format!("WAITER (pid N) waited for {rest}"),
            None => line,
        }
    };
    end["diagnosis"]["evidence"].as_array().unwrap().iter().map(line).collect()
}

fn held(path: &Path) -> Flock<fs::File> {
    Flock::lock(fs::File::create(path).unwrap(), FlockArg::LockExclusive).unwrap()
}

/// The first line of it.
fn stopped_after() -> String {
    format!("the plugin was stopped after {DEADLINE} s")
}

/// The evidence of a wait for a lock that this process holds.
fn by_this_process(lock: &str) -> String {
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    let words = fs::read("/proc/self/cmdline").unwrap();
    let command = String::from_utf8(words).unwrap().replace('\0', " ");
    let (name, command, pid) = (name.trim(), command.trim(), std::process::id());
    format!("WAITER (pid N) waited for the lock on {lock}, held by {name} (pid {pid}): {command}")
}

#[test]
fn a_plugin_that_waits_for_the_xtables_lock_is_told_by_it_with_its_holder() {
    let place = Place::new();
    let lock = place.path("xtables.lock");
    let _held = held(&lock);
    let (returned, end) = stopped(&place, &format!("flock '{}' true", lock.display()));
    let fix = "find the holder of PLACE/xtables.lock and see what it does";
    assert_eq!(
        returned,
        expected(
            "the lock on PLACE/xtables.lock",
            "iptables-lock",
            "the xtables lock, which another process holds",
            fix
        )
    );
    assert_eq!((&end["outcome"], &end["cause"]), (&json!("deadline"), &json!("iptables-lock")));
    let evidence = evidence(&place, &end);
    assert_eq!(evidence[..2], [stopped_after(), by_this_process("PLACE/xtables.lock")]);
}

#[test]
fn a_plugin_that_waits_for_host_locals_lock_is_told_by_it_with_its_holder() {
    let place = Place::new();
    let pool = place.path("cni/networks/net");
    fs::create_dir_all(&pool).unwrap();
    let _held = held(&pool.join("lock"));
    let (returned, end) = stopped(&place, &format!("flock '{}' true", pool.join("lock").display()));
    assert_eq!(
        returned,
        expected(
            "the lock on PLACE/cni/networks/net/lock",
            "ipam-backend-unavailable",
            "the lock of host-local's pool, which another process holds",
            "find the holder of PLACE/cni/networks/net/lock and see what it does"
        )
    );
    let evidence = evidence(&place, &end);
    assert_eq!(evidence[..2], [stopped_after(), by_this_process("PLACE/cni/networks/net/lock")]);
}

/// A plugin that connects to a unix socket and waits for an answer.
fn asks(socket: &Path) -> String {
    format!(
        "exec perl -MIO::Socket::UNIX -e 'my $agent = IO::Socket::UNIX->new(Peer => q({})) or die; <$agent>'",
        socket.display()
    )
}

const AGENT: &str = "look at the add-on's Pod on this node: is it running and ready, how often did it restart, what does its log say";

#[test]
fn a_plugin_that_cannot_connect_to_an_agents_socket_is_told_by_it() {
    let place = Place::new();
    let path = place.path("cilium.sock");
    let _full = full(&UnixAddr::new(&path).unwrap());
    let (returned, end) = stopped(&place, &asks(&path));
    let waiting_for = "a connection to PLACE/cilium.sock";
    assert_eq!(returned, expected(waiting_for, "agent-unreachable", "a connection to Cilium's agent", AGENT));
    assert_eq!(evidence(&place, &end)[1], format!("WAITER (pid N) waited for {waiting_for}"));
}

#[test]
fn a_plugin_that_an_agent_does_not_answer_is_told_by_it() {
    for accepts in [false, true] {
        let place = Place::new();
        let path = place.path("cilium.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let accepting = listener.try_clone().unwrap();
        let _agent = accepts.then(|| std::thread::spawn(move || accepting.accept()));
        let (returned, end) = stopped(&place, &asks(&path));
        let waiting_for = "an answer from PLACE/cilium.sock";
        assert_eq!(
            returned,
            expected(waiting_for, "agent-unreachable", "an answer from Cilium's agent", AGENT)
        );
        assert_eq!(evidence(&place, &end)[1], format!("WAITER (pid N) waited for {waiting_for}"));
    }
}

#[test]
fn a_plugin_that_cannot_connect_to_the_api_server_is_told_by_it() {
    let place = Place::new();
    // Every process has loopback addresses of its own.
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 77, high, low);
    let _full = full(&SockaddrIn::from(SocketAddrV4::new(address, 6443)));
    let (returned, end) = stopped(&place, &format!("exec bash -c 'exec 3<>/dev/tcp/{address}/6443'"));
    let waiting_for = format!("a connection to {address}:6443");
    assert_eq!(
        returned,
        expected(
            &waiting_for,
            "apiserver-unreachable",
            "a connection to the Kubernetes API server",
            &format!("ask it from this node: curl -k https://{address}:6443/readyz")
        )
    );
    assert_eq!(evidence(&place, &end)[1], format!("WAITER (pid N) waited for {waiting_for}"));
}
