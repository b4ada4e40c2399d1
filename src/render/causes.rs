//! The catalogue of causes: as a list, as a page, and as the document of the repository.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::Style;
use serde_json::{Value, json};

use super::width::padded;
use super::wrap::hanging;
use super::{HEADING, ODD, QUIET};
use crate::diagnosis::catalogue::{Cause, DESTRUCTIVE, Entry, Fix, GROUPS, UNKNOWN, entries};
use crate::language::Language;

/// Where the second column of a page begins.
const COLUMN: usize = 13;
/// What stands at the top of the document.
const TOP: &str = "\
# Causes

The causes that a diagnosis names, with what is known of each. `cniscope causes` lists them, `cniscope causes ID` shows
one. This file is what `cniscope causes -o markdown` prints; a test compares the two.
";

/// Every cause in a line, by subject.
///
/// # Errors
/// If it cannot be written.
pub fn list(out: &mut dyn Write, language: Language, width: Option<usize>) -> io::Result<()> {
    let column = entries().map(|entry| entry.id.len()).max().unwrap_or_default();
    let line = |out: &mut dyn Write, entry: &Entry| -> io::Result<()> {
        write!(out, "  {:<column$}  ", entry.id)?;
        hanging(out, language.title(entry.cause), column + 4, width, Style::new())
    };
    for group in GROUPS {
        writeln!(out, "{}{}{}", HEADING.render(), language.word(group.title), HEADING.render_reset())?;
        for entry in group.entries {
            line(out, entry)?;
        }
        writeln!(out)?;
    }
    line(out, &UNKNOWN)?;
    writeln!(out, "\n{}", language.filled("More of one: {0}", &["cniscope causes ID"]))
}

/// Everything that is known of a cause.
///
/// # Errors
/// If it cannot be written.
pub fn page(out: &mut dyn Write, entry: &Entry, language: Language, width: Option<usize>) -> io::Result<()> {
    writeln!(
        out,
        "{}{}{}: {}",
        HEADING.render(),
        entry.id,
        HEADING.render_reset(),
        language.title(entry.cause)
    )?;
    write!(out, "\n  ")?;
    hanging(out, language.about(entry.cause), 2, width, Style::new())?;
    writeln!(out)?;
    let mut facts: Vec<(String, String, Style)> = Vec::new();
    let mut add = |name: String, text: String, style: Style| facts.push((name, text, style));
    let word = |name: &'static str| language.word(name).to_owned();
    for text in entry.texts {
        add(word("text"), (*text).to_owned(), Style::new());
    }
    if !entry.checks.is_empty() {
        add(word("checks"), entry.checks.join(", "), Style::new());
    }
    for (position, fix) in entry.fix.iter().enumerate() {
        let name = language.filled("fix {0}", &[&(position + 1).to_string()]);
        let fix_style = if fix.destroys { ODD } else { Style::new() };
        add(name, language.marked(&told(*fix, language)).into_owned(), fix_style);
    }
    for command in entry.verify {
        add(word("verify"), (*command).to_owned(), Style::new());
    }
    for (name, causes) in [(word("hides"), entry.hides.to_vec()), (word("hidden by"), hidden_by(entry.cause))]
    {
        if !causes.is_empty() {
            add(name, ids(&causes), Style::new());
        }
    }
    let mut last = String::new();
    for (name, text, style) in facts {
        let shown = if name == last { "" } else { name.as_str() };
        let shown = padded(shown, COLUMN - 3);
        write!(out, "  {}{shown}{} ", QUIET.render(), QUIET.render_reset())?;
        hanging(out, &text, COLUMN, width, style)?;
        last = name;
    }
    Ok(())
}

/// A cause as a program reads it: what is said to people is in their language.
#[must_use]
pub fn json(entry: &Entry, language: Language) -> Value {
    let fix = |fix: &Fix| json!({"text": language.sentence(fix.text), "destroys": fix.destroys});
    json!({
        "id": entry.id,
        "title": language.title(entry.cause),
        "about": language.about(entry.cause),
        "texts": entry.texts,
        "checks": entry.checks,
        "fix": entry.fix.iter().map(fix).collect::<Vec<_>>(),
        "verify": entry.verify,
        "hides": entry.hides,
    })
}

/// The whole catalogue in Markdown.
#[must_use]
pub fn document(language: Language) -> String {
    let mut document = language.word(TOP).to_owned();
    for group in GROUPS {
        let _ = write!(document, "\n## {}\n", language.word(group.title));
        for entry in group.entries {
            document.push('\n');
            document.push_str(&section(entry, language));
        }
    }
    let _ = write!(document, "\n## {}\n\n{}", language.word("No cause"), section(&UNKNOWN, language));
    document
}

