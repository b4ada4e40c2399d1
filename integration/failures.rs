//! Calls that fail: the plugin's text stays whole, its cause stands behind it, and what is left on the node is the same.

use serde_json::{Value, json};

use crate::names::Names;
use crate::network::{NAME, Network, Step, VERSIONS, Wrapping, assert_same};
use crate::support::eventually;
use crate::world::{POD, World};

/// A bridge with room for five Pods.
fn bridge() -> Value {
    json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.6.0.0/29"},
    })
}

/// An ADD that failed through cniscope.
struct Failed {
    world: World,
    /// The text of cnitool without cniscope.
    original: String,
    /// The bracket, up to the id.
    bracket: String,
    /// The record.
    end: Value,
}

/// Makes the same ADD and DEL with and without cniscope, after `before`, for the sandbox at `netns`. The ADD has to fail.
fn add(network: &Network, netns: &str, before: impl Fn(&World)) -> Failed {
    let [(_, direct), (world, wrapped)] = [Wrapping::Direct, Wrapping::Whole].map(|wrapping| {
        let world = network.world(VERSIONS[3], wrapping);
        before(&world);
        let mut names = Names::default();
        let steps: Vec<Step> =
            ["add", "del"].map(|verb| network.call(&world, netns, verb, &mut names)).into();
        (world, steps)
    });
    assert_eq!(direct[0].status, 1, "the ADD is to fail");
    assert_same("add, del", &direct, &wrapped);
    let mut ends = world.ends().into_iter().filter(|end| end["outcome"] != "ok" && end["command"] == "ADD");
    let end = ends.next().expect("a failure in the journal");
    let original = direct[0].stderr.trim_end().to_owned();
    let text = wrapped[0].stderr.trim_end();
    let added = text.strip_prefix("plugin type=\"cniscope\" failed (add): ").unwrap();
    let bracket = added.strip_prefix(&original).unwrap().trim_start_matches(';').trim_start();
    let bracket = bracket.strip_suffix(&format!("; see: cniscope show {}]", end["id"].as_str().unwrap()));
    Failed { original, bracket: bracket.expect(text).to_owned(), end, world }
}

impl Failed {
    /// That the text, the bracket, the journal and `show` tell the same.
    fn tells(&self, original: &str, cause: &str, summary: &str, fix: &str) {
        assert_eq!(self.original, original);
        assert_eq!(self.bracket, format!("[cniscope: {cause}: {summary}; fix: {fix}"));
        assert_eq!(
            (&self.end["cause"], &self.end["diagnosis"]["summary"], &self.end["diagnosis"]["fix"][0]),
            (&json!(cause), &json!(summary), &json!(fix))
        );
        let listed = self.world.cli(&["journal", "--failed", "--command", "ADD", "-o", "json"]).json();
        assert_eq!(listed, json!([self.end]));
        let (status, shown, _) = self.world.cli(&["show", self.end["id"].as_str().unwrap()]).answer();
        assert_eq!(status, 0);
        for part in [cause, summary, fix, self.end["returned"]["msg"].as_str().unwrap()] {
            assert!(shown.contains(part), "{part:?} is missing in {shown}");
        }
    }

    /// The finding of a check after the failure.
    fn finding(&self, check: &str) -> &Value {
        let checks = self.end["checks"].as_array().unwrap();
        checks.iter().rfind(|finding| finding["check"] == check).unwrap()
    }
}

#[test]
fn a_full_pool_is_counted_as_its_files_are() {
    let network = Network::of(json!([bridge()]));
    let failed = add(&network, POD, |world| {
        for pod in ["alive1", "alive2", "gone1", "gone2"] {
            world.sh(&format!("ip netns add {pod}"));
            let added = world.cnitool_in(&format!("/run/netns/{pod}"), "add", NAME).run();
            assert_eq!(added.status, 0, "{added:?}");
        }
        // Two sandboxes went without a DEL, and a crash of the node left an empty file.
        world.sh("ip netns del gone1; ip netns del gone2; : >/var/lib/cni/networks/net/10.6.0.6");
        // The kernel takes a namespace down later.
        let veths = || world.sh("ip -o link show type veth").lines().count();
        eventually(|| (veths() == 2).then_some(()));
    });
    failed.tells(
        r#"plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.6.0.1-10.6.0.6"#,
        "ipam-exhausted",
        "5 of 5 addresses used, 3 of them leaked",
        "release the 3 leaked addresses: remove their files in /var/lib/cni/networks/net",
    );
    let files = failed.world.sh("ls /var/lib/cni/networks/net | grep -v -e lock -e last_reserved");
    assert_eq!(files, "10.6.0.2\n10.6.0.3\n10.6.0.4\n10.6.0.5\n10.6.0.6\n");
    let holder = |address| failed.world.sh(&format!("head -1 /var/lib/cni/networks/net/{address}"));
    let leaked = ["10.6.0.4", "10.6.0.5"]
        .map(|address| json!({"address": address, "container_id": holder(address).trim(), "ifname": "eth0"}));
    assert_eq!(
        failed.finding("ipam-pool")["evidence"],
        json!({
            "folder": "/var/lib/cni/networks/net",
            "sets": [{
                "ranges": "10.6.0.1-10.6.0.6", "capacity": 5, "used": 5, "free": 0, "leaked": 2, "orphans": 1,
            }],
            "leaked": leaked,
            "orphans": [{"address": "10.6.0.6", "container_id": "", "ifname": ""}],
        })
    );
}

