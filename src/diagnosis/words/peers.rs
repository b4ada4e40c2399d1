//! Who did not answer: the address of a connection that failed, and the address of a request.

use super::Told;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::signatures::{Rank, Span};

/// Ports of services on the node that hand out addresses: AWS ipamd, azure-cns, etcd.
const IPAM_PORTS: &[&str] = &["50051", "10090", "2379", "2380", "4001"];
/// Ports at which an API server, or a load balancer before it, listens on a node's own address.
const API_PORTS: &[&str] = &["443", "6443", "6444", "7443", "7445", "8443", "16443"];
/// Sockets that belong to neither an agent nor an IPAM: (a piece of the path, the cause).
const SOCKETS: &[(&str, Cause)] = &[
    ("dhcp", Cause::IpamBackendUnavailable),
    ("ipam", Cause::IpamBackendUnavailable),
    ("azure", Cause::IpamBackendUnavailable),
    ("pod-resources", Cause::DeviceUnavailable),
    ("containerd", Cause::RuntimeFailed),
    ("crio", Cause::RuntimeFailed),
    ("docker", Cause::RuntimeFailed),
];
/// Names that are the cloud's.
const CLOUDS: &[&str] = &["amazonaws.com", "aliyuncs.com", "googleapis.com", "management.azure.com"];
/// The addresses of the clouds' metadata services.
const METADATA: &[&str] = &["169.254.169.254", "100.100.100.200", "metadata.google.internal"];
/// What a request ends with where nobody, or somebody else, answered.
const UNANSWERED: &[&str] = &[
    "eof",
    "timeout",
    "timed out",
    "deadline exceeded",
    "cannotconnect",
    "connection reset",
    "connection refused",
    "connection lost",
    "unreachable",
    "no route to host",
    "no such host",
    "server misbehaving",
    "service unavailable",
    "bad gateway",
    "gateway time",
    "proxyconnect",
    "proxy authentication",
    "request canceled",
    "broken pipe",
    "force closed",
];
/// The hosts in a request's address that stand for a unix socket, as Go's clients write it: any name would do.
const SOCKET_HOSTS: &[&str] = &["dummy", "unix", "localhost"];
/// An address is no longer than this.
const MOST: usize = 200;

/// What the connections, look-ups and requests of a text tell.
pub(super) fn told(text: &str) -> Vec<Told> {
    [dialled(text), socket_missing(text), looked_up(text), requested(text)].into_iter().flatten().collect()
}

/// What is done with a connection, as Go's `net` says it.
const DONE: &[&str] =
    &["dial unix ", "dial tcp ", "dial udp ", "read tcp ", "write tcp ", "read unix ", "write unix "];

/// `dial unix /run/x.sock: connect: …`, `dial tcp 10.96.0.1:443: …`, `read tcp 10.0.0.1:4321->10.96.0.1:443: …`: the last
/// one of the text.
fn dialled(text: &str) -> Option<Told> {
    let start = DONE.iter().filter_map(|done| text.rfind(done)).max()?;
    let behind = start + text[start..].find(' ')? + 1;
    let (protocol, rest) = text[behind..].split_once(' ')?;
    let rest = &rest[..rest.floor_char_boundary(MOST.min(rest.len()))];
    // `dial tcp: lookup …` is told by the look-up.
    let (peer, why) = rest.split_once(": ").unwrap_or((rest, ""));
    if why.starts_with("connect: permission denied") {
        return None;
    }
    let cause = if protocol == "unix" { of_socket(peer) } else { of_address(peer, text)? };
    let end = behind + protocol.len() + 1 + rest.len();
    Some(Told { cause, rank: Rank::Decisive, span: Span { start, end } })
}

