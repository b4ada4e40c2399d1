//! Addresses of names. The C library's own look-up loads code when it runs, which is not safe in a static binary: so the node's
//! hosts file is read, and its name servers are asked, here.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, Question, RCODE, TYPE};
use uuid::Uuid;

use super::Node;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// How many servers are asked (`MAXNS` of `resolv.h`).
const MAX_SERVERS: usize = 3;
/// How often each is asked: a datagram may be lost.
const ROUNDS: u32 = 2;
/// The most that an answer has without an extension of the protocol is 512 bytes.
const MAX_ANSWER: usize = 4096;

/// What came of looking a name up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Its addresses, those of IPv4 first.
    Found(Vec<IpAddr>),
    /// This name server says that it has none.
    NoAddress(SocketAddr),
    /// No name server tells; this is what the last one said instead.
    Failed(SocketAddr, String),
    /// No name server answers in time; these were asked.
    Silent(Vec<SocketAddr>),
    /// There is nobody to ask, for this reason.
    NobodyToAsk(String),
}

/// Why a server has told nothing.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    Silent,
    Says(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Trouble::Silent,
            kind => Trouble::Says(kind.to_string()),
        }
    }
}

impl From<simple_dns::SimpleDnsError> for Trouble {
    fn from(error: simple_dns::SimpleDnsError) -> Trouble {
        Trouble::Says(error.to_string())
    }
}

impl Node {
    /// Looks a name up as the node's programs do, in this process' network namespace: first in `/etc/hosts`, then with the
    /// name servers of `/etc/resolv.conf`.
    #[must_use]
    pub fn addresses(&self, name: &str, limit: Duration) -> Lookup {
        let here = in_hosts(&self.read_text(Path::new(HOSTS)).unwrap_or_default(), name);
        if !here.is_empty() {
            return Lookup::Found(here);
        }
        let config = match self.read_text(Path::new(RESOLV_CONF)) {
            Ok(content) => resolv_conf::Config::parse_with_errors(content.as_bytes()).0,
            Err(error) => return Lookup::NobodyToAsk(error.to_string()),
        };
        let servers = config.nameservers.iter().take(MAX_SERVERS);
        let servers: Vec<_> = servers.map(|server| SocketAddr::new(server.into(), PORT)).collect();
        if servers.is_empty() {
            return Lookup::NobodyToAsk(format!("{RESOLV_CONF} names no name server"));
        }
        ask(&servers, &full_names(name, &config), limit)
    }
}

/// The addresses of a name in `/etc/hosts` (hosts(5)).
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().filter_map(|line| line.split('#').next());
    lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|alias| alias.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect()
}

/// What a name may stand for, in the order of resolv.conf(5): with few dots in it, the search list comes first.
fn full_names(name: &str, config: &resolv_conf::Config) -> Vec<String> {
    if let Some(absolute) = name.strip_suffix('.') {
        return vec![absolute.to_owned()];
    }
    let mut names: Vec<_> = config
        .get_last_search_or_domain()
        .map(|domain| domain.trim_end_matches('.'))
        .filter(|domain| !domain.is_empty())
        .map(|domain| format!("{name}.{domain}"))
        .collect();
    let dots = u32::try_from(name.matches('.').count()).unwrap_or(u32::MAX);
    let place = if dots >= config.ndots { 0 } else { names.len() };
    names.insert(place, name.to_owned());
    names
}

fn ask(servers: &[SocketAddr], names: &[String], limit: Duration) -> Lookup {
    let until = Instant::now() + limit;
    let each = limit / ROUNDS / u32::try_from(servers.len()).unwrap_or(1).max(1);
    let mut lookup = Lookup::Silent(servers.to_vec());
    for name in names {
        lookup = ask_for(name, servers, each, until);
        if matches!(lookup, Lookup::Found(_)) {
            break;
        }
    }
    lookup
}

fn ask_for(name: &str, servers: &[SocketAddr], each: Duration, until: Instant) -> Lookup {
    let mut lookup = Lookup::Silent(servers.to_vec());
    for _ in 0..ROUNDS {
        for server in servers {
            match query(*server, name, until.min(Instant::now() + each)) {
                Ok(addresses) if addresses.is_empty() => return Lookup::NoAddress(*server),
                Ok(addresses) => return Lookup::Found(addresses),
                Err(Trouble::Says(what)) => lookup = Lookup::Failed(*server, what),
                Err(Trouble::Silent) => {}
            }
        }
    }
    lookup
}

