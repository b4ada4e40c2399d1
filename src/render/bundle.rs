//! What is in a bundle, and what is not.

use std::io::{self, Write};
use std::path::Path;

use super::table::{Cell, Table};
use super::time::bytes;
use super::wrap::wrapped;
use super::{BAD, GOOD, HEADING, ODD, escape};
use crate::bundle::check::Checked;
use crate::bundle::manifest::{Manifest, Row, Status};

/// The most lines about one item that are shown; the manifest has all of them.
const MAX_LINES: usize = 3;
/// The column in which reasons begin.
const REASONS: usize = 26;
/// A line is not broken into pieces shorter than this.
const LEAST: usize = 24;

/// A bundle that was made: its file, its size in bytes, and its hash.
///
/// # Errors
/// If it cannot be written.
pub fn made(
    out: &mut dyn Write,
    manifest: &Manifest,
    (file, size, hash): (&Path, u64, &str),
    width: Option<usize>,
) -> io::Result<()> {
    let mut table = Table::new(&["ITEM", ">FILES", ">SIZE", ">TOOK", "STATUS"]);
    for rows in by_item(manifest) {
        let files = rows.iter().filter(|row| row.path.is_some()).count();
        let size: u64 = rows.iter().map(|row| row.size).sum();
        let took: u64 = rows.iter().map(|row| row.took_ms).sum();
        let status = worst(rows, files);
        table.row(vec![
            Cell::new(escape::line(&rows[0].name)),
            Cell::new(files.to_string()),
            Cell::new(shown(size)),
            Cell::new(format!("{took} ms")),
            Cell::new(status.as_str()).styled(of(status)),
        ]);
    }
    table.write(out, width)?;
    missing(out, manifest, width)?;
    let files = manifest.items.iter().filter(|row| row.path.is_some()).count() + 1;
    let name = file.display().to_string();
    let name = escape::line(&name);
    writeln!(out, "\n{}{name}{}: {}, {files} files", HEADING.render(), HEADING.render_reset(), shown(size))?;
    writeln!(out, "  sha256    {hash}")?;
    writeln!(out, "  redacted  {} places, listed in redacted.json", manifest.redacted)?;
    writeln!(
        out,
        "  next      look through it before you give it away, and let others run: cniscope bundle --check {name}"
    )
}

/// What is not there, or not whole, with why.
fn missing(out: &mut dyn Write, manifest: &Manifest, width: Option<usize>) -> io::Result<()> {
    if manifest.items.iter().all(|row| row.reason.is_none()) {
        return Ok(());
    }
    writeln!(out, "\n{}not there, or not whole{}", HEADING.render(), HEADING.render_reset())?;
    for rows in by_item(manifest) {
        let told: Vec<&Row> = rows.iter().filter(|row| row.reason.is_some()).collect();
        for row in told.iter().take(MAX_LINES) {
            let style = of(row.status);
            let status = row.status.as_str();
            write!(
                out,
                "  {:<14}{}{status:<8}{}  ",
                escape::line(&row.name),
                style.render(),
                style.render_reset()
            )?;
            let reason = escape::line(row.reason.as_deref().unwrap_or_default());
            let room = width.map(|width| width.saturating_sub(REASONS).max(LEAST));
            for (position, line) in wrapped(&reason, room).iter().enumerate() {
                let indent = if position == 0 { 0 } else { REASONS };
                writeln!(out, "{:indent$}{line}", "")?;
            }
        }
        if told.len() > MAX_LINES {
            writeln!(out, "{:REASONS$}and {} more, in manifest.json", "", told.len() - MAX_LINES)?;
        }
    }
    Ok(())
}

