//! The whole way on a node: real plugins, sandboxes, and a real runtime.

use std::fs;

use serde_json::json;

use crate::containerd::runtime::Containerd;
use crate::machine::printed;
use crate::support::{Place, Ran, cniscope};
use crate::world::World;

const FILE: &str = "/etc/cni/net.d/pods.conflist";

/// A node whose list is not wrapped, without the binary.
fn world() -> World {
    let world = World::new();
    // The machine's own runtime may look for plugins elsewhere.
    world.sh("rm -rf /etc/containerd /etc/crio; rm /opt/cni/bin/cniscope");
    world.configure(&json!({
        "cniVersion": "1.0.0", "name": "pods",
        "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.244.9.0/29"}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    }));
    world
}

fn told(ran: &Ran) -> String {
    assert_eq!((ran.status, String::from_utf8_lossy(&ran.stderr).as_ref()), (0, ""), "{}", ran.text());
    // The node's name is the machine's.
    let text = ran.text();
    let (_, rest) = text.split_once(": ").unwrap();
    format!("NODE: {rest}")
}

#[test]
fn from_nothing_to_a_recorded_call_and_back_without_a_trace() {
    let world = world();
    let list = world.sh(&format!("cat {FILE}"));
    let files = || {
        world.sh("find /etc/cni /etc/cniscope /opt/cni /var/lib /run -not -path '/run/layers/*' 2>/dev/null | sort || true")
    };
    let before = files();
    insta::assert_snapshot!(told(&world.cli(&["install"])), @r"
    NODE: installed
      binary    /opt/cni/bin/cniscope  new
      list      /etc/cni/net.d/pods.conflist  network pods
                bridge   wrapped
                portmap  wrapped
      answered  cniscope, bridge, host-local, portmap to VERSION
      loaded    not seen: no runtime has its socket on this node

    next: start a Pod, then: cniscope journal
    undo: cniscope uninstall
    ");
    assert_eq!(world.cnitool("add", "pods").run().status, 0);
    let recorded: Vec<_> =
        world.ends().iter().map(|end| end["plugin"].as_str().unwrap().to_owned()).collect();
    assert_eq!(recorded, ["bridge", "portmap"]);

    let held = told(&world.cli(&["uninstall"]));
    insta::assert_snapshot!(held, @r"
    NODE: uninstalled, but for a forwarder
      lists     /etc/cni/net.d/pods.conflist  unwrapped
      binary    /opt/cni/bin/cniscope  stays as a forwarder: it hands calls on and does nothing else
      journal   /var/log/cniscope  stays; --purge removes it

    1 sandbox was added through it, and needs it for its DEL
    POD  CONTAINER                     NETWORK  INTERFACE
    -    cnitool-9539caf00070aeae0bd6  pods     eth0

    next: when those are deleted, again: cniscope uninstall; or let it wait for them: cniscope uninstall --wait
    ");
    assert_eq!(world.sh(&format!("cat {FILE}")), list);
    // The runtime deletes it with the list that it has kept: here libcni does, by cnitool.
    let kept = world.sh("cat /var/lib/cni/results/pods-*");
    world.write("/etc/cni/net.d/pods.conflist", &config_of(&kept));
    let deleted = world.cnitool("del", "pods").run();
    assert_eq!(deleted.answer(), (0, String::new(), String::new()));
    assert_eq!(world.ends().len(), 2, "the forwarder records nothing");
    assert_eq!(
        world.sh("ls /var/lib/cni/networks/pods | grep -c ^10 || true"),
        "0\n",
        "the address is freed"
    );

    insta::assert_snapshot!(told(&world.cli(&["uninstall", "--purge"])), @r"
    NODE: uninstalled
      lists     /etc/cni/net.d/pods.conflist  unwrapped
      binary    /opt/cni/bin/cniscope  removed
    ");
    assert_eq!(world.sh(&format!("cat {FILE}")), list);
    world.sh("ip link del cni0; rm -rf /var/lib/cni");
    assert_eq!(files(), before);
}

/// The configuration in a file of libcni's cache.
fn config_of(kept: &str) -> String {
    use base64::Engine as _;
    let kept: serde_json::Value = serde_json::from_str(kept).unwrap();
    let config = base64::prelude::BASE64_STANDARD.decode(kept["config"].as_str().unwrap()).unwrap();
    String::from_utf8(config).unwrap()
}

/// As in a DaemonSet's container: the plugins are asked inside of the host's root.
#[test]
fn a_host_below_another_root_is_installed_as_from_its_own() {
    let world = world();
    let list = world.sh(&format!("cat {FILE}"));
    world.sh("mkdir /run/host; mount --rbind / /run/host; rm /opt/cni/bin/portmap; cp /bin/true /opt/cni/bin/portmap");
    let install = || world.cli(&["install", "--root", "/run/host"]);
    let why =
        "cniscope: /opt/cni/bin/portmap: it printed no answer to VERSION; nothing on the node is changed\n";
    assert_eq!(install().answer(), (1, String::new(), why.to_owned()));
    // A script needs the host's own shell.
    world.sh(r#"printf '#!/bin/sh\necho "{\\"supportedVersions\\":[\\"1.0.0\\"]}"\n' >/opt/cni/bin/portmap"#);
    let installed = told(&install());
    let answered = "  answered  cniscope, bridge, host-local, portmap to VERSION\n";
    assert!(installed.contains(answered), "{installed}");
    assert!(world.sh(&format!("cat {FILE}")).contains("wraps"));
    assert_eq!(world.cli(&["status"]).status, 0);
    told(&world.cli(&["uninstall", "--root", "/run/host"]));
    assert_eq!(world.sh(&format!("cat {FILE}; ls -a /opt/cni/bin | grep cniscope || true")), list);
}

#[test]
fn a_plugin_that_does_not_answer_stops_the_installation() {
    let world = world();
    let list = world.sh(&format!("cat {FILE}"));
    world.sh("rm /opt/cni/bin/portmap; printf '#!/bin/sh\\nexit 1\\n' >/opt/cni/bin/portmap; chmod +x /opt/cni/bin/portmap");
    let ran = world.cli(&["install"]);
    let why =
        "cniscope: /opt/cni/bin/portmap: it printed no answer to VERSION; nothing on the node is changed\n";
    assert_eq!(ran.answer(), (1, String::new(), why.to_owned()));
    assert_eq!(world.sh(&format!("cat {FILE}; ls -a /opt/cni/bin | grep cniscope || true")), list);
}

#[test]
fn a_plugin_that_is_too_old_stops_the_installation() {
    let world = world();
    world.sh(r#"rm /opt/cni/bin/portmap; printf '#!/bin/sh\necho "{\\"supportedVersions\\":[\\"0.4.0\\"]}"\n' >/opt/cni/bin/portmap; chmod +x /opt/cni/bin/portmap"#);
    let ran = world.cli(&["install"]);
    let why = "cniscope: /opt/cni/bin/portmap supports 0.4.0, but the network's cniVersion is 1.0.0: install a release of it that does; nothing on the node is changed\n";
    assert_eq!(ran.answer(), (1, String::new(), why.to_owned()));
}

/// cniscope in a containerd's machine, where nothing of it stays on the host.
fn cli(containerd: &Containerd, arguments: &[&str]) -> String {
    printed(containerd.machine.command(cniscope()).args(arguments))
}

#[test]
fn containerd_tells_that_it_has_loaded_what_was_installed_and_what_was_taken_out() {
    let bridge = json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.244.7.0/29"},
    });
    let containerd = Containerd::start(Place::new(), &[bridge]);
    let overlay = "mkdir /run/upper /run/work; mount -t overlay overlay /etc -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work";
    printed(containerd.machine.command("sh").args(["-ec", overlay]));
    let installed = cli(&containerd, &["install"]);
    assert!(installed.contains("  loaded    containerd has it\n"), "{installed}");
    let status = cli(&containerd, &["status"]);
    assert!(status.contains("  runtime   containerd; has loaded a wrapped list\n"), "{status}");
    let id = containerd.run("web").unwrap();

    let held = cli(&containerd, &["uninstall"]);
    let row = held.lines().find(|line| line.starts_with("shop/web ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["shop/web", &id, "pods", "eth0"]);
    let status = cli(&containerd, &["status"]);
    assert!(status.contains("  runtime   containerd; has loaded no wrapped list\n"), "{status}");
    containerd.remove(&id);
    assert_eq!(containerd.reserved(), [""; 0]);
    let gone = cli(&containerd, &["uninstall"]);
    assert!(gone.contains("  binary    ") && gone.contains("/cniscope  removed\n"), "{gone}");
    assert!(!containerd.place.path("bin/cniscope").exists());
    let list = fs::read_to_string(containerd.place.path("net.d/10-pods.conflist")).unwrap();
    assert!(!list.contains("cniscope"), "{list}");
}
