//! Errors whose text alone points to something else, or to too little: made for real, the node decides about the cause.

use nix::sys::socket::UnixAddr;
use serde_json::{Value, json};

use crate::cilium;
use crate::network::{NAME, Network, VERSIONS, Wrapping};
use crate::support::eventually;
use crate::support::listeners::full;
use crate::waits::{Stopped, stopped};
use crate::world::{World, sh, tool};

/// Why an ADD failed, as the record has it.
struct Failed {
    /// The plugin's own text.
    text: String,
    cause: String,
    summary: String,
    evidence: Vec<String>,
    /// The first way to mend it.
    fix: String,
}

impl Failed {
    /// Of the end record.
    fn of(end: &Value) -> Failed {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let diagnosis = &end["diagnosis"];
        assert_eq!(end["cause"], diagnosis["cause"]);
        Failed {
            text: text(&end["error"]["msg"]),
            cause: text(&end["cause"]),
            summary: text(&diagnosis["summary"]),
            evidence: diagnosis["evidence"].as_array().unwrap().iter().map(text).collect(),
            fix: text(&diagnosis["fix"][0]),
        }
    }

    /// That the text has these words, and the fault this cause and this summary.
    #[track_caller]
    fn tells(&self, words: &str, cause: &str, summary: &str) {
        assert!(self.text.contains(words), "the fault is another one: {}", self.text);
        assert_eq!((self.cause.as_str(), self.summary.as_str()), (cause, summary), "{:#?}", self.evidence);
    }

    /// That this is among the evidence.
    #[track_caller]
    fn shows(&self, line: &str) {
        assert!(self.evidence.iter().any(|one| one == line), "{line:?} is not in {:#?}", self.evidence);
    }
}

/// An ADD of the sandbox, which has to fail; the answer names the cause of the record.
fn failed(world: &World) -> Failed {
    let (status, stdout, stderr) = world.cnitool("add", NAME).run().answer();
    assert_eq!(status, 1, "the ADD is to fail: {stdout}");
    let ends = world.ends();
    let failed =
        Failed::of(ends.iter().rfind(|end| end["outcome"] != "ok").expect("a failure in the journal"));
    let told = format!("[cniscope: {}: {}; fix: {}; see: ", failed.cause, failed.summary, failed.fix);
    assert!(stderr.contains(&told), "{told} is not in {stderr}");
    failed
}

/// A plugin of one's own, or one in the place of another.
fn script(world: &World, name: &str, lines: &str) {
    // What stands there is a link to the real plugin.
    world.sh(&format!("rm -f /opt/cni/bin/{name}"));
    world.write(&format!("/opt/cni/bin/{name}"), &format!("#!/bin/sh\n{lines}\n"));
    world.sh(&format!("chmod 0755 /opt/cni/bin/{name}"));
}

/// A node of flannel's with its device and room for five Pods, of which these have their address.
fn flannel(pods: &[&str]) -> World {
    let plugins = json!([{"type": "flannel", "delegate": {"isDefaultGateway": true}}]);
    let world = Network::of(plugins).world("0.4.0", Wrapping::Whole);
    world.write(
        "/run/flannel/subnet.env",
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/29\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
    );
    world.sh("ip link add up0 type veth peer name up1; ip address add 192.0.2.1/24 dev up0
         ip link set up1 up; ip link set up0 up
         ip link add flannel.1 type vxlan id 1 dstport 8472 local 192.0.2.1 dev up0 nolearning
         ip address add 10.244.1.0/32 dev flannel.1; ip link set flannel.1 mtu 1450 up");
    for pod in pods {
        world.sh(&format!("ip netns add {pod}"));
        let added = world.cnitool_in(&format!("/run/netns/{pod}"), "add", NAME).run();
        assert_eq!(added.status, 0, "{added:?}");
    }
    world
}

const FULL: &str = "no IP addresses available in range set: 10.244.1.1-10.244.1.6";

#[test]
fn no_addresses_where_flannel_is_taken_away_while_the_call_runs() {
    let world = flannel(&["pod1", "pod2", "pod3", "pod4"]);
    // flannel has read its file when it calls the bridge; and another Pod was quicker to take the last address.
    script(
        &world,
        "bridge",
        &format!(
            r"printf 'other\r\neth0' >/var/lib/cni/networks/{NAME}/10.244.1.6
rm /run/flannel/subnet.env; ip link delete flannel.1
exec '{}'",
            tool("plugins/bridge").display()
        ),
    );
    let failed = failed(&world);
    let lost = "/run/flannel/subnet.env is missing, and flannel has no device here";
    failed.tells(FULL, "subnet-env-missing", lost);
    failed.shows(&format!("check flannel: {lost}, which is the deeper cause"));
}

#[test]
fn no_addresses_where_the_dead_hold_them_on_a_node_whose_flannel_is_well() {
    let pods = ["pod1", "pod2", "pod3", "pod4", "pod5"];
    let world = flannel(&pods);
    for pod in pods {
        world.sh(&format!("ip netns del {pod}"));
    }
    // The kernel takes a namespace down later.
    eventually(|| world.sh("ip -o link show master cni0").is_empty().then_some(()));
    let failed = failed(&world);
    failed.tells(FULL, "ipam-exhausted", "5 of 5 addresses used, 5 of them leaked");
    assert_eq!(failed.fix, "release the 5 leaked addresses: remove their files in /var/lib/cni/networks/net");
}

const KUBECONFIG: &str = "/etc/cni/net.d/calico-kubeconfig";

/// A node of Calico's, whose plugin fails with this text. The plugin is a script: Calico's own needs a cluster to say it.
fn calico(text: &str, user: &str) -> World {
    let plugins = json!([{
        "type": "calico", "kubernetes": {"kubeconfig": KUBECONFIG}, "ipam": {"type": "calico-ipam"},
    }]);
    let world = Network::of(plugins).world("0.3.1", Wrapping::Whole);
    world.write("/run/error.json", &json!({"cniVersion": "0.3.1", "code": 999, "msg": text}).to_string());
    for plugin in ["calico", "calico-ipam"] {
        script(&world, plugin, "cat >/dev/null; cat /run/error.json; exit 1");
    }
    world.write("/var/lib/calico/nodename", "node-1");
    world.write("/var/lib/calico/mtu", "1450");
    // The server has answered the plugin, and is not reached any more when the node is looked at: the text stays right.
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n    server: https://10.96.0.1:443\nusers:\n\
         - name: calico\n  user:\n    {user}\ncontexts:\n- name: calico-context\n  context:\n    cluster: local\n    user: calico\n\
         current-context: calico-context\n"
    );
    world.write(KUBECONFIG, &kubeconfig);
    world
}

