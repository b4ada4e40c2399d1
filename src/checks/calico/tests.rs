//! A node with Calico, in every state.

use super::*;
use crate::diagnosis::finding::Status;
use serde_json::json;

const KUBECONFIG: &str = "/etc/cni/net.d/calico-kubeconfig";

fn there(content: &str) -> Stands {
    Stands::There(content.to_owned())
}

fn kubeconfig(state: Stands, age: u64) -> Kubeconfig {
    Kubeconfig { path: KUBECONFIG.to_owned(), state, age: Some(Duration::from_secs(age)) }
}

/// {"iat":1000,"exp":87400}, without a signature that anybody could use.
const TOKEN: &str = "token: e30.eyJpYXQiOjEwMDAsImV4cCI6ODc0MDB9.x";

fn healthy() -> Facts {
    Facts {
        nodename: there("node-1"),
        nodename_is_optional: false,
        mtu: Some(there("1450")),
        kubeconfig: Some(kubeconfig(there(TOKEN), 60)),
        lock_holder: None,
        agents: Some(4),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(50_000),
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> (Status, Option<Cause>, String) {
    let mut facts = healthy();
    change(&mut facts);
    let finding = judge(&facts);
    (finding.status, finding.cause, finding.summary)
}

const WELL: &str = "what calico-node leaves for the plugin is there";

#[test]
fn states_of_the_files() {
    let agent = Some(Cause::AgentUnreachable);
    let missing = Some(Cause::KubeconfigMissing);
    let table = [
        (with(|_| {}), Status::Ok, None, WELL),
        (
            with(|facts| facts.nodename = Stands::Missing),
            Status::Fail,
            agent,
            "/var/lib/calico/nodename is missing",
        ),
        (
            with(|facts| (facts.nodename, facts.agents) = (Stands::Missing, Some(0))),
            Status::Fail,
            agent,
            "/var/lib/calico/nodename is missing, and calico-node does not run",
        ),
        (
            with(|facts| (facts.nodename, facts.nodename_is_optional) = (Stands::Missing, true)),
            Status::Ok,
            None,
            WELL,
        ),
        (
            with(|facts| facts.nodename = there("")),
            Status::Warn,
            Some(Cause::ApiObjectMissing),
            "/var/lib/calico/nodename is empty: the plugin takes the host's name for the node's",
        ),
        (with(|facts| facts.nodename = Stands::Unreadable("why".into())), Status::Skipped, None, "why"),
        (
            with(|facts| facts.kubeconfig = Some(kubeconfig(Stands::Missing, 0))),
            Status::Fail,
            missing,
            "/etc/cni/net.d/calico-kubeconfig is missing",
        ),
        (
            with(|facts| facts.kubeconfig = Some(kubeconfig(there(" "), 0))),
            Status::Fail,
            missing,
            "/etc/cni/net.d/calico-kubeconfig is empty",
        ),
        (with(|facts| facts.kubeconfig = None), Status::Ok, None, WELL),
        (
            with(|facts| facts.mtu = Some(there("large"))),
            Status::Fail,
            Some(Cause::FilesystemBroken),
            "/var/lib/calico/mtu holds no number",
        ),
        (with(|facts| facts.mtu = Some(Stands::Missing)), Status::Ok, None, WELL),
    ];
    for (found, status, cause, summary) in table {
        assert_eq!(found, (status, cause, summary.to_owned()));
    }
}

#[test]
fn a_token_outlives_its_kubeconfig_or_not() {
    let denied = Some(Cause::ApiserverDenied);
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let opaque = |age| with(|facts| facts.kubeconfig = Some(kubeconfig(there("token: opaque"), age)));
    let table = [
        (
            with(|facts| {
                facts.now = at(98_200);
                facts.kubeconfig.as_mut().unwrap().age = Some(Duration::from_hours(27));
            }),
            Status::Fail,
            denied,
            "the token in /etc/cni/net.d/calico-kubeconfig expired 3 h ago, it was written 27 h ago",
        ),
        (
            with(|facts| facts.now = at(0)),
            Status::Fail,
            denied,
            "the token in /etc/cni/net.d/calico-kubeconfig is valid only in 16 min: this node's clock is behind",
        ),
        (
            opaque(100_000),
            Status::Warn,
            denied,
            "/etc/cni/net.d/calico-kubeconfig was written 27 h ago, and its token does not tell how long it is valid: \
             calico-node's are for 24 h",
        ),
        (opaque(80_000), Status::Ok, None, WELL),
        (
            with(|facts| facts.kubeconfig = Some(kubeconfig(there("clusters: []"), 1_000_000))),
            Status::Ok,
            None,
            WELL,
        ),
    ];
    for (found, status, cause, summary) in table {
        assert_eq!(found, (status, cause, summary.to_owned()));
    }
}

#[test]
fn an_agent_that_does_not_run_and_a_lock_that_is_held_long_are_warnings() {
    let held = |seconds| {
        Some(Holder { shown: "calico-ipam (pid 7)".into(), age: Some(Duration::from_secs(seconds)) })
    };
    let table = [
        (
            with(|facts| facts.agents = Some(0)),
            Status::Warn,
            Some(Cause::AgentUnreachable),
            "calico-node does not run on this node: nobody connects what the plugin makes",
        ),
        (with(|facts| facts.agents = None), Status::Ok, None, WELL),
        (with(|facts| facts.lock_holder = held(1)), Status::Ok, None, WELL),
        (
            with(|facts| facts.lock_holder = held(60)),
            Status::Warn,
            Some(Cause::PluginTimeout),
            "IPAM's lock /var/run/calico/ipam.lock is held by a process that runs since 60 s",
        ),
    ];
    for (found, status, cause, summary) in table {
        assert_eq!(found, (status, cause, summary.to_owned()));
    }
    let finding = judge(&Facts { lock_holder: held(60), ..healthy() });
    assert_eq!(finding.evidence["ipam_lock_holder"], json!("calico-ipam (pid 7)"));
}

fn subject() -> Subject {
    let config = json!({
        "name": "k8s", "type": "calico", "ipam": {"type": "calico-ipam"}, "kubernetes": {"kubeconfig": KUBECONFIG},
    });
    Subject { plugin: "calico".into(), config, ..Subject::default() }
}

fn looked(put: impl FnOnce(&Path)) -> Finding {
    let root = tempfile::tempdir().unwrap();
    for folder in ["var/lib/calico", "etc/cni/net.d"] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    std::fs::write(root.path().join("var/lib/calico/nodename"), "node-1").unwrap();
    std::fs::write(root.path().join("etc/cni/net.d/calico-kubeconfig"), "token: opaque").unwrap();
    put(root.path());
    assert!(fits(&subject()));
    look(&Node::at(root.path()), &subject(), Depth::Full)
}

#[test]
fn files_are_read_below_the_root_and_the_token_stays_there() {
    let finding = looked(|_| {});
    assert_eq!((finding.status, finding.summary.as_str()), (Status::Ok, WELL));
    let finding = looked(|root| {
        std::fs::write(root.join("etc/cni/net.d/calico-kubeconfig"), TOKEN).unwrap();
    });
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::ApiserverDenied)));
    assert!(!serde_json::to_string(&finding).unwrap().contains("eyJpYXQi"));
}

