//! Which call somebody means: by its id, its container, its Pod, or as the last one.

use super::head::Head;
use super::stored::Stored;

/// What somebody typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The last call.
    Last,
    /// The last call that failed.
    LastFailed,
    /// The start or end of a call's id, the start of a container's, or a Pod with or without its namespace.
    Some(String),
}

/// How a call fits a name: what stands first is meant rather than what stands later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Id,
    Container,
    Pod,
}

impl Name {
    /// Understands what was typed.
    #[must_use]
    pub fn of(typed: &str) -> Name {
        match typed.to_lowercase().as_str() {
            "last" => Name::Last,
            "last-failed" => Name::LastFailed,
            other => Name::Some(other.to_owned()),
        }
    }

    /// Whether a call may be meant.
    #[must_use]
    pub fn may_be(&self, call: &Head) -> bool {
        match self {
            Name::Last => true,
            Name::LastFailed => call.has_failed(),
            Name::Some(name) => fit(name, call).is_some(),
        }
    }

    /// Of calls that may be meant, in the order in which they began: the one that is, or those between which it cannot be
    /// decided.
    ///
    /// An id means a call. Of a container or a Pod the last ADD or failure is meant: the DEL with which a runtime cleans up
    /// after a failure, or at the end, is of less interest.
    ///
    /// # Errors
    /// The calls, if there is none or more than one.
    pub fn choose(&self, mut calls: Vec<Stored>) -> Result<Stored, Vec<Stored>> {
        let Name::Some(name) = self else { return calls.pop().ok_or(calls) };
        let fit_of = |call: &Stored| fit(name, &call.head());
        let Some(best) = calls.iter().filter_map(fit_of).min() else { return Err(Vec::new()) };
        calls.retain(|call| fit_of(call) == Some(best));
        let key = |call: &Stored| {
            let head = call.head();
            match best {
                Fit::Id => call.id().to_owned(),
                Fit::Container => head.container_id.into_owned(),
                Fit::Pod => format!("{}/{}", head.pod_namespace, head.pod_name),
            }
        };
        let first = calls.first().map(key);
        if calls.iter().any(|call| Some(key(call)) != first) {
            return Err(calls);
        }
        let is_telling = |call: &Stored| call.head().has_failed() || call.head().command == "ADD";
        let position = calls.iter().rposition(is_telling).unwrap_or(calls.len() - 1);
        Ok(calls.swap_remove(position))
    }
}

fn fit(name: &str, call: &Head) -> Option<Fit> {
    let pod = match name.split_once('/') {
        Some((namespace, pod)) => call.pod_namespace == namespace && call.pod_name == pod,
        None => call.pod_name == name,
    };
    if call.id.starts_with(name) || call.id.ends_with(name) {
        Some(Fit::Id)
    } else if call.container_id.to_lowercase().starts_with(name) {
        Some(Fit::Container)
    } else {
        pod.then_some(Fit::Pod)
    }
}

/// Whether two calls are for the same Pod, or for the same container where the runtime names no Pod.
#[must_use]
pub fn is_for_the_same(one: &Head, other: &Head) -> bool {
    if one.pod_name.is_empty() {
        !one.container_id.is_empty() && one.container_id == other.container_id
    } else {
        one.pod_namespace == other.pod_namespace && one.pod_name == other.pod_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls as `id command container pod outcome`.
    fn calls(lines: &[&str]) -> Vec<Stored> {
        let call = |line: &&str| {
            let [id, command, container, pod, outcome] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let (namespace, pod) = pod.split_once('/').unwrap();
            let json = format!(
                r#"{{"event":"end","id":"{id}","command":"{command}","container_id":"{container}","pod_namespace":"{namespace}","pod_name":"{pod}","outcome":"{outcome}"}}"#
            );
            Stored::of(&Head::of(json.as_bytes()).unwrap())
        };
        lines.iter().map(call).collect()
    }

    /// The ids that a name leads to: the one that is meant, or with a `?` those that may be.
    fn chosen(typed: &str) -> String {
        let calls = calls(&[
            "00aa-11 ADD 4abc shop/cart failed",
            "00ab-12 DEL 4abc shop/cart ok",
            "00ac-13 ADD 4fff shop/cart ok",
            "00ad-15 DEL 4fff shop/cart ok",
            "00ae-4a ADD 5000 other/cart ok",
            "00af-16 DEL 6000 shop/web ok",
        ]);
        let name = Name::of(typed);
        let may_be = calls.into_iter().filter(|call| name.may_be(&call.head())).collect();
        match name.choose(may_be) {
            Ok(call) => call.id().to_owned(),
            Err(calls) => format!("? {}", calls.iter().map(Stored::id).collect::<Vec<_>>().join(" ")),
        }
    }

    #[test]
    fn names_lead_to_calls() {
        let table = [
            ("last", "00af-16"),
            ("last-failed", "00aa-11"),
            ("00ab", "00ab-12"),
            ("-12", "00ab-12"),
            ("00AB-12", "00ab-12"),
            ("00a", "? 00aa-11 00ab-12 00ac-13 00ad-15 00ae-4a 00af-16"),
            // A container, of which the failure is meant and not the cleaning up.
            ("4abc", "00aa-11"),
            ("4", "? 00aa-11 00ab-12 00ac-13 00ad-15"),
            // The end of an id is meant rather than the start of a container's.
            ("4a", "00ae-4a"),
            // The last ADD of a Pod.
            ("shop/cart", "00ac-13"),
            ("other/cart", "00ae-4a"),
            ("cart", "? 00aa-11 00ab-12 00ac-13 00ad-15 00ae-4a"),
            ("web", "00af-16"),
            ("shop/other", "? "),
            ("nothing", "? "),
        ];
        for (typed, expected) in table {
            assert_eq!(chosen(typed), expected, "{typed}");
        }
    }

    #[test]
    fn what_names_no_pod_is_for_the_same_container() {
        let calls = calls(&[
            "1 ADD a shop/cart ok",
            "2 DEL b shop/cart ok",
            "3 ADD a other/cart ok",
            "4 ADD a / ok",
            "5 DEL a / ok",
            "6 GC  / ok",
        ]);
        let same =
            |one: usize, other: usize| is_for_the_same(&calls[one - 1].head(), &calls[other - 1].head());
        assert!(same(1, 2) && same(4, 5));
        assert!(!same(1, 3) && !same(1, 4) && !same(6, 6));
    }
}
