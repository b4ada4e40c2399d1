//! What the processes of a delegate that hangs are doing: a snapshot of its process tree.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Node;
use super::locks::{Lock, parse_locks};
use super::processes::proc_path;
use super::unix_sockets::{self, UnixSockets};

/// The most processes of a tree, and threads of a process, that are looked at.
const MAX_TASKS: usize = 64;
/// The most open files of a process that are looked at.
const MAX_FILES: usize = 1024;
/// The longest `struct sockaddr_un`, in bytes.
const MAX_ADDRESS: usize = 110;

/// A process tree at one moment; the delegate itself comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The processes.
    pub processes: Vec<Stalled>,
}

/// One process of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stalled {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its name.
    pub name: String,
    /// Its command line.
    pub command_line: String,
    /// The state of its main thread, as in `ps`.
    pub state: String,
    /// Where in the kernel its threads wait, with how many of them do.
    pub wchan: BTreeMap<String, usize>,
    /// The number of the system call that its main thread is in, with its arguments, as in `/proc/<pid>/syscall`.
    pub syscall: String,
    /// Its connections by TCP and by unix sockets.
    pub connections: Vec<Connection>,
    /// The file lock that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for_lock: Option<LockWait>,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The other side: an address with its port, or the path of a unix socket.
    pub peer: String,
    /// `connecting`, `established` or another state's number.
    pub state: String,
}

/// A file lock that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockWait {
    /// The file.
    pub path: String,
    /// Who holds it.
    pub holder_pid: u32,
    /// The name of who holds it; empty if that process is gone.
    pub holder_name: String,
    /// Its command line.
    pub holder_command: String,
}

/// What is read once for all processes.
struct NodeWide {
    locks: Vec<Lock>,
    unix_sockets: UnixSockets,
}

impl Node {
    /// Looks at the processes that `pid` has started, and those that they have, but for `helper`.
    #[must_use]
    pub fn stall_snapshot(&self, pid: u32, helper: u32) -> Snapshot {
        let node_wide = NodeWide {
            locks: parse_locks(&self.read_text("/proc/locks".as_ref()).unwrap_or_default()),
            unix_sockets: self.unix_sockets(),
        };
        let mut snapshot = Snapshot::default();
        let mut waiting: VecDeque<u32> = self.children(pid, &self.tasks(pid)).into();
        waiting.retain(|child| *child != helper);
        while let Some(pid) = waiting.pop_front().filter(|_| snapshot.processes.len() < MAX_TASKS) {
            let tasks = self.tasks(pid);
            snapshot.processes.extend(self.stalled(pid, &tasks, &node_wide));
            waiting.extend(self.children(pid, &tasks));
        }
        snapshot
    }

    /// The threads of a process.
    fn tasks(&self, pid: u32) -> Vec<u32> {
        let names = self.list(&proc_path(pid, "task"), MAX_TASKS).unwrap_or_default().names;
        names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect()
    }

    /// The processes that the threads `tasks` of a process have started.
    fn children(&self, pid: u32, tasks: &[u32]) -> Vec<u32> {
        let file = |task: &u32| proc_path(pid, &format!("task/{task}/children"));
        let lists: Vec<String> = tasks.iter().filter_map(|task| self.read_text(&file(task)).ok()).collect();
        lists
            .iter()
            .flat_map(|list| list.split_ascii_whitespace())
            .filter_map(|child| child.parse().ok())
            .collect()
    }

    fn stalled(&self, pid: u32, tasks: &[u32], node_wide: &NodeWide) -> Option<Stalled> {
        let process = self.process(pid)?;
        let read = |file: &str| self.read_text(&proc_path(pid, file)).unwrap_or_default();
        let mut wchan = BTreeMap::new();
        for task in tasks {
            let place = read(&format!("task/{task}/wchan"));
            if !place.is_empty() && place != "0" {
                *wchan.entry(place).or_insert(0) += 1;
            }
        }
        Some(Stalled {
            pid,
            parent: process.parent,
            name: process.name,
            command_line: self.command_line(pid),
            state: process.state.to_string(),
            wchan,
            syscall: read("syscall"),
            connections: self.connections(pid, tasks, &node_wide.unix_sockets),
            waits_for_lock: self.lock_wait(pid, &node_wide.locks),
        })
    }

