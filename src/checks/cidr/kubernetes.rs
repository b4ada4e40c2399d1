//! What a node knows of its cluster's networks without asking it: the kubelet's settings, and on a control plane the API
//! server's manifest.

use std::path::Path;

use ipnetwork::IpNetwork;

use crate::node::Node;

const KUBELET: &str = "/var/lib/kubelet/config.yaml";
const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
/// The kubelet's own default.
const MOST_PODS: u64 = 110;

/// The Services' network, or else the addresses of those that are known: the cluster's name service.
pub(super) fn services(node: &Node) -> Vec<IpNetwork> {
    let manifest = node.read_text(Path::new(API_SERVER)).unwrap_or_default();
    let ranges = manifest.lines().filter_map(|line| line.split_once("--service-cluster-ip-range="));
    let mut services: Vec<IpNetwork> = ranges.flat_map(|(_, value)| networks(value)).collect();
    if services.is_empty() {
        let settings = node.read_text(Path::new(KUBELET)).unwrap_or_default();
        services = cluster_dns(&settings);
    }
    services
}

fn networks(value: &str) -> impl Iterator<Item = IpNetwork> {
    value.split([',', '"', '\'', ' ']).filter_map(|one| one.parse().ok())
}

/// `clusterDNS:`, and below it a line such as `- 10.96.0.10` for each. The cache on a node has a link-local address.
fn cluster_dns(settings: &str) -> Vec<IpNetwork> {
    let below = settings.lines().skip_while(|line| line.trim_end() != "clusterDNS:").skip(1);
    let items = below.map_while(|line| line.trim_start().strip_prefix("- "));
    let addresses = items.filter_map(|item| item.trim().trim_matches(['"', '\'']).parse().ok());
    addresses.filter(|address: &std::net::IpAddr| !is_link_local(*address)).map(IpNetwork::from).collect()
}

fn is_link_local(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(address) => address.is_link_local(),
        std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// How many Pods the kubelet takes. `None` where no kubelet is set up.
pub(super) fn most_pods(node: &Node) -> Option<u64> {
    if !node.has_kubelet() {
        return None;
    }
    let kubelet = node.processes_named(&["kubelet"]).unwrap_or_default();
    let command_line = kubelet.first().map(|one| node.command_line(one.pid)).unwrap_or_default();
    let given = command_line
        .split("--max-pods")
        .nth(1)
        .and_then(|rest| rest.trim_start_matches(['=', ' ']).split(' ').next()?.parse().ok());
    let settings = node.read_text(Path::new(KUBELET)).unwrap_or_default();
    let set = settings.lines().find_map(|line| line.strip_prefix("maxPods:")?.trim().parse().ok());
    Some(given.or(set).filter(|pods| *pods > 0).unwrap_or(MOST_PODS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn shown(node: &Node) -> Vec<String> {
        services(node).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn services_are_known_by_the_api_servers_manifest_or_else_by_the_name_service() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert!(shown(&node).is_empty());
        put(
            root.path(),
            KUBELET,
            "clusterDNS:\n- 10.96.0.10\n- \"fd00:10:96::a\"\n- 169.254.20.10\nmaxPods: 50\n- 10.1.1.1\n",
        );
        assert_eq!(shown(&node), ["10.96.0.10/32", "fd00:10:96::a/128"]);
        let manifest = "spec:\n    - --service-account-key-file=/x\n    - --service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/112\n";
        put(root.path(), API_SERVER, manifest);
        assert_eq!(shown(&node), ["10.96.0.0/12", "fd00:10:96::/112"]);
    }

    #[test]
    fn the_most_pods_are_those_of_the_command_line_the_settings_or_the_default() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(most_pods(&node), None);
        put(root.path(), KUBELET, "kind: KubeletConfiguration\nmaxPods: x\n");
        assert_eq!(most_pods(&node), Some(110));
        put(root.path(), KUBELET, "kind: KubeletConfiguration\nmaxPods: 250\n");
        assert_eq!(most_pods(&node), Some(250));
        put(root.path(), "proc/7/stat", &format!("7 (kubelet) S 1{} 100 1 2", " 0".repeat(17)));
        for (line, expected) in [("--max-pods=30\0-v", 30), ("--max-pods\0 29", 29), ("--max-pods", 250)] {
            put(root.path(), "proc/7/cmdline", &format!("/usr/bin/kubelet\0{line}\0"));
            assert_eq!(most_pods(&node), Some(expected), "{line}");
        }
    }
}