#[test]
fn a_bridge_with_a_foreign_address() {
    let network = Network::of(json!([bridge()])).prepared(|world| {
        world.sh("ip link add cni0 type bridge; ip address add 10.9.0.1/24 dev cni0; ip link set cni0 up");
    });
    let failed = add(&network, POD, |_| {});
    failed.tells(
        r#"plugin type="bridge" failed (add): failed to set bridge addr: "cni0" already has an IP address different from 10.6.0.1/29"#,
        "bridge-address-conflict",
        "cni0 has another address than the network's gateway 10.6.0.1/29",
        "take the foreign address off cni0, or give the network the subnet that cni0 has",
    );
}

#[test]
fn a_bridge_with_the_address_of_another_network() {
    let network = Network::of(json!([bridge()])).prepared(|world| {
        let mut old = bridge();
        old["ipam"]["subnet"] = json!("10.9.0.0/24");
        world.configure(&json!({"cniVersion": "1.0.0", "name": "old", "plugins": [old]}));
        let added = world.cnitool_in(POD, "add", "old").env("CNI_IFNAME", "old0").run();
        assert_eq!(added.status, 0, "{added:?}");
    });
    let failed = add(&network, POD, |_| {});
    assert_eq!(
        failed.end["diagnosis"]["fix"][1],
        "10.9.0.1/24 is the gateway of the network old in /etc/cni/net.d/old.conflist: give one of the two another \
         bridge name"
    );
    let found =
        failed.end["checks"].as_array().unwrap().iter().find(|found| found["check"] == "bridge").unwrap();
    assert_eq!(found["evidence"]["gateway_of"], "old");
    assert!(!failed.bracket.contains("old"), "a tenant reads no names of others: {}", failed.bracket);
}

