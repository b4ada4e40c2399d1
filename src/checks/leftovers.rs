//! `leftovers`: what sandboxes that are gone have left: files of network namespaces, veths, cached results, addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::links::Link;
use crate::node::named_netns::NamedNetns;
use crate::node::netns::Netns;

/// libcni's cache.
const RESULTS: &str = "/var/lib/cni/results";
/// host-local's pools.
const POOLS: &str = "/var/lib/cni/networks";
/// The most files of each that are looked at.
const MAX_FILES: usize = 1 << 16;
/// How many of each a record names.
const NAMED: usize = 16;
/// What is younger may belong to a sandbox that is being made.
const YOUNG: Duration = Duration::from_mins(2);

/// How names begin that plugins make up, and how many hexadecimal digits come then: the bridge plugin's
/// (`pkg/ip/link_linux.go`), Calico's, Cilium's.
const MADE_UP: [(&str, usize); 3] = [("veth", 8), ("cali", 11), ("lxc", 12)];

/// What was found, each by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Leftovers {
    namespaces: Vec<String>,
    veths: Vec<String>,
    results: Vec<String>,
    addresses: Vec<String>,
    /// What could not be looked at.
    unseen: Vec<&'static str>,
}

/// Whether there is anything to look at: everywhere.
#[must_use]
pub fn fits(_: &Subject) -> bool {
    true
}

/// Looks for what is left.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let mut left = Leftovers::default();
    match node.named_netns().zip(node.netns_of_processes()) {
        Some((named, used)) => left.namespaces = namespaces(&named, &used, SystemTime::now()),
        None => left.unseen.push("network namespaces"),
    }
    match node.links() {
        Ok(links) => left.veths = veths(&links),
        Err(_) => left.unseen.push("veths"),
    }
    match held(node, subject) {
        Some((results, addresses)) => (left.results, left.addresses) = (results, addresses),
        None => left.unseen.push("cached results and addresses"),
    }
    judge(&left)
}

/// Files that the runtimes have made and that are no namespace any more, or one in which nobody is.
fn namespaces(named: &[NamedNetns], used: &BTreeSet<u64>, now: SystemTime) -> Vec<String> {
    let is_young =
        |one: &NamedNetns| one.made.is_none_or(|made| now.duration_since(made).is_ok_and(|age| age < YOUNG));
    let is_left = |one: &&NamedNetns| match (maker(&one.path), one.found) {
        (None, _) | (_, Netns::Missing | Netns::Unreadable(_)) => false,
        _ if is_young(one) => false,
        (Some(_), Netns::NotOne) => true,
        (Some(Maker::Containerd), Netns::Present { own }) => !own && !used.contains(&one.inode),
        // Its sandboxes need no process of their own: between two starts of its container, nobody is in one.
        (Some(Maker::Crio), Netns::Present { .. }) => false,
    };
    named.iter().filter(is_left).map(|one| one.path.display().to_string()).collect()
}

/// Who makes network namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// containerd, and Podman: `cni-<uuid>` or `netns-<uuid>`.
    Containerd,
    /// CRI-O: a UUID.
    Crio,
}

/// The runtime that gives such a name. Other names belong to people.
fn maker(path: &Path) -> Option<Maker> {
    let name = path.file_name()?.to_str()?;
    let id = name.strip_prefix("cni-").or(name.strip_prefix("netns-"));
    uuid::Uuid::try_parse(id.unwrap_or(name)).ok()?;
    Some(if id.is_some() { Maker::Containerd } else { Maker::Crio })
}

/// Ends of veths with names that plugins make up, whose other end is not in a sandbox but beside them.
///
/// A port of a bridge is none, wherever its other end is: the bridge plugin makes both at once, the other one in the sandbox
/// (`SetupVeth` in `pkg/ip/link_linux.go`), so a call that fails leaves none on the node. What does stand there like that is the
/// gateway of a VLAN (`ensureVlanInterface` in `plugins/main/bridge/bridge.go`), and it is in use.
fn veths(links: &[Link]) -> Vec<String> {
    let is_left = |link: &&Link| {
        link.is_veth()
            && is_made_up(&link.name)
            && !link.peer_is_elsewhere
            && link.controller.is_none()
            && !leads_to_a_vlans_gateway(link, links)
    };
    links.iter().filter(is_left).map(|link| link.name.clone()).collect()
}

