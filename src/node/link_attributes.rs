//! What the kernel tells of a link: of some sixty things, statistics and every protocol's settings among them, those that are read
//! here.

use libc::{
    IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINK_NETNSID,
    IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
};

use super::links::Link;
use super::netlink::{attributes, number};

/// The sizes of `struct nlmsghdr` and `struct ifinfomsg`, which stand before the attributes.
const BEFORE: usize = 16 + 16;
/// `IFLA_INET_CONF` of `linux/if_link.h`: the settings of `/proc/sys/net/ipv4/conf/LINK`, four bytes each, in the order of
/// `linux/ip.h`, where forwarding is the first.
const INET_CONF: u16 = 1;
/// `IFLA_VXLAN_LINK` and `IFLA_VXLAN_PORT` of `linux/if_link.h`.
const VXLAN: (u16, u16) = (3, 15);

/// `IFLA_BR_VLAN_FILTERING` of `linux/if_link.h`.
const BRIDGE_VLAN_FILTERING: u16 = 7;

/// Reads a message. `None` if it tells of no link.
pub(super) fn read(message: &[u8]) -> Option<Link> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    let attributes = attributes(message.get(BEFORE..).filter(|_| kind == libc::RTM_NEWLINK)?);
    let flags = number(message, 24).cast_signed();
    let mut link = Link {
        index: number(message, 20),
        up: flags & libc::IFF_UP != 0,
        carrier: flags & libc::IFF_LOWER_UP != 0,
        ..Link::default()
    };
    for (kind, value) in attributes {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_ADDRESS => link.mac = value.to_vec(),
            IFLA_MTU => link.mtu = number(value, 0),
            IFLA_MASTER => link.controller = Some(number(value, 0)),
            // A tunnel that sends by the routes says 0.
            IFLA_LINK => link.lower = Some(number(value, 0)).filter(|index| *index != 0),
            IFLA_LINK_NETNSID => link.peer_is_elsewhere = true,
            IFLA_AF_SPEC => link.forwards_ipv4 = forwards_ipv4(value),
            IFLA_LINKINFO => info(value, &mut link),
            _ => {}
        }
    }
    Some(link)
}

/// What kind of link it is, and the settings of a vxlan or a bridge.
fn info(value: &[u8], link: &mut Link) {
    let info = attributes(value);
    link.kind = of(&info, IFLA_INFO_KIND).map(text);
    let settings = || of(&info, IFLA_INFO_DATA).map(attributes).unwrap_or_default();
    if link.kind.as_deref() == Some("bridge") {
        link.filters_vlans = of(&settings(), BRIDGE_VLAN_FILTERING).map(|on| on.first() == Some(&1));
    }
    if link.kind.as_deref() == Some("vxlan") {
        let settings = settings();
        // It names the link below among its own settings; 0 is none.
        let underlay = of(&settings, VXLAN.0).map(|index| number(index, 0)).filter(|index| *index != 0);
        link.lower = link.lower.or(underlay);
        link.port = of(&settings, VXLAN.1).and_then(|port| Some(u16::from_be_bytes(port.try_into().ok()?)));
    }
}

fn forwards_ipv4(families: &[u8]) -> Option<bool> {
    let ipv4 = attributes(of(&attributes(families), libc::AF_INET.try_into().ok()?)?);
    let settings = of(&ipv4, INET_CONF).filter(|settings| settings.len() >= 4)?;
    Some(number(settings, 0) != 0)
}

fn of<'a>(attributes: &[(u16, &'a [u8])], wanted: u16) -> Option<&'a [u8]> {
    attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value)
}

/// A text that ends with a zero.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtnetlink::packet_core::NetlinkMessage;
    use rtnetlink::packet_route::RouteNetlinkMessage;
    use rtnetlink::packet_route::link::{
        AfSpecInet, AfSpecUnspec, InetDevConf, InfoBridge, InfoData, InfoKind, InfoVxlan, LinkAttribute,
        LinkFlags, LinkInfo, LinkMessage,
    };

    use super::*;

    /// As the kernel would send it.
    fn sent(attributes: Vec<LinkAttribute>) -> Vec<u8> {
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.header.flags = LinkFlags::Up;
        link.attributes = attributes;
        let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewLink(link));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn of_kind(kind: InfoKind, data: InfoData) -> LinkAttribute {
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)])
    }

    #[test]
    fn what_is_read_of_a_link() {
        let mut conf = InetDevConf::default();
        conf.forwarding = 1;
        let message = sent(vec![
            LinkAttribute::TxQueueLen(1000),
            LinkAttribute::IfName("veth1".into()),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 9]),
            LinkAttribute::Mtu(1450),
            LinkAttribute::Controller(3),
            LinkAttribute::Link(2),
            LinkAttribute::LinkNetNsId(0),
            of_kind(
                InfoKind::Bridge,
                InfoData::Bridge(vec![InfoBridge::HelloTime(200), InfoBridge::VlanFiltering(true)]),
            ),
            LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![AfSpecInet::DevConf(conf)])]),
        ]);
        let expected = Link {
            index: 7,
            name: "veth1".into(),
            kind: Some("bridge".into()),
            up: true,
            carrier: false,
            mtu: 1450,
            controller: Some(3),
            lower: Some(2),
            port: None,
            filters_vlans: Some(true),
            mac: vec![2, 0, 0, 0, 0, 9],
            forwards_ipv4: Some(true),
            peer_is_elsewhere: true,
            addresses: Vec::new(),
        };
        assert_eq!(read(&message), Some(expected));
        let bare = Some(Link { index: 7, up: true, ..Link::default() });
        assert_eq!(
            (read(&sent(Vec::new())), read(&sent(vec![LinkAttribute::Link(0)]))),
            (bare.clone(), bare)
        );
    }

    #[test]
    fn a_vxlan_names_what_is_below_it_among_its_settings() {
        let vxlan = |below| {
            of_kind(InfoKind::Vxlan, InfoData::Vxlan(vec![InfoVxlan::Link(below), InfoVxlan::Port(8472)]))
        };
        for (attributes, lower) in [
            (vec![vxlan(2)], Some(2)),
            (vec![vxlan(0)], None),
            (vec![vxlan(2), LinkAttribute::Link(5)], Some(5)),
            (vec![LinkAttribute::Link(5), vxlan(2)], Some(5)),
        ] {
            let link = read(&sent(attributes)).unwrap();
            assert_eq!((link.lower, link.port), (lower, Some(8472)));
        }
    }

    #[test]
    fn what_is_no_message_of_a_link_is_none() {
        let mut other = sent(vec![LinkAttribute::Mtu(1450)]);
        other[4..6].copy_from_slice(&libc::RTM_NEWADDR.to_ne_bytes());
        assert_eq!(read(&other), None);
        assert_eq!(read(&sent(Vec::new())[..BEFORE - 1]), None);
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(mut message in prop::collection::vec(any::<u8>(), 0..200), is_link: bool) {
            if let (true, Some(kind)) = (is_link, message.get_mut(4..6)) {
                kind.copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
            }
            let _ = read(&message);
        }
    }
}
