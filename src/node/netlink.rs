//! Netlink dumps that rtnetlink does not speak of: a request, and every message that the kernel answers with. And the attributes of
//! any message.

use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket,
    sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct nlattr`.
pub(super) const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` are no part of an attribute's type.
const TYPE_MASK: u16 = 0x3fff;
/// The most that is read of one dump, in bytes.
const MAX_DUMP: usize = 32 << 20;

/// Asks for a dump of messages of `kind`, and gives the bodies of those that come.
///
/// # Errors
/// If the kernel does not answer, or refuses.
pub(super) fn dump(protocol: SockProtocol, kind: u16, request: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::new(1, 0))?;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    let length = u32::try_from(HEADER + request.len()).map_err(|_| Errno::EMSGSIZE)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&u16::try_from(flags).map_err(|_| Errno::EINVAL)?.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(request);
    sendto(socket.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut bodies, mut total) = (Vec::new(), 0);
    loop {
        let read = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        total += read;
        if total > MAX_DUMP {
            return Err(Errno::EMSGSIZE);
        }
        if take(&buffer[..read], &mut bodies)? {
            return Ok(bodies);
        }
    }
}

/// Takes the messages of one datagram; whether the dump has ended with it.
fn take(mut datagram: &[u8], bodies: &mut Vec<Vec<u8>>) -> Result<bool, Errno> {
    while let Some(header) = datagram.get(..HEADER) {
        let length = number(header, 0) as usize;
        let body = datagram.get(HEADER..length).ok_or(Errno::EBADMSG)?;
        match i32::from(u16::from_ne_bytes([header[4], header[5]])) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => {
                return Err(Errno::from_raw(-i32::from_ne_bytes(number(body, 0).to_ne_bytes())));
            }
            _ => bodies.push(body.to_vec()),
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The attributes in `bytes`: the type of each, and its value.
pub(super) fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some(header) = bytes.get(..ATTRIBUTE_HEADER) {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(value) = bytes.get(ATTRIBUTE_HEADER..length) else { break };
        found.push((u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The number of four bytes at `offset`, in the machine's order; 0 where there are none.
pub(super) fn number(bytes: &[u8], offset: usize) -> u32 {
    let four = bytes.get(offset..offset + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_ne_bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&[0; 10]);
        message.extend_from_slice(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn messages_are_taken_until_the_dump_ends() {
        let mut bodies = Vec::new();
        let first = [message(20, b"abcde"), message(20, b"f")].concat();
        assert_eq!(take(&first, &mut bodies), Ok(false));
        assert_eq!(take(&message(3, &[0; 4]), &mut bodies), Ok(true));
        assert_eq!(bodies, [b"abcde".to_vec(), b"f".to_vec()]);
        assert_eq!(take(&message(2, &(-1_i32).to_ne_bytes()), &mut bodies), Err(Errno::EPERM));
        assert_eq!(take(&first[..HEADER + 2], &mut bodies), Err(Errno::EBADMSG));
    }

    #[test]
    fn attributes_are_read_as_far_as_they_are_whole() {
        let bytes =
            [&[5, 0, 1, 0, b'a', 0, 0, 0][..], &[6, 0, 2, 0x80, b'b', b'c', 0, 0], &[9, 0, 3, 0, 1]].concat();
        assert_eq!(attributes(&bytes), [(1, &b"a"[..]), (2, &b"bc"[..])]);
        assert!(attributes(&[0; 16]).is_empty(), "a length of zero ends it");
    }
}
