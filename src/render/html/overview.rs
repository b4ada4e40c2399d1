//! Failures over time, and the nodes side by side.

use super::chart::bars;
use super::markup::Markup;
use super::{named, section};
use crate::diagnosis::catalogue::Cause;
use crate::render::count::{percent, thousands};
use crate::report::Report;
use crate::report::failures::ranked;
use crate::report::nodes::NodeCount;

/// So many nodes are shown, those with the most failures.
const NODES: usize = 60;
/// So many causes.
const CAUSES: usize = 12;

pub(super) fn failures(markup: &mut Markup, report: &Report) {
    section(markup, "failures", "Failures over time", "");
    match &report.time_line {
        Some(line) if report.figures.failed > 0 => {
            markup.open("div", &[("class", &"card")]);
            // Text in a picture shrinks with it: a narrow screen has a picture of its own.
            bars::failures(markup, &report.failures, line, 1080.0, "wide");
            bars::failures(markup, &report.failures, line, 380.0, "narrow");
            legend(markup, report);
            markup.close();
        }
        _ if report.figures.failed > 0 => legend(markup, report),
        _ => {
            markup.element("p", &[("class", &"none")], "No call failed.");
        }
    }
    markup.close().constant("\n");
}

fn legend(markup: &mut Markup, report: &Report) {
    markup.open("ul", &[("class", &"legend")]);
    for (position, series) in report.failures.series.iter().enumerate() {
        markup.open("li", &[]);
        markup.element("i", &[("class", &format!("swatch {}", bars::colour(position, series)))], "");
        markup.element("b", &[], bars::name(series)).text(" ");
        markup.element("span", &[("class", &"number")], thousands(series.total));
        if let Some(title) = series.reason.as_deref().and_then(explained) {
            markup.text(" ").element("small", &[], title);
        }
        markup.close();
    }
    markup.close();
}

/// What a cause means, or how a call ended that has none.
pub(super) fn explained(reason: &str) -> Option<&'static str> {
    match reason {
        "killed" => Some("the runtime stopped the call before its end"),
        "unfinished" => Some("the end could not be recorded"),
        "interrupted" => Some("a signal stopped the call"),
        _ => Cause::from_id(reason).map(|cause| cause.entry().title),
    }
}

/// The nodes and the causes, where there are several nodes.
pub(super) fn heat(markup: &mut Markup, report: &Report) {
    if report.nodes.len() < 2 {
        return;
    }
    section(
        markup,
        "nodes",
        "Nodes and causes",
        "How many calls for Pods (ADD, DEL, CHECK) failed on each node. The stronger the colour, the more.",
    );
    let mut nodes: Vec<&NodeCount> = report.nodes.iter().collect();
    nodes.sort_by(|one, other| {
        other.failed.cmp(&one.failed).then_with(|| other.rate().total_cmp(&one.rate()))
    });
    let mut causes: Vec<String> = ranked(report.rows.iter()).into_iter().map(|(cause, _)| cause).collect();
    causes.retain(|cause| nodes.iter().any(|node| node.of_cause(cause) > 0));
    let left = causes.split_off(causes.len().min(CAUSES));
    let most = nodes.iter().flat_map(|node| &node.causes).map(|(_, count)| *count).max().unwrap_or(1);
    markup.open("div", &[("class", &"card scroll"), ("tabindex", &0)]).open("table", &[("class", &"heat")]);
    markup.open("thead", &[]).open("tr", &[]);
    markup.element("th", &[("scope", &"col"), ("class", &"name")], "Node");
    for heading in ["Calls", "Failed"] {
        markup.element("th", &[("scope", &"col"), ("class", &"number")], heading);
    }
    for cause in &causes {
        markup.open("th", &[("scope", &"col"), ("class", &"cause")]).element("span", &[], cause).close();
    }
    if !left.is_empty() {
        markup
            .open("th", &[("scope", &"col"), ("class", &"cause")])
            .element("span", &[], "other causes")
            .close();
    }
    markup.close().close().open("tbody", &[]);
    for node in nodes.iter().take(NODES) {
        row(markup, node, &causes, &left, most);
    }
    markup.close().close().close();
    if nodes.len() > NODES {
        let rest = &nodes[NODES..];
        let failed: usize = rest.iter().map(|node| node.failed).sum();
        let text = format!("{} more nodes with {} failures are not shown.", rest.len(), thousands(failed));
        markup.element("p", &[("class", &"lede")], text);
    }
    markup.close().constant("\n");
}

fn row(markup: &mut Markup, node: &NodeCount, causes: &[String], left: &[String], most: usize) {
    markup.open("tr", &[]).element("th", &[("scope", &"row"), ("class", &"name")], named(&node.name));
    markup.element("td", &[("class", &"number")], thousands(node.calls));
    let rate = if node.calls == 0 { "–".to_owned() } else { percent(node.rate()) };
    markup.element("td", &[("class", &"number")], rate);
    for cause in causes {
        cell(markup, node.of_cause(cause), most);
    }
    if !left.is_empty() {
        cell(markup, left.iter().map(|cause| node.of_cause(cause)).sum(), most);
    }
    markup.close();
}

fn cell(markup: &mut Markup, count: usize, most: usize) {
    if count == 0 {
        markup.element("td", &[("class", &"heat-0")], "·");
    } else {
        markup.element("td", &[("class", &format!("heat-{}", shade(count, most)))], thousands(count));
    }
}

/// One of seven shades: by the root, so that what is rare is seen beside what is frequent.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1"
)]
fn shade(count: usize, most: usize) -> usize {
    let share = (count as f64 / most.max(1) as f64).clamp(0.0, 1.0).sqrt();
    ((share * 7.0).ceil() as usize).clamp(1, 7)
}

#[cfg(test)]
mod tests {
    #[test]
    fn shades_tell_rare_from_frequent() {
        let shades = [1, 5, 20, 50, 100].map(|count| super::shade(count, 100));
        assert_eq!(shades, [1, 2, 4, 5, 7]);
    }
}
