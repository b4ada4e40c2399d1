//! `cniscope bundle` on a real node: what the kernel tells is in it, looking changes nothing, and a broken node has one too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Ran, eventually};
use crate::world::World;

/// Where a bundle is written in its world.
const OUT: &str = "/run/b.tar.gz";

fn network() -> Value {
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "cniscope", "cniscope": {"wraps": "bridge"}, "bridge": "cni0",
        "isGateway": true, "acme": "blue", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/29"}]]}}]})
}

/// A world in which a Pod has a network.
fn world() -> World {
    let world = World::new();
    world.configure(&network());
    let ran = world.cnitool("add", "pods").run();
    assert_eq!(ran.status, 0, "{ran:?}");
    world.ends();
    world
}

fn bundle(world: &World, arguments: &[&str]) -> Ran {
    world.cli(&[&["bundle", "-O", OUT, "-o", "json"], arguments].concat())
}

/// What is in it, as tar shows it.
fn files(world: &World) -> BTreeMap<String, String> {
    world.sh(&format!(
        "rm -rf /run/unpacked; mkdir /run/unpacked; tar -xzf {OUT} -C /run/unpacked --strip-components 1"
    ));
    let names = world.sh("cd /run/unpacked; find . -type f | sed 's|^./||'");
    let read = |name: &str| {
        let path = PathBuf::from("/run/unpacked").join(name);
        String::from_utf8_lossy(&world.inside(|| std::fs::read(path).unwrap())).into_owned()
    };
    names.lines().map(|name| (name.to_owned(), read(name))).collect()
}

fn document(files: &BTreeMap<String, String>, name: &str) -> Value {
    let text = files.get(name).unwrap_or_else(|| panic!("{name} is not in the bundle: {:?}", files.keys()));
    serde_json::from_str(text).unwrap()
}

/// The one entry for which this holds.
fn entry(list: &Value, holds: impl Fn(&Value) -> bool) -> Value {
    let found: Vec<&Value> = list.as_array().unwrap().iter().filter(|entry| holds(entry)).collect();
    assert_eq!(found.len(), 1, "{list:#}");
    found[0].clone()
}

