//! What `doctor` found.

use std::io::{self, Write};

use anstyle::Style;
use serde_json::Value;

use super::wrap::wrapped;
use super::{BAD, GOOD, HEADING, ODD, QUIET, escape, of_status};
use crate::checks::examination::{Examination, Examined, Seen};
use crate::diagnosis::catalogue::DESTRUCTIVE;
use crate::diagnosis::finding::Status;

/// The longest message that node-problem-detector keeps, in bytes, where it is not told otherwise.
const LINE: usize = 80;
/// What stands before the name of a check: two spaces, and its status.
const BEFORE_NAME: usize = 10;
/// A line is not broken into pieces shorter than this.
const LEAST: usize = 24;

/// All that was found. What is well is one line with the names of its checks, or a line for each where it is to be `wide`.
///
/// # Errors
/// If it cannot be written.
pub fn whole(
    out: &mut dyn Write,
    found: &Examination,
    is_wide: bool,
    width: Option<usize>,
) -> io::Result<()> {
    Whole { out, found, is_wide, width }.write()
}

/// The worst of it in one line.
#[must_use]
pub fn line(found: &Examination) -> String {
    let of = |status| found.findings.iter().filter(move |one| one.finding.status == status);
    let worst = found.findings.first().map(|one| one.finding.summary.as_str()).unwrap_or_default();
    let line = match found.status {
        Status::Fail => {
            let cause = found.findings[0].finding.cause.map(|cause| format!("{cause}: ")).unwrap_or_default();
            let others = of(Status::Fail).count() - 1;
            let others = if others > 0 { format!(" (+{others} more)") } else { String::new() };
            let room = LINE.saturating_sub(others.len());
            format!("{}{others}", cut(&escape::line(&format!("{cause}{worst}")), room))
        }
        Status::Warn => format!("no problem; {}: {worst}", counted(of(Status::Warn).count(), "warning")),
        Status::Ok => format!("no problem found by {}", counted(found.findings.len(), "check")),
        Status::Skipped => format!("could not look: {worst}"),
    };
    cut(&escape::line(&line), LINE)
}

/// The text in at most so many bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let start = &text[..text.floor_char_boundary(most.saturating_sub(3))];
    format!("{start}...")
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

struct Whole<'a> {
    out: &'a mut dyn Write,
    found: &'a Examination,
    is_wide: bool,
    width: Option<usize>,
}

