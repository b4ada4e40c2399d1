//! A report over many calls, of one node or several: what is counted, and what is said of it. Pure; `render::html` draws it.

pub mod detail;
pub mod failures;
pub mod latency;
pub mod nodes;
pub mod pools;
pub mod row;
pub mod time_line;
pub mod verdict;
pub mod worst;

use std::collections::{BTreeMap, BTreeSet};

use failures::Failures;
use latency::Latency;
use nodes::NodeCount;
use pools::Pool;
use row::{Fate, Row, Rows};
use time_line::TimeLine;
use verdict::Verdict;
use worst::Worst;

/// The figures at the top.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// All calls.
    pub calls: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that left no network although their plugin said so.
    pub suspect: usize,
    /// Those that have not ended.
    pub running: usize,
    /// How many Pods calls failed for.
    pub pods: usize,
}

/// A report.
#[derive(Debug)]
pub struct Report {
    /// The calls, in the order in which they began.
    pub rows: Vec<Row>,
    /// Their configurations as JSON.
    pub configs: BTreeMap<String, String>,
    /// How many there are.
    pub figures: Figures,
    /// One node or the whole cluster, where there are several.
    pub verdict: Option<Verdict>,
    /// What the charts show; `None` where no call has a time.
    pub time_line: Option<TimeLine>,
    /// How many calls lie outside of it: their times are none, or far from all others.
    pub outside: usize,
    /// Failures over time.
    pub failures: Failures,
    /// How long calls took.
    pub latency: Vec<Latency>,
    /// The nodes side by side.
    pub nodes: Vec<NodeCount>,
    /// The pools of addresses.
    pub pools: Vec<Pool>,
    /// The failed calls to look at first.
    pub worst: Vec<Worst>,
    /// The slowest good calls, by their place among the calls.
    pub slow: Vec<usize>,
}

impl Report {
    /// Of these calls. The wall clock is so many seconds before UTC's; for `left_out` see [`verdict::verdict`].
    #[must_use]
    pub fn of(taken: Rows, offset: i64, left_out: Option<&str>) -> Report {
        let Rows { mut rows, configs } = taken;
        rows.sort_by(|one, other| one.at.cmp(&other.at).then_with(|| one.id.cmp(&other.id)));
        let times: Vec<i64> = rows.iter().filter_map(|row| row.at).collect();
        let time_line = TimeLine::over(&times, offset);
        let is_inside = |row: &&Row| row.at.and_then(|at| time_line.as_ref()?.piece(at)).is_some();
        let nodes = NodeCount::of(&rows);
        let (worst, slow) = worst::worst(&rows);
        Report {
            figures: Figures::of(&rows),
            verdict: verdict::verdict(&nodes, left_out),
            outside: rows.len() - rows.iter().filter(is_inside).count(),
            failures: time_line.as_ref().map(|line| Failures::of(&rows, line)).unwrap_or_default(),
            latency: Latency::of(&rows, time_line.as_ref()),
            pools: Pool::of(&rows),
            nodes,
            worst,
            slow,
            time_line,
            rows,
            configs,
        }
    }
}

impl Figures {
    fn of(rows: &[Row]) -> Figures {
        let count = |fate| rows.iter().filter(|row| row.fate == fate).count();
        let failed = rows.iter().filter(|row| row.fate == Fate::Failed);
        Figures {
            calls: rows.len(),
            failed: count(Fate::Failed),
            suspect: count(Fate::Suspect),
            running: count(Fate::Running),
            pods: failed.map(|row| row.pod.as_str()).collect::<BTreeSet<_>>().len(),
        }
    }
}

/// Calls for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::row::{Fate, Row};

    /// A call that began so many seconds after 1970, and took 10 ms.
    pub(crate) fn row(second: i64, outcome: &str, cause: &str) -> Row {
        let fate = match (outcome, cause) {
            ("ok", "") => Fate::Good,
            ("ok", _) => Fate::Suspect,
            ("running", _) => Fate::Running,
            _ => Fate::Failed,
        };
        Row {
            id: format!("id-{second}"),
            time: String::new(),
            at: Some(second * 1000),
            node: "worker-1".into(),
            command: "ADD".into(),
            pod: "shop/cart".into(),
            plugin: "bridge".into(),
            outcome: outcome.into(),
            cause: cause.into(),
            took_ms: Some(10.0),
            fate,
            error: String::new(),
            pools: Vec::new(),
            detail: "{}".into(),
            config: None,
        }
    }
}
