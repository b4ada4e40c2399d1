//! Of what the kernel tells of a link, only what is read here: it tells some sixty things, statistics and every protocol's
//! settings among them, and to parse them all costs a call more than to ask for them.

use std::borrow::Cow;

use libc::{
    IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_MTU,
};

use super::netlink::{ATTRIBUTE_HEADER, attributes};

/// The attributes of `linux/if_link.h` that somebody reads.
const READ: [u16; 7] =
    [IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO, IFLA_LINK_NETNSID, IFLA_MASTER, IFLA_MTU];
/// The kind of a link of whose own settings something is read.
const WITH_SETTINGS: &[u8] = b"vxlan\0";
/// The sizes of `struct nlmsghdr` and `struct ifinfomsg`, which stand before the attributes.
const BEFORE: usize = 16 + 16;

/// A message with less in it. What tells of no link, or cannot be understood, stays as it is.
pub(super) fn spared(message: &[u8]) -> Cow<'_, [u8]> {
    lessened(message).map_or(Cow::Borrowed(message), Cow::Owned)
}

fn lessened(message: &[u8]) -> Option<Vec<u8>> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    if kind != libc::RTM_NEWLINK {
        return None;
    }
    let mut less = message.get(..BEFORE)?.to_vec();
    for (kind, value) in whole(message.get(BEFORE..)?)? {
        match kind {
            IFLA_LINKINFO => push(&mut less, kind, &info(value)?)?,
            _ if READ.contains(&kind) => push(&mut less, kind, value)?,
            _ => {}
        }
    }
    let length = u32::try_from(less.len()).ok()?;
    less[..4].copy_from_slice(&length.to_ne_bytes());
    Some(less)
}

/// `IFLA_LINKINFO`: the kind, and its settings where they are read.
fn info(value: &[u8]) -> Option<Vec<u8>> {
    let mut less = Vec::new();
    let mut is_read = false;
    for (kind, value) in whole(value)? {
        is_read |= kind == IFLA_INFO_KIND && value == WITH_SETTINGS;
        if kind == IFLA_INFO_KIND || kind == IFLA_INFO_DATA && is_read {
            push(&mut less, kind, value)?;
        }
    }
    Some(less)
}

/// The attributes that follow each other here. `None` if one of them does not fit.
fn whole(bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let found = attributes(bytes);
    let read: usize =
        found.iter().map(|(_, value)| (ATTRIBUTE_HEADER + value.len()).next_multiple_of(4)).sum();
    // What fills up the last one may be left out.
    (read >= bytes.len()).then_some(found)
}

fn push(to: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).ok()?;
    to.extend(length.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
    use rtnetlink::packet_route::RouteNetlinkMessage;
    use rtnetlink::packet_route::link::{
        InfoBridge, InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage,
    };

    use super::*;

    fn bytes(attributes: Vec<LinkAttribute>) -> Vec<u8> {
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.attributes = attributes;
        let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewLink(link));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn read(bytes: &[u8]) -> (u32, Vec<LinkAttribute>) {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).unwrap();
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = message.payload else {
            panic!("not a link: {message:?}");
        };
        (link.header.index, link.attributes)
    }

    #[test]
    fn what_is_read_stays_and_the_rest_goes() {
        let (name, queue) = (LinkAttribute::IfName("veth1".into()), LinkAttribute::TxQueueLen(1000));
        let (mtu, controller) = (LinkAttribute::Mtu(1450), LinkAttribute::Controller(3));
        let all = bytes(vec![queue, name.clone(), LinkAttribute::Group(0), mtu.clone(), controller.clone()]);
        assert_eq!(read(&spared(&all)), (7, vec![name, mtu, controller]));
    }

    #[test]
    fn settings_stay_only_of_the_kind_whose_are_read() {
        let of = |kind, data| LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]);
        let vxlan = of(InfoKind::Vxlan, InfoData::Vxlan(vec![InfoVxlan::Link(2), InfoVxlan::Port(8472)]));
        assert_eq!(read(&spared(&bytes(vec![vxlan.clone()]))), (7, vec![vxlan]));
        let bridge = of(InfoKind::Bridge, InfoData::Bridge(vec![InfoBridge::HelloTime(200)]));
        let only_kind = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]);
        assert_eq!(read(&spared(&bytes(vec![bridge]))), (7, vec![only_kind]));
    }

    #[test]
    fn what_cannot_be_understood_stays_as_it_is() {
        let mut cut = bytes(vec![LinkAttribute::IfName("veth1".into()), LinkAttribute::Mtu(1450)]);
        cut.truncate(cut.len() - 2);
        assert_eq!(spared(&cut), cut);
        let mut other = bytes(vec![LinkAttribute::Group(0)]);
        other[4..6].copy_from_slice(&libc::RTM_NEWADDR.to_ne_bytes());
        assert_eq!(spared(&other), other);
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(mut message in prop::collection::vec(any::<u8>(), 0..200), is_link: bool) {
            if let (true, Some(kind)) = (is_link, message.get_mut(4..6)) {
                kind.copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
            }
            let _ = spared(&message);
        }
    }
}
