//! Who is at the other side of a connection: what is known of sockets and ports.

use std::net::{IpAddr, SocketAddr};

use super::catalogue::Cause;

/// Somebody whom a plugin waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The cause of a failure where it does not answer.
    pub cause: Cause,
    /// Its name in words.
    pub name: &'static str,
}

const fn agent(name: &'static str) -> Peer {
    Peer { cause: Cause::AgentUnreachable, name }
}

const fn ipam(name: &'static str) -> Peer {
    Peer { cause: Cause::IpamBackendUnavailable, name }
}

/// The Kubernetes API server.
const API_SERVER: Peer = Peer { cause: Cause::ApiserverUnreachable, name: "the Kubernetes API server" };

/// The ends of the paths of sockets, as the plugins have them built in or take them from their configuration.
const SOCKETS: &[(&str, Peer)] = &[
    ("/cilium.sock", agent("Cilium's agent")),
    ("/multus/multus.sock", agent("Multus' daemon")),
    ("/ovn-cni-server.sock", agent("ovn-kubernetes' node agent")),
    ("/antrea/cni.sock", agent("Antrea's agent")),
    ("/kube-ovn-daemon.sock", agent("Kube-OVN's daemon")),
    ("/cniserver/socket", agent("openshift-sdn's agent")),
    ("/spiderpool.sock", agent("Spiderpool's agent")),
    ("/cni/dhcp.sock", ipam("the DHCP daemon")),
];

/// Ports of daemons on the node itself.
const LOCAL_PORTS: &[(u16, Peer)] =
    &[(50051, ipam("AWS' ipamd")), (10090, ipam("azure-cns")), (6784, agent("Weave's router"))];

/// Who is at the other side: an address with its port, or the path of a unix socket. `None` where that is not certain.
#[must_use]
pub fn known(peer: &str) -> Option<Peer> {
    let Ok(address) = peer.parse::<SocketAddr>() else {
        let of = SOCKETS.iter().find(|(end, _)| peer.starts_with('/') && peer.ends_with(end));
        return of.map(|(_, peer)| *peer);
    };
    let local = LOCAL_PORTS.iter().find(|(port, _)| address.ip().is_loopback() && address.port() == *port);
    local.map(|(_, peer)| *peer).or(match address.port() {
        // kube-apiserver's, and that of k3s' load balancer on the node.
        6443 | 6444 => Some(API_SERVER),
        // Of a service. On a public address it may be anybody's, such as a cloud's.
        443 if is_private(address.ip()) => Some(API_SERVER),
        2379 => Some(ipam("etcd")),
        _ => None,
    })
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // RFC 6598, which providers use for services too, has no method yet.
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || address.is_loopback() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_known_by_socket_and_port() {
        let table = [
            ("/var/run/cilium/cilium.sock", Some("Cilium's agent")),
            ("/tmp/x/cilium.sock", Some("Cilium's agent")),
            ("@/run/cilium/cilium.sock", None),
            ("/run/multus/multus.sock", Some("Multus' daemon")),
            ("/run/cni/dhcp.sock", Some("the DHCP daemon")),
            ("/run/containerd/containerd.sock", None),
            ("127.0.0.1:50051", Some("AWS' ipamd")),
            ("10.0.0.7:50051", None),
            ("[::1]:10090", Some("azure-cns")),
            ("10.96.0.1:443", Some("the Kubernetes API server")),
            ("100.64.0.1:443", Some("the Kubernetes API server")),
            ("[fd00:10:96::1]:443", Some("the Kubernetes API server")),
            ("52.95.255.1:443", None),
            ("203.0.113.9:6443", Some("the Kubernetes API server")),
            ("10.0.0.7:2379", Some("etcd")),
            ("10.0.0.7:80", None),
            ("", None),
        ];
        for (peer, expected) in table {
            assert_eq!(known(peer).map(|peer| peer.name), expected, "{peer}");
        }
    }
}
