//! `cniscope replay`: calls that cnitool made with the real plugins, again.

use serde_json::{Value, json};

use crate::names::Names;
use crate::plugins::wrapped;
use crate::support::Ran;
use crate::world::World;

/// The network's name.
const NAME: &str = "pods";

/// The lines of a text from the one that begins with `from`.
fn from<'a>(text: &'a str, from: &str) -> &'a str {
    let start = text.find(&format!("\n{from}")).unwrap_or_else(|| panic!("{from:?} is not in {text}"));
    &text[start + 1..]
}

/// The text without what differs from run to run.
fn steady(text: &str) -> String {
    let mut names = Names::default();
    let line = |line: &str| {
        let line = names.replaced(line);
        let line = line.split_once(", sha256 ").map_or(line.as_str(), |(before, _)| before).to_owned();
        let line = line
            .split_once(" after ")
            .filter(|_| line.contains(" by "))
            .map_or(line.as_str(), |(before, _)| before)
            .to_owned();
        let line = line
            .split_once(" at ")
            .filter(|_| line.starts_with("recorded "))
            .map_or(line.as_str(), |(before, _)| before)
            .to_owned();
        // Whether the kernel tracks connections, and how many it may, is the machine's.
        line.split_once("conntrack: ").map_or(line.clone(), |(before, _)| format!("{before}conntrack: …"))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn bridge() -> Value {
    json!({
        "type": "bridge", "bridge": "cni0", "isDefaultGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.244.7.0/29"},
    })
}

/// A world in which a network of these plugins is configured, each wrapped.
fn world(plugins: &[Value]) -> World {
    let world = World::new();
    let plugins: Vec<Value> = plugins.iter().map(wrapped).collect();
    world.configure(&json!({"cniVersion": "1.0.0", "name": NAME, "plugins": plugins}));
    world
}

/// A world with a call of cnitool's.
fn called(plugins: &[Value], verb: &str) -> World {
    let world = world(plugins);
    world.cnitool(verb, NAME).run();
    world.ends();
    world
}

fn refused(ran: &Ran) -> String {
    let (status, stdout, stderr) = ran.answer();
    assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
    stderr
}

#[test]
fn a_good_add_is_made_again_with_what_it_changes() {
    let world = called(&[bridge()], "add");
    let (status, stdout, stderr) = world.cli(&["replay", "last"]).answer();
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    insta::assert_snapshot!(steady(&stdout), @r#"
    ADD by bridge: ok
    recorded as ok

    result
      {
        "cniVersion": "1.0.0",
        "interfaces": [
          {
            "mac": "<mac 1>",
            "name": "cni0"
          },
          {
            "mac": "<mac 2>",
            "name": "<veth 1>"
          },
          {
            "mac": "<mac 3>",
            "name": "eth0",
            "sandbox": "/run/netns/pod"
          }
        ],
        "ips": [
          {
            "address": "10.244.7.3/29",
            "gateway": "10.244.7.1",
            "interface": 2
          }
        ],
        "routes": [
          {
            "dst": "0.0.0.0/0",
            "gw": "10.244.7.1"
          }
        ]
      }

    changed
      in the node's network namespace
        + link cni0: bridge, up, mtu 1500
        + link <veth 1>: veth, up, mtu 1500, port of cni0
        + address 10.244.7.1/29 on cni0
        + route 10.244.7.0/29 dev cni0 src 10.244.7.1
      in the sandbox
        + link eth0: veth, up, mtu 1500
        + address 10.244.7.3/29 on eth0
        + route 10.244.7.0/29 dev eth0 src 10.244.7.3
        + route default via 10.244.7.1 dev eth0
      files
        + file /var/lib/cni/networks/pods/10.244.7.3: 34 bytes, mode 0600
        ~ file /var/lib/cni/networks/pods/last_reserved_ip.0: 10 bytes, mode 0600

    not as on the node
      the container's own 10.244.7.2, which this call once got, was free in the copy
      addresses come from a copy of the pools as they are now, not as they were when the call was made
      the node's cni0 is not there: the plugin makes one
    "#);
}

#[test]
fn a_full_pool_fails_again_with_its_cause() {
    let world = world(&[bridge()]);
    world.sh("mkdir -p /var/lib/cni/networks/pods; cd /var/lib/cni/networks/pods
              for last in 2 3 4 5 6; do printf \"gone$last\\r\\neth0\" >10.244.7.$last; done");
    world.cnitool("add", NAME).run();
    world.ends();
    let (status, stdout, stderr) = world.cli(&["replay", "last-failed"]).answer();
    assert_eq!((status, stderr.as_str()), (1, ""), "{stdout}");
    // How full the machine is that the test runs on does not matter here.
    let is_of_machine = |line: &&str| {
        ["cidr: ", "disk: ", "limits: "].iter().any(|check| line.trim_start().starts_with(check))
    };
    let stdout: Vec<&str> = stdout.lines().filter(|line| !is_of_machine(line)).collect();
    insta::assert_snapshot!(steady(&stdout.join("\n")), @r#"
    ADD by bridge: failed
    recorded as failed, ipam-exhausted

    plugin's error (code 999)
      failed to allocate for range 0: no IP addresses available in range set: 10.244.7.1-10.244.7.6

    cause: ipam-exhausted
      no address is left in the pool
      5 of 5 addresses used, 5 of them leaked
      evidence   the error's text has “no IP addresses available in range set”
                 check ipam-pool: 5 of 5 addresses used, 5 of them leaked
                 check leftovers: sandboxes that are gone have left: 5 addresses
      ruled out  plugin-binary: bridge, host-local can be executed
                 config: the entry has no mistake that is known
                 netns: /run/netns/pod is a network namespace
                 interface: eth0 is not yet in the sandbox
                 bridge: cni0 does not exist yet: the plugin makes it
      fix        release the 5 leaked addresses: remove their files in /var/lib/cni/networks/pods
                 release addresses: delete Pods of this network on this node
                 give the network a larger range

    changed
      in the node's network namespace
        + link cni0: bridge, up, mtu 1500
        + link <veth 1>: veth, up, mtu 1500, port of cni0
      in the sandbox
        + link eth0: veth, down, mtu 1500

    not as on the node
      addresses come from a copy of the pools as they are now, not as they were when the call was made
      the node's cni0 is not there: the plugin makes one
    "#);
}

#[test]
fn who_still_lives_is_told_by_the_node_itself() {
    let world = world(&[bridge()]);
    world.cnitool("add", NAME).run();
    world.sh("ip netns add other; cd /var/lib/cni/networks/pods
              for last in 3 4 5 6; do printf \"gone$last\\r\\neth0\" >10.244.7.$last; done");
    world.cnitool_in("/run/netns/other", "add", NAME).run();
    world.ends();
    let report = world.cli(&["replay", "last-failed", "-o", "json"]).json();
    let diagnosis = &report["calls"][0]["record"]["diagnosis"];
    assert_eq!(diagnosis["summary"], "5 of 5 addresses used, 4 of them leaked");
}

#[test]
fn a_chained_plugin_finds_what_the_ones_before_it_have_made() {
    let tuning = json!({"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_notify": "1"}, "mtu": 1400});
    let world = called(&[bridge(), tuning], "add");
    let (status, stdout, _) = world.cli(&["replay", "last"]).answer();
    assert_eq!(status, 0, "{stdout}");
    insta::assert_snapshot!(steady(from(&stdout, "changed")), @r#"
    changed
      in the sandbox
        ~ link eth0: veth, up, mtu 1500 -> veth, up, mtu 1400
        ~ sysctl net.ipv4.conf.eth0.arp_notify: 0 -> 1
        ~ sysctl net.ipv6.conf.eth0.mtu: 1500 -> 1400

    not as on the node
      what the plugins before have made is as their result (prevResult) tells of it: eth0 in the sandbox, cni0, <veth 1> on the node's side
    "#);
}

#[test]
fn a_list_is_added_and_deleted_in_the_order_of_libcni() {
    let world = World::new();
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let list =
        json!({"cniVersion": "1.0.0", "name": NAME, "plugins": [bridge(), portmap, {"type": "firewall"}]});
    world.write("/etc/list.conflist", &list.to_string());
    let report =
        world.cli(&["replay", "--conf", "/etc/list.conflist", "--command", "DEL", "-o", "json"]).json();
    let calls = report["calls"].as_array().unwrap().iter().map(|call| &call["record"]);
    let calls: Vec<_> = calls
        .map(|record| ["command", "plugin", "outcome"].map(|field| record[field].as_str().unwrap()))
        .collect();
    let call = |verb, plugin| [verb, plugin, "ok"];
    assert_eq!(
        calls,
        [
            call("ADD", "bridge"),
            call("ADD", "portmap"),
            call("ADD", "firewall"),
            call("DEL", "firewall"),
            call("DEL", "portmap"),
            call("DEL", "bridge"),
        ]
    );
}

#[test]
fn a_recorded_check_or_del_is_made_upon_what_its_result_promises() {
    let world = called(&[bridge()], "add");
    for (verb, expected) in [("check", "CHECK by bridge: ok"), ("del", "DEL by bridge: ok")] {
        world.cnitool(verb, NAME).run();
        world.ends();
        let (status, stdout, _) = world.cli(&["replay", "last"]).answer();
        assert!(status == 0 && stdout.starts_with(expected), "{stdout}");
    }
}

#[test]
fn flannels_delegate_is_called_with_the_nodes_subnet() {
    let world = World::new();
    world.write(
        "/run/flannel/subnet.env",
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
    );
    world.write(
        "/etc/f.conf",
        r#"{"cniVersion":"0.3.1","name":"cbr0","type":"flannel","delegate":{"isDefaultGateway":true}}"#,
    );
    let (status, stdout, _) = world.cli(&["replay", "--conf", "/etc/f.conf"]).answer();
    assert_eq!(status, 0, "{stdout}");
    for change in [
        "+ address 10.244.3.1/24 on cni0",
        "+ link cni0: bridge, up, mtu 1450",
        "+ file /var/lib/cni/flannel/cniscope-replay: ",
    ] {
        assert!(stdout.contains(change), "{change} is not in {stdout}");
    }
}

#[test]
fn a_master_has_a_stand_in_that_is_named() {
    let world = World::new();
    let ipam = json!({"type": "static", "addresses": [{"address": "10.3.0.2/24"}]});
    for (master, expected) in [
        (json!("up0"), "up0, which the configuration names as master, is one end of a veth pair here"),
        (
            Value::Null,
            "the link of the default route, which is the master where none is named, is uplink0 here, one end of a veth pair",
        ),
    ] {
        let mut macvlan = json!({"cniVersion": "1.0.0", "name": NAME, "type": "macvlan", "ipam": ipam});
        if !master.is_null() {
            macvlan["master"] = master;
        }
        world.write("/etc/macvlan.conf", &macvlan.to_string());
        let report = world.cli(&["replay", "--conf", "/etc/macvlan.conf", "-o", "json"]).json();
        assert_eq!(
            (&report["calls"][0]["record"]["outcome"], &report["notes"]),
            (&json!("ok"), &json!([expected]))
        );
    }
}

#[test]
fn what_would_reach_out_is_refused_with_the_reason() {
    let world = World::new();
    let table = [
        (
            json!({"type": "calico"}),
            "the plugin calico cannot be replayed: it writes to the cluster's datastore",
        ),
        (
            json!({"type": "host-device", "device": "eth1"}),
            "the plugin host-device cannot be replayed: it moves a device of the node into the sandbox, and the scratch node has none",
        ),
        (
            json!({"type": "bridge", "ipam": {"type": "dhcp"}}),
            "the ipam plugin dhcp cannot be replayed: it asks its daemon on the node, and the network's DHCP server, for a lease",
        ),
    ];
    for (mut config, expected) in table {
        config["name"] = json!(NAME);
        config["cniVersion"] = json!("1.0.0");
        world.write("/etc/one.conf", &config.to_string());
        assert_eq!(
            refused(&world.cli(&["replay", "--conf", "/etc/one.conf"])),
            format!("cniscope: {expected}\n")
        );
    }
}

#[test]
fn what_was_redacted_is_asked_for_by_name_and_taken() {
    let mut entry = bridge();
    entry["args"] = json!({"cni": {"apiToken": "s3cr3t"}});
    let world = called(&[entry], "add");
    assert_eq!(
        refused(&world.cli(&["replay", "last"])),
        "cniscope: the record does not hold these secrets; give each with --set PATH=VALUE, or the whole configuration \
         with --config FILE: args.cni.apiToken\n"
    );
    let (status, stdout, _) =
        world.cli(&["replay", "last", "--set", "args.cni.apiToken=n3w", "-o", "json"]).answer();
    assert!(status == 0 && !stdout.contains("n3w"), "{stdout}");
}

/// Puts a script there that can stand for the plugin bridge.
fn script(world: &World, text: &str) -> &'static str {
    const PATH: &str = "/opt/other/bridge";
    world.write(PATH, &format!("#!/bin/sh\n{text}\n"));
    world.sh(&format!("chmod 0755 {PATH}"));
    PATH
}

#[test]
fn another_version_of_a_plugin_can_stand_in_its_place() {
    let world = called(&[bridge()], "add");
    let other = script(&world, "echo '{\"code\": 120, \"msg\": \"a newer mistake\"}'; exit 1");
    let report = world.cli(&["replay", "last", "--plugin", other, "-o", "json"]).json();
    assert_eq!(report["calls"][0]["record"]["error"]["msg"], "a newer mistake");
    assert_eq!(report["recorded"]["outcome"], "ok");
}

#[test]
fn two_versions_are_compared() {
    let world = called(&[bridge()], "add");
    let other =
        script(&world, "echo 'new here' >&2; ip link add extra0 type bridge; exec /opt/cni/bin/bridge");
    let (status, stdout, stderr) =
        world.cli(&["replay", "last", "--diff", "/opt/cni/bin/bridge", other]).answer();
    assert_eq!((status, stderr.as_str()), (1, ""), "{stdout}");
    let plugin = world.sh("readlink -f /opt/cni/bin/bridge");
    let stdout = stdout.replace(plugin.trim(), "/opt/cni/bin/bridge");
    let stdout: Vec<_> = stdout.lines().map(|line| line.split(": ok after ").next().unwrap()).collect();
    insta::assert_snapshot!(stdout.join("\n"), @r#"
    A  /opt/cni/bin/bridge
    B  /opt/other/bridge

    differs: stderr

    stderr of B
      new here

    changed by B alone
      in the node's network namespace
        + link extra0: bridge, down, mtu 1500

    not as on the node
      the container's own 10.244.7.2, which this call once got, was free in the copy
      addresses come from a copy of the pools as they are now, not as they were when the call was made
      the node's cni0 is not there: the plugin makes one
    "#);
    let same =
        world.cli(&["replay", "last", "--diff", "/opt/cni/bin/bridge", "/opt/cni/bin/bridge"]).answer();
    assert!(same.0 == 0 && same.1.contains("\nboth do the same\n"), "{same:?}");
}

#[test]
fn system_calls_are_in_a_file_that_is_named() {
    let world = called(&[bridge()], "add");
    let (status, stdout, stderr) = world.cli(&["replay", "last", "--strace=/etc"]).answer();
    assert_eq!(status, 0, "{stdout}{stderr}");
    let file = stdout.lines().last().unwrap().strip_prefix("system calls: ").unwrap();
    let found = world.sh(&format!("stat -c %a {file}; grep -c 'execve(\"/opt/cni/bin/bridge\"' {file}"));
    assert_eq!(found, "600\n1\n");
}

#[test]
fn a_plugin_that_hangs_is_stopped_and_what_it_waited_for_is_told() {
    let world = called(&[bridge()], "add");
    let other = script(&world, "sleep 60; true");
    let (status, stdout, _) = world.cli(&["replay", "last", "--plugin", other, "--timeout", "1"]).answer();
    assert_eq!(status, 1);
    let (before, hanging) = stdout.split_once("\nhanging, after ").unwrap();
    assert!(hanging.contains("\"command_line\": \"sleep 60\""), "{hanging}");
    insta::assert_snapshot!(steady(before), @r#"
    ADD by bridge: deadline
    recorded as ok

    error (code 11)
      plugin type="bridge" failed (add): bridge did not end within 1 s and was stopped

    cause: plugin-timeout
      the plugin did not end in time
      the plugin was stopped after 1 s
      evidence   the plugin was stopped after 1 s
      ruled out  plugin-binary: bridge, host-local can be executed
                 config: the entry has no mistake that is known
                 netns: /run/netns/pod is a network namespace
                 interface: eth0 is not yet in the sandbox
                 bridge: cni0 does not exist yet: the plugin makes it
                 iptables: one back end has rules (0 legacy, 0 nf_tables), /run/xtables.lock is free
                 conntrack: …
      fix        see what it does until then: replay it with --strace
                 look whether the node is overloaded: CPU, disk and memory pressure
    "#);
}

#[test]
fn what_the_node_has_set_of_cniscope_does_not_matter() {
    let world = called(&[bridge()], "add");
    world.write("/etc/cniscope/disabled", "");
    world.write("/etc/cniscope/config.json", r#"{"journal": {"record": "off"}}"#);
    let (status, stdout, stderr) = world.cli(&["replay", "last"]).answer();
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
}

#[test]
fn a_file_that_is_none_is_named_once() {
    let world = World::new();
    world.write("/etc/broken.conflist", "{");
    for (file, expected) in [
        ("/etc/none.conflist", "/etc/none.conflist: no such file or directory"),
        ("/etc/broken.conflist", "/etc/broken.conflist: is no JSON: unexpected end of JSON input"),
    ] {
        assert_eq!(refused(&world.cli(&["replay", "--conf", file])), format!("cniscope: {expected}\n"));
    }
}

#[test]
fn only_root_can() {
    let world = called(&[bridge()], "add");
    let cniscope = crate::support::cniscope();
    let ran = world.sh(&format!("setpriv --reuid 65534 {} replay last 2>&1 || echo $?", cniscope.display()));
    assert_eq!(
        ran,
        "cniscope: a replay makes namespaces and mounts, which only root may: run it with sudo\n2\n"
    );
}
