//! VLANs on the bridge: whether it keeps them apart, and whether their gateway is on it.

use super::Facts;
use crate::diagnosis::finding::Finding;
use crate::node::links::Link;

/// What is wrong. The plugin sees none of it: it takes the bridge and the gateway's link as it finds them (`ensureBridge`,
/// `ensureVlanInterface`).
pub(super) fn fault(facts: &Facts) -> Option<Finding> {
    let bridge = facts.links.bridge.as_ref();
    let unfiltered = bridge.filter(|bridge| facts.wanted.has_vlans && bridge.filters_vlans == Some(false));
    unfiltered.map(|bridge| together(&bridge.name)).or_else(|| aside(facts, bridge))
}

fn together(name: &str) -> Finding {
    Finding::warn(format!("{name} does not keep one VLAN from another: it was made without vlan_filtering")).fix(format!(
        "when nothing else sends tagged packets through it: ip link set dev {name} type bridge vlan_filtering 1"
    ))
}

/// The gateway's link is one end of a pair whose other one has to be a port of the bridge; it stays behind where somebody
/// deletes the bridge, and the plugin makes a new one.
fn aside(facts: &Facts, bridge: Option<&Link>) -> Option<Finding> {
    let port = facts.links.port_of_gateways.as_ref()?;
    if port.controller.is_some() && port.controller == bridge.map(|bridge| bridge.index) {
        return None;
    }
    let (name, link, port) = (&facts.wanted.name, &facts.wanted.gateway_link, &port.name);
    let vlan = link.strip_prefix(name.as_str())?.strip_prefix('.')?;
    Some(
        Finding::warn(format!("{link} is not on the bridge {name}: its Pods do not reach their gateway"))
            .with("port", port.as_str())
            .fix(format!(
                "ip link set {port} master {name} && bridge vlan add vid {vlan} dev {port} pvid untagged"
            ))
            .fix(format!("destructive: ip link delete {link} (the plugin makes it again with the next Pod)")),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Links, Wanted};
    use super::*;

    fn facts(filters_vlans: Option<bool>, port: Option<u32>) -> Facts {
        let wanted = Wanted {
            name: "cni0".into(),
            gateway_link: "cni0.100".into(),
            has_vlans: true,
            ..Wanted::default()
        };
        let bridge = Link { index: 7, name: "cni0".into(), filters_vlans, ..Link::default() };
        let port = Link { name: "veth0a1b2c3d".into(), controller: port, ..Link::default() };
        let links = Links { bridge: Some(bridge), of_gateways: None, port_of_gateways: Some(port) };
        Facts { wanted, links, ..Facts::default() }
    }

    #[test]
    fn states_of_a_vlan() {
        let aside = Some("cni0.100 is not on the bridge cni0: its Pods do not reach their gateway");
        let together = Some("cni0 does not keep one VLAN from another: it was made without vlan_filtering");
        let whole = || facts(Some(true), Some(7));
        let no_vlan = |mut facts: Facts| {
            facts.wanted.has_vlans = false;
            facts
        };
        let gone = |mut facts: Facts| {
            facts.links.bridge = None;
            facts
        };
        let unseen = |mut facts: Facts| {
            facts.links.port_of_gateways = None;
            facts
        };
        let table = [
            (whole(), None),
            (facts(Some(false), Some(7)), together),
            (no_vlan(facts(Some(false), Some(7))), None),
            (facts(None, Some(7)), None),
            (facts(Some(true), None), aside),
            (facts(Some(true), Some(8)), aside),
            (gone(facts(Some(true), None)), aside),
            (unseen(whole()), None),
        ];
        for (facts, expected) in table {
            let found = fault(&facts);
            assert_eq!(found.as_ref().map(|finding| finding.summary.as_str()), expected, "{facts:?}");
        }
        assert_eq!(
            fault(&facts(Some(true), None)).unwrap().fix[0],
            "ip link set veth0a1b2c3d master cni0 && bridge vlan add vid 100 dev veth0a1b2c3d pvid untagged"
        );
    }
}
