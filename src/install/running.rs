//! Processes that have to do with an installation: agents, and calls that are under way.

use crate::cni::entry;
use crate::node::Node;
use crate::node::processes::proc_path;

/// More of a process' environment is not read.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// The agents that run on the node.
#[must_use]
pub fn agents(node: &Node) -> Vec<u32> {
    let is_agent = |pid: &u32| {
        let line = node.command_line(*pid);
        let mut words = line.split(' ');
        let is_ours = words.next().is_some_and(|program| program.rsplit('/').next() == Some(entry::NAME));
        is_ours && words.any(|word| word == "agent")
    };
    node.process_ids().into_iter().filter(is_agent).collect()
}

/// Whether a plugin is just adding a sandbox: what the runtime keeps of it does not tell yet.
#[must_use]
pub fn is_adding(node: &Node) -> bool {
    let is_adding = |pid: u32| {
        let environment = node.read(&proc_path(pid, "environ"), MAX_ENVIRONMENT).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable == b"CNI_COMMAND=ADD")
    };
    node.process_ids().into_iter().any(is_adding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn put(root: &Path, pid: u32, file: &str, content: &str) {
        let folder = root.join(format!("proc/{pid}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), content).unwrap();
    }

    #[test]
    fn agents_and_calls_are_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let node = Node::at(root);
        put(root, 1, "cmdline", "/sbin/init\0agent\0");
        put(root, 2, "cmdline", "/opt/cni/bin/cniscope\0journal\0-f\0");
        put(root, 3, "environ", "CNI_COMMAND=DEL\0A=CNI_COMMAND=ADD\0");
        assert_eq!((agents(&node), is_adding(&node)), (vec![], false));
        put(root, 4, "cmdline", "/cniscope\0agent\0--root\0/host\0");
        put(root, 5, "environ", "A=1\0CNI_COMMAND=ADD\0");
        assert_eq!((agents(&node), is_adding(&node)), (vec![4], true));
    }
}
