//! A bridge in every state.

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
        (gateway(), Some(bridge(&["10.9.0.1/24", "10.244.1.1/24"])), None, Status::Fail, conflict, another),
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
        (gateway(), Some(physical), None, Status::Fail, wrong, "cni0 is no bridge but a physical interface"),
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
        let links = Links { of_gateways: link.clone(), bridge: link, ..Links::default() };
        let finding = judge(&Facts { wanted, links, ports, others: Vec::new() });
        assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
    }
}

#[test]
fn the_foreign_address_stands_in_the_evidence_and_not_in_the_summary() {
    let foreign = Some(bridge(&["10.9.0.1/24"]));
    let links = Links { of_gateways: foreign.clone(), bridge: foreign, ..Links::default() };
    let finding = judge(&Facts { wanted: gateway(), links, ports: Some(3), others: Vec::new() });
    assert_eq!(
        json!(finding.evidence),
        json!({
            "foreign": "10.9.0.1/24", "expected": ["10.244.1.1/24"], "bridge": "cni0", "kind": "bridge", "up": true,
            "mtu": 1500, "addresses": ["10.9.0.1/24"], "ports": 3,
        })
    );
    assert!(!finding.summary.contains("10.9.0.1") && !finding.fix[0].contains("10.9.0.1"));
}

#[test]
fn with_a_vlan_the_gateway_is_on_a_link_of_its_own() {
    let config = json!({"isGateway": true, "vlan": 100, "ipam": {"subnet": "10.244.1.0/24"}});
    let wanted = wanted(&config, "cni0".into());
    let of_gateways = |address: &str| Some(Link { name: "cni0.100".into(), ..bridge(&[address]) });
    let table = [
        (None, Status::Ok, "cni0 is a bridge that fits the network"),
        (of_gateways("10.244.1.1/24"), Status::Ok, "cni0 is a bridge that fits the network"),
        (
            of_gateways("10.9.0.1/24"),
            Status::Fail,
            "cni0.100 has another address than the network's gateway 10.244.1.1/24",
        ),
    ];
    for (of_gateways, status, summary) in table {
        let links = Links { bridge: Some(bridge(&["10.7.0.1/24"])), of_gateways, ..Links::default() };
        let finding = judge(&Facts { wanted: wanted.clone(), links, ..Facts::default() });
        assert_eq!((finding.status, finding.summary.as_str()), (status, summary));
    }
}

#[test]
fn the_port_of_a_vlans_gateway_is_looked_for_at_full_depth() {
    let port = Link { index: 9, name: "veth0a1b2c3d".into(), ..Link::default() };
    let of_vlan = Link {
        name: "cni0.100".into(),
        kind: Some("veth".into()),
        lower: Some(9),
        ..bridge(&["10.244.1.1/24"])
    };
    let node = Node::this().with_links(&[bridge(&[]), of_vlan, port]);
    let config = json!({"isGateway": true, "vlan": 100, "ipam": {"subnet": "10.244.1.0/24"}});
    let subject = Subject { plugin: "bridge".into(), config, ..Subject::default() };
    let statuses = [Depth::Quick, Depth::Full].map(|depth| look(&node, &subject, depth).status);
    assert_eq!(statuses, [Status::Ok, Status::Warn]);
}

#[test]
fn each_link_is_asked_for_by_its_name() {
    let of_vlan = Link { name: "cni0.100".into(), ..bridge(&["10.9.0.1/24"]) };
    let node = Node::this().with_links(&[bridge(&["10.244.1.1/24"]), of_vlan]);
    let status = |vlan| {
        let config = json!({"isGateway": true, "vlan": vlan, "ipam": {"subnet": "10.244.1.0/24"}});
        let subject = Subject { plugin: "bridge".into(), config, ..Subject::default() };
        look(&node, &subject, Depth::Quick).status
    };
    assert_eq!(
        [status(json!(null)), status(json!(0)), status(json!(7)), status(json!(100))],
        [Status::Ok, Status::Ok, Status::Ok, Status::Fail]
    );
}

