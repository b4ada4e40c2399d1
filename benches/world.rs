//! Namespaces for a bench: what it leaves on the node is gone with its process.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Where Pods' network namespaces are kept.
const NETNS: &str = "/run/netns";

/// Enters network and mount namespaces of its own. What cniscope and the plugins write goes below `disk`, which is on a
/// real disk as it is on a node.
pub fn enter(disk: &Path) {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .expect("namespaces of its own need root: run `make bench` as root");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    for (name, place) in [
        ("log", "/var/log/cniscope"),
        ("cni", "/var/lib/cni"),
        ("state", "/var/lib/cniscope"),
        ("etc", "/etc/cniscope"),
    ] {
        let source = disk.join(name);
        fs::create_dir_all(&source).unwrap();
        fs::create_dir_all(place).unwrap();
        mount(Some(&source), place, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .unwrap_or_else(|error| panic!("mount {place}: {error}"));
    }
    for place in ["/run/cniscope", NETNS] {
        fs::create_dir_all(place).unwrap();
        mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    }
    ip(&["link", "set", "lo", "up"]);
}

/// The network namespace of a Pod.
pub fn pod(name: &str) -> PathBuf {
    ip(&["netns", "add", name]);
    Path::new(NETNS).join(name)
}

/// A pool of host-local's, in which each address has another container.
pub fn pool(name: &str, addresses: impl Iterator<Item = Ipv4Addr>) {
    let folder = Path::new("/var/lib/cni/networks").join(name);
    fs::create_dir_all(&folder).unwrap();
    for address in addresses {
        // As far from each other as real ids are.
        let id = u64::from(address.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        fs::write(folder.join(address.to_string()), format!("{}\r\neth0", format!("{id:016x}").repeat(4)))
            .unwrap();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip is missing: run `make setup-bench`");
    assert!(output.status.success(), "ip {arguments:?}: {output:?}");
}
