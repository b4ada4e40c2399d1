//! `runtime`: containerd's or CRI-O's socket, and the folders of configurations and plugins that it uses.

pub mod folders;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::{Node, clock};
use folders::{Configured, Runtime};

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
    match folders::running(node) {
        Some(runtime) => judge(runtime, &facts(node, runtime)),
        None => Finding::skipped("neither containerd nor CRI-O has a socket on this node"),
    }
}

fn facts(node: &Node, runtime: &Runtime) -> Facts {
    let Configured { conf_dir, bin_dirs, process, changed } = runtime.configured(node);
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
        config_changed: changed,
    }
}

fn is_network(name: &std::ffi::OsStr) -> bool {
    let ending = Path::new(name).extension().and_then(std::ffi::OsStr::to_str);
    matches!(ending, Some("conf" | "conflist" | "json"))
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
    use super::folders::RUNTIMES;
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
            let finding = judge(&RUNTIMES[0], &facts);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
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
}
