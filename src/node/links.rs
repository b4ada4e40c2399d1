//! Network links and their addresses, read from the kernel with rtnetlink.

use std::net::IpAddr;
use std::path::Path;

use ipnetwork::IpNetwork;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};

use super::Node;
pub use super::route_socket::LinkError;
use super::route_socket::RouteSocket;

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its kind, such as `bridge` or `veth`; a physical interface has none.
    pub kind: Option<String>,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it has a carrier; a bridge has one while a port of it has.
    pub carrier: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The index of the bridge or bond that it is a port of.
    pub controller: Option<u32>,
    /// The index of the link that it sends through: a vxlan's underlay, the parent of a vlan or macvlan.
    pub lower: Option<u32>,
    /// The UDP port of a vxlan.
    pub port: Option<u16>,
    /// Whether a bridge keeps VLANs apart.
    pub filters_vlans: Option<bool>,
    /// Its hardware address; empty where it has none.
    pub mac: Vec<u8>,
    /// Whether IPv4 packets that come in by it are forwarded. Unknown of one that has nothing to do with IPv4.
    pub forwards_ipv4: Option<bool>,
    /// Whether the link that it belongs to, such as the other end of a veth, is in another network namespace.
    pub peer_is_elsewhere: bool,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<IpNetwork>,
}

impl Node {
    /// The link of this name with its addresses, in the network namespace at `netns`, or else in this process' own.
    /// `None` if there is none of this name.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn link(&self, name: &str, netns: Option<&Path>) -> Result<Option<Link>, LinkError> {
        if let (Some(links), None) = (&self.snapshot, netns) {
            return Ok(links.iter().find(|link| link.name == name).cloned());
        }
        by_name(&RouteSocket::open(netns)?, name)
    }

    /// All links with their addresses, in this process' own network namespace.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn links(&self) -> Result<Vec<Link>, LinkError> {
        if let Some(links) = &self.snapshot {
            return Ok(links.to_vec());
        }
        all(&RouteSocket::open(None)?)
    }

    /// How many ports the bridge of this index has.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn count_ports(&self, bridge: u32) -> Result<usize, LinkError> {
        if let Some(links) = &self.snapshot {
            return Ok(links.iter().filter(|link| link.controller == Some(bridge)).count());
        }
        let mut ports = question();
        ports.attributes.push(LinkAttribute::Controller(bridge));
        let links = RouteSocket::open(None)?.links(ports)?;
        // Kernels before 4.6 do not filter.
        Ok(links.iter().filter(|link| link.controller == Some(bridge)).count())
    }
}

impl Link {
    /// Whether it is one end of a pair.
    #[must_use]
    pub fn is_veth(&self) -> bool {
        self.kind.as_deref() == Some("veth")
    }
}

/// The link of this name with its addresses.
pub(super) fn by_name(socket: &RouteSocket, name: &str) -> Result<Option<Link>, LinkError> {
    let mut asked = question();
    asked.attributes.push(LinkAttribute::IfName(name.to_owned()));
    with_addresses(socket, asked)
}

/// The link of this index with its addresses.
pub(super) fn by_index(socket: &RouteSocket, index: u32) -> Result<Option<Link>, LinkError> {
    with_addresses(socket, of_index(index))
}

/// The link of this index, without its addresses.
pub(super) fn bare_by_index(socket: &RouteSocket, index: u32) -> Result<Option<Link>, LinkError> {
    socket.link(of_index(index))
}

/// One for links, without their statistics: nobody here reads them.
fn question() -> LinkMessage {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    question
}

fn of_index(index: u32) -> LinkMessage {
    let mut asked = question();
    asked.header.index = index;
    asked
}

fn with_addresses(socket: &RouteSocket, asked: LinkMessage) -> Result<Option<Link>, LinkError> {
    let Some(mut link) = socket.link(asked)? else { return Ok(None) };
    for (index, address) in addresses(socket, link.index)? {
        if index == link.index {
            link.addresses.push(address);
        }
    }
    Ok(Some(link))
}

/// All links with their addresses.
pub(crate) fn all(socket: &RouteSocket) -> Result<Vec<Link>, LinkError> {
    let mut found = socket.links(question())?;
    for (index, address) in addresses(socket, 0)? {
        if let Some(link) = found.iter_mut().find(|link| link.index == index) {
            link.addresses.push(address);
        }
    }
    Ok(found)
}

/// The addresses of the link of this index (0: of all), each with its link's index.
fn addresses(socket: &RouteSocket, index: u32) -> Result<Vec<(u32, IpNetwork)>, LinkError> {
    let of_link = |address: &AddressMessage| {
        Some((address.header.index, network(&address.attributes, address.header.prefix_len)?))
    };
    Ok(socket.addresses(index)?.iter().filter_map(of_link).collect())
}

/// The address with its prefix. `IFA_LOCAL` is the interface's own where both are given (rtnetlink(7)).
fn network(attributes: &[AddressAttribute], prefix: u8) -> Option<IpNetwork> {
    let local = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address: Option<IpAddr> = local.or_else(|| {
        attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    IpNetwork::new(address?, prefix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_found_and_another_name_is_not() {
        let loopback = Node::this().link("lo", None).unwrap().unwrap();
        assert_eq!((loopback.index, loopback.name.as_str(), &loopback.kind), (1, "lo", &None));
        assert_eq!(Node::this().link("no-such-link", None).unwrap(), None);
    }

    #[test]
    fn among_all_links_is_the_loopback_with_its_address() {
        let links = Node::this().links().unwrap();
        let loopback = links.iter().find(|link| link.name == "lo").unwrap();
        assert!(loopback.addresses.contains(&"127.0.0.1/8".parse().unwrap()), "{loopback:?}");
    }

    #[test]
    fn a_snapshot_stands_for_the_kernel() {
        let port = Link { index: 2, name: "veth1".into(), controller: Some(7), ..Link::default() };
        let bridge = Link { index: 7, name: "cni0".into(), ..Link::default() };
        let node = Node::this().with_links(&[port.clone(), bridge.clone()]);
        assert_eq!(node.links().unwrap(), [port, bridge.clone()]);
        assert_eq!((node.link("cni0", None).unwrap(), node.link("lo", None).unwrap()), (Some(bridge), None));
        assert_eq!((node.count_ports(7).unwrap(), node.count_ports(2).unwrap()), (1, 0));
    }

    #[test]
    fn a_netns_that_is_none_is_an_error_that_names_it() {
        let error = Node::this().link("lo", Some(Path::new("/nowhere"))).unwrap_err();
        assert_eq!(error.to_string(), "network namespace /nowhere: no such file or directory");
    }
}
