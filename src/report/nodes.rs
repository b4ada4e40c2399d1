//! The nodes side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::failures::ranked;
use super::row::{Fate, Row};

/// What happened on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeCount {
    /// Its name.
    pub name: String,
    /// How many calls for Pods there were: ADD, DEL, CHECK.
    pub calls: usize,
    /// How many of them failed.
    pub failed: usize,
    /// For how many Pods.
    pub pods: usize,
    /// How many failed for each cause, the most frequent first.
    pub causes: Vec<(String, usize)>,
}

impl NodeCount {
    /// The share of its calls that failed.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
    pub fn rate(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.failed as f64 / self.calls as f64 }
    }

    /// How many failed for a cause.
    #[must_use]
    pub fn of_cause(&self, cause: &str) -> usize {
        self.causes.iter().find(|(one, _)| one == cause).map_or(0, |(_, count)| *count)
    }

    /// All nodes of these calls, by name. Runtimes ask for STATUS and GC all the time: they would hide how Pods fare.
    #[must_use]
    pub fn of(rows: &[Row]) -> Vec<NodeCount> {
        let mut nodes: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            let of_node = nodes.entry(&row.node).or_default();
            if matches!(row.command.as_str(), "ADD" | "DEL" | "CHECK") && row.fate != Fate::Running {
                of_node.push(row);
            }
        }
        nodes.into_iter().map(|(name, rows)| NodeCount::one(name, &rows)).collect()
    }

    fn one(name: &str, rows: &[&Row]) -> NodeCount {
        let failed: Vec<&&Row> = rows.iter().filter(|row| row.fate == Fate::Failed).collect();
        NodeCount {
            name: name.to_owned(),
            calls: rows.len(),
            failed: failed.len(),
            pods: failed.iter().map(|row| row.pod.as_str()).collect::<BTreeSet<_>>().len(),
            causes: ranked(rows.iter().copied()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::row;
    use super::*;

    #[test]
    fn calls_for_pods_are_counted() {
        let on = |node: &str, row: Row| Row { node: node.into(), ..row };
        let status = Row { command: "STATUS".into(), ..row(0, "failed", "network-not-ready") };
        let rows = [
            on("b", row(0, "failed", "disk-full")),
            on("b", Row { pod: "other".into(), ..row(1, "failed", "disk-full") }),
            on("b", row(2, "killed", "")),
            on("b", row(3, "ok", "")),
            on("b", row(4, "running", "")),
            on("a", status),
        ];
        let nodes = NodeCount::of(&rows);
        let quiet = NodeCount { name: "a".into(), ..NodeCount::default() };
        let causes = vec![("disk-full".to_owned(), 2), ("killed".to_owned(), 1)];
        let busy = NodeCount { name: "b".into(), calls: 4, failed: 3, pods: 2, causes };
        assert_eq!(nodes, [quiet, busy]);
        assert_eq!((nodes[1].of_cause("disk-full"), nodes[1].of_cause("none")), (2, 0));
        assert!((nodes[1].rate() - 0.75).abs() < 1e-9 && nodes[0].rate() == 0.0);
    }
}