/// Asks one server for the addresses of both families.
fn query(server: SocketAddr, name: &str, until: Instant) -> Result<Vec<IpAddr>, Trouble> {
    let any =
        if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let random = Uuid::now_v7().into_bytes();
    let id = u16::from_be_bytes([random[14], random[15]]);
    let mut open = vec![id, id.wrapping_add(1)];
    for (id, kind) in open.iter().zip([TYPE::A, TYPE::AAAA]) {
        socket.send(&question(*id, name, kind)?)?;
    }
    let (mut addresses, mut trouble) = (Vec::new(), None);
    while !open.is_empty() {
        let mut answer = [0; MAX_ANSWER];
        let read = match receive(&socket, &mut answer, until) {
            Ok(read) => read,
            Err(what) => {
                trouble = Some(what);
                break;
            }
        };
        let Ok(packet) = Packet::parse(&answer[..read]) else { continue };
        let Some(asked) = open.iter().position(|id| *id == packet.id()) else { continue };
        if !packet.has_flags(PacketFlag::RESPONSE) {
            continue;
        }
        open.remove(asked);
        match told(&packet) {
            Ok(told) => addresses.extend(told),
            Err(what) => trouble = Some(what),
        }
    }
    // A server that is silent about one of the families has told of the other one.
    addresses.sort_by_key(IpAddr::is_ipv6);
    trouble.filter(|_| addresses.is_empty()).map_or(Ok(addresses), Err)
}

fn question(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, Trouble> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name)?, kind.into(), QCLASS::CLASS(CLASS::IN), false));
    Ok(packet.build_bytes_vec()?)
}

fn receive(socket: &UdpSocket, answer: &mut [u8], until: Instant) -> Result<usize, Trouble> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Trouble::Silent);
    }
    socket.set_read_timeout(Some(left))?;
    Ok(socket.recv(answer)?)
}

