//! A node with Cilium, in every state.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use serde_json::json;

use super::*;
use crate::diagnosis::finding::Status;

fn healthy() -> Facts {
    Facts {
        verb: Verb::Add,
        socket: "/var/run/cilium/cilium.sock".into(),
        agent: Agent::Answers(200),
        bpffs: Some(true),
        cgroup2: Some(true),
        kernel: "5.15.0-91-generic".into(),
        queued: Some(1),
        set_aside: vec!["10-kindnet.conflist.cilium_bak".into()],
        multus: None,
    }
}

#[test]
fn states_of_cilium() {
    let down = |verb| Facts { verb, agent: Agent::NoSocket, ..healthy() };
    let unreachable = Some(Cause::AgentUnreachable);
    let missing = "Cilium's agent has no socket /var/run/cilium/cilium.sock";
    let full = "Cilium's agent is down, and /var/run/cilium/deleteQueue takes no further deletion";
    let table = [
        (healthy(), Status::Ok, None, "Cilium's agent answers, and the node has what it needs"),
        (
            Facts { agent: Agent::HasSocket, bpffs: None, cgroup2: None, ..healthy() },
            Status::Ok,
            None,
            "Cilium's agent has its socket",
        ),
        (down(Verb::Add), Status::Fail, unreachable, missing),
        (down(Verb::Del), Status::Warn, unreachable, missing),
        (Facts { queued: Some(256), ..down(Verb::Del) }, Status::Warn, unreachable, missing),
        (Facts { queued: Some(257), ..down(Verb::Del) }, Status::Fail, unreachable, full),
        (
            Facts { queued: Some(257), ..healthy() },
            Status::Ok,
            None,
            "Cilium's agent answers, and the node has what it needs",
        ),
        (
            Facts { agent: Agent::Refuses, ..healthy() },
            Status::Fail,
            unreachable,
            "nobody listens at /var/run/cilium/cilium.sock: Cilium's agent has ended",
        ),
        (
            Facts { agent: Agent::Silent, ..healthy() },
            Status::Warn,
            unreachable,
            "Cilium's agent listens at /var/run/cilium/cilium.sock, but does not answer within 500 ms",
        ),
        (
            Facts { agent: Agent::Answers(503), ..healthy() },
            Status::Warn,
            Some(Cause::AgentRefused),
            "Cilium's agent answers with the HTTP status 503",
        ),
        (Facts { agent: Agent::Unknown("why".into()), ..healthy() }, Status::Skipped, None, "why"),
        (
            Facts { kernel: "4.15.0-20-generic".into(), ..healthy() },
            Status::Warn,
            Some(Cause::KernelUnsupported),
            "the kernel 4.15.0-20-generic is older than any on which Cilium runs",
        ),
        (
            Facts { bpffs: Some(false), ..healthy() },
            Status::Warn,
            Some(Cause::BpfFailed),
            "bpffs is not mounted on this node: Cilium's maps do not outlive its agent",
        ),
        (
            Facts { cgroup2: Some(false), ..healthy() },
            Status::Warn,
            Some(Cause::BpfFailed),
            "no cgroup2 is mounted on this node: Cilium serves no Service to what runs on the host",
        ),
        (
            Facts { multus: Some("00-multus.conf.cilium_bak".into()), ..healthy() },
            Status::Warn,
            None,
            "Cilium's exclusive mode has set Multus' configuration aside: 00-multus.conf.cilium_bak",
        ),
    ];
    for (facts, status, cause, summary) in table {
        let finding = judge(&facts);
        assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
    }
}

#[test]
fn the_facts_stand_in_the_evidence() {
    assert_eq!(
        json!(judge(&healthy()).evidence),
        json!({
            "socket": "/var/run/cilium/cilium.sock", "bpffs": true, "cgroup2": true, "kernel": "5.15.0-91-generic",
            "queued_deletions": 0, "set_aside": ["10-kindnet.conflist.cilium_bak"],
        })
    );
}

