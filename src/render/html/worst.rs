//! The worst calls with their diagnosis: readable without a script.

use serde_json::Value;

use super::markup::Markup;
use super::overview::explained;
use super::{named, section};
use crate::render::count::counted;
use crate::render::time::{Zone, duration};
use crate::report::Report;
use crate::report::row::Row;
use crate::report::worst::Worst;

pub(super) fn write(markup: &mut Markup, report: &Report, zone: Zone) {
    if report.worst.is_empty() && report.slow.is_empty() {
        return;
    }
    section(
        markup,
        "worst",
        "The worst calls",
        "For each cause, the most frequent first, the failed call that took longest.",
    );
    for worst in &report.worst {
        failed(markup, report, worst, zone);
    }
    if !report.slow.is_empty() {
        markup.element("h3", &[], "The slowest calls that went well");
        markup.open("ul", &[("class", &"slow")]);
        for row in report.slow.iter().filter_map(|place| report.rows.get(*place)) {
            markup.open("li", &[]);
            markup
                .element("b", &[("class", &"number")], row.took_ms.map(duration).unwrap_or_default())
                .text(" ");
            who(markup, report, row, zone);
            markup.close();
        }
        markup.close();
    }
    markup.close().constant("\n");
}

fn failed(markup: &mut Markup, report: &Report, worst: &Worst, zone: Zone) {
    let Some(row) = report.rows.get(worst.row) else { return };
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let diagnosis = &detail["diagnosis"];
    markup.open("article", &[("class", &"card")]);
    markup.open("h3", &[]).text(row.reason()).text(" ");
    markup.element("span", &[("class", &"badge")], counted(worst.alike, "call")).close();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let summary = text(&diagnosis["summary"]);
    let title = match text(&diagnosis["title"]) {
        title if title.is_empty() => explained(row.reason()).unwrap_or_default().to_owned(),
        title => title,
    };
    if !title.is_empty() {
        markup.open("p", &[("class", &"says")]).text(title);
        if !summary.is_empty() {
            markup.text(": ").text(summary);
        }
        markup.close();
    }
    markup.open("p", &[("class", &"who")]);
    who(markup, report, row, zone);
    if let Some(took) = row.took_ms {
        markup.text(" · ").text(&row.outcome).text(" after ").text(duration(took));
    }
    markup.open("span", &[("class", &"go")]).text(" · ");
    markup.element("a", &[("href", &"#calls"), ("data-id", &row.id)], "the whole call").close();
    markup.close();
    let error = &detail["error"];
    let said = ["msg", "details"].map(|part| text(&error[part]));
    let said: Vec<&str> = said.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if !said.is_empty() {
        markup.element("pre", &[], said.join("\n"));
    }
    list(markup, "Evidence", &diagnosis["evidence"], "ul");
    list(markup, "What to do", &diagnosis["fix"], "ol");
    markup.close().constant("\n");
}

/// Verb, Pod, plugin, node and time.
fn who(markup: &mut Markup, report: &Report, row: &Row, zone: Zone) {
    markup.text(&row.command).text(" ").element("b", &[], named(&row.pod)).text(" by ").text(&row.plugin);
    if report.nodes.len() > 1 {
        markup.text(" on ").text(named(&row.node));
    }
    markup.text(", ").text(zone.short(&row.time));
}

fn list(markup: &mut Markup, heading: &str, items: &Value, kind: &'static str) {
    let Some(items) = items.as_array().filter(|items| !items.is_empty()) else { return };
    markup.element("h4", &[], heading).open(kind, &[]);
    for item in items {
        markup.element("li", &[], item.as_str().unwrap_or_default());
    }
    markup.close();
}
