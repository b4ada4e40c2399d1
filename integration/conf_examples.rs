//! Lists of conf-examples with the real plugins, through cnitool: what they do is what they do without cniscope.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Place, cniscope, spawn};

/// Below the project's folder.
fn project(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(path.exists(), "{} is missing: run `scripts/setup test`", path.display());
    path
}

/// Adds a sandbox to the network, deletes it twice, and prints what is there after each. Run in namespaces of its own,
/// with empty /run and /var/lib, so that nothing of the node is touched. What differs from run to run is masked: random
/// addresses and names, and the carrier of a bridge without ports, which the kernel takes away some time later.
const ROUND: &str = r#"
exec 2>&1
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p /run/flannel
printf '%s\n' FLANNEL_NETWORK=10.244.0.0/16 FLANNEL_SUBNET=10.244.1.1/24 FLANNEL_MTU=1450 FLANNEL_IPMASQ=true \
    >/run/flannel/subnet.env
ip link set lo up
ip netns add pod
state() {
    ip -o addr show scope global
    ip route
    ip -n pod -o addr show scope global
    ip -n pod route
    iptables-save | grep -v '^#' | sed 's/\[[0-9:]*\]//'
    find /var/lib/cni -type f ! -path '*/results/*' | sort
}
masked() {
    sed -E 's/([0-9a-f]{2}:){5}[0-9a-f]{2}/MAC/g; s/veth[0-9a-f]+/VETH/g; s/ linkdown//'
}
{
    "$CNITOOL" add "$NETWORK" /run/netns/pod; echo "add: $?"
    state
    "$CNITOOL" del "$NETWORK" /run/netns/pod; echo "del: $?"
    state
    "$CNITOOL" del "$NETWORK" /run/netns/pod; echo "del again: $?"
    state
} | masked
"#;

/// Runs the round for a configuration, and gives what it printed.
fn round(place: &Place, file: &str, network: &str) -> String {
    let configurations = place.path("net.d");
    fs::create_dir(&configurations).unwrap();
    fs::copy(project("conf-examples").join(file), configurations.join("10-network.conflist")).unwrap();
    let link = place.path("bin").join("cniscope");
    std::os::unix::fs::symlink(cniscope(), link).unwrap();
    let folders = format!("{}:{}", place.path("bin").display(), project(".tools/plugins").display());
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", ROUND])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("CNITOOL", project(".tools/bin/cnitool"))
        .env("NETWORK", network)
        .env("NETCONFPATH", &configurations)
        .env("CNI_PATH", folders)
        .env("CAP_ARGS", r#"{"portMappings":[{"hostPort":18080,"containerPort":80,"protocol":"tcp"}]}"#)
        .env("CNISCOPE_CONFIG", place.path("config.json"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = spawn(&mut command).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Compares the round of a list with that of the list before it was wrapped. `address` is what the sandbox gets, and
/// `plugins` are those that run.
fn does_the_same(file: &str, network: &str, address: &str, plugins: &[&str]) {
    let direct = round(&Place::new(), &format!("{file}.unwrapped"), network);
    for expected in [format!("inet {address}"), "add: 0\n".into(), "del: 0\n".into(), "del again: 0\n".into()]
    {
        assert!(direct.contains(&expected), "{expected:?} is not in\n{direct}");
    }
    let place = Place::new();
    assert_eq!(round(&place, file, network), direct);
    let ended: Vec<Value> = place
        .records()
        .iter()
        .filter(|record| record["event"] == "end")
        .map(|end| json!([end["command"], end["plugin"], end["network"], end["outcome"]]))
        .collect();
    let call = |verb: &str, plugin: &&str| json!([verb, plugin, network, "ok"]);
    let mut expected: Vec<Value> = plugins.iter().map(|plugin| call("ADD", plugin)).collect();
    for _ in 0..2 {
        expected.extend(plugins.iter().rev().map(|plugin| call("DEL", plugin)));
    }
    assert_eq!(ended, expected);
}

#[test]
fn the_bridge_list_does_what_it_does_without_cniscope() {
    let plugins = ["bridge", "portmap", "firewall", "tuning"];
    does_the_same("bridge/87-podman-bridge.conflist", "podman", "10.88.0.2/16", &plugins);
}

#[test]
fn flannels_list_does_what_it_does_without_cniscope() {
    does_the_same("flannel/10-flannel.conflist", "cbr0", "10.244.1.2/24", &["flannel", "portmap"]);
}

/// The package's data base holds the MD5 of the file, whatever was made of the file on this machine.
#[test]
fn the_bridge_list_is_the_one_that_podmans_package_installs() {
    let output = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}; run `scripts/setup test`",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let shipped = project("conf-examples/bridge/87-podman-bridge.conflist.unwrapped");
    let sum = output("md5sum", &[shipped.to_str().unwrap()]);
    let sum = sum.split_whitespace().next().unwrap();
    let installed = output("dpkg-query", &["--show", "--showformat=${Conffiles}", "podman"]);
    let expected = format!("/etc/cni/net.d/87-podman-bridge.conflist {sum}");
    assert!(installed.lines().any(|line| line.trim() == expected), "{expected} is not in\n{installed}");
}
