//! `disk`: room for the state of plugins and runtimes.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::filesystems::FileSystem;

/// libcni keeps the result of every ADD here, and host-local its addresses: without it no ADD succeeds.
const STATE: &str = "/var/lib/cni";
/// Where the other parts of a call write.
const OTHERS: [&str; 2] = ["/run", "/var/log"];
/// Read in every call, written by agents only.
const CONFIGURATION: &str = "/etc/cni";
/// Less than this is soon full, in bytes, where it is also little of the whole.
const LITTLE: u64 = 1 << 30;
/// Less than this holds not even one file of a plugin.
const NOTHING: u64 = 4096;

/// A folder with its file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: String,
    /// A call cannot succeed without writing there.
    is_needed: bool,
    /// Whether calls write there at all.
    is_written: bool,
    found: Result<FileSystem, String>,
}

/// Looks at the file systems.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let data_dir = subject.config["ipam"]["dataDir"].as_str().filter(|path| path.starts_with('/'));
    let needed = [STATE].into_iter().chain(data_dir).map(|path| (path, true, true));
    let others = OTHERS.into_iter().map(|path| (path, false, true));
    let places = needed.chain(others).chain([(CONFIGURATION, false, false)]);
    let place = |(path, is_needed, is_written): (&str, bool, bool)| Place {
        path: path.to_owned(),
        is_needed,
        is_written,
        found: nearest(node, path),
    };
    judge(&places.map(place).collect::<Vec<_>>())
}

/// The file system on which the folder is, or would be made.
fn nearest(node: &Node, path: &str) -> Result<FileSystem, String> {
    let mut path = PathBuf::from(path);
    loop {
        match node.file_system(&path) {
            Err(error) if error.is_missing() && path.parent().is_some() => path.pop(),
            found => return found.map_err(|error| error.to_string()),
        };
    }
}

fn judge(places: &[Place]) -> Finding {
    let of_all = || places.iter().filter_map(|place| place.found.as_ref().ok().map(|found| (place, *found)));
    let written = || of_all().filter(|(place, _)| place.is_written);
    let finding = written()
        .find_map(|(place, found)| spent(place, found))
        .or_else(|| written().find(|(_, found)| found.read_only).map(|(place, _)| read_only(place)))
        .or_else(|| of_all().find_map(|(place, found)| scarce(place, found)))
        .or_else(|| places.iter().find_map(|place| place.found.clone().err()).map(Finding::skipped))
        .unwrap_or_else(|| Finding::ok("there is room for the state of plugins and runtimes"));
    let evidence: Value = places.iter().map(shown).collect();
    finding.with("places", evidence)
}

fn shown(place: &Place) -> Value {
    match &place.found {
        Ok(found) => json!({
            "path": place.path, "size": found.size, "free": found.free, "inodes": found.inodes,
            "free_inodes": found.free_inodes, "read_only": found.read_only,
        }),
        Err(why) => json!({"path": place.path, "skipped": why}),
    }
}

fn of(place: &Place, cause: Cause, summary: String) -> Finding {
    if place.is_needed { Finding::fail(cause, summary) } else { Finding::warn(summary).explains(cause) }
}

/// Whether inodes are counted, and none is left.
fn no_inodes(found: FileSystem) -> bool {
    found.inodes > 0 && found.free_inodes == 0
}

fn spent(place: &Place, found: FileSystem) -> Option<Finding> {
    let path = &place.path;
    // What cannot be written to is full for another reason: an image.
    let is_full = found.size > 0 && found.free < NOTHING;
    if found.read_only || !(is_full || no_inodes(found)) {
        return None;
    }
    let what = if is_full { "no space is left" } else { "no inode is left" };
    let find = if is_full { "du -x -d 2" } else { "du -x --inodes -d 2" };
    Some(
        of(place, Cause::DiskFull, format!("{what} on the file system of {path}"))
            .fix(format!("find what fills it: {find} $(findmnt -no TARGET -T {path}) | sort -n | tail")),
    )
}

fn read_only(place: &Place) -> Finding {
    let path = &place.path;
    of(place, Cause::FilesystemBroken, format!("the file system of {path} is read-only"))
        .fix(format!("see why: dmesg | grep -i remount; findmnt -T {path}"))
}

