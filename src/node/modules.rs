//! Kernel modules.

use std::path::{Path, PathBuf};

use super::Node;
use super::files::FileError;

/// The folders of releases; the first is a link to the second where `/usr` is merged.
const FOLDERS: [&str; 2] = ["/lib/modules", "/usr/lib/modules"];
/// Where `modprobe` is told what not to load, the first before the others (modprobe.d(5)).
const RULES: [&str; 4] = ["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];
/// The list of a distribution's modules with what they need has some hundred kilobytes.
const MAX_LIST: u64 = 8 << 20;

/// What the kernel has of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Module {
    /// It is loaded or built in.
    Present,
    /// It can be loaded.
    OnDisk,
    /// It could be loaded, but a file of this path tells `modprobe` not to.
    Forbidden(PathBuf),
    /// There is none.
    Absent,
    /// That cannot be told.
    Unknown,
}

/// The modules on disk, against the kernel that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleFiles {
    /// Whether those of the running kernel are there.
    pub has_own: bool,
    /// The other releases of which there are some.
    pub others: Vec<String>,
}

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

    /// What the kernel has of a module, without asking for it.
    #[must_use]
    pub fn module(&self, name: &str) -> Module {
        let is_shown = self.metadata(&Path::new("/sys/module").join(name)).is_ok();
        if is_shown || (self.loads_modules() && self.has_module(name)) {
            return Module::Present;
        }
        match (self.is_built_in(name), self.is_on_disk(name)) {
            (Ok(true), _) => Module::Present,
            // A kernel that loads no modules has no use for what is on disk.
            (Ok(false), _) if !self.loads_modules() => Module::Absent,
            (_, Ok(true)) => self.forbidding(name).map_or(Module::OnDisk, Module::Forbidden),
            (Ok(false), Ok(false)) => Module::Absent,
            _ => Module::Unknown,
        }
    }

    /// Whether the running kernel can load modules at all.
    #[must_use]
    pub fn loads_modules(&self) -> bool {
        self.metadata(Path::new("/proc/modules")).is_ok()
    }

    /// The modules on disk.
    #[must_use]
    pub fn module_files(&self) -> ModuleFiles {
        let own = self.kernel();
        let mut files = ModuleFiles::default();
        for folder in FOLDERS {
            for name in self.list(Path::new(folder), 256).unwrap_or_default().names {
                // What a package leaves behind when it is removed has no list.
                let list = Path::new(folder).join(&name).join("modules.dep");
                let name = name.to_string_lossy().into_owned();
                if self.metadata(&list).is_err() || files.others.contains(&name) {
                    continue;
                }
                if name == own {
                    files.has_own = true;
                } else {
                    files.others.push(name);
                }
            }
        }
        files.others.sort_unstable();
        files
    }

    /// A list of the running kernel's modules.
    fn module_list(&self, list: &str) -> Result<Vec<u8>, FileError> {
        let of = |folder| Path::new(folder).join(self.kernel()).join(list);
        self.read(&of(FOLDERS[0]), MAX_LIST).or_else(|_| self.read(&of(FOLDERS[1]), MAX_LIST))
    }

    /// Whether a line of `modules.dep` is about this module: `kernel/drivers/net/veth.ko.xz: …`.
    fn is_on_disk(&self, name: &str) -> Result<bool, FileError> {
        let list = self.module_list("modules.dep")?;
        let list = String::from_utf8_lossy(&list);
        let mut modules = list.lines().filter_map(|line| line.split_once(':')?.0.rsplit('/').next());
        let is_it = |file: &str| file.split('.').next().is_some_and(|stem| stem.replace('-', "_") == name);
        Ok(modules.any(is_it))
    }

    /// The file that keeps `modprobe` from loading a module for the kernel: `blacklist NAME`, or `install NAME /bin/false`.
    fn forbidding(&self, name: &str) -> Option<PathBuf> {
        let forbids = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let what = words.next().filter(|word| matches!(*word, "blacklist" | "install"));
            let is_it = words.next().is_some_and(|word| word.replace('-', "_") == name);
            let command = words.next().unwrap_or_default();
            is_it
                && match what {
                    Some("blacklist") => true,
                    Some(_) => command.ends_with("/false") || command.ends_with("/true"),
                    None => false,
                }
        };
        let files = RULES.iter().flat_map(|folder| {
            let names = self.list(Path::new(folder), 256).unwrap_or_default().names;
            names.into_iter().map(move |name| Path::new(folder).join(name))
        });
        let mut files = files.filter(|file| file.extension().is_some_and(|ending| ending == "conf"));
        files.find(|file| self.read_text(file).unwrap_or_default().lines().any(forbids))
    }

    fn is_built_in(&self, name: &str) -> Result<bool, FileError> {
        let list = self.module_list("modules.builtin")?;
        let file = format!("{name}.ko");
        Ok(String::from_utf8_lossy(&list)
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

    #[test]
    fn what_the_kernel_has_of_a_module_is_told_without_asking_for_it() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let node = Node::at(root.path());
        let modules = |names: [&str; 6]| names.map(|name| node.module(name));
        let names = ["bridge", "veth", "macvlan", "ipvlan", "vrf", "8021q"];
        assert_eq!(modules(names), [const { Module::Unknown }; 6]);
        put("proc/sys/kernel/osrelease", "6.1.0-2\n");
        put("proc/modules", "bridge 1 0 - Live 0x0\n");
        let unknown = || Module::Unknown;
        assert_eq!(
            modules(names),
            [Module::Present, unknown(), unknown(), unknown(), unknown(), unknown()],
            "what is not loaded may be built in"
        );
        put("usr/lib/modules/6.1.0-2/modules.builtin", "kernel/drivers/net/veth.ko\n");
        put(
            "usr/lib/modules/6.1.0-2/modules.dep",
            "kernel/a/macvlan.ko.xz:\nkernel/b/8021q.ko: kernel/c/garp.ko\nkernel/b/ipvlan.ko.zst:\n",
        );
        put("etc/modprobe.d/README", "blacklist macvlan\n");
        put(
            "etc/modprobe.d/cis.conf",
            "# install macvlan /bin/false\ninstall ipvlan /bin/false\noptions macvlan x=1\n",
        );
        let forbidden = Module::Forbidden("/etc/modprobe.d/cis.conf".into());
        assert_eq!(
            modules(names),
            [Module::Present, Module::Present, Module::OnDisk, forbidden, Module::Absent, Module::OnDisk]
        );
        put("etc/modprobe.d/own.conf", "blacklist 8021q\n");
        assert_eq!(node.module("8021q"), Module::Forbidden("/etc/modprobe.d/own.conf".into()));
    }

    #[test]
    fn modules_of_other_kernels_are_told_apart_from_the_own_ones() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "6.1.0-2").unwrap();
        };
        let node = Node::at(root.path());
        assert_eq!(node.module_files(), ModuleFiles::default());
        put("proc/sys/kernel/osrelease");
        put("lib/modules/6.1.0-3/modules.dep");
        put("lib/modules/6.1.0-2/left");
        let others = vec!["6.1.0-3".to_owned()];
        assert_eq!(node.module_files(), ModuleFiles { has_own: false, others: others.clone() });
        put("lib/modules/6.1.0-2/modules.dep");
        assert_eq!(node.module_files(), ModuleFiles { has_own: true, others });
    }
}
