//! `cniscope doctor` on nodes that are trees of files.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Place, Ran, spawn};

/// A network of plugins that need nothing but themselves.
const PODS: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [
    {"type": "cniscope", "cniscope": {"wraps": "dummy"}, "ipam": {"type": "static"}}, {"type": "tuning"}]}"#;

/// A node with this network and its plugins.
fn node() -> Place {
    let place = Place::new();
    put(&place, "etc/hostname", "worker-1\n");
    put(&place, "etc/containerd/config.toml", "version = 2\n");
    put(&place, "run/containerd/containerd.sock", "");
    put(&place, "etc/cni/net.d/10-pods.conflist", PODS);
    put(&place, "bin/sh", "#!/bin/sh");
    for plugin in ["cniscope", "dummy", "static", "tuning"] {
        put(&place, &format!("opt/cni/bin/{plugin}"), "#!/bin/sh");
    }
    place
}

/// Puts a file on the node.
fn put(place: &Place, path: &str, content: &str) {
    place.put(&format!("node/{path}"), content);
}

fn remove(place: &Place, path: &str) {
    fs::remove_file(place.path("node").join(path)).unwrap();
}

/// What `doctor` says of the node's configuration and plugins, which does not depend on this machine.
fn doctor(place: &Place, arguments: &[&str]) -> Ran {
    let root = place.path("node");
    let about = ["doctor", "plugin-binary", "config", "--root", root.to_str().unwrap()];
    place.cli(&[&about, arguments].concat())
}

/// What a kubelet writes into an event of a Pod.
const EVENT: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \
    \"4abc\": plugin type=\"dummy\" failed (add): failed to find plugin \"static\" in path [/opt/cni/bin]";

