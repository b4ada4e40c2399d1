//! `bridge`: what stands under the bridge's name (`plugins/main/bridge/bridge.go`).

use ipnetwork::IpNetwork;
use serde_json::Value;

use super::Depth;
use super::ranges;
use super::subject::Subject;
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::links::Link;

/// How many ports a bridge holds (`BR_MAX_PORTS` in the kernel's net/bridge/br_private.h, less the bridge itself).
const MAX_PORTS: usize = 1023;

/// What the configuration wants of the bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    name: String,
    /// For each range set the gateways that an address of it may bring; empty where the bridge is to have no address.
    gateways: Vec<Vec<IpNetwork>>,
    /// A foreign address is removed by the plugin.
    force_address: bool,
    mtu: Option<u64>,
}

/// Whether the call makes or uses a bridge.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    subject.verb == Verb::Add && !subject.is_chained() && subject.bridge().is_some()
}

/// Looks at the bridge.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let config = match subject.effective_config(node) {
        Ok(config) => config,
        Err(why) => return Finding::skipped(why),
    };
    let wanted = wanted(&config, subject.bridge().unwrap_or_default());
    let link = match node.link(&wanted.name, None) {
        Ok(link) => link,
        Err(error) => return Finding::skipped(error.to_string()),
    };
    // Counting means asking for every link: not on the path of a good call.
    let ports = match (&link, depth) {
        (Some(link), Depth::Full) => node.count_ports(link.index).ok(),
        _ => None,
    };
    judge(&wanted, link.as_ref(), ports)
}

fn wanted(config: &Value, name: String) -> Wanted {
    let on = |key: &str| config[key].as_bool() == Some(true);
    let gateways = if on("isGateway") || on("isDefaultGateway") {
        let sets = ranges::of_config(config).unwrap_or_default();
        sets.iter().map(|set| set.0.iter().filter_map(ranges::Range::gateway_network).collect()).collect()
    } else {
        Vec::new()
    };
    Wanted {
        name,
        gateways,
        force_address: on("forceAddress"),
        mtu: config["mtu"].as_u64().filter(|mtu| *mtu > 0),
    }
}

fn judge(wanted: &Wanted, link: Option<&Link>, ports: Option<usize>) -> Finding {
    let name = &wanted.name;
    let Some(link) = link else {
        return Finding::ok(format!("{name} does not exist yet: the plugin makes it"))
            .with("bridge", name.as_str());
    };
    let kind = link.kind.as_deref().unwrap_or("physical interface");
    let finding = if kind == "bridge" { judge_bridge(wanted, link, ports) } else { wrong_kind(name, kind) };
    let mut finding = finding
        .with("bridge", name.as_str())
        .with("kind", kind)
        .with("up", link.up)
        .with("mtu", link.mtu)
        .with("addresses", shown(&link.addresses));
    if let Some(ports) = ports {
        finding = finding.with("ports", ports);
    }
    finding
}

fn wrong_kind(name: &str, kind: &str) -> Finding {
    Finding::fail(Cause::BridgeWrongKind, format!("{name} is no bridge but a {kind}"))
        .fix(format!("give the network another bridge name than {name}"))
        .fix(format!(
            "or rename the {kind}: ip link set dev {name} down && ip link set dev {name} name {name}-old"
        ))
}

fn judge_bridge(wanted: &Wanted, link: &Link, ports: Option<usize>) -> Finding {
    let name = &wanted.name;
    if ports.is_some_and(|ports| ports >= MAX_PORTS) {
        return Finding::fail(
            Cause::BridgeWrongKind,
            format!("{name} has {MAX_PORTS} ports, the most that a bridge can have"),
        )
        .fix("spread the Pods over more nodes, or over a second network with a bridge of its own");
    }
    for gateways in &wanted.gateways {
        if wanted.force_address {
            break;
        }
        if let Some(foreign) = foreign_address(gateways, &link.addresses) {
            let expected = shown(gateways).join(" or ");
            return Finding::fail(
                Cause::BridgeAddressConflict,
                format!("{name} has another address than the network's gateway {expected}"),
            )
            .with("foreign", foreign.to_string())
            .with("expected", shown(gateways))
            .fix(format!("take the foreign address off {name}, or give the network the subnet that {name} has"))
            .fix(format!("destructive: ip address delete {foreign} dev {name} (Pods of the network that owns it lose their gateway)"));
        }
    }
    // Without ports a bridge falls back to 1500, and takes the MTU of the first port that joins (net/bridge/br_if.c).
    if let Some(mtu) = wanted.mtu.filter(|mtu| link.carrier && *mtu != u64::from(link.mtu)) {
        return Finding::warn(format!("{name} has MTU {}, the configuration asks for {mtu}", link.mtu));
    }
    Finding::ok(format!("{name} is a bridge that fits the network"))
}

