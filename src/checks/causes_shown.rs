//! Every cause that a node can show is told by a check of a node that shows it, made of files and links.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::named_cases::OF_THE_FUTURE;
use super::subject::{Origin, Subject};
use super::{Depth, TABLE, run};
use crate::diagnosis::catalogue::{Cause, entries};
use crate::diagnosis::finding::Status;
use crate::node::Node;
use crate::node::links::Link;

/// Causes that no check tells, and why: what shows them is the plugin's text alone.
const OF_TEXTS: [(Cause, &str); 9] = [
    (Cause::PluginCrashed, "what a process died of is gone with it"),
    (Cause::IpamAddressTaken, "who answers for an address is on another machine"),
    (Cause::IpamPoolMissing, "the pools are objects in the cluster, which are not read"),
    (Cause::LinkBusy, "it passes with the change that is under way"),
    (Cause::PortConflict, "the port is asked for in the call, and free before and after it"),
    (Cause::DeviceUnavailable, "which device is allocated only the device plugin knows"),
    (Cause::PermissionDenied, "what the plugin may do is not what this process may do"),
    (Cause::CloudApiFailed, "the cloud's API is asked with credentials that the node does not have"),
    (Cause::Unknown, "it is none"),
];

/// Causes that a check tells of what no file can hold, and the tests in which it does.
const OF_THE_KERNEL: [(Cause, &str); 2] = [
    (Cause::DiskFull, "a file system's free space: src/checks/disk.rs"),
    (Cause::CniVersionMismatch, "what a plugin answers that is started: src/checks/cni_version.rs"),
];

/// What stands on a node.
type Make = fn(&Path);

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A lock on a file that process 7 holds since the node was started.
fn hold(root: &Path, path: &str) {
    put(root, path, "");
    let file = fs::metadata(root.join(path)).unwrap();
    let (major, minor) = (nix::libc::major(file.dev()), nix::libc::minor(file.dev()));
    let lock = format!("1: FLOCK  ADVISORY  WRITE 7 {major:02x}:{minor:02x}:{} 0 EOF\n", file.ino());
    put(root, "proc/locks", &lock);
    put(root, "proc/uptime", "1000.00 0.00\n");
    process(root, 7, "calico-node");
}

fn process(root: &Path, pid: u32, name: &str) {
    put(root, &format!("proc/{pid}/stat"), &format!("{pid} ({name}) S 0{}", " 0".repeat(18)));
}

/// A socket, and who gives this answer to the first question.
fn listen(root: &Path, path: &str, answer: &'static str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let mut client = listener.accept().unwrap().0;
        let _ = client.read(&mut [0; 4096]);
        let _ = client.write_all(answer.as_bytes());
    });
}

fn pool(root: &Path, container: &str) {
    for last in 2..7 {
        put(root, &format!("var/lib/cni/networks/n/10.9.0.{last}"), container);
    }
}

const NOTHING: Make = |_| {};
const CILIUM: &str = "var/run/cilium/cilium.sock";
const SUBNET: &str =
    "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/// What a bridge's configuration has.
fn gateway(subnet: &str) -> Value {
    json!({"bridge": "br0", "isGateway": true, "ipam": {"type": "host-local", "subnet": subnet}})
}

