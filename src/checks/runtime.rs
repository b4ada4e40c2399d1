//! `runtime`: containerd's or CRI-O's socket, and the folders of configurations and plugins that it uses.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::{Node, clock};

/// A runtime and where it keeps its things.
#[derive(Debug)]
struct Runtime {
    name: &'static str,
    processes: &'static [&'static str],
    socket: &'static str,
    /// Its configuration, and the folders whose files come after it.
    config: &'static str,
    drop_ins: &'static [&'static str],
    conf_dir: &'static str,
    bin_dirs: &'static [&'static str],
}

const CONTAINERD: Runtime = Runtime {
    name: "containerd",
    processes: &["containerd"],
    socket: "/run/containerd/containerd.sock",
    config: "/etc/containerd/config.toml",
    drop_ins: &["/etc/containerd/conf.d"],
    conf_dir: "/etc/cni/net.d",
    bin_dirs: &["/opt/cni/bin"],
};

const RUNTIMES: [Runtime; 3] = [
    CONTAINERD,
    Runtime {
        name: "k3s' containerd",
        socket: "/run/k3s/containerd/containerd.sock",
        config: "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
        drop_ins: &[],
        conf_dir: "/var/lib/rancher/k3s/agent/etc/cni/net.d",
        bin_dirs: &["/var/lib/rancher/k3s/data/current/bin"],
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

/// The folders that a configuration names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Folders {
    conf_dir: Option<PathBuf>,
    bin_dirs: Vec<PathBuf>,
}

/// What is known of a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    answers: Result<bool, String>,
    conf_dir: PathBuf,
    /// How many network configurations are there; `None` where there is no folder.
    networks: Option<usize>,
    bin_dirs: Vec<PathBuf>,
    missing_bin_dirs: Vec<PathBuf>,
    started: Option<SystemTime>,
    /// When its configuration was changed last.
    config_changed: Option<SystemTime>,
}

/// Whether there is anything to look at: everywhere.
#[must_use]
pub fn fits(_: &Subject) -> bool {
    true
}

/// Looks at the first runtime that has a socket on this node.
#[must_use]
pub fn look(node: &Node, _: &Subject, _: Depth) -> Finding {
    let has_socket = |runtime: &&Runtime| node.metadata(Path::new(runtime.socket)).is_ok();
    match RUNTIMES.iter().find(has_socket) {
        Some(runtime) => judge(runtime, &facts(node, runtime)),
        None => Finding::skipped("neither containerd nor CRI-O has a socket on this node"),
    }
}

fn facts(node: &Node, runtime: &Runtime) -> Facts {
    let processes = node.process_ids().into_iter().filter_map(|pid| node.process(pid));
    let process =
        processes.filter(|one| runtime.processes.contains(&one.name.as_str())).min_by_key(|one| one.pid);
    let command_line = process.as_ref().map(|one| node.command_line(one.pid)).unwrap_or_default();
    let argument = config_argument(&command_line);
    let mut files = vec![argument.unwrap_or_else(|| PathBuf::from(runtime.config))];
    for folder in runtime.drop_ins.iter().map(Path::new) {
        let mut names = node.list(folder, 1024).unwrap_or_default().names;
        names.sort();
        files.extend(names.into_iter().map(|name| folder.join(name)));
    }
    let mut folders = Folders::default();
    let mut config_changed = None;
    for file in files {
        let Ok(content) = node.read_text(&file) else { continue };
        folders = folders.then(parse(&content));
        let changed = node.metadata(&file).ok().and_then(|metadata| metadata.modified().ok());
        config_changed = config_changed.max(changed);
    }
    let conf_dir = folders.conf_dir.unwrap_or_else(|| PathBuf::from(runtime.conf_dir));
    let bin_dirs = if folders.bin_dirs.is_empty() {
        runtime.bin_dirs.iter().map(PathBuf::from).collect()
    } else {
        folders.bin_dirs
    };
    let is_missing = |folder: &PathBuf| node.list(folder, 0).is_err_and(|error| error.is_missing());
    Facts {
        answers: node.reach_socket(Path::new(runtime.socket)).map_err(|error| error.to_string()),
        networks: node
            .list(&conf_dir, 4096)
            .ok()
            .map(|listing| listing.names.iter().filter(|name| is_network(name)).count()),
        conf_dir,
        missing_bin_dirs: bin_dirs.iter().filter(|folder| is_missing(folder)).cloned().collect(),
        bin_dirs,
        started: process.and_then(|one| Some(node.boot_time()? + one.started())),
        config_changed,
    }
}