/// A bundle that was looked at.
///
/// # Errors
/// If it cannot be written.
pub fn checked(out: &mut dyn Write, checked: &Checked, file: &Path) -> io::Result<()> {
    let (style, verdict) =
        if checked.problems.is_empty() { (GOOD, "whole") } else { (BAD, "not what it says, or not whole") };
    let name = file.display().to_string();
    writeln!(out, "{}: {}{verdict}{}", escape::line(&name), style.render(), style.render_reset())?;
    if let Some(manifest) = &checked.manifest {
        writeln!(out, "  node      {}", escape::line(&manifest.node))?;
        writeln!(
            out,
            "  made      {} by cniscope {}",
            escape::line(&manifest.time),
            escape::line(&manifest.version)
        )?;
        writeln!(out, "  redacted  {} places", manifest.redacted)?;
    }
    writeln!(out, "  files     {} with the hash that the manifest has", checked.whole)?;
    for problem in &checked.problems {
        writeln!(out, "  {}problem{}   {}", BAD.render(), BAD.render_reset(), escape::line(problem))?;
    }
    Ok(())
}

/// The rows of each item; they stand together.
fn by_item(manifest: &Manifest) -> impl Iterator<Item = &[Row]> {
    manifest.items.chunk_by(|one, other| one.name == other.name)
}

/// What is said of an item as a whole: some file of many that could not be had makes it no other than cut.
fn worst(rows: &[Row], files: usize) -> Status {
    let worst = rows.iter().map(|row| row.status).max().unwrap_or(Status::Missing);
    if files > 0 && worst != Status::Ok { Status::Cut } else { worst }
}

fn of(status: Status) -> anstyle::Style {
    match status {
        Status::Ok => GOOD,
        Status::Missing | Status::Cut => ODD,
        Status::Failed | Status::Timeout => BAD,
    }
}

#[allow(clippy::cast_precision_loss, reason = "it is rounded to two digits")]
fn shown(size: u64) -> String {
    bytes(size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, path: Option<&str>, status: Status, reason: Option<&str>) -> Row {
        Row {
            name: name.into(),
            path: path.map(str::to_owned),
            sha256: path.map(|_| "0".into()),
            size: if path.is_some() { 2048 } else { 0 },
            status,
            reason: reason.map(str::to_owned),
            took_ms: 3,
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            schema: 1,
            version: "0.1.0".into(),
            node: "n1".into(),
            time: "2026-11-21T10:20:30Z".into(),
            took_ms: 9,
            redacted: 7,
            items: vec![
                row("journal", Some("journal/journal.jsonl"), Status::Ok, None),
                row(
                    "journal",
                    Some("journal/journal.1.jsonl"),
                    Status::Cut,
                    Some("the last 9 of the 99 bytes"),
                ),
                row("links", None, Status::Missing, Some("these are the files of another node\u{1b}")),
                row("redacted", Some("redacted.json"), Status::Ok, None),
            ],
        }
    }

    fn plain(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut written = Vec::new();
        write(&mut written).unwrap();
        anstream::adapter::strip_str(std::str::from_utf8(&written).unwrap()).to_string()
    }

    #[test]
    fn what_was_made_is_told_with_what_is_missing() {
        let told = plain(|out| made(out, &manifest(), (Path::new("b.tar.gz"), 1024, "abc"), Some(60)));
        insta::assert_snapshot!(told, @r"
        ITEM      FILES     SIZE  TOOK  STATUS
        journal       2  4.0 KiB  6 ms  cut
        links         0      0 B  3 ms  missing
        redacted      1  2.0 KiB  3 ms  ok

        not there, or not whole
          journal       cut       the last 9 of the 99 bytes
          links         missing   these are the files of another
                                  node\u{1b}

        b.tar.gz: 1.0 KiB, 4 files
          sha256    abc
          redacted  7 places, listed in redacted.json
          next      look through it before you give it away, and let others run: cniscope bundle --check b.tar.gz
        ");
    }

    #[test]
    fn a_bundle_that_is_not_whole_says_what_is_wrong() {
        let found = Checked {
            manifest: Some(manifest()),
            whole: 2,
            problems: vec!["redacted.json: is missing".into()],
        };
        insta::assert_snapshot!(plain(|out| checked(out, &found, Path::new("b.tar.gz"))), @r"
        b.tar.gz: not what it says, or not whole
          node      n1
          made      2026-11-21T10:20:30Z by cniscope 0.1.0
          redacted  7 places
          files     2 with the hash that the manifest has
          problem   redacted.json: is missing
        ");
    }
}
