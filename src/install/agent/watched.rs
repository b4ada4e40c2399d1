//! What is watched, and what a change concerns. Pure.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::node::watch::Change;

/// What a change concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Concern {
    /// The networks, the binary or the marker.
    pub networks: bool,
    /// The cached results.
    pub results: bool,
}

/// The folders that are watched, and what matters in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// Those in which everything matters.
    whole: BTreeSet<PathBuf>,
    /// Those of cached results.
    results: BTreeSet<PathBuf>,
    /// Names that matter in other folders.
    names: BTreeSet<(PathBuf, OsString)>,
    folders: BTreeSet<PathBuf>,
}

impl Watched {
    /// Everything in this folder, and whether it is still the same folder.
    pub fn folder(&mut self, folder: &Path) {
        self.whole.insert(folder.to_owned());
        self.folders.insert(folder.to_owned());
        self.way_to(folder);
    }

    /// One file.
    pub fn file(&mut self, file: &Path) {
        self.folders.extend(file.parent().map(Path::to_owned));
        self.way_to(file);
    }

    /// A folder of cached results.
    pub fn results(&mut self, folder: &Path) {
        self.results.insert(folder.to_owned());
        self.folders.insert(folder.to_owned());
        self.way_to(folder);
    }

    /// What leads to it may be made anew, or only now.
    fn way_to(&mut self, path: &Path) {
        self.folders.extend(path.parent().map(Path::to_owned));
        for part in path.ancestors() {
            if let (Some(folder), Some(name)) = (part.parent(), part.file_name()) {
                self.names.insert((folder.to_owned(), name.to_owned()));
            }
        }
    }

    /// The folders.
    #[must_use]
    pub fn folders(&self) -> &BTreeSet<PathBuf> {
        &self.folders
    }

    /// What a change concerns.
    #[must_use]
    pub fn concern(&self, change: &Change) -> Concern {
        let all = Concern { networks: true, results: true };
        match change {
            Change::Anything | Change::Lost(_) => all,
            Change::In(folder, name) if self.names.contains(&(folder.clone(), name.clone())) => all,
            Change::In(folder, _) => {
                Concern { networks: self.whole.contains(folder), results: self.results.contains(folder) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_concerns_what_is_watched_there() {
        let mut watched = Watched::default();
        watched.folder(Path::new("/etc/cni/net.d"));
        watched.file(Path::new("/opt/cni/bin/cniscope"));
        watched.results(Path::new("/var/lib/cni/results"));
        let folders: Vec<_> = watched.folders().iter().map(|folder| folder.to_str().unwrap()).collect();
        assert_eq!(
            folders,
            ["/etc/cni", "/etc/cni/net.d", "/opt/cni/bin", "/var/lib/cni", "/var/lib/cni/results"]
        );
        let table = [
            ("/etc/cni/net.d", "10-pods.conflist", (true, false)),
            ("/etc/cni", "net.d", (true, true)),
            ("/etc", "cni", (true, true)),
            ("/etc/cni", "other", (false, false)),
            ("/opt/cni/bin", "cniscope", (true, true)),
            ("/opt/cni/bin", "bridge", (false, false)),
            ("/opt/cni", "bin", (true, true)),
            ("/var/lib/cni/results", "pods-c1-eth0", (false, true)),
            ("/var/lib", "cni", (true, true)),
            ("/var/lib", "docker", (false, false)),
        ];
        for (folder, name, (networks, results)) in table {
            let found = watched.concern(&Change::In(folder.into(), name.into()));
            assert_eq!(found, Concern { networks, results }, "{folder}/{name}");
        }
        for change in [Change::Anything, Change::Lost("/etc/cni/net.d".into())] {
            assert_eq!(watched.concern(&change), Concern { networks: true, results: true });
        }
    }
}
