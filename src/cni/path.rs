//! `CNI_PATH`: where libcni looks for plugins (`pkg/invoke/find.go`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The folders of `CNI_PATH` in their order, as Go's `filepath.SplitList` gives them: none for an empty value.
#[must_use]
pub fn folders(cni_path: &OsStr) -> Vec<PathBuf> {
    if cni_path.is_empty() {
        return Vec::new();
    }
    cni_path
        .as_bytes()
        .split(|byte| *byte == b':')
        .map(|part| PathBuf::from(OsStr::from_bytes(part)))
        .collect()
}

/// Whether this can be a plugin's name: the plain name of a file. libcni refuses one with a `/`.
#[must_use]
pub fn is_plugin_name(name: &str) -> bool {
    !(name.is_empty() || name.contains(['/', '\0']) || name == "." || name == "..")
}

/// Go's `filepath.Join(folder, name)`: cleaned by its letters alone, links are not followed. A plugin is executed
/// under this very path, since a multi-call binary reads its name from it.
#[must_use]
pub fn join(folder: &Path, name: &OsStr) -> PathBuf {
    let mut joined = PathBuf::new();
    for component in folder.join(name).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match joined.components().next_back() {
                Some(Component::Normal(_)) => {
                    joined.pop();
                }
                Some(Component::RootDir) => {}
                _ => joined.push(".."),
            },
            other => joined.push(other),
        }
    }
    joined
}

/// libcni's text for a plugin that is in none of the folders.
#[must_use]
pub fn not_found_text(plugin: &str, folders: &[PathBuf]) -> String {
    let listed: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
    format!("failed to find plugin {} in path [{}]", super::go::quote(plugin.as_bytes()), listed.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_split_as_in_go() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("/a", &["/a"]),
            ("/a:/b", &["/a", "/b"]),
            ("/a::b", &["/a", "", "b"]),
            (":", &["", ""]),
        ];
        for (value, expected) in table {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(folders(OsStr::new(value)), expected, "{value}");
        }
    }

    #[test]
    fn a_plugins_name_is_a_plain_file_name() {
        for name in ["bridge", "cilium-cni", "a.b", "...", "x y"] {
            assert!(is_plugin_name(name), "{name:?}");
        }
        for name in ["", ".", "..", "a/b", "/a", "../a", "a\0"] {
            assert!(!is_plugin_name(name), "{name:?}");
        }
    }

    #[test]
    fn joining_cleans_as_in_go() {
        let table = [
            ("/opt/cni/bin", "/opt/cni/bin/x"),
            ("/opt//cni/bin/", "/opt/cni/bin/x"),
            ("/opt/./cni/../bin", "/opt/bin/x"),
            ("/..", "/x"),
            ("", "x"),
            (".", "x"),
            ("../a", "../a/x"),
            ("a/../../b", "../b/x"),
        ];
        for (folder, expected) in table {
            assert_eq!(join(Path::new(folder), OsStr::new("x")), Path::new(expected), "{folder}");
        }
    }

    #[test]
    fn the_text_is_libcnis() {
        let folders = folders(OsStr::new("/opt/bridge/bin:/opt/cni/bin"));
        assert_eq!(
            not_found_text("bridge", &folders),
            r#"failed to find plugin "bridge" in path [/opt/bridge/bin /opt/cni/bin]"#
        );
    }
}
