//! The folders of network configurations and plugins that the runtime of a node uses.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::node::Node;
use crate::node::processes::Process;

/// A runtime and where it keeps its things.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) name: &'static str,
    pub(super) processes: &'static [&'static str],
    pub(super) socket: &'static str,
    /// Its configuration, and the folders whose files come after it.
    config: &'static str,
    drop_ins: &'static [&'static str],
    conf_dir: &'static str,
    bin_dirs: &'static [&'static str],
}

/// k3s' containerd and RKE2's have the same.
const K3S_SOCKET: &str = "/run/k3s/containerd/containerd.sock";

const CONTAINERD: Runtime = Runtime {
    name: "containerd",
    processes: &["containerd"],
    socket: "/run/containerd/containerd.sock",
    config: "/etc/containerd/config.toml",
    drop_ins: &["/etc/containerd/conf.d"],
    conf_dir: "/etc/cni/net.d",
    bin_dirs: &["/opt/cni/bin"],
};

/// The runtimes of Kubernetes.
pub(super) const RUNTIMES: [Runtime; 4] = [
    CONTAINERD,
    Runtime {
        name: "k3s' containerd",
        socket: K3S_SOCKET,
        config: "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
        drop_ins: &[],
        conf_dir: "/var/lib/rancher/k3s/agent/etc/cni/net.d",
        // The first since k3s 1.31.
        bin_dirs: &["/var/lib/rancher/k3s/data/cni", "/var/lib/rancher/k3s/data/current/bin"],
        ..CONTAINERD
    },
    Runtime {
        name: "RKE2's containerd",
        socket: K3S_SOCKET,
        config: "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
        drop_ins: &[],
        ..CONTAINERD
    },
    Runtime {
        name: "CRI-O",
        processes: &["crio"],
        socket: "/run/crio/crio.sock",
        config: "/etc/crio/crio.conf",
        drop_ins: &["/usr/lib/crio/crio.conf.d", "/etc/crio/crio.conf.d"],
        conf_dir: "/etc/cni/net.d",
        bin_dirs: &["/opt/cni/bin", "/usr/libexec/cni"],
    },
];

/// Where Podman and others that are no runtimes of Kubernetes look for plugins.
const USUAL_BIN_DIRS: [&str; 5] =
    ["/opt/cni/bin", "/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni"];

/// How a runtime is configured on a node.
pub(super) struct Configured {
    pub(super) conf_dir: PathBuf,
    pub(super) bin_dirs: Vec<PathBuf>,
    /// Its process, if it runs.
    pub(super) process: Option<Process>,
    /// When its configuration was changed last.
    pub(super) changed: Option<SystemTime>,
}

/// The folders that a configuration names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Folders {
    conf_dir: Option<PathBuf>,
    bin_dirs: Vec<PathBuf>,
}

/// What a node uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The runtime, if one of Kubernetes is there.
    pub runtime: Option<&'static str>,
    /// The folder of network configurations.
    pub conf_dir: PathBuf,
    /// Those of plugins.
    pub bin_dirs: Vec<PathBuf>,
}

/// The folder of network configurations and those of plugins that this node's runtime uses. Where none of Kubernetes runs,
/// plugins are also looked for where others look.
#[must_use]
pub fn in_use(node: &Node) -> InUse {
    let of = |runtime: &Runtime| {
        let Configured { conf_dir, bin_dirs, .. } = runtime.configured(node);
        InUse { runtime: Some(runtime.name), conf_dir, bin_dirs }
    };
    if let Some(running) = running(node) {
        return of(running);
    }
    let has_config = |runtime: &&Runtime| node.metadata(Path::new(runtime.config)).is_ok();
    let Some(stopped) = RUNTIMES.iter().find(has_config) else { return usual() };
    let mut in_use = of(stopped);
    for folder in usual().bin_dirs {
        if !in_use.bin_dirs.contains(&folder) {
            in_use.bin_dirs.push(folder);
        }
    }
    in_use
}

/// The folders where nothing tells which ones are used.
#[must_use]
pub fn usual() -> InUse {
    InUse {
        runtime: None,
        conf_dir: PathBuf::from(CONTAINERD.conf_dir),
        bin_dirs: USUAL_BIN_DIRS.map(PathBuf::from).to_vec(),
    }
}

