//! `install`, `status` and `uninstall` on the files of a node: what they do, and what they say.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::node_files::{BINARY, FILE, LIST, NodeFiles};
use crate::support::{Place, Ran, cniscope, spawn};

#[test]
fn an_installation_says_what_it_does_and_what_comes_next() {
    let node = NodeFiles::new();
    insta::assert_snapshot!(node.told(&["install"]), @r"
    worker-1: installed
      binary    /opt/cni/bin/cniscope  new
      list      /etc/cni/net.d/10-pods.conflist  network pods
                bridge     wrapped
                portmap    wrapped
                istio-cni  left alone: Istio's installer removes the entry of this type, appends its own, and starts again while it finds none
      answered  nobody was asked for VERSION: plugins of another node's files are not started
      loaded    not seen: no runtime has its socket on this node

    next: start a Pod, then: cniscope journal
    undo: cniscope uninstall
    ");
    assert_eq!(
        node.read(FILE),
        LIST.replace(r#""bridge""#, r#""cniscope", "cniscope": {"wraps": "bridge", "verify": false}"#)
            .replace(r#""portmap""#, r#""cniscope", "cniscope": {"wraps": "portmap"}"#)
    );
    assert_eq!(fs::read(node.path(BINARY)).unwrap(), fs::read(cniscope()).unwrap());
    assert_eq!(fs::metadata(node.path(BINARY)).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn a_dry_run_shows_the_change_and_changes_nothing() {
    let node = NodeFiles::new();
    let before = node.files();
    insta::assert_snapshot!(node.told(&["install", "--dry-run"]), @r#"
    worker-1: nothing is changed, this is what would be done
      binary    /opt/cni/bin/cniscope  new
      list      /etc/cni/net.d/10-pods.conflist  network pods
                bridge     to be wrapped
                portmap    to be wrapped
                istio-cni  left alone: Istio's installer removes the entry of this type, appends its own, and starts again while it finds none

    --- /etc/cni/net.d/10-pods.conflist
    +++ /etc/cni/net.d/10-pods.conflist
    @@ -2,8 +2,8 @@
       "cniVersion": "1.0.0",
       "name": "pods",
       "plugins": [
    -    {"type": "bridge", "mtu": 1.5e3, "ipam": {"type": "host-local"}},
    -    {"type": "portmap"},
    +    {"type": "cniscope", "cniscope": {"wraps": "bridge", "verify": false}, "mtu": 1.5e3, "ipam": {"type": "host-local"}},
    +    {"type": "cniscope", "cniscope": {"wraps": "portmap"}},
         {"type": "istio-cni"}
       ]
     }

    to do it: the same without --dry-run
    "#);
    assert_eq!((node.files(), node.read(FILE).as_str()), (before, LIST));
}

#[test]
fn a_second_installation_has_nothing_to_do() {
    let node = NodeFiles::new();
    node.told(&["install"]);
    let inodes = || [FILE, BINARY].map(|path| fs::metadata(node.path(path)).unwrap().ino());
    let before = inodes();
    insta::assert_snapshot!(node.told(&["install"]), @r"
    worker-1: nothing to do, it is installed
      binary    /opt/cni/bin/cniscope  is there
      list      /etc/cni/net.d/10-pods.conflist  network pods
                bridge     is wrapped
                portmap    is wrapped
                istio-cni  left alone: Istio's installer removes the entry of this type, appends its own, and starts again while it finds none
    ");
    assert_eq!(inodes(), before);
}

#[test]
fn an_upgrade_replaces_the_binary_and_touches_no_list() {
    let node = NodeFiles::new();
    node.told(&["install"]);
    let list = fs::metadata(node.path(FILE)).unwrap().ino();
    node.put(BINARY, "#!/bin/sh\nexit 1\n");
    let told = node.told(&["install"]);
    assert!(told.contains("cniscope  replaced; calls that ran have gone on with the old one\n"), "{told}");
    assert!(told.contains("bridge     was wrapped\n"), "{told}");
    assert_eq!(fs::metadata(node.path(FILE)).unwrap().ino(), list);
    assert_eq!(fs::read(node.path(BINARY)).unwrap(), fs::read(cniscope()).unwrap());
}

#[test]
fn what_was_installed_is_taken_out_without_a_trace() {
    let node = NodeFiles::new();
    let path = node.path(FILE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = node.files();
    let state = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.mode(), metadata.uid(), metadata.gid())
    };
    let as_it_was = state(&path);
    node.told(&["install"]);
    insta::assert_snapshot!(node.told(&["uninstall", "--dry-run"]), @r"
    worker-1: nothing is changed, this is what would be done
      lists     /etc/cni/net.d/10-pods.conflist  to be unwrapped
      binary    /opt/cni/bin/cniscope  to be removed
    ");
    insta::assert_snapshot!(node.told(&["uninstall"]), @r"
    worker-1: uninstalled
      lists     /etc/cni/net.d/10-pods.conflist  unwrapped
      binary    /opt/cni/bin/cniscope  removed
    ");
    assert_eq!((node.read(FILE).as_str(), state(&path)), (LIST, as_it_was));
    let with_folders = [before, ["var".to_owned(), "var/lib".to_owned()].to_vec()].concat();
    assert_eq!(node.files(), with_folders);
    insta::assert_snapshot!(node.told(&["uninstall"]), @"worker-1: nothing to do, it is not installed");
}

#[test]
fn while_sandboxes_need_it_a_forwarder_stays() {
    let node = NodeFiles::new();
    node.told(&["install"]);
    let kept = [node.add("c1", "web-0"), node.add("c2", "web-1")];
    insta::assert_snapshot!(node.told(&["uninstall"]), @r"
    worker-1: uninstalled, but for a forwarder
      lists     /etc/cni/net.d/10-pods.conflist  unwrapped
      binary    /opt/cni/bin/cniscope  stays as a forwarder: it hands calls on and does nothing else

    2 sandboxes were added through it, and need it for their DEL
    POD         CONTAINER  NETWORK  INTERFACE
    shop/web-0  c1         pods     eth0
    shop/web-1  c2         pods     eth0

    next: when those are deleted, again: cniscope uninstall; or let it wait for them: cniscope uninstall --wait
    ");
    assert_eq!(node.read(FILE), LIST);
    assert!(node.path(BINARY).exists() && node.path("etc/cniscope/disabled").exists());
    insta::assert_snapshot!(node.told(&["status"]), @r"
    worker-1: uninstalled, but for a forwarder
      runtime   none of Kubernetes is there
      networks  /etc/cni/net.d
      plugins   /opt/cni/bin, /usr/local/libexec/cni, /usr/libexec/cni, /usr/local/lib/cni, /usr/lib/cni
      binary    /opt/cni/bin/cniscope  VERSION, this one
      settings  the built-in ones
      switch    /etc/cniscope/disabled: a forwarder
      marker    /var/lib/cniscope/uninstalled: no agent wraps anything
      agent     none

    network pods in /etc/cni/net.d/10-pods.conflist
      bridge     not wrapped
      portmap    not wrapped
      istio-cni  left alone: Istio's installer removes the entry of this type, appends its own, and starts again while it finds none

    sandboxes that need the binary for their DEL
    POD         CONTAINER  NETWORK  INTERFACE
    shop/web-0  c1         pods     eth0
    shop/web-1  c2         pods     eth0
    ");
    fs::remove_file(&kept[0]).unwrap();
    let told = node.told(&["uninstall"]);
    assert!(told.contains("\n1 sandbox was added through it, and needs it for its DEL\n"), "{told}");
    fs::remove_file(&kept[1]).unwrap();
    let ran = node.run(&["status"]);
    assert_eq!(ran.status, 1);
    let attention = "\n  problem   nobody needs the forwarder any more; remove it: cniscope uninstall\n";
    assert!(ran.text().ends_with(attention), "{}", ran.text());
    node.told(&["uninstall"]);
    assert!(!node.path(BINARY).exists() && !node.path("etc/cniscope").exists());
    assert!(!node.path("var/lib/cniscope").exists());
}

#[test]
fn an_uninstall_that_waits_ends_with_the_last_sandbox() {
    let node = NodeFiles::new();
    node.told(&["install"]);
    let kept = node.add("c1", "web-0");
    let ran = node.run(&["uninstall", "--wait=1"]);
    assert_eq!(ran.status, 1, "{}", ran.text());
    insta::assert_snapshot!(String::from_utf8_lossy(&ran.stderr), @r"
    waiting for 1 sandbox to be deleted, which was added through cniscope
    POD         CONTAINER  NETWORK  INTERFACE
    shop/web-0  c1         pods     eth0
    ");
    assert!(node.path(BINARY).exists());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| node.run(&["uninstall", "--wait"]));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!waiting.is_finished());
        fs::remove_file(kept).unwrap();
        let ran = waiting.join().unwrap();
        assert!(ran.status == 0 && ran.text().starts_with("worker-1: uninstalled\n"), "{}", ran.text());
    });
    assert!(!node.path(BINARY).exists());
}

#[test]
fn an_uninstall_that_stays_ends_with_a_signal() {
    let node = NodeFiles::new();
    node.told(&["install"]);
    let root = node.path("");
    let mut staying =
        spawn(&mut node.place.cli_command(&["uninstall", "--stay", "--root", root.to_str().unwrap()]));
    let mut told = String::new();
    let mut lines = BufReader::new(staying.stdout.take().unwrap());
    while !told.contains("removed\n") {
        assert_ne!(lines.read_line(&mut told).unwrap(), 0, "it has ended: {told}");
    }
    assert!(!node.path(BINARY).exists());
    assert!(staying.try_wait().unwrap().is_none());
    kill(Pid::from_raw(staying.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(staying.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
}

#[test]
fn an_installation_after_an_uninstall_takes_back_what_that_left() {
    let node = NodeFiles::new();
    node.told(&["install"]);
    node.add("c1", "web-0");
    node.told(&["uninstall"]);
    node.told(&["install"]);
    assert!(!node.path("etc/cniscope/disabled").exists());
    assert!(!node.path("var/lib/cniscope/uninstalled").exists());
    assert_eq!(node.run(&["status"]).status, 0);
}

#[test]
fn the_journal_and_a_persons_settings_stay_unless_they_are_purged() {
    let node = NodeFiles::new();
    node.told(&["install"]);
    node.put("var/log/cniscope/journal.jsonl", "");
    node.put("var/log/cniscope/journal.lock", "");
    node.put("var/log/cniscope/notes", "mine");
    node.put("etc/cniscope/config.json", "{}");
    node.put("var/lib/cniscope/config.json", "{}");
    node.put("var/lib/cniscope/good/x", "");
    node.put("run/cniscope/status/x", "");
    insta::assert_snapshot!(node.told(&["uninstall"]), @r"
    worker-1: uninstalled
      lists     /etc/cni/net.d/10-pods.conflist  unwrapped
      binary    /opt/cni/bin/cniscope  removed
      journal   /var/log/cniscope  stays; --purge removes it
    ");
    assert!(node.path("var/log/cniscope/journal.jsonl").exists());
    assert!(!node.path("run/cniscope").exists() && !node.path("var/lib/cniscope/good").exists());
    node.told(&["uninstall", "--purge"]);
    assert!(!node.path("var/log/cniscope/journal.jsonl").exists());
    for stays in ["var/log/cniscope/notes", "etc/cniscope/config.json", "var/lib/cniscope/config.json"] {
        assert!(node.path(stays).exists(), "{stays}");
    }
}

#[test]
fn the_state_of_a_node_is_told() {
    let node = NodeFiles::new();
    insta::assert_snapshot!(node.told(&["status"]), @r"
    worker-1: not installed
      runtime   none of Kubernetes is there
      networks  /etc/cni/net.d
      plugins   /opt/cni/bin, /usr/local/libexec/cni, /usr/libexec/cni, /usr/local/lib/cni, /usr/lib/cni
      binary    none
      settings  the built-in ones
      agent     none

    network pods in /etc/cni/net.d/10-pods.conflist
      bridge     not wrapped
      portmap    not wrapped
      istio-cni  left alone: Istio's installer removes the entry of this type, appends its own, and starts again while it finds none

    next: cniscope install --dry-run
    ");
    node.told(&["install"]);
    insta::assert_snapshot!(node.told(&["status"]), @r"
    worker-1: installed
      runtime   none of Kubernetes is there
      networks  /etc/cni/net.d
      plugins   /opt/cni/bin, /usr/local/libexec/cni, /usr/libexec/cni, /usr/local/lib/cni, /usr/lib/cni
      binary    /opt/cni/bin/cniscope  VERSION, this one
      settings  the built-in ones
      agent     none

    network pods in /etc/cni/net.d/10-pods.conflist
      bridge     wrapped
      portmap    wrapped
      istio-cni  left alone: Istio's installer removes the entry of this type, appends its own, and starts again while it finds none
    ");
    fs::remove_file(node.path(BINARY)).unwrap();
    let ran = node.run(&["status"]);
    assert_eq!(ran.status, 1);
    insta::assert_snapshot!(node.steady(&ran), @r"
    worker-1: needs attention
      runtime   none of Kubernetes is there
      networks  /etc/cni/net.d
      plugins   /opt/cni/bin, /usr/local/libexec/cni, /usr/libexec/cni, /usr/local/lib/cni, /usr/lib/cni
      binary    none
      settings  the built-in ones
      agent     none

    network pods in /etc/cni/net.d/10-pods.conflist
      bridge     wrapped
      portmap    wrapped
      istio-cni  left alone: Istio's installer removes the entry of this type, appends its own, and starts again while it finds none

      problem   /etc/cni/net.d/10-pods.conflist names cniscope, which is not among the plugins: no Pod gets a network; put it back: cniscope install
    ");
}

#[test]
fn the_state_is_a_document_for_programs() {
    let node = NodeFiles::new();
    node.told(&["install", "--head-only"]);
    node.add("c1", "web-0");
    let mut state = node.run(&["status", "-o", "json"]).json();
    state["binary"]["version"] = json!("VERSION");
    insta::assert_snapshot!(serde_json::to_string_pretty(&state).unwrap(), @r#"
    {
      "schema": 1,
      "node": "worker-1",
      "state": "installed",
      "problems": [],
      "notes": [],
      "runtime": null,
      "conf_dir": "/etc/cni/net.d",
      "bin_dirs": [
        "/opt/cni/bin",
        "/usr/local/libexec/cni",
        "/usr/libexec/cni",
        "/usr/local/lib/cni",
        "/usr/lib/cni"
      ],
      "binary": {
        "path": "/opt/cni/bin/cniscope",
        "is_this": true,
        "version": "VERSION"
      },
      "lists": [
        {
          "file": "/etc/cni/net.d/10-pods.conflist",
          "network": "pods",
          "is_taken": true,
          "entries": [
            {
              "plugin": "bridge",
              "is_wrapped": true,
              "is_wanted": true
            },
            {
              "plugin": "portmap",
              "is_wrapped": false,
              "is_wanted": true
            },
            {
              "plugin": "istio-cni",
              "is_wrapped": false,
              "is_wanted": false,
              "reason": "Istio's installer removes the entry of this type, appends its own, and starts again while it finds none"
            }
          ]
        }
      ],
      "loaded": null,
      "settings": null,
      "switch": "on",
      "uninstalled": false,
      "agents": [],
      "holders": [
        {
          "pod": "shop/web-0",
          "container_id": "c1",
          "network": "pods",
          "ifname": "eth0",
          "file": "/var/lib/cni/results/pods-c1-eth0"
        }
      ]
    }
    "#);
}

#[test]
fn what_was_done_is_a_document_for_programs() {
    let node = NodeFiles::new();
    let installed = node.run(&["install", "-o", "json"]).json();
    assert_eq!(
        installed,
        json!({
            "schema": 1, "changed": true, "binary": "/opt/cni/bin/cniscope", "binary_was": "missing",
            "lists": [{
                "file": "/etc/cni/net.d/10-pods.conflist", "network": "pods", "changed": true,
                "entries": [
                    {"plugin": "bridge", "is_wrapped": false, "is_wanted": true},
                    {"plugin": "portmap", "is_wrapped": false, "is_wanted": true},
                    {"plugin": "istio-cni", "is_wrapped": false, "is_wanted": false,
                     "reason": "Istio's installer removes the entry of this type, appends its own, and starts again while it finds none"},
                ],
            }],
            "switched_off": false, "plugins": [],
            "loaded": {"seen": "unknown", "reason": "no runtime has its socket on this node"},
        })
    );
    assert_eq!(node.run(&["install", "-o", "json"]).json()["changed"], false);
    assert_eq!(
        node.run(&["uninstall", "-o", "json"]).json(),
        json!({
            "schema": 1, "unwrapped": ["/etc/cni/net.d/10-pods.conflist"], "removed": "/opt/cni/bin/cniscope",
            "forwarder": null, "holders": [], "held": null, "agents": [], "journal": null,
        })
    );
}

#[test]
fn a_switch_that_a_person_set_stays_and_is_told() {
    let node = NodeFiles::new();
    node.put("etc/cniscope/disabled", "");
    let told = node.told(&["install"]);
    let switch =
        "  switch    it is switched off, and does nothing until this is gone: rm /etc/cniscope/disabled\n";
    assert!(told.contains(switch), "{told}");
    let ran = node.run(&["status"]);
    assert_eq!(ran.status, 1, "{}", ran.text());
    node.told(&["uninstall"]);
    assert!(node.path("etc/cniscope/disabled").exists());
}

#[test]
fn what_cannot_be_installed_is_told_with_what_to_do() {
    let empty = NodeFiles::empty();
    assert_eq!(
        empty.refused(&["install"]),
        (
            2,
            "cniscope: /etc/cni/net.d: no network configuration is there; the network add-on writes it, cniscope makes none\n\
             Run it again when the list is there, or let the agent wait for it: cniscope agent\n\
             For a folder elsewhere: cniscope install --conf-dir DIR\n"
                .to_owned()
        )
    );
    assert!(!empty.path("etc/cni").exists());
    let node = NodeFiles::new();
    fs::remove_file(node.path("opt/cni/bin/portmap")).unwrap();
    assert_eq!(
        node.refused(&["install"]),
        (1, "cniscope: the plugin portmap is not in /opt/cni/bin, /usr/local/libexec/cni, /usr/libexec/cni, /usr/local/lib/cni, /usr/lib/cni: install it first; nothing on the node is changed\n".to_owned())
    );
    assert_eq!(node.read(FILE), LIST);
    assert!(!node.path(BINARY).exists());
    node.put(FILE, &LIST.replace("portmap", "bridge"));
    let (status, why) = node.refused(&["install"]);
    assert_eq!(status, 2);
    assert!(why.contains("plugins[0] and plugins[1] both run \"bridge\""), "{why}");
    node.put(FILE, "{");
    let (status, why) = node.refused(&["install"]);
    assert_eq!(
        (status, why.contains("10-pods.conflist: is no JSON: unexpected end of JSON input")),
        (2, true),
        "{why}"
    );
}

#[test]
fn k3s_and_rke2_have_folders_of_their_own() {
    for (config, conf_dir, bin_dir) in [
        ("k3s", "var/lib/rancher/k3s/agent/etc/cni/net.d", "var/lib/rancher/k3s/data/cni"),
        ("rke2", "etc/cni/net.d", "opt/cni/bin"),
    ] {
        let node = NodeFiles::empty();
        node.put(&format!("var/lib/rancher/{config}/agent/etc/containerd/config.toml"), "version = 3\n");
        node.put("run/k3s/containerd/containerd.sock", "");
        node.put(&format!("{conf_dir}/10-pods.conflist"), r#"{"name":"pods","plugins":[{"type":"bridge"}]}"#);
        // k3s has links to one binary.
        node.put("real/cni", "#!/bin/sh\n");
        fs::create_dir_all(node.path(bin_dir)).unwrap();
        std::os::unix::fs::symlink("/real/cni", node.path(bin_dir).join("bridge")).unwrap();
        node.told(&["install"]);
        assert!(node.read(&format!("{conf_dir}/10-pods.conflist")).contains("wraps"), "{config}");
        assert!(node.path(bin_dir).join("cniscope").is_file(), "{config}");
        assert_eq!(node.run(&["status"]).status, 0, "{config}");
        node.told(&["uninstall"]);
        assert!(!node.path(bin_dir).join("cniscope").exists(), "{config}");
    }
}

#[test]
fn under_multus_the_lists_that_it_runs_are_wrapped_and_the_rest_is_told() {
    let node = NodeFiles::new();
    node.put("etc/cni/net.d/00-multus.conf", r#"{"cniVersion":"1.0.0","name":"m","type":"multus-shim"}"#);
    node.put("opt/cni/bin/multus-shim", "#!/bin/sh\n");
    node.told(&["install"]);
    assert!(node.read("etc/cni/net.d/00-multus.conf").contains("wraps"));
    assert!(node.read(FILE).contains("wraps"));
    let told = node.told(&["status"]);
    let last = "  note      networks in the API (NetworkAttachmentDefinition) cannot be wrapped here: name cniscope in their config\n";
    assert!(told.ends_with(last), "{told}");
    node.told(&["uninstall"]);
    assert_eq!(node.read(FILE), LIST);
}

#[test]
fn a_link_among_the_plugins_is_replaced_and_its_target_stays() {
    let node = NodeFiles::new();
    node.put("real/other", "other");
    std::os::unix::fs::symlink("/real/other", node.path(BINARY)).unwrap();
    node.told(&["install"]);
    assert!(fs::symlink_metadata(node.path(BINARY)).unwrap().is_file());
    node.told(&["uninstall"]);
    assert_eq!(node.read("real/other"), "other");
}

#[test]
fn whoever_is_not_root_is_told_so() {
    let place = Place::new();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(cniscope()).arg("install");
    let output = command.output().unwrap_or_else(|error| panic!("setpriv (Debian: util-linux): {error}"));
    let ran = Ran::of(output, std::time::Duration::ZERO);
    let why = "cniscope: it changes what this node's networks are made by: run it as root\n";
    assert_eq!(ran.answer(), (2, String::new(), why.to_owned()));
    drop(place);
}

#[test]
fn what_was_done_before_a_step_that_fails_is_taken_back() {
    let node = NodeFiles::new();
    node.put("etc/cni/net.d/00-multus.conf", r#"{"cniVersion":"1.0.0","name":"m","type":"multus-shim"}"#);
    node.put("opt/cni/bin/multus-shim", "#!/bin/sh\n");
    // A list in a Kubernetes volume, which is not to be changed.
    fs::create_dir(node.path("etc/cni/net.d/..2026")).unwrap();
    fs::rename(node.path(FILE), node.path("etc/cni/net.d/..2026/10-pods.conflist")).unwrap();
    std::os::unix::fs::symlink("..2026", node.path("etc/cni/net.d/..data")).unwrap();
    std::os::unix::fs::symlink("..data/10-pods.conflist", node.path(FILE)).unwrap();
    let before = (node.files(), node.read("etc/cni/net.d/00-multus.conf"));
    let (status, why) = node.refused(&["install"]);
    assert_eq!(
        (status, why.as_str()),
        (
            1,
            "cniscope: /etc/cni/net.d/10-pods.conflist: stands in a Kubernetes volume (..data), whose files kubelet \
             replaces: change the ConfigMap or Secret that it is made of; nothing on the node is changed\n"
        )
    );
    fs::remove_dir_all(node.path("var/lib/cniscope")).unwrap();
    fs::remove_dir_all(node.path("var")).unwrap();
    assert_eq!((node.files(), node.read("etc/cni/net.d/00-multus.conf")), before);
}

#[test]
fn the_binary_is_put_where_it_is_told() {
    let node = NodeFiles::new();
    fs::create_dir_all(node.path("usr/libexec/cni")).unwrap();
    node.told(&["install", "--bin-dir", "/usr/libexec/cni"]);
    assert!(node.path("usr/libexec/cni/cniscope").exists() && !node.path(BINARY).exists());
    assert_eq!(node.run(&["status"]).status, 0);
    node.told(&["uninstall"]);
    assert!(!node.path("usr/libexec/cni/cniscope").exists());
}

#[test]
fn what_a_killed_installation_left_among_the_plugins_goes_with_an_uninstall() {
    let node = NodeFiles::new();
    let left = ["opt/cni/bin/.cniscope-next.cniscope-new", "opt/cni/bin/.cniscope-last.cniscope-new"];
    for path in left {
        node.put(path, "half");
    }
    node.told(&["uninstall"]);
    assert!(left.iter().all(|path| !node.path(path).exists()));
}
