//! What the kernel tells in procfs and sysfs, copied to its own place, where the checks find it again.

use std::path::Path;

use crate::bundle::clean::Form;
use crate::bundle::gather::{Gathered, Gatherer, Part};

/// The kernel itself, and what it counts.
const KERNEL: [&str; 17] = [
    "/proc/version",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/modules_disabled",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/fs/file-nr",
    "/proc/modules",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/stat",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
    "/proc/locks",
];
/// What procfs tells of the network beside netlink.
const NETWORK: [&str; 7] = [
    "/proc/net/route",
    "/proc/net/ipv6_route",
    "/proc/net/ip_tables_names",
    "/proc/net/ip6_tables_names",
    "/proc/net/dev",
    "/proc/net/snmp",
    "/proc/net/netstat",
];
const CONNTRACK: [&str; 4] = [
    "/proc/sys/net/netfilter/nf_conntrack_count",
    "/proc/sys/net/netfilter/nf_conntrack_max",
    "/proc/sys/net/netfilter/nf_conntrack_buckets",
    "/proc/net/stat/nf_conntrack",
];
/// Parameters; `*` is every link's, and what stands for all and for new ones.
const PARAMETERS: [&str; 31] = [
    "net/ipv4/ip_forward",
    "net/ipv4/ip_nonlocal_bind",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv4/neigh/default/gc_thresh1",
    "net/ipv4/neigh/default/gc_thresh2",
    "net/ipv4/neigh/default/gc_thresh3",
    "net/ipv6/neigh/default/gc_thresh3",
    "net/ipv4/conf/*/forwarding",
    "net/ipv4/conf/*/rp_filter",
    "net/ipv4/conf/*/proxy_arp",
    "net/ipv4/conf/*/arp_ignore",
    "net/ipv4/conf/*/arp_announce",
    "net/ipv4/conf/*/accept_local",
    "net/ipv4/conf/*/route_localnet",
    "net/ipv4/conf/*/send_redirects",
    "net/ipv6/conf/*/forwarding",
    "net/ipv6/conf/*/disable_ipv6",
    "net/ipv6/conf/*/accept_ra",
    "net/ipv6/conf/*/accept_dad",
    "net/ipv6/conf/*/proxy_ndp",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    "net/bridge/bridge-nf-call-arptables",
    "net/core/somaxconn",
    "net/core/bpf_jit_enable",
    "net/core/netdev_max_backlog",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "fs/file-max",
    "vm/max_map_count",
];
/// The most links whose parameters are copied.
const MAX_LINKS: usize = 64;

pub(super) fn gather(to: &Gatherer) -> Gathered {
    for path in KERNEL.iter().chain(&NETWORK) {
        to.copy(Path::new(path), Form::Text, Part::Start)?;
    }
    to.copy(Path::new("/etc/os-release"), Form::Variables, Part::Start)
}

pub(super) fn conntrack(to: &Gatherer) -> Gathered {
    CONNTRACK.iter().try_for_each(|path| to.copy(Path::new(path), Form::Text, Part::Start))
}

pub(super) fn mounts(to: &Gatherer) -> Gathered {
    // `/proc/mounts` is a link to this process' own.
    let of_init = Path::new("/proc/1/mounts");
    let path = if to.node.metadata(of_init).is_ok() { of_init } else { Path::new("/proc/mounts") };
    to.copy_to("host/proc/mounts", path, Form::Mounts, Part::Start)
}

pub(super) fn sysctls(to: &Gatherer) -> Gathered {
    for parameter in PARAMETERS {
        let Some((before, behind)) = parameter.split_once('*') else {
            to.copy(&Path::new("/proc/sys").join(parameter), Form::Text, Part::Start)?;
            continue;
        };
        let folder = Path::new("/proc/sys").join(before);
        let mut links = to.node.list(&folder, MAX_LINKS).map(|listing| listing.names).unwrap_or_default();
        links.sort();
        for link in links {
            to.copy(&folder.join(link).join(behind.trim_start_matches('/')), Form::Text, Part::Start)?;
        }
    }
    Ok(())
}
