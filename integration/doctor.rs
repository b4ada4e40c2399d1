//! `cniscope doctor` on a node with real files, links and plugins.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::machine::{Machine, printed};
use crate::support::{cniscope, eventually, spawn};
use crate::world::tool;
use crate::{containerd, plugins};

/// Checks whose findings do not depend on the machine below the namespaces.
const STEADY: [&str; 4] = ["plugin-binary", "config", "bridge", "ipam-pool"];

/// Everything that looking could change: modules (a kernel without them has no list), tables, links, addresses, routes, and
/// files with their times.
const STATE: &str = r"
set -e -o pipefail
echo '# modules'; [ ! -e /proc/modules ] || cut -d' ' -f1 /proc/modules | sort
echo '# tables'; nft list ruleset; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || true
for netns in '' $(ls /run/netns); do
    echo '# links' $netns; for what in link addr 'route show table all' rule; do ip ${netns:+-n $netns} $what; done
done
echo '# settings'; grep -r . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf
echo '# files'; find /run /var/lib /var/log /dev/shm -printf '%p %y %m %s %T@ %C@\n' | sort";

/// A node with one network of the real bridge plugin, wrapped, and with nothing of the machine's own networks.
struct Node {
    machine: Machine,
}

impl Node {
    fn new() -> Node {
        let node = Node { machine: Machine::new() };
        node.sh("mkdir -p /run/net.d /run/bin /var/lib/cni/networks/pods
             for folder in /etc/cni /opt/cni /usr/lib/cni /usr/libexec/cni; do
                 [ ! -d $folder ] || mount -t tmpfs tmpfs $folder
             done
             echo 1 >/proc/sys/net/ipv4/ip_forward
             echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
        plugins::link_into(&node.machine.path("/run/bin"));
        let bridge = json!({
            "type": "bridge", "bridge": "cni0", "isGateway": true,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.7.0/29"}]]},
        });
        let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
        node.network("10-pods.conflist", "pods", &[plugins::wrapped(&bridge), plugins::wrapped(&portmap)]);
        node
    }

    fn network(&self, file: &str, name: &str, plugins: &[Value]) {
        self.file(file, &json!({"cniVersion": "1.0.0", "name": name, "plugins": plugins}).to_string());
    }

    fn file(&self, name: &str, content: &str) {
        fs::write(self.machine.path("/run/net.d").join(name), content).unwrap();
    }

    /// Runs a script on the node.
    fn sh(&self, script: &str) -> String {
        printed(self.machine.command("bash").args(["-ec", script]))
    }

    /// A sandbox of this name, added to the network.
    fn add(&self, name: &str) {
        let cnitool = tool("bin/cnitool");
        self.sh(&format!(
            "ip netns add {name}
             NETCONFPATH=/run/net.d CNI_PATH=/run/bin {} add pods /run/netns/{name}",
            cnitool.display()
        ));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(cniscope());
        command.args(["doctor", "--conf-dir", "/run/net.d", "--cni-path", "/run/bin"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The exit status, and what is printed, with the node's name replaced.
    fn doctor(&self, arguments: &[&str]) -> (i32, String) {
        let output = spawn(&mut self.command(arguments)).wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let name = nix::unistd::gethostname().unwrap().into_string().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text.replacen(&format!("{name}: "), "NODE: ", 1))
    }

    /// What the steady checks say, where they find a problem. The sizes of binaries are replaced.
    fn problem(&self) -> String {
        let (status, text) = self.doctor(&STEADY);
        assert_eq!(status, 1, "{text}");
        let mut parts = text.split(" size ");
        let mut steady = parts.next().unwrap().to_owned();
        for part in parts {
            steady.push_str(" size SIZE");
            steady.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_digit()));
        }
        steady
    }
}

/// What machines that run tests are alarmed about, though their network is healthy, and why.
const OF_TEST_MACHINES: [(&str, &str); 1] =
    // A virtual machine whose host keeps its clock has no time service of its own.
    [("clock", "this node's clock is not synchronised")];

/// The warnings and problems in a document of `doctor -o json`, but for those that are expected of the machine.
fn alarms(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap();
    let mut alarms = Vec::new();
    for finding in document["findings"].as_array().unwrap() {
        let [check, status, summary] =
            ["check", "status", "summary"].map(|field| finding[field].as_str().unwrap());
        if matches!(status, "warn" | "fail") && !OF_TEST_MACHINES.contains(&(check, summary)) {
            alarms.push(format!("{status} {check}: {summary}"));
        }
    }
    alarms
}

/// What the first finding of a check says.
fn summary(document: &str, check: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap();
    let mut findings = document["findings"].as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["check"] == check).unwrap();
    finding["summary"].as_str().unwrap().to_owned()
}

