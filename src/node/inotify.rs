//! Room for inotify's instances and watches, of which every user has a number. The kernel tells how many there may be, but
//! not how many there are; so it is asked for one, which is given back at once.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Node;
use super::processes::{Process, proc_path};

/// The most open files of a process that are looked at.
const MAX_FILES: usize = 4096;

/// What this user can have no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// `fs.inotify.max_user_instances`.
    Instances,
    /// `fs.inotify.max_user_watches`.
    Watches,
}

impl Spent {
    /// The parameter that is the limit.
    #[must_use]
    pub fn parameter(self) -> &'static str {
        match self {
            Spent::Instances => "fs.inotify.max_user_instances",
            Spent::Watches => "fs.inotify.max_user_watches",
        }
    }
}

impl Node {
    /// What of inotify is spent for the user of this process, as the kernel that it runs on has it.
    #[must_use]
    pub fn inotify_spent(&self) -> Option<Spent> {
        let instance = match Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK) {
            Ok(instance) => instance,
            // This process' own descriptors may be spent as well.
            Err(Errno::EMFILE) => {
                return nix::unistd::pipe2(OFlag::O_CLOEXEC).is_ok().then_some(Spent::Instances);
            }
            Err(_) => return None,
        };
        let watched = instance.add_watch("/", AddWatchFlags::IN_DELETE_SELF);
        (watched == Err(Errno::ENOSPC)).then_some(Spent::Watches)
    }

    /// The process that has the most instances, and how many.
    #[must_use]
    pub fn most_inotify_instances(&self) -> Option<(Process, usize)> {
        let instances = |pid: u32| {
            let folder = proc_path(pid, "fd");
            let files = self.list(&folder, MAX_FILES).unwrap_or_default().names;
            let targets = files.iter().filter_map(|name| self.link_target(&folder.join(name)));
            targets.filter(|target| target.as_os_str() == "anon_inode:inotify").count()
        };
        let counted = self.process_ids().into_iter().map(|pid| (pid, instances(pid)));
        let (pid, most) = counted.max_by_key(|(_, instances)| *instances).filter(|(_, most)| *most > 0)?;
        Some((self.process(pid)?, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_to_look_is_given_back() {
        let node = Node::this();
        let own = || {
            let files = std::fs::read_dir("/proc/thread-self/fd").unwrap();
            let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
            targets.filter(|target| target.as_os_str() == "anon_inode:inotify").count()
        };
        assert_eq!(node.inotify_spent(), None, "this machine has room for one more");
        // The tests beside this one may be looking.
        let started = std::time::Instant::now();
        while own() > 0 {
            assert!(started.elapsed() < std::time::Duration::from_secs(30), "it is still open");
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_has_the_most_instances_is_found() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!(node.most_inotify_instances(), None);
        for (pid, name, files) in [(7, "few", 1), (8, "many", 3), (9, "none", 0)] {
            let folder = root.path().join(format!("proc/{pid}/fd"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.with_file_name("stat"), format!("{pid} ({name}) S 1{}", " 0".repeat(18)))
                .unwrap();
            for file in 0..files {
                std::os::unix::fs::symlink("anon_inode:inotify", folder.join(file.to_string())).unwrap();
            }
            std::os::unix::fs::symlink("/dev/null", folder.join("77")).unwrap();
        }
        let most = node.most_inotify_instances().map(|(process, instances)| (process.name, instances));
        assert_eq!(most, Some(("many".to_owned(), 3)));
    }
}
