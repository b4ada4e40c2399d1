//! The node's routes, as procfs lists them: IPv4's main table, and IPv6's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnetwork::{IpNetwork, Ipv4Network};

use super::Node;

/// `RTF_UP`, `RTF_REJECT` and `RTF_LOCAL` of `linux/route.h` and `linux/ipv6_route.h`.
const UP: u32 = 1;
const REJECT: u32 = 0x200;
const LOCAL: u32 = 0x8000_0000;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub destination: IpNetwork,
    /// The name of the link that it leads through.
    pub link: String,
}

impl Node {
    /// The routes that lead through a link, without those to the node itself and to groups. `None` if they cannot be read.
    #[must_use]
    pub fn routes(&self) -> Option<Vec<Route>> {
        let list = |path: &str| self.read_text(Path::new(path));
        let mut routes: Vec<Route> = list("/proc/net/route").ok()?.lines().filter_map(of_ipv4).collect();
        // A kernel without IPv6 has no such file.
        routes.extend(list("/proc/net/ipv6_route").unwrap_or_default().lines().filter_map(of_ipv6));
        Some(routes)
    }
}

/// `eth0 00004D0A 00000000 0001 0 0 0 F8FFFFFF 0 0 0`: link, destination, gateway, flags, …, mask, in the machine's order.
fn of_ipv4(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let number = |position: usize| u32::from_str_radix(fields.get(position)?, 16).ok();
    let address = |position| Some(Ipv4Addr::from(number(position)?.to_ne_bytes()));
    if number(3)? & (UP | REJECT) != UP {
        return None;
    }
    let destination = Ipv4Network::with_netmask(address(1)?, address(7)?).ok()?;
    Some(Route { destination: destination.into(), link: (*fields.first()?).to_owned() })
}

/// `fd00…00 40 …`: destination, length of the prefix, source with its own, next hop, metric, references, uses, flags, link.
fn of_ipv6(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let address = Ipv6Addr::from(u128::from_str_radix(fields.first()?, 16).ok()?);
    let prefix = u8::from_str_radix(fields.get(1)?, 16).ok()?;
    let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
    if flags & (UP | REJECT | LOCAL) != UP || address.is_multicast() {
        return None;
    }
    let destination = IpNetwork::new(IpAddr::V6(address), prefix).ok()?;
    Some(Route { destination, link: (*fields.get(9)?).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(node.routes(), None);
        let folder = root.path().join("proc/net");
        std::fs::create_dir_all(&folder).unwrap();
        let number = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let line = |link: &str, to, mask, flags: &str| {
            format!("{link}\t{}\t00000000\t{flags}\t0\t0\t0\t{}\t0\t0\t0\n", number(to), number(mask))
        };
        let ipv4 = [
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n".to_owned(),
            line("eth0", [0; 4], [0; 4], "0003"),
            line("cni0", [10, 244, 1, 0], [255, 255, 255, 0], "0001"),
            line("*", [10, 244, 2, 0], [255, 255, 255, 0], "0201"),
            line("odd", [10, 244, 2, 0], [255, 0, 255, 0], "0001"),
            "junk\n".to_owned(),
        ];
        std::fs::write(folder.join("route"), ipv4.concat()).unwrap();
        let zero = "0".repeat(32);
        let line = |to: &str, prefix: &str, flags: &str| {
            format!("{to} {prefix} {zero} 00 {zero} 00000100 00000001 00000000 {flags} eth0\n")
        };
        let subnet = "fd000010000000000000000000000000";
        let ipv6 = [
            line(subnet, "40", "00000001"),
            line(subnet, "80", "80200001"),
            line("ff000000000000000000000000000000", "08", "00000001"),
            line(subnet, "ff", "00000001"),
        ];
        std::fs::write(folder.join("ipv6_route"), ipv6.concat()).unwrap();
        let routes = node.routes().unwrap();
        let routes: Vec<_> =
            routes.iter().map(|route| (route.destination.to_string(), route.link.as_str())).collect();
        let expected = [("0.0.0.0/0", "eth0"), ("10.244.1.0/24", "cni0"), ("fd00:10::/64", "eth0")];
        assert_eq!(routes, expected.map(|(to, link)| (to.to_owned(), link)));
    }

    #[test]
    fn this_nodes_own_routes_are_read() {
        assert!(Node::this().routes().is_some());
    }
}
