//! Calls for spreadsheets: RFC 4180, and no cell that one takes for a formula.

use std::io::{self, Write};

use serde_json::Value;

use super::escape;
use crate::journal::stored::Stored;

/// The columns; the fields of the record have the same names.
const COLUMNS: [&str; 17] = [
    "time",
    "node",
    "command",
    "pod_namespace",
    "pod_name",
    "container_id",
    "ifname",
    "network",
    "plugin",
    "outcome",
    "cause",
    "duration_ms",
    "plugin_ms",
    "overhead_ms",
    "code",
    "error",
    "id",
];

/// Writes the names of the columns.
///
/// # Errors
/// If they cannot be written.
pub fn headings(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}\r\n", COLUMNS.join(","))
}

/// Writes a row.
///
/// # Errors
/// If it cannot be written.
pub fn row(out: &mut dyn Write, stored: &Stored) -> io::Result<()> {
    let read = stored.call();
    let error = &read.record["error"];
    let cell = |column: &&str| match *column {
        "outcome" => text(&read.outcome),
        "code" => value(&error["code"]),
        "error" => text(&message(error)),
        field => value(&read.record[field]),
    };
    let cells: Vec<String> = COLUMNS.iter().map(cell).collect();
    write!(out, "{}\r\n", cells.join(","))
}

/// What libcni makes of an error.
fn message(error: &Value) -> String {
    let part = |name: &str| error[name].as_str().filter(|text| !text.is_empty());
    [part("msg"), part("details")].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn value(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::String(value) => text(value),
        _ => String::new(),
    }
}

/// A cell of text from outside. A spreadsheet takes what begins with one of these characters for a formula, unless a quote
/// stands before it.
fn text(text: &str) -> String {
    let mut cell = escape::line(text).into_owned();
    if cell.starts_with(['=', '+', '-', '@', '\\']) {
        cell.insert(0, '\'');
    }
    if cell.contains(['"', ',', '\'']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::head::Head;

    #[test]
    fn a_cell_is_quoted_where_it_has_to_be_and_is_never_a_formula() {
        let table = [
            ("cart", "cart"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=HYPERLINK(1)", "\"'=HYPERLINK(1)\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM", "\"'@SUM\""),
            ("\t=1", "\"'\\t=1\""),
            ("\r=1", "\"'\\r=1\""),
            ("two\nlines", "two\\nlines"),
            ("\u{1b}[31m", "\"'\\u{1b}[31m\""),
        ];
        for (given, expected) in table {
            assert_eq!(text(given), expected, "{given:?}");
        }
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let line = br#"{"event":"end","id":"i","time":"t","node":"n","command":"ADD","pod_name":"=1","outcome":"failed","duration_ms":-1.5,"error":{"code":7,"msg":"no","details":"why, then"}}"#;
        let mut written = Vec::new();
        headings(&mut written).unwrap();
        row(&mut written, &Stored::of(&Head::of(line).unwrap())).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "time,node,command,pod_namespace,pod_name,container_id,ifname,network,plugin,outcome,cause,duration_ms,\
             plugin_ms,overhead_ms,code,error,id\r\n\
             t,n,ADD,,\"'=1\",,,,,failed,,-1.5,,,7,\"no; why, then\",i\r\n"
        );
    }
}
