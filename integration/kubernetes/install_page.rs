//! The commands of docs/install.md, run in the page's order.

use std::path::Path;

use crate::node::{Node, with_network};

/// The commands of one of the page's blocks, and the section that it is in.
struct Block {
    section: String,
    commands: String,
}

/// The blocks of commands. What is set in one is known in those after it, as in a reader's shell. `make` is run by whoever
/// runs this.
fn blocks() -> Vec<Block> {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md")).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let (mut section, mut is_command, mut set) = (String::new(), false, String::new());
    for line in page.lines() {
        match line {
            _ if line.starts_with("## ") => line[3..].clone_into(&mut section),
            "```sh" => {
                is_command = true;
                blocks.push(Block { section: section.clone(), commands: set.clone() });
            }
            "```" => is_command = false,
            _ if is_command && !line.starts_with("make ") => {
                let block = blocks.last_mut().unwrap();
                block.commands += line;
                block.commands += "\n";
                if line.starts_with("export ") || line.starts_with("NODE=") {
                    set += line;
                    set += "\n";
                }
            }
            _ => {}
        }
    }
    blocks
}

/// What a reader who is in the repository's folder sees of a block.
fn see(node: &Node, block: &Block) -> String {
    node.sh(&format!("cd {}\n{}", env!("CARGO_MANIFEST_DIR"), block.commands))
}

#[test]
fn what_the_page_about_installing_says_works() {
    let node = with_network("10.244.7.0/24");
    // The Pods of the page have the image that everybody knows.
    node.sh("ctr --namespace k8s.io images tag --force docker.io/local/pause:1 registry.k8s.io/pause:3.10");
    let blocks = blocks();
    let sections: Vec<&str> = blocks.iter().map(|block| block.section.as_str()).collect();
    let [build, import, roll_out, status, pod, fault, mend, back, delete, by_hand] = &blocks[..] else {
        panic!("{sections:?}");
    };
    assert_eq!(
        sections,
        [
            "Build it",
            "Build it",
            "Put it on every node",
            "Put it on every node",
            "Put it on every node",
            "The first explained event",
            "The first explained event",
            "Back",
            "Back",
            "One node by hand"
        ]
    );
    see(&node, build);
    see(&node, import);
    let before = node.listing();

    see(&node, roll_out);
    let told = see(&node, status);
    assert!(told.contains("10-pods.conflist"), "{told}");
    let told = see(&node, pod);
    assert!(told.contains("default/first"), "{told}");

    let told = see(&node, fault);
    assert!(
        told.contains("permission denied; [cniscope: plugin-not-executable: /opt/cni/bin/bridge has mode 0644: nobody may execute it; fix: chmod 0755 /opt/cni/bin/bridge; see: cniscope show "),
        "{told}"
    );
    let told = see(&node, mend);
    assert!(told.contains("\n\ncause: plugin-not-executable\n"), "{told}");

    see(&node, back);
    assert_eq!(node.listing(), before);
    see(&node, delete);
    assert_eq!(node.listing(), before);

    let told = see(&node, by_hand);
    for what in ["\n+++ /etc/cni/net.d/10-pods.conflist\n", ": installed\n", ": uninstalled\n"] {
        assert!(told.contains(what), "{told}");
    }
    assert_eq!(node.listing(), before);
}
