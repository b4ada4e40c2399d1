//! What `explain` tells.

use std::io::{self, Write};

use anstyle::Style;

use super::width::padded;
use super::wrap::hanging;
use super::{BAD, HEADING, ODD, QUIET, escape};
use crate::diagnosis::catalogue::{Cause, DESTRUCTIVE};
use crate::diagnosis::explain::{Explanation, Failure};
use crate::language::{self, Language};

/// Where the second column begins.
const COLUMN: usize = 13;
/// More of the other failures are counted only.
const OTHERS: usize = 12;

/// The explanation of a text, in a language that its titles and fixes are in already; `is_here` where this node was looked at
/// for it.
///
/// # Errors
/// If it cannot be written.
pub fn whole(
    out: &mut dyn Write,
    explanation: &Explanation,
    is_here: bool,
    language: Language,
    width: Option<usize>,
) -> io::Result<()> {
    if explanation.first.count == 0 {
        return writeln!(out, "{}", language.word("no failure is told of in this text"));
    }
    Whole { out, language, width }.write(explanation, is_here)
}

struct Whole<'a> {
    out: &'a mut dyn Write,
    language: Language,
    width: Option<usize>,
}

impl Whole<'_> {
    fn write(&mut self, explanation: &Explanation, is_here: bool) -> io::Result<()> {
        let failure = &explanation.first;
        self.title(failure)?;
        writeln!(self.out)?;
        if failure.cause != Cause::Unknown {
            self.about(failure)?;
        }
        let evidence: Vec<_> = failure.evidence.iter().map(|line| self.language.evidence(line)).collect();
        self.list("evidence", evidence.iter().map(AsRef::as_ref))?;
        let ruled_out: Vec<_> = failure.ruled_out.iter().map(|well| self.language.well(well)).collect();
        self.list("ruled out", ruled_out.iter().map(String::as_str))?;
        self.fix(failure)?;
        self.list("verify", failure.verify.iter().copied())?;
        self.error(failure)?;
        self.others(&explanation.others)?;
        self.next(failure, is_here)
    }

    fn heading(&mut self, text: &'static str) -> io::Result<()> {
        let text = self.language.word(text);
        writeln!(self.out, "\n{}{text}{}", HEADING.render(), HEADING.render_reset())
    }

    fn title(&mut self, failure: &Failure) -> io::Result<()> {
        let style = if failure.cause == Cause::Unknown { ODD } else { BAD };
        let count = match failure.count {
            0 | 1 => String::new(),
            count => self.language.filled(", {0} times", &[&count.to_string()]),
        };
        let sure = self.language.word(match failure.confidence {
            "high" => ", confidence high",
            "medium" => ", confidence medium",
            "low" => ", confidence low",
            _ => "",
        });
        let (quiet, reset) = (QUIET.render(), QUIET.render_reset());
        writeln!(
            self.out,
            "{}{}{}{quiet}{sure}{count}{reset}",
            style.render(),
            self.language.filled("cause: {0}", &[failure.cause.id()]),
            style.render_reset()
        )?;
        let summary = language::of_failure(self.language, failure);
        self.hanging(&escape::line(&summary), 0, Style::new())
    }

    fn about(&mut self, failure: &Failure) -> io::Result<()> {
        write!(self.out, "  ")?;
        self.hanging(self.language.about(failure.cause), 2, Style::new())?;
        writeln!(self.out)
    }

    fn fix(&mut self, failure: &Failure) -> io::Result<()> {
        for (position, fix) in failure.fix.iter().enumerate() {
            let style = if fix.starts_with(DESTRUCTIVE) { ODD } else { Style::new() };
            let name = self.language.filled("fix {0}", &[&(position + 1).to_string()]);
            self.fact(&name, &self.language.marked(fix), style)?;
        }
        Ok(())
    }

    fn error(&mut self, failure: &Failure) -> io::Result<()> {
        let peeled = &failure.peeled;
        self.heading("read as")?;
        let pod = match (&peeled.namespace, &peeled.pod) {
            (Some(namespace), Some(pod)) => Some(format!("{namespace}/{pod}")),
            (None, pod) => pod.clone(),
            (Some(_), None) => None,
        };
        let facts = [
            ("verb", peeled.verb.clone()),
            ("plugin", peeled.plugin.clone()),
            ("network", peeled.network.clone()),
            ("pod", pod),
            ("sandbox", peeled.sandbox.clone()),
            ("netns", peeled.netns.clone()),
            ("runtime", peeled.runtime.clone()),
            ("error", Some(peeled.error.clone())),
        ];
        for (name, value) in facts {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                self.fact(self.language.word(name), &value, Style::new())?;
            }
        }
        Ok(())
    }

    fn others(&mut self, others: &[Failure]) -> io::Result<()> {
        if others.is_empty() {
            return Ok(());
        }
        self.heading("also in this text")?;
        let shown = || others.iter().take(OTHERS);
        let column = shown().map(|failure| failure.cause.id().len()).max().unwrap_or_default();
        let times = shown().map(|failure| failure.count.to_string().len()).max().unwrap_or_default();
        for failure in shown() {
            write!(self.out, "  {:>times$} x  {:<column$}  ", failure.count, failure.cause)?;
            let told = match failure.cause {
                Cause::Unknown => failure.peeled.error.clone(),
                _ => language::of_failure(self.language, failure),
            };
            self.hanging(&escape::line(&told), times + column + 8, QUIET)?;
        }
        match others.len().saturating_sub(OTHERS) {
            0 => Ok(()),
            more => {
                let text =
                    self.language.filled("and {0} more: -o json has all of them", &[&more.to_string()]);
                writeln!(self.out, "  {text}")
            }
        }
    }

    fn next(&mut self, failure: &Failure, is_here: bool) -> io::Result<()> {
        self.heading("next")?;
        let known = || crate::checks::names();
        let checks: Vec<&str> = failure
            .cause
            .entry()
            .checks
            .iter()
            .copied()
            .filter(|name| known().any(|known| known == *name))
            .collect();
        let doctor = ["cniscope doctor", &checks.join(" ")].join(" ");
        let text =
            if is_here { "on the node: {0}" } else { "on the node: {0}, or explain it there with --here" };
        write!(self.out, "  ")?;
        self.hanging(&self.language.filled(text, &[doctor.trim_end()]), 2, Style::new())?;
        if failure.cause == Cause::Unknown {
            return Ok(());
        }
        let page = format!("cniscope causes {}", failure.cause);
        writeln!(self.out, "  {}", self.language.filled("more of it: {0}", &[&page]))
    }

    fn list<'t>(&mut self, name: &'static str, items: impl Iterator<Item = &'t str>) -> io::Result<()> {
        for (position, item) in items.enumerate() {
            self.fact(if position == 0 { self.language.word(name) } else { "" }, item, Style::new())?;
        }
        Ok(())
    }

    fn fact(&mut self, name: &str, text: &str, style: Style) -> io::Result<()> {
        let name = padded(name, COLUMN - 3);
        write!(self.out, "  {}{name}{} ", QUIET.render(), QUIET.render_reset())?;
        self.hanging(&escape::line(text), COLUMN, style)
    }

    /// The text at this column and, where the terminal is too narrow, below it.
    fn hanging(&mut self, text: &str, column: usize, style: Style) -> io::Result<()> {
        hanging(self.out, text, column, self.width, style)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::escape::acted_on;
    use super::*;
    use crate::diagnosis::explain::{explain, explain_events};

    proptest! {
        #[test]
        fn nothing_of_a_text_acts_on_a_terminal(
            text in "(\\PC{1,9}|[\\x00-\\x1f\\x7f-\\u{9f}]|[\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{2069}\u{feff}]|\x1b\\[35m|\x1b\\]0;|failed \\(add\\): |plugin type=\"|\\[ns/pod/uid:net\\]: |E0101 00:00:00 |x509: |\\\\u001b|\\\\n|\"|:|\n){0,40}"
        ) {
            for explanation in [explain(&text, &[]), explain_events(&text, &[])] {
                for width in [None, Some(40)] {
                    let mut shown = Vec::new();
                    whole(&mut shown, &explanation, false, Language::En, width).unwrap();
                    prop_assert_eq!(acted_on(&shown), []);
                }
            }
        }
    }
}
