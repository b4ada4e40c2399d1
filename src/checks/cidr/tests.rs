//! Nodes whose networks overlap, and nodes whose do not.

use super::*;
use crate::diagnosis::finding::Status;

fn network(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn link(name: &str, kind: Option<&str>, address: &str) -> Link {
    Link {
        name: name.into(),
        kind: kind.map(str::to_owned),
        addresses: vec![network(address)],
        ..Link::default()
    }
}

fn route(destination: &str, link: &str) -> Route {
    Route { destination: network(destination), link: link.into() }
}

/// A node of a flannel cluster as it should be.
fn healthy() -> Facts {
    Facts {
        own: vec![network("10.244.1.0/24")],
        cluster: vec![network("10.244.1.0/24"), network("10.244.0.0/16")],
        bridge: Some("cni0".into()),
        links: vec![
            link("lo", None, "127.0.0.1/8"),
            link("eth0", None, "192.168.7.5/24"),
            link("cni0", Some("bridge"), "10.244.1.1/24"),
            link("flannel.1", Some("vxlan"), "10.244.1.0/32"),
            link("kube-ipvs0", Some("dummy"), "10.96.0.1/32"),
            link("docker0", Some("bridge"), "172.17.0.1/16"),
            link("veth1", Some("veth"), "10.244.1.1/24"),
        ],
        routes: vec![
            route("0.0.0.0/0", "eth0"),
            route("10.0.0.0/8", "eth0"),
            route("10.244.1.0/24", "cni0"),
            route("10.244.2.0/24", "flannel.1"),
            route("10.244.3.0/24", "eth0"),
            route("10.244.1.7/32", "veth1"),
            route("10.244.1.128/25", "gone"),
        ],
        services: vec![network("10.96.0.0/12")],
        room: Some((253, 110)),
    }
}

#[test]
fn states_of_the_subnets() {
    let with = |extra: Link| {
        let mut facts = healthy();
        facts.links.push(extra);
        facts
    };
    let through = |destination: &str| {
        let mut facts = healthy();
        facts.routes.push(route(destination, "docker0"));
        facts
    };
    let conflict = Some(Cause::RouteConflict);
    let unreachable = Some(Cause::ApiserverUnreachable);
    let well = "the network's subnets overlap nothing that this node knows";
    let another = |subnet: &str| {
        format!(
            "the network's subnet {subnet} overlaps one in which another link of this node has an address"
        )
    };
    let elsewhere = "a route of this node leads addresses of the network's subnet 10.244.1.0/24 elsewhere";
    let table = [
        (healthy(), Status::Ok, None, well.to_owned()),
        (
            with(link("br1", Some("bridge"), "10.244.1.1/24")),
            Status::Warn,
            conflict,
            another("10.244.1.0/24"),
        ),
        (with(link("eth1", None, "10.244.9.9/24")), Status::Warn, conflict, another("10.244.0.0/16")),
        (with(link("eth1", None, "10.0.0.9/8")), Status::Ok, None, well.to_owned()),
        (with(link("br1", Some("bridge"), "10.0.0.1/8")), Status::Warn, conflict, another("10.244.1.0/24")),
        (through("10.244.1.0/24"), Status::Warn, conflict, elsewhere.to_owned()),
        (through("10.244.1.64/26"), Status::Warn, conflict, elsewhere.to_owned()),
        (through("10.244.0.0/16"), Status::Ok, None, well.to_owned()),
        (
            Facts { services: vec![network("10.244.0.10/32")], ..healthy() },
            Status::Warn,
            unreachable,
            "the network's subnet 10.244.0.0/16 overlaps the cluster's Services (10.244.0.10/32)".into(),
        ),
        (
            Facts { services: vec![network("192.168.7.128/25")], ..healthy() },
            Status::Ok,
            None,
            well.to_owned(),
        ),
        (
            Facts { services: vec![network("192.168.0.0/16")], ..healthy() },
            Status::Warn,
            unreachable,
            "a subnet in which this node has an address overlaps the cluster's Services".into(),
        ),
        (
            Facts { room: Some((61, 110)), ..healthy() },
            Status::Warn,
            Some(Cause::IpamExhausted),
            "the node has 61 addresses for Pods, but the kubelet takes up to 110 Pods".into(),
        ),
        (Facts { room: Some((110, 110)), ..healthy() }, Status::Ok, None, well.to_owned()),
        (
            Facts::default(),
            Status::Skipped,
            None,
            "which subnets the network has does not stand in its configuration".into(),
        ),
    ];
    for (facts, status, cause, summary) in table {
        let finding = judge(&facts);
        assert_eq!((finding.status, finding.cause, finding.summary), (status, cause, summary));
    }
}

#[test]
fn the_other_link_stands_in_the_evidence_and_not_in_what_tenants_read() {
    let mut facts = healthy();
    facts.links.push(link("secret1", Some("bridge"), "10.244.1.1/26"));
    let finding = judge(&facts);
    assert_eq!(
        json!(finding.evidence),
        json!({
            "overlaps": {"link": "secret1", "address": "10.244.1.1/26"}, "subnets": ["10.244.1.0/24", "10.244.0.0/16"],
            "services": ["10.96.0.0/12"], "addresses": 253, "most_pods": 110,
        })
    );
    assert!(!finding.summary.contains("secret1") && !finding.fix[0].contains("secret1"));
}

#[test]
fn only_what_routes_a_subnet_of_the_node_is_looked_at() {
    let of =
        |plugin: &str, config: Value| fits(&Subject { plugin: plugin.into(), config, ..Subject::default() });
    let table = [
        ("bridge", json!({"isGateway": true}), true),
        ("bridge", json!({}), false),
        ("ptp", json!({}), true),
        ("flannel", json!({}), true),
        ("macvlan", json!({}), false),
        ("portmap", json!({}), false),
    ];
    for (plugin, config, expected) in table {
        assert_eq!(of(plugin, config.clone()), expected, "{plugin} {config}");
    }
}

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn looked(root: &Path, plugin: &str, config: Value, links: &[Link]) -> (Status, String) {
    let origin = Origin::Entry { file: "/etc/cni/net.d/10-a.conflist".into(), is_wrapped: false };
    let subject = Subject { origin, plugin: plugin.into(), config, ..Subject::default() };
    let finding = look(&Node::at(root).with_links(links), &subject, Depth::Full);
    (finding.status, finding.summary)
}

#[test]
fn facts_are_gathered_below_the_root_and_from_its_links() {
    let root = tempfile::tempdir().unwrap();
    let flannel = || json!({"name": "cbr0"});
    let eth0 = [link("eth0", None, "192.168.7.5/24")];
    assert_eq!(
        looked(root.path(), "flannel", flannel(), &eth0),
        (Status::Skipped, "/run/flannel/subnet.env: no such file or directory".into())
    );
    put(
        root.path(),
        "run/flannel/subnet.env",
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/26\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
    );
    assert_eq!(looked(root.path(), "flannel", flannel(), &eth0).0, Status::Ok);
    let eth1 = [link("eth1", None, "10.244.77.5/24")];
    assert_eq!(
        looked(root.path(), "flannel", flannel(), &eth1).1,
        "the network's subnet 10.244.0.0/16 overlaps one in which another link of this node has an address"
    );
    put(root.path(), "var/lib/kubelet/config.yaml", "maxPods: 110\n");
    assert_eq!(
        looked(root.path(), "flannel", flannel(), &eth0).1,
        "the node has 61 addresses for Pods, but the kubelet takes up to 110 Pods"
    );
    let calico = json!({"ipam": {"type": "calico-ipam", "ipv4_pools": ["192.168.0.0/16", "named"]}});
    assert_eq!(
        looked(root.path(), "calico", calico, &eth0).1,
        "the network's subnet 192.168.0.0/16 overlaps one in which another link of this node has an address"
    );
}

#[test]
fn absurd_files_are_no_networks() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("var/lib/kubelet/config.yaml")).unwrap();
    std::fs::create_dir_all(root.path().join("proc/net/route")).unwrap();
    put(
        root.path(),
        "etc/kubernetes/manifests/kube-apiserver.yaml",
        "--service-cluster-ip-range=\u{0}/99,\n",
    );
    let config = json!({"isGateway": true, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}});
    assert_eq!(looked(root.path(), "bridge", config, &[]).0, Status::Ok);
    let config = json!({"ipam": {"type": "host-local", "subnet": "10.1.0.0/99"}});
    assert_eq!(looked(root.path(), "bridge", config, &[]).0, Status::Skipped);
}
