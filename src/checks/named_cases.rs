//! What the node shows decides about the cause: an error's text, the checks that are worth running after it on a node made of
//! files and links, and the diagnosis that comes of both.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::subject::Subject;
use super::{After, Depth, TABLE, run};
use crate::diagnosis::Diagnosis;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::reason::{self, Happened};
use crate::node::Node;
use crate::node::links::Link;

const FULL: &str =
    "failed to allocate for range 0: no IP addresses available in range set: 10.244.1.1-10.244.1.6";

/// A node with what stands on it.
struct Stage {
    root: tempfile::TempDir,
    links: Vec<Link>,
}

impl Stage {
    /// With one interface, and one process by which it is seen that processes can be seen.
    fn new() -> Stage {
        let eth0 = Link {
            index: 2,
            name: "eth0".into(),
            up: true,
            carrier: true,
            mtu: 1500,
            addresses: vec!["192.168.7.5/24".parse().unwrap()],
            ..Link::default()
        };
        let stage = Stage { root: tempfile::tempdir().unwrap(), links: vec![eth0] };
        stage.put("proc/1/stat", &format!("1 (systemd) S 0{}", " 0".repeat(18)));
        stage
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn link(&mut self, name: &str, kind: &str, address: Option<&str>) {
        let link = Link {
            index: u32::try_from(self.links.len() + 2).unwrap(),
            name: name.into(),
            kind: Some(kind.into()),
            up: true,
            carrier: true,
            mtu: 1450,
            addresses: address.iter().map(|address| address.parse().unwrap()).collect(),
            ..Link::default()
        };
        self.links.push(link);
    }

    /// What comes of an ADD of this plugin that failed with this text.
    fn diagnosis(&self, plugin: &str, config: Value, text: &str) -> Diagnosis {
        let node = Node::at(self.root.path()).with_links(&self.links);
        let subject = Subject {
            plugin: plugin.into(),
            config,
            container_id: "new".into(),
            ifname: "eth0".into(),
            ..Subject::default()
        };
        let happened = Happened::Error { text: text.into() };
        let worth = reason::checks_worth_running(&happened, &[]).expect("the text tells a cause");
        let looked = TABLE.iter().filter(|check| {
            worth.contains(&check.name) && check.after != After::Never && (check.fits)(&subject)
        });
        let findings: Vec<Finding> = looked.map(|check| run(check, &node, &subject, Depth::Full)).collect();
        reason::diagnose(&happened, &findings, &[])
    }

    fn with_subnet_env(self) -> Stage {
        self.put(
            "run/flannel/subnet.env",
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/29\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
        );
        self
    }
}

fn flannel() -> Value {
    json!({"cniVersion": "1.0.0", "name": "cbr0", "type": "flannel"})
}

#[test]
fn no_addresses_where_flannels_subnet_and_device_are_gone_is_the_lost_subnet() {
    let mut stage = Stage::new();
    stage.link("cni0", "bridge", Some("10.244.1.1/24"));
    let diagnosis = stage.diagnosis("flannel", flannel(), FULL);
    assert_eq!(
        (diagnosis.cause, diagnosis.summary.as_str()),
        (Cause::SubnetEnvMissing, "/run/flannel/subnet.env is missing, and flannel has no device here")
    );
    assert_eq!(
        diagnosis.evidence[1],
        "check flannel: /run/flannel/subnet.env is missing, and flannel has no device here, which is the deeper cause"
    );
}

#[test]
fn no_addresses_where_the_dead_hold_them_is_a_full_pool_with_its_leak_and_a_safe_clean_up() {
    let mut stage = Stage::new().with_subnet_env();
    stage.link("flannel.1", "vxlan", Some("10.244.1.0/32"));
    stage.link("cni0", "bridge", Some("10.244.1.1/29"));
    for last in 2..7 {
        stage.put(&format!("var/lib/cni/networks/cbr0/10.244.1.{last}"), &format!("dead{last}\r\neth0"));
    }
    let diagnosis = stage.diagnosis("flannel", flannel(), FULL);
    assert_eq!(
        (diagnosis.cause, diagnosis.summary.as_str(), diagnosis.fix[0].as_str()),
        (
            Cause::IpamExhausted,
            "5 of 5 addresses used, 5 of them leaked",
            "release the 5 leaked addresses: remove their files in /var/lib/cni/networks/cbr0"
        )
    );
}

#[test]
fn unauthorized_with_a_kubeconfig_that_is_older_than_its_token_lives_tells_the_age() {
    let stage = Stage::new();
    let path = "etc/cni/net.d/calico-kubeconfig";
    stage.put("var/lib/calico/nodename", "node-1");
    stage.put(path, "users:\n- user:\n    token: not-a-jwt\n");
    let old = SystemTime::now() - Duration::from_hours(27);
    let file = std::fs::File::options().write(true).open(stage.root.path().join(path)).unwrap();
    file.set_modified(old).unwrap();
    let calico = json!({"kubernetes": {"kubeconfig": format!("/{path}")}, "ipam": {"type": "calico-ipam"}});
    let text = "error getting ClusterInformation: connection is unauthorized: Unauthorized";
    let diagnosis = stage.diagnosis("calico", calico, text);
    assert_eq!(
        (diagnosis.cause, diagnosis.summary.as_str()),
        (
            Cause::ApiserverDenied,
            "/etc/cni/net.d/calico-kubeconfig was written 27 h ago, and its token does not tell how long it is valid: \
             calico-node's are for 24 h"
        )
    );
}

#[test]
fn permission_denied_for_an_ipv6_address_where_ipv6_is_off_is_the_kernels_parameter() {
    let stage = Stage::new();
    for (name, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
    ] {
        stage.put(&format!("proc/sys/net/{name}"), value);
    }
    let dual = json!({
        "name": "n", "bridge": "br0", "isGateway": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]},
    });
    let text = "failed to set bridge addr: could not add IP address to \"br0\": permission denied";
    let diagnosis = stage.diagnosis("bridge", dual, text);
    assert_eq!(
        (diagnosis.cause, diagnosis.summary.as_str()),
        (
            Cause::SysctlFailed,
            "the network has IPv6 addresses, but IPv6 is off for br0, which is to have one (disable_ipv6=1)"
        )
    );
}

