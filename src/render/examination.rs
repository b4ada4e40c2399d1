//! What `doctor` found.

use std::io::{self, Write};

use anstyle::Style;
use serde_json::Value;

use super::time::Zone;
use super::width::{padded, width};
use super::wrap;
use super::{BAD, GOOD, HEADING, ODD, QUIET, escape, of_status};
use crate::checks::examination::{Examination, Examined, NOT_TAKEN, Seen};
use crate::diagnosis::catalogue::{Cause, DESTRUCTIVE};
use crate::diagnosis::finding::Status;
use crate::language::{self, Language};

/// The longest message that node-problem-detector keeps, in bytes, where it is not told otherwise.
const LINE: usize = 80;
/// The statuses of findings.
const STATUSES: [&str; 4] = ["ok", "warn", "fail", "skipped"];

/// How much is shown. What is wrong is always shown with its evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// A line for each check.
    #[default]
    Checks,
    /// A line for each entry that a check has looked at.
    Entries,
    /// That, with the evidence of what is well.
    Evidence,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct View {
    /// How much.
    pub detail: Detail,
    /// The columns of the terminal.
    pub width: Option<usize>,
    /// The zone in which the time of the examination is shown, where it is to be shown.
    pub time: Option<Zone>,
    /// The language of the words around what was found; titles and fixes are in it already.
    pub language: Language,
}

/// All that was found.
///
/// # Errors
/// If it cannot be written.
pub fn whole(out: &mut dyn Write, found: &Examination, view: View) -> io::Result<()> {
    let words = STATUSES.map(|status| width(view.language.word(status)));
    let before_name = words.into_iter().max().unwrap_or_default() + 3;
    Whole { out, found, view, before_name }.write()
}

/// The worst of it in one line, which is for programs and in English.
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
    view: View,
    /// What stands before the name of a check: two spaces, its status, and another one.
    before_name: usize,
}

