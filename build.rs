//! Puts the git commit into `--version`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    println!("cargo:rerun-if-env-changed=CNISCOPE_COMMIT");
    let asked = || {
        let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
        let commit = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| commit.trim().to_owned())
    };
    let commit = std::env::var("CNISCOPE_COMMIT").ok().or_else(asked).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=CNISCOPE_COMMIT={commit}");
}