#[test]
fn unauthorized_with_a_kubeconfig_that_is_older_than_its_token_lives() {
    let world = calico(
        "error getting ClusterInformation: connection is unauthorized: Unauthorized",
        "token: a-token-that-is-nobodys",
    );
    world.sh(&format!("touch -d '27 hours ago' {KUBECONFIG}"));
    failed(&world).tells(
        "Unauthorized",
        "apiserver-denied",
        "/etc/cni/net.d/calico-kubeconfig was written 27 h ago, and its token does not tell how long it is valid: \
         calico-node's are for 24 h",
    );
}

#[test]
fn unauthorized_with_a_kubeconfig_that_is_new_tells_no_age() {
    let world = calico(
        "error getting ClusterInformation: connection is unauthorized: Unauthorized",
        "token: a-token-that-is-nobodys",
    );
    failed(&world).tells(
        "Unauthorized",
        "apiserver-denied",
        "the Kubernetes API refuses the plugin's credentials",
    );
}

#[test]
fn not_yet_valid_where_the_kubeconfigs_certificate_is_of_the_future() {
    let mut certificate = rcgen::CertificateParams::new(Vec::new()).unwrap();
    certificate.not_before = rcgen::date_time_ymd(2090, 1, 1);
    certificate.not_after = rcgen::date_time_ymd(2099, 1, 1);
    let certificate = certificate.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let data = World::new().sh(&format!("printf %s '{certificate}' | base64 --wrap=0"));
    let world = calico(
        "error getting ClusterInformation: Get \"https://10.96.0.1:443/apis/crd.projectcalico.org/v1/clusterinformations/default\": \
         tls: failed to verify certificate: x509: certificate has expired or is not yet valid: \
         current time 2026-01-02T03:04:05Z is before 2090-01-01T00:00:00Z",
        &format!("client-certificate-data: {data}"),
    );
    let failed = failed(&world);
    assert_eq!(failed.cause, "certificate-invalid");
    let start = "client-certificate-data in /etc/cni/net.d/calico-kubeconfig is valid only in ";
    // How many days, and whether this machine's clock is synchronised, is another matter.
    assert!(failed.summary.starts_with(start), "{}", failed.summary);
    assert!(failed.summary.contains(" days: this node's clock is behind"), "{}", failed.summary);
    assert!(failed.fix.starts_with("set the node's clock"), "{}", failed.fix);
}

