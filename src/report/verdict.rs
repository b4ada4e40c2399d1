//! One node or the whole cluster? From counts alone, and without an answer where they do not tell.

use super::nodes::NodeCount;
use crate::render::count::{counted, of_all, percent, thousands};

/// A node with fewer calls tells nothing.
const ENOUGH: usize = 5;
/// Nodes stand out if they fail so many times as often as the others.
const TIMES: f64 = 4.0;
/// The G statistic above which two rates differ by chance once in a thousand (chi-squared, one degree of freedom).
const CHANCE: f64 = 10.83;
/// Names in a sentence.
const NAMED: usize = 3;

/// How far the failures reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// There are none.
    Nowhere,
    /// One node fails more than the others.
    OneNode,
    /// Some nodes do.
    SomeNodes,
    /// All but a few do.
    MostNodes,
    /// All nodes fail alike.
    Cluster,
    /// The counts do not tell.
    Unclear,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How far.
    pub scope: Scope,
    /// It in a few words.
    pub headline: String,
    /// What it rests on.
    pub because: String,
}

/// Whether the failures are one node's or the whole cluster's. `None` for one node. What was left out of the counts, such
/// as the calls that went well, is told by `left_out`.
#[must_use]
pub fn verdict(nodes: &[NodeCount], left_out: Option<&str>) -> Option<Verdict> {
    if nodes.len() < 2 {
        return None;
    }
    let told = |scope, headline: String, because: String| Some(Verdict { scope, headline, because });
    let unclear = |because: String| {
        told(Scope::Unclear, "One node or the whole cluster? The journals do not tell.".into(), because)
    };
    if let Some(left_out) = left_out {
        return unclear(format!("{left_out}: how often each node fails cannot be compared."));
    }
    let (calls, failed) = sums(nodes);
    if failed == 0 {
        let headline = format!("No failures on any of {} nodes.", nodes.len());
        let because = match calls {
            0 => "No call for a Pod has ended.".to_owned(),
            _ => format!("All {} went well.", counted(calls, "call")),
        };
        return told(Scope::Nowhere, headline, because);
    }
    let mut judged: Vec<&NodeCount> = nodes.iter().filter(|node| node.calls >= ENOUGH).collect();
    judged.sort_by(|one, other| other.rate().total_cmp(&one.rate()).then_with(|| one.name.cmp(&other.name)));
    if judged.len() < 2 {
        return unclear(format!(
            "{} fewer than {ENOUGH} calls: there is nothing to compare with.",
            if judged.is_empty() { "All nodes have" } else { "All nodes but one have" }
        ));
    }
    let silent = match nodes.len() - judged.len() {
        0 => String::new(),
        1 => " One node had too few calls to tell.".to_owned(),
        many => format!(" {many} nodes had too few calls to tell."),
    };
    if let Some(at) = split(&judged) {
        let (high, low) = judged.split_at(at);
        let because = format!("{} {}{silent}", compared(high, low), mostly(high));
        return match (at, judged.len()) {
            (1, _) => told(Scope::OneNode, format!("One node: {}.", high[0].name), because),
            (at, all) if at * 2 <= all => {
                told(Scope::SomeNodes, format!("{at} of {all} nodes: {}.", names(high)), because)
            }
            (at, all) => told(
                Scope::MostNodes,
                format!("Most of the cluster: {at} of {all} nodes, not {}.", names(low)),
                because,
            ),
        };
    }
    let (_, of_judged) = sums(judged.iter().copied());
    if judged.iter().all(|node| node.failed >= 2) && of_judged >= 3 * judged.len() {
        let (most, least) = (judged[0].rate(), judged[judged.len() - 1].rate());
        let range = if percent(least) == percent(most) {
            percent(most)
        } else {
            format!("{} to {}", percent(least), percent(most))
        };
        let because = format!("{range} of the calls failed on each. {}{silent}", shared(&judged));
        let which = if silent.is_empty() { "nodes" } else { "nodes with enough calls" };
        let headline = format!("The whole cluster: all {} {which}.", judged.len());
        return told(Scope::Cluster, headline, because);
    }
    let affected = nodes.iter().filter(|node| node.failed > 0).count();
    unclear(format!(
        "{} failed, on {affected} of {} nodes: too few to tell one node from chance.{silent}",
        of_all(failed, calls, "call"),
        nodes.len()
    ))
}

fn sums<'a>(nodes: impl IntoIterator<Item = &'a NodeCount>) -> (usize, usize) {
    nodes.into_iter().fold((0, 0), |(calls, failed), node| (calls + node.calls, failed + node.failed))
}

