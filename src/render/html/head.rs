//! The top of the page: the answer, what it rests on, and the figures.

use super::About;
use super::markup::Markup;
use crate::render::count::{counted, of_all, percent, thousands};
use crate::render::time::duration;
use crate::report::Report;
use crate::report::failures::ranked;
use crate::report::verdict::Scope;

/// The title of the page: its answer, since that is what stands in a browser's tab.
pub(super) fn title(report: &Report) -> String {
    format!("{} · cniscope", headline(report))
}

fn headline(report: &Report) -> String {
    if let Some(verdict) = &report.verdict {
        return verdict.headline.clone();
    }
    let figures = &report.figures;
    match (figures.calls, figures.failed) {
        (0, _) => "No calls.".to_owned(),
        (1, 0) => "One call, and it went well.".to_owned(),
        (calls, 0) => format!("No failures in {} calls.", thousands(calls)),
        (calls, failed) => format!("{} failed.", of_all(failed, calls, "call")),
    }
}

fn because(report: &Report) -> String {
    if let Some(verdict) = &report.verdict {
        return verdict.because.clone();
    }
    let figures = &report.figures;
    let ranked = ranked(report.rows.iter());
    match ranked.as_slice() {
        [] if figures.calls == 0 => "Nothing in the journal matches what was asked for.".to_owned(),
        [] => String::new(),
        [(cause, _)] => format!("All for the same cause: {cause}, for {}.", counted(figures.pods, "Pod")),
        [(cause, count), ..] => format!(
            "{} causes, most often {cause} ({} of {}), for {}.",
            ranked.len(),
            thousands(*count),
            thousands(figures.failed),
            counted(figures.pods, "Pod")
        ),
    }
}

/// Whether the answer is good, bad, or none.
fn tone(report: &Report) -> &'static str {
    match report.verdict.as_ref().map(|verdict| verdict.scope) {
        Some(Scope::Unclear) => "unclear",
        Some(Scope::Nowhere) => "well",
        Some(_) => "bad",
        None if report.figures.failed > 0 => "bad",
        None if report.figures.calls == 0 => "unclear",
        None => "well",
    }
}

pub(super) fn write(markup: &mut Markup, report: &Report, about: &About) {
    markup.open("header", &[("class", &tone(report))]);
    markup.open("p", &[("class", &"origin")]);
    markup.element("strong", &[], "cniscope report").text(" · ").text(origin(report));
    markup.close();
    markup.element("h1", &[], headline(report));
    let because = because(report);
    if !because.is_empty() {
        markup.element("p", &[("class", &"because")], because);
    }
    markup.element("p", &[("class", &"span")], span(report, about));
    figures(markup, report);
    markup.close().constant("\n");
}

/// Where the calls come from.
fn origin(report: &Report) -> String {
    match report.nodes.as_slice() {
        [] => String::new(),
        [node] => format!("node {}", super::named(&node.name)),
        nodes => format!("{} nodes", nodes.len()),
    }
}

/// From when to when, and which calls.
fn span(report: &Report, about: &About) -> String {
    let timed: Vec<&str> =
        report.rows.iter().filter(|row| row.at.is_some()).map(|row| row.time.as_str()).collect();
    let minutes = |time: &str| about.zone.minutes(time);
    let span = match timed.as_slice() {
        [] => String::new(),
        [only] => format!("{} {}", minutes(only), about.zone.name(only)),
        [first, .., last] => {
            let (from, to) = (minutes(first), minutes(last));
            // Of one day it is enough to name it once.
            let to = match (from.split_once(", "), to.split_once(", ")) {
                (Some((day, _)), Some((same, minute))) if day == same => minute,
                _ => &to,
            };
            format!("{from} to {to} {}", about.zone.name(last))
        }
    };
    if about.filters.is_empty() { span } else { format!("{span} · only {}", about.filters) }
}

fn figures(markup: &mut Markup, report: &Report) {
    let figures = &report.figures;
    markup.open("dl", &[("class", &"figures")]);
    let mut figure = |name: &str, value: &str, more: &str| {
        markup.open("div", &[]).element("dt", &[], name).open("dd", &[]).text(value);
        if !more.is_empty() {
            markup.text(" ").element("small", &[], more);
        }
        markup.close().close();
    };
    let running = match figures.running {
        0 => String::new(),
        running => format!("{} running", thousands(running)),
    };
    figure("Calls", &thousands(figures.calls), &running);
    if figures.calls > 0 {
        #[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
        let rate = percent(figures.failed as f64 / figures.calls as f64);
        figure("Failed", &thousands(figures.failed), &rate);
    }
    figure("Pods affected", &thousands(figures.pods), "");
    if report.nodes.len() > 1 {
        let affected = report.nodes.iter().filter(|node| node.failed > 0).count();
        figure("Nodes with failures", &affected.to_string(), &format!("of {}", report.nodes.len()));
    }
    if figures.suspect > 0 {
        figure("Suspect", &thousands(figures.suspect), "good, but no network");
    }
    let add = report.latency.iter().find(|latency| latency.command == "ADD");
    if let Some((add, of)) = add.and_then(|add| Some((add, add.all?))) {
        figure("ADD, p50", &duration(of.p50), &add.plugin);
        figure("ADD, p99", &duration(of.p99), &add.plugin);
    }
    markup.close();
}
