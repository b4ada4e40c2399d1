//! All calls in a table: its frame, and the data from which the page's script fills it.
//!
//! The rows stand in one block of data, what is shown when one is expanded in blocks of some rows each, which are read when
//! one of them is expanded: so a page with many calls opens fast.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::markup::Markup;
use super::section;
use crate::render::count::{counted, thousands};
use crate::render::time::Zone;
use crate::report::Report;
use crate::report::row::{Fate, Row};

/// How much a page holds.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of how many calls.
    pub rows: usize,
    /// Bytes of what is shown when calls are expanded.
    pub details: usize,
}

/// What a browser opens without a wait.
pub const BOUNDS: Bounds = Bounds { rows: 50_000, details: 16 << 20 };
/// How many rows share a block of details.
const BLOCK: usize = 100;

/// What of the calls is in the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The calls with a row, by their place, in the order of time.
    rows: Vec<usize>,
    /// Those of them that can be expanded.
    details: BTreeSet<usize>,
    /// How many calls have no row.
    without_row: usize,
}

impl Cut {
    /// What fits: first what failed, the latest first, then the others, the latest first.
    #[must_use]
    pub fn of(report: &Report, bounds: Bounds) -> Cut {
        let is_good = |place: &usize| matches!(report.rows[*place].fate, Fate::Good | Fate::Running);
        let mut order: Vec<usize> = (0..report.rows.len()).rev().collect();
        // Stable: both parts stay in the order of time.
        order.sort_by_key(is_good);
        let without_row = order.len().saturating_sub(bounds.rows);
        order.truncate(bounds.rows);
        let mut left = bounds.details;
        let mut details = BTreeSet::new();
        let mut configs: BTreeSet<&str> = BTreeSet::new();
        for place in &order {
            let row = &report.rows[*place];
            let config = row.config.as_deref().filter(|key| !configs.contains(key));
            let size = row.detail.len()
                + config.and_then(|key| report.configs.get(key)).map_or(0, |config| config.len() + 80);
            let Some(rest) = left.checked_sub(size) else { break };
            left = rest;
            configs.extend(config);
            details.insert(*place);
        }
        order.sort_unstable();
        Cut { rows: order, details, without_row }
    }

    /// What a reader has to know of it.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.without_row > 0 {
            notes.push(format!(
                "{} counted above, but not in the table, which has the last {}, failures first.",
                are(self.without_row),
                thousands(self.rows.len())
            ));
        }
        let folded = self.rows.len() - self.details.len();
        if folded > 0 {
            notes.push(format!(
                "{} in the table without details, to keep this file small: cniscope show ID has them.",
                are(folded)
            ));
        }
        notes
    }
}

fn are(count: usize) -> String {
    if count == 1 { "1 call is".to_owned() } else { format!("{} are", counted(count, "call")) }
}

/// The frame of the table.
pub(super) fn frame(markup: &mut Markup) {
    section(markup, "calls", "All calls", "");
    markup.constant(concat!(
        "<noscript><p class=\"none\">The table needs the script in this file, which is switched off here.</p></noscript>",
        "<form class=\"search\" role=\"search\" hidden>",
        "<input type=\"search\" id=\"search\" placeholder=\"Search: Pod, node, plugin, cause, error, id\" ",
        "aria-label=\"Search calls\" autocomplete=\"off\" spellcheck=\"false\">",
        "<label><input type=\"checkbox\" id=\"failed\"> only failed</label>",
        "<output id=\"count\" for=\"search failed\"></output></form>",
        "<div class=\"card scroll\"><table id=\"table\" class=\"calls\" hidden><thead><tr></tr></thead></table></div>",
        "<p><button type=\"button\" id=\"more\" hidden>Show more</button></p>",
    ));
    markup.close().constant("\n");
}