/// A cause, the check that tells it, the plugin and what its configuration has, and what stands on the node.
fn nodes() -> Vec<(Cause, &'static str, &'static str, Value, Make)> {
    let calico = || json!({"ipam": {"type": "calico-ipam"}, "kubernetes": {"kubeconfig": "/k"}});
    vec![
        (Cause::PluginNotFound, "plugin-binary", "bridge", json!({}), NOTHING),
        (Cause::PluginNotExecutable, "plugin-binary", "bridge", json!({}), |root| {
            put(root, "opt/cni/bin/bridge", "");
        }),
        (Cause::PluginTimeout, "calico", "calico", json!({}), |root| {
            put(root, "var/lib/calico/nodename", "a");
            hold(root, "var/run/calico/ipam.lock");
        }),
        (Cause::NetworkNotReady, "config", "", Value::Null, |root| {
            fs::create_dir_all(root.join("etc/cni/net.d")).unwrap();
        }),
        (Cause::ConfigInvalid, "config", "bridge", json!({"ipam": 7}), NOTHING),
        (
            Cause::ChainOrderWrong,
            "config",
            "portmap",
            json!({"capabilities": {"portMappings": true}}),
            NOTHING,
        ),
        (Cause::IpamExhausted, "ipam-pool", "bridge", gateway("10.9.0.0/29"), |root| pool(root, "a\r\neth0")),
        (Cause::IpamDuplicate, "ipam-pool", "bridge", gateway("10.9.0.0/29"), |root| {
            pool(root, "new\r\neth0");
        }),
        (Cause::IpamBackendUnavailable, "agent", "macvlan", json!({"ipam": {"type": "dhcp"}}), |root| {
            process(root, 1, "containerd");
        }),
        (Cause::BridgeAddressConflict, "bridge", "bridge", gateway("10.9.0.0/29"), NOTHING),
        (Cause::BridgeWrongKind, "bridge", "bridge", json!({"bridge": "eth0"}), NOTHING),
        (Cause::InterfaceExists, "leftovers", "bridge", json!({}), |root| process(root, 1, "containerd")),
        (Cause::InterfaceMissing, "overlay", "", Value::Null, NOTHING),
        (Cause::RouteConflict, "cidr", "bridge", gateway("192.168.7.0/24"), NOTHING),
        (Cause::MtuInvalid, "flannel", "flannel", json!({"delegate": {"mtu": 9000}}), |root| {
            put(root, "run/flannel/subnet.env", SUBNET);
        }),
        (Cause::SubnetEnvMissing, "flannel", "flannel", json!({}), NOTHING),
        (Cause::AgentUnreachable, "cilium", "cilium-cni", json!({}), NOTHING),
        (Cause::AgentRefused, "cilium", "cilium-cni", json!({}), |root| {
            listen(root, CILIUM, "HTTP/1.1 500 Oh\r\n\r\n");
        }),
        (Cause::BpfFailed, "cilium", "cilium-cni", json!({}), |root| {
            fs::create_dir_all(root.join("sys/fs/bpf")).unwrap();
            listen(root, CILIUM, "HTTP/1.1 200 OK\r\n\r\n{}");
        }),
        (Cause::ApiserverUnreachable, "cidr", "bridge", gateway("10.96.1.0/24"), |root| {
            let manifest = "    - --service-cluster-ip-range=10.96.0.0/16\n";
            put(root, "etc/kubernetes/manifests/kube-apiserver.yaml", manifest);
        }),
        (Cause::ApiserverDenied, "calico", "calico", calico(), |root| {
            put(root, "var/lib/calico/nodename", "a");
            // {"exp": 1}
            put(root, "k", "users:\n- user:\n    token: e30.eyJleHAiOjF9.e30\n");
        }),
        (Cause::CertificateInvalid, "clock", "calico", calico(), |root| {
            put(root, "k", &format!("users:\n- user:\n    client-certificate-data: {OF_THE_FUTURE}\n"));
        }),
        (Cause::KubeconfigMissing, "calico", "calico", calico(), |root| {
            put(root, "var/lib/calico/nodename", "a");
        }),
        (Cause::ApiObjectMissing, "calico", "calico", json!({}), |root| {
            put(root, "var/lib/calico/nodename", "");
        }),
        (Cause::FilesystemBroken, "calico", "calico", json!({}), |root| {
            put(root, "var/lib/calico/nodename", "a");
            put(root, "var/lib/calico/mtu", "");
        }),
        (Cause::IptablesLock, "iptables", "portmap", json!({}), |root| hold(root, "run/xtables.lock")),
        (Cause::IptablesFailed, "iptables", "portmap", json!({}), NOTHING),
        (Cause::ConntrackFailed, "conntrack", "bridge", json!({}), |root| {
            put(root, "proc/sys/net/netfilter/nf_conntrack_count", "9");
            put(root, "proc/sys/net/netfilter/nf_conntrack_max", "9");
        }),
        (Cause::SysctlFailed, "sysctl", "tuning", json!({"sysctl": {"net.core.none": "1"}}), |root| {
            put(root, "proc/sys/net/ipv4/ip_forward", "1");
        }),
        (Cause::NetnsGone, "netns", "bridge", json!({}), NOTHING),
        (Cause::KernelUnsupported, "kernel", "flannel", json!({}), |root| {
            put(root, "proc/sys/kernel/osrelease", "5.1.0");
            put(root, "proc/modules", "");
            put(root, "lib/modules/6.1.0/modules.dep", "");
        }),
        (Cause::ResourceLimit, "limits", "bridge", json!({}), |root| {
            put(root, "proc/loadavg", "0.1 0.1 0.1 1/9 9");
            put(root, "proc/sys/kernel/pid_max", "9");
            put(root, "proc/sys/kernel/threads-max", "9");
        }),
        (Cause::RuntimeFailed, "runtime", "bridge", json!({}), |root| {
            fs::create_dir_all(root.join("run/containerd")).unwrap();
            drop(UnixListener::bind(root.join("run/containerd/containerd.sock")).unwrap());
        }),
    ]
}

