//! What the kernel's routing and forwarding go by, whole: routes of all tables, rules that choose a table, neighbours, and the
//! forwarding entries of bridges and tunnels. For people and for other tools; what a check needs is asked for where it is.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteMetric, RouteNextHop};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};
use serde::Serialize;

use super::Node;
use super::route_socket::{LinkError, RouteSocket, address_of, gateway_in};

/// Both families of addresses.
const FAMILIES: [(AddressFamily, &str); 2] = [(AddressFamily::Inet, "inet"), (AddressFamily::Inet6, "inet6")];

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Of both families and all tables.
    pub routes: Vec<RouteRow>,
    /// Of both families, in the kernel's order.
    pub rules: Vec<RuleRow>,
    /// Of ARP and NDP.
    pub neighbours: Vec<NeighbourRow>,
    /// Of bridges and tunnels.
    pub forwarding: Vec<NeighbourRow>,
}

/// A route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RouteRow {
    /// Where to, with the length of its prefix.
    pub to: String,
    /// What becomes of a packet, such as `unicast` or `blackhole`.
    pub kind: String,
    /// The number of its table; 254 is the main one.
    pub table: u32,
    /// The index of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<u32>,
    /// Who on the link takes it further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The address that packets get as their source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The lower one is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// The MTU that the route itself sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Who has made it, such as `kernel` or `bird`.
    pub protocol: String,
    /// Where there are several ways, the link of each and its gateway.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<(u32, Option<IpAddr>)>,
}

/// A rule that chooses a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// `inet` or `inet6`.
    pub family: &'static str,
    /// The lower one is asked first.
    pub priority: u32,
    /// What it does, such as `totable`.
    pub action: String,
    /// The number of the table.
    pub table: u32,
    /// What it is about: source, destination, mark, links, in words.
    pub about: Vec<String>,
}

/// An address and who has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NeighbourRow {
    /// The index of the link.
    pub link: u32,
    /// The address; of a tunnel's forwarding entry, that of the other node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The Ethernet address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Such as `permanent` or `failed`.
    pub state: String,
    /// The index of the bridge that has learned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<u32>,
}

impl Node {
    /// All of it, in this process' own network namespace.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn tables(&self) -> Result<Tables, LinkError> {
        let socket = RouteSocket::open(None)?;
        let mut tables = Tables::default();
        for (family, name) in FAMILIES {
            tables.routes.extend(socket.routes(family)?.iter().map(route_row));
            tables.rules.extend(socket.rules(family)?.iter().map(|rule| rule_row(rule, name)));
            tables.neighbours.extend(socket.neighbours(family)?.iter().map(neighbour_row));
        }
        tables.forwarding = socket.neighbours(AddressFamily::Bridge)?.iter().map(neighbour_row).collect();
        Ok(tables)
    }
}

fn word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_ascii_lowercase()
}

fn route_row(route: &RouteMessage) -> RouteRow {
    let header = &route.header;
    let mut row = RouteRow {
        to: "default".to_owned(),
        kind: word(&header.kind),
        table: u32::from(header.table),
        protocol: header.protocol.to_string(),
        ..RouteRow::default()
    };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(address) => {
                let shown = address_of(address)
                    .map(|address| format!("{address}/{}", header.destination_prefix_length));
                row.to = shown.unwrap_or_default();
            }
            RouteAttribute::Oif(index) => row.link = Some(*index),
            RouteAttribute::Gateway(address) => row.gateway = address_of(address),
            RouteAttribute::PrefSource(address) => row.source = address_of(address),
            RouteAttribute::Priority(metric) => row.metric = Some(*metric),
            // The header has room for the small numbers only.
            RouteAttribute::Table(table) => row.table = *table,
            RouteAttribute::Metrics(metrics) => {
                row.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            RouteAttribute::MultiPath(hops) => row.hops = hops.iter().map(hop).collect(),
            _ => {}
        }
    }
    row
}

