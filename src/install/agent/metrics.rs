//! What the agent tells Prometheus beside what `cniscope metrics` does.

use std::time::SystemTime;

use super::standing::{Examined, Standing};
use crate::metrics::text::{self, Metric};

/// What is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// How things stand.
    pub standing: Standing,
    /// What `doctor` said last.
    pub examined: Option<Examined>,
}

/// Every metric.
pub const METRICS: &[Metric<Told>] = &[
    Metric {
        name: "cniscope_agent_up",
        kind: "gauge",
        labels: &[],
        help: "Always 1: an agent runs.",
        samples: |_, samples| samples.add(&[], 1),
    },
    Metric {
        name: "cniscope_agent_ready",
        kind: "gauge",
        labels: &[],
        help: "1 if all networks of the node are wrapped; else /readyz says why they are not.",
        samples: |told, samples| samples.add(&[], u8::from(told.standing.reasons().is_empty())),
    },
    Metric {
        name: "cniscope_wrapped",
        kind: "gauge",
        labels: &["network"],
        help: "1 if cniscope stands in the place of the network's plugins.",
        samples: |told, samples| {
            for network in &told.standing.networks {
                samples.add(&[("network", &network.name)], u8::from(network.wrapped.is_some()));
            }
        },
    },
    Metric {
        name: "cniscope_contended",
        kind: "gauge",
        labels: &["network", "by"],
        help: "1 if a network is left unwrapped since somebody else keeps writing its list back.",
        samples: |told, samples| {
            for network in &told.standing.networks {
                let by = network.contended.map_or("none", |writer| writer.name);
                let is_contended = u8::from(network.contended.is_some());
                samples.add(&[("network", &network.name), ("by", by)], is_contended);
            }
        },
    },
    Metric {
        name: "cniscope_rewrapped_total",
        kind: "counter",
        labels: &["network"],
        help: "How often a network's list was wrapped again after somebody else had written it.",
        samples: |told, samples| {
            for network in &told.standing.networks {
                samples.add(&[("network", &network.name)], network.again);
            }
        },
    },
    Metric {
        name: "cniscope_bypassed_calls_total",
        kind: "counter",
        labels: &["network"],
        help: "ADDs that went past cniscope although the network was wrapped.",
        samples: |told, samples| {
            let past = &told.standing.tally.past;
            for network in told.standing.networks.iter().filter(|one| !past.contains_key(&one.name)) {
                samples.add(&[("network", &network.name)], 0);
            }
            for (network, count) in past {
                samples.add(&[("network", network)], count);
            }
        },
    },
    Metric {
        name: "cniscope_unrecorded_sandboxes",
        kind: "gauge",
        labels: &[],
        help: "Sandboxes of this boot that were started without cniscope, and are still there.",
        samples: |told, samples| samples.add(&[], told.standing.tally.unwrapped),
    },
    Metric {
        name: "cniscope_untold_attachments",
        kind: "gauge",
        labels: &[],
        help: "Attachments whose cached result does not tell whether they were added through cniscope.",
        samples: |told, samples| samples.add(&[], told.standing.tally.untold),
    },
    Metric {
        name: "cniscope_doctor_check",
        kind: "gauge",
        labels: &["check", "status"],
        help: "Always 1: the worst finding of a check when the node was examined last.",
        samples: |told, samples| {
            for (check, (status, _)) in told.examined.iter().flat_map(|examined| &examined.checks) {
                samples.add(&[("check", check), ("status", status)], 1);
            }
        },
    },
    Metric {
        name: "cniscope_doctor_last_run_timestamp_seconds",
        kind: "gauge",
        labels: &[],
        help: "When the node was examined last, in seconds since 1970.",
        samples: |told, samples| {
            let time = told.examined.as_ref().map(|examined| examined.time);
            if let Some(since) = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()) {
                samples.add(&[], format!("{}.{:03}", since.as_secs(), since.subsec_millis()));
            }
        },
    },
];

/// All of it, as Prometheus reads it.
#[must_use]
pub fn text(told: &Told) -> String {
    text::written(METRICS, told)
}

#[cfg(test)]
mod tests {
    use super::super::attachments::Tally;
    use super::super::standing::Network;
    use super::super::writers;
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn everything_is_told() {
        let network = |name: &str, wrapped, again, contended| Network {
            name: name.into(),
            file: "/etc/cni/net.d/a.conflist".into(),
            wrapped,
            again,
            contended,
            trouble: None,
        };
        let past = BTreeMap::from([("pods".to_owned(), 2)]);
        let told = Told {
            standing: Standing {
                networks: vec![
                    network("pods", Some(SystemTime::UNIX_EPOCH), 3, None),
                    network("o\"", None, 20, Some(writers::of(["calico"]))),
                ],
                trouble: None,
                tally: Tally { past, unwrapped: 4, untold: 5, news: vec![] },
            },
            examined: Some(Examined {
                time: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
                checks: BTreeMap::from([("disk".to_owned(), ("warn".to_owned(), "full".to_owned()))]),
            }),
        };
        let text = text(&told);
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "cniscope_agent_up 1",
                "cniscope_agent_ready 0",
                "cniscope_wrapped{network=\"pods\"} 1",
                "cniscope_wrapped{network=\"o\\\"\"} 0",
                "cniscope_contended{network=\"pods\",by=\"none\"} 0",
                "cniscope_contended{network=\"o\\\"\",by=\"calico\"} 1",
                "cniscope_rewrapped_total{network=\"pods\"} 3",
                "cniscope_rewrapped_total{network=\"o\\\"\"} 20",
                "cniscope_bypassed_calls_total{network=\"o\\\"\"} 0",
                "cniscope_bypassed_calls_total{network=\"pods\"} 2",
                "cniscope_unrecorded_sandboxes 4",
                "cniscope_untold_attachments 5",
                "cniscope_doctor_check{check=\"disk\",status=\"warn\"} 1",
                "cniscope_doctor_last_run_timestamp_seconds 1.500",
            ]
        );
    }

    #[test]
    fn every_metric_stands_in_the_documentation() {
        let page = include_str!("../../../docs/agent.md");
        for metric in METRICS {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let row =
                format!("| `{}` | {} | {} | {} |", metric.name, metric.kind, labels.join(", "), metric.help);
            assert!(page.contains(&row), "docs/agent.md has no row\n{row}");
        }
    }
}