fn scarce(place: &Place, found: FileSystem) -> Option<Finding> {
    let path = &place.path;
    if found.read_only {
        return None;
    }
    let less_than = |part: u64, whole: u64| whole > 0 && part < whole / 20;
    let what = if less_than(found.free, found.size) && found.free < LITTLE {
        format!("{} MiB are left", found.free >> 20)
    } else if less_than(found.free_inodes, found.inodes) {
        format!("{} of {} inodes are left", found.free_inodes, found.inodes)
    } else {
        return None;
    };
    let summary = format!("{what} on the file system of {path}");
    Some(Finding::warn(summary).explains(Cause::DiskFull).fix("remove what is not needed before it is full"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;

    const ROOM: FileSystem = FileSystem {
        magic: 0,
        size: 100 << 30,
        free: 50 << 30,
        inodes: 1000,
        free_inodes: 500,
        read_only: false,
    };

    fn places(state: FileSystem, log: FileSystem) -> Vec<Place> {
        let place = |path: &str, is_needed, is_written, found| Place {
            path: path.into(),
            is_needed,
            is_written,
            found: Ok(found),
        };
        let image = FileSystem { read_only: true, free: 0, free_inodes: 0, ..ROOM };
        vec![
            place(STATE, true, true, state),
            place("/var/log", false, true, log),
            place(CONFIGURATION, false, false, image),
        ]
    }

    #[test]
    fn states_of_a_file_system() {
        let full = Some(Cause::DiskFull);
        let broken = Some(Cause::FilesystemBroken);
        let well = "there is room for the state of plugins and runtimes";
        let spent = FileSystem { free: 0, ..ROOM };
        let locked = FileSystem { read_only: true, ..ROOM };
        let table = [
            (ROOM, ROOM, Status::Ok, None, well),
            (FileSystem { free: 2 << 30, ..ROOM }, ROOM, Status::Ok, None, well),
            (FileSystem { inodes: 0, free_inodes: 0, ..ROOM }, ROOM, Status::Ok, None, well),
            (spent, ROOM, Status::Fail, full, "no space is left on the file system of /var/lib/cni"),
            (ROOM, spent, Status::Warn, full, "no space is left on the file system of /var/log"),
            (
                FileSystem { free_inodes: 0, ..ROOM },
                ROOM,
                Status::Fail,
                full,
                "no inode is left on the file system of /var/lib/cni",
            ),
            (locked, ROOM, Status::Fail, broken, "the file system of /var/lib/cni is read-only"),
            (ROOM, locked, Status::Warn, broken, "the file system of /var/log is read-only"),
            (
                FileSystem { free: 300 << 20, ..ROOM },
                ROOM,
                Status::Warn,
                full,
                "300 MiB are left on the file system of /var/lib/cni",
            ),
            (
                FileSystem { free_inodes: 49, ..ROOM },
                ROOM,
                Status::Warn,
                full,
                "49 of 1000 inodes are left on the file system of /var/lib/cni",
            ),
        ];
        for (state, log, status, cause, summary) in table {
            let finding = judge(&places(state, log));
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn what_cannot_be_looked_at_is_skipped_and_hides_nothing_else() {
        let mut unreachable = places(ROOM, ROOM);
        unreachable[0].found = Err("why".into());
        assert_eq!(
            (judge(&unreachable).status, judge(&unreachable).summary),
            (Status::Skipped, "why".into())
        );
        let mut full = places(ROOM, FileSystem { free: 0, ..ROOM });
        full[0].found = Err("why".into());
        assert_eq!(judge(&full).status, Status::Warn);
    }

    #[test]
    fn a_folder_that_is_yet_to_come_is_where_its_parent_is() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        // What is free changes between two looks.
        let at = |path| nearest(&node, path).map(|found| (found.magic, found.size, found.read_only));
        assert_eq!(at(STATE), at("/"));
        std::os::unix::fs::symlink("var", root.path().join("var")).unwrap();
        assert_eq!(nearest(&node, STATE).unwrap_err(), "/var/lib/cni: too many symbolic links encountered");
    }
}
