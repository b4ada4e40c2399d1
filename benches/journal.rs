//! What it costs to find calls in a large journal, side by side with `jq` on the same files, all in one run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on has failed"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

/// Calls; each has two records.
const CALLS: usize = 500_000;
/// Files of the journal.
const FILES: usize = 16;
/// One call of so many has failed.
const FAILED: usize = 100;
/// Pods of the node.
const PODS: usize = 5000;
/// The median of so many runs is taken. Of `jq`, which takes most of a minute, one has to do.
const RUNS: usize = 5;
/// A begin, the end of a call that went well, and that of one that failed.
const RECORDS: &str = include_str!("records.jsonl");
/// What the calls differ in, as it stands in these.
const ID: &str = "01a1ffae-4f5f-776e-900a-3e20b7f9a0a9";
const ID_OF_FAILED: &str = "01a1ffae-4f68-71d9-98d0-6f19245a6742";
const POD: &str = "cart-7d9f8c6b5-x2x4z";

/// What is looked for: as `jq` is asked for it, and as cniscope is.
const QUESTIONS: [(&str, &[&str]); 2] = [
    (r#"select(.event == "end" and .outcome != "ok")"#, &["--failed"]),
    (
        r#"select(.event == "end" and .pod_namespace == "shop" and .pod_name == "cart-77" and .command == "ADD")"#,
        &["--pod", "shop/cart-77", "--command", "ADD"],
    ),
];

fn main() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let folder = tempfile::tempdir_in(&built).unwrap();
    let files = journal(folder.path());
    let bytes: u64 = files.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    #[allow(clippy::cast_precision_loss, reason = "a size in GB")]
    let gigabytes = bytes as f64 / 1e9;
    println!("a journal of {} records, {gigabytes:.2} GB", 2 * CALLS);
    println!("  {:<40} {:>9} {:>9} {:>9} {:>10} {:>7}", "", "jq s", "cniscope", "ratio", "peak MiB", "calls");
    for (filter, arguments) in QUESTIONS {
        let (of_jq, expected) = jq(filter, &files);
        let mut runs: Vec<Run> = (0..RUNS).map(|_| cniscope(&built, folder.path(), arguments)).collect();
        runs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        for run in &runs {
            assert!(run.calls == expected, "cniscope journal {arguments:?} has not found what jq has");
        }
        let run = &runs[RUNS / 2];
        println!(
            "  {:<40} {of_jq:>9.1} {:>9.2} {:>9.1} {:>10.1} {:>7}",
            format!("journal {}", arguments.join(" ")),
            run.seconds,
            of_jq / run.seconds,
            run.peak,
            expected.len()
        );
    }
    println!("  the same calls in both, compared record by record\n");
}

/// Writes a journal, and gives its files, the oldest first.
fn journal(folder: &Path) -> Vec<PathBuf> {
    let [begin, good, failed] = RECORDS.lines().collect::<Vec<_>>()[..] else { panic!("three records") };
    let mut files = Vec::new();
    for number in (0..FILES).rev() {
        let name = if number == 0 { "journal.jsonl".to_owned() } else { format!("journal.{number}.jsonl") };
        let path = folder.join(name);
        let mut file = BufWriter::new(File::create(&path).unwrap());
        let first = (FILES - 1 - number) * CALLS / FILES;
        for call in first..(FILES - number) * CALLS / FILES {
            let end = if call % FAILED == 7 { failed } else { good };
            let mut id = String::new();
            write!(id, "01a1ffae-{:04x}-7{:03x}-8000-{call:012x}", call >> 12, call & 0xfff).unwrap();
            let pod = format!("cart-{}", call % PODS);
            for record in [begin, end] {
                let record = record.replace(ID, &id).replace(ID_OF_FAILED, &id).replace(POD, &pod);
                writeln!(file, "{record}").unwrap();
            }
        }
        file.flush().unwrap();
        files.push(path);
    }
    files
}

/// How long `jq` takes, and what it finds.
fn jq(filter: &str, files: &[PathBuf]) -> (f64, Vec<Value>) {
    let started = Instant::now();
    let output = Command::new("jq").args(["-c", filter]).args(files).output();
    let output = output.expect("jq is missing: run `make setup-bench`");
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "jq: {}", output.status);
    (seconds, records(&output.stdout))
}

/// A run of `cniscope journal`.
struct Run {
    seconds: f64,
    /// The largest resident set in MiB.
    peak: f64,
    calls: Vec<Value>,
}

fn cniscope(built: &Path, journal: &Path, arguments: &[&str]) -> Run {
    let program = built.with_file_name("release").join("cniscope");
    let started = Instant::now();
    let output = Command::new(built.join("peak"))
        .arg(program)
        .args(["journal", "-o", "jsonl", "--journal"])
        .arg(journal)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{output:?}");
    let peak: f64 = String::from_utf8(output.stderr).unwrap().trim().parse().unwrap();
    Run { seconds, peak: peak / 1024.0, calls: records(&output.stdout) }
}

/// Records in the order of their calls' ids.
fn records(lines: &[u8]) -> Vec<Value> {
    let mut records: Vec<Value> =
        str::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    records.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
    records
}
