//! The README's commands, run in its order on a node of its own.

use std::path::Path;

use crate::world::World;

/// The list that a reader has: its head is the bridge plugin, and its pool has one address.
const LIST: &str = r#"{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true,
     "ipam": {"type": "host-local", "subnet": "10.244.7.0/30"}}
  ]
}
"#;
const FILE: &str = "/etc/cni/net.d/10-bridge.conflist";

/// The commands of the README's blocks, a script for each section that has some. `make` is run by whoever runs this.
fn scripts() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut scripts: Vec<(String, String)> = Vec::new();
    let (mut section, mut is_command) = (String::new(), false);
    for line in readme.lines() {
        match line {
            _ if line.starts_with("## ") => line[3..].clone_into(&mut section),
            "```sh" => {
                is_command = true;
                scripts.push((section.clone(), String::new()));
            }
            "```" => is_command = false,
            _ if is_command && !line.starts_with("make ") => {
                let (_, script) = scripts.last_mut().unwrap();
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    scripts
}

#[test]
fn what_the_readme_says_works() {
    let scripts = scripts();
    let sections: Vec<&str> = scripts.iter().map(|(section, _)| section.as_str()).collect();
    assert_eq!(
        sections,
        [
            "Try it",
            "Put it on a node",
            "Examine a node",
            "Examine a node",
            "Read the journal",
            "Switch it off, take it out",
            "Switch it off, take it out"
        ]
    );
    let script = |number: usize| {
        format!("cd {}\nPATH=$PATH:/opt/cni/bin\n{}", env!("CARGO_MANIFEST_DIR"), scripts[number].1)
    };
    let world = World::new();
    world.write(FILE, LIST);
    let is_recorded = |verb: &str| {
        let before = world.ends().len();
        world.cnitool(verb, "pods").run();
        world.ends().len() > before
    };

    // A reader's node does not have it yet; the machine's own runtime may look for plugins elsewhere.
    world.sh("rm -rf /etc/containerd /etc/crio; rm /opt/cni/bin/cniscope");
    world.cnitool("add", "pods").run();
    world.cnitool("del", "pods").run();
    assert!(world.inside(|| !Path::new("/var/log/cniscope").exists()), "not wrapped yet");

    let told = world.sh(&script(1));
    assert!(told.contains(": installed\n"), "{told}");
    let told = world.sh(&script(2));
    assert!(told.contains("  ok      ipam-pool  0 of 1 addresses used\n"), "{told}");
    assert!(told.contains("ipam-exhausted: "), "{told}");
    assert!(is_recorded("add"));
    world.sh("ip netns add other");
    let full = world.cnitool_in("/run/netns/other", "add", "pods").run();
    let answer = String::from_utf8(full.stderr).unwrap();
    assert!(answer.contains("[cniscope: ipam-exhausted: 1 of 1 addresses used; fix: "), "{answer}");

    let told = world.sh(&script(3));
    assert!(told.contains("cause: agent-unreachable, confidence high"), "{told}");

    let told = world.sh(&script(4));
    assert!(told.contains("cause: ipam-exhausted"), "{told}");

    world.sh(&script(5));
    assert!(!is_recorded("del"), "switched off");
    let told = world.sh(&script(6));
    assert!(told.contains(": uninstalled\n"), "{told}");
    assert_eq!(world.sh(&format!("cat {FILE}; ls -a /opt/cni/bin | grep cniscope || true")), LIST);
}
