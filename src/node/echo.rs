//! Whether others answer: ICMP echo requests of a certain size, which nobody on the way may fragment.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recvfrom, sendto, setsockopt,
    socket, sockopt::Ipv6DontFrag,
};

use super::{Node, netns};

/// How often somebody is asked who does not answer.
const TRIES: u32 = 3;
/// How long an answer is waited for before the next try.
const INTERVAL: Duration = Duration::from_millis(300);
/// When the last answer is waited for no longer.
const LIMIT: Duration = Duration::from_secs(1);
/// How many messages are taken before the clock is looked at again.
const MAX_AT_ONCE: usize = 4096;
/// Type, code, checksum, identifier and sequence number of an echo.
const HEADER: usize = 8;
/// The number by which answers to this process are known, behind the header.
const TOKEN: usize = 8;

/// What is asked of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Whom.
    pub to: IpAddr,
    /// The size of the packet, with the IP header.
    pub size: u32,
}

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The same, so much later.
    After(Duration),
    /// Nothing, in [`TRIES`] tries.
    Silence,
    /// The kernel did not send it.
    Unsent(Errno),
}

impl Reply {
    /// How long it took.
    #[must_use]
    pub fn after(self) -> Option<Duration> {
        match self {
            Reply::After(time) => Some(time),
            Reply::Silence | Reply::Unsent(_) => None,
        }
    }
}

impl Node {
    /// Asks all at once, from this process' network namespace, and gives the reply to each. It takes a second at most.
    ///
    /// # Errors
    /// If there is no socket to be had for it.
    pub fn echo(&self, requests: &[Request]) -> Result<Vec<Reply>, Errno> {
        if netns::is_astray() {
            return Err(Errno::EXDEV);
        }
        let mut sockets = Vec::new();
        for of_ipv6 in [false, true] {
            if requests.iter().any(|request| request.to.is_ipv6() == of_ipv6) {
                sockets.push((of_ipv6, open(of_ipv6)?));
            }
        }
        let replies = vec![Reply::Silence; requests.len()];
        let token = RandomState::new().hash_one(0).to_ne_bytes();
        let mut asking = Asking { requests, replies, sent: Vec::new(), sockets, token };
        asking.ask()?;
        Ok(asking.replies)
    }
}

/// A raw socket: those without privileges are forbidden to everybody by default (`net.ipv4.ping_group_range`).
fn open(of_ipv6: bool) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    if of_ipv6 {
        let socket = socket(AddressFamily::Inet6, SockType::Raw, flags, SockProtocol::IcmpV6)?;
        probe(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
        setsockopt(&socket, Ipv6DontFrag, &true)?;
        return Ok(socket);
    }
    let socket = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
    probe(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
    Ok(socket)
}

/// From now on packets carry DF, and may be as large as the link allows, whatever the kernel has learned of the way.
#[allow(unsafe_code, reason = "nix does not know this socket option")]
fn probe(socket: &OwnedFd, level: i32, option: i32, value: i32) -> Result<(), Errno> {
    let length = u32::try_from(size_of::<i32>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes of `value`, which is as long.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(&value).cast(), length)
    };
    Errno::result(set).map(drop)
}

struct Asking<'r> {
    requests: &'r [Request],
    replies: Vec<Reply>,
    /// The number of the request that was sent, and when; its place is the sequence number.
    sent: Vec<(usize, Instant)>,
    /// Those of IPv4 and of IPv6.
    sockets: Vec<(bool, OwnedFd)>,
    token: [u8; TOKEN],
}

