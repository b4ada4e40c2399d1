//! flannel, which delegates to bridge and host-local.

use serde_json::json;

use crate::network::Network;
use crate::world::World;

/// Writes what flanneld writes.
pub fn flanneld(world: &World) {
    world.write(
        "/run/flannel/subnet.env",
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
    );
}

fn network() -> Network {
    let delegate = json!({"hairpinMode": true, "isDefaultGateway": true});
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let ports = json!([{"hostPort": 8081, "containerPort": 81, "protocol": "udp"}]);
    Network::of(json!([{"type": "flannel", "delegate": delegate}, portmap]))
        .capabilities(json!({"portMappings": ports}))
}

#[test]
fn flannel_with_portmap() {
    network().prepared(flanneld).versions(&["0.3.1", "0.4.0"]).works_the_same();
}

#[test]
fn flannel_of_an_older_version_than_its_list() {
    network().prepared(flanneld).versions(&["1.0.0", "1.1.0"]).is_the_same(|version, steps| {
        let text = format!("incompatible CNI versions; config is \"{version}\", plugin supports ");
        for step in steps.iter().filter(|step| ["add", "del"].contains(&step.verb)) {
            assert!(step.status == 1 && step.stderr.contains(&text), "{}", step.stderr);
        }
    });
}

#[test]
fn flannel_without_flanneld() {
    network().versions(&["0.3.1", "0.4.0"]).is_the_same(|_, steps| {
        let text =
            "plugin type=\"flannel\" failed (add): open /run/flannel/subnet.env: no such file or directory\n";
        for step in steps.iter().filter(|step| step.verb == "add") {
            assert!(step.status == 1 && step.stderr == text, "{}", step.stderr);
        }
    });
}