#[test]
fn file_exists_for_a_veth_that_is_left_over_names_it() {
    let mut stage = Stage::new();
    stage.link("veth0a1b2c3d", "veth", None);
    let config = json!({"name": "n", "bridge": "br0"});
    let diagnosis = stage.diagnosis("bridge", config, "failed to make veth pair: file exists");
    assert_eq!(diagnosis.cause, Cause::InterfaceExists);
    assert_eq!(diagnosis.summary, "sandboxes that are gone have left: 1 veths");
    // What is safe stands before it.
    let fix = "destructive: when no Pod uses it, remove each: ip link delete veth0a1b2c3d";
    assert!(diagnosis.fix[1..].iter().any(|one| one == fix), "{:?}", diagnosis.fix);
}

/// The head of a certificate that is valid from 2090 to 2099, as a kubeconfig has it.
pub(super) const OF_THE_FUTURE: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1ESXdNS0FEQWdFQ0FnRUJNQUF3QURBaUdBOHlNRGt3TURFd01UQXdNREF3TUZvWUR6SXdPVGt3TVRBeE1EQXdNREF3V2c9PQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==";

#[test]
fn not_yet_valid_where_the_kubeconfigs_certificate_is_of_the_future_names_the_clock() {
    let stage = Stage::new();
    stage.put("k", &format!("users:\n- user:\n    client-certificate-data: {OF_THE_FUTURE}\n"));
    let calico = json!({"kubernetes": {"kubeconfig": "/k"}});
    let text = "Get \"https://10.96.0.1:443/api\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid";
    let diagnosis = stage.diagnosis("calico", calico, text);
    assert_eq!(diagnosis.cause, Cause::CertificateInvalid);
    // Whether this machine's clock is synchronised may stand behind it.
    assert!(diagnosis.summary.contains("days: this node's clock is behind"), "{}", diagnosis.summary);
    assert!(diagnosis.fix[0].starts_with("set the node's clock"), "{}", diagnosis.fix[0]);
}

#[test]
fn a_text_that_the_node_does_not_support_keeps_its_own_cause() {
    let stage = Stage::new().with_subnet_env();
    let diagnosis = stage.diagnosis("flannel", flannel(), FULL);
    assert_eq!(diagnosis.cause, Cause::IpamExhausted);
    let config = json!({"name": "n", "bridge": "br0"});
    let diagnosis = stage.diagnosis("bridge", config, "open /etc/x: permission denied");
    assert_eq!(diagnosis.cause, Cause::PermissionDenied);
}
