//! The folder of network configurations: which of its files the runtime takes, and whether it can.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::checks::networks::{File, Flaw, Folder};
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

/// Where runtimes of different distributions look.
const USUAL_FOLDERS: [&str; 3] = [
    "/etc/cni/net.d",
    "/var/lib/rancher/k3s/agent/etc/cni/net.d",
    "/var/lib/rancher/rke2/agent/etc/cni/net.d",
];
/// Plugins that make the network of a whole cluster: a node has one of them.
const ADD_ONS: [&str; 11] = [
    "antrea",
    "aws-cni",
    "azure-vnet",
    "calico",
    "cilium-cni",
    "flannel",
    "kube-ovn",
    "kube-router",
    "ovn-k8s-cni-overlay",
    "terway",
    "weave-net",
];

/// Looks at the folder.
pub(super) fn look(node: &Node, path: &Path) -> Finding {
    match Folder::read(node, path) {
        Ok(folder) if folder.files.is_empty() => {
            nothing(path, format!("{} has no network configuration", path.display()), node)
                .with("unread", folder.unread)
        }
        Ok(folder) => judge(&folder),
        Err(error) if error.is_missing() => nothing(path, error.to_string(), node),
        Err(error) => Finding::skipped(error.to_string()),
    }
}

/// There is no file that a runtime could take; perhaps it looks elsewhere.
fn nothing(path: &Path, what: String, node: &Node) -> Finding {
    let has_files = |folder: &&str| {
        Path::new(folder) != path
            && Folder::read(node, Path::new(folder)).is_ok_and(|folder| !folder.files.is_empty())
    };
    let elsewhere: Vec<&str> = USUAL_FOLDERS.iter().copied().filter(has_files).collect();
    let finding = Finding::fail(Cause::NetworkNotReady, what).with("elsewhere", elsewhere.clone());
    match elsewhere.first() {
        Some(folder) => finding
            .fix(format!("if the runtime reads {folder}, look there: cniscope doctor --conf-dir {folder}"))
            .fix("else look why the network add-on's Pod on this node does not run: kubectl describe it and read its logs"),
        None => finding,
    }
}

fn judge(folder: &Folder) -> Finding {
    let Some(first) = folder.files.first() else { return Finding::skipped("no files") };
    let name = first.name();
    let finding = match &first.networks {
        Err(Flaw::Unread(why)) => Finding::skipped(format!("{name}, which the runtime takes: {why}")),
        Err(Flaw::Refused(what)) => Finding::fail(
            Cause::ConfigInvalid,
            format!("{name}, which the runtime takes first, {}", told(what)),
        )
        .fix(format!(
            "correct {}, or let the network add-on write it again: restart its Pod on this node",
            first.path.display()
        )),
        Ok(_) => {
            let mut oddities =
                [other_add_on(folder, first), broken(folder), same_names(folder)].into_iter().flatten();
            oddities.next().unwrap_or_else(|| Finding::ok(taken(folder, first)))
        }
    };
    let files: Vec<Value> = folder.files.iter().map(|file| shown(folder, file)).collect();
    let finding = finding.with("files", files);
    if folder.unread.is_empty() { finding } else { finding.with("unread", folder.unread.clone()) }
}

/// What is wrong, behind a file's name.
fn told(what: &str) -> String {
    if what.starts_with("is ") { what.to_owned() } else { format!("cannot be used: {what}") }
}

fn taken(folder: &Folder, first: &File) -> String {
    match folder.files.iter().filter(|file| !folder.is_taken(file)).count() {
        0 => format!("the runtime takes {}", first.name()),
        1 => format!("the runtime takes {}, and not the other file", first.name()),
        others => format!("the runtime takes {}, and not the {others} other files", first.name()),
    }
}

/// A network add-on whose file is not taken since another one's name comes first.
fn other_add_on(folder: &Folder, first: &File) -> Option<Finding> {
    let has = |file: &File, plugin: &str| file.heads().any(|head| head == plugin);
    let mut others = folder.files.iter().filter(|file| !folder.is_taken(file));
    let (file, add_on) = others.find_map(|file| {
        let add_on = ADD_ONS.into_iter().find(|add_on| has(file, add_on) && !has(first, add_on))?;
        Some((file, add_on))
    })?;
    let head = first.heads().next().unwrap_or_default();
    let (taken, other) = (first.path.display(), file.path.display());
    Some(
        Finding::warn(format!("the runtime takes {} ({head}), not {} ({add_on})", first.name(), file.name()))
            .fix(format!("if {add_on} is this node's network, move {taken} out of the folder"))
            .fix(format!("if {head} is, remove what {add_on} has left: {other}")),
    )
}

