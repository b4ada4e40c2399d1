//! Calls: a row of a list, and one call as a whole.

use std::io::{self, Write};

use serde_json::Value;

use super::table::{Cell, Table};
use super::time::{Zone, bytes, duration};
use super::{HEADING, QUIET, escape, of_outcome, of_status};
use crate::journal::read::Call;

/// How much of an id a list shows: of a UUID of version 7 the end tells calls apart, its start is the time.
const SHORT_ID: usize = 8;

/// The record of a call as a program reads it: the end, or else the begin with what became of the call.
#[must_use]
pub fn record(call: &Call) -> Value {
    let mut record = call.record.clone();
    if let Some(fields) = record.as_object_mut() {
        fields.insert("outcome".to_owned(), Value::String(call.outcome.clone()));
        if !call.stalls.is_empty() {
            fields.insert("stalls".to_owned(), Value::Array(call.stalls.clone()));
        }
    }
    record
}

/// A list of calls.
#[must_use]
pub fn table(calls: &[Call], zone: Zone, is_wide: bool) -> Table {
    let mut headings = vec!["TIME", "VERB", "~POD", "PLUGIN", ">TOOK", "OUTCOME", "CAUSE", "ID"];
    if is_wide {
        headings.extend(["NETWORK", "CONTAINER", "INTERFACE", "CALLER"]);
    }
    let mut table = Table::new(&headings);
    for call in calls {
        table.row(cells(call, zone, is_wide));
    }
    table
}

/// A call as a line by itself, in columns of a fixed width where that is possible.
#[must_use]
pub fn line(call: &Call, zone: Zone, is_wide: bool) -> String {
    let widths = [18, 6, 32, 10, 7, 11, 23, SHORT_ID];
    let mut line = String::new();
    for (position, cell) in cells(call, zone, is_wide).iter().enumerate() {
        let width = widths.get(position).copied().unwrap_or_default();
        line.push_str(&cell.padded(width));
        line.push_str("  ");
    }
    line.trim_end().to_owned()
}

fn cells(call: &Call, zone: Zone, is_wide: bool) -> Vec<Cell> {
    let text = |field: &str| escape::line(call.text(field)).into_owned();
    let took = call.record["duration_ms"].as_f64().map(duration).unwrap_or_default();
    let mut cells = vec![
        Cell::new(zone.short(call.text("time"))),
        Cell::new(text("command")),
        Cell::new(escape::line(&subject(call)).into_owned()),
        Cell::new(text("plugin")),
        Cell::new(took),
        Cell::new(escape::line(&call.outcome).into_owned()).styled(of_outcome(&call.outcome)),
        Cell::new(text("cause")),
        Cell::new(short_id(call)).styled(QUIET),
    ];
    if is_wide {
        cells.extend(["network", "container_id", "ifname"].map(|field| Cell::new(text(field))));
        cells.push(Cell::new(
            escape::line(call.record["caller"]["name"].as_str().unwrap_or_default()).into_owned(),
        ));
    }
    cells
}

