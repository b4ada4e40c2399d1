//! What is in a bundle: a row an item, the most telling ones first, so that a bound takes what matters least.

mod configured;
mod events;
mod journal;
mod kernel;
mod logs;
mod network;
mod plugins;
mod running;

use std::time::Duration;

use super::gather::{Gathered, Gatherer};

/// An item.
pub struct Item {
    /// Its name, as in the manifest.
    pub name: &'static str,
    /// How long it may take.
    pub limit: Duration,
    /// Why there is nothing of it where nothing was found.
    pub none: &'static str,
    /// Whether it is asked of the kernel, or of programs that run, and not of files alone.
    pub is_live: bool,
    /// Gathers it.
    pub gather: fn(&Gatherer) -> Gathered,
}

const fn item(
    name: &'static str,
    seconds: u64,
    none: &'static str,
    gather: fn(&Gatherer) -> Gathered,
) -> Item {
    Item { name, limit: Duration::from_secs(seconds), none, is_live: false, gather }
}

const fn live(
    name: &'static str,
    seconds: u64,
    none: &'static str,
    gather: fn(&Gatherer) -> Gathered,
) -> Item {
    Item { is_live: true, ..item(name, seconds, none, gather) }
}

/// Every item.
pub const TABLE: &[Item] = &[
    item("journal", 40, "there is no journal", journal::gather),
    item("networks", 3, "there is no network configuration", configured::networks),
    live("doctor", 10, "nothing was found", running::doctor),
    item("plugins", 30, "none of the plugins' folders exists", plugins::gather),
    item("ipam", 10, "no plugin has kept anything in /var/lib/cni", configured::ipam),
    item("add-ons", 3, "no add-on has left a file on this node", configured::add_ons),
    item("runtime", 3, "there is no configuration of containerd or CRI-O", configured::runtime),
    item("settings", 3, "there are no settings of cniscope", configured::settings),
    live("links", 3, "there is no link", network::links),
    live("routing", 5, "there is no route", network::routing),
    live("firewall", 10, "there are no rules", network::firewall),
    item("conntrack", 3, "the kernel tracks no connections", kernel::conntrack),
    item("sysctls", 3, "the kernel's parameters are not there", kernel::sysctls),
    item("kernel", 3, "procfs is not there", kernel::gather),
    item("mounts", 3, "procfs is not there", kernel::mounts),
    live("disks", 3, "no file system can be looked at", running::disks),
    live("clock", 3, "the clock cannot be asked", running::clock),
    item("cgroups", 3, "no kubelet and no runtime is running", running::cgroups),
    live("sockets", 5, "no runtime and no agent has a socket on this node", running::sockets),
    item("namespaces", 3, "/run/netns is not there", running::namespaces),
    item("kubelet-log", 10, "neither journald nor a file has a log of a kubelet", logs::kubelet),
    item("runtime-log", 10, "neither journald nor a file has a log of containerd or CRI-O", logs::runtime),
    item("plugin-logs", 5, "no plugin has written a log", logs::plugins),
    item("pod-logs", 10, "no Pod of a network add-on has a log in /var/log/pods", logs::pods),
    live("events", 8, "no kubeconfig was found by which events could be asked for", events::gather),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_there_once() {
        let unique: BTreeSet<_> = TABLE.iter().map(|item| item.name).collect();
        assert_eq!(unique.len(), TABLE.len());
    }
}