#[test]
fn what_stands_in_place_of_the_files_is_skipped_with_the_reason() {
    let nodename = "var/lib/calico/nodename";
    let replaced = |put: &dyn Fn(&Path)| {
        let finding = looked(|root| {
            std::fs::remove_file(root.join(nodename)).unwrap();
            put(&root.join(nodename));
        });
        (finding.status, finding.summary)
    };
    let table = [
        (replaced(&|path| std::fs::create_dir(path).unwrap()), "is a folder, expected a regular file"),
        (
            replaced(&|path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap()),
            "is a FIFO, expected a regular file",
        ),
        (
            replaced(&|path| std::os::unix::fs::symlink("nodename", path).unwrap()),
            "too many symbolic links encountered",
        ),
        (
            replaced(&|path| std::fs::write(path, vec![b'x'; 2 << 20]).unwrap()),
            "is larger than 1048576 bytes",
        ),
    ];
    for (found, why) in table {
        assert_eq!(found, (Status::Skipped, format!("/{nodename}: {why}")));
    }
}

#[test]
fn a_processes_folder_of_another_root_tells_whether_the_agent_runs() {
    let stat = |name: &str| format!("7 ({name}) S 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2");
    let with_process = |name: &str| {
        looked(|root| {
            std::fs::create_dir_all(root.join("proc/7")).unwrap();
            std::fs::write(root.join("proc/7/stat"), stat(name)).unwrap();
        })
    };
    assert_eq!(with_process("calico-node").status, Status::Ok);
    assert_eq!(with_process("kubelet").cause, Some(Cause::AgentUnreachable));
}
