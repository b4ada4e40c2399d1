//! Kernel modules.

use std::path::Path;

use super::Node;
use super::files::FileError;

impl Node {
    /// Whether the kernel has this module's code now. Asking the kernel for what a module does can load it, and looking
    /// changes nothing: so this is asked first.
    #[must_use]
    pub fn has_module(&self, name: &str) -> bool {
        let listed = match self.read_text(Path::new("/proc/modules")) {
            Ok(listed) => listed,
            // A kernel without modules loads none, whatever it is asked.
            Err(error) => return error.is_missing() && self.read_text("/proc/version".as_ref()).is_ok(),
        };
        listed.lines().any(|line| line.split(' ').next() == Some(name))
            || self.is_built_in(name).unwrap_or(false)
    }

    fn is_built_in(&self, name: &str) -> Result<bool, FileError> {
        let release = self.read_text(Path::new("/proc/sys/kernel/osrelease"))?;
        let list = self.read_text(&Path::new("/lib/modules").join(release).join("modules.builtin"))?;
        let file = format!("{name}.ko");
        Ok(list
            .lines()
            .any(|line| line.rsplit('/').next().is_some_and(|last| last.replace('-', "_") == file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_there_if_it_is_loaded_or_built_in() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let node = Node::at(root.path());
        assert!(!node.has_module("nf_tables"), "nothing can be told");
        put("proc/version", "Linux\n");
        assert!(node.has_module("nf_tables"), "nothing can be loaded");
        put("proc/modules", "nf_tables_x 1 0 - Live 0x0\nbridge 1 0 - Live 0x0\n");
        put("proc/sys/kernel/osrelease", "6.1.0\n");
        put("lib/modules/6.1.0/modules.builtin", "kernel/net/unix/unix-diag.ko\nkernel/x/nf_tables_y.ko\n");
        let has = ["bridge", "unix_diag", "nf_tables"].map(|name| node.has_module(name));
        assert_eq!(has, [true, true, false]);
    }
}
