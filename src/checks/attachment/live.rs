//! All live sandboxes of the node, by libcni's cache of results.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde_json::{Value, json};

use super::look_at;
use super::promise::Promise;
use crate::checks::credentials::base64;
use crate::checks::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::{Finding, Status};
use crate::install::conflist;
use crate::node::Node;
use crate::node::files::FileError;
use crate::node::netns::Netns;

/// libcni's cache: a file for every attachment that was added and not deleted.
const RESULTS: &str = "/var/lib/cni/results";
/// Kata's sandboxes: what is in their namespaces belongs to a virtual machine.
const MACHINES: &str = "/run/vc/sbs";
/// The most attachments that are looked at.
const MAX: usize = 4096;
/// How many of those that are not well a finding names.
const NAMED: usize = 16;

/// An attachment of a live sandbox.
struct Attachment {
    container_id: String,
    network: String,
    promise: Promise,
}

/// Looks at every live sandbox.
pub(super) fn look(node: &Node) -> Finding {
    let apart = apart(node);
    match (attachments(node, apart.is_none()), apart) {
        (Err(error), _) => Finding::skipped(error.to_string()),
        (Ok(attachments), Some(why)) if !attachments.is_empty() => Finding::skipped(why),
        (Ok(attachments), _) => judge(attachments.iter().map(|one| (one, found(node, one))).collect()),
    }
}

fn found(node: &Node, attachment: &Attachment) -> Finding {
    match node.netns(&attachment.promise.netns) {
        Netns::Unreadable(Errno::EXDEV) => Finding::skipped(
            "the sandbox's network namespace is not mounted below this root: mount the root with HostToContainer (rslave)",
        ),
        _ => look_at(node, &attachment.promise),
    }
}

/// Why the links that this process sees are not the node's. Of another node there may be the files only.
fn apart(node: &Node) -> Option<&'static str> {
    if !node.has_this_kernel() {
        return Some("below this root is not the node that runs here");
    }
    match node.has_this_network() {
        Some(true) => None,
        Some(false) => Some("this process is not in the network namespace of the node below this root"),
        None => Some("the network namespace of the first process below this root cannot be seen"),
    }
}

/// The attachments that libcni knows of, without those that cannot be judged, and on the node that runs `here` without those
/// that are gone.
fn attachments(node: &Node, here: bool) -> Result<Vec<Attachment>, FileError> {
    let mut names = match node.list(Path::new(RESULTS), MAX) {
        Ok(listing) => listing.names,
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => return Err(error),
    };
    names.sort_unstable();
    let read = |name: &OsString| {
        let cached = node.read(&Path::new(RESULTS).join(name), 1 << 20).ok()?;
        let read = attachment(node, &serde_json::from_slice(&cached).ok()?)?;
        (!here || is_live(node, &read.promise.netns)).then_some(read)
    };
    Ok(names.iter().filter_map(read).collect())
}

/// Whether a sandbox's namespace still is one, or may be: below another root than `/` its mount may not be seen. A sandbox in
/// the node's own namespace has no network of its own.
fn is_live(node: &Node, netns: &Path) -> bool {
    matches!(node.netns(netns), Netns::Present { own: false } | Netns::Unreadable(_))
}

/// One whose result names a link in a sandbox.
fn attachment(node: &Node, cached: &Value) -> Option<Attachment> {
    let text = |key: &str| cached[key].as_str().unwrap_or_default().to_owned();
    let container_id = text("containerId");
    if node.metadata(&Path::new(MACHINES).join(&container_id)).is_ok() {
        return None;
    }
    let (result, ifname) = (&cached["result"], text("ifName"));
    let of_it = |interface: &&Value| interface["name"] == ifname;
    let named = result["interfaces"].as_array()?.iter().find(of_it)?["sandbox"].as_str()?;
    let netns = PathBuf::from(named);
    let promise = Promise::of(result, &netns, bridge(&text("config")));
    (!promise.interfaces.is_empty()).then(|| Attachment {
        container_id,
        network: text("networkName"),
        promise,
    })
}

/// The bridge of the network: libcni keeps the configuration in base64.
fn bridge(config: &str) -> Option<String> {
    let config = base64(config)?;
    let config: Value = serde_json::from_slice(&conflist::unwrap(&config).unwrap_or(config)).ok()?;
    let entries = config["plugins"].as_array().map_or(std::slice::from_ref(&config), Vec::as_slice);
    let of_entry = |entry: &Value| {
        let plugin = entry["type"].as_str().unwrap_or_default().to_owned();
        Subject { plugin, config: entry.clone(), ..Subject::default() }.bridge()
    };
    entries.iter().find_map(of_entry)
}

