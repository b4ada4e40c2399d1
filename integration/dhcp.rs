//! Addresses from a DHCP server, through the daemon that the plugin `dhcp` talks to.

use std::path::Path;

use serde_json::json;

use crate::network::Network;
use crate::support::eventually;
use crate::world::{PLUGINS, World};

/// Where the server's files are: it writes down times.
const LEASES: &str = "/etc/udhcpd.leases";
/// Where the daemon listens.
const SOCKET: &str = "/run/cni/dhcp.sock";
const CONFIGURATION: &str = "/etc/udhcpd.conf";

/// The Pod's interface has the same address every time: a lease whose release is lost is given again.
fn network() -> Network {
    let bridge =
        json!({"type": "bridge", "bridge": "lan0", "capabilities": {"mac": true}, "ipam": {"type": "dhcp"}});
    Network::of(json!([bridge])).capabilities(json!({"mac": "02:00:0a:07:00:32"}))
}

/// A server that has one address to give, on the bridge that the Pod is to join.
fn server(world: &World) {
    world.sh("ip link add lan0 type bridge; ip address add 10.7.0.1/24 dev lan0; ip link set lan0 up");
    world.write(LEASES, "");
    world.write(
        CONFIGURATION,
        &format!(
            "start 10.7.0.50\nend 10.7.0.50\ninterface lan0\nlease_file {LEASES}\npidfile /etc/udhcpd.pid\n\
             option subnet 255.255.255.0\noption router 10.7.0.1\noption lease 3600\n"
        ),
    );
    world.serve("/bin/busybox", &["udhcpd", "-f", "-a", "1", CONFIGURATION]);
    // Port 67.
    eventually(|| world.sh("cat /proc/net/udp").contains(":0043 ").then_some(()));
}

fn daemon(world: &World) {
    world.serve(&format!("{PLUGINS}/dhcp"), &["daemon", "-timeout", "1s"]);
    eventually(|| world.inside(|| Path::new(SOCKET).exists()).then_some(()));
}

#[test]
fn bridge_with_dhcp() {
    let both = |world: &World| {
        server(world);
        daemon(world);
    };
    network().prepared(both).is_the_same(|version, steps| {
        assert!(
            steps[1].stdout.contains("10.7.0.50/24"),
            "{version}: {} {}",
            steps[1].stdout,
            steps[1].stderr
        );
    });
}

#[test]
fn dhcp_without_its_daemon() {
    network().prepared(server).is_the_same(|version, steps| {
        let text = "plugin type=\"bridge\" failed (add): error dialing DHCP daemon: \
                    dial unix /run/cni/dhcp.sock: connect: no such file or directory\n";
        assert_eq!((steps[1].status, steps[1].stderr.as_str()), (1, text), "{version}");
    });
}
