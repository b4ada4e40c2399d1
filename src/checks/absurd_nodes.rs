//! Every check of the table, on nodes whose files are not what they should be: whatever a check asks for is missing, or is
//! there as something else. No check panics or hangs, and none says that calls fail unless that very file makes them fail.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::Mode;
use serde_json::{Value, json};

use super::subject::{Origin, Subject};
use super::{Check, Depth, TABLE, run};
use crate::cni::environment::Verb;
use crate::diagnosis::finding::{Finding, Status};
use crate::node::files::asked;
use crate::node::links::Link;
use crate::node::{Node, bounded};

/// More than any check takes on a noisy machine.
const LIMIT: Duration = Duration::from_mins(1);
/// A check that reads one file may ask for another one then.
const ROUNDS: usize = 3;

/// What stands where a check looks.
type Put = fn(&Path);

const FILES: [(&str, Put); 9] = [
    ("nothing", |_| {}),
    ("a FIFO", |path| nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap()),
    ("a folder", |path| fs::create_dir(path).unwrap()),
    ("a link to itself", |path| symlink(path.file_name().unwrap(), path).unwrap()),
    ("a link out of the root", |path| symlink("/../../../../../../../../etc/passwd", path).unwrap()),
    ("an empty file", |path| fs::write(path, "").unwrap()),
    ("bytes", |path| fs::write(path, [0, 0xff, b'\n', 0x80, b'=', b':'].repeat(3000)).unwrap()),
    ("gigabytes", |path| fs::File::create(path).unwrap().set_len(8 << 30).unwrap()),
    ("brackets and large numbers", |path| {
        let text = format!("99999999999999999999 -1 0x\n{}\n[=\n", "[{\"a\":".repeat(5000));
        fs::write(path, text).unwrap();
    }),
];

/// A call or an entry for every check to fit.
pub(super) fn subjects() -> Vec<Subject> {
    let addresses =
        || json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]});
    let of = |plugin: &str, config: Value| Subject {
        plugin: plugin.into(),
        folders: vec!["/opt/cni/bin".into()],
        config,
        container_id: "abc".into(),
        netns: "/run/netns/abc".into(),
        ifname: "eth0".into(),
        ..Subject::default()
    };
    let version = "1.0.0";
    let calico = json!({
        "cniVersion": version, "name": "k8s", "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"},
        "ipam": {"type": "calico-ipam"},
    });
    let result = json!({
        "cniVersion": version, "interfaces": [{"name": "eth0", "sandbox": "/run/netns/abc"}],
        "ips": [{"address": "10.1.0.2/24", "interface": 0}],
    });
    let calls = vec![
        of(
            "bridge",
            json!({"cniVersion": version, "name": "a", "isGateway": true, "ipMasq": true, "ipam": addresses()}),
        ),
        of("flannel", json!({"cniVersion": version, "name": "b"})),
        of("calico", calico.clone()),
        Subject { verb: Verb::Del, ..of("calico", calico) },
        of("cilium-cni", json!({"cniVersion": version, "name": "c"})),
        of("macvlan", json!({"cniVersion": version, "name": "d", "ipam": {"type": "dhcp"}})),
        of("portmap", json!({"cniVersion": version, "name": "e", "prevResult": result})),
        of("tuning", json!({"cniVersion": version, "name": "f", "sysctl": {"net.core.somaxconn": "1"}})),
        of(
            "multus",
            json!({"cniVersion": version, "name": "g", "kubeconfig": "/etc/cni/net.d/multus.kubeconfig"}),
        ),
    ];
    // What is not a call is not looked at in another way by every check.
    let entries: Vec<Subject> = calls
        .iter()
        .filter(|call| matches!(call.plugin.as_str(), "bridge" | "cilium-cni"))
        .map(|call| Subject {
            origin: Origin::Entry { file: "/etc/cni/net.d/10-a.conflist".into(), is_wrapped: true },
            container_id: String::new(),
            netns: PathBuf::new(),
            ..call.clone()
        })
        .collect();
    let node = Subject { origin: Origin::Node { conf_dir: "/etc/cni/net.d".into() }, ..Subject::default() };
    calls.into_iter().chain(entries).chain([node]).collect()
}

