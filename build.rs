//! Puts the git commit into `--version`, and its day into the manual pages.

use std::process::Command;

fn main() {
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
