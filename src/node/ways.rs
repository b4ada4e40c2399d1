//! The way that packets of this node to an address take, as the kernel decides it.

use std::net::IpAddr;

use nix::errno::Errno;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Node;
use super::route_socket::{LinkError, RouteSocket, gateway_in};

/// Where packets to an address go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The address is this node's own.
    Own,
    /// Nowhere: there is no route, or one that forbids it.
    None,
    /// Through a link.
    Through(Hop),
}

/// A route's first step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hop {
    /// The index of the link; of the first, where there are several to choose from.
    pub link: u32,
    /// Who on the link takes the packets further, if not the address itself.
    pub gateway: Option<IpAddr>,
    /// The MTU that the route itself sets.
    pub mtu: Option<u32>,
    /// Whether it is the default route.
    pub is_default: bool,
}

impl Node {
    /// The ways to these addresses, as the routes have them.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn ways_to(&self, addresses: &[IpAddr]) -> Result<Vec<Way>, LinkError> {
        ways(addresses, RouteFlags::FibMatch)
    }

    /// The path MTUs to these addresses where the kernel knows some: what routes set, or what it has learned on the way.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn path_mtus(&self, addresses: &[IpAddr]) -> Result<Vec<Option<u32>>, LinkError> {
        let mtu = |way| if let Way::Through(hop) = way { hop.mtu } else { None };
        Ok(ways(addresses, RouteFlags::empty())?.into_iter().map(mtu).collect())
    }
}

fn ways(addresses: &[IpAddr], flags: RouteFlags) -> Result<Vec<Way>, LinkError> {
    let socket = RouteSocket::open(None)?;
    let way = |address: &IpAddr| match socket.get(RouteNetlinkMessage::GetRoute(question(*address, flags))) {
        Ok(Some(RouteNetlinkMessage::NewRoute(route))) => Ok(read(&route)),
        Ok(_) => Ok(Way::None),
        Err(LinkError::Kernel(errno)) if is_no_route(errno) => Ok(Way::None),
        Err(error) => Err(error),
    };
    addresses.iter().map(way).collect()
}

fn question(address: IpAddr, flags: RouteFlags) -> RouteMessage {
    let mut asked = RouteMessage::default();
    let (family, length, to) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, 32, RouteAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(address)),
    };
    asked.header.address_family = family;
    asked.header.destination_prefix_length = length;
    asked.header.flags = flags;
    asked.attributes.push(RouteAttribute::Destination(to));
    asked
}

/// Routes that forbid are errors too: `unreachable`, `prohibit`, `blackhole`.
fn is_no_route(errno: Errno) -> bool {
    matches!(errno, Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL)
}

fn read(route: &RouteMessage) -> Way {
    match route.header.kind {
        RouteType::Local => return Way::Own,
        RouteType::Unicast => {}
        _ => return Way::None,
    }
    let mut hop = Hop { is_default: route.header.destination_prefix_length == 0, ..step(&route.attributes) };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::MultiPath(hops) if hop.link == 0 => {
                if let Some(first) = hops.first() {
                    hop.link = first.interface_index;
                    hop.gateway = step(&first.attributes).gateway;
                }
            }
            RouteAttribute::Metrics(metrics) => {
                hop.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Way::Through(hop)
}

/// The link and the gateway that are among these.
fn step(attributes: &[RouteAttribute]) -> Hop {
    let link = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    Hop { link: link.unwrap_or_default(), gateway: gateway_in(attributes), ..Hop::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_this_nodes_own() {
        let addresses = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(Node::this().ways_to(&addresses).unwrap(), [Way::Own, Way::Own]);
        assert_eq!(Node::this().path_mtus(&addresses).unwrap(), [None, None]);
    }

    #[test]
    fn a_route_is_read_with_its_first_step() {
        let gateway = "10.244.2.0".parse().unwrap();
        let mut route = RouteMessage::default();
        route.header.kind = RouteType::Unicast;
        route.header.destination_prefix_length = 24;
        route.attributes = vec![
            RouteAttribute::Oif(7),
            RouteAttribute::Gateway(RouteAddress::Inet(gateway)),
            RouteAttribute::Metrics(vec![RouteMetric::Lock(4), RouteMetric::Mtu(1400)]),
        ];
        let hop = Hop { link: 7, gateway: Some(gateway.into()), mtu: Some(1400), is_default: false };
        assert_eq!(read(&route), Way::Through(hop));
        route.header.destination_prefix_length = 0;
        assert_eq!(read(&route), Way::Through(Hop { is_default: true, ..hop }));
        route.header.kind = RouteType::BlackHole;
        assert_eq!(read(&route), Way::None);
    }
}