fn is_made_up(name: &str) -> bool {
    MADE_UP.iter().any(|(prefix, digits)| {
        let rest = name.strip_prefix(prefix).filter(|rest| rest.len() == *digits);
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

/// Whether the other end is the gateway of a VLAN, `<bridge>.<VLAN>`. It was of no sandbox, also where its bridge is gone.
fn leads_to_a_vlans_gateway(link: &Link, links: &[Link]) -> bool {
    let other = links.iter().find(|other| Some(other.index) == link.lower);
    let vlan = other.and_then(|other| other.name.rsplit_once('.'));
    vlan.is_some_and(|(_, vlan)| vlan.parse::<u16>().is_ok())
}

/// The cached results and the addresses that are held for sandboxes that are gone. `None` if that cannot be told.
fn held(node: &Node, subject: &Subject) -> Option<(Vec<String>, Vec<String>)> {
    let mut holders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut hold = |network: &str, id: &str| {
        // The call that is being made is not over yet.
        if !id.is_empty() && id != subject.container_id {
            holders.entry(network.to_owned()).or_default().insert(id.to_owned());
        }
    };
    let results = cached(node);
    let addresses = reserved(node);
    for (_, network, id) in results.iter().chain(&addresses) {
        hold(network, id);
    }
    let mut gone = BTreeSet::new();
    for (network, ids) in holders {
        gone.extend(node.gone_sandboxes(&network, ids)?.into_iter().map(|id| (network.clone(), id)));
    }
    let of_gone = |all: Vec<(String, String, String)>| {
        all.into_iter()
            .filter_map(|(path, network, id)| gone.contains(&(network, id)).then_some(path))
            .collect()
    };
    Some((of_gone(results), of_gone(addresses)))
}

/// Each cached result: its file, its network, its container.
fn cached(node: &Node) -> Vec<(String, String, String)> {
    let names = node.list(Path::new(RESULTS), MAX_FILES).unwrap_or_default().names;
    let read = |name: &std::ffi::OsString| {
        let path = Path::new(RESULTS).join(name);
        let result: Value = serde_json::from_slice(&node.read(&path, 1 << 20).ok()?).ok()?;
        let text = |key: &str| result[key].as_str().map(str::to_owned);
        Some((path.display().to_string(), text("networkName")?, text("containerId")?))
    };
    names.iter().filter_map(read).collect()
}

/// Each reserved address: its file, its network, its container.
fn reserved(node: &Node) -> Vec<(String, String, String)> {
    let mut reserved = Vec::new();
    for network in node.list(Path::new(POOLS), 1024).unwrap_or_default().names {
        let folder: PathBuf = Path::new(POOLS).join(&network);
        for name in node.list(&folder, MAX_FILES).unwrap_or_default().names {
            let is_address = name.to_str().is_some_and(|name| name.parse::<std::net::IpAddr>().is_ok());
            let path = folder.join(&name);
            let Some(content) = is_address.then(|| node.read_start(&path, 4096).ok()).flatten() else {
                continue;
            };
            let content = String::from_utf8_lossy(&content).into_owned();
            let id = content.lines().next().unwrap_or_default().trim().to_owned();
            reserved.push((path.display().to_string(), network.to_string_lossy().into_owned(), id));
        }
    }
    reserved
}

fn judge(left: &Leftovers) -> Finding {
    let kinds = [
        ("network namespaces", &left.namespaces),
        ("veths", &left.veths),
        ("cached results", &left.results),
        ("addresses", &left.addresses),
    ];
    let counted: Vec<String> = kinds
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(kind, names)| format!("{} {kind}", names.len()))
        .collect();
    let mut finding = if !counted.is_empty() {
        Finding::warn(format!("sandboxes that are gone have left: {}", counted.join(", ")))
    } else if left.unseen.is_empty() {
        Finding::ok("nothing is left of sandboxes that are gone")
    } else {
        Finding::skipped(format!("cannot be seen: {}", left.unseen.join(", ")))
    };
    if let Some(veth) = left.veths.first() {
        finding = finding
            .explains(Cause::InterfaceExists)
            .fix(format!("destructive: when no Pod uses it, remove each: ip link delete {veth}"));
    }
    if let Some(path) = left.addresses.first() {
        finding = finding.fix(format!("release the addresses: remove their files, such as {path}"));
    }
    if let Some(path) = left.results.first() {
        finding = finding.fix(format!("run DEL for their containers, or remove the files, such as {path}"));
    }
    if let Some(path) = left.namespaces.first() {
        let name = Path::new(path).file_name().unwrap_or_default().display().to_string();
        finding =
            finding.fix(format!("destructive: when no sandbox uses it, remove each: ip netns delete {name}"));
    }
    finding.fix.sort_by_key(|fix| fix.starts_with(crate::diagnosis::catalogue::DESTRUCTIVE));
    for (kind, names) in kinds {
        if !names.is_empty() {
            let mut names = names.clone();
            names.sort_unstable();
            names.truncate(NAMED);
            finding = finding.with(&kind.replace(' ', "_"), names);
        }
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;

    #[test]
    fn what_is_left_is_counted_in_the_summary_and_named_in_the_evidence() {
        let left = Leftovers {
            namespaces: vec!["/run/netns/cni-1".into()],
            veths: vec!["vethb".into(), "vetha".into()],
            addresses: vec!["/var/lib/cni/networks/n/10.1.0.2".into()],
            ..Leftovers::default()
        };
        let finding = judge(&left);
        assert_eq!(
            (finding.status, finding.cause, finding.summary.as_str()),
            (
                Status::Warn,
                Some(Cause::InterfaceExists),
                "sandboxes that are gone have left: 1 network namespaces, 2 veths, 1 addresses"
            )
        );
        assert_eq!(
            json!(finding.evidence),
            json!({
                "network_namespaces": ["/run/netns/cni-1"], "veths": ["vetha", "vethb"],
                "addresses": ["/var/lib/cni/networks/n/10.1.0.2"],
            })
        );
        assert!(!finding.fix[0].starts_with("destructive") && finding.fix[2].starts_with("destructive"));
        assert_eq!(judge(&Leftovers::default()).status, Status::Ok);
        let unseen = Leftovers { unseen: vec!["veths"], ..Leftovers::default() };
        assert_eq!(judge(&unseen), Finding::skipped("cannot be seen: veths"));
    }

    #[test]
    fn namespaces_of_runtimes_in_which_nobody_is_are_left() {
        let id = "5f0c1e4a-7e63-4a58-9d2e-6a8f5b2a9c11";
        let one = |name: &str, found, inode| NamedNetns {
            path: Path::new("/run/netns").join(name),
            found,
            inode,
            made: Some(SystemTime::UNIX_EPOCH),
        };
        let present = Netns::Present { own: false };
        let young = NamedNetns { made: Some(SystemTime::now()), ..one(&format!("cni-{id}"), present, 9) };
        let table = [
            (one(&format!("cni-{id}"), present, 1), true),
            (one(&format!("cni-{id}"), present, 7), false),
            (one(&format!("cni-{id}"), Netns::NotOne, 1), true),
            (one(id, present, 1), false),
            (one(id, Netns::NotOne, 1), true),
            (one(&format!("netns-{id}"), present, 1), true),
            (one("mine", present, 1), false),
            (one(&format!("cni-{id}"), Netns::Present { own: true }, 1), false),
            (young, false),
        ];
        for (named, expected) in table {
            let found = namespaces(std::slice::from_ref(&named), &BTreeSet::from([7]), SystemTime::now());
            assert_eq!(!found.is_empty(), expected, "{named:?}");
        }
    }

    #[test]
    fn veths_whose_other_end_is_on_the_node_are_left() {
        let veth = |name: &str, peer_is_elsewhere| Link {
            name: name.into(),
            kind: Some("veth".into()),
            peer_is_elsewhere,
            ..Link::default()
        };
        let links = [
            veth("veth0a1b2c3d", false),
            veth("veth0a1b2c3e", true),
            veth("cali0a1b2c3d4e5", false),
            veth("lxc0a1b2c3d4e5f", false),
            veth("lxc_health", false),
            veth("cilium_host", false),
            veth("veth-mine", false),
            Link { kind: None, ..veth("veth0a1b2c3f", false) },
            Link { controller: Some(3), ..veth("veth0a1b2c30", false) },
            Link { index: 7, ..veth("cni0.100", false) },
            Link { lower: Some(7), ..veth("veth0a1b2c31", false) },
            veth("veth0a1b2c3", false),
            veth("veth0a1b2c3d4", false),
            veth("veth0a1b2c3x", false),
        ];
        assert_eq!(veths(&links), ["veth0a1b2c3d", "cali0a1b2c3d4e5", "lxc0a1b2c3d4e5f"]);
    }

    #[test]
    fn files_of_sandboxes_that_are_gone_are_left_and_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        put("proc/7/environ", "CNI_CONTAINERID=alive\0");
        put("var/lib/cni/networks/n/10.1.0.2", "gone\r\neth0");
        put("var/lib/cni/networks/n/10.1.0.3", "alive\r\neth0");
        put("var/lib/cni/networks/n/10.1.0.4", "calling\r\neth0");
        put("var/lib/cni/networks/n/last_reserved_ip.0", "10.1.0.4");
        let result =
            |id: &str| json!({"networkName": "n", "containerId": id, "netns": "/nowhere"}).to_string();
        put("var/lib/cni/results/n-gone-eth0", &result("gone"));
        put("var/lib/cni/results/n-alive-eth0", &result("alive"));
        put("var/lib/cni/results/junk", "\u{0}{");
        std::fs::create_dir(root.path().join("var/lib/cni/results/folder")).unwrap();
        nix::unistd::mkfifo(
            &root.path().join("var/lib/cni/networks/n/10.1.0.9"),
            nix::sys::stat::Mode::S_IRWXU,
        )
        .unwrap();
        let subject = Subject { container_id: "calling".into(), ..Subject::default() };
        let node = Node::at(root.path());
        assert_eq!(
            held(&node, &subject),
            Some((
                vec!["/var/lib/cni/results/n-gone-eth0".into()],
                vec!["/var/lib/cni/networks/n/10.1.0.2".into()]
            ))
        );
    }

    #[test]
    fn where_processes_cannot_be_seen_nothing_is_called_left() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/cni/networks/n")).unwrap();
        std::fs::write(root.path().join("var/lib/cni/networks/n/10.1.0.2"), "gone").unwrap();
        assert_eq!(held(&Node::at(root.path()), &Subject::default()), None);
    }
}
