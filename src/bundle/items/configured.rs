//! Files that say how the node is configured, and those in which plugins keep what they have given away.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::bundle::clean::Form;
use crate::bundle::gather::{Gathered, Gatherer, Part};
use crate::bundle::manifest::Status;
use crate::checks::networks::Folder;

/// The most files of a folder of configurations.
const MAX_FILES: usize = 256;
/// The most addresses, results and other records of attachments.
const MAX_RECORDS: usize = 8192;
/// Where runtimes have network configurations, whichever of them is in use.
const NETWORKS: [&str; 3] = [
    "/etc/cni/net.d",
    "/var/lib/rancher/k3s/agent/etc/cni/net.d",
    "/var/lib/rancher/rke2/agent/etc/cni/net.d",
];
/// Where libcni, flannel and Multus keep the configuration and the result of every attachment.
const RECORDS: [&str; 5] = [
    "/var/lib/cni/results",
    "/var/lib/cni/cache",
    "/var/lib/cni/flannel",
    "/var/lib/cni/multus",
    "/var/lib/cni/podman-results",
];
/// host-local's store, where no `dataDir` says otherwise.
const STORES: [&str; 2] = ["/var/lib/cni/networks", "/run/cni/networks"];
/// What agents leave on a node for their plugins.
const ADD_ONS: [(&str, Form); 9] = [
    ("/run/flannel/subnet.env", Form::Variables),
    ("/var/lib/calico/nodename", Form::Word),
    ("/var/lib/calico/mtu", Form::Word),
    ("/run/cilium/cilium.pid", Form::Word),
    ("/var/run/cilium/cilium.pid", Form::Word),
    ("/etc/kube-flannel/net-conf.json", Form::Network),
    ("/etc/cni/multus/net.d", Form::Network),
    ("/etc/modprobe.d", Form::Text),
    ("/etc/hostname", Form::Word),
];
/// The configurations of runtimes, and the folders beside them.
const RUNTIMES: [&str; 8] = [
    "/etc/containerd/config.toml",
    "/etc/containerd/conf.d",
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
    "/etc/crio/crio.conf",
    "/etc/crio/crio.conf.d",
    "/usr/lib/crio/crio.conf.d",
    "/etc/containers/containers.conf",
];
/// cniscope's own.
const SETTINGS: [&str; 4] = [
    "/etc/cniscope/config.json",
    "/var/lib/cniscope/config.json",
    "/etc/cniscope/disabled",
    "/etc/cniscope/signatures.d",
];

pub(super) fn networks(to: &Gatherer) -> Gathered {
    let in_use = &to.plan.conf_dir;
    let others = NETWORKS.iter().map(PathBuf::from).filter(|folder| folder != in_use);
    for folder in std::iter::once(in_use.clone()).chain(others) {
        to.copy_folder(&folder, Form::Network, Part::Start, MAX_FILES)?;
    }
    Ok(())
}

pub(super) fn ipam(to: &Gatherer) -> Gathered {
    for network in stores(to) {
        reservations(to, &network)?;
    }
    for folder in RECORDS {
        to.copy_folder(Path::new(folder), Form::Network, Part::Start, MAX_RECORDS)?;
    }
    Ok(())
}

/// host-local's folders of networks: those in the usual places, and those that the configurations name.
fn stores(to: &Gatherer) -> Vec<PathBuf> {
    let mut stores = Vec::new();
    for store in STORES.iter().map(Path::new) {
        let names = to.node.list(store, MAX_FILES).map(|listing| listing.names).unwrap_or_default();
        stores.extend(names.into_iter().map(|name| store.join(name)));
    }
    if let Ok(folder) = Folder::read(&to.node, &to.plan.conf_dir) {
        for subject in folder.subjects(&[]) {
            let named = subject.config["ipam"]["dataDir"].as_str().filter(|dir| dir.starts_with('/'));
            stores.extend(named.map(|dir| Path::new(dir).join(subject.network())));
        }
    }
    stores.sort();
    stores.dedup();
    stores
}

/// The addresses that are given away in a network. A configuration can name any folder: other files stay where they are.
fn reservations(to: &Gatherer, network: &Path) -> Gathered {
    let listing = match to.node.list(network, MAX_RECORDS) {
        Ok(listing) => listing,
        Err(error) if error.is_missing() => return Ok(()),
        Err(error) => return to.without(Status::Failed, error.to_string()),
    };
    let is_one = |name: &str| name.parse::<IpAddr>().is_ok() || name.starts_with("last_reserved_ip.");
    let mut names: Vec<_> = listing.names.iter().filter(|name| name.to_str().is_some_and(is_one)).collect();
    names.sort();
    for name in names {
        to.copy(&network.join(name), Form::Reservation, Part::Start)?;
    }
    if listing.cut {
        to.without(Status::Cut, format!("{} has more than {MAX_RECORDS} files", network.display()))?;
    }
    Ok(())
}

pub(super) fn add_ons(to: &Gatherer) -> Gathered {
    all(to, ADD_ONS.iter().map(|(path, form)| (*path, *form)))
}

pub(super) fn runtime(to: &Gatherer) -> Gathered {
    all(to, RUNTIMES.iter().map(|path| (*path, Form::Runtime)))
}

pub(super) fn settings(to: &Gatherer) -> Gathered {
    all(to, SETTINGS.iter().map(|path| (*path, Form::Network)))
}

/// Files, and folders of files.
fn all(to: &Gatherer, paths: impl Iterator<Item = (&'static str, Form)>) -> Gathered {
    for (path, form) in paths {
        let path = Path::new(path);
        if to.node.metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            to.copy_folder(path, form, Part::Start, MAX_FILES)?;
        } else {
            to.copy(path, form, Part::Start)?;
        }
    }
    Ok(())
}
