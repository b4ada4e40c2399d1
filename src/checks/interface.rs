//! `interface`: the interface that an ADD is to make is not yet in the sandbox.

use super::Depth;
use super::subject::Subject;
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::links::Link;

/// Plugins that make `CNI_IFNAME` themselves and fail if it is there. Others take an interface that exists (loopback),
/// or one that another plugin made.
const MAKERS: [&str; 8] = ["bridge", "ptp", "macvlan", "ipvlan", "flannel", "calico", "cilium-cni", "tap"];

/// Whether the call makes an interface.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    subject.verb == Verb::Add && !subject.is_chained() && MAKERS.contains(&subject.plugin.as_str())
}

/// Looks for `CNI_IFNAME` in the sandbox.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    if subject.netns.as_os_str().is_empty() || subject.ifname.is_empty() {
        return Finding::skipped("CNI_NETNS or CNI_IFNAME is empty");
    }
    match node.link(&subject.ifname, Some(&subject.netns)) {
        Ok(link) => judge(link.as_ref(), &subject.ifname).with("ifname", subject.ifname.as_str()),
        Err(error) => Finding::skipped(error.to_string()),
    }
}

fn judge(link: Option<&Link>, ifname: &str) -> Finding {
    match link {
        None => Finding::ok(format!("{ifname} is not yet in the sandbox")),
        Some(link) => Finding::fail(Cause::InterfaceExists, format!("{ifname} is already in the sandbox"))
            .with("kind", link.kind.clone())
            .with("addresses", link.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_interface_that_is_there_is_the_finding() {
        assert_eq!(judge(None, "eth0"), Finding::ok("eth0 is not yet in the sandbox"));
        let link = Link {
            name: "eth0".into(),
            kind: Some("veth".into()),
            addresses: vec!["10.1.0.2/24".parse().unwrap()],
            ..Link::default()
        };
        let finding = judge(Some(&link), "eth0");
        assert_eq!(finding.cause, Some(Cause::InterfaceExists));
        assert_eq!(json!(finding.evidence), json!({"kind": "veth", "addresses": ["10.1.0.2/24"]}));
    }

    #[test]
    fn only_plugins_that_make_it_are_looked_at() {
        let subject = |plugin: &str, config| Subject { plugin: plugin.into(), config, ..Subject::default() };
        assert!(fits(&subject("bridge", json!({}))));
        assert!(!fits(&subject("bridge", json!({"prevResult": {}}))));
        assert!(!fits(&subject("loopback", json!({}))));
        assert!(!fits(&Subject { verb: Verb::Del, ..subject("bridge", json!({})) }));
    }
}