#[test]
fn what_the_kernel_knows_of_the_network_is_in_it() {
    let world = world();
    world.sh("ip route add 10.9.0.0/24 via 10.1.0.2 metric 7 mtu 1400; ip rule add from 10.1.0.0/29 table 100; ip route add blackhole default table 100
        ip neigh add 10.1.0.3 lladdr 02:00:00:00:00:03 dev cni0 nud permanent; bridge fdb add 02:00:00:00:00:04 dev cni0 self
        nft add table ip own; nft add chain ip own forward '{ type filter hook forward priority 0; }'; nft add rule ip own forward udp dport 8472 drop");
    assert_eq!(bundle(&world, &[]).status, 0);
    let files = files(&world);
    let links = document(&files, "netlink/links.json");
    let bridge = entry(&links, |link| link["name"] == "cni0");
    assert_eq!(
        json!([bridge["kind"], bridge["up"], bridge["addresses"][0]]),
        json!(["bridge", true, "10.1.0.1/29"])
    );
    let index = &bridge["index"];
    let route = entry(&document(&files, "netlink/routes.json"), |route| route["to"] == "10.9.0.0/24");
    let expected = json!({"to": "10.9.0.0/24", "kind": "unicast", "table": 254, "link": index, "gateway": "10.1.0.2", "metric": 7, "mtu": 1400, "protocol": "boot"});
    assert_eq!(route, expected);
    let blackhole = entry(&document(&files, "netlink/routes.json"), |route| route["table"] == 100);
    assert_eq!(json!([blackhole["to"], blackhole["kind"]]), json!(["default", "blackhole"]));
    let rule = entry(&document(&files, "netlink/rules.json"), |rule| rule["table"] == 100);
    assert_eq!(json!([rule["action"], rule["about"]]), json!(["totable", ["from 10.1.0.0/29"]]));
    let neighbour = entry(&document(&files, "netlink/neighbours.json"), |one| one["address"] == "10.1.0.3");
    assert_eq!(
        json!([neighbour["mac"], neighbour["state"], &neighbour["link"]]),
        json!(["02:00:00:00:00:03", "permanent", index])
    );
    let entries = document(&files, "netlink/fdb.json");
    assert!(entries.as_array().unwrap().iter().any(|one| one["mac"] == "02:00:00:00:00:04"), "{entries:#}");
    assert!(files["commands/nft.txt"].contains("udp dport 8472 drop"), "{}", files["commands/nft.txt"]);
    assert_eq!(document(&files, "netlink/rule-counts.json")["nf_tables"]["ip own"], 1);
}

#[test]
fn the_call_its_address_and_its_plugins_are_in_it() {
    let world = world();
    let ran = bundle(&world, &[]);
    let manifest = &ran.json()["manifest"];
    assert_eq!((ran.status, manifest["schema"].as_u64()), (0, Some(1)));
    let files = files(&world);
    let end: Value = serde_json::from_str(files["journal/journal.jsonl"].lines().last().unwrap()).unwrap();
    assert_eq!(
        json!([end["outcome"], end["plugin"], end["config"]["acme"]]),
        json!(["ok", "bridge", "<redacted>"])
    );
    assert!(files["host/var/lib/cni/networks/pods/10.1.0.2"].ends_with("\r\neth0"));
    let list = document(&files, "host/etc/cni/net.d/pods.conflist");
    assert_eq!(
        json!([list["plugins"][0]["bridge"], list["plugins"][0]["acme"]]),
        json!(["cni0", "<redacted>"])
    );
    let plugins = document(&files, "plugins/opt-cni-bin.json");
    let bridge = entry(&plugins["plugins"], |plugin| plugin["path"] == "/opt/cni/bin/bridge");
    let hash = world.sh("sha256sum /opt/cni/bin/bridge | cut -c 1-64");
    assert_eq!(bridge["sha256"], hash.trim());
    assert!(bridge["versions"].as_array().unwrap().contains(&json!("1.0.0")), "{bridge:#}");
    let found = document(&files, "doctor.json");
    assert_eq!(found["networks"][0]["name"], "pods");
    assert_eq!(document(&files, "disks.json")[0]["path"], "/");
    assert!(document(&files, "clock.json")["synchronised"].is_boolean());
    assert_eq!(files["host/proc/sys/net/ipv4/ip_forward"], "1\n");
}

#[test]
fn it_is_whole_and_read_again_by_the_other_verbs() {
    let world = world();
    bundle(&world, &[]);
    files(&world);
    let checked = world.cli(&["bundle", "--check", OUT, "-o", "json"]);
    assert_eq!((checked.status, &checked.json()["problems"]), (0, &json!([])));
    let calls = world.cli(&["journal", "--journal", "/run/unpacked/journal", "-o", "json"]).json();
    assert_eq!(calls[0]["outcome"], "ok");
    let found =
        world.cli(&["doctor", "config", "ipam-pool", "--root", "/run/unpacked/host", "-o", "json"]).json();
    assert_eq!(found["networks"][0]["wrapped"], json!(["bridge"]));
}

#[test]
fn looking_changes_nothing_of_the_node() {
    let world = world();
    let state = "ip -o link; ip -o address; ip route show table all; ip rule; nft list ruleset; cat /proc/net/ip_tables_names /proc/modules; \
        find /etc/cni /var/lib/cni /var/log/cniscope /run /opt/cni -not -path '/run/layers*' | sort";
    let before = world.sh(&format!("{{ {state}; }} 2>&1 | sed 's/ [0-9]*sec//g'"));
    assert_eq!(world.cli(&["bundle", "-O", "/run/none/../b.tar.gz"]).status, 2, "a folder that is not there");
    let ran = world.cli(&["bundle", "-O", "/var/b.tar.gz"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(world.sh(&format!("{{ {state}; }} 2>&1 | sed 's/ [0-9]*sec//g'")), before);
}

#[test]
fn on_a_disk_that_is_full_nothing_is_left() {
    let world = world();
    world.sh("mkdir /run/small; mount -t tmpfs -o size=16k tmpfs /run/small");
    let ran = world.cli(&["bundle", "-O", "/run/small/b.tar.gz"]);
    let expected = "cniscope: /run/small/b.tar.gz: the bundle cannot be written: No space left on device (os error 28)\n\
                    Name a file that can be written: cniscope bundle --out FILE\n";
    assert_eq!((ran.status, String::from_utf8(ran.stderr).unwrap().as_str()), (2, expected));
    assert_eq!(world.sh("ls -A /run/small"), "");
}

#[test]
fn a_node_that_can_only_be_read_and_has_lost_its_state_has_a_bundle() {
    let world = world();
    world.sh("mount -t tmpfs -o ro tmpfs /var/log; mount -t tmpfs -o ro tmpfs /var/lib; mount -t tmpfs -o ro tmpfs /opt; \
        mkdir /run/out; mount -t tmpfs tmpfs /run/out; mkfifo /etc/cni/net.d/00-hangs.conflist");
    let ran = world.cli(&["bundle", "-O", "/run/out/b.tar.gz", "-o", "json", "--cni-path", "/opt/cni/bin"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let items = ran.json()["manifest"]["items"].clone();
    let why = |name: &str, start: &str| {
        let rows = items.as_array().unwrap().iter().filter(|row| row["name"] == name);
        let reasons: Vec<&str> = rows.filter_map(|row| row["reason"].as_str()).collect();
        assert!(reasons.iter().any(|reason| reason.starts_with(start)), "{name}: {reasons:?}");
    };
    why("journal", "there is no journal");
    why("networks", "/etc/cni/net.d/00-hangs.conflist: is a FIFO");
    why("plugins", "none of the plugins' folders exists");
    why("ipam", "no plugin has kept anything");
}

#[test]
fn a_plugin_that_hangs_at_version_holds_up_nothing_else() {
    let world = world();
    world.write("/opt/cni/bin/hangs", "#!/bin/sh\nsleep 600\n");
    world.sh("chmod 0755 /opt/cni/bin/hangs");
    bundle(&world, &[]);
    let plugins = eventually(|| Some(document(&files(&world), "plugins/opt-cni-bin.json")));
    let hangs = entry(&plugins["plugins"], |plugin| plugin["path"] == "/opt/cni/bin/hangs");
    assert_eq!(hangs["no_versions"], "it did not answer VERSION within 1 s");
}
