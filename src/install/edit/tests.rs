use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::install::conflist::{Which, unwrap, wrap};

const LIST: &str = r#"{"name":"n","plugins":[{"type":"a"}]}"#;
const WRAPPED: &str = r#"{"name":"n","plugins":[{"type":"cniscope", "cniscope": {"wraps": "a"}}]}"#;
const PATH: &str = "/etc/cni/net.d/10-n.conflist";
/// A lock that nobody else wants is had at once.
const NOT_LONG: Duration = Duration::from_secs(5);

/// A node with one list.
struct Place {
    root: tempfile::TempDir,
    node: Node,
}

impl Place {
    fn new() -> Place {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/cni/net.d")).unwrap();
        let place = Place { node: Node::at(root.path()), root };
        fs::write(place.path(PATH), LIST).unwrap();
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path.trim_start_matches('/'))
    }

    fn edit(&self, path: &str) -> Result<Edited, EditError> {
        self.edit_within(path, NOT_LONG)
    }

    fn edit_within(&self, path: &str, patience: Duration) -> Result<Edited, EditError> {
        let lock = Lock::take(&self.node, NOT_LONG).unwrap();
        let change = |bytes: &[u8]| wrap(bytes, Which::All);
        super::edit_within(&self.node, &lock, Path::new(path), change, patience)
    }

    fn content(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("etc/cni/net.d")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn changed() -> Edited {
    Edited::Changed { before: LIST.into(), after: WRAPPED.into() }
}

#[test]
fn the_file_has_the_new_bytes_and_nothing_else_is_left() {
    let place = Place::new();
    assert_eq!(place.edit(PATH).unwrap(), changed());
    assert_eq!(
        (place.content(PATH).as_str(), place.names().as_slice()),
        (WRAPPED, ["10-n.conflist".to_owned()].as_slice())
    );
    assert_eq!(place.edit(PATH).unwrap(), Edited::Unchanged);
}

#[test]
fn mode_owner_and_attributes_stay() {
    let place = Place::new();
    let path = place.path(PATH);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6640)).unwrap();
    let file = File::open(&path).unwrap();
    rustix::fs::fsetxattr(&file, "user.label", b"value", rustix::fs::XattrFlags::empty()).unwrap();
    let before = fs::metadata(&path).unwrap();
    place.edit(PATH).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_ne!(before.ino(), after.ino());
    assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
    let mut value = [0; 16];
    let length = rustix::fs::fgetxattr(File::open(&path).unwrap(), "user.label", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"value");
}

#[test]
fn a_link_is_followed_to_where_the_bytes_are() {
    let place = Place::new();
    fs::create_dir(place.path("/real")).unwrap();
    fs::rename(place.path(PATH), place.path("/real/list")).unwrap();
    symlink("/real/list", place.path(PATH)).unwrap();
    assert_eq!(place.edit(PATH).unwrap(), changed());
    assert_eq!(place.content("/real/list"), WRAPPED);
    assert_eq!(fs::read_link(place.path(PATH)).unwrap(), Path::new("/real/list"));
}

#[test]
fn a_kubernetes_volume_is_refused() {
    let place = Place::new();
    let folder = place.path("/etc/cni/net.d");
    fs::create_dir(folder.join("..2026_01_31_12_00_00.1234567890")).unwrap();
    fs::rename(place.path(PATH), folder.join("..2026_01_31_12_00_00.1234567890/10-n.conflist")).unwrap();
    symlink("..2026_01_31_12_00_00.1234567890", folder.join("..data")).unwrap();
    symlink("..data/10-n.conflist", place.path(PATH)).unwrap();
    assert_eq!(
        place.edit(PATH).unwrap_err().to_string(),
        "/etc/cni/net.d/10-n.conflist: stands in a Kubernetes volume (..data), whose files kubelet replaces: change the \
         ConfigMap or Secret that it is made of"
    );
    assert_eq!(place.content(PATH), LIST);
}

