//! Statistics: a line that sums up, groups, causes, how long calls took, and the slowest of them.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::list::{Form, List};
use super::table::{Cell, Table};
use super::time::{Zone, duration};
use super::{BAD, HEADING, ODD, QUIET, escape};
use crate::journal::read::Call;
use crate::journal::statistics::{self, Durations, Group};
use crate::journal::stored::Stored;
use crate::journal::summary::Summary;

/// The version of what [`json`] gives.
const SCHEMA: u32 = 1;
/// The bounds between which calls are counted, in milliseconds.
const BOUNDS: [f64; 11] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5];
/// A part of a column that is that much full.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The longest bar.
const BAR: f64 = 32.0;
/// A terminal that is narrower has no room for when a group was first and last seen.
const ROOMY: usize = 120;

/// What calls are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Plugin and verb
    Plugin,
    /// Pod; where there is none, container
    Pod,
    /// Why they failed
    Cause,
    /// The hour in which they began
    Hour,
}

impl By {
    /// The names of what a group's name is made of, as a program reads them and as people do.
    fn parts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            By::Plugin => &[("plugin", "~PLUGIN"), ("command", "VERB")],
            By::Pod => &[("pod", "~POD")],
            By::Cause => &[("cause", "CAUSE")],
            By::Hour => &[("hour", "HOUR")],
        }
    }
}

/// How people want to see it.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// What the groups are.
    pub by: By,
    /// The zone of times.
    pub zone: Zone,
    /// The columns of the terminal, where there is one.
    pub width: Option<usize>,
    /// Everything, however wide.
    pub is_wide: bool,
}

impl View {
    fn has_room(self) -> bool {
        self.is_wide || self.width.is_none_or(|width| width >= ROOMY)
    }
}

/// Writes a summary for people. Where there is no call, nothing.
///
/// # Errors
/// If it cannot be written.
pub fn whole(out: &mut dyn Write, summary: &Summary, view: View) -> io::Result<()> {
    if summary.all.calls + summary.all.running == 0 {
        return Ok(());
    }
    let width = if view.is_wide { None } else { view.width };
    writeln!(out, "{}", title(&summary.all, view.zone))?;
    writeln!(out)?;
    groups(summary, view).write(out, width)?;
    if summary.causes.iter().next().is_some() && view.by != By::Cause {
        heading(out, "failures by cause")?;
        causes(summary, view.zone).write(out, width)?;
    }
    if summary.all.durations.count() > 0 {
        heading(out, "how long calls took")?;
        bars(out, &summary.all.durations)?;
        heading(out, "slowest calls")?;
        let form = if view.is_wide { Form::Wide } else { Form::Table };
        let calls: Vec<Stored> = summary.slowest.calls().cloned().collect();
        List::new(form, view.zone, width, false).write(out, &calls)?;
    }
    Ok(())
}

fn heading(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{}{text}{}", HEADING.render(), HEADING.render_reset())
}

