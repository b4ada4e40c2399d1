//! Files that are not edited, and what to do about them.

use std::fs::File;
use std::io;
use std::path::{Component, Path};

use rustix::fs::{IFlags, ioctl_getflags};

/// Why a file is not edited where it stands: in a Kubernetes volume, which kubelet swaps as a whole. Its files are links to
/// `..data/NAME`, and that is a link to a folder of the time when it was made, `..2026_01_31_12_00_00.1234567890`.
pub(super) fn of_path(reached: &Path) -> Option<String> {
    let is_swapped = |part: Component<'_>| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".."));
    reached.components().any(is_swapped).then(|| {
        "stands in a Kubernetes volume (..data), whose files kubelet replaces: change the ConfigMap or Secret that it \
         is made of"
            .to_owned()
    })
}

/// Why a file cannot be replaced, as far as it tells by itself.
pub(super) fn of_file(file: &File, reached: &Path) -> Option<String> {
    let is_fixed = |file: &File| {
        ioctl_getflags(file).is_ok_and(|flags| flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND))
    };
    let folder = reached.parent()?;
    let fixed = if is_fixed(file) {
        reached
    } else if File::open(folder).is_ok_and(|folder| is_fixed(&folder)) {
        folder
    } else {
        return None;
    };
    let fixed = fixed.display();
    Some(format!("{fixed} is immutable (chattr +i, or +a); to allow it: chattr -i -a {fixed}"))
}

/// Why a file could not be replaced.
pub(in crate::install) fn of_error(error: &io::Error, reached: &Path) -> Option<String> {
    let folder = reached.parent()?.display();
    let reason = match error.raw_os_error()? {
        libc::EROFS => format!("its folder is mounted read-only; to allow it: mount -o remount,rw {folder}"),
        libc::EACCES | libc::EPERM => {
            format!("may not be replaced in {folder} ({error}): run it as root, and not confined")
        }
        libc::EBUSY => "is a mount of its own, which cannot be replaced: mount its folder instead".to_owned(),
        libc::ENOSPC | libc::EDQUOT => format!("no space is left in {folder}: free some"),
        libc::EINVAL | libc::ENOSYS => {
            format!("the file system of {folder} cannot exchange two files in one step")
        }
        _ => return None,
    };
    Some(reason)
}
