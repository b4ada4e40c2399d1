//! A summary of calls: all of them, in groups, by cause, and the slowest. Pure.

use super::statistics::{Ended, Group, Groups, Sample, Slowest};
use super::stored::Stored;

/// The most groups that are told apart: Pods come and go.
const MOST_GROUPS: usize = 10_000;
/// The most causes: a damaged journal may hold any text.
const MOST_CAUSES: usize = 1000;
/// How many of the slowest calls are kept.
const SLOWEST: usize = 5;

/// Calls, summed up.
#[derive(Debug)]
pub struct Summary {
    /// All of them.
    pub all: Group,
    /// They in groups, each with its name in one or two parts.
    pub groups: Groups<Vec<String>>,
    /// Those that failed or are suspect, by cause.
    pub causes: Groups<String>,
    /// Those that took longest.
    pub slowest: Slowest,
}

impl Default for Summary {
    fn default() -> Summary {
        Summary {
            all: Group::default(),
            groups: Groups::new(MOST_GROUPS),
            causes: Groups::new(MOST_CAUSES),
            slowest: Slowest::new(SLOWEST),
        }
    }
}

impl Summary {
    /// Counts a call in the group of this name; without one, in no group.
    pub fn add(&mut self, sample: &Sample, name: Option<Vec<String>>, call: Stored) {
        self.all.add(sample);
        if let Some(name) = name {
            self.groups.add(name, sample);
        }
        if let Some(cause) = &sample.cause {
            self.causes.add(cause.to_string(), sample);
        }
        // What runs has not taken its time yet.
        if sample.ended != Ended::NotYet {
            self.slowest.add(sample.took, call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read::Call;
    use serde_json::json;

    #[test]
    fn a_call_is_counted_in_all_in_its_group_and_by_its_cause() {
        let mut summary = Summary::default();
        let calls = [("a", "ok", None), ("a", "failed", Some("unknown")), ("b", "killed", None)];
        for (plugin, outcome, cause) in calls {
            let record =
                json!({"id": "i", "plugin": plugin, "cause": cause, "time": "t", "duration_ms": 1.0});
            let call = Call { record, outcome: outcome.to_owned(), stalls: Vec::new() };
            let name = (plugin == "a").then(|| vec![plugin.to_owned()]);
            summary.add(&Sample::of(&call), name, Stored::of_call(&call));
        }
        let groups: Vec<_> =
            summary.groups.iter().map(|(name, group)| (name.join("/"), group.calls)).collect();
        let causes: Vec<_> =
            summary.causes.iter().map(|(cause, group)| (cause.as_str(), group.failures)).collect();
        assert_eq!(
            (summary.all.calls, groups, causes),
            (3, vec![("a".to_owned(), 2)], vec![("killed", 1), ("unknown", 1)])
        );
        assert_eq!(summary.slowest.calls().count(), 3);
    }
}