/// `/run/x/y.sock: connect: connection refused` in other words than Go's.
fn socket_missing(text: &str) -> Option<Told> {
    let behind = text.rfind(".sock")? + ".sock".len();
    let near = &text[behind..text.floor_char_boundary((behind + 80).min(text.len()))];
    let why = UNANSWERED.iter().chain(&["no such file or directory"]);
    let end = why.filter_map(|words| near.find(words).map(|at| at + words.len())).min()?;
    let start = text[..behind].rfind([' ', '"', '\'', '=']).map_or(0, |at| at + 1);
    let path = &text[start..behind];
    // In a URL the path's slashes are escaped.
    (path.contains('/') || path.contains("%2f")).then(|| Told {
        cause: of_socket(path),
        rank: Rank::Decisive,
        span: Span { start, end: behind + end },
    })
}

fn of_socket(path: &str) -> Cause {
    let known = SOCKETS.iter().find(|(piece, _)| path.contains(piece));
    known.map_or(Cause::AgentUnreachable, |(_, cause)| *cause)
}

/// The cause that is behind an address. `None` where nothing tells what listens there.
fn of_address(peer: &str, text: &str) -> Option<Cause> {
    // `[::1]:43210->[::1]:8080`: the second is the peer.
    let peer = peer.rsplit("->").next()?;
    let (host, port) = peer.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    let is_own = host.starts_with("127.") || matches!(host, "::1" | "localhost");
    if METADATA.contains(&host) {
        return Some(Cause::CloudApiFailed);
    }
    if IPAM_PORTS.contains(&port) {
        return Some(Cause::IpamBackendUnavailable);
    }
    if is_own && port == "8080" {
        // Where a client goes that has no kubeconfig.
        return Some(Cause::KubeconfigMissing);
    }
    if API_PORTS.contains(&port) || text.contains("/api/v1") || text.contains("/apis/") {
        return Some(Cause::ApiserverUnreachable);
    }
    if port == "53" {
        return Some(Cause::ApiserverUnreachable);
    }
    is_own.then_some(Cause::AgentUnreachable)
}

/// `lookup api.example.com on 10.0.0.2:53: no such host`.
fn looked_up(text: &str) -> Option<Told> {
    let start = text.rfind("lookup ")?;
    let rest = &text[start + "lookup ".len()..];
    let near = &rest[..rest.floor_char_boundary(MOST.min(rest.len()))];
    let why = ["no such host", "server misbehaving", "i/o timeout", "temporary failure in name resolution"];
    let end = why.iter().filter_map(|why| near.find(why).map(|at| at + why.len())).min()?;
    let name = near.split([' ', ':']).next()?;
    let is_cloud = CLOUDS.iter().any(|cloud| name.ends_with(cloud));
    let cause = if is_cloud { Cause::CloudApiFailed } else { Cause::ApiserverUnreachable };
    Some(Told { cause, rank: Rank::Decisive, span: Span { start, end: start + "lookup ".len() + end } })
}

/// `Get "https://10.96.0.1:443/api/v1/…": …`: a request to the Kubernetes API that has no better reason behind it.
fn requested(text: &str) -> Option<Told> {
    let api = text.rfind("/api/v1/").max(text.rfind("/apis/"))?;
    let start = text[..api].rfind("http")?;
    let is_local = text[start..api].contains("localhost:8080") || text[start..api].contains("127.0.0.1:8080");
    let behind = api + text[api..].find(": ")? + 2;
    let near = &text[behind..text.floor_char_boundary((behind + MOST).min(text.len()))];
    let end = behind + near.len();
    let span = Span { start, end };
    if near.starts_with("forbidden") {
        return Some(Told { cause: Cause::ApiserverDenied, rank: Rank::Decisive, span });
    }
    if !UNANSWERED.iter().any(|words| near.contains(words)) {
        return None;
    }
    let host = text[start..api].trim_start_matches("http://");
    let cause = match () {
        () if is_local => Cause::KubeconfigMissing,
        () if SOCKET_HOSTS.contains(&host) => Cause::AgentUnreachable,
        () => Cause::ApiserverUnreachable,
    };
    Some(Told { cause, rank: Rank::Word, span })
}
