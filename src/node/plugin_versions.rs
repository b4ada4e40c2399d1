//! What a plugin answers to VERSION.
//!
//! It is the one question for which a program of the node is started: the specification makes VERSION free of effects, and
//! runtimes ask it whenever they load a configuration.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::Value;

use super::Node;
use super::replace::replace_loosely;
use super::tools::{printed_by, spawn_inside};
use crate::digest::sha256;

/// Answers, by path, size and time of the binary.
const CACHE: &str = "/run/cniscope/versions";
/// A plugin that has not answered is killed then.
const LIMIT: Duration = Duration::from_secs(1);
/// More of an answer is not read.
const MAX_ANSWER: u64 = 64 * 1024;
/// What libcni writes to the plugin (`pkg/invoke/exec.go`, `GetVersionInfo`).
const QUESTION: &[u8] = br#"{"cniVersion":"1.1.0"}"#;
const NO_ANSWER: &str = "it printed no answer to VERSION";
/// Its bit in a set of capabilities.
const CAP_SYS_CHROOT: u64 = 1 << 18;

/// What is done with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is kept for the next who asks.
    Kept,
    /// Nothing is written.
    Forgotten,
}

impl Node {
    /// The versions that the plugin at `path` supports, in its own order.
    ///
    /// # Errors
    /// Why it does not tell.
    pub fn plugin_versions(&self, path: &Path, answer: Answer) -> Result<Vec<String>, String> {
        self.starts_plugins()?;
        if self.is_this() {
            return answer_of(path, Path::new(CACHE), answer);
        }
        parse(&ask(path, Some(&self.root))?).ok_or_else(|| NO_ANSWER.to_owned())
    }

    /// Whether its plugins can be started: those of a host below another root are, inside of that.
    ///
    /// # Errors
    /// Why not.
    pub fn starts_plugins(&self) -> Result<(), &'static str> {
        if self.is_this() {
            return Ok(());
        }
        if !self.has_this_kernel() {
            return Err("plugins of another node's files are not started");
        }
        let status = Node::this().read_text(Path::new("/proc/self/status")).unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        if effective.is_some_and(|mask| mask & CAP_SYS_CHROOT == 0) {
            return Err("plugins below another root are started only with the capability SYS_CHROOT");
        }
        Ok(())
    }
}

fn answer_of(path: &Path, cache: &Path, is_to_be: Answer) -> Result<Vec<String>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    let of = (path, metadata.size(), metadata.mtime(), metadata.mtime_nsec());
    let cached = cache.join(sha256(format!("{of:?}").as_bytes()));
    let known = Node::this().read(&cached, MAX_ANSWER).ok();
    if let Some(versions) = known.and_then(|answer| parse(&answer)) {
        return Ok(versions);
    }
    let answer = ask(path, None)?;
    let versions = parse(&answer).ok_or(NO_ANSWER)?;
    if is_to_be == Answer::Kept {
        keep(&cached, &answer);
    }
    Ok(versions)
}

/// The list in an answer. Plugins of before the list print nothing of the kind.
fn parse(answer: &[u8]) -> Option<Vec<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let versions = answer["supportedVersions"].as_array()?.iter();
    Some(versions.filter_map(|version| version.as_str().map(str::to_owned)).collect())
}

fn ask(path: &Path, root: Option<&Path>) -> Result<Vec<u8>, String> {
    let child = start(path, root).map_err(|error| error.to_string())?;
    let printed = printed_by(child, LIMIT, MAX_ANSWER);
    let why = || format!("it did not answer VERSION within {} s", LIMIT.as_secs());
    printed.map(|printed| printed.text).ok_or_else(why)
}

fn start(path: &Path, root: Option<&Path>) -> std::io::Result<Child> {
    let mut question = File::from(memfd_create(c"question", MFdFlags::MFD_CLOEXEC)?);
    question.write_all(QUESTION)?;
    question.rewind()?;
    let mut command = Command::new(path);
    let of_the_call = std::env::vars_os().map(|(name, _)| name);
    for name in of_the_call.filter(|name| name.as_encoded_bytes().starts_with(b"CNI_")) {
        command.env_remove(name);
    }
    command.env("CNI_COMMAND", "VERSION");
    command.stdin(question).stdout(Stdio::piped()).stderr(Stdio::null());
    spawn_inside(command, root)
}

