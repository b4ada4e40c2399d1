//! Asking the kernel for links, addresses, routes and neighbours (rtnetlink(7)), one question after the other.
//!
//! The messages are rtnetlink's. Its connections are not used: a runtime, tasks and channels for a handful of questions cost
//! a call more than the answers do.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::Path;

use nix::errno::Errno;
use rtnetlink::packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_MULTIPART, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::neighbour::NeighbourMessage;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::{Socket, protocols::NETLINK_ROUTE};

use super::Node;
use super::link_attributes;
use super::links::Link;
use super::netlink::number;
use super::netns;

/// Why the kernel's links, addresses, routes or neighbours could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No socket, or none that works.
    #[error("netlink: {0}")]
    Socket(#[from] std::io::Error),
    /// The network namespace could not be entered.
    #[error("network namespace {path}: {}", crate::cni::go::errno_text(*.errno))]
    Netns {
        /// Its path.
        path: String,
        /// Why not.
        errno: Errno,
    },
    /// The kernel refused.
    #[error("netlink: {}", crate::cni::go::errno_text(*.0))]
    Kernel(Errno),
    /// The kernel's answer is none that is known.
    #[error("netlink: {0}")]
    Answer(String),
}

impl LinkError {
    fn netns(path: &Path, errno: Errno) -> LinkError {
        LinkError::Netns { path: path.display().to_string(), errno }
    }
}

impl From<DecodeError> for LinkError {
    fn from(error: DecodeError) -> LinkError {
        LinkError::Answer(error.to_string())
    }
}

impl From<rtnetlink::Error> for LinkError {
    fn from(error: rtnetlink::Error) -> LinkError {
        match &error {
            rtnetlink::Error::NetlinkError(refusal) => {
                LinkError::Kernel(Errno::from_raw(-refusal.code.map_or(0, std::num::NonZero::get)))
            }
            _ => LinkError::Answer(error.to_string()),
        }
    }
}

/// What fits in the buffer of one answer: the kernel makes its datagrams no larger for whoever reads with this one.
const BUFFER: usize = 32 * 1024;

/// The most messages that are kept of one answer: a router of the Internet has a million routes, and none of them is ours.
const MOST: usize = 100_000;

/// A socket to the kernel.
pub(crate) struct RouteSocket {
    socket: Socket,
    asked: Cell<u32>,
}

impl RouteSocket {
    /// One for the network namespace at `netns`, or else for this thread's own. A socket stays with the namespace in which it
    /// was made: the thread itself is there for no longer than that takes.
    pub(crate) fn open(netns: Option<&Path>) -> Result<RouteSocket, LinkError> {
        match netns {
            Some(path) => RouteSocket::open_on(&Node::this(), path),
            None if netns::is_astray() => Err(LinkError::netns(Path::new("of the node"), Errno::EXDEV)),
            None => Ok(RouteSocket::of(Socket::new(NETLINK_ROUTE)?)),
        }
    }

    /// One for the network namespace at a path of the node.
    pub(super) fn open_on(node: &Node, netns: &Path) -> Result<RouteSocket, LinkError> {
        let namespace = node.open_netns(netns);
        let socket = namespace.and_then(|open| netns::inside_open(&open, || Socket::new(NETLINK_ROUTE)));
        Ok(RouteSocket::of(socket.map_err(|errno| LinkError::netns(netns, errno))??))
    }

    fn of(socket: Socket) -> RouteSocket {
        // The kernel filters by itself where the check is strict (4.20 and later); elsewhere the callers do.
        let _ = socket.set_netlink_get_strict_chk(true);
        RouteSocket { socket, asked: Cell::new(0) }
    }

    /// The one message that answers. `None` if there is no such thing.
    pub(crate) fn get(
        &self,
        question: RouteNetlinkMessage,
    ) -> Result<Option<RouteNetlinkMessage>, LinkError> {
        first_of(self.ask(question, 0, message))
    }

    /// The link for which a question holds, without its addresses.
    pub(super) fn link(&self, asked: LinkMessage) -> Result<Option<Link>, LinkError> {
        first_of(self.ask(RouteNetlinkMessage::GetLink(asked), 0, link))
    }

    /// The links for which a question holds, without their addresses, up to a bound.
    pub(super) fn links(&self, asked: LinkMessage) -> Result<Vec<Link>, LinkError> {
        self.ask(RouteNetlinkMessage::GetLink(asked), NLM_F_DUMP, link)
    }

    /// The addresses of the link of this index, or of all links for 0, up to a bound. Kernels before 4.20 do not filter.
    pub(crate) fn addresses(&self, link: u32) -> Result<Vec<AddressMessage>, LinkError> {
        let mut asked = AddressMessage::default();
        asked.header.index = link;
        self.dump(RouteNetlinkMessage::GetAddress(asked), |answer| match answer {
            RouteNetlinkMessage::NewAddress(address) => Some(address),
            _ => None,
        })
    }

    /// The routes of every table, up to a bound: what stood in the rest of the question's header would be a filter.
    pub(crate) fn routes(&self, family: AddressFamily) -> Result<Vec<RouteMessage>, LinkError> {
        let mut asked = RouteMessage::default();
        asked.header.address_family = family;
        self.dump(RouteNetlinkMessage::GetRoute(asked), |answer| match answer {
            RouteNetlinkMessage::NewRoute(route) => Some(route),
            _ => None,
        })
    }