/// The name and the socket of the runtime that has one on this node.
#[must_use]
pub fn socket(node: &Node) -> Option<(&'static str, &'static str)> {
    running(node).map(|runtime| (runtime.name, runtime.socket))
}

/// The runtime that has a socket on this node. Of several it is the one that nothing but a cluster needs: containerd may be
/// there for Docker.
pub(super) fn running(node: &Node) -> Option<&'static Runtime> {
    let mut there: Vec<_> = RUNTIMES.iter().filter(|runtime| runtime.has_socket(node)).collect();
    there.sort_by_key(|runtime| runtime.socket == CONTAINERD.socket);
    there.first().copied()
}

impl Runtime {
    fn has_socket(&self, node: &Node) -> bool {
        let is_there = |path| node.metadata(Path::new(path)).is_ok();
        let of_others = || RUNTIMES.iter().filter(|one| one.socket == self.socket && one.name != self.name);
        // Of those with one socket it is the one that is configured.
        is_there(self.socket) && (is_there(self.config) || !of_others().any(|other| is_there(other.config)))
    }

    pub(super) fn configured(&self, node: &Node) -> Configured {
        let processes = node.process_ids().into_iter().filter_map(|pid| node.process(pid));
        // A container may have a containerd of its own: kind's nodes have.
        let is_of_the_node =
            |one: &Process| self.processes.contains(&one.name.as_str()) && node.has_the_nodes_root(one.pid);
        let process = processes.filter(is_of_the_node).min_by_key(|one| one.pid);
        let command_line = process.as_ref().map(|one| node.command_line(one.pid)).unwrap_or_default();
        let argument = config_argument(&command_line);
        let mut files = vec![argument.unwrap_or_else(|| PathBuf::from(self.config))];
        for folder in self.drop_ins.iter().map(Path::new) {
            let mut names = node.list(folder, 1024).unwrap_or_default().names;
            names.sort();
            files.extend(names.into_iter().map(|name| folder.join(name)));
        }
        let mut folders = Folders::default();
        let mut last_changed = None;
        for file in files {
            let Ok(content) = node.read_text(&file) else { continue };
            folders = folders.then(parse(&content));
            let changed = node.metadata(&file).ok().and_then(|metadata| metadata.modified().ok());
            last_changed = last_changed.max(changed);
        }
        let by_default = || self.bin_dirs.iter().map(PathBuf::from).collect();
        Configured {
            conf_dir: folders.conf_dir.unwrap_or_else(|| PathBuf::from(self.conf_dir)),
            bin_dirs: if folders.bin_dirs.is_empty() { by_default() } else { folders.bin_dirs },
            process,
            changed: last_changed,
        }
    }
}

/// `--config PATH`, `--config=PATH` or `-c PATH`.
fn config_argument(command_line: &str) -> Option<PathBuf> {
    let mut words = command_line.split(' ');
    while let Some(word) = words.next() {
        if let Some(path) = word.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
        if matches!(word, "--config" | "-c") {
            return words.next().map(PathBuf::from);
        }
    }
    None
}

impl Folders {
    /// What `later` says comes before what was said.
    fn then(self, later: Folders) -> Folders {
        Folders {
            conf_dir: later.conf_dir.or(self.conf_dir),
            bin_dirs: if later.bin_dirs.is_empty() { self.bin_dirs } else { later.bin_dirs },
        }
    }
}

