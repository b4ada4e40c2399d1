//! How things stand: what the agent tells by HTTP, in its status file and, where something changes, in its log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Value, json};

use super::attachments::Tally;
use super::writers::Writer;
use crate::node::{Node, clock};

/// The version of the status file's form.
const SCHEMA: u32 = 1;
/// The status file, on the node.
pub const STATUS: &str = "/var/lib/cniscope/agent.json";
/// A larger one was not written by an agent.
const MAX_STATUS: u64 = 1 << 20;

/// Why the agent with one of these ids has not wrapped all networks, as it says in its status file.
#[must_use]
pub fn told(node: &Node, agents: &[u32]) -> Vec<String> {
    let status = node.read(Path::new(STATUS), MAX_STATUS).unwrap_or_default();
    let status: Value = serde_json::from_slice(&status).unwrap_or_default();
    let is_of = |pid: &u32| status["pid"].as_u64() == Some(u64::from(*pid));
    let reasons = status["reasons"].as_array().filter(|_| agents.iter().any(is_of));
    reasons.into_iter().flatten().filter_map(|reason| Some(reason.as_str()?.to_owned())).collect()
}

/// A network that is to be wrapped.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Since when it has been wrapped, if it is.
    pub wrapped: Option<SystemTime>,
    /// How often it was wrapped again.
    pub again: u64,
    /// Who keeps writing it back, where it is left so.
    pub contended: Option<Writer>,
    /// Why it is not wrapped, where it is not that.
    pub trouble: Option<String>,
}

/// How things stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// The networks.
    pub networks: Vec<Network>,
    /// Why none is wrapped, or will work, whatever the networks are.
    pub trouble: Option<String>,
    /// What the caches of results tell.
    pub tally: Tally,
}

impl Standing {
    /// Why the node is not ready, in a line each; nothing where all networks are wrapped.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let of_network = |network: &Network| {
            let name = format!("network {:?} in {}", network.name, network.file.display());
            match (&network.contended, &network.trouble) {
                (Some(writer), _) => Some(format!("{name}: contended by {}: {}", writer.name, writer.advice)),
                (None, Some(trouble)) => Some(format!("{name}: {trouble}")),
                // What stands above all of them is the reason.
                (None, None) if network.wrapped.is_some() || self.trouble.is_some() => None,
                (None, None) => Some(format!("{name}: is not wrapped")),
            }
        };
        self.trouble.iter().cloned().chain(self.networks.iter().filter_map(of_network)).collect()
    }

    /// Since when a network has been wrapped, if it is.
    #[must_use]
    pub fn wrapped(&self, network: &str) -> Option<SystemTime> {
        self.networks.iter().find(|one| one.name == network)?.wrapped
    }

    /// The status file.
    #[must_use]
    pub fn status(&self, own: &Own) -> Value {
        let networks = self.networks.iter().map(|network| {
            json!({
                "network": network.name, "file": network.file, "wrapped": network.wrapped.is_some(),
                "wrapped_since": network.wrapped.map(clock::rfc3339), "rewrapped": network.again,
                "contended_by": network.contended.map(|writer| writer.name),
                "advice": network.contended.map(|writer| writer.advice),
                "trouble": network.trouble,
            })
        });
        json!({
            "schema": SCHEMA, "pid": own.pid, "start_ticks": own.start_ticks, "boot_id": own.boot_id,
            "version": env!("CARGO_PKG_VERSION"), "listen": own.listen, "ready": self.reasons().is_empty(),
            "reasons": self.reasons(), "trouble": self.trouble, "networks": networks.collect::<Vec<_>>(),
            "bypassed_calls": self.tally.past, "unrecorded_sandboxes": self.tally.unwrapped,
        })
    }
}

/// The agent's own process, by which a reader of the status file sees whether it still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Own {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since the boot.
    pub start_ticks: u64,
    /// The boot.
    pub boot_id: String,
    /// Where it listens.
    pub listen: String,
}

/// What `doctor` said last.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// When it looked.
    pub time: SystemTime,
    /// By check: the worst status, and what is said of it.
    pub checks: BTreeMap<String, (String, String)>,
}

#[cfg(test)]
mod tests {
    use super::super::writers;
    use super::*;
    use std::time::Duration;

    fn network(name: &str) -> Network {
        Network {
            name: name.into(),
            file: format!("/etc/cni/net.d/{name}.conflist").into(),
            wrapped: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(5)),
            again: 3,
            contended: None,
            trouble: None,
        }
    }

    #[test]
    fn it_is_ready_where_all_networks_are_wrapped() {
        let mut standing = Standing { networks: vec![network("a"), network("b")], ..Standing::default() };
        assert_eq!(standing.reasons(), [""; 0]);
        standing.networks[0].wrapped = None;
        standing.networks[1].contended = Some(writers::of(["cilium-cni"]));
        let reasons = standing.reasons();
        assert_eq!(reasons[0], "network \"a\" in /etc/cni/net.d/a.conflist: is not wrapped");
        let expected = "network \"b\" in /etc/cni/net.d/b.conflist: contended by cilium: Cilium writes its list back after";
        assert!(reasons[1].starts_with(expected), "{}", reasons[1]);
        standing.trouble = Some("no room".into());
        assert_eq!(standing.reasons(), ["no room", &reasons[1]]);
        standing.networks[0].trouble = Some("is no JSON".into());
        assert_eq!(standing.reasons()[1], "network \"a\" in /etc/cni/net.d/a.conflist: is no JSON");
    }

    #[test]
    fn the_status_file_has_all_of_it() {
        let standing = Standing { networks: vec![network("a")], ..Standing::default() };
        let own = Own { pid: 7, start_ticks: 8, boot_id: "b".into(), listen: "127.0.0.1:1".into() };
        let expected = json!({
            "schema": 1, "pid": 7, "start_ticks": 8, "boot_id": "b", "version": env!("CARGO_PKG_VERSION"),
            "listen": "127.0.0.1:1", "ready": true, "reasons": [], "trouble": null, "networks": [{
                "network": "a", "file": "/etc/cni/net.d/a.conflist", "wrapped": true,
                "wrapped_since": "1970-01-01T00:00:05.000000Z", "rewrapped": 3, "contended_by": null, "advice": null,
                "trouble": null,
            }],
            "bypassed_calls": {}, "unrecorded_sandboxes": 0,
        });
        assert_eq!(standing.status(&own), expected);
    }

    #[test]
    fn the_file_of_an_agent_that_has_ended_tells_nothing() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(told(&node, &[7]), [""; 0]);
        let path = root.path().join(&STATUS[1..]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, r#"{"pid":7,"reasons":["network \"a\": contended by calico"]}"#).unwrap();
        assert_eq!(told(&node, &[6, 7]), ["network \"a\": contended by calico"]);
        assert_eq!(told(&node, &[6]), [""; 0]);
    }
}