/// The Pod; where the runtime names none, the container.
fn subject(call: &Call) -> String {
    match (call.text("pod_namespace"), call.text("pod_name")) {
        ("", "") => call.text("container_id").chars().take(32).collect(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn short_id(call: &Call) -> String {
    let id = call.text("id");
    let start = id.len().saturating_sub(SHORT_ID);
    escape::line(id.get(start..).unwrap_or(id)).into_owned()
}

/// One call, everything.
///
/// # Errors
/// If it cannot be written.
pub fn whole(out: &mut dyn Write, call: &Call, zone: Zone) -> io::Result<()> {
    Whole { out, call, zone }.write()
}

struct Whole<'a> {
    out: &'a mut dyn Write,
    call: &'a Call,
    zone: Zone,
}

impl Whole<'_> {
    fn write(&mut self) -> io::Result<()> {
        self.title()?;
        self.diagnosis()?;
        self.facts()?;
        self.error("plugin's error", "error")?;
        self.error("returned", "returned")?;
        self.checks()?;
        self.changed()?;
        self.block("stderr", self.call.text("stderr"))?;
        self.block("stdout", self.call.text("stdout_raw"))?;
        for (position, stall) in self.call.stalls.iter().enumerate() {
            let after = stall["after_ms"].as_f64().map(duration).unwrap_or_default();
            self.json(&format!("hanging ({}, after {after})", position + 1), &stall["snapshot"])?;
        }
        self.json("result", &self.call.record["result"])?;
        self.json("configuration", &self.call.record["config"])?;
        self.environment()?;
        self.list("settings", &self.call.record["warnings"])?;
        self.list("cut in this record", &self.call.record["truncated"])
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}{text}{}", HEADING.render(), HEADING.render_reset())
    }

    fn title(&mut self) -> io::Result<()> {
        let call = self.call;
        let style = of_outcome(&call.outcome);
        let took = call.record["duration_ms"]
            .as_f64()
            .map(|ms| format!(" after {}", duration(ms)))
            .unwrap_or_default();
        writeln!(
            self.out,
            "{}{} {}{} by {}: {}{}{}{took}",
            HEADING.render(),
            escape::line(call.text("command")),
            escape::line(&subject(call)),
            HEADING.render_reset(),
            escape::line(call.text("plugin")),
            style.render(),
            escape::line(&call.outcome),
            style.render_reset(),
        )
    }

    fn diagnosis(&mut self) -> io::Result<()> {
        let diagnosis = &self.call.record["diagnosis"];
        let Some(cause) = diagnosis["cause"].as_str() else { return Ok(()) };
        let title = diagnosis["title"].as_str().unwrap_or_default();
        self.heading(&format!("cause: {}", escape::line(cause)))?;
        writeln!(self.out, "  {}", escape::line(title))?;
        writeln!(self.out, "  {}", escape::line(diagnosis["summary"].as_str().unwrap_or_default()))?;
        for (name, key) in [("evidence", "evidence"), ("ruled out", "ruled_out"), ("fix", "fix")] {
            self.list(name, &diagnosis[key])?;
        }
        Ok(())
    }

    fn facts(&mut self) -> io::Result<()> {
        let record = &self.call.record;
        let text = |field: &str| self.call.text(field).to_owned();
        let number = |field: &str| record[field].as_f64();
        let mut facts: Vec<(&str, String)> = vec![
            ("id", text("id")),
            ("time", self.zone.long(self.call.text("time"))),
            ("node", text("node")),
            ("container", text("container_id")),
            ("interface", joined(" in ", &[text("ifname"), text("netns")])),
            ("network", joined(", version ", &[text("network"), text("cni_version")])),
            ("plugin", self.plugin()),
        ];
        if let Some(name) = record["caller"]["name"].as_str() {
            facts.push(("called by", format!("{name} (pid {})", record["caller"]["pid"])));
        }
        if let (Some(plugin), Some(own)) = (number("plugin_ms"), number("overhead_ms")) {
            facts.push(("took", format!("plugin {}, cniscope {}", duration(plugin), duration(own))));
        }
        facts.push(("ended with", self.end()));
        let memory =
            number("plugin_rss_kb").map(|kb| format!("{} memory", bytes(kb * 1024.0))).unwrap_or_default();
        let cpu =
            number("plugin_cpu_ms").map(|ms| format!("{} processor time", duration(ms))).unwrap_or_default();
        facts.push(("used", joined(", ", &[memory, cpu])));
        self.heading("call")?;
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(self.out, "  {name:<10} {}", escape::line(value))?;
        }
        Ok(())
    }

    fn plugin(&self) -> String {
        let record = &self.call.record;
        let path = record["plugin_path"].as_str().unwrap_or(self.call.text("plugin"));
        let target = record["plugin_target"].as_str().map(|target| format!("{path} -> {target}"));
        let size = record["plugin_size"].as_f64().map(bytes).unwrap_or_default();
        let changed = record["plugin_mtime"].as_str().map(|time| format!("changed {}", self.zone.long(time)));
        joined(", ", &[target.unwrap_or_else(|| path.to_owned()), size, changed.unwrap_or_default()])
    }

    fn end(&self) -> String {
        let record = &self.call.record;
        let pid = record["plugin_pid"].as_u64().map(|pid| format!("pid {pid}")).unwrap_or_default();
        let status = match (record["exit_status"].as_i64(), record["signal"].as_i64()) {
            (Some(status), _) => format!("exit status {status}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => String::new(),
        };
        joined(", ", &[status, pid])
    }

    fn error(&mut self, heading: &str, field: &str) -> io::Result<()> {
        let error = &self.call.record[field];
        if error.is_null() {
            return Ok(());
        }
        let code = error["code"].as_u64().map(|code| format!(" (code {code})")).unwrap_or_default();
        self.heading(&format!("{heading}{code}"))?;
        for part in ["msg", "details"].map(|part| error[part].as_str().unwrap_or_default()) {
            for line in escape::block(part).lines() {
                writeln!(self.out, "  {line}")?;
            }
        }
        Ok(())
    }

    fn checks(&mut self) -> io::Result<()> {
        let Some(checks) = self.call.record["checks"].as_array().filter(|checks| !checks.is_empty()) else {
            return Ok(());
        };
        self.heading("checks")?;
        for check in checks {
            let text = |field: &str| escape::line(check[field].as_str().unwrap_or_default()).into_owned();
            let status = text("status");
            let style = of_status(&status);
            writeln!(
                self.out,
                "  {}{status:<7}{} {:<14} {}",
                style.render(),
                style.render_reset(),
                text("check"),
                text("summary"),
            )?;
            let is_remarkable = matches!(status.as_str(), "warn" | "fail");
            if is_remarkable && let Some(evidence) = check["evidence"].as_object() {
                for (name, value) in evidence {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let (name, value) = (escape::line(name), escape::line(&value));
                    writeln!(
                        self.out,
                        "          {}{name}: {value}{}",
                        QUIET.render(),
                        QUIET.render_reset()
                    )?;
                }
            }
        }
        Ok(())
    }

    fn changed(&mut self) -> io::Result<()> {
        let since = &self.call.record["changed"];
        let Some(time) = since["time"].as_str() else { return Ok(()) };
        self.heading(&format!(
            "changed since the last good call, of {}",
            escape::line(&self.zone.long(time))
        ))?;
        let changes = since["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
        if changes.is_empty() {
            return writeln!(self.out, "  nothing that is kept");
        }
        for change in changes {
            let text = |field: &str| match change[field].as_str().unwrap_or_default() {
                "" => "(none)".to_owned(),
                text => escape::line(text).into_owned(),
            };
            writeln!(self.out, "  {}: {} -> {}", text("what"), text("before"), text("now"))?;
        }
        Ok(())
    }

    fn block(&mut self, heading: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.heading(heading)?;
        escape::block(text).lines().try_for_each(|line| writeln!(self.out, "  {line}"))
    }

    fn json(&mut self, heading: &str, value: &Value) -> io::Result<()> {
        match value {
            Value::Null => Ok(()),
            Value::String(text) => self.block(heading, text),
            _ => self.block(heading, &serde_json::to_string_pretty(value)?),
        }
    }

    fn environment(&mut self) -> io::Result<()> {
        let Some(variables) = self.call.record["env"].as_object().filter(|variables| !variables.is_empty())
        else {
            return Ok(());
        };
        self.heading("environment")?;
        for (name, value) in variables {
            let value = value.as_str().unwrap_or_default();
            writeln!(self.out, "  {}={}", escape::line(name), escape::line(value))?;
        }
        Ok(())
    }

    fn list(&mut self, heading: &str, items: &Value) -> io::Result<()> {
        let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
        for (position, item) in items.iter().enumerate() {
            let heading = if position == 0 { heading } else { "" };
            writeln!(self.out, "  {heading:<10} {}", escape::line(item.as_str().unwrap_or_default()))?;
        }
        Ok(())
    }
}

/// The parts that are not empty, with `by` between them.
fn joined(by: &str, parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(by)
}