/// A file that is not the first, and that a runtime which reads all of them refuses.
fn broken(folder: &Folder) -> Option<Finding> {
    let (file, what) = folder.files.iter().find_map(|file| match &file.networks {
        Err(Flaw::Refused(what)) => Some((file, what)),
        _ => None,
    })?;
    let summary = format!("{} {}; the runtime takes {}", file.name(), told(what), folder.files[0].name());
    Some(Finding::warn(summary).fix(format!("correct or remove {}", file.path.display())))
}

/// Two files with networks of the same name: they share IPAM's state and the runtime's cache.
fn same_names(folder: &Folder) -> Option<Finding> {
    let mut files_of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in &folder.files {
        let Some(network) = file.networks.iter().flatten().next() else { continue };
        files_of.entry(&network.name).or_default().push(file.name());
    }
    let (name, files) = files_of.into_iter().find(|(_, files)| files.len() > 1)?;
    let summary = format!("{} all have the network name {name:?}", files.join(" and "));
    let summary = if files.len() == 2 { summary.replacen("all", "both", 1) } else { summary };
    Some(Finding::warn(summary).fix(
        "give each network a name of its own: those of one name share addresses and the runtime's cache",
    ))
}

fn shown(folder: &Folder, file: &File) -> Value {
    let taken = folder.is_taken(file);
    match &file.networks {
        Ok(networks) => {
            let network = networks.first();
            let plugins: Vec<&str> =
                network.into_iter().flat_map(|one| &one.entries).map(|entry| entry.plugin.as_str()).collect();
            json!({"file": file.name(), "network": network.map(|one| &one.name), "plugins": plugins, "taken": taken})
        }
        Err(flaw) => json!({"file": file.name(), "flaw": flaw.to_string(), "taken": taken}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use std::fs;

    const BRIDGE: &str = r#"{"name": "pods", "plugins": [{"type": "bridge"}, {"type": "portmap"}]}"#;
    const CALICO: &str = r#"{"name": "k8s-pod-network", "plugins": [{"type": "calico"}]}"#;
    const BROKEN: &str = "{\n";

    /// What is found where these files stand in the folder.
    fn found(files: &[(&str, &str)]) -> Finding {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/cni/net.d")).unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        look(&Node::at(root.path()), Path::new("/etc/cni/net.d"))
    }

    fn verdict(files: &[(&str, &str)]) -> (Status, Option<Cause>, String, Vec<String>) {
        let finding = found(files);
        (finding.status, finding.cause, finding.summary, finding.fix)
    }

    #[test]
    fn what_the_runtime_takes_is_well() {
        let table: [(&[(&str, &str)], &str); 4] = [
            (&[("etc/cni/net.d/10-a.conflist", BRIDGE)], "the runtime takes 10-a.conflist"),
            (
                &[("etc/cni/net.d/10-a.conflist", CALICO), ("etc/cni/net.d/87-b.conflist", BRIDGE)],
                "the runtime takes 10-a.conflist, and not the other file",
            ),
            (
                &[
                    ("etc/cni/net.d/00-multus.conf", r#"{"name": "m", "type": "multus"}"#),
                    ("etc/cni/net.d/10-a.conflist", CALICO),
                ],
                "the runtime takes 00-multus.conf",
            ),
            (
                &[
                    ("etc/cni/net.d/10-a.conflist", CALICO),
                    ("etc/cni/net.d/20-a.conflist", r#"{"name": "b", "plugins": [{"type": "calico"}]}"#),
                    ("etc/cni/net.d/87-b.conflist", BRIDGE),
                ],
                "the runtime takes 10-a.conflist, and not the 2 other files",
            ),
        ];
        for (files, summary) in table {
            assert_eq!(verdict(files), (Status::Ok, None, summary.to_owned(), vec![]));
        }
    }

    #[test]
    fn without_a_file_the_network_is_not_ready() {
        let not_ready =
            |summary: &str| (Status::Fail, Some(Cause::NetworkNotReady), summary.to_owned(), vec![]);
        assert_eq!(verdict(&[]), not_ready("/etc/cni/net.d has no network configuration"));
        let finding = found(&[("etc/cni/net.d/10-a.conflist.cilium_bak", BRIDGE)]);
        assert_eq!(finding.summary, "/etc/cni/net.d has no network configuration");
        assert_eq!(finding.evidence["unread"], json!(["10-a.conflist.cilium_bak"]));
        let root = tempfile::tempdir().unwrap();
        let finding = look(&Node::at(root.path()), Path::new("/etc/cni/net.d"));
        assert_eq!(finding.summary, "/etc/cni/net.d: no such file or directory");
    }

    #[test]
    fn files_in_another_usual_folder_are_pointed_to() {
        let (_, cause, _, fix) =
            verdict(&[("var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist", BRIDGE)]);
        assert_eq!(cause, Some(Cause::NetworkNotReady));
        let k3s = "/var/lib/rancher/k3s/agent/etc/cni/net.d";
        assert_eq!(
            fix,
            [
                format!("if the runtime reads {k3s}, look there: cniscope doctor --conf-dir {k3s}"),
                "else look why the network add-on's Pod on this node does not run: kubectl describe it and read its logs"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn a_first_file_that_the_runtime_refuses_fails_every_call() {
        let (status, cause, summary, fix) =
            verdict(&[("etc/cni/net.d/10-a.conflist", BROKEN), ("etc/cni/net.d/20-b.conflist", BRIDGE)]);
        assert_eq!((status, cause), (Status::Fail, Some(Cause::ConfigInvalid)));
        assert_eq!(
            summary,
            "10-a.conflist, which the runtime takes first, is no JSON: unexpected end of JSON input"
        );
        assert_eq!(
            fix,
            [
                "correct /etc/cni/net.d/10-a.conflist, or let the network add-on write it again: restart its Pod on this node"
            ]
        );
        let nameless = r#"{"plugins": [{"type": "a"}]}"#;
        assert_eq!(
            verdict(&[("etc/cni/net.d/10-a.conflist", nameless)]).2,
            "10-a.conflist, which the runtime takes first, cannot be used: name: is missing, expected the network's name"
        );
    }

    #[test]
    fn another_file_that_is_broken_is_a_warning() {
        let (status, cause, summary, fix) =
            verdict(&[("etc/cni/net.d/10-a.conflist", BRIDGE), ("etc/cni/net.d/20-b.conflist", BROKEN)]);
        assert_eq!((status, cause), (Status::Warn, None));
        assert_eq!(
            summary,
            "20-b.conflist is no JSON: unexpected end of JSON input; the runtime takes 10-a.conflist"
        );
        assert_eq!(fix, ["correct or remove /etc/cni/net.d/20-b.conflist"]);
    }

    #[test]
    fn a_second_add_on_is_a_warning_with_the_one_that_wins() {
        let (status, _, summary, fix) =
            verdict(&[("etc/cni/net.d/10-a.conflist", BRIDGE), ("etc/cni/net.d/20-calico.conflist", CALICO)]);
        assert_eq!(status, Status::Warn);
        assert_eq!(summary, "the runtime takes 10-a.conflist (bridge), not 20-calico.conflist (calico)");
        assert_eq!(
            fix,
            [
                "if calico is this node's network, move /etc/cni/net.d/10-a.conflist out of the folder",
                "if bridge is, remove what calico has left: /etc/cni/net.d/20-calico.conflist",
            ]
        );
    }

    #[test]
    fn networks_of_the_same_name_are_a_warning() {
        let (status, _, summary, _) =
            verdict(&[("etc/cni/net.d/10-a.conflist", BRIDGE), ("etc/cni/net.d/20-b.conflist", BRIDGE)]);
        assert_eq!(
            (status, summary.as_str()),
            (Status::Warn, "10-a.conflist and 20-b.conflist both have the network name \"pods\"")
        );
    }

    #[test]
    fn what_cannot_be_read_here_is_skipped() {
        let huge = " ".repeat(2 << 20);
        let finding = found(&[("etc/cni/net.d/10-a.conflist", &huge)]);
        assert_eq!(finding.status, Status::Skipped);
        assert_eq!(
            finding.summary,
            "10-a.conflist, which the runtime takes: /etc/cni/net.d/10-a.conflist: is larger than 1048576 bytes"
        );
    }

    #[test]
    fn the_files_are_named_with_what_stands_in_them() {
        let finding =
            found(&[("etc/cni/net.d/10-a.conflist", BRIDGE), ("etc/cni/net.d/20-b.conflist", BROKEN)]);
        assert_eq!(
            finding.evidence["files"],
            json!([
                {"file": "10-a.conflist", "network": "pods", "plugins": ["bridge", "portmap"], "taken": true},
                {"file": "20-b.conflist", "flaw": "is no JSON: unexpected end of JSON input", "taken": false},
            ])
        );
    }
}