/// The data.
pub(super) fn data(markup: &mut Markup, report: &Report, zone: Zone, cut: &Cut) {
    let nodes: Vec<&str> = report.nodes.iter().map(|node| node.name.as_str()).collect();
    let row = |place: &usize| compact(&report.rows[*place], &nodes, zone, cut.details.contains(place));
    let rows: Vec<String> = cut.rows.iter().map(|place| row(place).to_string()).collect();
    let head = json!({"nodes": nodes, "block": BLOCK}).to_string();
    let head = head.strip_suffix('}').unwrap_or_default();
    markup.data("data", &format!("{head},\"rows\":[{}]}}", rows.join(",\n")));
    let mut configs: BTreeSet<&str> = BTreeSet::new();
    for (number, block) in cut.rows.chunks(BLOCK).enumerate() {
        let mut details = String::from("[");
        for (position, place) in block.iter().enumerate() {
            let row = &report.rows[*place];
            let is_there = cut.details.contains(place);
            configs.extend(row.config.as_deref().filter(|_| is_there));
            let comma = if position == 0 { "" } else { ",\n" };
            let _ = write!(details, "{comma}{}", if is_there { row.detail.as_str() } else { "null" });
        }
        details.push(']');
        markup.data(&format!("details-{number}"), &details);
    }
    let known = configs.into_iter().filter_map(|key| Some((key, report.configs.get(key)?)));
    let configs: Vec<String> = known.map(|(key, config)| format!("{}:{config}", json!(key))).collect();
    markup.data("configs", &format!("{{{}}}", configs.join(",\n")));
}

/// A row: id, time, its order, node, verb, Pod, plugin, took, outcome, cause, whether it failed, error, configuration,
/// whether it can be expanded.
fn compact(row: &Row, nodes: &[&str], zone: Zone, has_detail: bool) -> Value {
    let node = nodes.iter().position(|node| *node == row.node);
    let fate = match row.fate {
        Fate::Good => 0,
        Fate::Running => 1,
        Fate::Suspect => 2,
        Fate::Failed => 3,
    };
    json!([
        row.id,
        zone.short(&row.time),
        row.at,
        node,
        row.command,
        row.pod,
        row.plugin,
        row.took_ms,
        row.outcome,
        row.cause,
        fate,
        row.error,
        row.config,
        has_detail,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::row::Rows;
    use crate::report::samples::row;

    fn report() -> Report {
        let mut rows: Vec<Row> = vec![
            row(0, "failed", "disk-full"),
            row(1, "ok", ""),
            row(2, "failed", "disk-full"),
            row(3, "ok", ""),
        ];
        for row in &mut rows {
            row.detail = format!("\"{}\"", "x".repeat(98));
        }
        rows[2].config = Some("a".into());
        Report::of(Rows { rows, configs: [("a".to_owned(), "1".repeat(120))].into() }, 0, None)
    }

    fn told(bounds: Bounds) -> (Vec<usize>, Vec<usize>, Vec<String>) {
        let cut = Cut::of(&report(), bounds);
        let notes = cut.notes();
        (cut.rows, cut.details.into_iter().collect(), notes)
    }

    #[test]
    fn what_failed_last_comes_first_into_a_page() {
        assert_eq!(told(Bounds { rows: 9, details: 9999 }), (vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![]));
        let (rows, details, notes) = told(Bounds { rows: 3, details: 300 });
        assert_eq!((rows, details), (vec![0, 2, 3], vec![2]));
        assert_eq!(
            notes,
            [
                "1 call is counted above, but not in the table, which has the last 3, failures first.",
                "2 calls are in the table without details, to keep this file small: cniscope show ID has them.",
            ]
        );
    }

    #[test]
    fn the_data_is_json_in_blocks() {
        let report = report();
        let cut = Cut::of(&report, Bounds { rows: 9, details: 500 });
        let mut markup = Markup::default();
        data(&mut markup, &report, Zone::Utc, &cut);
        let html = markup.finish();
        let block = |id: &str| {
            let start = format!("id=\"{id}\">");
            let (_, rest) = html.split_once(&start).unwrap();
            serde_json::from_str::<Value>(rest.split_once("</script>").unwrap().0).unwrap()
        };
        let data = block("data");
        assert_eq!(data["nodes"], json!(["worker-1"]));
        assert_eq!(
            data["rows"][2],
            json!([
                "id-2",
                "",
                2000,
                0,
                "ADD",
                "shop/cart",
                "bridge",
                10.0,
                "failed",
                "disk-full",
                3,
                "",
                "a",
                true
            ])
        );
        let details: Vec<bool> =
            block("details-0").as_array().unwrap().iter().map(Value::is_string).collect();
        assert_eq!(details, [true, false, true, true]);
        assert!(block("configs")["a"].is_number());
    }
}