fn is_network(name: &std::ffi::OsStr) -> bool {
    let ending = Path::new(name).extension().and_then(std::ffi::OsStr::to_str);
    matches!(ending, Some("conf" | "conflist" | "json"))
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
        let Some((key, value)) = line.split_once('=').filter(|_| is_cni) else { continue };
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

fn judge(runtime: &Runtime, facts: &Facts) -> Finding {
    let shown = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let mut finding = verdict(runtime, facts)
        .with("runtime", runtime.name)
        .with("socket", runtime.socket)
        .with("conf_dir", facts.conf_dir.display().to_string())
        .with("networks", facts.networks)
        .with("bin_dirs", shown(&facts.bin_dirs));
    if let Some(started) = facts.started {
        finding = finding.with("started", clock::rfc3339(started));
    }
    if let Some(changed) = facts.config_changed {
        finding = finding.with("config_changed", clock::rfc3339(changed));
    }
    finding
}

fn verdict(runtime: &Runtime, facts: &Facts) -> Finding {
    let Runtime { name, socket, .. } = runtime;
    let conf_dir = facts.conf_dir.display();
    match &facts.answers {
        Err(why) => return Finding::skipped(why),
        Ok(false) => {
            return Finding::warn(format!("{name} does not answer on {socket}"))
                .explains(Cause::RuntimeFailed)
                .fix(format!("see what the runtime does: journalctl -u {} -n 50", runtime.processes[0]));
        }
        Ok(true) => {}
    }
    if let Some(missing) = facts.missing_bin_dirs.first().filter(|_| facts.missing_bin_dirs == facts.bin_dirs)
    {
        return Finding::warn(format!(
            "{name} looks for plugins in {}, which does not exist",
            missing.display()
        ))
        .explains(Cause::PluginNotFound)
        .fix(
            "install the plugins there, or correct the folder in the runtime's configuration and restart it",
        );
    }
    if facts.networks.is_none_or(|networks| networks == 0) {
        return Finding::warn(format!("{name} looks for networks in {conf_dir}, where there are none"))
            .explains(Cause::NetworkNotReady)
            .fix(format!("see whether the network add-on runs on this node and writes to {conf_dir}"));
    }
    // A second, since what installs both writes the one and starts the other at the same time.
    let is_later = |changed: SystemTime, started| changed > started + Duration::from_secs(1);
    if let (Some(changed), Some(started)) = (facts.config_changed, facts.started)
        && is_later(changed, started)
    {
        return Finding::warn(format!("{name}'s configuration has been changed since it was started"))
            .fix(format!("restart it to use the configuration: systemctl restart {}", runtime.processes[0]));
    }
    Finding::ok(format!("{name} answers, and reads {conf_dir}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;
    use std::os::unix::net::UnixListener;

    fn well() -> Facts {
        Facts {
            answers: Ok(true),
            conf_dir: "/etc/cni/net.d".into(),
            networks: Some(1),
            bin_dirs: vec!["/opt/cni/bin".into()],
            missing_bin_dirs: Vec::new(),
            started: Some(SystemTime::UNIX_EPOCH + Duration::from_mins(16)),
            config_changed: Some(SystemTime::UNIX_EPOCH + Duration::from_mins(15)),
        }
    }

    #[test]
    fn states_of_a_runtime() {
        let later = Some(SystemTime::UNIX_EPOCH + Duration::from_mins(17));
        let table = [
            (well(), Status::Ok, None, "containerd answers, and reads /etc/cni/net.d"),
            (
                Facts { answers: Ok(false), ..well() },
                Status::Warn,
                Some(Cause::RuntimeFailed),
                "containerd does not answer on /run/containerd/containerd.sock",
            ),
            (Facts { answers: Err("no".into()), ..well() }, Status::Skipped, None, "no"),
            (
                Facts { missing_bin_dirs: vec!["/opt/cni/bin".into()], ..well() },
                Status::Warn,
                Some(Cause::PluginNotFound),
                "containerd looks for plugins in /opt/cni/bin, which does not exist",
            ),
            (
                Facts { networks: None, ..well() },
                Status::Warn,
                Some(Cause::NetworkNotReady),
                "containerd looks for networks in /etc/cni/net.d, where there are none",
            ),
            (
                Facts { config_changed: later, ..well() },
                Status::Warn,
                None,
                "containerd's configuration has been changed since it was started",
            ),
        ];
        for (facts, status, cause, summary) in table {
            let finding = judge(&CONTAINERD, &facts);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

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
            ("[crio.network]\nplugin_dirs = [\n", folders(None, &[])),
            ("\u{0}[[[=\n=", folders(None, &[])),
        ];
        for (config, expected) in table {
            assert_eq!(parse(config), expected, "{config}");
        }
    }

    #[test]
    fn the_configuration_that_the_process_was_started_with_decides() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let look = || look(&Node::at(root.path()), &Subject::default(), Depth::Full);
        assert_eq!(look().summary, "neither containerd nor CRI-O has a socket on this node");
        put("proc/7/stat", &format!("7 (containerd) S 1{} 100 1 2", " 0".repeat(17)));
        put("proc/7/cmdline", "/usr/bin/containerd\0--config\0/etc/own.toml\0");
        put("proc/stat", "cpu 1 2\nbtime 4000000000\n");
        put("etc/own.toml", "[a.cni]\nconf_dir = \"/nets\"\nbin_dir = \"/bins\"\n");
        put("etc/containerd/config.toml", "[a.cni]\nconf_dir = \"/others\"\n");
        put("nets/10-a.conflist", "{}");
        put("nets/README", "");
        put("bins/bridge", "");
        put("run/containerd/x", "");
        let _listener = UnixListener::bind(root.path().join("run/containerd/containerd.sock")).unwrap();
        let finding = look();
        assert_eq!(
            (finding.status, finding.summary.as_str()),
            (Status::Ok, "containerd answers, and reads /nets")
        );
        assert_eq!(
            (&finding.evidence["networks"], &finding.evidence["bin_dirs"], &finding.evidence["started"]),
            (&json!(1), &json!(["/bins"]), &json!("2096-10-02T07:06:41.000000Z"))
        );
    }

    #[test]
    fn arguments_are_found_in_either_form() {
        for (line, expected) in
            [("containerd -c /a", Some("/a")), ("containerd --config=/b x", Some("/b")), ("containerd", None)]
        {
            assert_eq!(config_argument(line), expected.map(PathBuf::from), "{line}");
        }
    }
}