#[test]
fn a_healthy_node_is_a_short_block() {
    let node = Node::new();
    let (status, text) = node.doctor(&[]);
    assert_eq!(status, 0, "{text}");
    let (status, text) = node.doctor(&STEADY);
    insta::assert_snapshot!(text, @r#"
    NODE: no problem found

    networks
      pods    bridge (wrapped), portmap (wrapped) in /run/net.d/10-pods.conflist

    checks
      ok      plugin-binary  cniscope, bridge, host-local can be executed
      ok      plugin-binary  cniscope, portmap can be executed
      ok      config         the runtime takes 10-pods.conflist
      ok      config         the entry has no mistake that is known
      ok      bridge         cni0 does not exist yet: the plugin makes it
      ok      ipam-pool      0 of 5 addresses used
    "#);
    assert_eq!(status, 0);
}

#[test]
fn a_healthy_network_with_live_sandboxes_gives_no_alarm() {
    let node = Node::new();
    node.add("web");
    node.add("db");
    let (status, text) = node.doctor(&["-o", "json"]);
    assert_eq!((status, alarms(&text)), (0, Vec::new()), "{text}");
    assert_eq!(summary(&text, "ipam-pool"), "2 of 5 addresses used");
}

#[test]
fn the_pods_of_a_healthy_containerd_give_no_alarm() {
    let containerd = containerd::with_wrapped_network();
    for pod in ["web", "db"] {
        containerd.run(pod).unwrap();
    }
    let mut command = containerd.machine.command(cniscope());
    let output = spawn(command.args(["doctor", "-o", "json"])).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), alarms(&text)), (Some(0), Vec::new()), "{text}");
    assert_eq!(summary(&text, "ipam-pool"), "2 of 5 addresses used");
    let folder = containerd.place.path("net.d");
    assert_eq!(summary(&text, "runtime"), format!("containerd answers, and reads {}", folder.display()));
}

#[test]
fn the_readme_shows_what_it_says() {
    let node = Node::new();
    for pod in ["web", "db", "cache"] {
        node.add(pod);
    }
    node.sh("cd /var/lib/cni/networks/pods && for last in 5 6; do printf \"gone$last\\r\\neth0\" >10.244.7.$last; done");
    let event =
        "plugin type=\"bridge\" failed (add): no IP addresses available in range set: 10.244.7.1-10.244.7.6";
    let (status, text) = node.doctor(&["config", "bridge", "ipam-pool", "--event", event]);
    assert_eq!(status, 1);
    let text = text.replacen("NODE", "worker-1", 1).replace("/run/net.d", "/etc/cni/net.d");
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let example = readme.split("```text\n").find(|block| block.starts_with("worker-1: ")).unwrap();
    assert_eq!(example.split("```").next().unwrap(), text);
}

#[test]
fn it_takes_less_than_two_seconds() {
    let node = Node::new();
    // The fastest of some runs: the machine may be busy with other things.
    eventually(|| {
        let (_, text) = node.doctor(&["-o", "json"]);
        let document: Value = serde_json::from_str(&text).unwrap();
        (document["took_ms"].as_u64().unwrap() < 2000).then_some(())
    });
}

#[test]
fn looking_changes_nothing() {
    let node = Node::new();
    node.add("web");
    node.sh("printf 'gone\\r\\neth0' >/var/lib/cni/networks/pods/10.244.7.6");
    node.file("20-broken.conflist", "{");
    let before = node.sh(STATE);
    for arguments in
        [&[][..], &["-o", "wide"], &["-o", "json"], &["--one-line"], &["--event", "no such device"]]
    {
        node.doctor(arguments);
    }
    assert_eq!(node.sh(STATE), before);
}

