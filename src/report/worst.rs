//! The calls to look at first.

use super::failures::ranked;
use super::row::{Fate, Row};

/// Of so many causes a call is shown.
const CAUSES: usize = 8;
/// So many slow calls are shown.
const SLOW: usize = 5;
/// A good call below this is not slow, in milliseconds: a container's start takes longer than that anyhow.
const NOT_SLOW: f64 = 1000.0;

/// A failed call that stands for all of its cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Its place among the calls.
    pub row: usize,
    /// How many calls failed for the same cause.
    pub alike: usize,
}

/// For each of the most frequent causes the failed call that took longest, of those the last; and the slowest of the good
/// calls that took more than a second.
#[must_use]
pub fn worst(rows: &[Row]) -> (Vec<Worst>, Vec<usize>) {
    let took = |place: &usize| rows[*place].took_ms.unwrap_or_default();
    let longest = |reason: &str| {
        let alike =
            rows.iter().enumerate().filter(|(_, row)| row.fate == Fate::Failed && row.reason() == reason);
        alike.map(|(place, _)| place).max_by(|one, other| took(one).total_cmp(&took(other)))
    };
    let worst = ranked(rows.iter())
        .into_iter()
        .take(CAUSES)
        .filter_map(|(reason, alike)| Some(Worst { row: longest(&reason)?, alike }))
        .collect();
    let good = rows.iter().enumerate().filter(|(_, row)| matches!(row.fate, Fate::Good | Fate::Suspect));
    let mut slow: Vec<usize> = good.map(|(place, _)| place).filter(|place| took(place) >= NOT_SLOW).collect();
    slow.sort_by(|one, other| took(other).total_cmp(&took(one)));
    slow.truncate(SLOW);
    (worst, slow)
}

#[cfg(test)]
mod tests {
    use super::super::samples::row;
    use super::*;

    #[test]
    fn each_cause_has_its_longest_call_and_good_ones_have_to_be_slow() {
        let timed = |outcome, cause, took| Row { took_ms: Some(took), ..row(0, outcome, cause) };
        let rows = [
            timed("failed", "disk-full", 5.0),
            timed("ok", "", 999.0),
            timed("failed", "netns-gone", 90.0),
            timed("failed", "netns-gone", 100.0),
            timed("ok", "", 1500.0),
            timed("ok", "", 2000.0),
            timed("running", "", 5000.0),
        ];
        let expected = vec![Worst { row: 3, alike: 2 }, Worst { row: 0, alike: 1 }];
        assert_eq!(worst(&rows), (expected, vec![5, 4]));
    }
}