impl Asking<'_> {
    fn ask(&mut self) -> Result<(), Errno> {
        let started = Instant::now();
        for attempt in 1..=TRIES {
            for position in 0..self.requests.len() {
                if self.replies[position].after().is_none() {
                    self.replies[position] = self.send(position);
                    self.receive();
                }
            }
            let until = if attempt == TRIES { LIMIT } else { INTERVAL * attempt };
            while self.replies.contains(&Reply::Silence) {
                let left = until.saturating_sub(started.elapsed());
                if left.is_zero() {
                    break;
                }
                self.wait(left)?;
                self.receive();
            }
        }
        Ok(())
    }

    fn send(&mut self, position: usize) -> Reply {
        let Request { to, size } = self.requests[position];
        let socket = self.sockets.iter().find(|(of_ipv6, _)| *of_ipv6 == to.is_ipv6());
        let (Some((_, socket)), Ok(sequence)) = (socket, u16::try_from(self.sent.len())) else {
            return Reply::Silence;
        };
        let message = request(to.is_ipv6(), size, sequence, self.token);
        let address = SockaddrStorage::from(SocketAddr::new(to, 0));
        self.sent.push((position, Instant::now()));
        match sendto(socket.as_raw_fd(), &message, &address, MsgFlags::empty()) {
            // A queue that is full now has room at the next try.
            Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => Reply::Silence,
            Err(errno) => Reply::Unsent(errno),
        }
    }

    fn wait(&self, left: Duration) -> Result<(), Errno> {
        let mut polled: Vec<PollFd> =
            self.sockets.iter().map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let left = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).saturating_add(1);
        match poll(&mut polled, PollTimeout::from(left)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Takes what has come.
    fn receive(&mut self) {
        let mut message = [0; 128];
        for (of_ipv6, socket) in &self.sockets {
            // What comes is not only what was asked for.
            for _ in 0..MAX_AT_ONCE {
                let Ok((_, from)) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), &mut message) else {
                    break;
                };
                let now = Instant::now();
                let from = from.and_then(|from| {
                    let of_4 = from.as_sockaddr_in().map(|from| IpAddr::V4(from.ip()));
                    of_4.or_else(|| from.as_sockaddr_in6().map(|from| IpAddr::V6(from.ip())))
                });
                let sent = sequence(*of_ipv6, &message, self.token).and_then(|number| self.sent.get(number));
                let Some(&(position, time)) = sent else { continue };
                if from == Some(self.requests[position].to) && self.replies[position].after().is_none() {
                    self.replies[position] = Reply::After(now.duration_since(time));
                }
            }
        }
    }
}

/// An echo request in a packet of this size.
fn request(of_ipv6: bool, size: u32, sequence: u16, token: [u8; TOKEN]) -> Vec<u8> {
    let (kind, outer) = if of_ipv6 { (128, 40) } else { (8, 20) };
    let mut message = vec![kind, 0, 0, 0, token[0], token[1]];
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(&token);
    message.resize((size as usize).saturating_sub(outer).max(HEADER + TOKEN), 0);
    // That of IPv6, over a part of its header too, is the kernel's work.
    if !of_ipv6 {
        let sum = checksum(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
    }
    message
}

/// That of RFC 1071.
fn checksum(message: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The sequence number of an answer with the token. A raw socket of IPv4 gives the IP header too.
fn sequence(of_ipv6: bool, message: &[u8], token: [u8; TOKEN]) -> Option<usize> {
    let outer = if of_ipv6 { 0 } else { usize::from(message.first()? & 0xf) * 4 };
    let message = message.get(outer..outer + HEADER + TOKEN)?;
    let is_answer = message[0] == if of_ipv6 { 129 } else { 0 } && message[HEADER..] == token;
    is_answer.then(|| usize::from(u16::from_be_bytes([message[6], message[7]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(requests: &[(&str, u32)]) -> Vec<Reply> {
        let request = |(to, size): &(&str, u32)| Request { to: to.parse().unwrap(), size: *size };
        let requests: Vec<Request> = requests.iter().map(request).collect();
        Node::this().echo(&requests).unwrap()
    }

    #[test]
    fn who_is_there_answers_in_both_families_and_sizes() {
        let found = replies(&[("127.0.0.1", 84), ("127.0.0.1", 9000), ("::1", 84), ("::1", 9000)]);
        assert!(found.iter().all(|reply| reply.after().is_some()), "{found:?}");
    }

    #[test]
    fn nobody_to_ask_is_no_wait() {
        assert_eq!(replies(&[]), []);
    }

    #[test]
    fn what_does_not_fit_the_link_is_not_sent() {
        assert_eq!(replies(&[("127.0.0.1", 65537)]), [Reply::Unsent(Errno::EMSGSIZE)]);
    }

    #[test]
    fn requests_have_the_size_that_is_asked_for_and_a_right_checksum() {
        for size in [84, 85, 1450] {
            let message = request(false, size, 7, [3; TOKEN]);
            assert_eq!((message.len() + 20, checksum(&message)), (size as usize, 0));
            assert_eq!(request(true, size, 7, [3; TOKEN]).len() + 40, size as usize);
        }
    }

    #[test]
    fn only_answers_with_the_token_are_taken() {
        let token = [3; TOKEN];
        let of_ipv6 = |kind: u8| [&[kind, 0, 0, 0, 3, 3, 1, 2][..], &token].concat();
        let of_ipv4 = |kind: u8| [&[0x46; 24][..], &of_ipv6(kind)].concat();
        assert_eq!(sequence(true, &of_ipv6(129), token), Some(0x102));
        assert_eq!(sequence(false, &of_ipv4(0), token), Some(0x102));
        assert_eq!((sequence(true, &of_ipv6(128), token), sequence(false, &of_ipv4(8), token)), (None, None));
        assert_eq!((sequence(true, &of_ipv6(129), [4; TOKEN]), sequence(false, &[], token)), (None, None));
    }
}
