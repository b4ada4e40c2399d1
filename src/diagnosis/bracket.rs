//! The few words that are added to an error: read in the event of a Pod, by whoever may read that.

use super::Diagnosis;
use super::catalogue::Cause;

/// The longest bracket in bytes.
pub const MAX: usize = 600;
/// The most that the summary and the fix take of it.
const MAX_PART: usize = 230;

/// `[cniscope: <cause>: <summary>; fix: <first fix>; see: cniscope show <id>]`: one line, below [`MAX`] bytes.
#[must_use]
pub fn of(diagnosis: &Diagnosis, id: &str) -> String {
    let summary = part(&diagnosis.summary);
    if diagnosis.cause == Cause::Unknown {
        return format!("[cniscope: unknown cause; {summary}; see: cniscope show {id}]");
    }
    let fix = diagnosis.fix.first().map(|fix| format!("; fix: {}", part(fix))).unwrap_or_default();
    format!("[cniscope: {}: {summary}{fix}; see: cniscope show {id}]", diagnosis.cause)
}

/// Text for the one line, in ASCII, cut where it is long.
fn part(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|character| match character {
            '“' | '”' => '"',
            ' '..='~' => character,
            _ => ' ',
        })
        .collect();
    if line.len() > MAX_PART {
        line.truncate(MAX_PART - 3);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(cause: Cause, summary: &str, fix: &[&str]) -> Diagnosis {
        Diagnosis {
            cause,
            title: String::new(),
            summary: summary.into(),
            evidence: Vec::new(),
            ruled_out: Vec::new(),
            fix: fix.iter().map(|fix| (*fix).to_owned()).collect(),
        }
    }

    #[test]
    fn names_the_cause_the_first_fix_and_where_to_see_more() {
        assert_eq!(
            of(&diagnosis(Cause::IpamExhausted, "6 of 6 used", &["a", "b"]), "0197"),
            "[cniscope: ipam-exhausted: 6 of 6 used; fix: a; see: cniscope show 0197]"
        );
        assert_eq!(
            of(&diagnosis(Cause::Unknown, "ruled out: config", &[]), "0197"),
            "[cniscope: unknown cause; ruled out: config; see: cniscope show 0197]"
        );
    }

    #[test]
    fn is_one_short_line_whatever_is_in_it() {
        let long = "ż\n\u{1b}[31m".repeat(200);
        let bracket = of(&diagnosis(Cause::BridgeAddressConflict, &long, &[&long]), &"f".repeat(36));
        assert!(
            bracket.len() < MAX && bracket.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{bracket}"
        );
    }
}