/// Puts something at every path. What is deeper comes first or last: a folder that is asked for holds files that are asked for.
fn put(root: &Path, paths: &BTreeSet<PathBuf>, file: Put, deep_first: bool) {
    let mut paths: Vec<&PathBuf> = paths.iter().collect();
    paths.sort_by_key(|path| path.components().count());
    if deep_first {
        paths.reverse();
    }
    for path in paths {
        let path = root.join(path.strip_prefix("/").unwrap());
        let is_place = path.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok());
        if is_place && path.symlink_metadata().is_err() && path.file_name().is_some() {
            file(&path);
        }
    }
}

/// What the check says, and what it asked for.
pub(super) fn looked(
    check: &'static Check,
    node: &Node,
    subject: &Subject,
    depth: Depth,
) -> (Finding, BTreeSet<PathBuf>) {
    let (node, of) = (node.clone(), subject.clone());
    let done = bounded::run(LIMIT, move || {
        asked::taken();
        (run(check, &node, &of, depth), asked::taken())
    });
    done.unwrap_or_else(|| panic!("{} hangs: {subject:?}", check.name))
}

/// The checks that said that calls fail, for one kind of file.
fn failing(file: Put, deep_first: bool) -> BTreeSet<String> {
    let mut failing = BTreeSet::new();
    let subjects = subjects();
    for check in TABLE {
        let mut fitting: Vec<&Subject> = subjects.iter().filter(|subject| (check.fits)(subject)).collect();
        assert!(!fitting.is_empty(), "{} fits no subject of this test", check.name);
        // What looks at every subject looks at the node.
        if fitting.len() == subjects.len() {
            fitting.drain(1..subjects.len() - 1);
        }
        let depths: &[Depth] = if check.before { &[Depth::Quick, Depth::Full] } else { &[Depth::Full] };
        for subject in fitting {
            let root = tempfile::tempdir().unwrap();
            let node = Node::at(root.path()).with_links(&[Link::default()]);
            for _ in 0..ROUNDS {
                for depth in depths {
                    let (finding, paths) = looked(check, &node, subject, *depth);
                    assert!(
                        !finding.summary.contains("please report it"),
                        "{} panics: {subject:?}",
                        check.name
                    );
                    assert!(finding.summary.len() < 2000, "{}: {}", check.name, finding.summary.len());
                    if finding.status == Status::Fail {
                        failing.insert(format!("{}: {}", check.name, finding.summary));
                    }
                    put(root.path(), &paths, file, deep_first);
                }
            }
        }
    }
    failing
}

/// What calls do fail of: that a file is not there, or is not what it has to be.
const FAULTS: [&str; 13] = [
    "apiserver: /etc/cni/net.d/calico-kubeconfig does not exist",
    "apiserver: /etc/cni/net.d/multus.kubeconfig does not exist",
    "calico: /etc/cni/net.d/calico-kubeconfig is ",
    "calico: /var/lib/calico/mtu holds no number",
    "calico: /var/lib/calico/nodename is missing",
    "cilium: Cilium's agent has no socket /var/run/cilium/cilium.sock",
    "cilium: nobody listens at /var/run/cilium/cilium.sock: ",
    "config: /etc/cni/net.d",
    "flannel: /run/flannel/subnet.env is ",
    "netns: /run/netns/abc does not exist",
    "plugin-binary: ",
    "sysctl: the kernel has no parameter net.core.somaxconn, which the configuration sets",
    "sysctl: the network has IPv6 addresses, but this kernel runs without IPv6",
];

#[test]
fn no_file_that_is_missing_or_absurd_makes_a_check_panic_hang_or_say_more_than_it_knows() {
    let mut all = BTreeSet::new();
    std::thread::scope(|scope| {
        let kinds = FILES.iter().flat_map(|(what, file)| [(what, file, true), (what, file, false)]);
        // What is no folder in the place of a folder is alike, whatever it is.
        let kinds = kinds.filter(|(what, _, deep_first)| *deep_first || matches!(**what, "a FIFO" | "bytes"));
        let looking: Vec<_> =
            kinds.map(|(_, file, deep_first)| scope.spawn(move || failing(*file, deep_first))).collect();
        for kind in looking {
            all.extend(kind.join().unwrap());
        }
    });
    for said in all {
        assert!(FAULTS.iter().any(|fault| said.starts_with(fault)), "{said}");
    }
}