/// If it cannot be kept, the plugin is asked again.
fn keep(path: &Path, answer: &[u8]) {
    let Some(folder) = path.parent() else { return };
    let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let _ = replace_loosely(path, answer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    /// Asks a plugin of a shell script, again where another test's child still holds its file open for writing.
    fn asked(folder: &Path, script: &str) -> Result<Vec<String>, String> {
        let plugin = folder.join("plugin");
        std::fs::write(&plugin, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
        for _ in 0..500 {
            match answer_of(&plugin, &folder.join("cache"), Answer::Kept) {
                Err(why) if why.contains("Text file busy") => std::thread::sleep(Duration::from_millis(10)),
                answer => return answer,
            }
        }
        panic!("{} stays busy", plugin.display());
    }

    fn answer(script: &str) -> Result<Vec<String>, String> {
        asked(tempfile::tempdir().unwrap().path(), script)
    }

    #[test]
    fn a_plugin_is_asked_as_libcni_asks() {
        let script = r#"read -r question || true; [ "$question" = '{"cniVersion":"1.1.0"}' ] || exit 1
            echo "{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.4.0\",\"$CNI_COMMAND$CNI_PATH\"]}""#;
        assert_eq!(answer(script), Ok(vec!["0.4.0".to_owned(), "VERSION".to_owned()]));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for script in ["exit 1", "echo no", "echo '{}'", "cat /dev/zero"] {
            assert_eq!(answer(script), Err("it printed no answer to VERSION".to_owned()), "{script}");
        }
        let missing = answer_of(Path::new("/no/plugin"), Path::new("/no/cache"), Answer::Kept).unwrap_err();
        assert_eq!(missing, "No such file or directory (os error 2)");
    }

    #[test]
    fn a_plugin_that_hangs_is_killed_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let started = Instant::now();
        let answer = asked(folder.path(), &format!("sleep 600 & echo $! > {}; wait", pid.display()));
        assert_eq!(answer, Err("it did not answer VERSION within 1 s".to_owned()));
        assert!(started.elapsed() < Duration::from_mins(1));
        let sleeping: u32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let is_gone = |_: &i32| Node::this().process(sleeping).is_none_or(|process| process.state == 'Z');
        let wait = |step: i32| {
            std::thread::sleep(Duration::from_millis(10));
            step
        };
        assert!((0..1000).map(wait).any(|step| is_gone(&step)), "{sleeping} still runs");
    }

    #[test]
    fn an_answer_is_kept_until_the_binary_changes() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let script = format!("echo x >> {}; echo '{{\"supportedVersions\":[\"1.0.0\"]}}'", count.display());
        let times = || std::fs::read_to_string(&count).unwrap().lines().count();
        assert_eq!(asked(folder.path(), &script), Ok(vec!["1.0.0".to_owned()]));
        let again = answer_of(&folder.path().join("plugin"), &folder.path().join("cache"), Answer::Forgotten);
        assert_eq!((again, times()), (Ok(vec!["1.0.0".to_owned()]), 1));
        asked(folder.path(), &format!("{script} # changed")).unwrap();
        assert_eq!(times(), 2);
    }

    #[test]
    fn an_answer_that_is_forgotten_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        asked(folder.path(), r#"echo '{"supportedVersions":["1.0.0"]}'"#).unwrap();
        std::fs::remove_dir_all(&cache).unwrap();
        let answer = answer_of(&folder.path().join("plugin"), &cache, Answer::Forgotten);
        assert_eq!(answer, Ok(vec!["1.0.0".to_owned()]));
        assert!(!cache.exists());
    }

    #[test]
    fn nothing_of_another_root_is_started() {
        let answer = Node::at(Path::new("/tmp")).plugin_versions(Path::new("/bin/true"), Answer::Kept);
        assert_eq!(answer, Err("plugins of another node's files are not started".to_owned()));
    }
}
