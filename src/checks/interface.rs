//! `interface`: the interface that an ADD is to make is not yet in the sandbox.

use super::Depth;
use super::subject::Subject;
use crate::cni::environment::Verb;
use crate::cni::go::errno_text;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::links::Link;
use crate::node::netns;

/// Plugins that make `CNI_IFNAME` themselves and fail if it is there. Others take an interface that exists (loopback),
/// or one that another plugin made.
const MAKERS: [&str; 8] = ["bridge", "ptp", "macvlan", "ipvlan", "flannel", "calico", "cilium-cni", "tap"];

/// Whether the call makes an interface.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    subject.is_call()
        && subject.verb == Verb::Add
        && !subject.is_chained()
        && MAKERS.contains(&subject.plugin.as_str())
}

/// Looks for `CNI_IFNAME` in the sandbox.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let ifname = subject.ifname.as_str();
    if subject.netns.as_os_str().is_empty() || ifname.is_empty() {
        return Finding::skipped("CNI_NETNS or CNI_IFNAME is empty");
    }
    // The details are asked for only where there are any: this is on the path of every good call.
    let found = match netns::has_interface(&subject.netns, ifname) {
        Ok(false) => Ok(None),
        Ok(true) => node.link(ifname, Some(&subject.netns)).map_err(|error| error.to_string()),
        Err(errno) => Err(format!("{}: {}", subject.netns.display(), errno_text(errno))),
    };
    match found {
        Ok(link) => judge(link.as_ref(), ifname).with("ifname", ifname),
        Err(why) => Finding::skipped(why),
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
    use super::super::subject::Origin;
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
    fn a_sandbox_that_cannot_be_looked_into_is_skipped_with_the_reason() {
        let table = [
            ("", "eth0", "CNI_NETNS or CNI_IFNAME is empty"),
            ("/nowhere", "", "CNI_NETNS or CNI_IFNAME is empty"),
            ("/nowhere", "eth0", "/nowhere: no such file or directory"),
        ];
        for (netns, ifname, why) in table {
            let subject = Subject { netns: netns.into(), ifname: ifname.into(), ..Subject::default() };
            assert_eq!(look(&Node::this(), &subject, Depth::Full), Finding::skipped(why));
        }
    }

    #[test]
    fn only_plugins_that_make_it_are_looked_at() {
        let subject = |plugin: &str, config| Subject { plugin: plugin.into(), config, ..Subject::default() };
        assert!(fits(&subject("bridge", json!({}))));
        assert!(!fits(&subject("bridge", json!({"prevResult": {}}))));
        assert!(!fits(&subject("loopback", json!({}))));
        let entry = Origin::Entry { file: "/x.conf".into(), is_wrapped: false };
        assert!(!fits(&Subject { origin: entry, ..subject("bridge", json!({})) }));
        assert!(!fits(&Subject { verb: Verb::Del, ..subject("bridge", json!({})) }));
    }
}