impl Whole<'_> {
    fn write(&mut self) -> io::Result<()> {
        self.title()?;
        self.networks()?;
        self.checks()?;
        self.first()
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}{text}{}", HEADING.render(), HEADING.render_reset())
    }

    fn title(&mut self) -> io::Result<()> {
        let count = |status| self.found.findings.iter().filter(|one| one.finding.status == status).count();
        let (style, verdict) = match (count(Status::Fail), count(Status::Warn)) {
            _ if self.found.status == Status::Skipped => (ODD, "nothing could be looked at".to_owned()),
            (0, 0) => (GOOD, "no problem found".to_owned()),
            (0, warnings) => (ODD, format!("no problem, {}", counted(warnings, "warning"))),
            (problems, 0) => (BAD, counted(problems, "problem")),
            (problems, warnings) => {
                (BAD, format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning")))
            }
        };
        let node = escape::line(&self.found.node);
        writeln!(
            self.out,
            "{}{node}{}: {}{verdict}{}",
            HEADING.render(),
            HEADING.render_reset(),
            style.render(),
            style.render_reset()
        )
    }

    fn networks(&mut self) -> io::Result<()> {
        let networks = &self.found.networks;
        if networks.is_empty() {
            return Ok(());
        }
        self.heading("networks")?;
        let longest = networks.iter().map(|one| escape::line(&one.name).chars().count()).max();
        let column = longest.unwrap_or_default().clamp(6, 24);
        for network in networks {
            let name = escape::line(&network.name);
            let text = plugins(network);
            let style = if network.taken { Style::new() } else { QUIET };
            write!(self.out, "  {}{name:<column$}{}  ", style.render(), style.render_reset())?;
            self.hanging(&text, column + 4, style)?;
        }
        Ok(())
    }

    /// The text at this column and, where the terminal is too narrow, below it.
    fn hanging(&mut self, text: &str, column: usize, style: Style) -> io::Result<()> {
        let room = self.width.map(|width| width.saturating_sub(column).max(LEAST));
        for (position, line) in wrapped(text, room).iter().enumerate() {
            let indent = if position == 0 { 0 } else { column };
            writeln!(self.out, "{:indent$}{}{line}{}", "", style.render(), style.render_reset())?;
        }
        Ok(())
    }

    fn checks(&mut self) -> io::Result<()> {
        self.heading("checks")?;
        let found = self.found;
        let (well, shown): (Vec<&Examined>, Vec<&Examined>) =
            found.findings.iter().partition(|one| one.finding.status == Status::Ok && !self.is_wide);
        let mut well: Vec<&str> = well.iter().map(|one| one.finding.check.as_str()).collect();
        well.dedup();
        well.retain(|name| !shown.iter().any(|one| one.finding.check == *name));
        let column = shown.iter().map(|one| one.finding.check.len()).max().unwrap_or_default();
        for one in shown {
            self.check(one, column)?;
        }
        if !well.is_empty() {
            self.status("ok")?;
            self.hanging(&well.join(", "), BEFORE_NAME, Style::new())?;
        }
        Ok(())
    }

    fn status(&mut self, status: &str) -> io::Result<()> {
        let style = of_status(status);
        write!(self.out, "  {}{status:<7}{} ", style.render(), style.render_reset())
    }

    fn check(&mut self, one: &Examined, column: usize) -> io::Result<()> {
        let finding = &one.finding;
        self.status(finding.status.as_str())?;
        write!(self.out, "{:<column$}  ", escape::line(&finding.check))?;
        self.hanging(&escape::line(&finding.summary), BEFORE_NAME + column + 2, Style::new())?;
        if matches!(finding.status, Status::Ok | Status::Skipped) {
            return Ok(());
        }
        let mut facts: Vec<(String, String)> = Vec::new();
        facts.extend(one.about.iter().map(|about| ("about".to_owned(), about.clone())));
        if let Some(cause) = finding.cause {
            facts.push(("cause".to_owned(), format!("{cause}: {}", cause.entry().title)));
        }
        for (name, value) in &finding.evidence {
            facts.extend(lines(value).into_iter().map(|line| (name.clone(), line)));
        }
        let facts = facts.into_iter().map(|(name, text)| (name, text, QUIET));
        let fix = finding.fix.iter().enumerate();
        let fix = fix.map(|(position, fix)| {
            let style = if fix.starts_with(DESTRUCTIVE) { ODD } else { Style::new() };
            (format!("fix {}", position + 1), fix.clone(), style)
        });
        self.facts(&facts.chain(fix).collect::<Vec<_>>())
    }

    /// Names and texts in two columns; a name stands there once.
    fn facts(&mut self, facts: &[(String, String, Style)]) -> io::Result<()> {
        let length = |name: &str| escape::line(name).chars().count();
        let column = facts.iter().map(|(name, ..)| length(name)).max().unwrap_or_default().min(16);
        let mut last = "";
        for (name, text, style) in facts {
            let shown = escape::line(if name == last { "" } else { name });
            last = name;
            let (quiet, reset) = (QUIET.render(), QUIET.render_reset());
            write!(self.out, "{:BEFORE_NAME$}{quiet}{shown:<column$}{reset}  ", "")?;
            self.hanging(&escape::line(text), BEFORE_NAME + column + 2, *style)?;
        }
        Ok(())
    }

    fn first(&mut self) -> io::Result<()> {
        let Some(first) = &self.found.first else { return Ok(()) };
        self.heading("first")?;
        write!(self.out, "  ")?;
        self.hanging(&escape::line(&first.fix), 2, Style::new())
    }
}

fn plugins(network: &Seen) -> String {
    let plugin = |name: &String| {
        let wrapped = if network.wrapped.contains(name) { " (wrapped)" } else { "" };
        format!("{name}{wrapped}")
    };
    let plugins: Vec<String> = network.plugins.iter().map(plugin).collect();
    let not_taken = if network.taken { "" } else { "; the runtime does not take it" };
    let text = format!("{} in {}{not_taken}", plugins.join(", "), network.file.display());
    escape::line(&text).into_owned()
}

/// A fact for people, in as many lines as it has parts. What is empty has none.
fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Array(parts) if parts.iter().any(Value::is_object) => parts.iter().flat_map(lines).collect(),
        _ => Some(text(value)).filter(|text| !text.is_empty()).into_iter().collect(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => joined(parts.iter().map(text)),
        Value::Object(parts) => joined(parts.iter().map(|(name, part)| {
            // Within a part there is no comma, which stands between the parts.
            let text = match part {
                Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
                _ => text(part),
            };
            if text.is_empty() { text } else { format!("{name} {text}") }
        })),
        other => other.to_string(),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