fn told(packet: &Packet) -> Result<Vec<IpAddr>, Trouble> {
    let says = |what: &str| Err(Trouble::Says(what.to_owned()));
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => {}
        RCODE::ServerFailure => return says("server failure"),
        RCODE::Refused => return says("query refused"),
        _ => return says("an error"),
    }
    let addresses: Vec<IpAddr> = packet
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::A(record) => Some(Ipv4Addr::from(record.address).into()),
            RData::AAAA(record) => Some(Ipv6Addr::from(record.address).into()),
            _ => None,
        })
        .collect();
    // What was cut off could be had by TCP, which nobody needs for a few addresses.
    if addresses.is_empty() && packet.has_flags(PacketFlag::TRUNCATION) {
        return Err(Trouble::Silent);
    }
    Ok(addresses)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use simple_dns::ResourceRecord;
    use std::thread::JoinHandle;

    /// A name server for `questions` questions, which knows `name` at `addresses`, and says `rcode` of every other one.
    pub(crate) fn server(
        at: &str,
        questions: usize,
        rcode: RCODE,
        name: &'static str,
        addresses: Vec<IpAddr>,
    ) -> (SocketAddr, JoinHandle<()>) {
        let socket = UdpSocket::bind(at).unwrap_or_else(|error| panic!("no UDP socket at {at}: {error}"));
        let address = socket.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            for _ in 0..questions {
                let mut buffer = [0; 512];
                let (read, from) = socket.recv_from(&mut buffer).unwrap();
                let reply = reply(&buffer[..read], rcode, name, &addresses);
                socket.send_to(&reply, from).unwrap();
            }
        });
        (address, serving)
    }

    fn reply(question: &[u8], rcode: RCODE, name: &str, addresses: &[IpAddr]) -> Vec<u8> {
        let query = Packet::parse(question).unwrap();
        let asked = query.questions[0].qname.clone();
        let kind = query.questions[0].qtype;
        let mut reply = query.into_reply();
        if asked.to_string() != name {
            *reply.rcode_mut() = rcode;
            return reply.build_bytes_vec().unwrap();
        }
        for address in addresses {
            let (of, data) = match address {
                IpAddr::V4(address) => (TYPE::A, RData::A((*address).into())),
                IpAddr::V6(address) => (TYPE::AAAA, RData::AAAA((*address).into())),
            };
            if kind == of.into() {
                reply.answers.push(ResourceRecord::new(asked.clone(), CLASS::IN, 60, data));
            }
        }
        reply.build_bytes_vec().unwrap()
    }

    const LONG: Duration = Duration::from_secs(30);

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn asked(servers: &[SocketAddr], name: &str, limit: Duration) -> Lookup {
        ask(servers, &[name.to_owned()], limit)
    }

    #[test]
    fn names_are_looked_up_in_the_hosts_file() {
        let hosts =
            "127.0.0.1 localhost\n10.0.0.5\tapi API.example.org # the balancer\n# 10.0.0.6 api\njunk api\n";
        assert_eq!(in_hosts(hosts, "api.example.org"), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(hosts, "api").len(), 1);
        assert!(in_hosts(hosts, "the").is_empty());
    }

    #[test]
    fn a_short_name_stands_for_those_of_the_search_list_first() {
        let config = "search a.org b.org.\noptions ndots:2\nnameserver 10.0.0.10\n";
        let config = resolv_conf::Config::parse(config).unwrap();
        let table = [
            ("api", vec!["api.a.org", "api.b.org", "api"]),
            ("x.api", vec!["x.api.a.org", "x.api.b.org", "x.api"]),
            ("y.x.api", vec!["y.x.api", "y.x.api.a.org", "y.x.api.b.org"]),
            ("api.", vec!["api"]),
        ];
        for (name, expected) in table {
            assert_eq!(full_names(name, &config), expected, "{name}");
        }
    }

    #[test]
    fn a_name_server_tells_the_addresses_of_both_families() {
        let all = addresses(&["fd00::1", "192.0.2.1"]);
        let (at, serving) = server("127.0.0.1:0", 2, RCODE::NameError, "api.example.org", all);
        let expected = Lookup::Found(addresses(&["192.0.2.1", "fd00::1"]));
        assert_eq!(asked(&[at], "api.example.org", LONG), expected);
        serving.join().unwrap();
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_address() {
        let (at, serving) = server("127.0.0.1:0", 2, RCODE::NameError, "api.example.org", Vec::new());
        assert_eq!(asked(&[at], "apj.example.org", LONG), Lookup::NoAddress(at));
        serving.join().unwrap();
    }

    #[test]
    fn the_next_server_is_asked_where_one_fails() {
        let (failing, one) = server("127.0.0.1:0", 2, RCODE::ServerFailure, "", Vec::new());
        let known = addresses(&["192.0.2.1"]);
        let (good, other) = server("127.0.0.1:0", 2, RCODE::NameError, "api", known.clone());
        assert_eq!(asked(&[failing, good], "api", LONG), Lookup::Found(known));
        one.join().unwrap();
        other.join().unwrap();
    }

    #[test]
    fn what_the_last_server_says_is_told() {
        let (at, serving) = server("127.0.0.1:0", 4, RCODE::Refused, "", Vec::new());
        assert_eq!(asked(&[at], "api", LONG), Lookup::Failed(at, "query refused".into()));
        serving.join().unwrap();
    }

    #[test]
    fn a_server_that_says_nothing_is_not_waited_for() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = silent.local_addr().unwrap();
        let started = Instant::now();
        assert_eq!(asked(&[at], "api", Duration::from_millis(40)), Lookup::Silent(vec![at]));
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_left_out() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let known = addresses(&["192.0.2.1"]);
            for _ in 0..2 {
                let mut buffer = [0; 512];
                let (read, from) = socket.recv_from(&mut buffer).unwrap();
                let question = &buffer[..read];
                socket.send_to(b"junk", from).unwrap();
                socket.send_to(question, from).unwrap();
                let mut others = reply(question, RCODE::NoError, "api", &addresses(&["192.0.2.66"]));
                others[0] ^= 0x80;
                socket.send_to(&others, from).unwrap();
                socket.send_to(&reply(question, RCODE::NoError, "api", &known), from).unwrap();
            }
        });
        assert_eq!(asked(&[at], "api", LONG), Lookup::Found(addresses(&["192.0.2.1"])));
        serving.join().unwrap();
    }

    #[test]
    fn without_a_name_server_nobody_is_asked() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        let looked = || node.addresses("api", LONG);
        let missing = "/etc/resolv.conf: no such file or directory".to_owned();
        assert_eq!(looked(), Lookup::NobodyToAsk(missing));
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/resolv.conf"), "search a.org\nnameserver x\n").unwrap();
        assert_eq!(looked(), Lookup::NobodyToAsk("/etc/resolv.conf names no name server".into()));
        std::fs::write(root.path().join("etc/hosts"), "10.0.0.5 api\n").unwrap();
        assert_eq!(looked(), Lookup::Found(addresses(&["10.0.0.5"])));
    }
}