impl Whole<'_> {
    fn write(&mut self) -> io::Result<()> {
        self.title()?;
        self.event()?;
        self.networks()?;
        self.checks()?;
        self.first()
    }

    fn heading(&mut self, text: &'static str) -> io::Result<()> {
        let text = self.view.language.word(text);
        writeln!(self.out, "\n{}{text}{}", HEADING.render(), HEADING.render_reset())
    }

    fn title(&mut self) -> io::Result<()> {
        let count = |status| self.found.findings.iter().filter(|one| one.finding.status == status).count();
        let (problems, warnings, skipped) =
            (count(Status::Fail), count(Status::Warn), count(Status::Skipped));
        let language = self.view.language;
        let (style, verdict) = match (problems, warnings) {
            _ if self.found.status == Status::Skipped => {
                (ODD, language.word("nothing could be looked at").to_owned())
            }
            (0, 0) => (GOOD, language.word("no problem found").to_owned()),
            (0, _) => (ODD, language.word("no problem").to_owned()),
            _ => (BAD, language.counted(problems, "{0} problem", "{0} problems")),
        };
        let mut verdict = vec![verdict];
        verdict.extend((warnings > 0).then(|| language.counted(warnings, "{0} warning", "{0} warnings")));
        let is_partly_blind = skipped > 0 && self.found.status != Status::Skipped;
        verdict.extend(is_partly_blind.then(|| language.filled("{0} skipped", &[&skipped.to_string()])));
        let time = self.view.time.map(|zone| language.filled(" at {0}", &[&zone.long(&self.found.time)]));
        writeln!(
            self.out,
            "{}{}{}{}: {}{}{}",
            HEADING.render(),
            escape::line(&self.found.node),
            HEADING.render_reset(),
            time.unwrap_or_default(),
            style.render(),
            verdict.join(", "),
            style.render_reset()
        )
    }

    fn event(&mut self) -> io::Result<()> {
        let Some(event) = &self.found.event else { return Ok(()) };
        self.heading("event")?;
        let is_unknown = event.cause == Cause::Unknown;
        let (style, cause) = if is_unknown {
            (ODD, self.view.language.word("unknown cause"))
        } else {
            (BAD, event.cause.id())
        };
        write!(self.out, "  {}{cause}{}: ", style.render(), style.render_reset())?;
        let summary = language::of_diagnosis(self.view.language, event);
        self.hanging(&escape::line(&summary), width(cause) + 4, Style::new())?;
        let of = |name: &str, texts: &[String], style| {
            texts.iter().map(|text| (name.to_owned(), text.clone(), style)).collect::<Vec<_>>()
        };
        let language = self.view.language;
        let evidence: Vec<String> =
            event.evidence.iter().map(|line| language.evidence(line).into_owned()).collect();
        let mut facts = of(language.word("evidence"), &evidence, QUIET);
        let looked_at = event.cause.entry().checks;
        let could_tell = |well: &&String| {
            well.split_once(": ").is_some_and(|(check, _)| is_unknown || looked_at.contains(&check))
        };
        let is_found = self.found.findings.iter().any(|one| {
            matches!(one.finding.status, Status::Fail | Status::Warn)
                && one.finding.cause == Some(event.cause)
        });
        // An event may be older than what is found now, or of another network.
        if !is_found {
            let well: Vec<String> =
                event.ruled_out.iter().filter(could_tell).map(|well| language.well(well)).collect();
            facts.extend(of(language.word(if is_unknown { "ruled out" } else { "well now" }), &well, QUIET));
        }
        facts.extend(self.fixes(&event.fix));
        self.facts(&facts)
    }

    fn networks(&mut self) -> io::Result<()> {
        let networks = &self.found.networks;
        if networks.is_empty() {
            return Ok(());
        }
        self.heading("networks")?;
        let longest = networks.iter().map(|one| width(&escape::line(&one.name))).max();
        let column = longest.unwrap_or_default().clamp(6, 24);
        for network in networks {
            let name = escape::line(&network.name);
            let name = padded(&name, column);
            let text = plugins(network, self.view.language);
            let style = if network.taken { Style::new() } else { QUIET };
            write!(self.out, "  {}{name}{}  ", style.render(), style.render_reset())?;
            self.hanging(&text, column + 4, style)?;
        }
        Ok(())
    }

    /// The text at this column and, where the terminal is too narrow, below it.
    fn hanging(&mut self, text: &str, column: usize, style: Style) -> io::Result<()> {
        wrap::hanging(self.out, text, column, self.view.width, style)
    }

    fn checks(&mut self) -> io::Result<()> {
        self.heading("checks")?;
        let findings = &self.found.findings;
        let column = findings.iter().map(|one| one.finding.check.len()).max().unwrap_or_default();
        let mut group = None;
        for (position, one) in findings.iter().enumerate() {
            let is_well = one.finding.status == Status::Ok && self.view.detail == Detail::Checks;
            let of_check = |other: &&Examined| other.finding.check == one.finding.check;
            // What is well with one entry says nothing new beside what is wrong with another.
            if is_well && findings[..position].iter().any(|other| of_check(&other)) {
                continue;
            }
            if group.replace(one.finding.status).is_some_and(|last| last != one.finding.status) {
                writeln!(self.out)?;
            }
            let others = if is_well { findings[position + 1..].iter().filter(of_check).count() } else { 0 };
            self.check(one, others, column)?;
        }
        Ok(())
    }

    fn status(&mut self, status: Status) -> io::Result<()> {
        let style = of_status(status.as_str());
        let word = padded(self.view.language.word(status.as_str()), self.before_name - 3);
        write!(self.out, "  {}{word}{} ", style.render(), style.render_reset())
    }

    /// A finding, and how many `others` are as well as it.
    fn check(&mut self, one: &Examined, others: usize, column: usize) -> io::Result<()> {
        let finding = &one.finding;
        let language = self.view.language;
        self.status(finding.status)?;
        write!(self.out, "{:<column$}  ", escape::line(&finding.check))?;
        let others =
            if others > 0 { language.filled(" (+{0} more)", &[&others.to_string()]) } else { String::new() };
        let summary = format!("{}{others}", escape::line(&language.sentence(&finding.summary)));
        self.hanging(&summary, self.before_name + column + 2, Style::new())?;
        let is_wrong = matches!(finding.status, Status::Fail | Status::Warn);
        if !is_wrong && self.view.detail < Detail::Evidence {
            return Ok(());
        }
        let mut facts: Vec<(String, String)> = Vec::new();
        facts.extend(
            one.about.iter().map(|about| (language.word("about").to_owned(), subject(about, language))),
        );
        if let Some(cause) = finding.cause {
            // What looks wrong is not the cause of anything yet.
            let name = if finding.status == Status::Fail { "cause" } else { "may cause" };
            facts.push((language.word(name).to_owned(), format!("{cause}: {}", language.title(cause))));
        }
        for (name, value) in &finding.evidence {
            facts.extend(lines(value).into_iter().map(|line| (name.clone(), line)));
        }
        let mut facts: Vec<_> = facts.into_iter().map(|(name, text)| (name, text, QUIET)).collect();
        facts.extend(self.fixes(&finding.fix));
        self.facts(&facts)
    }

    /// Names and texts in two columns; a name stands there once.
    fn facts(&mut self, facts: &[(String, String, Style)]) -> io::Result<()> {
        let length = |name: &str| width(&escape::line(name));
        let column = facts.iter().map(|(name, ..)| length(name)).max().unwrap_or_default().min(16);
        let mut last = "";
        for (name, text, style) in facts {
            let shown = escape::line(if name == last { "" } else { name });
            last = name;
            let (quiet, reset) = (QUIET.render(), QUIET.render_reset());
            let (before, shown) = (" ".repeat(self.before_name), padded(&shown, column));
            write!(self.out, "{before}{quiet}{shown}{reset}  ")?;
            self.hanging(&escape::line(text), self.before_name + column + 2, *style)?;
        }
        Ok(())
    }

    /// What to do, numbered, as facts; what destroys something stands out.
    fn fixes(&self, fixes: &[String]) -> Vec<(String, String, Style)> {
        let language = self.view.language;
        let numbered = fixes.iter().enumerate().map(|(position, fix)| {
            let style = if fix.starts_with(DESTRUCTIVE) { ODD } else { Style::new() };
            let name = language.filled("fix {0}", &[&(position + 1).to_string()]);
            (name, language.marked(fix).into_owned(), style)
        });
        numbered.collect()
    }

    fn first(&mut self) -> io::Result<()> {
        let Some(first) = &self.found.first else { return Ok(()) };
        self.heading("first")?;
        write!(self.out, "  ")?;
        let fix = self.view.language.marked(&first.fix);
        self.hanging(&escape::line(&fix), 2, Style::new())
    }
}

/// What a finding is about, such as `bridge in 10-pods.conflist`.
fn subject(about: &str, language: Language) -> String {
    let Some((plugin, file)) = about.split_once(" in ") else { return about.to_owned() };
    let (file, not_taken) = match file.strip_suffix(NOT_TAKEN) {
        Some(file) => (file, language.word(NOT_TAKEN)),
        None => (file, ""),
    };
    language.filled("{0} in {1}", &[plugin, file]) + not_taken
}

fn plugins(network: &Seen, language: Language) -> String {
    let plugin = |name: &String| {
        let wrapped = if network.wrapped.contains(name) { language.word(" (wrapped)") } else { "" };
        format!("{name}{wrapped}")
    };
    let plugins: Vec<String> = network.plugins.iter().map(plugin).collect();
    let not_taken = if network.taken { "" } else { language.word("; the runtime does not take it") };
    let file = network.file.display().to_string();
    let text = language.filled("{0} in {1}", &[&plugins.join(", "), &file]) + not_taken;
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