#[test]
fn a_healthy_node_is_fine() {
    let ran = doctor(&node(), &[]);
    insta::assert_snapshot!(ran.text(), @r#"
    worker-1: no problem found

    networks
      pods    dummy (wrapped), tuning in /etc/cni/net.d/10-pods.conflist

    checks
      ok      plugin-binary  cniscope, dummy, static can be executed
      ok      plugin-binary  tuning can be executed
      ok      config         the runtime takes 10-pods.conflist
      ok      config         the entry has no mistake that is known
    "#);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
}

#[test]
fn a_problem_is_shown_with_its_evidence_and_what_to_do() {
    let place = node();
    remove(&place, "opt/cni/bin/static");
    put(&place, "etc/cni/net.d/20-flannel.conflist", "{\"name\": \"cbr0\",\n\"plugins\": [}");
    let ran = doctor(&place, &[]);
    insta::assert_snapshot!(ran.text(), @r#"
    worker-1: 1 problem, 1 warning

    networks
      pods    dummy (wrapped), tuning in /etc/cni/net.d/10-pods.conflist

    checks
      fail    plugin-binary  the ipam plugin static is in none of the folders of CNI_PATH (/opt/cni/bin)
              about     dummy in 10-pods.conflist
              cause     plugin-not-found: a plugin binary is not on the node
              folders   /opt/cni/bin
              binaries  name cniscope, role wrapper, path /opt/cni/bin/cniscope, mode 0755, size 9
                        name dummy, role plugin, path /opt/cni/bin/dummy, mode 0755, size 9
                        name static, role ipam plugin
              fix 1     install static in /opt/cni/bin

      warn    config         20-flannel.conflist is no JSON: invalid character '}' looking for beginning of value (line 2); the runtime takes 10-pods.conflist
              files  file 10-pods.conflist, network pods, plugins dummy tuning, taken true
                     file 20-flannel.conflist, flaw is no JSON: invalid character '}' looking for beginning of value (line 2), taken false
              fix 1  correct or remove /etc/cni/net.d/20-flannel.conflist

      ok      plugin-binary  tuning can be executed
      ok      config         the entry has no mistake that is known

    first
      install static in /opt/cni/bin
    "#);
    assert_eq!((ran.status, ran.stderr.as_slice()), (1, b"".as_slice()));
}

#[test]
fn what_is_well_can_be_shown_with_its_evidence() {
    let ran = doctor(&node(), &["-o", "wide"]);
    insta::assert_snapshot!(ran.text(), @r#"
    worker-1: no problem found

    networks
      pods    dummy (wrapped), tuning in /etc/cni/net.d/10-pods.conflist

    checks
      ok      plugin-binary  cniscope, dummy, static can be executed
              about     dummy in 10-pods.conflist
              folders   /opt/cni/bin
              binaries  name cniscope, role wrapper, path /opt/cni/bin/cniscope, mode 0755, size 9
                        name dummy, role plugin, path /opt/cni/bin/dummy, mode 0755, size 9
                        name static, role ipam plugin, path /opt/cni/bin/static, mode 0755, size 9
      ok      plugin-binary  tuning can be executed
              about     tuning in 10-pods.conflist
              folders   /opt/cni/bin
              binaries  name tuning, role plugin, path /opt/cni/bin/tuning, mode 0755, size 9
      ok      config         the runtime takes 10-pods.conflist
              files  file 10-pods.conflist, network pods, plugins dummy tuning, taken true
      ok      config         the entry has no mistake that is known
              about  dummy in 10-pods.conflist
                     tuning in 10-pods.conflist
    "#);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
}

#[test]
fn an_event_is_explained_with_what_is_found() {
    let place = node();
    remove(&place, "opt/cni/bin/static");
    let ran = doctor(&place, &["--event", EVENT]);
    let text = ran.text();
    let (start, _) = text.split_once("networks\n").unwrap();
    insta::assert_snapshot!(start, @r#"
    worker-1: 1 problem

    event
      plugin-not-found: the ipam plugin static is in none of the folders of CNI_PATH (/opt/cni/bin)
              evidence  the error's text has “failed to find plugin”
                        check plugin-binary: the ipam plugin static is in none of the folders of CNI_PATH (/opt/cni/bin)
              fix 1     install static in /opt/cni/bin
              fix 2     install the missing binary in a folder of CNI_PATH
              fix 3     set the runtime's plugin folder (containerd: bin_dir, CRI-O: plugin_dirs) to the one that the add-on fills
              fix 4     restart the network add-on's Pod on this node: most install their binaries at start
    "#);
    assert_eq!((ran.status, ran.stderr.as_slice()), (1, b"".as_slice()));
    assert!(text.ends_with("\nfirst\n  install static in /opt/cni/bin\n"), "{text}");
}

#[test]
fn an_event_can_come_from_standard_input() {
    let place = node();
    let root = place.path("node");
    let arguments = ["doctor", "config", "--event", "-", "-o", "json", "--root", root.to_str().unwrap()];
    let mut child = spawn(place.cli_command(&arguments).stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(EVENT.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fix = "install the missing binary in a folder of CNI_PATH";
    assert_eq!(
        (&found["event"]["cause"], &found["first"]),
        (&json!("plugin-not-found"), &json!({"check": null, "fix": fix}))
    );
    assert_eq!(output.status.code(), Some(0), "the node has no problem now");
}

#[test]
fn without_being_told_the_runtimes_folders_are_looked_at() {
    let place = node();
    let move_to = |from: &str, to: &str| {
        let (from, to) = (place.path("node").join(from), place.path("node").join(to));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(from, to).unwrap();
    };
    move_to("etc/cni/net.d", "nets");
    move_to("opt/cni/bin", "bins");
    put(&place, "etc/containerd/config.toml", "[a.cni]\nconf_dir = \"/nets\"\nbin_dir = \"/bins\"\n");
    let ran = doctor(&place, &[]);
    assert_eq!(ran.status, 0, "{}", ran.text());
    assert!(ran.text().contains("dummy (wrapped), tuning in /nets/10-pods.conflist"), "{}", ran.text());
}

#[test]
fn warnings_are_fine() {
    let place = node();
    put(&place, "etc/cni/net.d/20-calico.conf", r#"{"name": "pods", "type": "calico"}"#);
    let ran = doctor(&place, &["--one-line"]);
    let expected = "no problem; 1 warning: the runtime takes 10-pods.conflist (dummy), not 20-cal...\n";
    assert_eq!(ran.answer(), (0, expected.to_owned(), String::new()));
}

#[test]
fn nothing_to_look_at_is_no_health() {
    let place = node();
    let root = place.path("node");
    let ran = place.cli(&["doctor", "netns", "--root", root.to_str().unwrap(), "--one-line"]);
    let expected = "could not look: there is nothing on this node that it looks at\n";
    assert_eq!(ran.answer(), (2, expected.to_owned(), String::new()));
}

#[test]
fn one_line_is_the_worst_of_all() {
    let place = node();
    assert_eq!(doctor(&place, &["--one-line"]).answer().1, "no problem found by 4 checks\n");
    remove(&place, "opt/cni/bin/cniscope");
    remove(&place, "opt/cni/bin/tuning");
    let ran = doctor(&place, &["--one-line"]);
    let expected = "plugin-not-found: the wrapper cniscope is in none of the folders of... (+1 more)\n";
    assert_eq!(ran.answer(), (1, expected.to_owned(), String::new()));
}

#[test]
fn the_json_is_what_people_see() {
    let place = node();
    remove(&place, "opt/cni/bin/tuning");
    let ran = doctor(&place, &["-o", "json"]);
    let mut document = ran.json();
    for measured in ["time", "took_ms"] {
        assert_ne!(document[measured].take(), Value::Null, "{measured}");
    }
    for finding in document["findings"].as_array_mut().unwrap() {
        assert!(finding["took_us"].take().is_u64());
        finding["evidence"].take();
    }
    let fix = "install tuning in /opt/cni/bin";
    let finding = |check: &str, summary: &str, about: &[&str]| {
        json!({
            "check": check, "status": "ok", "summary": summary, "evidence": null, "took_us": null, "about": about,
        })
    };
    let mut missing = finding(
        "plugin-binary",
        "the plugin tuning is in none of the folders of CNI_PATH (/opt/cni/bin)",
        &["tuning in 10-pods.conflist"],
    );
    missing["status"] = json!("fail");
    missing["cause"] = json!("plugin-not-found");
    missing["fix"] = json!([fix]);
    assert_eq!(
        document,
        json!({
            "schema": 1, "node": "worker-1", "time": null, "took_ms": null, "status": "fail", "event": null,
            "first": {"check": "plugin-binary", "fix": fix},
            "networks": [{
                "name": "pods", "file": "/etc/cni/net.d/10-pods.conflist", "plugins": ["dummy", "tuning"],
                "wrapped": ["dummy"], "taken": true,
            }],
            "findings": [
                missing,
                finding(
                    "plugin-binary",
                    "cniscope, dummy, static can be executed",
                    &["dummy in 10-pods.conflist"],
                ),
                finding("config", "the runtime takes 10-pods.conflist", &[]),
                finding(
                    "config",
                    "the entry has no mistake that is known",
                    &["dummy in 10-pods.conflist", "tuning in 10-pods.conflist"],
                ),
            ],
        })
    );
    assert_eq!((ran.status, ran.stderr.as_slice()), (1, b"".as_slice()));
}

#[test]
fn folders_can_be_told() {
    let place = node();
    let move_to = |from: &str, to: &str| {
        let (from, to) = (place.path("node").join(from), place.path("node").join(to));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(from, to).unwrap();
    };
    move_to("etc/cni/net.d", "k3s/net.d");
    move_to("opt/cni/bin", "k3s/bin");
    let line = |arguments: &[&str]| doctor(&place, &[arguments, &["--one-line"]].concat()).text();
    assert_eq!(line(&[]), "network-not-ready: /etc/cni/net.d: no such file or directory\n");
    let told = ["--conf-dir", "/k3s/net.d", "--cni-path", "/none:/k3s/bin"];
    assert_eq!(line(&told), "no problem found by 4 checks\n");
}

#[test]
fn files_that_are_none_are_no_hang() {
    let place = node();
    let conf = place.path("node/etc/cni/net.d");
    nix::unistd::mkfifo(&conf.join("00.conf"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("05.conf", conf.join("05.conf")).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", conf.join("06.conf")).unwrap();
    fs::create_dir(conf.join("07.conf")).unwrap();
    remove(&place, "opt/cni/bin/tuning");
    let bin = place.path("node/opt/cni/bin");
    nix::unistd::mkfifo(&bin.join("tuning"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let ran = doctor(&place, &["-o", "json"]).json();
    let worst: Vec<_> = ran["findings"].as_array().unwrap()[..2].iter().map(|one| &one["summary"]).collect();
    assert_eq!(
        worst,
        [
            "00.conf, which the runtime takes first, cannot be used: /etc/cni/net.d/00.conf: is a FIFO, expected a regular file",
            "the plugin tuning is in none of the folders of CNI_PATH (/opt/cni/bin)",
        ]
    );
}

#[test]
fn wrong_usage_says_what_is_expected() {
    let place = node();
    let error = |arguments: &[&str]| {
        let ran = place.cli(&[&["doctor"], arguments].concat());
        assert_eq!((ran.status, ran.stdout), (2, Vec::new()), "{arguments:?}");
        place.steady(&String::from_utf8(ran.stderr).unwrap())
    };
    let unknown = error(&["ipam-pool", "bridges"]);
    let names = unknown.split_once("[possible values: ").unwrap().1.split_once(']').unwrap().0;
    assert!(unknown.starts_with("error: invalid value 'bridges' for '[CHECK]...'\n"), "{unknown}");
    for name in ["plugin-binary", "config", "bridge", "ipam-pool"] {
        assert!(names.split(", ").any(|known| known == name), "{name} in {names}");
    }
    assert_eq!(
        error(&["--watch", "-o", "json"]),
        "cniscope: --watch does not go with -o json, which is one document\n"
    );
    let invalid = |address: &str, why: &str| {
        format!(
            "error: invalid value '{address}' for '--peers <ADDR>': {why}\n\nFor more information, try '--help'.\n"
        )
    };
    assert_eq!(error(&["--peers", "10.244.2.0,worker-2"]), invalid("worker-2", "expected an IP address"));
    assert_eq!(error(&["--peers", "ff02::1"]), invalid("ff02::1", "expected the address of one node"));
    assert_eq!(
        error(&["config", "--peers", "10.244.2.0"]),
        "cniscope: --peers is for the check overlay, which is not among those named\n"
    );
    let none = place.path("none");
    assert_eq!(error(&["--root", none.to_str().unwrap()]), "cniscope: --root PLACE/none is no folder\n");
}

/// `doctor config --watch` of this node, in one line.
fn watching(root: &Path) -> [&str; 6] {
    ["doctor", "config", "--watch", "--one-line", "--root", root.to_str().unwrap()]
}

#[test]
fn watching_redraws_a_terminal() {
    let place = node();
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = place.cli_command(&watching(&place.path("node")));
    command.env("TERM", "xterm").env("NO_COLOR", "1").stdout(Stdio::from(terminal.slave));
    let mut child = spawn(&mut command);
    drop(command);
    let look = "\x1b[H\x1b[2J\x1b[3Jno problem found by 2 checks\r\n";
    let mut master = fs::File::from(terminal.master);
    let mut text = vec![0; 2 * look.len()];
    master.read_exact(&mut text).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), look.repeat(2));
}

#[test]
fn watching_ends_with_its_reader() {
    let place = node();
    let mut child = spawn(&mut place.cli_command(&watching(&place.path("node"))));
    let mut stdout = child.stdout.take().unwrap();
    let mut text = [0; 29];
    stdout.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"no problem found by 2 checks\n");
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
