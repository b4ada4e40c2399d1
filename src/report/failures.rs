//! Failures over time, by cause.

use std::collections::BTreeMap;

use super::row::{Fate, Row};
use super::time_line::TimeLine;

/// So many causes have a colour of their own; the others share one.
pub const SHOWN: usize = 6;

/// A cause and how often it was met in each piece of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The cause; how the call ended where it has none; `None` for all that have no colour of their own.
    pub reason: Option<String>,
    /// How often, also outside the charts' time.
    pub total: usize,
    /// How often in each piece.
    pub counts: Vec<usize>,
}

/// Failures over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// The most frequent first, the others last.
    pub series: Vec<Series>,
    /// All calls in each piece.
    pub calls: Vec<usize>,
}

/// The causes of these failures, the most frequent first.
pub fn ranked<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.filter(|row| row.fate == Fate::Failed) {
        *counts.entry(row.reason()).or_default() += 1;
    }
    let mut ranked: Vec<(String, usize)> =
        counts.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    ranked
}

impl Failures {
    /// Of these calls.
    #[must_use]
    pub fn of(rows: &[Row], line: &TimeLine) -> Failures {
        let ranked = ranked(rows.iter());
        let shown = if ranked.len() > SHOWN + 1 { SHOWN } else { ranked.len() };
        let series = |reason, total| Series { reason, total, counts: vec![0; line.count] };
        let mut all: Vec<Series> =
            ranked.iter().take(shown).map(|(reason, total)| series(Some(reason.clone()), *total)).collect();
        if shown < ranked.len() {
            all.push(series(None, ranked[shown..].iter().map(|(_, count)| count).sum()));
        }
        let mut calls = vec![0; line.count];
        for row in rows {
            let Some(piece) = row.at.and_then(|at| line.piece(at)) else { continue };
            calls[piece] += 1;
            if row.fate == Fate::Failed {
                let of = all.iter().position(|one| one.reason.as_deref() == Some(row.reason()));
                if let Some(series) = all.get_mut(of.unwrap_or(shown)) {
                    series.counts[piece] += 1;
                }
            }
        }
        Failures { series: all, calls }
    }

    /// How many calls failed in each piece.
    #[must_use]
    pub fn per_piece(&self) -> Vec<usize> {
        let sum = |piece: usize| self.series.iter().map(|series| series.counts[piece]).sum();
        (0..self.calls.len()).map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::row;
    use super::*;

    #[test]
    fn failures_are_counted_by_cause_and_piece() {
        let rows = [
            row(0, "ok", ""),
            row(1, "failed", "disk-full"),
            row(61, "failed", "disk-full"),
            row(62, "killed", ""),
            row(63, "ok", "route-conflict"),
        ];
        let line = TimeLine { start: 0, width: 60, count: 2, offset: 0 };
        let failures = Failures::of(&rows, &line);
        let series = |reason: &str, total, counts: [usize; 2]| Series {
            reason: Some(reason.to_owned()),
            total,
            counts: counts.to_vec(),
        };
        assert_eq!(
            failures,
            Failures {
                series: vec![series("disk-full", 2, [1, 1]), series("killed", 1, [0, 1])],
                calls: vec![2, 3]
            }
        );
        assert_eq!(failures.per_piece(), [1, 2]);
    }

    #[test]
    fn rare_causes_share_a_series() {
        let rows: Vec<Row> = (0..9).map(|number| row(0, "failed", &format!("cause-{number}"))).collect();
        let line = TimeLine { start: 0, width: 60, count: 1, offset: 0 };
        let failures = Failures::of(&rows, &line);
        assert_eq!(failures.series.len(), SHOWN + 1);
        assert_eq!(failures.series[SHOWN], Series { reason: None, total: 3, counts: vec![3] });
    }
}