/// An interface to the outside, a bridge of others, a veth that nobody has, and two tunnels, one of which is down.
fn links() -> Vec<Link> {
    let link = |index, name: &str, kind: &str, address: Option<&str>| Link {
        index,
        name: name.into(),
        kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        up: name != "vxlan.calico",
        carrier: true,
        mtu: 1500,
        addresses: address.iter().map(|address| address.parse().unwrap()).collect(),
        ..Link::default()
    };
    vec![
        link(2, "eth0", "", Some("192.168.7.5/24")),
        link(3, "br0", "bridge", Some("172.16.0.1/24")),
        link(4, "veth0a1b2c3d", "veth", None),
        link(5, "flannel.1", "vxlan", Some("10.244.1.0/32")),
        link(6, "vxlan.calico", "vxlan", None),
    ]
}

#[test]
fn every_cause_that_a_node_can_show_is_told_by_a_check() {
    let mut told: BTreeSet<Cause> = OF_TEXTS.iter().chain(&OF_THE_KERNEL).map(|(cause, _)| *cause).collect();
    let mut missing = Vec::new();
    for (cause, name, plugin, config, make) in nodes() {
        let root = tempfile::tempdir().unwrap();
        make(root.path());
        let origin = match plugin {
            "" => Origin::Node { conf_dir: PathBuf::from("/etc/cni/net.d") },
            _ => Origin::Call,
        };
        let mut config = config;
        if let Some(config) = config.as_object_mut() {
            config.extend([("cniVersion".into(), "1.0.0".into()), ("name".into(), "n".into())]);
            config.insert("type".into(), plugin.into());
        }
        let subject = Subject {
            origin,
            plugin: plugin.into(),
            folders: vec!["/opt/cni/bin".into()],
            config,
            container_id: "new".into(),
            netns: "/run/netns/new".into(),
            ifname: "eth0".into(),
            ..Subject::default()
        };
        let check = TABLE.iter().find(|check| check.name == name).unwrap();
        assert!((check.fits)(&subject), "{name} does not fit the node of {cause}");
        let node = Node::at(root.path()).with_links(&links());
        let finding = run(check, &node, &subject, Depth::Full);
        let is_wrong = matches!(finding.status, Status::Warn | Status::Fail);
        if !is_wrong || finding.cause != Some(cause) || !cause.entry().checks.contains(&name) {
            missing.push(format!("{cause} by {name}: {finding:?}"));
        }
        assert!(told.insert(cause), "{cause} is there twice, or is said not to be told");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    let all: BTreeSet<Cause> = entries().map(|entry| entry.cause).collect();
    assert_eq!(told, all);
}
