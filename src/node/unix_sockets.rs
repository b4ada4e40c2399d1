//! Unix sockets: which listener stands behind a client's end. `/proc/net/unix` does not tell; sock_diag(7) does.

use std::collections::BTreeMap;

use nix::sys::socket::SockProtocol;

use super::Node;
use super::netlink::{attributes, dump, number};

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `UDIAG_SHOW_NAME`, `UDIAG_SHOW_PEER` and `UDIAG_SHOW_ICONS` of `linux/unix_diag.h`.
const SHOW: u32 = 1 | 4 | 8;
/// `UNIX_DIAG_NAME`, `UNIX_DIAG_PEER` and `UNIX_DIAG_ICONS`.
const NAME: u16 = 0;
const PEER: u16 = 2;
const PENDING: u16 = 3;
/// `struct unix_diag_msg`.
const MESSAGE: usize = 16;

/// The sockets of this network namespace.
#[derive(Debug, Default)]
pub(super) struct UnixSockets {
    names: BTreeMap<u64, String>,
    peers: BTreeMap<u64, u64>,
    /// The listeners that have not yet accepted a client, by the client.
    listeners: BTreeMap<u64, u64>,
}

impl Node {
    /// The unix sockets of this process' network namespace; none where the kernel would have to load a module to tell.
    pub(super) fn unix_sockets(&self) -> UnixSockets {
        if !self.has_module("unix_diag") {
            return UnixSockets::default();
        }
        // `struct unix_diag_req`: family, protocol, padding, states, inode, what to show, cookie.
        let family = [u8::try_from(libc::AF_UNIX).unwrap_or_default(), 0, 0, 0];
        let request =
            [family, u32::MAX.to_ne_bytes(), [0; 4], SHOW.to_ne_bytes(), [0xff; 4], [0xff; 4]].concat();
        let messages = dump(SockProtocol::NetlinkSockDiag, BY_FAMILY, &request).unwrap_or_default();
        let mut sockets = UnixSockets::default();
        for message in &messages {
            sockets.take(message);
        }
        sockets
    }
}

impl UnixSockets {
    fn take(&mut self, message: &[u8]) {
        let inode = u64::from(number(message, 4));
        for (kind, value) in attributes(message.get(MESSAGE..).unwrap_or_default()) {
            match kind {
                NAME => {
                    self.names.insert(inode, name(value));
                }
                PEER => {
                    self.peers.insert(inode, u64::from(number(value, 0)));
                }
                PENDING => {
                    let clients = value.chunks_exact(4).map(|client| u64::from(number(client, 0)));
                    self.listeners.extend(clients.map(|client| (client, inode)));
                }
                _ => {}
            }
        }
    }

    /// The name of the socket that a client is connected to, whether that was accepted or not.
    pub(super) fn server_of(&self, client: u64) -> Option<&str> {
        let named = |socket| self.names.get(socket).map(String::as_str);
        self.peers.get(&client).and_then(named).or_else(|| named(self.listeners.get(&client)?))
    }
}

/// A name as people write it: a path, or `@` and a name without a file (unix(7)).
pub(super) fn name(bytes: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match bytes.split_first() {
        Some((0, rest)) => format!("@{}", text(rest)),
        _ => text(bytes.split(|byte| *byte == 0).next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn inode(socket: &impl std::os::fd::AsRawFd) -> u64 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        link.to_str().unwrap().trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap()
    }

    #[test]
    fn a_clients_listener_is_found_before_and_after_it_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let server = || Node::this().unix_sockets().server_of(inode(&client)).map(str::to_owned);
        assert_eq!(server().as_deref(), path.to_str());
        let _accepted = listener.accept().unwrap();
        assert_eq!(server().as_deref(), path.to_str());
        assert!(listener.as_raw_fd() >= 0);
    }

    #[test]
    fn names_are_paths_or_abstract() {
        for (bytes, expected) in [(&b"/run/a.sock\0"[..], "/run/a.sock"), (b"\0abc", "@abc"), (b"", "")] {
            assert_eq!(name(bytes), expected);
        }
    }
}
