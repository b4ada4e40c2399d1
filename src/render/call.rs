//! Calls: a row of a list, and one call as a whole.

use std::io::{self, Write};

use anstyle::Style;
use serde_json::Value;

use super::list::{Form, List, subject};
use super::time::{Zone, bytes, duration};
use super::{HEADING, QUIET, escape, of_outcome, of_status, timeline, wrap};
use crate::journal::attempts::Attempts;
use crate::journal::read::Call;
use crate::journal::stored::Stored;

/// One call, everything, for a terminal of this width.
///
/// # Errors
/// If it cannot be written.
pub fn whole(
    out: &mut dyn Write,
    stored: &Stored,
    attempts: &Attempts,
    zone: Zone,
    width: Option<usize>,
) -> io::Result<()> {
    Whole { out, stored, call: &stored.call(), attempts, zone, width }.write()
}

struct Whole<'a> {
    out: &'a mut dyn Write,
    stored: &'a Stored,
    call: &'a Call,
    attempts: &'a Attempts,
    zone: Zone,
    width: Option<usize>,
}

impl Whole<'_> {
    fn write(&mut self) -> io::Result<()> {
        self.title()?;
        self.diagnosis()?;
        self.facts()?;
        self.timeline()?;
        self.error("plugin's error", "error")?;
        self.error("returned", "returned")?;
        self.checks()?;
        self.changed()?;
        self.attempts()?;
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

    fn timeline(&mut self) -> io::Result<()> {
        self.heading("timeline")?;
        for (when, what, more) in timeline::steps(self.call) {
            write!(self.out, "  {when:<10} {what:<10} ")?;
            wrap::hanging(self.out, &escape::line(&more), 24, self.width, Style::new())?;
        }
        Ok(())
    }

    /// The calls for the same Pod around this one, which is marked.
    fn attempts(&mut self) -> io::Result<()> {
        let attempts = self.attempts;
        if attempts.before.is_empty() && attempts.after.is_empty() {
            return Ok(());
        }
        let of = if self.call.text("pod_name").is_empty() { "container" } else { "Pod" };
        self.heading(&format!("calls for this {of}"))?;
        let room = self.width.map(|width| width.saturating_sub(2));
        let mut list = List::new(Form::Table, self.zone, room, false);
        let this = std::slice::from_ref(self.stored);
        let mut table = Vec::new();
        list.write(&mut table, &[&attempts.before, this, &attempts.after].concat())?;
        let others = |count: usize, when: &str| match count {
            0 => String::new(),
            1 => format!("  1 {when} call\n"),
            count => format!("  {count} {when} calls\n"),
        };
        let this = attempts.before.len() + 1;
        for (position, line) in String::from_utf8_lossy(&table).lines().enumerate() {
            let mark = if position == this { ">" } else { " " };
            writeln!(self.out, "{mark} {line}")?;
            if position == 0 {
                write!(self.out, "{}", others(attempts.earlier, "earlier"))?;
            }
        }
        write!(self.out, "{}", others(attempts.later, "later"))
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
            escape::line(&subject(&self.stored.head())),
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
        let summary = diagnosis["summary"].as_str().filter(|summary| *summary != title);
        for text in [Some(title), summary].into_iter().flatten() {
            write!(self.out, "  ")?;
            wrap::hanging(self.out, &escape::line(text), 2, self.width, Style::new())?;
        }
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
            write!(self.out, "  {name:<10} ")?;
            wrap::hanging(self.out, &escape::line(value), 13, self.width, Style::new())?;
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
            write!(
                self.out,
                "  {}{status:<7}{} {:<14} ",
                style.render(),
                style.render_reset(),
                text("check"),
            )?;
            wrap::hanging(self.out, &text("summary"), 25, self.width, Style::new())?;
            let is_remarkable = matches!(status.as_str(), "warn" | "fail");
            if is_remarkable && let Some(evidence) = check["evidence"].as_object() {
                for (name, value) in evidence {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let (name, value) = (escape::line(name), escape::line(&value));
                    write!(self.out, "          ")?;
                    wrap::hanging(self.out, &format!("{name}: {value}"), 10, self.width, QUIET)?;
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
            write!(self.out, "  ")?;
            let change = format!("{}: {} -> {}", text("what"), text("before"), text("now"));
            wrap::hanging(self.out, &change, 4, self.width, Style::new())?;
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
            write!(self.out, "  {heading:<10} ")?;
            let text = escape::line(item.as_str().unwrap_or_default());
            wrap::hanging(self.out, &text, 13, self.width, Style::new())?;
        }
        Ok(())
    }
}

/// The parts that are not empty, with `by` between them.
fn joined(by: &str, parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(by)
}