    fn connections(&self, pid: u32, tasks: &[u32], unix_sockets: &UnixSockets) -> Vec<Connection> {
        let folder = proc_path(pid, "fd");
        let files = self.list(&folder, MAX_FILES).unwrap_or_default().names;
        let inode = |name: &std::ffi::OsString| {
            let target = self.link_target(&folder.join(name))?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        };
        let inodes: Vec<u64> = files.iter().filter_map(inode).collect();
        if inodes.is_empty() {
            return Vec::new();
        }
        let tables =
            ["net/tcp", "net/tcp6"].map(|table| self.read_text(&proc_path(pid, table)).unwrap_or_default());
        let lines = tables.iter().flat_map(|table| table.lines().skip(1));
        let by_tcp = lines
            .filter_map(parse_connection)
            .filter(|(inode, _)| inodes.contains(inode))
            .map(|(_, found)| found);
        let connecting = tasks.iter().filter_map(|task| self.unix_connect(pid, *task));
        let connecting = connecting.map(|peer| Connection { peer, state: "connecting".to_owned() });
        let connected = inodes.iter().filter_map(|inode| unix_sockets.server_of(*inode));
        let connected =
            connected.map(|peer| Connection { peer: peer.to_owned(), state: "established".to_owned() });
        by_tcp.chain(connecting).chain(connected).collect()
    }

    /// The unix socket that a thread waits in connect(2) for: its name stands in the call's argument and nowhere else.
    fn unix_connect(&self, pid: u32, task: u32) -> Option<String> {
        let file = proc_path(pid, &format!("task/{task}/syscall"));
        let before = self.read_text(&file).ok()?;
        let (address, length) = connect_argument(&before)?;
        let memory = self.open_file(&proc_path(pid, "mem")).ok()?.file;
        let mut argument = [0; MAX_ADDRESS];
        let argument = argument.get_mut(..length)?;
        memory.read_exact_at(argument, address).ok()?;
        // Had it gone on meanwhile, other things could stand there now.
        let is_still_there = self.read_text(&file).is_ok_and(|after| after == before);
        is_still_there.then(|| unix_address(argument)).flatten()
    }

    fn lock_wait(&self, pid: u32, locks: &[Lock]) -> Option<LockWait> {
        let wait = locks.iter().find(|lock| lock.pid == pid && lock.waits)?;
        let holds = |lock: &&Lock| !lock.waits && lock.inode == wait.inode && lock.device == wait.device;
        let holder = self.holder(locks.iter().find(holds)?.pid);
        let folder = proc_path(pid, "fd");
        let files = self.list(&folder, MAX_FILES).unwrap_or_default().names;
        let is_locked = |path: &Path| self.metadata(path).is_ok_and(|metadata| metadata.ino() == wait.inode);
        let path = files.iter().map(|name| folder.join(name)).find(|path| is_locked(path))?;
        let path = self.link_target(&path)?.display().to_string();
        Some(LockWait {
            path,
            holder_pid: holder.pid,
            holder_name: holder.name,
            holder_command: holder.command_line,
        })
    }
}

/// Where a thread in connect(2) has its address, and how long that is. The line of `/proc/<pid>/syscall` has the number of the
/// call and its arguments.
fn connect_argument(line: &str) -> Option<(u64, usize)> {
    let mut words = line.split_ascii_whitespace();
    if words.next()?.parse() != Ok(libc::SYS_connect) {
        return None;
    }
    let mut arguments = words.skip(1).map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    let (address, length) = (arguments.next()??, arguments.next()??);
    Some((address, usize::try_from(length).ok()?.min(MAX_ADDRESS)))
}

