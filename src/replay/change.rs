//! What is not as it was: two looks at a state compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The network namespace that stands for the node's.
    Node,
    /// The sandbox's.
    Sandbox,
    /// The copied folders.
    Files,
    /// The kernel, which is the node's own.
    Kernel,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A network interface.
    Link,
    /// The hardware address of one.
    Mac,
    /// An address of one.
    Address,
    /// A route.
    Route,
    /// A rule that chooses a table of routes.
    Rule,
    /// A rule or chain of nf_tables.
    Nft,
    /// A rule or chain of iptables.
    Iptables,
    /// A parameter of the kernel.
    Sysctl,
    /// A file, folder or link.
    File,
    /// A module of the kernel.
    Module,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Link => "link",
            Kind::Mac => "hardware address",
            Kind::Address => "address",
            Kind::Route => "route",
            Kind::Rule => "rule",
            Kind::Nft => "nftables",
            Kind::Iptables => "iptables",
            Kind::Sysctl => "sysctl",
            Kind::File => "file",
            Kind::Module => "module",
        }
    }

    /// Whether only a change of it tells something: what is made or gone follows from its link.
    fn follows_a_link(self) -> bool {
        matches!(self, Kind::Mac | Kind::Sysctl)
    }
}

/// Something that was made, is gone, or is otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: Kind,
    /// Which one.
    pub name: String,
    /// How it was; `None` if it was not there.
    pub before: Option<String>,
    /// How it is; `None` if it is gone.
    pub now: Option<String>,
}

/// Things by what names them, and how they are.
pub type State = BTreeMap<(Place, Kind, String), String>;

/// What is otherwise in `now` than in `before`, ordered by place and kind.
#[must_use]
pub fn between(before: &State, now: &State) -> Vec<Change> {
    let of = |key: &(Place, Kind, String), before: Option<&String>, now: Option<&String>| Change {
        place: key.0,
        kind: key.1,
        name: key.2.clone(),
        before: before.cloned(),
        now: now.cloned(),
    };
    let gone = before.iter().filter(|(key, _)| !now.contains_key(key));
    let mut changes: Vec<Change> = gone.map(|(key, value)| of(key, Some(value), None)).collect();
    for (key, value) in now {
        let earlier = before.get(key);
        if earlier != Some(value) {
            changes.push(of(key, earlier, Some(value)));
        }
    }
    changes
        .retain(|change| !change.kind.follows_a_link() || (change.before.is_some() && change.now.is_some()));
    changes.sort();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(things: &[(Kind, &str, &str)]) -> State {
        things
            .iter()
            .map(|(kind, name, how)| ((Place::Node, *kind, (*name).to_owned()), (*how).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_made_gone_and_otherwise_is_told() {
        let before = state(&[
            (Kind::Link, "a", "up"),
            (Kind::Link, "b", "down"),
            (Kind::Link, "c", "up"),
            (Kind::Sysctl, "net.x", "0"),
            (Kind::Sysctl, "net.conf.a", "0"),
        ]);
        let now = state(&[
            (Kind::Link, "a", "up"),
            (Kind::Link, "b", "up"),
            (Kind::Link, "d", "up"),
            (Kind::Mac, "d", "02:00:00:00:00:01"),
            (Kind::Sysctl, "net.x", "1"),
            (Kind::Sysctl, "net.conf.d", "0"),
        ]);
        let changes = between(&before, &now);
        let shown: Vec<_> = changes
            .iter()
            .map(|change| (change.name.as_str(), change.before.as_deref(), change.now.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("b", Some("down"), Some("up")),
                ("c", Some("up"), None),
                ("d", None, Some("up")),
                ("net.x", Some("0"), Some("1")),
            ]
        );
    }
}
