//! The settings file: used only where nobody but root or this process' own user can have written it.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::node::Node;
use crate::node::files::FileError;

/// Where the file is looked for when `CNISCOPE_CONFIG` does not name one.
pub const FILES: [&str; 2] = ["/etc/cniscope/config.json", "/var/lib/cniscope/config.json"];
/// A larger file is no settings file.
const MAX_FILE: u64 = 1 << 20;

/// The settings file that counts, with its content. `None` if there is none where none was named.
pub(super) fn read(node: &Node, named: Option<&OsString>) -> Result<Option<(PathBuf, Vec<u8>)>, String> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        let content =
            read_trusted(node, &path).map_err(|error| format!("{error} (named by CNISCOPE_CONFIG)"))?;
        return Ok(Some((path, content)));
    }
    for path in FILES.map(PathBuf::from) {
        match read_trusted(node, &path) {
            Ok(content) => return Ok(Some((path, content))),
            Err(Untrusted::File(error)) if error.is_missing() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(None)
}

/// Why a settings file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untrusted {
    #[error("{0}: not used")]
    File(#[from] FileError),
    #[error("{path}: not used: it belongs to uid {uid}, expected root or {own}", path = path.display())]
    Owner { path: PathBuf, uid: u32, own: u32 },
    #[error("{path}: not used: its mode {mode:04o} lets others write it; chmod go-w it", path = path.display())]
    Writable { path: PathBuf, mode: u32 },
}

/// The content of a file that nobody but root or this process' own user can have written.
pub(super) fn read_trusted(node: &Node, path: &Path) -> Result<Vec<u8>, Untrusted> {
    let file = node.open_file(path)?;
    let own = nix::unistd::geteuid().as_raw();
    if file.metadata.uid() != 0 && file.metadata.uid() != own {
        return Err(Untrusted::Owner { path: path.to_owned(), uid: file.metadata.uid(), own });
    }
    if file.metadata.mode() & 0o022 != 0 {
        return Err(Untrusted::Writable { path: path.to_owned(), mode: file.metadata.mode() & 0o7777 });
    }
    Ok(file.read(MAX_FILE)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn node() -> (tempfile::TempDir, Node) {
        let folder = tempfile::tempdir().unwrap();
        for below in ["etc/cniscope", "var/lib/cniscope"] {
            fs::create_dir_all(folder.path().join(below)).unwrap();
        }
        let node = Node::at(folder.path());
        (folder, node)
    }

    fn put(folder: &tempfile::TempDir, path: &str, mode: u32) {
        let path = folder.path().join(path);
        fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn none_is_no_mistake() {
        let (_folder, node) = node();
        assert_eq!(read(&node, None), Ok(None));
    }

    #[test]
    fn the_first_that_is_there_counts() {
        let (folder, node) = node();
        put(&folder, "var/lib/cniscope/config.json", 0o644);
        assert_eq!(read(&node, None).unwrap().unwrap().0, Path::new(FILES[1]));
        put(&folder, "etc/cniscope/config.json", 0o600);
        assert_eq!(read(&node, None).unwrap().unwrap().0, Path::new(FILES[0]));
    }

    #[test]
    fn a_named_one_counts_alone() {
        let (folder, node) = node();
        put(&folder, "etc/cniscope/config.json", 0o600);
        put(&folder, "mine", 0o600);
        assert_eq!(read(&node, Some(&"/mine".into())).unwrap().unwrap().1, b"mine");
        assert_eq!(
            read(&node, Some(&"/none".into())).unwrap_err(),
            "/none: no such file or directory: not used (named by CNISCOPE_CONFIG)"
        );
        assert_eq!(read(&node, Some(&"".into())).unwrap().unwrap().0, Path::new(FILES[0]));
    }

    #[test]
    fn one_that_others_can_write_is_not_used_nor_the_next() {
        let (folder, node) = node();
        put(&folder, "etc/cniscope/config.json", 0o664);
        put(&folder, "var/lib/cniscope/config.json", 0o600);
        assert_eq!(
            read(&node, None).unwrap_err(),
            "/etc/cniscope/config.json: not used: its mode 0664 lets others write it; chmod go-w it"
        );
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let (folder, node) = node();
        let path = folder.path().join("etc/cniscope/config.json");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(
            read(&node, None).unwrap_err(),
            "/etc/cniscope/config.json: is a FIFO, expected a regular file: not used"
        );
    }
}
