//! The files that checks read, each with what a node has there.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::Path;

use proptest::prelude::*;

use super::contents::like;
use crate::checks::kubeconfig::Kubeconfig;

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n    server: https://127.0.0.1:1\n\
     users:\n- name: calico\n  user:\n    token: eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDAsImlhdCI6MTYwMDAwMDAwMH0.x\n\
     contexts:\n- name: c\n  context:\n    cluster: local\n    user: calico\ncurrent-context: c\n";

/// Below the root. What is executed has no place here: whatever it holds would run.
pub const FILES: [(&str, &str); 41] = [
    (
        "etc/cni/net.d/10-net.conflist",
        r#"{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"cniscope","cniscope":{"wraps":"bridge"},"bridge":"cni0",
            "isGateway":true,"ipMasq":true,"mtu":1450,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.1.0.0/24",
            "rangeStart":"10.1.0.2","gateway":"10.1.0.1"}],[{"subnet":"fd00::/64"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
            {"type":"portmap","capabilities":{"portMappings":true}},{"type":"tuning","sysctl":{"net.core.somaxconn":"1"}}]}"#,
    ),
    (
        "etc/cni/net.d/20-calico.conf",
        r#"{"cniVersion":"0.3.1","name":"k8s","type":"calico","ipam":{"type":"calico-ipam"},"mtu":1450,
            "kubernetes":{"kubeconfig":"/etc/cni/net.d/calico-kubeconfig"}}"#,
    ),
    (
        "etc/cni/net.d/30-\u{1b}[31m\u{202e}.conflist",
        r#"{"cniVersion":"0.4.0","name":"flannel\u001b[31m","plugins":[{"type":"flannel","delegate":{"hairpinMode":true}}]}"#,
    ),
    (
        "etc/cni/net.d/05-cilium.conflist.cilium_bak",
        r#"{"cniVersion":"0.3.1","plugins":[{"type":"cilium-cni"}]}"#,
    ),
    ("etc/cni/net.d/calico-kubeconfig", KUBECONFIG),
    ("etc/cni/net.d/multus.kubeconfig", KUBECONFIG),
    (
        "etc/containerd/config.toml",
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n  bin_dir = \"/opt/cni/bin\"\n  conf_dir = \"/etc/cni/net.d\"\n",
    ),
    (
        "etc/crio/crio.conf",
        "[crio.network]\nnetwork_dir = \"/etc/cni/net.d/\"\nplugin_dirs = [\n\t\"/opt/cni/bin/\",\n]\n",
    ),
    ("etc/hostname", "node-1\n"),
    (
        "etc/kubernetes/manifests/kube-apiserver.yaml",
        "spec:\n  containers:\n  - command:\n    - kube-apiserver\n    - --service-cluster-ip-range=10.96.0.0/12,fd01::/108\n",
    ),
    ("lib/modules/6.1.0/modules.builtin", "kernel/net/bridge/bridge.ko\nkernel/drivers/net/veth.ko\n"),
    (
        "lib/modules/6.1.0/modules.dep",
        "kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/ipv4/udp_tunnel.ko.xz\n",
    ),
    ("opt/cni/bin/bridge", "\u{7f}ELF\u{2}\u{1}\u{1}\0\0\0\0\0\0\0\0\0\u{2}\0\u{3e}\0\u{1}\0\0\0"),
    ("proc/1/cmdline", "/usr/bin/containerd\0--config\0/etc/containerd/config.toml\0"),
    (
        "proc/1/stat",
        "1 (containerd) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 90 1000 100 18446744073709551615\n",
    ),
    ("proc/77/cmdline", "/opt/bin/flanneld\0--ip-masq\0"),
    (
        "proc/77/stat",
        "77 (flanneld) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 900 1000 100 18446744073709551615\n",
    ),
    ("proc/loadavg", "0.10 0.20 0.30 1/500 12345\n"),
    (
        "proc/locks",
        "1: FLOCK  ADVISORY  WRITE 77 00:1a:1234 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 78 00:1a:1234 0 EOF\n",
    ),
    ("proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n"),
    (
        "proc/modules",
        "bridge 421888 1 br_netfilter, Live 0x0000000000000000\nveth 45056 0 - Live 0x0000000000000000\n",
    ),
    ("proc/net/ip_tables_names", "nat\nfilter\n"),
    (
        "proc/net/route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
    ),
    (
        "proc/net/ipv6_route",
        "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     cni0\n",
    ),
    (
        "proc/net/stat/nf_conntrack",
        "entries  clashres drop\n00000010  00000000 00000002\n00000010  00000000 00000001\n",
    ),
    ("proc/sys/fs/file-nr", "1000\t0\t9223372036854775807\n"),
    ("proc/sys/fs/inotify/max_user_watches", "65536\n"),
    ("proc/sys/kernel/osrelease", "6.1.0\n"),
    ("proc/sys/net/ipv4/ip_forward", "1\n"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "95\n"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "100\n"),
    ("proc/uptime", "1000.10 2000.20\n"),
    (
        "run/flannel/subnet.env",
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
    ),
    ("run/netns/abc", ""),
    ("run/xtables.lock", ""),
    ("var/lib/calico/mtu", "1450"),
    ("var/lib/calico/nodename", "node-1"),
    ("var/lib/cni/networks/net/10.1.0.2", "abc\r\neth0"),
    (
        "var/lib/cni/results/net-abc-eth0",
        r#"{"kind":"cniCacheV1","containerId":"abc","config":"e30=","ifName":"eth0","networkName":"net","result":{"cniVersion":"1.0.0",
            "interfaces":[{"name":"eth0","sandbox":"/run/netns/abc"}],"ips":[{"address":"10.1.0.2/24","interface":0}]}}"#,
    ),
    (
        "var/lib/kubelet/config.yaml",
        "kind: KubeletConfiguration\nclusterDNS:\n- 10.96.0.10\npodCIDR: 10.244.1.0/24\n",
    ),
    (
        "var/log/pods/kube-flannel_kube-flannel-ds-abcde_1/kube-flannel/3.log",
        "2026-01-02T03:04:05.000000000Z stderr F E0102 main.go:332] Failed to create SubnetManager: \u{1b}[31merror\u{1b}[0m\n",
    ),
];

/// The files of a node: most of them, each with something like what it has to hold.
pub fn contents() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let files: Vec<_> = FILES
        .iter()
        .map(|(path, valid)| {
            proptest::option::weighted(0.9, like(valid))
                .prop_map(|content| content.map(|content| (*path, content)))
        })
        .collect();
    files.prop_map(|files| files.into_iter().flatten().filter(|(_, content)| asks_nobody(content)).collect())
}

/// Where the runtimes listen whose configurations are among the files.
pub const SOCKETS: [&str; 2] = ["run/containerd/containerd.sock", "run/crio/crio.sock"];

/// Writes the files below the root, and makes the socket, which is given.
pub fn put(root: &Path, contents: &[(&str, Vec<u8>)], socket: &str) -> UnixListener {
    for (path, content) in contents {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let socket = root.join(socket);
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    UnixListener::bind(socket).unwrap()
}

/// Whether this, taken for a kubeconfig, names no server but one that is not there: a test asks nobody else.
fn asks_nobody(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    let server = Kubeconfig { path: Path::new("/"), text: &text }.server();
    server.is_none_or(|server| server.host == Ipv4Addr::LOCALHOST.to_string() && server.port == 1)
}
