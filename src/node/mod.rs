//! The one door to the node: files, links, network namespaces, processes, clock.
//!
//! What passes through it is facts; what they mean is decided in `checks` and `diagnosis`. Looking changes nothing,
//! and nothing here waits for another program: files are opened without blocking and read up to a limit. What can
//! hang all the same (a dead disk) is called from a thread that its caller can leave behind (see [`bounded`]).

pub mod attached;
pub mod bounded;
pub mod clock;
mod cri;
pub mod echo;
pub mod files;
pub mod filesystems;
pub mod firewall;
mod groups;
pub mod https;
pub mod inotify;
pub mod itself;
pub mod last_good;
mod link_attributes;
pub mod links;
pub mod locks;
pub mod modules;
pub mod named_netns;
pub mod names;
mod netlink;
pub mod netns;
mod packet_filter;
pub mod plugin_versions;
pub mod pod_logs;
pub mod processes;
mod reach;
pub mod replace;
pub mod results;
pub(crate) mod route_socket;
pub mod routes;
pub mod sandboxes;
pub mod stall;
pub mod tables;
pub mod tools;
pub mod tunnels;
mod unix_sockets;
pub mod usage;
pub mod watch;
pub mod ways;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use links::Link;

/// A node, as the tree of files below `root` shows it. In a DaemonSet's container the host stands under `/host`.
#[derive(Debug, Clone)]
pub struct Node {
    root: PathBuf,
    /// Its links, where they are not those of the kernel that this process runs on.
    snapshot: Option<Arc<[Link]>>,
}

impl Node {
    /// The node that this process runs on.
    #[must_use]
    pub fn this() -> Node {
        Node::at(Path::new("/"))
    }

    /// The node whose files stand below `root`.
    #[must_use]
    pub fn at(root: &Path) -> Node {
        Node { root: root.to_owned(), snapshot: None }
    }

    /// The same node with these links, for one whose kernel is not the one that this process runs on.
    #[must_use]
    pub fn with_links(self, links: &[Link]) -> Node {
        Node { snapshot: Some(links.into()), ..self }
    }

    /// The node's name.
    #[must_use]
    pub fn host_name(&self) -> String {
        // In a container the own one may be the container's.
        let written = if self.is_this() { None } else { self.read_text(Path::new("/etc/hostname")).ok() };
        written
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned())
    }

    /// The release of the running kernel, such as `6.1.0-13-amd64`. Empty if it does not tell.
    #[must_use]
    pub fn kernel(&self) -> String {
        if self.is_this() {
            let named = nix::sys::utsname::uname();
            return named.map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default();
        }
        let release = self.read_text(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
        // It is the name of a folder, and uname(2) has room for 64 bytes of it.
        let is_one =
            release.len() <= 64 && !release.contains(|letter: char| letter == '/' || letter.is_control());
        if is_one { release } else { String::new() }
    }

    /// Whether a kubelet is set up on this node, as kubeadm does it. Distributions that bring everything themselves (k3s, RKE2)
    /// do without its file.
    #[must_use]
    pub fn has_kubelet(&self) -> bool {
        self.metadata(Path::new("/var/lib/kubelet/config.yaml")).is_ok()
    }

    /// Whether the node's kernel is the one that this process runs on, as in a DaemonSet's container that sees the host below
    /// its own root. Of a copy of another node's files the kernel cannot be asked, nor can its programs be run.
    #[must_use]
    pub fn has_this_kernel(&self) -> bool {
        // What is copied is a regular file: only the kernel's own is on procfs.
        let is_procfs = |node: &Node| {
            let found = node.file_system(Path::new("/proc"));
            found.is_ok_and(|found| found.magic == filesystems::magic(nix::sys::statfs::PROC_SUPER_MAGIC))
        };
        self.is_this() || is_procfs(self) && self.boot_id() == Node::this().boot_id()
    }

    /// Whether the files are those that this process itself sees.
    #[must_use]
    pub fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }
}
