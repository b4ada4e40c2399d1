//! How long calls took, by plugin and verb.

use std::collections::BTreeMap;

use super::row::{Fate, Row};
use super::time_line::TimeLine;

/// What half, 95 and 99 of a hundred calls took at most, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 95 of a hundred.
    pub p95: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// All.
    pub max: f64,
}

/// The calls of a plugin and verb.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// The plugin.
    pub plugin: String,
    /// The verb.
    pub command: String,
    /// How many calls there are.
    pub calls: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How long they took; `None` if no call says it.
    pub all: Option<Percentiles>,
    /// How long those of each piece of time took.
    pub pieces: Vec<Option<Percentiles>>,
}

/// The percentiles by nearest rank: each is a time that a call took.
fn percentiles(mut took: Vec<f64>) -> Option<Percentiles> {
    took.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Percentiles { p50: at(50)?, p95: at(95)?, p99: at(99)?, max: at(100)? })
}

impl Latency {
    /// For each plugin and verb, those with the most calls first.
    #[must_use]
    pub fn of(rows: &[Row], line: Option<&TimeLine>) -> Vec<Latency> {
        let mut groups: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
        for row in rows {
            groups.entry((&row.plugin, &row.command)).or_default().push(row);
        }
        let mut all: Vec<Latency> = groups
            .into_iter()
            .map(|((plugin, command), rows)| Latency::one(plugin, command, &rows, line))
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.calls));
        all
    }

    fn one(plugin: &str, command: &str, rows: &[&Row], line: Option<&TimeLine>) -> Latency {
        let mut pieces = vec![Vec::new(); line.map_or(0, |line| line.count)];
        for row in rows {
            let piece = row.at.and_then(|at| line?.piece(at));
            if let (Some(piece), Some(took)) = (piece, row.took_ms) {
                pieces[piece].push(took);
            }
        }
        Latency {
            plugin: plugin.to_owned(),
            command: command.to_owned(),
            calls: rows.len(),
            failed: rows.iter().filter(|row| row.fate == Fate::Failed).count(),
            all: percentiles(rows.iter().filter_map(|row| row.took_ms).collect()),
            pieces: pieces.into_iter().map(percentiles).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::row;
    use super::*;

    #[test]
    fn percentiles_are_times_that_calls_took() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let table = [
            (Vec::new(), None),
            (vec![7.0], Some((7.0, 7.0, 7.0, 7.0))),
            (vec![1.0, 9.0], Some((1.0, 9.0, 9.0, 9.0))),
            (hundred, Some((50.0, 95.0, 99.0, 100.0))),
        ];
        for (took, expected) in table {
            let found = percentiles(took.clone()).map(|of| (of.p50, of.p95, of.p99, of.max));
            assert_eq!(found, expected, "{took:?}");
        }
    }

    #[test]
    fn plugins_and_verbs_are_told_apart_and_pieces_may_be_empty() {
        let mut rows = vec![row(0, "ok", ""), row(1, "failed", "disk-full"), row(130, "ok", "")];
        rows[0].command = "DEL".into();
        rows[2].took_ms = Some(50.0);
        let line = TimeLine { start: 0, width: 60, count: 3, offset: 0 };
        let all = Latency::of(&rows, Some(&line));
        let told: Vec<_> = all.iter().map(|one| (one.command.as_str(), one.calls, one.failed)).collect();
        assert_eq!(told, [("ADD", 2, 1), ("DEL", 1, 0)]);
        let medians: Vec<_> = all[0].pieces.iter().map(|piece| piece.map(|of| of.p50)).collect();
        assert_eq!(medians, [Some(10.0), None, Some(50.0)]);
    }
}
