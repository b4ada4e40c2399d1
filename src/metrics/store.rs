//! Where a ledger is kept from one look to the next.
//!
//! One process at a time keeps it. Another one that looks meanwhile counts from what was kept last and keeps nothing, so
//! that it tells the same without waiting.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::ledger::Ledger;
use crate::digest::sha256;
use crate::node::Node;
use crate::node::replace::replace;

/// A ledger is no larger, in bytes.
const LARGEST: u64 = 64 << 20;
/// The file that is locked.
const LOCK: &str = "counters.lock";

/// The place of the ledger of one journal.
pub(super) struct Store {
    path: PathBuf,
    lock: Lock,
}

enum Lock {
    /// This process keeps the ledger.
    Held { _file: Flock<File> },
    /// Another one does.
    OfAnother,
    /// Nobody can.
    Impossible(io::Error),
}

impl Store {
    /// The place in the folder `dir`, which is made where it is not there.
    pub(super) fn open(dir: &Path, journal: &Path) -> Store {
        // A journal elsewhere has counters of its own.
        let journal = journal.canonicalize().unwrap_or_else(|_| journal.to_owned());
        let name = sha256(journal.as_os_str().as_bytes());
        Store { path: dir.join(format!("counters-{}.json", &name[..16])), lock: lock(dir) }
    }

    /// What was kept. Where there is nothing, or nothing that can be understood, an empty ledger.
    pub(super) fn load(&self, warnings: &mut Vec<String>) -> Ledger {
        let mut warn = |why: String| warnings.push(format!("counters begin anew: {why}"));
        let content = match Node::this().read(&self.path, LARGEST) {
            Ok(content) => content,
            Err(error) if error.is_missing() => return Ledger::default(),
            Err(error) => {
                warn(error.to_string());
                return Ledger::default();
            }
        };
        match serde_json::from_slice::<Ledger>(&content) {
            Ok(ledger) if ledger.is_of_this_release() => ledger,
            Ok(_) => {
                warn(format!("{} is of another release", self.path.display()));
                Ledger::default()
            }
            Err(error) => {
                warn(format!("{}: {error}", self.path.display()));
                Ledger::default()
            }
        }
    }

    /// Whether there is a next time that begins with what is counted now.
    pub(super) fn is_kept(&self) -> bool {
        !matches!(self.lock, Lock::Impossible(_))
    }

    /// Keeps the ledger. `false` where nobody can.
    pub(super) fn save(&self, ledger: &Ledger, warnings: &mut Vec<String>) -> bool {
        let saved = match &self.lock {
            Lock::OfAnother => Ok(()),
            Lock::Impossible(error) => Err(error.to_string()),
            Lock::Held { .. } => serde_json::to_vec(ledger)
                .map_err(io::Error::from)
                .and_then(|content| replace(&self.path, &content, 0o600))
                .map_err(|error| error.to_string()),
        };
        if let Err(error) = &saved {
            let dir = self.path.parent().unwrap_or(&self.path).display();
            warnings.push(format!(
                "counters are not kept and can go back when the journal rotates: {dir}: {error}; name a folder with --state"
            ));
        }
        saved.is_ok()
    }
}

fn lock(dir: &Path) -> Lock {
    let file = DirBuilder::new().recursive(true).mode(0o700).create(dir).and_then(|()| {
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(dir.join(LOCK))
    });
    match file.map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock)) {
        Ok(Ok(held)) => Lock::Held { _file: held },
        Ok(Err((_, Errno::EWOULDBLOCK))) => Lock::OfAnother,
        Ok(Err((_, errno))) => Lock::Impossible(errno.into()),
        Err(error) => Lock::Impossible(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn counted(broken: u64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.counters.broken = broken;
        ledger
    }

    fn load(store: &Store) -> (u64, Vec<String>) {
        let mut warnings = Vec::new();
        (store.load(&mut warnings).counters.broken, warnings)
    }

    fn save(store: &Store, ledger: &Ledger) -> (bool, Vec<String>) {
        let mut warnings = Vec::new();
        (store.save(ledger, &mut warnings), warnings)
    }

    #[test]
    fn what_is_kept_is_there_the_next_time_in_a_folder_of_its_own() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("var/state");
        let open = || Store::open(&dir, root.path());
        assert_eq!(load(&open()), (0, vec![]));
        assert_eq!(save(&open(), &counted(3)), (true, vec![]));
        assert_eq!(load(&open()), (3, vec![]));
        assert_eq!(load(&Store::open(&dir, Path::new("/elsewhere"))), (0, vec![]), "another journal");
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&dir).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn who_comes_second_counts_from_what_was_kept_and_keeps_nothing() {
        let root = tempfile::tempdir().unwrap();
        let first = Store::open(root.path(), root.path());
        assert_eq!(save(&first, &counted(3)), (true, vec![]));
        let second = Store::open(root.path(), root.path());
        assert_eq!((load(&second), second.is_kept()), ((3, vec![]), true));
        assert_eq!(save(&second, &counted(7)), (true, vec![]));
        assert_eq!(load(&first), (3, vec![]));
        drop(first);
        assert_eq!(save(&Store::open(root.path(), root.path()), &counted(7)), (true, vec![]));
        assert_eq!(load(&second), (7, vec![]));
    }

    #[test]
    fn what_is_damaged_or_of_another_release_begins_anew_and_says_so() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), root.path());
        let other = serde_json::to_string(&counted(3)).unwrap().replace("\"schema\":1", "\"schema\":2");
        for (content, why) in [("{\"schema\":1,\"pl", "EOF"), ("", "EOF"), (&other, "is of another release")]
        {
            fs::write(&store.path, content).unwrap();
            let (broken, warnings) = load(&store);
            assert_eq!(broken, 0);
            assert!(
                warnings[0].starts_with("counters begin anew: ") && warnings[0].contains(why),
                "{warnings:?}"
            );
            assert_eq!(save(&store, &counted(1)), (true, vec![]));
            assert_eq!(load(&store), (1, vec![]));
        }
    }

    #[test]
    fn where_nothing_can_be_kept_it_says_what_that_means() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let store = Store::open(&root.path().join("file/below"), root.path());
        assert_eq!((load(&store), store.is_kept()), ((0, vec![]), false));
        let (is_kept, warnings) = save(&store, &counted(1));
        assert!(
            !is_kept && warnings[0].ends_with("Not a directory (os error 20); name a folder with --state"),
            "{warnings:?}"
        );
    }
}