fn hop(hop: &RouteNextHop) -> (u32, Option<IpAddr>) {
    (hop.interface_index, gateway_in(&hop.attributes))
}

fn rule_row(rule: &RuleMessage, family: &'static str) -> RuleRow {
    let header = &rule.header;
    let mut row = RuleRow {
        family,
        action: word(&header.action),
        table: u32::from(header.table),
        ..RuleRow::default()
    };
    for attribute in &rule.attributes {
        let about = match attribute {
            RuleAttribute::Priority(priority) => {
                row.priority = *priority;
                continue;
            }
            RuleAttribute::Table(table) => {
                row.table = *table;
                continue;
            }
            RuleAttribute::Source(address) => format!("from {address}/{}", header.src_len),
            RuleAttribute::Destination(address) => format!("to {address}/{}", header.dst_len),
            RuleAttribute::FwMark(mark) => format!("fwmark {mark:#x}"),
            RuleAttribute::FwMask(mask) => format!("mask {mask:#x}"),
            RuleAttribute::Iifname(name) => format!("iif {name}"),
            RuleAttribute::Oifname(name) => format!("oif {name}"),
            RuleAttribute::Goto(priority) => format!("goto {priority}"),
            RuleAttribute::SuppressPrefixLen(u32::MAX) | RuleAttribute::SuppressIfGroup(u32::MAX) => continue,
            RuleAttribute::SuppressPrefixLen(length) => format!("suppress prefix length {length}"),
            _ => continue,
        };
        row.about.push(about);
    }
    row
}

fn neighbour_row(neighbour: &NeighbourMessage) -> NeighbourRow {
    let mut row = NeighbourRow {
        link: neighbour.header.ifindex,
        state: neighbour.header.state.to_string(),
        ..NeighbourRow::default()
    };
    for attribute in &neighbour.attributes {
        match attribute {
            NeighbourAttribute::Destination(address) => {
                row.address = match address {
                    NeighbourAddress::Inet(address) => Some(IpAddr::V4(*address)),
                    NeighbourAddress::Inet6(address) => Some(IpAddr::V6(*address)),
                    NeighbourAddress::Other(bytes) => super::tunnels::address(bytes),
                    _ => None,
                };
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                row.mac = Some(digits.join(":"));
            }
            NeighbourAttribute::Controller(index) => row.bridge = Some(*index),
            _ => {}
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::route::RouteAddress;

    use super::*;

    #[test]
    fn the_loopback_has_its_route_and_the_local_table_its_rule() {
        let tables = Node::this().tables().unwrap();
        let loopback = tables.routes.iter().find(|route| route.to == "127.0.0.1/32").unwrap();
        assert_eq!((loopback.kind.as_str(), loopback.table, loopback.link), ("local", 255, Some(1)));
        let local = RuleRow { family: "inet", action: "totable".into(), table: 255, ..RuleRow::default() };
        assert!(tables.rules.contains(&local), "{:?}", tables.rules);
    }

    #[test]
    fn a_route_is_read_with_all_its_ways() {
        let address = |text: &str| RouteAddress::Inet(text.parse().unwrap());
        let mut route = RouteMessage::default();
        route.header.destination_prefix_length = 24;
        route.header.table = 252;
        let mut hop = RouteNextHop::default();
        hop.interface_index = 7;
        hop.attributes = vec![RouteAttribute::Gateway(address("10.0.0.1"))];
        route.attributes = vec![
            RouteAttribute::Destination(address("10.244.1.0")),
            RouteAttribute::Table(1000),
            RouteAttribute::Metrics(vec![RouteMetric::Mtu(1400)]),
            RouteAttribute::MultiPath(vec![hop]),
        ];
        let expected = RouteRow {
            to: "10.244.1.0/24".into(),
            kind: "unspec".into(),
            table: 1000,
            mtu: Some(1400),
            protocol: route_row(&route).protocol,
            hops: vec![(7, Some("10.0.0.1".parse().unwrap()))],
            ..RouteRow::default()
        };
        assert_eq!(route_row(&route), expected);
    }
}
