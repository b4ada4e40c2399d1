//! The ends of logs: of kubelet and runtime from journald or from files, of plugins, and of the add-ons' Pods.

use std::path::{Path, PathBuf};

use crate::bundle::clean::Form;
use crate::bundle::gather::{Gathered, Gatherer, Part};
use crate::bundle::manifest::Status;

/// How much is taken of a log: lines of journald, bytes of a file.
const LINES: &str = "5000";
const BYTES: u64 = 1 << 20;
/// How much is taken of a container's log, and of how many containers.
const OF_CONTAINER: u64 = 256 << 10;
const MAX_CONTAINERS: usize = 64;
/// The most Pods that are looked through.
const MAX_PODS: usize = 4096;
const PODS: &str = "/var/log/pods";

/// The units of a kubelet; some distributions have everything in one.
const KUBELET: [&str; 6] =
    ["kubelet", "k3s", "k3s-agent", "rke2-server", "rke2-agent", "snap.microk8s.daemon-kubelite"];
const KUBELET_FILES: [&str; 3] =
    ["/var/log/kubelet.log", "/var/lib/rancher/rke2/agent/logs/kubelet.log", "/var/log/k3s.log"];
const RUNTIME: [&str; 4] = ["containerd", "crio", "docker", "cri-docker"];
const RUNTIME_FILES: [&str; 5] = [
    "/var/log/containerd.log",
    "/var/lib/rancher/k3s/agent/containerd/containerd.log",
    "/var/lib/rancher/rke2/agent/containerd/containerd.log",
    "/var/log/crio.log",
    "/var/log/docker.log",
];
/// What plugins write beside what they answer.
const PLUGINS: [&str; 12] = [
    "/var/log/calico/cni/cni.log",
    "/var/log/multus.log",
    "/var/run/cilium/cilium-cni.log",
    "/var/log/cilium-cni.log",
    "/var/log/aws-routed-eni/plugin.log",
    "/var/log/aws-routed-eni/ipamd.log",
    "/var/log/azure-vnet.log",
    "/var/log/azure-vnet-ipam.log",
    "/var/log/antrea/antrea-cni.log",
    "/var/log/whereabouts.log",
    "/var/log/openvswitch/ovs-vswitchd.log",
    "/var/log/kube-ovn/kube-ovn-cni.log",
];
/// Namespaces in which add-ons run, and what the names of their Pods begin with elsewhere.
const NAMESPACES: [&str; 8] = [
    "calico-system",
    "calico-apiserver",
    "cilium",
    "kube-flannel",
    "tigera-operator",
    "ovn-kubernetes",
    "openshift-ovn-kubernetes",
    "openshift-multus",
];
const IN_KUBE_SYSTEM: [&str; 18] = [
    "antrea",
    "aws-node",
    "azure-c",
    "calico",
    "canal",
    "cilium",
    "coredns",
    "flannel",
    "kube-flannel",
    "kube-multus",
    "kube-ovn",
    "kube-proxy",
    "kube-router",
    "multus",
    "ovs",
    "spiderpool",
    "weave",
    "whereabouts",
];

pub(super) fn kubelet(to: &Gatherer) -> Gathered {
    of_service(to, "kubelet", &KUBELET, &KUBELET_FILES)
}

pub(super) fn runtime(to: &Gatherer) -> Gathered {
    of_service(to, "runtime", &RUNTIME, &RUNTIME_FILES)
}

/// journald has the log, or a file, or both.
fn of_service(to: &Gatherer, name: &str, units: &[&str], files: &[&str]) -> Gathered {
    let of_units: Vec<String> = units.iter().map(|unit| format!("--unit={unit}.service")).collect();
    let mut arguments =
        vec!["--no-pager", "--quiet", "--output=short-iso-precise", "--boot", "--lines", LINES];
    arguments.extend(of_units.iter().map(String::as_str));
    let printed = to.node.run_tool("journalctl", &arguments, to.limit * 4 / 5, 4 * BYTES);
    let not_in_journald = match printed {
        Ok(printed) => {
            let cut =
                printed.is_cut.then(|| format!("the first {} bytes of what journalctl prints", 4 * BYTES));
            to.put(&format!("logs/{name}.log"), &printed.text, Form::Text, cut)?;
            None
        }
        Err(why) => Some(why),
    };
    let mut is_in_file = false;
    for path in files.iter().map(Path::new).filter(|path| to.node.metadata(path).is_ok()) {
        is_in_file = true;
        tail(to, path, BYTES)?;
    }
    match not_in_journald.filter(|_| !is_in_file) {
        Some(why) => to.without(Status::Missing, format!("{why}; and none of the usual files is there")),
        None => Ok(()),
    }
}

pub(super) fn plugins(to: &Gatherer) -> Gathered {
    PLUGINS.iter().try_for_each(|path| tail(to, Path::new(path), BYTES))
}

fn tail(to: &Gatherer, path: &Path, bytes: u64) -> Gathered {
    let name = path.strip_prefix("/var/log").or_else(|_| path.strip_prefix("/")).unwrap_or(path);
    to.copy_to(&format!("logs/{}", name.display()), path, Form::Text, Part::End(bytes))
}

pub(super) fn pods(to: &Gatherer) -> Gathered {
    let mut pods = match to.node.list(Path::new(PODS), MAX_PODS) {
        Ok(listing) => listing.names,
        Err(error) if error.is_missing() => return Ok(()),
        Err(error) => return to.without(Status::Failed, error.to_string()),
    };
    pods.retain(|pod| pod.to_str().is_some_and(is_of_add_on));
    pods.sort();
    let mut left = MAX_CONTAINERS;
    for pod in pods {
        let folder = Path::new(PODS).join(pod);
        let mut containers =
            to.node.list(&folder, MAX_CONTAINERS).map(|listing| listing.names).unwrap_or_default();
        containers.sort();
        for container in containers.into_iter().map(|name| folder.join(name)) {
            for log in youngest(to, &container) {
                if left == 0 {
                    return to
                        .without(Status::Cut, format!("the logs of more than {MAX_CONTAINERS} containers"));
                }
                left -= 1;
                tail(to, &log, OF_CONTAINER)?;
            }
        }
    }
    Ok(())
}

/// `<namespace>_<pod>_<uid>`.
fn is_of_add_on(folder: &str) -> bool {
    let Some((namespace, pod)) = folder.split_once('_') else { return false };
    NAMESPACES.contains(&namespace)
        || namespace == "kube-system" && IN_KUBE_SYSTEM.iter().any(|start| pod.starts_with(start))
}

/// The log of the container that runs and of the one before it: why that one ended is in its last lines.
fn youngest(to: &Gatherer, container: &Path) -> Vec<PathBuf> {
    let names = to.node.list(container, MAX_PODS).map(|listing| listing.names).unwrap_or_default();
    let number = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(".log")?.parse::<u32>().ok();
    let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.iter().rev().take(2).map(|number| container.join(format!("{number}.log"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_ons_are_told_from_what_others_run() {
        let table = [
            ("kube-system_calico-node-x2x4z_1", true),
            ("kube-system_etcd-n1_1", false),
            ("calico-system_anything_1", true),
            ("shop_calico-node_1", false),
            ("odd", false),
        ];
        for (folder, expected) in table {
            assert_eq!(is_of_add_on(folder), expected, "{folder}");
        }
    }
}
