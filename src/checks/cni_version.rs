//! `cni-version`: the plugins of the entry speak the version of its configuration (`pkg/version`, `Reconciler`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Depth;
use super::subject::Subject;
use crate::cni::path;
use crate::cni::version::SUPPORTED;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::plugin_versions::Answer;

/// What libcni takes where a configuration tells none.
const IMPLIED: &str = "0.1.0";

/// A plugin of the entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plugin {
    name: String,
    path: PathBuf,
    /// What it answers, or why it does not.
    versions: Result<Vec<String>, String>,
}

/// Asks the plugins.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    if depth == Depth::Quick {
        return Finding::skipped("plugins are asked for their versions only after a failure");
    }
    let version = match &subject.config["cniVersion"] {
        Value::String(version) if !version.is_empty() => version.clone(),
        Value::String(_) | Value::Null => IMPLIED.to_owned(),
        _ => return Finding::skipped("the configuration's cniVersion is no text"),
    };
    let at = |name: &str| {
        let mut paths = subject.folders.iter().map(|folder| path::join(folder, name.as_ref()));
        paths.find(|path| node.metadata(path).is_ok_and(|metadata| metadata.is_file()))
    };
    // Calls fail by the hundred; who only looks at the node leaves nothing on it.
    let answers = if subject.is_call() { Answer::Kept } else { Answer::Forgotten };
    let plugins = subject.plugins().into_iter().filter_map(|(_, name)| {
        let path = at(&name)?;
        let versions = node.plugin_versions(Path::new(&path), answers);
        Some(Plugin { name, path, versions })
    });
    judge(&version, &plugins.collect::<Vec<_>>())
}

fn judge(version: &str, plugins: &[Plugin]) -> Finding {
    let speaks = |plugin: &Plugin, version: &str| {
        plugin.versions.as_ref().is_ok_and(|versions| versions.iter().any(|one| one == version))
    };
    let answered: Vec<&Plugin> = plugins.iter().filter(|plugin| plugin.versions.is_ok()).collect();
    let deaf = answered.iter().find(|plugin| !speaks(plugin, version));
    let finding = match (deaf, answered.first()) {
        (Some(deaf), _) => {
            let versions = deaf.versions.as_deref().unwrap_or_default().join(", ");
            let summary =
                format!("{} supports {versions}, but the configuration's cniVersion is {version}", deaf.name);
            let finding = Finding::fail(Cause::CniVersionMismatch, summary)
                .fix(format!("install a release of {} that supports {version}", deaf.path.display()));
            let common =
                SUPPORTED.iter().rev().find(|version| answered.iter().all(|plugin| speaks(plugin, version)));
            match common {
                Some(common) => finding.fix(format!(
                    "or set cniVersion to {common} in the network's configuration: all its plugins that were asked support it"
                )),
                None => finding,
            }
        }
        (None, Some(_)) => {
            let names: Vec<_> = answered.iter().map(|plugin| plugin.name.as_str()).collect();
            Finding::ok(format!("{} can speak the configuration's version {version}", names.join(", ")))
        }
        (None, None) => Finding::skipped("no plugin of the entry answers VERSION"),
    };
    let plugins: Value = plugins
        .iter()
        .map(|plugin| match &plugin.versions {
            Ok(versions) => json!({"path": plugin.path.to_string_lossy(), "versions": versions}),
            Err(why) => json!({"path": plugin.path.to_string_lossy(), "skipped": why}),
        })
        .collect();
    finding.with("cni_version", version).with("plugins", plugins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;

    fn plugin(name: &str, versions: &[&str]) -> Plugin {
        Plugin {
            name: name.into(),
            path: Path::new("/opt/cni/bin").join(name),
            versions: Ok(versions.iter().map(ToString::to_string).collect()),
        }
    }

    fn silent(name: &str) -> Plugin {
        Plugin { versions: Err("it did not answer VERSION within 1 s".into()), ..plugin(name, &[]) }
    }

    #[test]
    fn plugins_and_the_configurations_version() {
        let old = || plugin("bridge", &["0.3.1", "0.4.0"]);
        let new = || plugin("host-local", &["0.4.0", "1.0.0"]);
        let mismatch = Some(Cause::CniVersionMismatch);
        let table = [
            (
                "0.4.0",
                vec![old(), new()],
                Status::Ok,
                None,
                "bridge, host-local can speak the configuration's version 0.4.0",
            ),
            (
                "1.0.0",
                vec![old(), new()],
                Status::Fail,
                mismatch,
                "bridge supports 0.3.1, 0.4.0, but the configuration's cniVersion is 1.0.0",
            ),
            (
                "0.3.1",
                vec![old(), new()],
                Status::Fail,
                mismatch,
                "host-local supports 0.4.0, 1.0.0, but the configuration's cniVersion is 0.3.1",
            ),
            (
                "1.0.0",
                vec![silent("odd"), new()],
                Status::Ok,
                None,
                "host-local can speak the configuration's version 1.0.0",
            ),
            ("1.0.0", vec![silent("odd")], Status::Skipped, None, "no plugin of the entry answers VERSION"),
            ("1.0.0", vec![], Status::Skipped, None, "no plugin of the entry answers VERSION"),
        ];
        for (version, plugins, status, cause, summary) in table {
            let finding = judge(version, &plugins);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn the_fix_names_the_binary_and_a_version_that_all_speak() {
        let finding = judge(
            "1.0.0",
            &[plugin("bridge", &["0.3.1", "0.4.0"]), plugin("host-local", &["0.4.0"]), silent("x")],
        );
        assert_eq!(
            finding.fix,
            [
                "install a release of /opt/cni/bin/bridge that supports 1.0.0",
                "or set cniVersion to 0.4.0 in the network's configuration: all its plugins that were asked support it"
            ]
        );
        assert_eq!(
            finding.evidence["plugins"][2],
            json!({"path": "/opt/cni/bin/x", "skipped": "it did not answer VERSION within 1 s"})
        );
        assert_eq!(judge("1.0.0", &[plugin("bridge", &[])]).fix.len(), 1);
    }

    #[test]
    fn before_a_call_and_of_another_root_nothing_is_started() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("bin")).unwrap();
        std::fs::write(root.path().join("bin/odd"), "#!/bin/sh\nexit 1\n").unwrap();
        let subject = |config| Subject {
            plugin: "odd".into(),
            folders: vec!["/bin".into()],
            config,
            ..Subject::default()
        };
        let node = Node::at(root.path());
        let summary = |config, depth| {
            let finding = look(&node, &subject(config), depth);
            (finding.status, finding.summary)
        };
        let skipped = |why: &str| (Status::Skipped, why.to_owned());
        assert_eq!(
            summary(json!({}), Depth::Quick),
            skipped("plugins are asked for their versions only after a failure")
        );
        assert_eq!(summary(json!({}), Depth::Full), skipped("no plugin of the entry answers VERSION"));
        assert_eq!(
            summary(json!({"cniVersion": 1}), Depth::Full),
            skipped("the configuration's cniVersion is no text")
        );
    }
}
