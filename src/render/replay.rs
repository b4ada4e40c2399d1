//! What a replay tells.

use std::io::{self, Write};

use serde_json::Value;

use super::time::{Zone, duration};
use super::wrap::hanging;
use super::{GOOD, HEADING, ODD, QUIET, escape, of_outcome};
use crate::replay::change::{Change, Place};
use crate::replay::versus::{Comparison, Side};
use crate::replay::{Called, Report};

/// How the recorded call ended.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its id.
    pub id: String,
    /// When it began, RFC 3339.
    pub time: String,
    /// Its outcome.
    pub outcome: String,
    /// Its cause.
    pub cause: String,
}

/// A replay: each call, its result or its cause, and what the plugins have changed.
///
/// # Errors
/// If it cannot be written.
pub fn whole(
    out: &mut dyn Write,
    report: &Report,
    recorded: Option<&Recorded>,
    zone: Zone,
    width: Option<usize>,
) -> io::Result<()> {
    let mut whole = Whole { out, width };
    for called in &report.calls {
        whole.title(called)?;
    }
    if let Some(recorded) = recorded {
        whole.recorded(recorded, zone)?;
    }
    if let Some(last) = report.calls.last() {
        whole.error(last)?;
        whole.diagnosis(last)?;
        if let Some(stall) = last.stalls.last() {
            let after = stall["after_ms"].as_f64().map(duration).unwrap_or_default();
            whole.block(
                &format!("hanging, after {after}"),
                &serde_json::to_string_pretty(&stall["snapshot"])?,
            )?;
        }
        whole.block("stderr", last.record["stderr"].as_str().unwrap_or_default())?;
        if last.record["result"].is_object() {
            whole.block("result", &serde_json::to_string_pretty(&last.record["result"])?)?;
        }
    }
    whole.changes("changed", &report.changes)?;
    whole.notes(&report.notes)
}

/// Two replays, and what differs between them.
///
/// # Errors
/// If it cannot be written.
pub fn comparison(
    out: &mut dyn Write,
    comparison: &Comparison,
    notes: &[String],
    width: Option<usize>,
) -> io::Result<()> {
    let mut whole = Whole { out, width };
    whole.side("A", &comparison.a)?;
    whole.side("B", &comparison.b)?;
    if comparison.is_same() {
        let (style, reset) = (GOOD.render(), GOOD.render_reset());
        writeln!(whole.out, "\n{style}both do the same{reset}")?;
        return whole.notes(notes);
    }
    if !comparison.differs.is_empty() {
        whole.heading(&format!("differs: {}", comparison.differs.join(", ")))?;
        for (name, side) in [("A", &comparison.a), ("B", &comparison.b)] {
            if comparison.differs.contains(&"result") && side.result.is_object() {
                whole.block(&format!("result of {name}"), &serde_json::to_string_pretty(&side.result)?)?;
            }
            if comparison.differs.contains(&"stderr") {
                whole.block(&format!("stderr of {name}"), &side.stderr)?;
            }
        }
    }
    for (name, changes) in
        [("changed by A alone", &comparison.only_a), ("changed by B alone", &comparison.only_b)]
    {
        if !changes.is_empty() {
            whole.changes(name, changes)?;
        }
    }
    whole.notes(notes)
}

struct Whole<'a> {
    out: &'a mut dyn Write,
    width: Option<usize>,
}

