//! `cniscope bundle` of nodes that are trees of files: what is in it, what is not, and that it can be read again.

mod checked;
mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Place, Ran, spawn};

/// A network with a plugin that is wrapped, and one key that nobody knows.
const PODS: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "cniscope", "cniscope": {"wraps": "bridge"},
    "bridge": "cni0", "acme": "blue", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/29"}]]}}]}"#;
/// A call that has failed, as the journal has it.
const CALL: &str = r#"{"schema":1,"event":"end","id":"019aa000-0000-7000-8000-000000000001","time":"2026-11-21T10:20:30.000000Z","node":"worker-1","command":"ADD","container_id":"c1","ifname":"eth0","netns":"/run/netns/c1","pod_namespace":"shop","pod_name":"cart","network":"pods","plugin":"bridge","outcome":"failed","duration_ms":7.5,"cause":"ipam-exhausted","error":{"code":999,"msg":"failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.6","details":""},"config":{"type":"bridge","acme":"blue"},"future":"blue"}"#;
/// A line of a kubelet's log.
const LOGGED: &str = "E1121 10:20:30.000001 1 pod_workers.go:1324] failed to setup network for sandbox \"c1\": plugin type=\"bridge\" \
    failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.6\n";

/// Puts a file on the node.
fn put(place: &Place, path: &str, content: impl AsRef<[u8]>) {
    let path = place.path("node").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A node with a network, its plugin, an address that is given away, a journal and a log.
fn node() -> Place {
    let place = Place::new();
    put(&place, "etc/hostname", "worker-1\n");
    put(&place, "etc/cni/net.d/10-pods.conflist", PODS);
    put(&place, "opt/cni/bin/bridge", "#!/bin/sh");
    put(&place, "var/lib/cni/networks/pods/10.1.0.2", "c1\r\neth0");
    put(&place, "var/lib/cni/networks/pods/last_reserved_ip.0", "10.1.0.2");
    put(&place, "run/flannel/subnet.env", "FLANNEL_MTU=1450\n");
    put(&place, "proc/sys/net/ipv4/ip_forward", "1\n");
    put(&place, "proc/sys/net/ipv4/conf/all/rp_filter", "0\n");
    put(&place, "proc/1/mounts", "tmpfs /run tmpfs rw,size=1024k 0 0\n");
    put(&place, "var/log/kubelet.log", LOGGED);
    put(&place, "var/log/pods/kube-system_kube-flannel-x_1/kube-flannel/0.log", "first\n");
    put(&place, "var/log/pods/kube-system_kube-flannel-x_1/kube-flannel/1.log", "second\n");
    put(&place, "var/log/pods/shop_cart_2/cart/0.log", "not an add-on's\n");
    fs::create_dir_all(place.path("log")).unwrap();
    fs::write(place.path("log/journal.jsonl"), format!("{CALL}\n")).unwrap();
    place
}

/// Makes a bundle of the place's node.
fn bundle(place: &Place, arguments: &[&str]) -> Ran {
    let (root, out) = (place.path("node"), place.path("b.tar.gz"));
    let about = ["bundle", "--root", root.to_str().unwrap(), "-O", out.to_str().unwrap()];
    place.cli(&[&about, arguments].concat())
}

/// Unpacks a bundle with tar itself; gives its one folder.
fn unpacked(place: &Place) -> PathBuf {
    let to = place.path("unpacked");
    fs::create_dir_all(&to).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(place.path("b.tar.gz")).arg("-C").arg(&to);
    assert!(spawn(&mut tar).wait().unwrap().success());
    let folders: Vec<PathBuf> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.into_iter().next().unwrap()
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in fs::read_dir(one).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// The manifest of a bundle of the place's node.
fn manifest(place: &Place) -> Value {
    serde_json::from_slice(&fs::read(unpacked(place).join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_bundle_has_what_the_node_has() {
    let place = node();
    assert_eq!(bundle(&place, &[]).status, 0);
    let folder = unpacked(&place);
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("cniscope-bundle-worker-1-20") && name.ends_with('Z'), "{name}");
    let files = files(&folder);
    insta::assert_snapshot!(files.keys().cloned().collect::<Vec<_>>().join("\n"), @r"
    host/etc/cni/net.d/10-pods.conflist
    host/etc/hostname
    host/proc/mounts
    host/proc/sys/net/ipv4/conf/all/rp_filter
    host/proc/sys/net/ipv4/ip_forward
    host/run/flannel/subnet.env
    host/var/lib/cni/networks/pods/10.1.0.2
    host/var/lib/cni/networks/pods/last_reserved_ip.0
    journal/journal.jsonl
    logs/kubelet.log
    logs/pods/kube-system_kube-flannel-x_1/kube-flannel/0.log
    logs/pods/kube-system_kube-flannel-x_1/kube-flannel/1.log
    manifest.json
    plugins/opt-cni-bin.json
    redacted.json
    ");
    let text = |path: &str| String::from_utf8(files[path].clone()).unwrap();
    assert_eq!(text("host/var/lib/cni/networks/pods/10.1.0.2"), "c1\r\neth0");
    assert_eq!(text("host/proc/sys/net/ipv4/ip_forward"), "1\n");
    assert_eq!(text("logs/kubelet.log"), LOGGED);
    let plugins: Value = serde_json::from_str(&text("plugins/opt-cni-bin.json")).unwrap();
    let plugin = &plugins["plugins"][0];
    assert_eq!(
        json!([plugin["path"], plugin["size"], plugin["mode"], plugin["no_versions"]]),
        json!(["/opt/cni/bin/bridge", 9, "0755", "plugins of another node's files are not started"])
    );
    assert_eq!(plugin["sha256"], cniscope::digest::sha256(b"#!/bin/sh"));
}

#[test]
fn everything_that_is_not_in_it_is_named_with_its_reason() {
    let place = node();
    bundle(&place, &[]);
    let manifest = manifest(&place);
    let items = manifest["items"].as_array().unwrap();
    let without = items.iter().filter(|row| row["path"].is_null());
    let told: Vec<String> = without
        .map(|row| {
            format!(
                "{} {}: {}",
                row["name"].as_str().unwrap(),
                row["status"].as_str().unwrap(),
                row["reason"].as_str().unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    doctor missing: these are the files of another node, which cannot be asked
    runtime missing: there is no configuration of containerd or CRI-O
    settings missing: there are no settings of cniscope
    links missing: these are the files of another node, which cannot be asked
    routing missing: these are the files of another node, which cannot be asked
    firewall missing: these are the files of another node, which cannot be asked
    conntrack missing: the kernel tracks no connections
    kernel missing: procfs is not there
    disks missing: these are the files of another node, which cannot be asked
    clock missing: these are the files of another node, which cannot be asked
    cgroups missing: no kubelet and no runtime is running
    sockets missing: these are the files of another node, which cannot be asked
    namespaces missing: /run/netns is not there
    runtime-log missing: journalctl is not run: these are the files of another node; and none of the usual files is there
    plugin-logs missing: no plugin has written a log
    events missing: these are the files of another node, which cannot be asked
    ");
    let of_bundle = json!([manifest["schema"], manifest["node"]]);
    assert_eq!(of_bundle, json!([1, "worker-1"]));
}

#[test]
fn what_was_hidden_is_listed_and_the_rest_is_as_it_was() {
    let place = node();
    bundle(&place, &[]);
    let folder = unpacked(&place);
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
    let network: Value = serde_json::from_str(&read("host/etc/cni/net.d/10-pods.conflist")).unwrap();
    let expected = PODS.replace("blue", "<redacted>");
    assert_eq!(network, serde_json::from_str::<Value>(&expected).unwrap());
    assert_eq!(read("journal/journal.jsonl"), format!("{}\n", CALL.replace("blue", "<redacted>")));
    let listed: Value = serde_json::from_str(&read("redacted.json")).unwrap();
    let expected = json!({"schema": 1, "not_listed": 0, "redacted": [
        {"file": "journal/journal.jsonl", "place": "line 1: config.acme", "kind": "not-listed"},
        {"file": "journal/journal.jsonl", "place": "line 1: future", "kind": "not-listed"},
        {"file": "host/etc/cni/net.d/10-pods.conflist", "place": ".plugins[0].acme", "kind": "not-listed"},
    ]});
    assert_eq!(listed, expected);
}

#[test]
fn what_was_made_is_told_for_people() {
    let place = node();
    let ran = bundle(&place, &[]);
    let text = place.steady(&ran.text());
    let summary: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("PLACE")).collect();
    assert!(text.starts_with("ITEM "), "{text}");
    assert!(summary[0].starts_with("PLACE/b.tar.gz: ") && summary[0].ends_with(" files"), "{summary:?}");
    assert_eq!(summary[2], "  redacted  3 places, listed in redacted.json");
    assert!(summary[3].ends_with("cniscope bundle --check PLACE/b.tar.gz"), "{summary:?}");
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    let ran = bundle(&place, &["-o", "json"]);
    let document = ran.json();
    assert_eq!(document["manifest"], manifest(&place));
    assert_eq!(document["size"], fs::metadata(place.path("b.tar.gz")).unwrap().len());
}

#[test]
fn an_unpacked_bundle_is_read_by_the_other_verbs() {
    let place = node();
    bundle(&place, &[]);
    let folder = unpacked(&place);
    let journal = Place::cli_on(&folder.join("journal"), &["journal", "--failed", "-o", "json"]).json();
    assert_eq!(json!([journal[0]["pod_name"], journal[0]["cause"]]), json!(["cart", "ipam-exhausted"]));
    let host = folder.join("host");
    let doctor = ["doctor", "config", "ipam-pool", "-o", "json", "--root", host.to_str().unwrap()];
    let found = Place::cli_on(&folder.join("journal"), &doctor).json();
    assert_eq!(found["networks"][0]["plugins"], json!(["bridge"]));
    let pool = found["findings"].as_array().unwrap().iter().find(|one| one["check"] == "ipam-pool").unwrap();
    assert_eq!(pool["evidence"]["sets"][0]["used"], 1, "{pool:#}");
    let mut explain = place.cli_command(&["explain", "-o", "json"]);
    explain.stdin(Stdio::from(fs::File::open(folder.join("logs/kubelet.log")).unwrap()));
    let explained: Value =
        serde_json::from_slice(&spawn(&mut explain).wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(explained["cause"], "ipam-exhausted");
}

#[test]
fn bundles_of_several_nodes_are_read_as_one_journal_without_being_unpacked() {
    let (one, other) = (node(), node());
    let call = CALL.replace("worker-1", "worker-2").replace("000000000001", "000000000002");
    fs::write(other.path("log/journal.jsonl"), format!("{call}\n")).unwrap();
    bundle(&one, &[]);
    bundle(&other, &[]);
    let second = other.path("b.tar.gz");
    let both = |arguments: &[&str]| {
        let second = ["--journal", second.to_str().unwrap()];
        Place::cli_on(&one.path("b.tar.gz"), &[arguments, &second].concat())
    };
    let calls = both(&["journal", "-o", "json"]).json();
    let nodes: Vec<_> = calls.as_array().unwrap().iter().map(|call| &call["node"]).collect();
    assert_eq!(nodes, ["worker-1", "worker-2"]);
    assert_eq!(both(&["stats", "-o", "json"]).json()["failures"], 2);
    assert!(both(&["show", "000000000002"]).text().contains("worker-2"));
    let page = both(&["report", "-O", "-"]).text();
    assert!(page.contains("worker-1") && page.contains("worker-2"), "{page}");
}

#[test]
fn on_a_broken_node_it_is_made_of_what_there_is() {
    let place = node();
    let at = |path: &str| place.path("node").join(path);
    let fifo = |path: &str| nix::unistd::mkfifo(&at(path), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fifo("etc/cni/net.d/20-hangs.conflist");
    fifo("var/lib/cni/networks/pods/10.1.0.3");
    fs::remove_file(at("var/log/kubelet.log")).unwrap();
    fifo("var/log/kubelet.log");
    fs::remove_file(at("run/flannel/subnet.env")).unwrap();
    fs::create_dir(at("run/flannel/subnet.env")).unwrap();
    fs::remove_dir_all(at("proc")).unwrap();
    fs::remove_dir_all(at("opt")).unwrap();
    std::os::unix::fs::symlink("/etc/cni/net.d", at("etc/cni/net.d/round")).unwrap();
    std::os::unix::fs::symlink("none", at("etc/cni/net.d/dangling")).unwrap();
    // As large as a disk, and nothing in it.
    fs::create_dir_all(at("var/log/calico/cni")).unwrap();
    fs::File::create(at("var/log/calico/cni/cni.log")).unwrap().set_len(1 << 40).unwrap();
    let ran = bundle(&place, &[]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    let manifest = manifest(&place);
    let reason = |start: &str| {
        let mut reasons =
            manifest["items"].as_array().unwrap().iter().filter_map(|row| row["reason"].as_str());
        assert!(reasons.any(|reason| reason.starts_with(start)), "{start} in {manifest:#}");
    };
    reason("/etc/cni/net.d/20-hangs.conflist: is a FIFO, expected a regular file");
    reason("/var/lib/cni/networks/pods/10.1.0.3: is a FIFO");
    reason("/var/log/kubelet.log: is a FIFO");
    reason("none of the plugins' folders exists");
    reason("procfs is not there");
    reason("the last 0 of the 1099511627776 bytes of /var/log/calico/cni/cni.log");
    assert!(unpacked(&place).join("host/etc/cni/net.d/10-pods.conflist").exists());
}

#[test]
fn of_an_empty_node_there_is_a_bundle_too() {
    let place = Place::new();
    fs::create_dir(place.path("node")).unwrap();
    assert_eq!(bundle(&place, &[]).status, 0);
    let names: Vec<String> = files(&unpacked(&place)).into_keys().collect();
    assert_eq!(names, ["manifest.json", "redacted.json"]);
}

#[test]
fn only_who_made_it_can_read_it() {
    let place = node();
    bundle(&place, &[]);
    assert_eq!(fs::metadata(place.path("b.tar.gz")).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn where_it_cannot_be_written_that_is_told_and_nothing_is_left() {
    let place = node();
    let (root, out) = (place.path("node"), place.path("none/b.tar.gz"));
    let ran = place.cli(&["bundle", "--root", root.to_str().unwrap(), "-O", out.to_str().unwrap()]);
    let told = place.steady(&String::from_utf8(ran.stderr).unwrap());
    let expected = "cniscope: PLACE/none/b.tar.gz: the bundle cannot be written: No such file or directory (os error 2)\n\
                    Name a file that can be written: cniscope bundle --out FILE\n";
    assert_eq!((ran.status, ran.stdout.as_slice(), told.as_str()), (2, b"".as_slice(), expected));
}

#[test]
fn the_size_is_bounded_and_the_youngest_calls_stay() {
    let place = node();
    fs::rename(place.path("log/journal.jsonl"), place.path("log/journal.1.jsonl")).unwrap();
    let line = |number: u32| CALL.replace("8000-0", &format!("8000-{number}")) + "\n";
    let lines: String = (0..2000).map(line).collect();
    fs::write(place.path("log/journal.jsonl"), &lines).unwrap();
    assert_eq!(bundle(&place, &["--max-size", "100K"]).status, 0);
    let files = files(&unpacked(&place));
    let content: usize = files
        .iter()
        .filter(|(path, _)| !path.ends_with("ed.json") && !path.ends_with("manifest.json"))
        .map(|(_, content)| content.len())
        .sum();
    assert!((50_000..=102_400).contains(&content), "{content}");
    let kept = String::from_utf8(files["journal/journal.jsonl"].clone()).unwrap();
    assert!(
        kept.ends_with(&lines[lines.len() - 100..].replace("blue", "<redacted>"))
            && kept.starts_with("{\"schema\":1")
    );
}
