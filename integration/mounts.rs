//! A mount namespace of a test's own: nobody else sees what is mounted there, and it is gone with the test, even where that
//! is killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, setns};

/// A process that keeps the namespace, until the test lets go of its stdin.
pub struct Mounts {
    keeper: Child,
    namespace: File,
}

impl Mounts {
    /// Runs a shell script that mounts, and another one at the end. Both have the folder as `$1`.
    pub fn new(folder: &Path, mounts: &str, at_end: &str) -> Mounts {
        let script = format!("set -e\n{mounts}\necho ready\nset +e\nread -r _\n{at_end}");
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("unshare (Debian: util-linux): {error}"));
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "cannot mount, which needs root: {mounts}");
        let namespace = File::open(format!("/proc/{}/ns/mnt", keeper.id())).unwrap();
        Mounts { keeper, namespace }
    }

    /// Lets the command run there.
    pub fn enter(&self, command: &mut Command) {
        let namespace = self.namespace.try_clone().unwrap();
        let enter = move || Ok(setns(&namespace, CloneFlags::CLONE_NEWNS)?);
        // SAFETY: one system call.
        unsafe { command.pre_exec(enter) };
    }

    /// A path there, as it is reached from here.
    pub fn path(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A small disk that can be frozen, mounted on a folder.
pub struct Disk {
    mounts: Mounts,
    folder: PathBuf,
}

impl Disk {
    /// Mounts it on `$1/<name>`; `more` is mounted beside it.
    pub fn new(place: &Path, name: &str, more: &str) -> Disk {
        let mounts = format!(
            "truncate -s 16M $1/{name}.image; mkfs.ext4 -q $1/{name}.image; mkdir -p $1/{name}
             mount -o loop $1/{name}.image $1/{name}; {more}"
        );
        let folder = place.join(name);
        let at_end = format!("fsfreeze --unfreeze $1/{name} 2>/dev/null; umount $1/{name}");
        Disk { mounts: Mounts::new(place, &mounts, &at_end), folder }
    }

    /// Where it is mounted.
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// From now on whoever writes to it stands still, in uninterruptible sleep. It ends at the latest with the test.
    pub fn freeze(&self) {
        self.fsfreeze("--freeze");
    }

    /// Those who stood still go on.
    pub fn thaw(&self) {
        self.fsfreeze("--unfreeze");
    }

    fn fsfreeze(&self, what: &str) {
        let folder = self.mounts.path(&self.folder);
        let status = Command::new("fsfreeze").arg(what).arg(&folder).status();
        let status = status.unwrap_or_else(|error| panic!("fsfreeze (Debian: util-linux): {error}"));
        assert!(status.success(), "fsfreeze {what} {}: {status}", folder.display());
    }
}