#[test]
fn file_exists_for_the_veth_that_a_dead_sandbox_of_ciliums_left() {
    let world = cilium::world::World::new();
    let list = cilium::list("1.0.0", &cilium::wrapped());
    let on_node = |script: &str| world.inside(|| sh(script));
    // The name is made of the container's id, so it is the same again.
    assert_eq!(world.cnitool("add", &list, "web").0, 0);
    let link = on_node("ip -o link show type veth");
    let veth = link.split(": ").nth(1).and_then(|name| name.split('@').next()).unwrap();
    assert_eq!(world.cnitool("del", &list, "web").0, 0);
    on_node(&format!("ip link add {veth} type veth peer name tmp12345; ip link set {veth} up"));
    let (status, _, stderr) = world.cnitool("add", &list, "web");
    assert_eq!(status, 1);
    let end = &world.place.ends(3)[2];
    let failed = Failed::of(end);
    assert!(stderr.contains("[cniscope: interface-exists: "), "{stderr}");
    assert!(failed.text.ends_with("unable to create veth pair: file exists"), "{}", failed.text);
    let summary = "sandboxes that are gone have left: 1 veths";
    assert_eq!((failed.cause.as_str(), failed.summary.as_str()), ("interface-exists", summary));
    let fix = format!("destructive: when no Pod uses it, remove each: ip link delete {veth}");
    assert!(end["diagnosis"]["fix"].as_array().unwrap().contains(&json!(fix)), "{}", end["diagnosis"]);
    // It was this veth, and nothing else.
    on_node(&format!("ip link delete {veth}"));
    assert_eq!(world.cnitool("add", &list, "web").0, 0);
}

#[test]
fn permission_denied_for_an_ipv6_address_where_ipv6_is_off() {
    let ranges = json!([[{"subnet": "10.6.0.0/24"}], [{"subnet": "fd00:6::/64"}]]);
    let plugins = json!([{
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local", "ranges": ranges},
    }]);
    let world = Network::of(plugins).world(VERSIONS[3], Wrapping::Whole);
    world.sh("for of in all default; do echo 1 >/proc/sys/net/ipv6/conf/$of/disable_ipv6; done");
    let failed = failed(&world);
    failed.tells(
        "could not add IP address fd00:6::1/64 to \"cni0\": permission denied",
        "sysctl-failed",
        "the network has IPv6 addresses, but IPv6 is off for cni0, which is to have one (disable_ipv6=1)",
    );
    assert_eq!(
        failed.fix,
        "sysctl -w net.ipv6.conf.default.disable_ipv6=0; if it exists: net.ipv6.conf.cni0.disable_ipv6=0"
    );
}

#[test]
fn temporarily_unavailable_where_the_agent_accepts_nobody() {
    let world =
        Network::of(json!([{"type": "cilium-cni", "enable-debug": false}])).world("0.4.0", Wrapping::Whole);
    world.sh("mkdir -p /run/cilium");
    let _full = world.inside(|| full(&UnixAddr::new("/run/cilium/cilium.sock").unwrap()));
    // Go's connect does not wait: cilium-cni tries again and again, for 30 s.
    failed(&world).tells(
        "dial unix /var/run/cilium/cilium.sock: connect: resource temporarily unavailable",
        "agent-unreachable",
        "Cilium's agent listens at /var/run/cilium/cilium.sock, but does not answer within 500 ms",
    );
}

#[test]
fn temporarily_unavailable_where_the_dhcp_daemon_accepts_nobody() {
    let world = Network::of(json!([{"type": "bridge", "bridge": "cni0", "ipam": {"type": "dhcp"}}]))
        .world(VERSIONS[3], Wrapping::Whole);
    world.sh("mkdir -p /run/cni");
    let _full = world.inside(|| full(&UnixAddr::new("/run/cni/dhcp.sock").unwrap()));
    failed(&world).tells(
        "dial unix /run/cni/dhcp.sock: connect: resource temporarily unavailable",
        "ipam-backend-unavailable",
        "the service that hands out addresses does not answer",
    );
}

/// Gives the node a way to 10.96.0.1, which drops what comes to its port 443.
pub fn drop_what_comes(world: &World) {
    world.sh("ip netns add other; ip link add up0 type veth peer name up0 netns other
         ip address add 192.0.2.1/24 dev up0; ip link set up0 up; ip route add 10.96.0.1 via 192.0.2.2
         ip -n other address add 192.0.2.2/24 dev up0; ip -n other link set up0 up
         ip -n other address add 10.96.0.1/32 dev lo; ip -n other link set lo up
         ip netns exec other nft add table ip f
         ip netns exec other nft add chain ip f in '{ type filter hook input priority 0; }'
         ip netns exec other nft add rule ip f in tcp dport 443 drop");
}

#[test]
fn an_api_server_whose_address_drops_what_comes() {
    let found = stopped(json!([{"type": "calico"}]), "0.3.1", |world| {
        drop_what_comes(world);
        // A client that is Go's, as Calico's is: no thread of it waits in connect(2), the socket alone shows it.
        let client = tool("bin/promtool");
        script(
            world,
            "calico",
            &format!("exec '{}' query instant https://10.96.0.1:443 up", client.display()),
        );
    });
    let expected = Stopped {
        cause: "apiserver-unreachable".into(),
        summary: "the plugin was stopped after 5 s: it waited for a connection to the Kubernetes API server"
            .into(),
        seen: "promtool (pid N) waited for a connection to 10.96.0.1:443".into(),
    };
    assert_eq!(found, expected);
}