#[test]
fn what_cannot_be_changed_stays() {
    let place = Place::new();
    fs::write(place.path(PATH), "{}").unwrap();
    assert_eq!(
        place.edit(PATH).unwrap_err().to_string(),
        "/etc/cni/net.d/10-n.conflist: no plugins, expected a conflist with an array \"plugins\", or a single plugin with a \
         string \"type\""
    );
    assert_eq!(
        place.edit("/etc/cni/net.d").unwrap_err().to_string(),
        "/etc/cni/net.d: is a folder, expected a regular file"
    );
    assert_eq!(
        place.edit("/etc/cni/net.d/none").unwrap_err().to_string(),
        "/etc/cni/net.d/none: cannot read it: No such file or directory (os error 2)"
    );
    assert_eq!((place.content(PATH).as_str(), place.names().len()), ("{}", 1));
}

/// What stands beside the list when an edit was killed after the two files had changed names.
const LEFT: &str = "/etc/cni/net.d/.10-n.conflist.cniscope-new";

#[test]
fn what_a_writer_has_finished_after_a_killed_edit_is_not_lost() {
    let place = Place::new();
    fs::write(place.path(PATH), WRAPPED).unwrap();
    let since = std::time::SystemTime::now() - Duration::from_mins(1);
    fs::File::options().write(true).open(place.path(PATH)).unwrap().set_modified(since).unwrap();
    fs::write(place.path(LEFT), LIST.replace("\"a\"", "\"b\"")).unwrap();
    place.edit(PATH).unwrap();
    assert_eq!(place.content(PATH), WRAPPED.replace("\"a\"", "\"b\""));
    assert_eq!(place.names(), ["10-n.conflist"]);
}

#[test]
fn a_writer_who_still_writes_after_a_killed_edit_is_waited_for() {
    let place = Place::new();
    fs::write(place.path(LEFT), &LIST[..10]).unwrap();
    fs::rename(place.path(PATH), place.path("/etc/cni/net.d/other")).unwrap();
    fs::write(place.path(PATH), WRAPPED).unwrap();
    let mut writer = fs::File::options().append(true).open(place.path(LEFT)).unwrap();
    let rest = LIST[10..].replace("\"a\"", "\"b\"");
    let done = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        writer.write_all(rest.as_bytes()).unwrap();
    });
    place.edit(PATH).unwrap();
    done.join().unwrap();
    assert_eq!(place.content(PATH), WRAPPED.replace("\"a\"", "\"b\""));
    assert_eq!(place.names(), ["10-n.conflist", "other"]);
}

#[test]
fn what_a_killed_edit_had_from_before_does_not_come_back() {
    let place = Place::new();
    fs::write(place.path(PATH), WRAPPED).unwrap();
    // The one that stood there, which its writer left as it was; it may have been touched since.
    fs::write(place.path(LEFT), LIST).unwrap();
    assert_eq!(place.edit(PATH).unwrap(), Edited::Unchanged);
    assert_eq!((place.content(PATH), place.names()), (WRAPPED.to_owned(), vec!["10-n.conflist".to_owned()]));
}

#[test]
fn what_a_killed_edit_left_is_removed() {
    let place = Place::new();
    fs::write(place.path("/etc/cni/net.d/.10-n.conflist.cniscope-new"), "half").unwrap();
    fs::write(place.path("/etc/cni/net.d/.20-gone.conflist.cniscope-new"), "half").unwrap();
    place.edit(PATH).unwrap();
    assert_eq!(place.names(), ["10-n.conflist"]);
}

/// Writes as Calico's installer does: the file opened and truncated, and written in pieces.
fn write_slowly(path: &Path, content: &str, pieces: usize) {
    let mut file = File::create(path).unwrap();
    for piece in content.as_bytes().chunks(content.len().div_ceil(pieces)) {
        std::thread::sleep(Duration::from_millis(3));
        file.write_all(piece).unwrap();
    }
}

