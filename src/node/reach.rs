//! Whether somebody listens, and answers: a connection is made and closed at once, or after one question.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::Node;
use super::files::FileError;

impl Node {
    /// Connects by TCP, in this process' network namespace.
    ///
    /// # Errors
    /// If nobody accepts within `limit`.
    pub fn reach(&self, address: SocketAddr, limit: Duration) -> io::Result<()> {
        TcpStream::connect_timeout(&address, limit).map(drop)
    }

    /// Connects to a unix socket. `Ok(false)`: nobody listens there, or so many wait already that there is no room for more.
    ///
    /// # Errors
    /// If there is no socket, or it may not be used.
    pub fn reach_socket(&self, path: &Path) -> Result<bool, FileError> {
        Ok(self.connect(path)?.is_some())
    }

    /// Asks who listens at a unix socket, and gives the start of what comes back within `limit`: nothing where nothing comes.
    /// `Ok(None)`: nobody listens there.
    ///
    /// # Errors
    /// As [`Node::reach_socket`].
    pub fn ask_socket(
        &self,
        path: &Path,
        question: &[u8],
        limit: Duration,
    ) -> Result<Option<Vec<u8>>, FileError> {
        let socket = match self.try_connect(path)? {
            Ok(socket) => socket,
            // Somebody listens, who has not accepted for so long that there is no room for one more.
            Err(Errno::EAGAIN) => return Ok(Some(Vec::new())),
            Err(_) => return Ok(None),
        };
        let ask = |mut stream: UnixStream| -> io::Result<Vec<u8>> {
            stream.set_nonblocking(false)?;
            stream.set_write_timeout(Some(limit))?;
            stream.set_read_timeout(Some(limit))?;
            stream.write_all(question)?;
            let mut answer = vec![0; 4096];
            let read = stream.read(&mut answer)?;
            answer.truncate(read);
            Ok(answer)
        };
        Ok(Some(ask(UnixStream::from(socket)).unwrap_or_default()))
    }

    pub(super) fn connect(&self, path: &Path) -> Result<Option<OwnedFd>, FileError> {
        Ok(self.try_connect(path)?.ok())
    }

    /// The inner error: `ECONNREFUSED` where nobody listens, `EAGAIN` where too many wait already.
    fn try_connect(&self, path: &Path) -> Result<Result<OwnedFd, Errno>, FileError> {
        let file = self.open(path, OFlag::O_PATH)?;
        let refused = |errno| FileError::System { path: path.to_owned(), errno };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(refused)?;
        // Through the open file, so that no link leads out of the root, and no path is too long.
        let address = format!("/proc/self/fd/{}", file.as_raw_fd());
        let connected = UnixAddr::new(address.as_str()).and_then(|to| connect(socket.as_raw_fd(), &to));
        match connected {
            Ok(()) => Ok(Ok(socket)),
            Err(errno @ (Errno::ECONNREFUSED | Errno::EAGAIN)) => Ok(Err(errno)),
            Err(errno) => Err(refused(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{Backlog, bind, listen};
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    #[test]
    fn who_listens_is_reached_and_who_does_not_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let reach = || Node::this().reach(address, Duration::from_secs(5)).map_err(|error| error.kind());
        assert_eq!(reach(), Ok(()));
        drop(listener);
        assert_eq!(reach(), Err(io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn a_socket_is_reached_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let reach = || node.reach_socket(Path::new("/a.sock")).map_err(|error| error.to_string());
        assert_eq!(reach(), Err("/a.sock: no such file or directory".into()));
        let listener = UnixListener::bind(root.path().join("a.sock")).unwrap();
        assert_eq!(reach(), Ok(true));
        drop(listener);
        assert_eq!(reach(), Ok(false));
    }

    #[test]
    fn who_listens_is_asked_and_who_says_nothing_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let listener = UnixListener::bind(root.path().join("a.sock")).unwrap();
        let ask =
            |limit| node.ask_socket(Path::new("/a.sock"), b"well?", Duration::from_millis(limit)).unwrap();
        assert_eq!(ask(20), Some(Vec::new()));
        let answering = std::thread::spawn(move || {
            // The first one was that of the question before.
            for client in listener.incoming().take(2) {
                let (mut client, mut question) = (client.unwrap(), [0; 5]);
                client.read_exact(&mut question).unwrap();
                let _ = client.write_all(&question);
            }
        });
        assert_eq!(ask(30_000), Some(b"well?".to_vec()));
        answering.join().unwrap();
        assert_eq!(ask(30_000), None);
    }

    #[test]
    fn who_listens_and_accepts_nobody_is_not_taken_for_nobody() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let path = root.path().join("a.sock");
        let open = || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap()
        };
        let (listener, address) = (open(), UnixAddr::new(&path).unwrap());
        bind(listener.as_raw_fd(), &address).unwrap();
        listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let first = open();
        connect(first.as_raw_fd(), &address).unwrap();
        let ask = || node.ask_socket(Path::new("/a.sock"), b"well?", Duration::from_millis(20)).unwrap();
        assert_eq!(ask(), Some(Vec::new()));
        assert!(!node.reach_socket(Path::new("/a.sock")).unwrap());
        drop(listener);
        assert_eq!(ask(), None);
    }
}