fn other(subnet: &str) -> Other {
    let config = json!({"isGateway": true, "mtu": 1400, "ipam": {"subnet": subnet}});
    Other {
        network: "old".into(),
        file: "/etc/cni/net.d/87-old.conflist".into(),
        is_beside: true,
        wanted: wanted(&config, "cni0".into()),
    }
}

#[test]
fn whose_address_is_in_the_way_is_told() {
    let link = Some(bridge(&["10.9.0.1/24"]));
    let judged = |other| {
        let links = Links { of_gateways: link.clone(), bridge: link.clone(), ..Links::default() };
        judge(&Facts { wanted: gateway(), links, ports: None, others: vec![other] })
    };
    let finding = judged(Other { is_beside: false, ..other("10.9.0.0/24") });
    assert_eq!(finding.summary, "cni0 has another address than the network's gateway 10.244.1.1/24");
    assert_eq!(
        finding.fix[1],
        "10.9.0.1/24 is the gateway of the network old in /etc/cni/net.d/87-old.conflist: give one of the two another \
         bridge name"
    );
    let evidence = &finding.evidence;
    assert_eq!([&evidence["gateway_of"], &evidence["its_file"]], ["old", "/etc/cni/net.d/87-old.conflist"]);
    let of_nobody = judged(other("10.8.0.0/24"));
    assert_eq!((of_nobody.fix.len(), of_nobody.evidence.get("gateway_of")), (2, None));
}

#[test]
fn a_network_that_shares_the_bridge_is_evidence_and_one_with_another_gateway_a_warning() {
    let clash = "the network old puts another gateway on cni0: the calls of the one that comes second fail";
    let table = [
        (
            Some(bridge(&["10.244.1.1/24"])),
            "10.244.1.0/24",
            Status::Ok,
            "cni0 is a bridge that fits the network",
        ),
        (Some(bridge(&["10.244.1.1/24"])), "10.9.0.0/24", Status::Warn, clash),
        (None, "10.244.1.0/24", Status::Ok, "cni0 does not exist yet: the plugin makes it"),
        (None, "10.9.0.0/24", Status::Warn, clash),
    ];
    for (link, subnet, status, summary) in table {
        let (wanted, links) =
            (gateway(), Links { of_gateways: link.clone(), bridge: link, ..Links::default() });
        let finding = judge(&Facts { wanted, links, ports: None, others: vec![other(subnet)] });
        assert_eq!((finding.status, finding.summary.as_str()), (status, summary));
        let shared = &finding.evidence["shared_with"][0];
        assert_eq!((&shared["network"], &shared["mtu"]), (&json!("old"), &json!(1400)));
    }
}

#[test]
fn of_a_call_other_networks_are_looked_for_where_an_address_is_in_its_way() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("etc/cni/net.d");
    std::fs::create_dir_all(&folder).unwrap();
    let list = r#"{"name": "old", "plugins": [{"type": "bridge", "isGateway": true, "ipam": {"subnet": "10.9.0.0/24"}}]}"#;
    std::fs::write(folder.join("87-old.conflist"), list).unwrap();
    let config = json!({"name": "pods", "isGateway": true, "ipam": {"subnet": "10.244.1.0/24"}});
    let subject = Subject { plugin: "bridge".into(), config, ..Subject::default() };
    let found = |address: &str, depth| {
        let node = Node::at(root.path()).with_links(&[bridge(&[address])]);
        let evidence = look(&node, &subject, depth).evidence;
        (evidence.contains_key("gateway_of"), evidence.contains_key("shared_with"))
    };
    assert_eq!(found("10.9.0.1/24", Depth::Full), (true, true));
    assert_eq!(found("10.9.0.1/24", Depth::Quick), (false, false));
    assert_eq!(found("10.244.1.1/24", Depth::Full), (false, false));
}
