//! The report as one HTML file: it needs nothing but a browser, and asks nobody for anything.

pub mod calls;
pub mod chart;
mod head;
pub mod markup;
mod measured;
mod overview;
mod policy;
mod worst;

use std::borrow::Cow;

use markup::Markup;

use super::time::Zone;
use crate::report::Report;

/// What the page looks like.
const STYLE: &str = include_str!("page.css");
/// What the table does. Everything else is there without it.
const SCRIPT: &str = include_str!("page.js");

/// What a page says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// In which times are shown.
    pub zone: Zone,
    /// When it was made, RFC 3339.
    pub made: String,
    /// Which calls were asked for, in the words of the command line; empty for all.
    pub filters: String,
    /// How many lines of the journals are broken.
    pub broken: usize,
}

/// The page.
#[must_use]
pub fn page(report: &Report, about: &About) -> String {
    let cut = calls::Cut::of(report, calls::BOUNDS);
    let mut markup = Markup::default();
    markup.constant("<!DOCTYPE html>\n").open("html", &[("lang", &"en")]).open("head", &[]);
    markup.constant("<meta charset=\"utf-8\">\n");
    markup.void("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &policy::policy())]);
    markup.constant("\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    markup.constant("<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    markup.element("title", &[], head::title(report));
    markup.constant("\n<style>").constant(STYLE).constant("</style>\n").close();
    markup.open("body", &[]);
    head::write(&mut markup, report, about);
    markup.open("main", &[]);
    overview::failures(&mut markup, report);
    overview::heat(&mut markup, report);
    worst::write(&mut markup, report, about.zone);
    measured::latency(&mut markup, report);
    measured::pools(&mut markup, report);
    calls::frame(&mut markup);
    markup.close();
    foot(&mut markup, report, about, &cut);
    calls::data(&mut markup, report, about.zone, &cut);
    markup.constant("<script>").constant(SCRIPT).constant("</script>\n").close().close();
    markup.finish() + "\n"
}

/// A section with its heading.
fn section(markup: &mut Markup, id: &'static str, heading: &str, lede: &str) {
    markup.open("section", &[("id", &id), ("aria-labelledby", &format!("{id}-heading"))]);
    markup.element("h2", &[("id", &format!("{id}-heading"))], heading);
    if !lede.is_empty() {
        markup.element("p", &[("class", &"lede")], lede);
    }
}

/// A name, which may be empty.
fn named(name: &str) -> Cow<'_, str> {
    if name.is_empty() { Cow::Borrowed("(no name)") } else { Cow::Borrowed(name) }
}

fn foot(markup: &mut Markup, report: &Report, about: &About, cut: &calls::Cut) {
    markup.open("footer", &[]).open("ul", &[]);
    for note in notes(report, about, cut) {
        markup.element("li", &[], note);
    }
    markup.close().close().constant("\n");
}

/// What a reader has to know of what is not there.
fn notes(report: &Report, about: &About, cut: &calls::Cut) -> Vec<String> {
    use super::count::counted;
    let mut notes = cut.notes();
    match report.outside {
        0 => {}
        1 => notes.push("1 call is in no chart: its time is none, or far from all others.".to_owned()),
        many => {
            let calls = counted(many, "call");
            notes.push(format!("{calls} are in no chart: their times are none, or far from all others."));
        }
    }
    match about.broken {
        0 => {}
        1 => notes.push("1 line of the journal is broken, and passed over.".to_owned()),
        many => notes.push(format!("{} of the journal are broken, and passed over.", counted(many, "line"))),
    }
    notes.push(
        "Secrets were taken out before the calls were recorded. This file loads nothing and sends nothing."
            .to_owned(),
    );
    notes.push(format!(
        "Made by cniscope {} on {}. What a cause means: cniscope causes CAUSE. A whole record: cniscope show ID.",
        env!("CARGO_PKG_VERSION"),
        about.zone.long(&about.made)
    ));
    notes
}

#[cfg(test)]
mod tests;
