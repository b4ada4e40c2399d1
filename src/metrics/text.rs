//! The text that Prometheus reads (its exposition format, version 0.0.4).

use std::fmt::Write as _;

use super::Facts;
use super::counters::{CALL_BOUNDS, Histogram, OVERHEAD_BOUNDS, Plugin, Verb};
use super::pools::Pool;

/// A metric, told of facts.
#[derive(Debug)]
pub struct Metric<F = Facts> {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels, without `le` of a histogram.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
    /// Writes its samples.
    pub(crate) samples: fn(&F, &mut Samples),
}

/// Every metric.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "cniscope_build_info",
        kind: "gauge",
        labels: &["version", "commit"],
        help: "Always 1: which cniscope tells this.",
        samples: |_, samples| {
            let commit = env!("CNISCOPE_COMMIT");
            samples.add(&[("version", env!("CARGO_PKG_VERSION")), ("commit", commit)], 1);
        },
    },
    Metric {
        name: "cniscope_calls_total",
        kind: "counter",
        labels: &["plugin", "command", "outcome"],
        help: "Calls that have ended, by what became of them.",
        samples: |facts, samples| {
            for (plugin, command, verb) in verbs(facts) {
                for (outcome, count) in &verb.outcomes {
                    samples.add(&[("plugin", plugin), ("command", command), ("outcome", outcome)], count);
                }
            }
        },
    },
    Metric {
        name: "cniscope_failures_total",
        kind: "counter",
        labels: &["plugin", "cause"],
        help: "Calls that failed, by cause; where none is recorded, by outcome.",
        samples: |facts, samples| samples.of_causes(facts, |plugin| &plugin.failures),
    },
    Metric {
        name: "cniscope_suspect_calls_total",
        kind: "counter",
        labels: &["plugin", "cause"],
        help: "Calls that went well by their plugin's word and left no network that works, by cause.",
        samples: |facts, samples| samples.of_causes(facts, |plugin| &plugin.suspects),
    },
    Metric {
        name: "cniscope_call_duration_seconds",
        kind: "histogram",
        labels: &["plugin", "command"],
        help: "How long calls took.",
        samples: |facts, samples| {
            for (plugin, command, verb) in verbs(facts) {
                let labels = [("plugin", plugin), ("command", command)];
                samples.of_histogram(&labels, &verb.durations, &CALL_BOUNDS);
            }
        },
    },
    Metric {
        name: "cniscope_overhead_seconds",
        kind: "histogram",
        labels: &[],
        help: "What cniscope added to calls.",
        samples: |facts, samples| samples.of_histogram(&[], &facts.counters.overhead, &OVERHEAD_BOUNDS),
    },
    Metric {
        name: "cniscope_calls_running",
        kind: "gauge",
        labels: &[],
        help: "Calls that are under way.",
        samples: |facts, samples| samples.add(&[], facts.running),
    },
    Metric {
        name: "cniscope_last_success_timestamp_seconds",
        kind: "gauge",
        labels: &["plugin", "command"],
        help: "When the last call ended that went well and left a network that works, in seconds since 1970.",
        samples: |facts, samples| {
            for (plugin, command, verb) in verbs(facts) {
                if let Some(time) = verb.last_success {
                    samples.add(&[("plugin", plugin), ("command", command)], seconds(time));
                }
            }
        },
    },
    Metric {
        name: "cniscope_ipam_pool_capacity_addresses",
        kind: "gauge",
        labels: &["network", "range_set"],
        help: "Addresses that host-local has to give.",
        samples: |facts, samples| samples.of_pools(facts, |pool| Some(pool.capacity)),
    },
    Metric {
        name: "cniscope_ipam_pool_used_addresses",
        kind: "gauge",
        labels: &["network", "range_set"],
        help: "Addresses that are taken, leaked ones among them.",
        samples: |facts, samples| samples.of_pools(facts, |pool| Some(pool.used)),
    },
    Metric {
        name: "cniscope_ipam_pool_leaked_addresses",
        kind: "gauge",
        labels: &["network", "range_set"],
        help: "Addresses that are taken and that no live sandbox holds.",
        samples: |facts, samples| samples.of_pools(facts, |pool| pool.leaked),
    },
    Metric {
        name: "cniscope_journal_size_bytes",
        kind: "gauge",
        labels: &[],
        help: "Bytes of the journal's files.",
        samples: |facts, samples| samples.add(&[], facts.journal_bytes),
    },
    Metric {
        name: "cniscope_journal_files",
        kind: "gauge",
        labels: &[],
        help: "Files of the journal.",
        samples: |facts, samples| samples.add(&[], facts.journal_files),
    },
    Metric {
        name: "cniscope_journal_broken_lines_total",
        kind: "counter",
        labels: &[],
        help: "Lines of the journal that are no records.",
        samples: |facts, samples| samples.add(&[], facts.counters.broken),
    },
    Metric {
        name: "cniscope_journal_gaps_total",
        kind: "counter",
        labels: &[],
        help: "Times when the journal had rotated away completely since it was last looked at, so that calls may be missing.",
        samples: |facts, samples| samples.add(&[], facts.counters.gaps),
    },
    Metric {
        name: "cniscope_journal_unwritten_records",
        kind: "gauge",
        labels: &[],
        help: "Calls of which a record could not be written since the node started, as far as they are noted.",
        samples: |facts, samples| samples.add(&[], facts.unwritten),
    },
    Metric {
        name: "cniscope_counters_kept",
        kind: "gauge",
        labels: &[],
        help: "1 if counters are kept from one look to the next; else they can go back when the journal rotates.",
        samples: |facts, samples| samples.add(&[], u8::from(facts.is_kept)),
    },
];

