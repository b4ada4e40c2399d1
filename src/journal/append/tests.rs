use super::*;
use crate::settings::Settings;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

fn settings(dir: &Path) -> JournalSettings {
    JournalSettings { dir: dir.to_owned(), max_bytes: 20, max_files: 3, ..Settings::default().journal }
}

fn files(dir: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn expect(dir: &Path, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    assert_eq!(files(dir), expected);
}

#[test]
fn files_are_rotated_before_they_grow_too_large_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["1111111\n", "2222222\n", "3333333\n", "4444444\n"] {
        append(&settings(dir.path()), line.as_bytes()).unwrap();
    }
    expect(dir.path(), &[("journal.1.jsonl", "1111111\n2222222\n"), ("journal.jsonl", "3333333\n4444444\n")]);
    for line in ["5\n", "666666666666666666\n", "777777777777777777\n"] {
        append(&settings(dir.path()), line.as_bytes()).unwrap();
    }
    expect(
        dir.path(),
        &[
            ("journal.1.jsonl", "666666666666666666\n"),
            ("journal.2.jsonl", "3333333\n4444444\n5\n"),
            ("journal.jsonl", "777777777777777777\n"),
        ],
    );
}

#[test]
fn a_line_larger_than_a_file_is_written_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("{}\n", "x".repeat(100));
    append(&settings(dir.path()), line.as_bytes()).unwrap();
    append(&settings(dir.path()), b"y\n").unwrap();
    expect(dir.path(), &[("journal.1.jsonl", &line), ("journal.jsonl", "y\n")]);
}

#[test]
fn a_torn_line_is_ended_first() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CURRENT), "{\"to").unwrap();
    append(&settings(dir.path()), b"{}\n").unwrap();
    expect(dir.path(), &[("journal.jsonl", "{\"to\n{}\n")]);
}

#[test]
fn a_line_behind_one_that_was_torn_meanwhile_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CURRENT);
    fs::write(&path, "{}\n{\"to").unwrap();
    let file = options().open(&path).unwrap();
    assert!(!write(&file, 3, b"{}\n").unwrap());
    assert!(write(&file, 11, b"{}\n").unwrap());
    expect(dir.path(), &[("journal.jsonl", "{}\n{\"to{}\n{}\n")]);
}

#[test]
fn the_oldest_files_go_when_others_are_larger_than_they_should_be() {
    let dir = tempfile::tempdir().unwrap();
    for (name, size) in [(CURRENT.to_owned(), 30), (rotated(1), 20), (rotated(2), 20)] {
        fs::write(dir.path().join(name), "x".repeat(size - 1) + "\n").unwrap();
    }
    append(&JournalSettings { max_files: 4, ..settings(dir.path()) }, b"now\n").unwrap();
    let sizes: Vec<_> = files(dir.path()).into_iter().map(|(name, text)| (name, text.len())).collect();
    let expected = [("journal.1.jsonl", 30), ("journal.2.jsonl", 20), ("journal.jsonl", 4)];
    assert_eq!(sizes, expected.map(|(name, size)| (name.to_owned(), size)));
}

#[test]
fn another_process_rotation_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let current = dir.path().join(CURRENT);
    fs::write(&current, "x".repeat(19) + "\n").unwrap();
    let full = fs::metadata(&current).unwrap();
    let lock = File::create(dir.path().join(LOCK)).unwrap();
    let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    assert!(!rotate(&settings(dir.path()), &full).unwrap());
    let rotates = std::thread::spawn(move || {
        fs::rename(&current, current.with_file_name(rotated(1))).unwrap();
        drop(held);
    });
    assert!(is_rotated(&settings(dir.path()), &full).unwrap());
    rotates.join().unwrap();
}

#[test]
fn a_gap_that_a_killed_rotation_left_is_filled() {
    let dir = tempfile::tempdir().unwrap();
    let settings = JournalSettings { max_files: 5, ..settings(dir.path()) };
    fs::write(dir.path().join(rotated(1)), "new\n").unwrap();
    fs::write(dir.path().join(rotated(3)), "old\n").unwrap();
    fs::write(dir.path().join(CURRENT), "x".repeat(19) + "\n").unwrap();
    append(&settings, b"now\n").unwrap();
    expect(
        dir.path(),
        &[
            ("journal.1.jsonl", "xxxxxxxxxxxxxxxxxxx\n"),
            ("journal.2.jsonl", "new\n"),
            ("journal.3.jsonl", "old\n"),
            ("journal.jsonl", "now\n"),
        ],
    );
}

#[test]
fn one_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let settings = JournalSettings { max_files: 1, ..settings(dir.path()) };
    for line in ["111111111111\n", "222222222222\n"] {
        append(&settings, line.as_bytes()).unwrap();
    }
    expect(dir.path(), &[("journal.jsonl", "222222222222\n")]);
}

#[test]
fn a_held_lock_lets_the_file_grow_up_to_the_bound_of_the_whole_journal() {
    let dir = tempfile::tempdir().unwrap();
    let lock = File::create(dir.path().join(LOCK)).unwrap();
    let _held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    for _ in 0..6 {
        append(&settings(dir.path()), b"123456789\n").unwrap();
    }
    let error = append(&settings(dir.path()), b"123456789\n").unwrap_err().to_string();
    assert!(
        error.ends_with("journal.jsonl: 60 bytes and cannot be rotated: another process holds journal.lock")
    );
}

#[test]
fn a_file_and_its_folder_are_made_with_their_modes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("log/cniscope");
    append(&JournalSettings { mode: 0o640, ..settings(&folder) }, b"1\n").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(CURRENT))), (0o700, 0o640));
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&dir.path().join(CURRENT), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = append(&settings(dir.path()), b"1\n").unwrap_err().to_string();
    assert!(error.ends_with("journal.jsonl: is a FIFO, expected a regular file; move it away"), "{error}");
    fs::remove_file(dir.path().join(CURRENT)).unwrap();
    std::os::unix::fs::symlink("/dev/null", dir.path().join(CURRENT)).unwrap();
    let error = append(&settings(dir.path()), b"1\n").unwrap_err().to_string();
    assert!(error.contains("cannot open it: Too many levels of symbolic links"), "{error}");
}
