//! `doctor`, run on a schedule by a process of its own: what it takes is given back, and a check that hangs does not stay.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::log::Line;
use super::standing::Examined;
use crate::install::places::Places;
use crate::node::itself;

/// Each of its checks has some seconds.
const LIMIT: Duration = Duration::from_mins(1);
/// More of what it prints is not read.
const MAX_BYTES: u64 = 8 << 20;
/// The statuses, the worst last.
const STATUSES: [&str; 4] = ["skipped", "ok", "warn", "fail"];

/// Examines the node.
///
/// # Errors
/// Why nothing is known.
pub fn examine(root: &Path, places: &Places) -> Result<Examined, String> {
    let mut folders = OsString::new();
    for (index, folder) in places.bin_dirs.iter().enumerate() {
        folders.push(if index > 0 { ":" } else { "" });
        folders.push(folder);
    }
    let arguments = [
        "doctor".into(),
        "--root".into(),
        root.as_os_str().to_owned(),
        "--conf-dir".into(),
        places.conf_dir.as_os_str().to_owned(),
        "--cni-path".into(),
        folders,
        "--lang".into(),
        "en".into(),
        "-o".into(),
        "json".into(),
    ];
    let printed = itself::run::<OsString>(&arguments, LIMIT, MAX_BYTES)?;
    read(&printed, SystemTime::now()).ok_or_else(|| "what it printed cannot be read".to_owned())
}

/// The worst finding of each check.
fn read(printed: &[u8], time: SystemTime) -> Option<Examined> {
    let printed: Value = serde_json::from_slice(printed).ok()?;
    let badness = |status: &str| STATUSES.iter().position(|known| *known == status);
    let mut checks: BTreeMap<String, (String, String)> = BTreeMap::new();
    for finding in printed["findings"].as_array()? {
        let text = |field: &str| finding[field].as_str().map(str::to_owned);
        let (Some(check), Some(status), Some(summary)) = (text("check"), text("status"), text("summary"))
        else {
            continue;
        };
        let known = checks.entry(check).or_insert_with(|| (status.clone(), summary.clone()));
        if badness(&status) > badness(&known.0) {
            *known = (status, summary);
        }
    }
    Some(Examined { time, checks })
}

/// What is said of an examination after another one: what is wrong and was not, and what is not any more.
#[must_use]
pub fn news(before: Option<&Examined>, now: &Examined) -> Vec<Line> {
    let is_wrong = |status: &str| matches!(status, "warn" | "fail");
    let mut lines = Vec::new();
    for (check, (status, summary)) in &now.checks {
        let then = before.and_then(|before| before.checks.get(check));
        if is_wrong(status) && then.is_none_or(|(then, _)| then != status) {
            lines.push(Line::warn(format!(
                "doctor: {check}: {status}: {summary}; see: cniscope doctor {check}"
            )));
        } else if !is_wrong(status) && then.is_some_and(|(then, _)| is_wrong(then)) {
            lines.push(Line::info(format!("doctor: {check}: {status}: {summary}")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(findings: &[(&str, &str, &str)]) -> Examined {
        let findings: Vec<Value> = findings
            .iter()
            .map(|(check, status, summary)| {
                serde_json::json!({"check": check, "status": status, "summary": summary})
            })
            .collect();
        let printed = serde_json::json!({"findings": findings}).to_string();
        read(printed.as_bytes(), SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn the_worst_finding_of_a_check_is_the_one() {
        let found = examined(&[
            ("disk", "ok", "a"),
            ("disk", "warn", "b"),
            ("disk", "skipped", "c"),
            ("netns", "ok", "d"),
        ]);
        let checks: Vec<_> = found.checks.into_iter().collect();
        let of = |check: &str, status: &str, summary: &str| {
            (check.to_owned(), (status.to_owned(), summary.to_owned()))
        };
        assert_eq!(checks, [of("disk", "warn", "b"), of("netns", "ok", "d")]);
        assert_eq!(read(b"{}", SystemTime::UNIX_EPOCH), None);
        assert_eq!(read(b"{", SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn what_has_changed_is_said() {
        let first = examined(&[("disk", "warn", "full"), ("netns", "ok", "well")]);
        let said = |before: Option<&Examined>, now: &Examined| -> Vec<String> {
            news(before, now).into_iter().map(|line| line.text).collect()
        };
        let disk = "doctor: disk: warn: full; see: cniscope doctor disk";
        assert_eq!(said(None, &first), [disk]);
        assert_eq!(said(Some(&first), &examined(&[("disk", "warn", "fuller")])), [""; 0]);
        assert_eq!(
            said(Some(&first), &examined(&[("disk", "ok", "room"), ("netns", "fail", "gone")])),
            ["doctor: disk: ok: room", "doctor: netns: fail: gone; see: cniscope doctor netns"]
        );
    }
}
