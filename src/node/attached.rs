//! What is attached to a sandbox: the links, addresses and default routes in its network namespace, and the node's ends
//! of them.
//!
//! Nothing of the sandbox is held open afterwards.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteMessage, RouteType};

use super::Node;
use super::links::{Link, all, bare_by_index, by_index, by_name};
use super::route_socket::{LinkError, RouteSocket, gateway_in};

/// What matters of an attachment.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Whether its default routes of IPv4 do.
    pub ipv4: bool,
    /// Whether its default routes of IPv6 do.
    pub ipv6: bool,
    /// Links of the node, by name.
    pub names: &'a [&'a str],
}

/// What there is of an attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attached {
    /// The links in the sandbox, with their addresses.
    pub inside: Vec<Link>,
    /// The default routes in the sandbox that were asked for.
    pub defaults: Vec<DefaultRoute>,
    /// The links of the node that are the other ends of those in the sandbox, or that were asked for by name; with their
    /// addresses, but for those other ends.
    pub outside: Vec<Link>,
}

/// A default route, of whichever table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Whether it is one of IPv6.
    pub is_ipv6: bool,
    /// Where it leads; `None` where it leads straight through a link.
    pub gateway: Option<IpAddr>,
}

impl Node {
    /// What there is of an attachment to the sandbox at `netns`, as far as it is asked for. Below another root than `/` the
    /// node has to be this one ([`Node::has_this_network`]).
    ///
    /// # Errors
    /// If the network namespace cannot be entered, or the kernel cannot be asked.
    pub fn attached(&self, netns: &Path, asked: &Asked<'_>) -> Result<Attached, LinkError> {
        let pod = RouteSocket::open_on(self, netns)?;
        let mut defaults = Vec::new();
        for (matters, family) in [(asked.ipv4, AddressFamily::Inet), (asked.ipv6, AddressFamily::Inet6)] {
            if matters {
                defaults.extend(default_routes(&pod, family)?);
            }
        }
        let inside = all(&pod)?;
        let outside = outside(&RouteSocket::open(None)?, &inside, asked.names)?;
        Ok(Attached { inside, defaults, outside })
    }
}

fn outside(socket: &RouteSocket, inside: &[Link], names: &[&str]) -> Result<Vec<Link>, LinkError> {
    let mut found: Vec<Link> = Vec::new();
    let peers = inside.iter().filter(|link| link.is_veth() && link.peer_is_elsewhere);
    for index in peers.filter_map(|link| link.lower) {
        found.extend(bare_by_index(socket, index)?);
    }
    for name in names.iter().collect::<BTreeSet<_>>() {
        if !found.iter().any(|link| link.name == **name) {
            found.extend(by_name(socket, name)?);
        }
    }
    let bridges: BTreeSet<u32> = found.iter().filter_map(|link| link.controller).collect();
    for index in bridges {
        if !found.iter().any(|link| link.index == index) {
            found.extend(by_index(socket, index)?);
        }
    }
    Ok(found)
}

fn default_routes(socket: &RouteSocket, family: AddressFamily) -> Result<Vec<DefaultRoute>, LinkError> {
    Ok(socket.routes(family)?.iter().filter_map(default_route).collect())
}

/// A route to everywhere. Two that lead to a half each are what VPNs make to be preferred.
fn default_route(route: &RouteMessage) -> Option<DefaultRoute> {
    if route.header.destination_prefix_length > 1 || route.header.kind != RouteType::Unicast {
        return None;
    }
    let is_ipv6 = route.header.address_family == AddressFamily::Inet6;
    Some(DefaultRoute { is_ipv6, gateway: gateway_in(&route.attributes) })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};

    use super::*;

    #[test]
    fn a_namespace_is_read_with_its_links_and_addresses() {
        let asked = Asked { ipv4: true, ipv6: true, names: &["lo", "no-such-link"] };
        let attached = Node::this().attached(Path::new("/proc/self/ns/net"), &asked).unwrap();
        let loopback = attached.inside.iter().find(|link| link.name == "lo").unwrap();
        assert!(loopback.addresses.contains(&"127.0.0.1/8".parse().unwrap()));
        // A machine that runs containers has other ends besides.
        let is_outside = |name: &str| attached.outside.iter().any(|link| link.name == name);
        assert!(is_outside("lo") && !is_outside("no-such-link"), "{attached:?}");
    }

    #[test]
    fn what_is_no_namespace_is_an_error_that_names_it() {
        let error = Node::this()
            .attached(Path::new("/nowhere"), &Asked { ipv4: true, ipv6: true, names: &[] })
            .unwrap_err();
        assert_eq!(error.to_string(), "network namespace /nowhere: no such file or directory");
    }

    #[test]
    fn default_routes_are_told_from_others() {
        let message = |prefix: u8, kind: RouteType| {
            let mut message = RouteMessage::default();
            message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(Ipv4Addr::LOCALHOST)));
            message.header.destination_prefix_length = prefix;
            message.header.kind = kind;
            message
        };
        let expected = DefaultRoute { is_ipv6: false, gateway: Some(Ipv4Addr::LOCALHOST.into()) };
        assert_eq!(default_route(&message(0, RouteType::Unicast)), Some(expected));
        assert_eq!(default_route(&message(1, RouteType::Unicast)), Some(expected));
        assert_eq!(default_route(&message(24, RouteType::Unicast)), None);
        assert_eq!(default_route(&message(0, RouteType::Unreachable)), None);
    }
}