/// The address that the plugin would trip over: of IPv4 the first one, of IPv6 the first that overlaps.
fn foreign_address(gateways: &[IpNetwork], addresses: &[IpNetwork]) -> Option<IpNetwork> {
    let family = gateways.first()?.is_ipv4();
    let same_family = addresses.iter().filter(|address| address.is_ipv4() == family);
    for address in same_family {
        if gateways.contains(address) {
            return None;
        }
        let overlaps =
            gateways.iter().any(|gateway| gateway.contains(address.ip()) || address.contains(gateway.ip()));
        if family || overlaps {
            return Some(*address);
        }
    }
    None
}

fn shown(addresses: &[IpNetwork]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;

    fn bridge(addresses: &[&str]) -> Link {
        Link {
            name: "cni0".into(),
            kind: Some("bridge".into()),
            up: true,
            carrier: true,
            mtu: 1500,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            ..Link::default()
        }
    }

    fn gateway() -> Wanted {
        let config = json!({"isGateway": true, "ipam": {"ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:1::/64"}]]}});
        wanted(&config, "cni0".into())
    }

    #[test]
    fn states_of_a_bridge() {
        let conflict = Some(Cause::BridgeAddressConflict);
        let wrong = Some(Cause::BridgeWrongKind);
        let veth = Link { kind: Some("veth".into()), ..bridge(&[]) };
        let empty = Link { carrier: false, ..bridge(&[]) };
        let physical = Link { kind: None, ..bridge(&[]) };
        let fits = "cni0 is a bridge that fits the network";
        let another = "cni0 has another address than the network's gateway 10.244.1.1/24";
        let forced = Wanted { force_address: true, ..gateway() };
        let plain = Wanted { gateways: Vec::new(), ..gateway() };
        let table = [
            (gateway(), None, None, Status::Ok, None, "cni0 does not exist yet: the plugin makes it"),
            (gateway(), Some(bridge(&[])), None, Status::Ok, None, fits),
            (gateway(), Some(bridge(&["10.244.1.1/24", "10.9.0.1/24"])), None, Status::Ok, None, fits),
            (
                gateway(),
                Some(bridge(&["10.9.0.1/24", "10.244.1.1/24"])),
                None,
                Status::Fail,
                conflict,
                another,
            ),
            (gateway(), Some(bridge(&["10.244.1.1/16"])), None, Status::Fail, conflict, another),
            (gateway(), Some(bridge(&["fe80::1/64", "fd00:2::1/64"])), None, Status::Ok, None, fits),
            (
                gateway(),
                Some(bridge(&["fd00:1::9/64"])),
                None,
                Status::Fail,
                conflict,
                "cni0 has another address than the network's gateway fd00:1::1/64",
            ),
            (forced, Some(bridge(&["10.9.0.1/24"])), None, Status::Ok, None, fits),
            (plain, Some(bridge(&["10.9.0.1/24"])), None, Status::Ok, None, fits),
            (gateway(), Some(veth), None, Status::Fail, wrong, "cni0 is no bridge but a veth"),
            (
                gateway(),
                Some(physical),
                None,
                Status::Fail,
                wrong,
                "cni0 is no bridge but a physical interface",
            ),
            (gateway(), Some(bridge(&[])), Some(1022), Status::Ok, None, fits),
            (
                gateway(),
                Some(bridge(&[])),
                Some(1023),
                Status::Fail,
                wrong,
                "cni0 has 1023 ports, the most that a bridge can have",
            ),
            (
                Wanted { mtu: Some(1450), ..gateway() },
                Some(bridge(&[])),
                None,
                Status::Warn,
                None,
                "cni0 has MTU 1500, the configuration asks for 1450",
            ),
            (Wanted { mtu: Some(1450), ..gateway() }, Some(empty), None, Status::Ok, None, fits),
        ];
        for (wanted, link, ports, status, cause, summary) in table {
            let finding = judge(&wanted, link.as_ref(), ports);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn the_foreign_address_stands_in_the_evidence_and_not_in_the_summary() {
        let finding = judge(&gateway(), Some(&bridge(&["10.9.0.1/24"])), Some(3));
        assert_eq!(
            json!(finding.evidence),
            json!({
                "foreign": "10.9.0.1/24", "expected": ["10.244.1.1/24"], "bridge": "cni0", "kind": "bridge", "up": true,
                "mtu": 1500, "addresses": ["10.9.0.1/24"], "ports": 3,
            })
        );
        assert!(!finding.summary.contains("10.9.0.1") && !finding.fix[0].contains("10.9.0.1"));
    }
}