#[test]
fn answers_and_versions_are_read() {
    let table = [
        (&b"HTTP/1.1 200 OK\r\n"[..], Agent::Answers(200)),
        (b"HTTP/1.0 503 Service Unavailable", Agent::Answers(503)),
        (b"", Agent::Silent),
        (b"\xff\x00", Agent::Unknown("what listens at the socket does not speak HTTP".into())),
        (b"HTTP/1.1 ", Agent::Unknown("what listens at the socket does not speak HTTP".into())),
    ];
    for (answer, expected) in table {
        assert_eq!(read(answer), expected);
    }
    for (release, expected) in
        [("6.1.0-13-amd64", Some((6, 1))), ("4.18", Some((4, 18))), ("x", None), ("", None), ("5", None)]
    {
        assert_eq!(version(release), expected, "{release}");
    }
}

fn looked(root: &Path, depth: Depth) -> (Status, String) {
    let subject = Subject {
        origin: Origin::Node { conf_dir: "/etc/cni/net.d".into() },
        plugin: "cilium-cni".into(),
        ..Subject::default()
    };
    let finding = look(&Node::at(root), &subject, depth);
    (finding.status, finding.summary)
}

fn put(root: &Path, path: &str, content: &str) -> PathBuf {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn the_agent_is_asked_below_the_root() {
    let root = tempfile::tempdir().unwrap();
    let socket = put(root.path(), "var/run/cilium/cilium.sock", "");
    std::fs::remove_file(&socket).unwrap();
    put(root.path(), "etc/cni/net.d/00-multus.conf.cilium_bak", r#"{"type": "multus"}"#);
    put(root.path(), "etc/cni/net.d/05-cilium.conflist", r#"{"plugins": [{"type": "cilium-cni"}]}"#);
    let missing = "Cilium's agent has no socket /var/run/cilium/cilium.sock";
    assert_eq!(looked(root.path(), Depth::Quick), (Status::Fail, missing.into()));
    assert_eq!(looked(root.path(), Depth::Full), (Status::Fail, missing.into()));
    let listener = UnixListener::bind(&socket).unwrap();
    let agent = std::thread::spawn(move || {
        let (mut client, mut question) = (listener.accept().unwrap().0, vec![0; QUESTION.len()]);
        client.read_exact(&mut question).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}").unwrap();
        question
    });
    let set_aside = "Cilium's exclusive mode has set Multus' configuration aside: 00-multus.conf.cilium_bak";
    assert_eq!(looked(root.path(), Depth::Full), (Status::Warn, set_aside.into()));
    assert_eq!(agent.join().unwrap(), QUESTION);
    assert_eq!(looked(root.path(), Depth::Quick).1, "Cilium's agent has its socket");
    assert_eq!(
        looked(root.path(), Depth::Full).1,
        "nobody listens at /var/run/cilium/cilium.sock: Cilium's agent has ended"
    );
    put(root.path(), "etc/cni/net.d/10-multus.conf", r#"{"type": "multus"}"#);
    let (_, multus) = exclusive(&Node::at(root.path()), Path::new("/etc/cni/net.d"));
    assert_eq!(multus, None, "Multus is in use under another name");
}

#[test]
fn what_is_absurd_is_not_guessed_about() {
    let root = tempfile::tempdir().unwrap();
    let fifo = |path: &str| {
        let path = put(root.path(), path, "");
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    fifo("proc/sys/kernel/osrelease");
    fifo("var/run/cilium/deleteQueue");
    std::fs::create_dir_all(root.path().join("etc/cni/net.d/a.cilium_bak")).unwrap();
    std::os::unix::fs::symlink("b.cilium_bak", root.path().join("etc/cni/net.d/b.cilium_bak")).unwrap();
    std::os::unix::fs::symlink("cilium.sock", root.path().join("var/run/cilium/cilium.sock")).unwrap();
    let looped = "/var/run/cilium/cilium.sock: too many symbolic links encountered";
    assert_eq!(looked(root.path(), Depth::Full), (Status::Skipped, looped.into()));
    std::fs::remove_file(root.path().join("var/run/cilium/cilium.sock")).unwrap();
    put(root.path(), "var/run/cilium/cilium.sock", "a file");
    // To connect to what is no socket is refused as where nobody listens.
    assert_eq!(looked(root.path(), Depth::Full).0, Status::Fail);
}