/// How many of the nodes, which stand in the order of their rates, fail so much more than the others that it is no chance.
fn split(judged: &[&NodeCount]) -> Option<usize> {
    let candidates = (1..judged.len()).filter_map(|at| {
        let (high, low) = judged.split_at(at);
        let (high_sums, low_sums) = (sums(high.iter().copied()), sums(low.iter().copied()));
        let least = high.last()?;
        let stands_out = least.failed >= 2 && least.rate() >= TIMES * rate(low_sums);
        let how = g_statistic(high_sums, low_sums);
        (stands_out && how > CHANCE).then_some((at, how))
    });
    candidates.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(at, _)| at)
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn rate((calls, failed): (usize, usize)) -> f64 {
    if calls == 0 { 0.0 } else { failed as f64 / calls as f64 }
}

/// The likelihood ratio of "both fail alike" in the table of failed and good calls of two groups.
#[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn g_statistic(one: (usize, usize), other: (usize, usize)) -> f64 {
    let all = (one.0 + other.0) as f64;
    let failed = (one.1 + other.1) as f64;
    let cells = [one, other].into_iter().flat_map(|(calls, of_them)| {
        let (calls, of_them) = (calls as f64, of_them as f64);
        [(of_them, calls * failed / all), (calls - of_them, calls * (all - failed) / all)]
    });
    2.0 * cells
        .filter(|(seen, _)| *seen > 0.0)
        .map(|(seen, expected)| seen * (seen / expected).ln())
        .sum::<f64>()
}

/// `38 of 60 calls failed there (63 %), 1 of 240 (0.4 %) on the 3 other nodes.`
fn compared(high: &[&NodeCount], low: &[&NodeCount]) -> String {
    let (high, low_sums) = (sums(high.iter().copied()), sums(low.iter().copied()));
    let others =
        if low.len() == 1 { "the other node".to_owned() } else { format!("the {} other nodes", low.len()) };
    format!(
        "{} failed there ({}), {} of {} on {others} ({}).",
        of_all(high.1, high.0, "call"),
        percent(rate(high)),
        thousands(low_sums.1),
        thousands(low_sums.0),
        percent(rate(low_sums))
    )
}

/// `Mostly ipam-exhausted (30 of 38), for 12 Pods.`
fn mostly(nodes: &[&NodeCount]) -> String {
    let (_, failed) = sums(nodes.iter().copied());
    let pods: usize = nodes.iter().map(|node| node.pods).sum();
    let for_pods = if pods == 1 { "all for one Pod".to_owned() } else { format!("for {pods} Pods") };
    let Some((cause, count)) = leading(nodes) else { return String::new() };
    if count == failed {
        format!("All are {cause}, {for_pods}.")
    } else if count * 2 > failed {
        format!("Mostly {cause} ({} of {}), {for_pods}.", thousands(count), thousands(failed))
    } else {
        format!(
            "There are several causes, most often {cause} ({} of {}), {for_pods}.",
            thousands(count),
            thousands(failed)
        )
    }
}

/// Whether the nodes share their most frequent cause.
fn shared(nodes: &[&NodeCount]) -> String {
    let Some((cause, _)) = leading(nodes) else { return String::new() };
    let led =
        nodes.iter().filter(|node| node.causes.first().is_some_and(|(first, _)| *first == cause)).count();
    if led == nodes.len() {
        format!("On all of them mostly {cause}: look at what they share.")
    } else {
        format!("But not for one cause: {cause} leads on {led} of them.")
    }
}

/// The most frequent cause of these nodes together.
fn leading(nodes: &[&NodeCount]) -> Option<(String, usize)> {
    let causes = nodes.iter().flat_map(|node| &node.causes).map(|(cause, _)| cause);
    let total = |cause: &str| nodes.iter().map(|node| node.of_cause(cause)).sum::<usize>();
    causes.map(|cause| (cause.clone(), total(cause))).max_by(|(one, few), (other, many)| {
        // Of two that are as frequent, the first by name.
        few.cmp(many).then_with(|| other.cmp(one))
    })
}

fn names(nodes: &[&NodeCount]) -> String {
    let named: Vec<&str> = nodes.iter().take(NAMED).map(|node| node.name.as_str()).collect();
    match (named.as_slice(), nodes.len().saturating_sub(NAMED)) {
        ([first @ .., last], 0) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        (_, 0) => named.join(", "),
        (_, more) => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests;
