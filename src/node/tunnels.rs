//! What the kernel knows of the other nodes behind a tunnel device: routes, neighbours, and the forwarding entries that name
//! the node to which an Ethernet address belongs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage};

use super::Node;
use super::route_socket::{LinkError, RouteSocket, gateway_in};

/// An Ethernet address.
pub type Mac = Vec<u8>;

/// The other nodes behind a device. Each of them needs all three.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers {
    /// The gateways of the routes through the device.
    pub gateways: Vec<IpAddr>,
    /// The addresses whose Ethernet address was put down for good.
    pub neighbours: Vec<(IpAddr, Mac)>,
    /// The Ethernet addresses of which it is known behind which node they are, with that node's address.
    pub forwarded: Vec<(Mac, IpAddr)>,
}

impl Peers {
    /// The Ethernet address of this address.
    #[must_use]
    pub fn mac_of(&self, address: IpAddr) -> Option<&Mac> {
        self.neighbours.iter().find(|(one, _)| *one == address).map(|(_, mac)| mac)
    }

    /// The address of the node behind which an Ethernet address is.
    #[must_use]
    pub fn node_of(&self, mac: &Mac) -> Option<IpAddr> {
        self.forwarded.iter().find(|(one, _)| one == mac).map(|(_, node)| *node)
    }
}

impl Node {
    /// The other nodes behind the device of this index.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn peers_behind(&self, index: u32) -> Result<Peers, LinkError> {
        let socket = RouteSocket::open(None)?;
        let mut peers = Peers::default();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            peers.gateways.extend(socket.routes(family)?.iter().filter_map(|route| gateway(route, index)));
            for neighbour in neighbours(&socket, family, index)? {
                if neighbour.header.state == NeighbourState::Permanent {
                    peers.neighbours.extend(destination(&neighbour).zip(mac(&neighbour)));
                }
            }
        }
        for entry in neighbours(&socket, AddressFamily::Bridge, index)? {
            peers.forwarded.extend(mac(&entry).zip(destination(&entry)));
        }
        Ok(peers)
    }
}

fn neighbours(
    socket: &RouteSocket,
    family: AddressFamily,
    index: u32,
) -> Result<Vec<NeighbourMessage>, LinkError> {
    let mut found = socket.neighbours(family)?;
    found.retain(|neighbour| neighbour.header.ifindex == index);
    Ok(found)
}

/// The gateway of a route through the device.
fn gateway(route: &RouteMessage, index: u32) -> Option<IpAddr> {
    let is_through = route.attributes.contains(&RouteAttribute::Oif(index));
    if is_through { gateway_in(&route.attributes) } else { None }
}

/// The address of a neighbour; of a forwarding entry, the node's.
fn destination(neighbour: &NeighbourMessage) -> Option<IpAddr> {
    neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => address(bytes),
        _ => None,
    })
}

/// An address of either family, by its length.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    let of_4 = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let of_6 = || <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    of_4().or_else(of_6)
}

fn mac(neighbour: &NeighbourMessage) -> Option<Mac> {
    neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => Some(bytes.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_behind_the_loopback() {
        assert_eq!(Node::this().peers_behind(1).unwrap(), Peers::default());
    }

    #[test]
    fn addresses_are_read_in_both_lengths() {
        assert_eq!(address(&[192, 0, 2, 1]), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(address(&[0; 16]), Some("::".parse().unwrap()));
        assert_eq!((address(&[]), address(&[1; 6])), (None, None));
    }
}
