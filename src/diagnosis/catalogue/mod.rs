//! The causes that a diagnosis may name: a closed list with stable ids.
//!
//! What is known of each stands in a file by subject; this one has the list and its form.

mod agents;
mod api;
mod firewall;
mod host;
mod ipam;
mod links;
mod plugins;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A root cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is described by its entry")]
pub enum Cause {
    PluginNotFound,
    PluginNotExecutable,
    PluginCrashed,
    PluginTimeout,
    NetworkNotReady,
    ConfigInvalid,
    CniVersionMismatch,
    ChainOrderWrong,
    IpamExhausted,
    IpamDuplicate,
    IpamAddressTaken,
    IpamPoolMissing,
    IpamBackendUnavailable,
    BridgeAddressConflict,
    BridgeWrongKind,
    InterfaceExists,
    LinkBusy,
    InterfaceMissing,
    RouteConflict,
    MtuInvalid,
    SubnetEnvMissing,
    AgentUnreachable,
    AgentRefused,
    ApiserverUnreachable,
    ApiserverDenied,
    CertificateInvalid,
    KubeconfigMissing,
    ApiObjectMissing,
    IptablesLock,
    IptablesFailed,
    ConntrackFailed,
    PortConflict,
    SysctlFailed,
    NetnsGone,
    BpfFailed,
    KernelUnsupported,
    DeviceUnavailable,
    PermissionDenied,
    DiskFull,
    FilesystemBroken,
    ResourceLimit,
    CloudApiFailed,
    RuntimeFailed,
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
    /// What it means and how it comes about, in two or three sentences, for who is on call.
    pub about: &'static str,
    /// Texts that tell it, as plugins write them.
    pub texts: &'static [&'static str],
    /// The checks that can confirm it or rule it out.
    pub checks: &'static [&'static str],
    /// What to do, in order: what destroys something stands last.
    pub fix: &'static [Fix],
    /// Commands that only look: what they show tells whether this is the cause, and afterwards whether it is mended.
    pub verify: &'static [&'static str],
    /// The causes that follow from this one: where both are seen, this one is to be mended.
    pub hides: &'static [Cause],
}

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fix {
    /// What to do.
    pub text: &'static str,
    /// Whether something is lost by it: running Pods, their connections, or state on disk.
    pub destroys: bool,
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.destroys { DESTRUCTIVE } else { "" };
        write!(f, "{mark}{}", self.text)
    }
}

/// What stands before a fix that destroys something, wherever it is shown.
pub const DESTRUCTIVE: &str = "destructive: ";

const fn safe(text: &'static str) -> Fix {
    Fix { text, destroys: false }
}

const fn destructive(text: &'static str) -> Fix {
    Fix { text, destroys: true }
}

/// Causes of one subject.
#[derive(Debug)]
pub struct Group {
    /// The subject.
    pub title: &'static str,
    /// The causes.
    pub entries: &'static [Entry],
}

/// Every cause but `unknown`, by subject.
pub const GROUPS: &[Group] = &[
    Group { title: "Plugins and configuration", entries: plugins::ENTRIES },
    Group { title: "Addresses", entries: ipam::ENTRIES },
    Group { title: "Links, routes and namespaces", entries: links::ENTRIES },
    Group { title: "The network add-on and the cloud", entries: agents::ENTRIES },
    Group { title: "The Kubernetes API", entries: api::ENTRIES },
    Group { title: "Firewall and ports", entries: firewall::ENTRIES },
    Group { title: "The host", entries: host::ENTRIES },
];

/// No cause is known.
pub const UNKNOWN: Entry = Entry {
    cause: Cause::Unknown,
    id: "unknown",
    title: "the cause is not known",
    about: "Neither the text nor the node tells a cause. A guess would cost more than it helps, so none is made: what was \
            looked at and found to be well is named instead.",
    texts: &[],
    checks: &[],
    fix: &[],
    verify: &["cniscope show last-failed", "journalctl -u kubelet -u containerd -u crio --since -10min"],
    hides: &[],
};

/// Every cause, `unknown` last.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    GROUPS.iter().flat_map(|group| group.entries).chain(std::iter::once(&UNKNOWN))
}

impl Cause {
    /// What is known of it.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        // A test holds every cause against the list.
        entries().find(|entry| entry.cause == self).unwrap_or(&UNKNOWN)
    }

    /// Its stable id.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    /// The cause with this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Cause> {
        entries().find(|entry| entry.id == id).map(|entry| entry.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}