fn title(all: &Group, zone: Zone) -> String {
    let mut parts = vec![format!("{} {}", all.calls, if all.calls == 1 { "call" } else { "calls" })];
    parts.push(format!("{} failed ({})", all.failures, percent(all.failure_rate())));
    for (count, what) in [(all.suspects, "suspect"), (all.running, "running")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let time = |time: &str| escape::line(&zone.short(time)).into_owned();
    format!("{}; from {} to {}", parts.join(", "), time(&all.first), time(&all.last))
}

/// A part of one in at most three digits. What is not quite nothing or all does not look like it.
fn percent(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.1 => "<0.1 %".to_owned(),
        percent if percent < 9.95 => format!("{percent:.1} %"),
        percent if part < 1.0 && percent > 99.0 => "99 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

fn groups(summary: &Summary, view: View) -> Table {
    let mut headings: Vec<&str> = view.by.parts().iter().map(|(_, heading)| *heading).collect();
    headings.extend([">CALLS", ">FAILED", ">RATE", ">P50", ">P95", ">P99", ">MAX", "HISTOGRAM"]);
    if view.has_room() {
        headings.extend(["FIRST", "LAST"]);
    }
    let mut table = Table::new(&headings);
    for (name, group) in ordered(summary, view.by) {
        let mut cells: Vec<Cell> = name.iter().map(|part| Cell::new(shown(part, view.by))).collect();
        cells.extend(numbers(group, view));
        table.row(cells);
    }
    let others = &summary.groups.others;
    if others.calls + others.running > 0 {
        let mut cells = vec![Cell::new("(all others)").styled(QUIET)];
        cells.resize(view.by.parts().len(), Cell::new(""));
        cells.extend(numbers(others, view));
        table.row(cells);
    }
    table
}

/// A group's name, or a part of it; of an hour without the year and the zone.
fn shown(name: &str, by: By) -> String {
    let short = if by == By::Hour { name.get(5..16) } else { None };
    escape::line(short.unwrap_or(name)).into_owned()
}

/// Hours in their order, plugins by name; what there may be many of, the worst first.
fn ordered(summary: &Summary, by: By) -> Vec<(&Vec<String>, &Group)> {
    match by {
        By::Plugin | By::Hour => summary.groups.iter().collect(),
        By::Pod | By::Cause => summary.groups.worst_first(),
    }
}

fn numbers(group: &Group, view: View) -> Vec<Cell> {
    let failed = Cell::new(group.failures.to_string());
    let took = |found: Option<f64>| Cell::new(found.map(duration).unwrap_or_default());
    let durations = &group.durations;
    let mut cells = vec![
        Cell::new(group.calls.to_string()),
        if group.failures > 0 { failed.styled(BAD) } else { failed },
        Cell::new(percent(group.failure_rate())),
        took(durations.percentile(0.50)),
        took(durations.percentile(0.95)),
        took(durations.percentile(0.99)),
        took(durations.most()),
        Cell::new(columns(durations)),
    ];
    if view.has_room() {
        cells.extend([&group.first, &group.last].map(|time| seen(time, view.zone)));
    }
    cells
}

fn seen(time: &str, zone: Zone) -> Cell {
    Cell::new(escape::line(&zone.short(time)).into_owned()).styled(QUIET)
}

/// A column for each of [`BOUNDS`] and one above them.
fn columns(durations: &Durations) -> String {
    let counts = durations.histogram(&BOUNDS);
    let most = counts.iter().copied().max().unwrap_or_default();
    let column = |count: &u64| match count {
        0 => '·',
        count => {
            let eighths = (count * 8).div_ceil(most);
            BLOCKS[usize::try_from(eighths).unwrap_or(8) - 1]
        }
    };
    counts.iter().map(column).collect()
}

fn causes(summary: &Summary, zone: Zone) -> Table {
    let mut table = Table::new(&["~CAUSE", ">FAILED", ">SHARE", ">SUSPECT", "FIRST", "LAST"]);
    for (cause, group) in summary.causes.worst_first() {
        let suspects = match group.suspects {
            0 => Cell::new(""),
            count => Cell::new(count.to_string()).styled(ODD),
        };
        table.row(vec![
            Cell::new(escape::line(cause)),
            Cell::new(group.failures.to_string()),
            Cell::new(percent(statistics::part(group.failures, summary.all.failures))),
            suspects,
            seen(&group.first, zone),
            seen(&group.last, zone),
        ]);
    }
    table
}

/// A bar for each of [`BOUNDS`], as far as there are calls.
fn bars(out: &mut dyn Write, durations: &Durations) -> io::Result<()> {
    let counts = durations.histogram(&BOUNDS);
    let most = counts.iter().copied().max().unwrap_or_default();
    let first = counts.iter().position(|count| *count > 0).unwrap_or_default();
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or_default();
    let digits = most.to_string().len();
    for (position, count) in counts.iter().enumerate().take(last + 1).skip(first) {
        let label = match (BOUNDS.get(position), position.checked_sub(1).map(|below| BOUNDS[below])) {
            (Some(bound), _) => format!("up to {}", bound_text(*bound)),
            (None, below) => format!("above {}", bound_text(below.unwrap_or_default())),
        };
        let length = (BAR * statistics::part(*count, most)).ceil();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to BAR")]
        let bar = "█".repeat(length as usize);
        writeln!(out, "{}", format!("{label:>12}  {count:>digits$}  {bar}").trim_end())?;
    }
    Ok(())
}

/// A bound, which is a round number, in its unit.
fn bound_text(milliseconds: f64) -> String {
    if milliseconds < 1e3 { format!("{milliseconds} ms") } else { format!("{} s", milliseconds / 1e3) }
}

/// The same for a program.
#[must_use]
pub fn json(summary: &Summary, by: By, broken: usize) -> Value {
    let group = |(name, group): (&Vec<String>, &Group)| {
        let names = by.parts().iter().zip(name);
        let mut fields: Map<String, Value> =
            names.map(|((part, _), value)| ((*part).to_owned(), json!(value))).collect();
        fields.extend(counted(group));
        Value::Object(fields)
    };
    let others = &summary.groups.others;
    let mut document = Map::new();
    document.insert("schema".to_owned(), json!(SCHEMA));
    document.extend(counted(&summary.all));
    document.insert("percentile_error".to_owned(), json!(statistics::ERROR));
    document.insert("broken_lines".to_owned(), json!(broken));
    document.insert("groups".to_owned(), ordered(summary, by).into_iter().map(group).collect());
    if others.calls + others.running > 0 {
        document.insert("other_groups".to_owned(), Value::Object(counted(others)));
    }
    let causes = summary.causes.worst_first().into_iter().map(|(cause, group)| {
        json!({
            "cause": cause, "failures": group.failures, "suspects": group.suspects,
            "first": group.first, "last": group.last,
        })
    });
    document.insert("causes".to_owned(), causes.collect());
    document.insert("slowest".to_owned(), summary.slowest.calls().map(|call| slow(&call.call())).collect());
    Value::Object(document)
}

fn counted(group: &Group) -> Map<String, Value> {
    let durations = &group.durations;
    let counts = durations.histogram(&BOUNDS);
    // Above the last bound there is none.
    let bounds = BOUNDS.iter().map(|bound| json!(bound)).chain([Value::Null]);
    let histogram: Vec<Value> =
        bounds.zip(counts).map(|(bound, calls)| json!({"up_to_ms": bound, "calls": calls})).collect();
    let fields = json!({
        "calls": group.calls, "failures": group.failures, "failure_rate": group.failure_rate(),
        "suspects": group.suspects, "running": group.running, "first": group.first, "last": group.last,
        "duration_ms": {
            "p50": durations.percentile(0.50), "p95": durations.percentile(0.95),
            "p99": durations.percentile(0.99), "max": durations.most(),
        },
        "histogram": histogram,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// What tells of a slow call; `cniscope show` has the rest.
fn slow(call: &Call) -> Value {
    const FIELDS: [&str; 9] = [
        "id",
        "time",
        "command",
        "plugin",
        "pod_namespace",
        "pod_name",
        "container_id",
        "duration_ms",
        "cause",
    ];
    let mut fields: Map<String, Value> =
        FIELDS.iter().map(|field| ((*field).to_owned(), call.record[*field].clone())).collect();
    fields.insert("outcome".to_owned(), json!(call.outcome));
    Value::Object(fields)
}

#[cfg(test)]
mod tests;
