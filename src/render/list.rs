//! Lists of calls, a portion after the other.

use std::io::{self, Write};

use super::table::{Cell, Table};
use super::time::{Zone, duration};
use super::{QUIET, csv, escape, of_outcome, otlp};
use crate::journal::head::Head;
use crate::journal::stored::Stored;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table that fits the terminal.
    Table,
    /// One with more columns.
    Wide,
    /// An array of records.
    Json,
    /// A record a line.
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// Spans of OpenTelemetry, a document a line.
    Otlp,
}

impl Form {
    /// Whether it is written with styles, and fits a terminal.
    #[must_use]
    pub fn is_table(self) -> bool {
        matches!(self, Form::Table | Form::Wide)
    }
}

/// On a terminal that is narrower than this, a cause stands in the place of the outcome.
const NARROW: usize = 110;
/// Columns are at least so wide where what comes later is not known yet.
const FOLLOWED: [usize; 7] = [0, 6, 24, 10, 7, 11, 20];

/// A list.
#[derive(Debug)]
pub struct List {
    form: Form,
    zone: Zone,
    is_followed: bool,
    table: Table,
    width: Option<usize>,
    has_begun: bool,
    count: usize,
}

impl List {
    /// A list of nothing yet, for a terminal of this width. One that `is_followed` goes on.
    #[must_use]
    pub fn new(form: Form, zone: Zone, width: Option<usize>, is_followed: bool) -> List {
        let width = width.filter(|_| form == Form::Table);
        let headings: &[&str] = match form {
            Form::Wide => &[
                "TIME",
                "VERB",
                "POD",
                "PLUGIN",
                ">TOOK",
                "OUTCOME",
                "CAUSE",
                "ID",
                "NETWORK",
                "CONTAINER",
                "INTERFACE",
                "CALLER",
            ],
            _ if is_narrow(width) => &["TIME", "VERB", "~POD", "PLUGIN", ">TOOK", "~OUTCOME", "ID"],
            _ => &["TIME", "VERB", "~POD", "PLUGIN", ">TOOK", "OUTCOME", "CAUSE", "ID"],
        };
        List { form, zone, is_followed, table: Table::new(headings), width, has_begun: false, count: 0 }
    }

    /// Whether it has no call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes some calls.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, out: &mut dyn Write, calls: &[Stored]) -> io::Result<()> {
        self.count += calls.len();
        match self.form {
            Form::Table | Form::Wide if calls.is_empty() => Ok(()),
            Form::Table | Form::Wide => {
                for call in calls {
                    let row = self.row(call);
                    self.table.row(row);
                }
                let least: &[usize] = if self.is_followed { &FOLLOWED } else { &[] };
                self.table.write_part(out, self.width, least)
            }
            Form::Csv => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    csv::headings(out)?;
                }
                calls.iter().try_for_each(|call| csv::row(out, call))
            }
            Form::Otlp => calls
                .iter()
                .filter_map(|call| otlp::request(&call.call()))
                .try_for_each(|request| writeln!(out, "{}", escape::json(&request.to_string()))),
            Form::Jsonl => calls.iter().try_for_each(|call| writeln!(out, "{}", escape::json(&call.json()))),
            Form::Json => calls.iter().try_for_each(|call| {
                let start = if std::mem::replace(&mut self.has_begun, true) { "," } else { "[" };
                let record: serde_json::Value = serde_json::from_str(&call.json())?;
                let record = serde_json::to_string_pretty(&record)?.replace('\n', "\n  ");
                write!(out, "{start}\n  {}", escape::json(&record))
            }),
        }
    }

    /// Writes what stands behind all calls.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::Json if self.is_empty() => writeln!(out, "[]"),
            Form::Json => writeln!(out, "\n]"),
            _ => Ok(()),
        }
    }

    fn row(&self, call: &Stored) -> Vec<Cell> {
        let head = call.head();
        let plain = |text: &str| Cell::new(escape::line(text).into_owned());
        let is_narrow = is_narrow(self.width);
        let time = if is_narrow { self.zone.to_seconds(&head.time) } else { self.zone.short(&head.time) };
        let outcome = if is_narrow && !head.cause.is_empty() { &head.cause } else { &head.outcome };
        let mut row = vec![
            Cell::new(time),
            plain(&head.command),
            plain(&subject(&head)),
            plain(&head.plugin),
            Cell::new(head.duration_ms.map(duration).unwrap_or_default()),
            plain(outcome).styled(of_outcome(&head.outcome)),
        ];
        if !is_narrow {
            row.push(plain(&head.cause));
        }
        row.push(plain(short_id(&head.id)).styled(QUIET));
        if self.form == Form::Wide {
            row.extend([&head.network, &head.container_id, &head.ifname].map(|text| plain(text)));
            row.push(plain(call.call().record["caller"]["name"].as_str().unwrap_or_default()));
        }
        row
    }
}

