//! What calls leave running.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use super::{Place, eventually};

impl Place {
    /// The processes of this place's calls, cniscope's and delegates': their environment names the place.
    pub fn processes(&self) -> Vec<i32> {
        let variable = [b"CNI_PATH=", self.path("bin").as_os_str().as_bytes()].concat();
        let names =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let pids = names.filter_map(|name| name.parse().ok());
        // One that has ended meanwhile is none.
        pids.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|other| other == variable)
        })
        .collect()
    }

    /// Waits until nothing of any call is left.
    pub fn has_come_to_rest(&self) {
        eventually(|| self.processes().is_empty().then_some(()));
    }
}
