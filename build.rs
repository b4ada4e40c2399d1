//! Puts the git commit into `--version`, its day into the manual pages, and the languages into little room.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Map, Value};

/// The files of a language.
const TEXTS: [&str; 4] = ["causes", "words", "fixes", "findings"];

fn main() {
    for language in ["ru", "zh"] {
        pack(language);
    }
    name_commit();
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
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let file = File::create(Path::new(&out).join(language)).expect("cargo makes OUT_DIR");
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