/// A cause in Markdown.
#[must_use]
pub fn section(entry: &Entry, language: Language) -> String {
    let (title, about) = (capitalised(language.title(entry.cause)), language.about(entry.cause));
    let mut section = format!("### {}\n\n**{title}.** {about}\n", entry.id);
    let mut list = |heading: &'static str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = write!(section, "\n{}:\n\n", language.word(heading));
            for item in items {
                let _ = writeln!(section, "- {item}");
            }
        }
    };
    list("Texts that tell it", codes(entry.texts));
    list("What to do, in order", entry.fix.iter().map(|fix| emphasised(*fix, language)).collect());
    list("To see whether it is so, and afterwards whether it is mended", codes(entry.verify));
    let about = [
        ("Checks", codes(entry.checks)),
        ("Hides, where both are seen", entry.hides.iter().map(|cause| linked(*cause)).collect()),
    ];
    for (name, items) in about.iter().filter(|(_, items)| !items.is_empty()) {
        let _ = write!(section, "\n{}: {}.\n", language.word(name), items.join(", "));
    }
    section
}

/// The fix with its mark, which is that of programs.
fn told(fix: Fix, language: Language) -> String {
    language.sentence(&fix.to_string()).into_owned()
}

/// The fix with a mark that stands out in Markdown.
fn emphasised(fix: Fix, language: Language) -> String {
    let told = language.sentence(fix.text);
    let mark = language.word(DESTRUCTIVE).trim_end_matches([':', '：', ' ']);
    if fix.destroys { format!("**{mark}**: {told}") } else { told.into_owned() }
}

fn linked(cause: Cause) -> String {
    format!("[{cause}](#{cause})")
}

fn codes(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| code(text)).collect()
}

/// Text between as many backquotes as it needs.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

fn hidden_by(cause: Cause) -> Vec<Cause> {
    entries().filter(|entry| entry.hides.contains(&cause)).map(|entry| entry.cause).collect()
}

fn ids(causes: &[Cause]) -> String {
    causes.iter().map(Cause::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::width::width;
    use super::*;

    const EN: Language = Language::En;

    fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut anstream::StripStream::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_of_the_repository_is_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md");
        let document = std::fs::read_to_string(path).unwrap();
        assert!(document == super::document(EN), "run: cniscope causes -o markdown >docs/causes.md");
    }

    #[test]
    fn every_cause_is_in_the_list_and_in_the_document_once() {
        let (list, document) = (written(|out| list(out, EN, None)), document(EN));
        for entry in entries() {
            let line = format!("  {:<26}{}\n", entry.id, entry.title);
            assert_eq!(list.matches(&line).count(), 1, "{line:?} in {list}");
            assert_eq!(document.matches(&format!("### {}\n", entry.id)).count(), 1, "{}", entry.id);
        }
    }

    #[test]
    fn a_page_has_all_that_is_known_in_two_columns() {
        insta::assert_snapshot!(written(|out| page(out, Cause::AgentUnreachable.entry(), EN, Some(72))), @r"
        agent-unreachable: the network add-on's agent on this node does not answer

          The plugin only hands the work to the add-on's agent, and its socket,
          port or file is not there or refuses. The agent is not running, is
          starting or restarting, or its folder is not mounted where the plugin
          looks.

          text       dial unix /var/run/cilium/cilium.sock: connect: no such
                     file or directory
                     stat /var/lib/calico/nodename: no such file or directory:
                     check that the calico/node container is running
          checks     agent, calico, cilium, runtime
          fix 1      look at the add-on's Pod on this node: is it running and
                     ready, how often did it restart, what does its log say
          fix 2      if it has just started, wait: the kubelet tries again
          fix 3      restart the add-on's Pod on this node
          verify     kubectl get pods -A -o wide --field-selector
                     spec.nodeName=NODE
                     ss -lxp
                     cniscope doctor agent
          hides      plugin-timeout, agent-refused
        ");
    }

    #[test]
    fn pages_fit_the_terminal_in_every_language() {
        for language in [EN, Language::Ru, Language::Zh] {
            for entry in entries() {
                let page = written(|out| page(out, entry, language, Some(60)));
                let too_wide =
                    page.lines().skip(1).find(|line| width(line) > 60 && line.trim().contains(' '));
                assert_eq!(too_wide, None, "{page}");
            }
        }
    }

    #[test]
    fn a_page_of_unknown_has_nothing_to_do() {
        insta::assert_snapshot!(written(|out| page(out, &UNKNOWN, EN, None)), @r"
        unknown: the cause is not known

          Neither the text nor the node tells a cause. A guess would cost more than it helps, so none is made: what was looked at and found to be well is named instead.

          verify     cniscope show last-failed
                     journalctl -u kubelet -u containerd -u crio --since -10min
        ");
    }

    #[test]
    fn backquotes_in_a_text_do_not_end_it() {
        assert_eq!((code("a"), code("table `nat'")), ("`a`".into(), "`` table `nat' ``".into()));
    }
}