#[test]
fn a_failed_del_is_answered_alike() {
    let plugins = json!([{"type": "host-device", "device": "up1"}]);
    let network = Network::of(plugins);
    let [direct, wrapped] = [Wrapping::Direct, Wrapping::Whole].map(|wrapping| {
        let world = network.world(VERSIONS[3], wrapping);
        world.cnitool("del", NAME).run().answer()
    });
    let text =
        r#"plugin type="host-device" failed (delete): failed to find "eth0" in containerNS: Link not found"#;
    assert_eq!(direct, (1, String::new(), format!("{text}\n")));
    assert_eq!((wrapped.0, wrapped.1), (1, String::new()));
    let expected = format!(r#"plugin type="cniscope" failed (delete): {text}; [cniscope: "#);
    assert!(wrapped.2.starts_with(&expected) && wrapped.2.matches("not found").count() == 1, "{}", wrapped.2);
}

#[test]
fn a_bridge_that_is_none() {
    let network = Network::of(json!([bridge()])).prepared(|world| {
        world.sh("ip link add cni0 type veth peer name other");
    });
    let failed = add(&network, POD, |_| {});
    failed.tells(
        r#"plugin type="bridge" failed (add): failed to create bridge "cni0": "cni0" already exists but is not a bridge"#,
        "bridge-wrong-kind",
        "cni0 is no bridge but a veth",
        "give the network another bridge name than cni0",
    );
}

#[test]
fn a_network_namespace_that_is_gone() {
    let failed = add(&Network::of(json!([bridge()])), "/run/netns/gone", |_| {});
    failed.tells(
        r#"plugin type="bridge" failed (add): failed to open netns "/run/netns/gone": failed to Statfs "/run/netns/gone": no such file or directory"#,
        "netns-gone",
        "/run/netns/gone does not exist",
        "delete the Pod: the runtime makes a new sandbox",
    );
}

#[test]
fn a_file_that_is_no_network_namespace() {
    let network = Network::of(json!([bridge()])).prepared(|world| {
        world.sh(": >/run/netns/plain");
    });
    let failed = add(&network, "/run/netns/plain", |_| {});
    failed.tells(
        r#"plugin type="bridge" failed (add): failed to open netns "/run/netns/plain": unknown FS magic on "/run/netns/plain": 1021994"#,
        "netns-gone",
        "/run/netns/plain is no network namespace: what was mounted there is gone",
        "delete the Pod: the runtime makes a new sandbox",
    );
}

#[test]
fn an_interface_that_exists() {
    let network = Network::of(json!([bridge()])).prepared(|world| {
        world.sh("ip -n pod link add eth0 type veth peer name other");
    });
    let failed = add(&network, POD, |_| {});
    failed.tells(
        r#"plugin type="bridge" failed (add): container veth name ("eth0") peer provided ("<veth 1>") already exists"#,
        "interface-exists",
        "eth0 is already in the sandbox",
        "run DEL for the container, or delete its Pod: the runtime makes a new sandbox",
    );
}

#[test]
fn a_plugin_that_is_missing() {
    let failed = add(&Network::of(json!([{"type": "absent"}])), POD, |_| {});
    failed.tells(
        r#"plugin type="absent" failed (add): failed to find plugin "absent" in path [/opt/cni/bin]"#,
        "plugin-not-found",
        "the plugin absent is in none of the folders of CNI_PATH (/opt/cni/bin)",
        "install absent in /opt/cni/bin",
    );
}

#[test]
fn an_ipam_plugin_that_is_missing() {
    let plugins = json!([{"type": "bridge", "bridge": "cni0", "ipam": {"type": "absent"}}]);
    let failed = add(&Network::of(plugins), POD, |_| {});
    failed.tells(
        r#"plugin type="bridge" failed (add): failed to find plugin "absent" in path [/opt/cni/bin]"#,
        "plugin-not-found",
        "the ipam plugin absent is in none of the folders of CNI_PATH (/opt/cni/bin)",
        "install absent in /opt/cni/bin",
    );
}

#[test]
fn a_chained_plugin_that_is_missing() {
    let failed = add(&Network::of(json!([bridge(), {"type": "absent"}])), POD, |_| {});
    failed.tells(
        r#"plugin type="absent" failed (add): failed to find plugin "absent" in path [/opt/cni/bin]"#,
        "plugin-not-found",
        "the plugin absent is in none of the folders of CNI_PATH (/opt/cni/bin)",
        "install absent in /opt/cni/bin",
    );
}

#[test]
fn an_address_that_the_sandbox_still_holds() {
    let network = Network::of(json!([bridge()]));
    let failed = add(&network, POD, |world| {
        assert_eq!(world.cnitool("add", NAME).run().status, 0);
        // As after a restart of the node: the namespace is a new one.
        world.sh("ip netns del pod; ip netns add pod");
        eventually(|| world.sh("ip -o link show type veth").is_empty().then_some(()));
    });
    failed.tells(
        r#"plugin type="bridge" failed (add): failed to allocate for range 0: 10.6.0.2 has been allocated to cnitool-9539caf00070aeae0bd6, duplicate allocation is not allowed"#,
        "ipam-duplicate",
        "this container already holds 10.6.0.2",
        "delete the Pod, or run DEL for the container: the address is released with it",
    );
}

#[test]
fn a_subnet_that_is_none() {
    let plugins = json!([{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.6.0.0/33"}}]);
    let failed = add(&Network::of(plugins), POD, |_| {});
    failed.tells(
        r#"plugin type="ptp" failed (add): invalid CIDR address: 10.6.0.0/33"#,
        "config-invalid",
        r#"ipam.subnet: "10.6.0.0/33" is no CIDR"#,
        "correct the configuration in /etc/cni/net.d, or where the network add-on takes it from",
    );
}

#[test]
fn a_chained_plugin_that_comes_first() {
    let network = Network::of(json!([{"type": "portmap", "capabilities": {"portMappings": true}}]));
    let failed = add(
        &network
            .capabilities(json!({"portMappings": [{"hostPort": 1, "containerPort": 1, "protocol": "tcp"}]})),
        POD,
        |_| {},
    );
    failed.tells(
        r#"plugin type="portmap" failed (add): must be called as chained plugin"#,
        "chain-order-wrong",
        "portmap runs first, but works only behind a plugin that makes an interface",
        "put the plugin behind the one that makes the interface",
    );
}
