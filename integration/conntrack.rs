//! A table of connections that is really full: of connections that the kernel does not give up for new ones.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use crate::world::World;

/// How many sockets are open at a time.
const CLIENTS: usize = 500;
const FIRST_PORT: u16 = 2000;
/// How old a UDP connection with an answer has to be before the kernel takes it for one that is in use
/// (`net/netfilter/nf_conntrack_proto_udp.c`); until then it is dropped where the table is full.
const SETTLED: Duration = Duration::from_millis(2500);

/// Fills the table of the network namespace that this thread is in. Gives how many connections it holds then.
fn fill(max: usize) -> usize {
    let clients: Vec<UdpSocket> =
        (0..CLIENTS).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    // The first time they are made, and later they are in use.
    for _ in 0..2 {
        for (port, first) in (FIRST_PORT..).zip((0..max).step_by(CLIENTS)) {
            let server = (Ipv4Addr::LOCALHOST, port);
            let answering = UdpSocket::bind(server).unwrap();
            // No more than there is room for: one more would take the place of another.
            for client in clients.iter().take(max - first) {
                client.send_to(&[], server).unwrap();
                answering.send_to(&[], client.local_addr().unwrap()).unwrap();
            }
        }
        sleep(SETTLED);
    }
    number("count")
}

fn number(name: &str) -> usize {
    let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// Fills the table of a node. Gives how many connections it holds.
pub fn fill_node(world: &World) -> usize {
    // The kernel tracks where a rule asks for it.
    world.sh("nft add table ip t; nft add chain ip t c '{ type filter hook output priority 0; }'
         nft add rule ip t c ct state new counter");
    let max = world.inside(|| number("max"));
    assert_eq!(world.inside(|| fill(max)), max);
    max
}

#[test]
fn a_table_that_is_full_is_told_by_doctor() {
    let world = World::new();
    let max = fill_node(&world);
    let refused = world.inside(|| {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(&[], (Ipv4Addr::LOCALHOST, 9)).unwrap_err()
    });
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let (status, told, _) = world.cli(&["doctor", "conntrack"]).answer();
    assert_eq!(status, 1, "{told}");
    let full =
        format!("fail    conntrack  {max} of {max} connections are tracked: the kernel drops new ones\n");
    assert!(told.contains(&full), "{told}");
    assert!(told.contains("conntrack-failed: connection tracking is full or its tool fails\n"), "{told}");
}