/// The folders in containerd's table `….cni` and CRI-O's `crio.network`. Of TOML only what these keys can be is read: a text, or
/// a list of texts over one or several lines.
fn parse(config: &str) -> Folders {
    let mut folders = Folders::default();
    let mut is_cni = false;
    let mut lines = config.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    while let Some(line) = lines.next() {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']').trim();
            is_cni = table.rsplit('.').next() == Some("cni") || table == "crio.network";
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        // The keys of a table can stand outside of it, behind its name.
        let of_cni = if is_cni { Some(key) } else { key.strip_prefix("cni.") };
        let Some(key) = of_cni else { continue };
        let mut value = value.trim().to_owned();
        while value.starts_with('[') && !value.contains(']') {
            let Some(next) = lines.next() else { break };
            value.push_str(next);
        }
        let texts =
            || value.split(['"', '\'']).skip(1).step_by(2).filter(|text| !text.is_empty()).map(PathBuf::from);
        match key.trim() {
            "conf_dir" | "network_dir" => folders.conf_dir = texts().next(),
            // containerd 2.1 has a list beside the one folder of old, and it decides.
            "bin_dir" if folders.bin_dirs.is_empty() => folders.bin_dirs = texts().take(1).collect(),
            "bin_dirs" | "plugin_dirs" if texts().next().is_some() => folders.bin_dirs = texts().collect(),
            _ => {}
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_a_configuration_are_read() {
        let version_2 = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n  bin_dir = \"/opt/bin\" # old\n  conf_dir = \"/etc/x\"\n  max_conf_num = 1\n[other]\nconf_dir = \"/no\"\n";
        let version_3 =
            "[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dir = ''\nbin_dirs = ['/a', '/b']\n";
        let crio = "[crio.network]\nnetwork_dir = \"/etc/y\"\nplugin_dirs = [\n  \"/c\",\n  # \"/no\",\n  \"/d\",\n]\n";
        let folders = |conf_dir: Option<&str>, bin_dirs: &[&str]| Folders {
            conf_dir: conf_dir.map(PathBuf::from),
            bin_dirs: bin_dirs.iter().map(PathBuf::from).collect(),
        };
        let table = [
            (version_2, folders(Some("/etc/x"), &["/opt/bin"])),
            (version_3, folders(None, &["/a", "/b"])),
            (crio, folders(Some("/etc/y"), &["/c", "/d"])),
            (
                "[plugins.\"io.containerd.grpc.v1.cri\"]\n  cni.bin_dir = \"/e\"\n  cni.conf_dir = \"/etc/z\"\n",
                folders(Some("/etc/z"), &["/e"]),
            ),
            ("[crio.network]\nplugin_dirs = [\n", folders(None, &[])),
            ("\u{0}[[[=\n=", folders(None, &[])),
        ];
        for (config, expected) in table {
            assert_eq!(parse(config), expected, "{config}");
        }
    }

    #[test]
    fn arguments_are_found_in_either_form() {
        for (line, expected) in
            [("containerd -c /a", Some("/a")), ("containerd --config=/b x", Some("/b")), ("containerd", None)]
        {
            assert_eq!(config_argument(line), expected.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    fn the_folders_in_use_are_those_of_the_runtime_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let used = || {
            let InUse { runtime, conf_dir, bin_dirs } = in_use(&Node::at(root.path()));
            format!("{} {} {bin_dirs:?}", runtime.unwrap_or("none:"), conf_dir.display())
        };
        assert_eq!(
            used(),
            r#"none: /etc/cni/net.d ["/opt/cni/bin", "/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni"]"#
        );
        put("etc/crio/crio.conf", "[crio.network]\nplugin_dirs = [\"/c\", \"/usr/lib/cni\"]\n");
        assert_eq!(
            used(),
            r#"CRI-O /etc/cni/net.d ["/c", "/usr/lib/cni", "/opt/cni/bin", "/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni"]"#,
            "it may be that it is not used at all"
        );
        put("run/crio/crio.sock", "");
        put("run/containerd/containerd.sock", "");
        assert_eq!(used(), r#"CRI-O /etc/cni/net.d ["/c", "/usr/lib/cni"]"#, "containerd may be Docker's");
        put("run/k3s/containerd/containerd.sock", "");
        assert_eq!(
            used(),
            r#"k3s' containerd /var/lib/rancher/k3s/agent/etc/cni/net.d ["/var/lib/rancher/k3s/data/cni", "/var/lib/rancher/k3s/data/current/bin"]"#
        );
        put("var/lib/rancher/rke2/agent/etc/containerd/config.toml", "version = 2\n");
        assert_eq!(used(), r#"RKE2's containerd /etc/cni/net.d ["/opt/cni/bin"]"#);
    }
}