#[test]
fn a_broken_list_is_named_with_its_line() {
    let node = Node::new();
    node.file(
        "05-calico.conflist",
        "{\n  \"name\": \"k8s-pod-network\",\n  \"plugins\": [{\"type\": \"calico\",}]\n}\n",
    );
    insta::assert_snapshot!(node.problem(), @r#"
    NODE: 1 problem

    networks
      pods    bridge (wrapped), portmap (wrapped) in /run/net.d/10-pods.conflist; the runtime does not take it

    checks
      fail    config         05-calico.conflist, which the runtime takes first, is no JSON: invalid character '}' looking for beginning of object key string (line 3)
              cause  config-invalid: the network configuration is malformed, or misses or misuses a field
              files  file 05-calico.conflist, flaw is no JSON: invalid character '}' looking for beginning of object key string (line 3), taken true
                     file 10-pods.conflist, network pods, plugins bridge portmap, taken false
              fix 1  correct /run/net.d/05-calico.conflist, or let the network add-on write it again: restart its Pod on this node

      ok      plugin-binary  cniscope, bridge, host-local can be executed
      ok      plugin-binary  cniscope, portmap can be executed
      ok      config         the entry has no mistake that is known
      ok      bridge         cni0 does not exist yet: the plugin makes it
      ok      ipam-pool      0 of 5 addresses used

    first
      correct /run/net.d/05-calico.conflist, or let the network add-on write it again: restart its Pod on this node
    "#);
}

#[test]
fn an_empty_folder_is_a_network_that_is_not_ready() {
    let node = Node::new();
    node.sh("mv /run/net.d/10-pods.conflist /run/net.d/10-pods.conflist.cilium_bak");
    insta::assert_snapshot!(node.problem(), @r#"
    NODE: 1 problem, 3 skipped

    checks
      fail    config         /run/net.d has no network configuration
              cause   network-not-ready: the node has no network configuration yet
              unread  10-pods.conflist.cilium_bak
              fix 1   look why the network add-on's Pod on this node does not run: kubectl describe it and read its logs
              fix 2   install a network add-on if the cluster has none
              fix 3   make the runtime read the folder that the add-on writes to (containerd: conf_dir, CRI-O: network_dir)

      skipped plugin-binary  there is nothing on this node that it looks at
      skipped bridge         there is nothing on this node that it looks at
      skipped ipam-pool      there is nothing on this node that it looks at

    first
      look why the network add-on's Pod on this node does not run: kubectl describe it and read its logs
    "#);
}

#[test]
fn a_missing_binary_is_named_with_its_entry() {
    let node = Node::new();
    let wrapped = plugins::wrapped(&json!({"type": "acme-net", "ipam": {"type": "static"}}));
    node.network("10-pods.conflist", "pods", &[wrapped]);
    insta::assert_snapshot!(node.problem(), @r#"
    NODE: 1 problem, 2 skipped

    networks
      pods    acme-net (wrapped) in /run/net.d/10-pods.conflist

    checks
      fail    plugin-binary  the plugin acme-net is in none of the folders of CNI_PATH (/run/bin)
              about     acme-net in 10-pods.conflist
              cause     plugin-not-found: a plugin binary is not on the node
              folders   /run/bin
              binaries  name cniscope, role wrapper, path /run/bin/cniscope, mode 0755, size SIZE
                        name acme-net, role plugin
                        name static, role ipam plugin
              fix 1     install acme-net in /run/bin

      skipped bridge         there is nothing on this node that it looks at
      skipped ipam-pool      there is nothing on this node that it looks at

      ok      config         the runtime takes 10-pods.conflist
      ok      config         the entry has no mistake that is known

    first
      install acme-net in /run/bin
    "#);
}

#[test]
fn a_full_pool_is_named_with_what_leaked() {
    let node = Node::new();
    node.sh("cd /var/lib/cni/networks/pods && for last in 2 3 4 5 6; do printf \"gone$last\\r\\neth0\" >10.244.7.$last; done");
    insta::assert_snapshot!(node.problem(), @r#"
    NODE: 1 problem

    networks
      pods    bridge (wrapped), portmap (wrapped) in /run/net.d/10-pods.conflist

    checks
      fail    ipam-pool      5 of 5 addresses used, 5 of them leaked
              about   bridge in 10-pods.conflist
              cause   ipam-exhausted: no address is left in the pool
              folder  /var/lib/cni/networks/pods
              sets    ranges 10.244.7.1-10.244.7.6, capacity 5, used 5, free 0, leaked 5, orphans 0
              leaked  address 10.244.7.2, container_id gone2, ifname eth0
                      address 10.244.7.3, container_id gone3, ifname eth0
                      address 10.244.7.4, container_id gone4, ifname eth0
                      address 10.244.7.5, container_id gone5, ifname eth0
                      address 10.244.7.6, container_id gone6, ifname eth0
              fix 1   release the 5 leaked addresses: remove their files in /var/lib/cni/networks/pods

      ok      plugin-binary  cniscope, bridge, host-local can be executed
      ok      plugin-binary  cniscope, portmap can be executed
      ok      config         the runtime takes 10-pods.conflist
      ok      config         the entry has no mistake that is known
      ok      bridge         cni0 does not exist yet: the plugin makes it

    first
      release the 5 leaked addresses: remove their files in /var/lib/cni/networks/pods
    "#);
}

#[test]
fn a_foreign_address_of_the_bridge_is_named() {
    let node = Node::new();
    node.sh("ip link add cni0 type bridge && ip address add 10.99.0.1/16 dev cni0");
    insta::assert_snapshot!(node.problem(), @r#"
    NODE: 1 problem

    networks
      pods    bridge (wrapped), portmap (wrapped) in /run/net.d/10-pods.conflist

    checks
      fail    bridge         cni0 has another address than the network's gateway 10.244.7.1/29
              about      bridge in 10-pods.conflist
              cause      bridge-address-conflict: the bridge has another address than the network's gateway
              foreign    10.99.0.1/16
              expected   10.244.7.1/29
              bridge     cni0
              kind       bridge
              up         false
              mtu        1500
              addresses  10.99.0.1/16
              ports      0
              fix 1      take the foreign address off cni0, or give the network the subnet that cni0 has
              fix 2      destructive: ip address delete 10.99.0.1/16 dev cni0 (Pods of the network that owns it lose their gateway)

      ok      plugin-binary  cniscope, bridge, host-local can be executed
      ok      plugin-binary  cniscope, portmap can be executed
      ok      config         the runtime takes 10-pods.conflist
      ok      config         the entry has no mistake that is known
      ok      ipam-pool      0 of 5 addresses used

    first
      take the foreign address off cni0, or give the network the subnet that cni0 has
    "#);
}

#[test]
fn of_several_add_ons_the_one_that_wins_is_named() {
    let node = Node::new();
    node.network("20-flannel.conflist", "cbr0", &[json!({"type": "flannel"})]);
    let (status, text) = node.doctor(&["config"]);
    insta::assert_snapshot!(text, @r#"
    NODE: no problem, 1 warning

    networks
      pods    bridge (wrapped), portmap (wrapped) in /run/net.d/10-pods.conflist
      cbr0    flannel in /run/net.d/20-flannel.conflist; the runtime does not take it

    checks
      warn    config  the runtime takes 10-pods.conflist (bridge), not 20-flannel.conflist (flannel)
              files  file 10-pods.conflist, network pods, plugins bridge portmap, taken true
                     file 20-flannel.conflist, network cbr0, plugins flannel, taken false
              fix 1  if flannel is this node's network, move /run/net.d/10-pods.conflist out of the folder
              fix 2  if bridge is, remove what flannel has left: /run/net.d/20-flannel.conflist

      ok      config  the entry has no mistake that is known

    first
      if flannel is this node's network, move /run/net.d/10-pods.conflist out of the folder
    "#);
    assert_eq!(status, 0);
}

#[test]
fn several_faults_are_ordered_and_one_line_is_the_first() {
    let node = Node::new();
    node.sh("rm /run/bin/host-local
         ip link add cni0 type veth peer name peer0
         cd /var/lib/cni/networks/pods && touch 10.244.7.2 10.244.7.3 10.244.7.4 10.244.7.5 10.244.7.6");
    insta::assert_snapshot!(node.problem(), @r#"
    NODE: 3 problems

    networks
      pods    bridge (wrapped), portmap (wrapped) in /run/net.d/10-pods.conflist

    checks
      fail    plugin-binary  the ipam plugin host-local is in none of the folders of CNI_PATH (/run/bin)
              about     bridge in 10-pods.conflist
              cause     plugin-not-found: a plugin binary is not on the node
              folders   /run/bin
              binaries  name cniscope, role wrapper, path /run/bin/cniscope, mode 0755, size SIZE
                        name bridge, role plugin, path /run/bin/bridge, mode 0755, size SIZE
                        name host-local, role ipam plugin
              fix 1     install host-local in /run/bin
      fail    bridge         cni0 is no bridge but a veth
              about   bridge in 10-pods.conflist
              cause   bridge-wrong-kind: the bridge's name is held by something else, or the bridge is full
              bridge  cni0
              kind    veth
              up      false
              mtu     1500
              ports   0
              fix 1   give the network another bridge name than cni0
              fix 2   or rename the veth: ip link set dev cni0 down && ip link set dev cni0 name cni0-old
      fail    ipam-pool      5 of 5 addresses used, 5 of them leaked
              about    bridge in 10-pods.conflist
              cause    ipam-exhausted: no address is left in the pool
              folder   /var/lib/cni/networks/pods
              sets     ranges 10.244.7.1-10.244.7.6, capacity 5, used 5, free 0, leaked 0, orphans 5
              orphans  address 10.244.7.2
                       address 10.244.7.3
                       address 10.244.7.4
                       address 10.244.7.5
                       address 10.244.7.6
              fix 1    release the 5 leaked addresses: remove their files in /var/lib/cni/networks/pods

      ok      plugin-binary  cniscope, portmap can be executed
      ok      config         the runtime takes 10-pods.conflist
      ok      config         the entry has no mistake that is known

    first
      install host-local in /run/bin
    "#);
    let (status, line) = node.doctor(&[&STEADY[..], &["--one-line"]].concat());
    let expected = "plugin-not-found: the ipam plugin host-local is in none of the fold... (+2 more)\n";
    assert_eq!((status, line.as_str()), (1, expected));
}
