//! `cniscope bundle --check`: what is whole, what was changed, and what no bundle is.

use std::fs;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::{bundle, files, node, unpacked};
use crate::support::{Place, Ran};

fn check(place: &Place, name: &str) -> Ran {
    place.cli(&["bundle", "--check", place.path(name).to_str().unwrap(), "-o", "json"])
}

/// The problems of a bundle, and the exit status.
fn problems(place: &Place, name: &str) -> (i32, Vec<String>) {
    let ran = check(place, name);
    let problems = ran.json()["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap().to_owned())
        .collect();
    (ran.status, problems)
}

/// An archive that a stranger has made: of each entry its kind, its name and its content.
fn made_by_others(place: &Place, entries: &[(EntryType, &str, &[u8])]) {
    let file = fs::File::create(place.path("other.tar.gz")).unwrap();
    let mut tar = Builder::new(GzEncoder::new(file, Compression::fast()));
    for (kind, name, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        // As its bytes are: the library refuses to write what is to be refused when read.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

/// Packs the unpacked bundle again after it was changed.
fn changed(place: &Place, change: impl FnOnce(&Path)) {
    let folder = unpacked(place);
    change(&folder);
    let file = fs::File::create(place.path("changed.tar.gz")).unwrap();
    let mut tar = Builder::new(GzEncoder::new(file, Compression::fast()));
    for (path, content) in files(&folder) {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, Path::new("top").join(path), content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

#[test]
fn a_bundle_is_whole_as_it_was_made() {
    let place = node();
    bundle(&place, &[]);
    assert_eq!(problems(&place, "b.tar.gz"), (0, Vec::new()));
    let ran = place.cli(&["bundle", "--check", place.path("b.tar.gz").to_str().unwrap()]);
    let told = place.steady(&ran.text());
    assert!(told.starts_with("PLACE/b.tar.gz: whole\n  node      worker-1\n  made      20"), "{told}");
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
}

#[test]
fn what_was_changed_afterwards_is_named() {
    let place = node();
    bundle(&place, &[]);
    changed(&place, |folder| {
        fs::write(folder.join("logs/kubelet.log"), "all is well\n").unwrap();
        fs::remove_file(folder.join("redacted.json")).unwrap();
        fs::write(folder.join("extra"), "x").unwrap();
    });
    let expected = [
        "logs/kubelet.log: is not what the manifest says: its hash is another",
        "redacted.json: is missing",
        "extra: is not in the manifest",
    ];
    assert_eq!(problems(&place, "changed.tar.gz"), (1, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_bundle_without_a_manifest_or_with_a_broken_one_is_told() {
    let place = node();
    bundle(&place, &[]);
    changed(&place, |folder| fs::remove_file(folder.join("manifest.json")).unwrap());
    assert_eq!(problems(&place, "changed.tar.gz"), (1, vec!["there is no manifest.json in it".to_owned()]));
    changed(&place, |folder| fs::write(folder.join("manifest.json"), "{").unwrap());
    let expected = "manifest.json: EOF while parsing an object at line 1 column 1".to_owned();
    assert_eq!(problems(&place, "changed.tar.gz"), (1, vec![expected]));
}

#[test]
fn one_that_is_cut_off_is_not_whole() {
    let place = node();
    bundle(&place, &[]);
    let content = fs::read(place.path("b.tar.gz")).unwrap();
    fs::write(place.path("cut.tar.gz"), &content[..content.len() / 2]).unwrap();
    let (status, problems) = problems(&place, "cut.tar.gz");
    assert!(problems[0].starts_with("it is cut or broken: "), "{problems:?}");
    assert_eq!(status, 1);
}

#[test]
fn what_would_lead_out_of_a_bundle_is_refused() {
    let place = Place::new();
    let file = EntryType::Regular;
    for (entries, expected) in [
        (vec![(file, "../etc/passwd", &b"x"[..])], "../etc/passwd: leads out of the bundle"),
        (vec![(file, "/etc/passwd", b"x")], "/etc/passwd: leads out of the bundle"),
        (vec![(file, "top/../../x", b"x")], "top/../../x: leads out of the bundle"),
        (vec![(file, "x", b"x")], "x: is not below the bundle's folder"),
        (vec![(file, "top/x", b"x"), (file, "other/x", b"x")], "other/x: is not below the bundle's folder"),
        (vec![(file, "top/x", b"x"), (file, "top/x", b"y")], "top/x: is there twice"),
        (
            vec![(EntryType::Symlink, "top/x", b"")],
            "top/x: is no regular file (Symlink), which no bundle has",
        ),
        (vec![(EntryType::Link, "top/x", b"")], "top/x: is no regular file (Link), which no bundle has"),
        (vec![(EntryType::Char, "top/x", b"")], "top/x: is no regular file (Char), which no bundle has"),
        (vec![(EntryType::Fifo, "top/x", b"")], "top/x: is no regular file (Fifo), which no bundle has"),
        (
            vec![(EntryType::GNUSparse, "top/x", b"")],
            "top/x: is no regular file (GNUSparse), which no bundle has",
        ),
        (
            vec![(EntryType::XHeader, "top/x", b"")],
            "top/x: is no regular file (XHeader), which no bundle has",
        ),
        (vec![(EntryType::GNULongName, "top/x", &[b'x'; 10_000])], "a path in it has 10000 bytes"),
    ] {
        made_by_others(&place, &entries);
        let (status, problems) = problems(&place, "other.tar.gz");
        assert_eq!((status, problems[0].as_str()), (1, expected));
    }
}

#[test]
fn what_is_no_bundle_says_so() {
    let place = Place::new();
    fs::write(place.path("text"), "text").unwrap();
    for (name, expected) in [
        ("text", "cniscope: PLACE/text: is no bundle: it is not compressed by gzip\n"),
        ("bin", "cniscope: PLACE/bin: is no bundle: it is no regular file\n"),
        ("none", "cniscope: PLACE/none: No such file or directory (os error 2)\n"),
    ] {
        let ran = check(&place, name);
        let told = place.steady(&String::from_utf8(ran.stderr).unwrap());
        assert_eq!((ran.status, told.as_str()), (2, expected));
    }
}