#[test]
fn bytes_of_a_slow_writer_in_place_are_never_lost() {
    let place = Place::new();
    for round in 0..100 {
        let newer = LIST.replace(r#""n""#, &format!(r#""n{round}""#));
        fs::write(place.path(PATH), LIST).unwrap();
        std::thread::scope(|scope| {
            let path = place.path(PATH);
            let newer = &newer;
            scope.spawn(move || {
                std::thread::sleep(Duration::from_micros(round * 20));
                write_slowly(&path, newer, 4);
            });
            place.edit(PATH).unwrap();
        });
        // Written after the edit, it is as its writer wants it; else it was edited with what it got.
        let found = String::from_utf8(unwrap(place.content(PATH).as_bytes()).unwrap()).unwrap();
        assert_eq!(found, newer, "round {round}");
    }
}

#[test]
fn a_file_that_another_puts_there_meanwhile_is_not_lost() {
    let place = Place::new();
    let newer = LIST.replace(r#""n""#, r#""newer""#);
    fs::write(place.path("/etc/newer"), &newer).unwrap();
    let lock = Lock::take(&place.node, NOT_LONG).unwrap();
    let is_first = std::cell::Cell::new(true);
    // Just before the names are exchanged.
    let change = |bytes: &[u8]| {
        if is_first.take() {
            fs::rename(place.path("/etc/newer"), place.path(PATH)).unwrap();
        }
        wrap(bytes, Which::All)
    };
    let edited = super::edit_within(&place.node, &lock, Path::new(PATH), change, NOT_LONG).unwrap();
    assert!(matches!(edited, Edited::Changed { before, .. } if before == newer.as_bytes()));
    assert_eq!(place.content(PATH), WRAPPED.replace(r#""n""#, r#""newer""#));
    assert_eq!(place.names(), ["10-n.conflist"]);
}

/// Guards against the removal of a file that its writer had opened by the name that it had for a moment: while the one that
/// was displaced was waited for, the next bytes went into the new one.
#[test]
fn what_is_written_into_the_new_file_while_the_old_one_is_waited_for_is_not_lost() {
    let place = Place::new();
    let path = place.path(PATH);
    let [older, newer] = ["older", "newer"].map(|name| LIST.replace(r#""n""#, &format!(r#""{name}""#)));
    let lock = Lock::take(&place.node, NOT_LONG).unwrap();
    let writer = std::cell::Cell::new(None);
    let is_first = std::cell::Cell::new(true);
    // Just before the names are exchanged.
    let change = |bytes: &[u8]| {
        if is_first.replace(false) {
            let mut old = File::create(&path).unwrap();
            let (path, older, newer) = (path.clone(), older.clone(), newer.clone());
            writer.set(Some(std::thread::spawn(move || {
                while !is_replaced(&old, &path) {
                    std::thread::yield_now();
                }
                let mut new = File::create(&path).unwrap();
                old.write_all(older.as_bytes()).unwrap();
                drop(old);
                std::thread::sleep(Duration::from_millis(100));
                new.write_all(newer.as_bytes()).unwrap();
            })));
        }
        wrap(bytes, Which::All)
    };
    super::edit_within(&place.node, &lock, Path::new(PATH), change, NOT_LONG).unwrap();
    writer.take().unwrap().join().unwrap();
    assert_eq!(place.content(PATH), WRAPPED.replace(r#""n""#, r#""newer""#));
    assert_eq!(place.names(), ["10-n.conflist"]);
}

#[test]
fn a_file_that_stays_open_for_writing_is_left_to_its_writer() {
    let place = Place::new();
    let writer = File::options().write(true).open(place.path(PATH)).unwrap();
    let error = place.edit_within(PATH, Duration::from_millis(50)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/cni/net.d/10-n.conflist: is being written by another program; run it again when that is done"
    );
    assert_eq!((place.content(PATH).as_str(), place.names().len()), (LIST, 1));
    assert!(!is_replaced(&writer, &place.path(PATH)), "the writer's file has its name");
    drop(writer);
    assert_eq!(place.edit(PATH).unwrap(), changed());
}

#[test]
fn many_at_once_edit_one_after_the_other() {
    let place = Place::new();
    let edited: Vec<Edited> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(|| place.edit(PATH).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(edited.iter().filter(|one| **one == changed()).count(), 1);
    assert_eq!((place.content(PATH).as_str(), place.names().len()), (WRAPPED, 1));
}