/// One finding of all: the worst, with the cause that most of those have that are not well.
fn judge(found: Vec<(&Attachment, Finding)>) -> Finding {
    let all = found.len();
    if all == 0 {
        return Finding::ok("there is no live sandbox whose result names a link");
    }
    let skipped = found.iter().filter(|(_, finding)| finding.status == Status::Skipped).count();
    let faults: Vec<&(&Attachment, Finding)> =
        found.iter().filter(|(_, finding)| finding.status == Status::Fail).collect();
    if faults.is_empty() {
        return match found.into_iter().find(|(_, finding)| finding.status == Status::Skipped) {
            Some((_, finding)) if skipped == all => finding,
            _ => Finding::ok(format!("{} live attachments are what their results promise", all - skipped)),
        };
    }
    let mut causes: BTreeMap<Cause, usize> = BTreeMap::new();
    for cause in faults.iter().filter_map(|(_, finding)| finding.cause) {
        *causes.entry(cause).or_default() += 1;
    }
    let usual = causes.into_iter().max_by_key(|(_, count)| *count).map_or(Cause::Unknown, |(cause, _)| cause);
    let first = faults.iter().find(|(_, finding)| finding.cause == Some(usual)).map(|(_, finding)| finding);
    let summary = first.map(|finding| finding.summary.clone()).unwrap_or_default();
    let named: Vec<Value> = faults
        .iter()
        .take(NAMED)
        .map(|(one, finding)| {
            json!({
                "container_id": one.container_id, "network": one.network, "netns": one.promise.netns,
                "summary": finding.summary,
            })
        })
        .collect();
    let counted = format!("{} of {all} live attachments do not work; {summary}", faults.len());
    let mut finding = Finding::fail(usual, counted).with("attachments", named);
    finding.fix = first.map(|finding| finding.fix.clone()).unwrap_or_default();
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str) -> Attachment {
        Attachment { container_id: id.into(), network: "n".into(), promise: Promise::default() }
    }

    #[test]
    fn many_attachments_are_one_finding_of_the_usual_cause() {
        let (a, b, c) = (one("a"), one("b"), one("c"));
        let off = || Finding::fail(Cause::SysctlFailed, "forwarding is off").fix("turn it on");
        let gone = Finding::fail(Cause::InterfaceMissing, "eth0 is gone").fix("delete the Pod");
        assert_eq!(
            judge(vec![
                (&a, gone),
                (&b, off()),
                (&c, off()),
                (&a, Finding::ok("")),
                (&b, Finding::skipped("late"))
            ]),
            Finding::fail(Cause::SysctlFailed, "3 of 5 live attachments do not work; forwarding is off")
                .fix("turn it on")
                .with(
                    "attachments",
                    json!([
                        {"container_id": "a", "network": "n", "netns": "", "summary": "eth0 is gone"},
                        {"container_id": "b", "network": "n", "netns": "", "summary": "forwarding is off"},
                        {"container_id": "c", "network": "n", "netns": "", "summary": "forwarding is off"},
                    ])
                )
        );
        let well = vec![(&a, Finding::ok("")), (&b, Finding::skipped("late"))];
        assert_eq!(judge(well), Finding::ok("1 live attachments are what their results promise"));
        assert_eq!(judge(vec![(&b, Finding::skipped("late"))]), Finding::skipped("late"));
        assert_eq!(judge(Vec::new()), Finding::ok("there is no live sandbox whose result names a link"));
    }

    fn cached(id: &str, netns: &str) -> Value {
        let interfaces = json!([{"name": "eth0", "sandbox": netns}]);
        json!({"containerId": id, "ifName": "eth0", "result": {"interfaces": interfaces}})
    }

    #[test]
    fn a_sandbox_that_is_gone_or_has_the_nodes_own_namespace_is_not_looked_at() {
        for netns in ["/nowhere/ns", "/proc/thread-self/ns/net", "/dev/null"] {
            assert!(!is_live(&Node::this(), Path::new(netns)), "{netns}");
        }
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("ns"), "").unwrap();
        let node = Node::at(root.path());
        assert!(is_live(&node, Path::new("/ns")), "what is not mounted here may be a namespace there");
        assert!(!is_live(&node, Path::new("/nowhere")));
    }

    #[test]
    fn absurd_files_and_virtual_machines_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(look(&node), Finding::ok("there is no live sandbox whose result names a link"));
        let folder = root.path().join(RESULTS.trim_start_matches('/'));
        std::fs::create_dir_all(folder.join("folder")).unwrap();
        std::fs::create_dir_all(root.path().join("run/vc/sbs/machine")).unwrap();
        let put = |name: &str, content: &str| std::fs::write(folder.join(name), content).unwrap();
        put("machine", &cached("machine", "/run/netns/m").to_string());
        put("junk", "\u{0}{");
        put("other", r#"{"result": {"interfaces": [{"name": 7}]}, "ifName": 7}"#);
        std::fs::File::create(folder.join("huge")).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
        nix::unistd::mkfifo(&folder.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(look(&node), Finding::ok("there is no live sandbox whose result names a link"));
        put("one", &cached("c", "/run/netns/c").to_string());
        let expected = Finding::skipped("below this root is not the node that runs here");
        assert_eq!(look(&node), expected);
        std::fs::remove_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink("results", &folder).unwrap();
        assert_eq!(look(&node).status, Status::Skipped, "a loop in the folder's place");
    }

    #[test]
    fn the_bridge_is_read_from_the_cached_configuration() {
        // {"name":"n","plugins":[{"type":"cniscope","cniscope":{"wraps":"bridge"},"bridge":"br7"}]}
        let config = "eyJuYW1lIjoibiIsInBsdWdpbnMiOlt7InR5cGUiOiJjbmlzY29wZSIsImNuaXNjb3BlIjp7IndyYXBzIjoiYnJpZGdlIn0sImJyaWRnZSI6ImJyNyJ9XX0=";
        assert_eq!(bridge(config).as_deref(), Some("br7"));
        for other in ["", "e30=", "%%%", "eyJ0eXBlIjoicHRwIn0="] {
            assert_eq!(bridge(other), None, "{other}");
        }
    }
}