fn is_narrow(width: Option<usize>) -> bool {
    width.is_some_and(|width| width < NARROW)
}

/// How much of an id a list shows: of a UUID of version 7 the end tells calls apart, its start is the time.
fn short_id(id: &str) -> &str {
    const LENGTH: usize = 8;
    id.get(id.len().saturating_sub(LENGTH)..).unwrap_or(id)
}

/// The Pod; where the runtime names none, the container.
#[must_use]
pub fn subject(call: &Head) -> String {
    match (call.pod_namespace.as_ref(), call.pod_name.as_ref()) {
        ("", "") => call.container_id.chars().take(32).collect(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u32, outcome: &str, cause: &str) -> Stored {
        let line = format!(
            r#"{{"event":"end","id":"01a1fea9-738b-7663-9cd6-00000000000{number}","time":"2026-11-21T10:20:3{number}.5Z","command":"ADD","pod_namespace":"shop","pod_name":"cart-7d9f8c6b5-x2x4z","plugin":"calico","outcome":"{outcome}","cause":"{cause}","duration_ms":12}}"#
        );
        Stored::of(&Head::of(line.as_bytes()).unwrap())
    }

    fn shown(width: usize, portions: &[&[Stored]]) -> String {
        let mut list = List::new(Form::Table, Zone::Utc, Some(width), false);
        let mut written = Vec::new();
        for portion in portions {
            list.write(&mut written, portion).unwrap();
        }
        list.end(&mut written).unwrap();
        anstream::adapter::strip_str(str::from_utf8(&written).unwrap()).to_string()
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let calls = [call(1, "ok", ""), call(2, "failed", "bridge-address-conflict"), call(3, "killed", "")];
        insta::assert_snapshot!(shown(140, &[&calls]), @r"
        TIME                VERB  POD                        PLUGIN   TOOK  OUTCOME  CAUSE                    ID
        11-21 10:20:31.500  ADD   shop/cart-7d9f8c6b5-x2x4z  calico  12 ms  ok                                00000001
        11-21 10:20:32.500  ADD   shop/cart-7d9f8c6b5-x2x4z  calico  12 ms  failed   bridge-address-conflict  00000002
        11-21 10:20:33.500  ADD   shop/cart-7d9f8c6b5-x2x4z  calico  12 ms  killed                            00000003
        ");
        insta::assert_snapshot!(shown(80, &[&calls]), @r"
        TIME            VERB  POD               PLUGIN   TOOK  OUTCOME          ID
        11-21 10:20:31  ADD   shop/ca…b5-x2x4z  calico  12 ms  ok               00000001
        11-21 10:20:32  ADD   shop/ca…b5-x2x4z  calico  12 ms  bridge-…onflict  00000002
        11-21 10:20:33  ADD   shop/ca…b5-x2x4z  calico  12 ms  killed           00000003
        ");
        assert!(shown(80, &[&calls]).lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn portions_are_one_document() {
        let calls = [call(1, "ok", ""), call(2, "failed", "unknown")];
        let mut list = List::new(Form::Json, Zone::Utc, None, false);
        let mut written = Vec::new();
        for portion in [&calls[..1], &[], &calls[1..]] {
            list.write(&mut written, portion).unwrap();
        }
        list.end(&mut written).unwrap();
        let records: Vec<serde_json::Value> = serde_json::from_slice(&written).unwrap();
        assert_eq!(records, calls.map(|call| call.call().record));
        assert_eq!(
            written,
            serde_json::to_vec_pretty(&records).map(|json| [json, b"\n".to_vec()].concat()).unwrap()
        );
    }
}
