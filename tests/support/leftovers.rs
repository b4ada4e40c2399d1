//! What calls leave running.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use super::Place;

/// A process of a call.
#[derive(Debug)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its name and its state, as in `/proc/PID/stat`.
    pub stat: String,
}

impl Place {
    /// The processes of this place's calls: their environment names it.
    pub fn processes(&self) -> Vec<Process> {
        let of_this_place = self.path("config.json");
        let named = [b"CNISCOPE_CONFIG=", of_this_place.as_os_str().as_bytes()].concat();
        let entries =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let pids = entries.filter_map(|name| name.parse().ok());
        pids.filter_map(|pid: i32| {
            // One that has ended meanwhile is none.
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            environment.split(|byte| *byte == 0).any(|variable| variable == named).then_some(())?;
            Some(Process { pid, stat: fs::read_to_string(format!("/proc/{pid}/stat")).ok()? })
        })
        .collect()
    }
}
