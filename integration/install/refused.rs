//! Files that cannot be replaced: the reason is told with what to do, and nothing is changed.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};

use crate::machine::printed;
use crate::mounts::{Disk, Mounts};
use crate::support::node_files::{BINARY, FILE, LIST, NodeFiles};
use crate::support::{Ran, cniscope, spawn};

/// Installs where these mounts are.
fn install(mounts: &Mounts, node: &NodeFiles) -> Ran {
    let mut command = Command::new(cniscope());
    command.arg("install").arg("--root").arg(node.path("")).env_clear();
    mounts.enter(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let output = spawn(&mut command).wait_with_output().unwrap();
    Ran::of(output, std::time::Duration::ZERO)
}

fn refused(ran: &Ran) -> (i32, &str) {
    assert_eq!(ran.text(), "");
    (ran.status, std::str::from_utf8(&ran.stderr).unwrap())
}

#[test]
fn a_read_only_folder_of_networks() {
    let node = NodeFiles::new();
    let folder = node.path("etc/cni/net.d");
    let read_only = "mount --bind $1 $1; mount -o remount,bind,ro $1";
    let mounts = Mounts::new(&folder, read_only, "umount $1");
    let ran = install(&mounts, &node);
    let expected = format!(
        "cniscope: /etc/cni/net.d/10-pods.conflist: its folder is mounted read-only; to allow it: mount -o remount,rw {}; nothing on the node is changed\n",
        folder.display()
    );
    assert_eq!(refused(&ran), (1, expected.as_str()));
    assert_eq!((node.read(FILE).as_str(), node.path(BINARY).exists()), (LIST, false));
}

#[test]
fn a_read_only_folder_of_plugins() {
    let node = NodeFiles::new();
    let folder = node.path("opt/cni/bin");
    let read_only = "mount --bind $1 $1; mount -o remount,bind,ro $1";
    let mounts = Mounts::new(&folder, read_only, "umount $1");
    let ran = install(&mounts, &node);
    let expected = format!(
        "cniscope: /opt/cni/bin/cniscope: its folder is mounted read-only; to allow it: mount -o remount,rw {}; --bin-dir DIR names another folder; nothing on the node is changed\n",
        folder.display()
    );
    assert_eq!(refused(&ran), (1, expected.as_str()));
    assert_eq!(node.read(FILE), LIST);
}

#[test]
fn a_list_that_is_a_mount_of_its_own() {
    let node = NodeFiles::new();
    let path = node.path(FILE);
    let mounts = Mounts::new(&path, "mount --bind $1 $1", "umount $1");
    let ran = install(&mounts, &node);
    assert_eq!(
        refused(&ran),
        (
            1,
            "cniscope: /etc/cni/net.d/10-pods.conflist: is a mount of its own, which cannot be replaced: mount its folder instead; nothing on the node is changed\n"
        )
    );
    assert_eq!(node.read(FILE), LIST);
}

#[test]
fn an_immutable_list_and_one_in_an_immutable_folder() {
    let node = NodeFiles::new();
    let disk = Disk::new(&node.path("etc"), "cni", "");
    let inside = |path: &str| disk.mounts().path(&node.path(path));
    fs::create_dir(inside("etc/cni/net.d")).unwrap();
    fs::write(inside(FILE), LIST).unwrap();
    let chattr = |flags: &str, path: &str| printed(Command::new("chattr").arg(flags).arg(inside(path)));
    for fixed in [FILE, "etc/cni/net.d"] {
        chattr("+i", fixed);
        let ran = install(disk.mounts(), &node);
        let there = node.path(fixed).display().to_string();
        let expected = format!(
            "cniscope: /etc/cni/net.d/10-pods.conflist: {there} is immutable (chattr +i, or +a); to allow it: chattr -i -a {there}; nothing on the node is changed\n"
        );
        assert_eq!(refused(&ran), (1, expected.as_str()));
        chattr("-i", fixed);
        assert_eq!(fs::read_to_string(inside(FILE)).unwrap(), LIST);
    }
    assert_eq!(install(disk.mounts(), &node).status, 0);
}

/// The label is an attribute like any other, which only root may set where no SELinux runs.
#[test]
fn a_selinux_label_an_owner_and_a_mode_stay() {
    let node = NodeFiles::new();
    let label = "system_u:object_r:container_file_t:s0\0";
    fsetxattr(
        File::open(node.path(FILE)).unwrap(),
        "security.selinux",
        label.as_bytes(),
        XattrFlags::empty(),
    )
    .unwrap_or_else(|error| panic!("a file system with labels is needed, and root: {error}"));
    std::os::unix::fs::chown(node.path(FILE), Some(1234), Some(2345)).unwrap();
    let state = || {
        let file = File::open(node.path(FILE)).unwrap();
        let mut value = [0; 64];
        let length = fgetxattr(&file, "security.selinux", &mut value[..]).unwrap();
        let metadata = file.metadata().unwrap();
        (value[..length].to_vec(), metadata.uid(), metadata.gid(), metadata.mode())
    };
    let before = state();
    node.told(&["install"]);
    assert_eq!(state(), before);
    node.told(&["uninstall"]);
    assert_eq!(state(), before);
}