/// All metrics with their samples. What there is nothing of has its description alone.
#[must_use]
pub fn text(facts: &Facts) -> String {
    written(METRICS, facts)
}

/// The same of other metrics, told of other facts.
pub(crate) fn written<F>(metrics: &[Metric<F>], facts: &F) -> String {
    let mut text = String::new();
    for metric in metrics {
        let _ = writeln!(text, "# HELP {} {}", metric.name, escaped(metric.help, false));
        let _ = writeln!(text, "# TYPE {} {}", metric.name, metric.kind);
        let mut samples = Samples { name: metric.name, text };
        (metric.samples)(facts, &mut samples);
        text = samples.text;
    }
    text
}

/// Every plugin's verbs.
fn verbs(facts: &Facts) -> impl Iterator<Item = (&str, &str, &Verb)> {
    let plugins = facts.counters.plugins.iter();
    plugins.flat_map(|(plugin, of)| {
        of.verbs.iter().map(|(command, verb)| (plugin.as_str(), command.as_str(), verb))
    })
}

/// Microseconds as seconds, without the rounding of binary fractions.
fn seconds(microseconds: u64) -> String {
    format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
}

/// The samples of a metric, written.
pub(crate) struct Samples {
    name: &'static str,
    text: String,
}

impl Samples {
    pub(crate) fn add(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.line("", labels, value);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{suffix}{labels} {value}", self.name);
    }

    fn of_causes(
        &mut self,
        facts: &Facts,
        causes: impl Fn(&Plugin) -> &std::collections::BTreeMap<String, u64>,
    ) {
        for (plugin, of) in &facts.counters.plugins {
            for (cause, count) in causes(of) {
                self.add(&[("plugin", plugin), ("cause", cause)], count);
            }
        }
    }

    fn of_histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram, bounds: &[f64]) {
        let counts = histogram.cumulative(bounds);
        let names = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in names.zip(&counts) {
            self.line("_bucket", &[labels, &[("le", &bound)]].concat(), count);
        }
        self.line("_sum", labels, seconds(histogram.sum()));
        self.line("_count", labels, counts.last().copied().unwrap_or_default());
    }

    fn of_pools<V: std::fmt::Display>(&mut self, facts: &Facts, value: impl Fn(&Pool) -> Option<V>) {
        for pool in &facts.pools {
            if let Some(value) = value(pool) {
                self.add(&[("network", &pool.network), ("range_set", &pool.set.to_string())], value);
            }
        }
    }
}

/// The text as it stands in a line; in a label's value, quotes are escaped too.
fn escaped(text: &str, in_label: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if in_label { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests;