    /// The rules that choose a table, up to a bound.
    pub(crate) fn rules(&self, family: AddressFamily) -> Result<Vec<RuleMessage>, LinkError> {
        let mut asked = RuleMessage::default();
        asked.header.family = family;
        self.dump(RouteNetlinkMessage::GetRule(asked), |answer| match answer {
            RouteNetlinkMessage::NewRule(rule) => Some(rule),
            _ => None,
        })
    }

    /// The neighbours, or for the family of bridges the forwarding entries, up to a bound.
    pub(crate) fn neighbours(&self, family: AddressFamily) -> Result<Vec<NeighbourMessage>, LinkError> {
        let mut asked = NeighbourMessage::default();
        asked.header.family = family;
        self.dump(RouteNetlinkMessage::GetNeighbour(asked), |answer| match answer {
            RouteNetlinkMessage::NewNeighbour(neighbour) => Some(neighbour),
            _ => None,
        })
    }

    fn dump<T>(
        &self,
        question: RouteNetlinkMessage,
        of_kind: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, LinkError> {
        Ok(self.ask(question, NLM_F_DUMP, message)?.into_iter().filter_map(of_kind).collect())
    }

    /// Asks, and gives what was read of each message that answers.
    fn ask<T>(
        &self,
        question: RouteNetlinkMessage,
        flags: u16,
        read: impl Fn(&[u8]) -> Result<Option<T>, LinkError>,
    ) -> Result<Vec<T>, LinkError> {
        let number = self.asked.get() + 1;
        self.asked.set(number);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = number;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            buffer.clear();
            self.socket.recv(&mut buffer, 0)?;
            if take(&buffer, number, &read, &mut answers)? {
                return Ok(answers);
            }
        }
    }
}

/// The first answer to a question for one thing. `None` if the kernel says that there is no such thing.
fn first_of<T>(answers: Result<Vec<T>, LinkError>) -> Result<Option<T>, LinkError> {
    match answers {
        Ok(answers) => Ok(answers.into_iter().next()),
        Err(LinkError::Kernel(Errno::ENODEV)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A message of any kind.
fn message(bytes: &[u8]) -> Result<Option<RouteNetlinkMessage>, LinkError> {
    match NetlinkMessage::deserialize(bytes)?.payload {
        NetlinkPayload::InnerMessage(message) => Ok(Some(message)),
        _ => Ok(None),
    }
}

/// One that tells of a link. rtnetlink would parse all that stands in it, which costs a call more than to ask for it.
#[allow(clippy::unnecessary_wraps, reason = "one way to read a message among others")]
fn link(bytes: &[u8]) -> Result<Option<Link>, LinkError> {
    Ok(link_attributes::read(bytes))
}

/// Takes the messages of one datagram that answer the question of this number; whether the answer is whole with it.
fn take<T>(
    mut datagram: &[u8],
    number: u32,
    read: &impl Fn(&[u8]) -> Result<Option<T>, LinkError>,
    answers: &mut Vec<T>,
) -> Result<bool, LinkError> {
    while !datagram.is_empty() {
        let bytes = first(datagram);
        let header = NetlinkBuffer::new_checked(bytes)?;
        datagram = datagram.get(bytes.len().next_multiple_of(4)..).unwrap_or_default();
        if header.sequence_number() != number {
            continue;
        }
        match i32::from(header.message_type()) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => return refusal(bytes).map(|()| true),
            _ if answers.len() < MOST => answers.extend(read(bytes)?),
            _ => {}
        }
        if header.flags() & NLM_F_MULTIPART == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the kernel refused, or nothing where it only acknowledges.
fn refusal(bytes: &[u8]) -> Result<(), LinkError> {
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes)?.payload {
        NetlinkPayload::Error(error) => match error.code {
            Some(code) => Err(LinkError::Kernel(Errno::from_raw(-code.get()))),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The first message of a datagram, whose length stands at its beginning.
fn first(datagram: &[u8]) -> &[u8] {
    datagram.get(..number(datagram, 0) as usize).unwrap_or(datagram)
}

/// An address of a route.
pub(crate) fn address_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// The gateway that is among these.
pub(crate) fn gateway_in(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => address_of(address),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::LinkAttribute;

    use super::*;

    fn named(name: &str) -> RouteNetlinkMessage {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        RouteNetlinkMessage::GetLink(message)
    }

    #[test]
    fn a_question_has_its_own_answer() {
        let socket = RouteSocket::open(None).unwrap();
        let index = |answer: Option<RouteNetlinkMessage>| match answer {
            Some(RouteNetlinkMessage::NewLink(link)) => Some(link.header.index),
            _ => None,
        };
        assert_eq!(index(socket.get(named("lo")).unwrap()), Some(1));
        assert_eq!(index(socket.get(named("no-such-link")).unwrap()), None);
        let all = socket.links(LinkMessage::default()).unwrap();
        assert!(all.iter().any(|link| link.index == 1), "{all:?}");
        assert_eq!(index(socket.get(named("lo")).unwrap()), Some(1));
    }

    #[test]
    fn a_datagram_that_is_cut_is_an_error() {
        let mut answers = Vec::new();
        let error = take(&[60, 0, 0, 0, 16, 0, 0, 0], 1, &message, &mut answers).unwrap_err();
        assert!(matches!(error, LinkError::Answer(_)), "{error:?}");
    }
}
