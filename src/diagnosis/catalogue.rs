//! The causes that a diagnosis may name: a closed list with stable ids.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A root cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is described by its entry below")]
pub enum Cause {
    PluginNotFound,
    PluginNotExecutable,
    PluginCrashed,
    PluginTimeout,
    ConfigInvalid,
    ChainOrderWrong,
    IpamExhausted,
    IpamDuplicate,
    IpamAddressTaken,
    BridgeAddressConflict,
    BridgeWrongKind,
    InterfaceExists,
    NetnsGone,
    Unknown,
}

/// What is known of a cause, whatever the node.
#[derive(Debug)]
pub struct Entry {
    /// The cause.
    pub cause: Cause,
    /// Its stable id, as in records and settings.
    pub id: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// The checks that can confirm it or rule it out.
    pub checks: &'static [&'static str],
    /// What to do, in order; what destroys something says so.
    pub fix: &'static [&'static str],
}

/// Every cause.
pub const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::PluginNotFound,
        id: "plugin-not-found",
        title: "a plugin binary is not on the node",
        checks: &["plugin-binary"],
        fix: &[
            "install the missing binary in a folder of CNI_PATH",
            "restart the network add-on's Pod on this node: most install their binaries at start",
        ],
    },
    Entry {
        cause: Cause::PluginNotExecutable,
        id: "plugin-not-executable",
        title: "a plugin binary is there but cannot be run",
        checks: &["plugin-binary"],
        fix: &["install the binary for this machine's architecture again, and give it mode 0755"],
    },
    Entry {
        cause: Cause::PluginCrashed,
        id: "plugin-crashed",
        title: "the plugin died, or ended without a CNI error",
        checks: &["plugin-binary", "config"],
        fix: &[
            "read what the plugin printed: cniscope show",
            "report it to the plugin's project with that record",
        ],
    },
    Entry {
        cause: Cause::PluginTimeout,
        id: "plugin-timeout",
        title: "the plugin did not end in time",
        checks: &["plugin-binary"],
        fix: &["see what the plugin was waiting for: cniscope show"],
    },
    Entry {
        cause: Cause::ConfigInvalid,
        id: "config-invalid",
        title: "the network configuration is malformed, or misses or misuses a field",
        checks: &["config"],
        fix: &["correct the configuration in /etc/cni/net.d, or where the network add-on takes it from"],
    },
    Entry {
        cause: Cause::ChainOrderWrong,
        id: "chain-order-wrong",
        title: "a chained plugin runs where it cannot",
        checks: &["config"],
        fix: &["put the plugin behind the one that makes the interface"],
    },
    Entry {
        cause: Cause::IpamExhausted,
        id: "ipam-exhausted",
        title: "no address is left in the pool",
        checks: &["ipam-pool"],
        fix: &[
            "release addresses: delete Pods of this network on this node",
            "give the network a larger range",
        ],
    },
    Entry {
        cause: Cause::IpamDuplicate,
        id: "ipam-duplicate",
        title: "the container already holds an address",
        checks: &["ipam-pool"],
        fix: &["run DEL for the container, or delete its Pod, before it is added again"],
    },
    Entry {
        cause: Cause::IpamAddressTaken,
        id: "ipam-address-taken",
        title: "the address that was asked for is taken, reserved or outside the pool",
        checks: &["ipam-pool"],
        fix: &["ask for another address, or release this one"],
    },
    Entry {
        cause: Cause::BridgeAddressConflict,
        id: "bridge-address-conflict",
        title: "the bridge has another address than the network's gateway",
        checks: &["bridge"],
        fix: &[
            "destructive: remove the foreign address from the bridge, or delete the bridge when no Pod uses it; the plugin makes it again",
        ],
    },
    Entry {
        cause: Cause::BridgeWrongKind,
        id: "bridge-wrong-kind",
        title: "the bridge's name is held by something else, or the bridge is full",
        checks: &["bridge"],
        fix: &["give the network another bridge name, or rename the link that holds it"],
    },
    Entry {
        cause: Cause::InterfaceExists,
        id: "interface-exists",
        title: "an interface of that name is already there",
        checks: &["interface"],
        fix: &["run DEL for the container, or delete its Pod: the runtime makes a new sandbox"],
    },
    Entry {
        cause: Cause::NetnsGone,
        id: "netns-gone",
        title: "the sandbox's network namespace does not exist any more",
        checks: &["netns"],
        fix: &["delete the Pod: the runtime makes a new sandbox"],
    },
    Entry { cause: Cause::Unknown, id: "unknown", title: "the cause is not known", checks: &[], fix: &[] },
];

impl Cause {
    /// What is known of it.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        // A test holds every cause against the table; `unknown` is its last line.
        ENTRIES.iter().find(|entry| entry.cause == self).unwrap_or(&ENTRIES[ENTRIES.len() - 1])
    }

    /// Its stable id.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.entry().id
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_those_that_are_serialised_and_are_there_once() {
        let mut ids = BTreeSet::new();
        for entry in ENTRIES {
            assert_eq!(serde_json::to_value(entry.cause).unwrap(), entry.id);
            assert_eq!(entry.cause.id(), entry.id);
            assert!(ids.insert(entry.id), "{} is there twice", entry.id);
        }
        assert_eq!(ENTRIES.last().unwrap().cause, Cause::Unknown);
    }

    #[test]
    fn every_cause_but_unknown_has_a_check_that_exists_and_a_fix() {
        for entry in ENTRIES.iter().filter(|entry| entry.cause != Cause::Unknown) {
            assert!(!entry.checks.is_empty() && !entry.fix.is_empty(), "{}", entry.id);
            for check in entry.checks {
                assert!(crate::checks::names().any(|name| name == *check), "{}: {check}", entry.id);
            }
        }
    }
}
