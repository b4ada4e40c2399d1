//! Listeners that accept nobody.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{Backlog, SockFlag, SockType, SockaddrLike, bind, connect, listen, socket};

/// A listener at this address with as many clients as it lets wait. It is there as long as what is given.
pub fn full(address: &impl SockaddrLike) -> Vec<OwnedFd> {
    let open = |flags| socket(address.family().unwrap(), SockType::Stream, flags, None).unwrap();
    let listener = open(SockFlag::SOCK_CLOEXEC);
    bind(listener.as_raw_fd(), address).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let client = open(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK);
        // Where the queue is full, a client that would have to wait is refused, or tries for ever.
        let _ = connect(client.as_raw_fd(), address);
        sockets.push(client);
    }
    sockets
}
