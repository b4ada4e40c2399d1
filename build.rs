//! Puts the git commit into `--version`, its day into the manual pages, and the large texts into little room.

#![allow(clippy::expect_used, clippy::panic, reason = "a build that cannot go on has failed")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Map, Value};

/// The files of a language.
const TEXTS: [&str; 4] = ["causes", "words", "fixes", "findings"];

/// The folder of the signatures.
const SIGNATURES: &str = "src/diagnosis/signatures";

fn main() {
    for language in ["ru", "zh"] {
        pack(language);
    }
    strip_signatures();
    name_commit();
    // What the linker reads, which cargo does not know of.
    println!("cargo:rerun-if-changed=scripts/hot.ld");
    println!("cargo:rerun-if-changed=scripts/aside.ld");
}

/// Where what is made here goes.
fn out(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(name)
}

/// The signatures in one file, without the places that they were learned from, which are for those who write them.
fn strip_signatures() {
    println!("cargo:rerun-if-changed={SIGNATURES}");
    let folder = fs::read_dir(SIGNATURES).unwrap_or_else(|error| panic!("{SIGNATURES}: {error}"));
    let mut files: Vec<_> = folder.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    let mut stripped = String::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let fields: Vec<_> = line.split(" | ").map(str::trim).collect();
            let [cause, rank, text, from] = fields[..] else {
                panic!("{}: {line}: expected cause | rank | text | where it was learned", path.display());
            };
            assert!(!from.is_empty(), "{}: {line}: where was it learned?", path.display());
            stripped.extend([cause, "\t", rank, "\t", text, "\n"]);
        }
    }
    fs::write(out("signatures"), stripped).expect("there is room in OUT_DIR");
}

/// The texts of a language as one compressed document: plain, two of them are a fiftieth of the binary.
fn pack(language: &str) {
    let folder = Path::new("src/language").join(language);
    let texts = TEXTS.map(|name| {
        let path = folder.join(name).with_extension("json");
        println!("cargo:rerun-if-changed={}", path.display());
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let value =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name.to_owned(), value)
    });
    let file = File::create(out(language)).expect("cargo makes OUT_DIR");
    let mut encoder = DeflateEncoder::new(file, Compression::best());
    let document: Map<String, Value> = texts.into_iter().collect();
    serde_json::to_writer(&mut encoder, &document).expect("there is room in OUT_DIR");
    encoder.finish().expect("there is room in OUT_DIR");
}

fn name_commit() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    println!("cargo:rerun-if-env-changed=CNISCOPE_COMMIT");
    println!("cargo:rerun-if-env-changed=CNISCOPE_DATE");
    let asked = |arguments: [&str; 3]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let answer = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| answer.trim().to_owned())
    };
    let of = |variable, arguments| std::env::var(variable).ok().or_else(|| asked(arguments));
    let commit =
        of("CNISCOPE_COMMIT", ["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let date = of("CNISCOPE_DATE", ["log", "-1", "--format=%cs"]).unwrap_or_else(|| "1970-01-01".to_owned());
    println!("cargo:rustc-env=CNISCOPE_DATE={date}");
    println!("cargo:rustc-env=CNISCOPE_COMMIT={commit}");
}