/// The name in a `struct sockaddr_un`.
fn unix_address(address: &[u8]) -> Option<String> {
    let (family, path) = address.split_at_checked(2)?;
    let is_unix = i32::from(u16::from_ne_bytes([family[0], family[1]])) == libc::AF_UNIX;
    is_unix.then(|| unix_sockets::name(path)).filter(|name| !name.is_empty())
}

/// A line of `/proc/net/tcp` or `tcp6` (proc_net(5)): the inode of the socket, and its other side.
fn parse_connection(line: &str) -> Option<(u64, Connection)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let state = match *fields.get(3)? {
        "01" => "established",
        "02" => "connecting",
        // Listening and closed ones wait for nobody.
        "07" | "0A" => return None,
        other => other,
    };
    let peer = parse_address(fields.get(2)?)?.to_string();
    Some((fields.get(9)?.parse().ok()?, Connection { peer, state: state.to_owned() }))
}

/// `0100007F:1F90`: each four bytes of the address are a number in the machine's order.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{Flock, FlockArg};
    use std::process::{Command, Stdio};

    #[cfg(target_endian = "little")]
    #[test]
    fn connections_are_read() {
        let line = "   1: 0100007F:8AE2 0100600A:01BB 02 00000001:00000000 01:00000064 00000000     0        0 4711 1 0000";
        let expected = Connection { peer: "10.96.0.1:443".into(), state: "connecting".into() };
        assert_eq!(parse_connection(line), Some((4711, expected)));
        let line = "   1: 00000000000000000000000001000000:0016 0000000000000000FFFF00000200600A:01BB 01 0:0 0:0 0 0 0 12 1";
        let expected = Connection { peer: "10.96.0.2:443".into(), state: "established".into() };
        assert_eq!(parse_connection(line), Some((12, expected)));
        assert_eq!(parse_connection("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn the_argument_of_connect_is_found() {
        let line = format!("{} 0x3 0x7ffd10 0x6e 0x0 0x0 0x0 0x7ffd00 0x7f00", libc::SYS_connect);
        assert_eq!(connect_argument(&line), Some((0x7f_fd10, 0x6e)));
        for line in ["running", "-1 0x7ffd00 0x7f00", "1000000 0x3 0x7ffd10 0x6e", ""] {
            assert_eq!(connect_argument(line), None, "{line}");
        }
        let unix = |path: &[u8]| [&1_u16.to_ne_bytes(), path].concat();
        assert_eq!(unix_address(&unix(b"/run/a.sock\0junk")).as_deref(), Some("/run/a.sock"));
        assert_eq!(unix_address(&unix(b"")), None);
        assert_eq!(unix_address(&2_u16.to_ne_bytes()), None);
        assert_eq!(unix_address(b"x"), None);
    }

    #[test]
    fn a_process_that_waits_for_a_lock_is_seen_with_its_holder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = Flock::lock(file.reopen().unwrap(), FlockArg::LockExclusive).unwrap();
        let script = format!("flock {} true", file.path().display());
        let mut shell =
            Command::new("sh").args(["-c", &format!("{script}; true")]).stdin(Stdio::null()).spawn().unwrap();
        let node = Node::this();
        let found = (0..500).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let snapshot = node.stall_snapshot(std::process::id(), 0);
            snapshot
                .processes
                .into_iter()
                .find(|process| process.parent == shell.id() && process.waits_for_lock.is_some())
        });
        drop(held);
        shell.wait().unwrap();
        let found = found.expect("flock(1) waits");
        assert_eq!((found.name.as_str(), found.parent), ("flock", shell.id()));
        let wait = found.waits_for_lock.unwrap();
        assert_eq!(
            (wait.path.as_str(), wait.holder_pid),
            (file.path().to_str().unwrap(), std::process::id())
        );
        assert_eq!(wait.holder_command, node.command_line(std::process::id()));
    }
}
