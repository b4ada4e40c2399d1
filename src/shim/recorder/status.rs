//! STATUS is asked for every few seconds: its calls are recorded when the outcome changes, and while it stays a failure,
//! every ten minutes with a count.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::digest::sha256;
use crate::journal::record::{Identity, Outcome};
use crate::node::Node;
use crate::node::replace::replace_loosely;

/// Where the last outcomes are kept.
const STATE: &str = "/run/cniscope/status";
/// A failure that stays is recorded this often.
const AGAIN: Duration = Duration::from_mins(10);

/// What is known of the earlier calls for a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Earlier {
    outcome: Outcome,
    /// When one was last recorded.
    recorded: SystemTime,
    /// How many have not been recorded since.
    silent: u64,
}

/// Whether a call is recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is, with the number of those like it that were not.
    Record { since_last: Option<u64> },
    /// It is not.
    Silent,
}

/// Judges a call of STATUS that ended with `outcome`, and remembers it. Without a place to remember, a failure is recorded
/// every time.
pub(super) fn judge(journal: &Path, identity: &Identity, outcome: Outcome) -> Verdict {
    let of = format!("{}\n{}\n{}", journal.display(), identity.network, identity.plugin);
    let path = Path::new(STATE).join(sha256(of.as_bytes()));
    let earlier =
        Node::this().read(&path, 4096).ok().and_then(|content| serde_json::from_slice(&content).ok());
    let (verdict, state) = decide(earlier, outcome, SystemTime::now());
    remember(&path, &state);
    verdict
}

fn decide(earlier: Option<Earlier>, outcome: Outcome, now: SystemTime) -> (Verdict, Earlier) {
    let recorded =
        |since_last| (Verdict::Record { since_last }, Earlier { outcome, recorded: now, silent: 0 });
    // What is not known was well: the first good call is no news.
    let earlier = earlier.unwrap_or(Earlier { outcome: Outcome::Ok, recorded: now, silent: 0 });
    if earlier.outcome != outcome {
        return recorded(None);
    }
    let is_due = now.duration_since(earlier.recorded).is_ok_and(|age| age >= AGAIN);
    if outcome != Outcome::Ok && is_due {
        return recorded(Some(earlier.silent));
    }
    (Verdict::Silent, Earlier { silent: earlier.silent + 1, ..earlier })
}

fn remember(path: &Path, state: &Earlier) {
    let Ok(content) = serde_json::to_vec(state) else { return };
    let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(STATE);
    let _ = replace_loosely(path, &content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_recorded_and_a_failure_that_stays_every_ten_minutes() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (silent, news) = (Verdict::Silent, Verdict::Record { since_last: None });
        let table = [
            (0, Outcome::Ok, &silent),
            (10, Outcome::Ok, &silent),
            (20, Outcome::Failed, &news),
            (30, Outcome::Failed, &silent),
            (40, Outcome::Failed, &silent),
            (620, Outcome::Failed, &Verdict::Record { since_last: Some(2) }),
            (630, Outcome::Failed, &silent),
            (640, Outcome::Crashed, &news),
            (650, Outcome::Ok, &news),
            (5000, Outcome::Ok, &silent),
        ];
        let mut earlier = None;
        for (seconds, outcome, expected) in table {
            let (verdict, state) = decide(earlier, outcome, start + Duration::from_secs(seconds));
            assert_eq!(verdict, *expected, "after {seconds} s");
            earlier = Some(state);
        }
    }
}