impl Whole<'_> {
    fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}{}{}", HEADING.render(), escape::line(text), HEADING.render_reset())
    }

    fn title(&mut self, called: &Called) -> io::Result<()> {
        let text = |field: &str| escape::line(called.record[field].as_str().unwrap_or_default()).into_owned();
        let outcome = text("outcome");
        let style = of_outcome(&outcome);
        let took = called.record["plugin_ms"]
            .as_f64()
            .map(|ms| format!(" after {}", duration(ms)))
            .unwrap_or_default();
        let bold = HEADING;
        writeln!(
            self.out,
            "{}{} by {}{}: {}{outcome}{}{took}",
            bold.render(),
            text("command"),
            text("plugin"),
            bold.render_reset(),
            style.render(),
            style.render_reset(),
        )
    }

    fn recorded(&mut self, recorded: &Recorded, zone: Zone) -> io::Result<()> {
        let cause = if recorded.cause.is_empty() { String::new() } else { format!(", {}", recorded.cause) };
        let text = format!(
            "recorded as {}{cause} at {}, {}",
            recorded.outcome,
            zone.long(&recorded.time),
            recorded.id
        );
        let (quiet, reset) = (QUIET.render(), QUIET.render_reset());
        writeln!(self.out, "{quiet}{}{reset}", escape::line(&text))
    }

    fn error(&mut self, called: &Called) -> io::Result<()> {
        let from_plugin = &called.record["error"];
        // What was made up for a plugin that did not say anything stands there alone.
        let (heading, error) = if from_plugin.is_null() {
            ("error", &called.record["returned"])
        } else {
            ("plugin's error", from_plugin)
        };
        if error.is_null() {
            return Ok(());
        }
        let code = error["code"].as_u64().map(|code| format!(" (code {code})")).unwrap_or_default();
        let texts = ["msg", "details"].map(|part| error[part].as_str().unwrap_or_default());
        self.block(&format!("{heading}{code}"), texts.join("\n").trim_end())
    }

    fn diagnosis(&mut self, called: &Called) -> io::Result<()> {
        let diagnosis = &called.record["diagnosis"];
        let Some(cause) = diagnosis["cause"].as_str() else { return Ok(()) };
        self.heading(&format!("cause: {cause}"))?;
        for field in ["title", "summary"] {
            self.fact("", diagnosis[field].as_str().unwrap_or_default())?;
        }
        for (name, field) in [("evidence", "evidence"), ("ruled out", "ruled_out"), ("fix", "fix")] {
            for (position, item) in diagnosis[field].as_array().into_iter().flatten().enumerate() {
                let name = if position == 0 { name } else { "" };
                self.fact(&format!("{name:<11}"), item.as_str().unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn fact(&mut self, name: &str, text: &str) -> io::Result<()> {
        write!(self.out, "  {name}")?;
        hanging(self.out, &escape::line(text), 2 + name.len(), self.width, anstyle::Style::new())
    }

    fn block(&mut self, heading: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.heading(heading)?;
        escape::block(text).lines().try_for_each(|line| writeln!(self.out, "  {line}"))
    }

    fn changes(&mut self, heading: &str, changes: &[Change]) -> io::Result<()> {
        self.heading(heading)?;
        if changes.is_empty() {
            return writeln!(self.out, "  nothing");
        }
        let mut place = None;
        for change in changes {
            if place != Some(change.place) {
                place = Some(change.place);
                writeln!(self.out, "  {}", place_name(change.place))?;
            }
            let (sign, style, how) = match (&change.before, &change.now) {
                (None, now) => ("+", GOOD, now.clone().unwrap_or_default()),
                (Some(before), None) => ("-", ODD, before.clone()),
                (Some(before), Some(now)) => ("~", ODD, format!("{before} -> {now}")),
            };
            let how = if how.is_empty() { how } else { format!(": {how}") };
            let text = format!("{} {}{how}", change.kind.as_str(), change.name);
            write!(self.out, "    {}{sign}{} ", style.render(), style.render_reset())?;
            hanging(self.out, &escape::line(&text), 6, self.width, anstyle::Style::new())?;
        }
        Ok(())
    }

    fn notes(&mut self, notes: &[String]) -> io::Result<()> {
        if notes.is_empty() {
            return Ok(());
        }
        self.heading("not as on the node")?;
        notes.iter().try_for_each(|note| self.fact("", note))
    }

    fn side(&mut self, name: &str, side: &Side) -> io::Result<()> {
        let style = of_outcome(&side.outcome);
        let cause = side.cause.as_ref().map(|cause| format!(", {cause}")).unwrap_or_default();
        writeln!(
            self.out,
            "{}{name}{}  {}: {}{}{}{} after {}",
            HEADING.render(),
            HEADING.render_reset(),
            escape::line(&side.path),
            style.render(),
            escape::line(&side.outcome),
            style.render_reset(),
            escape::line(&cause),
            duration(side.plugin_ms)
        )?;
        match &side.error {
            Some(error) => {
                write!(self.out, "   ")?;
                hanging(self.out, &escape::line(error), 3, self.width, anstyle::Style::new())
            }
            None => Ok(()),
        }
    }
}

fn place_name(place: Place) -> &'static str {
    match place {
        Place::Node => "in the node's network namespace",
        Place::Sandbox => "in the sandbox",
        Place::Files => "files",
        Place::Kernel => "in the kernel, which is the node's own",
    }
}

/// A replay as a program reads it.
#[must_use]
pub fn document(report: &Report, recorded: Option<&Recorded>, trace: Option<&str>) -> Value {
    let mut document = serde_json::to_value(report).unwrap_or_default();
    document["schema"] = 1.into();
    document["recorded"] = recorded.map_or(Value::Null, |recorded| {
        serde_json::json!({
            "id": recorded.id, "time": recorded.time, "outcome": recorded.outcome, "cause": recorded.cause,
        })
    });
    document["trace"] = trace.map_or(Value::Null, Value::from);
    document
}
