//! How long calls took, and how full the pools were.

use super::chart::lines;
use super::markup::Markup;
use super::{named, section};
use crate::render::count::thousands;
use crate::render::time::duration;
use crate::report::Report;
use crate::report::latency::Latency;

/// So many plugins and verbs have a chart.
const CHARTS: usize = 6;
/// So many a row in the table.
const ROWS: usize = 40;
/// So many pools have a chart.
const POOLS: usize = 9;

pub(super) fn latency(markup: &mut Markup, report: &Report) {
    let timed: Vec<&Latency> = report.latency.iter().filter(|latency| latency.all.is_some()).collect();
    if timed.is_empty() {
        return;
    }
    section(
        markup,
        "latency",
        "How long calls took",
        "By plugin and verb, from the start of a call to its answer. The scale is logarithmic, and the same for all.",
    );
    if let Some(line) = &report.time_line {
        let charts = &timed[..timed.len().min(CHARTS)];
        let powers = lines::range(charts);
        markup.open("div", &[("class", &"charts")]);
        for (position, latency) in charts.iter().enumerate() {
            markup.open("figure", &[("class", &"card")]).open("figcaption", &[]);
            markup.element("b", &[], named(&latency.plugin)).text(" ").text(&latency.command);
            markup.close();
            lines::latency(markup, latency, line, &powers, &format!("latency-{position}"));
            markup.close();
        }
        markup.close();
        markup.constant(
            "<p class=\"key\"><i class=\"stroke p50\"></i>p50 <i class=\"stroke p95\"></i>p95 \
             <i class=\"stroke p99\"></i>p99</p>",
        );
    }
    table(markup, &timed);
    markup.close().constant("\n");
}

fn table(markup: &mut Markup, timed: &[&Latency]) {
    markup.open("div", &[("class", &"card scroll"), ("tabindex", &0)]).open("table", &[("class", &"plain")]);
    markup.open("thead", &[]).open("tr", &[]);
    for (heading, class) in [
        ("Plugin", "name"),
        ("Verb", "name"),
        ("Calls", "number"),
        ("Failed", "number"),
        ("p50", "number"),
        ("p95", "number"),
        ("p99", "number"),
        ("Max", "number"),
    ] {
        markup.element("th", &[("scope", &"col"), ("class", &class)], heading);
    }
    markup.close().close().open("tbody", &[]);
    for latency in timed.iter().take(ROWS) {
        let Some(of) = latency.all else { continue };
        markup.open("tr", &[]);
        markup.element("th", &[("scope", &"row"), ("class", &"name")], named(&latency.plugin));
        markup.element("td", &[("class", &"name")], &latency.command);
        let counts = [latency.calls, latency.failed].map(thousands);
        for value in counts.into_iter().chain([of.p50, of.p95, of.p99, of.max].map(duration)) {
            markup.element("td", &[("class", &"number")], value);
        }
        markup.close();
    }
    markup.close().close().close();
    if timed.len() > ROWS {
        markup.element("p", &[("class", &"lede")], format!("{} more are not shown.", timed.len() - ROWS));
    }
}

pub(super) fn pools(markup: &mut Markup, report: &Report) {
    section(markup, "pools", "Pools of addresses", "");
    let Some(line) = report.time_line.as_ref().filter(|_| !report.pools.is_empty()) else {
        let text = "No call recorded how full a pool was: the check ipam-pool looks at those of host-local, before each ADD.";
        markup.element("p", &[("class", &"none")], text).close();
        return;
    };
    markup.element(
        "p",
        &[("class", &"lede")],
        "As the check ipam-pool found host-local's pools at each ADD; the fullest first.",
    );
    markup.open("div", &[("class", &"charts")]);
    for (position, pool) in report.pools.iter().take(POOLS).enumerate() {
        let Some(last) = pool.last() else { continue };
        markup.open("figure", &[("class", &"card")]).open("figcaption", &[]);
        let network = pool.folder.rsplit('/').next().unwrap_or_default();
        markup.element("b", &[], named(network));
        if report.nodes.len() > 1 {
            markup.text(" on ").text(named(&pool.node));
        }
        let leaked = match pool.leaked {
            Some(leaked) if leaked > 0.0 => format!(", {} leaked", lines::amount(leaked)),
            _ => String::new(),
        };
        let text = format!(
            "{} of {} used at the end{leaked} · {}",
            lines::amount(last.used),
            lines::amount(last.capacity),
            pool.ranges
        );
        markup.open("small", &[]).text(text).close().close();
        lines::pool(markup, pool, line, &format!("pool-{position}"));
        markup.close();
    }
    markup.close();
    if report.pools.len() > POOLS {
        let text = format!("{} more pools, less full, are not shown.", thousands(report.pools.len() - POOLS));
        markup.element("p", &[("class", &"lede")], text);
    }
    markup.close().constant("\n");
}
