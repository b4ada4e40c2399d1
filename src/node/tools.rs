//! The host's own tools, where nothing else tells what they do: started inside of the node's root, and never waited for longer
//! than told.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, chdir, chroot};

use super::{Node, bounded};

/// Where programs of a host are.
const FOLDERS: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// What a tool printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// On stdout.
    pub text: Vec<u8>,
    /// Whether there was more than was asked for.
    pub is_cut: bool,
}

impl Node {
    /// Runs a tool of the host and gives what it prints, at most `most` bytes.
    ///
    /// # Errors
    /// Why it prints nothing.
    pub fn run_tool(
        &self,
        name: &str,
        arguments: &[&str],
        limit: Duration,
        most: u64,
    ) -> Result<Printed, String> {
        if !self.has_this_kernel() {
            return Err(format!("{name} is not run: these are the files of another node"));
        }
        let paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
        let path =
            paths.into_iter().find(|path| self.metadata(path).is_ok_and(|metadata| metadata.is_file()));
        let Some(path) = path else { return Err(format!("{name} is not on this node")) };
        self.run_program(&path, arguments, limit, most)
    }

    /// The same of a program at a path of the host.
    ///
    /// # Errors
    /// Why it prints nothing.
    pub fn run_program(
        &self,
        path: &Path,
        arguments: &[&str],
        limit: Duration,
        most: u64,
    ) -> Result<Printed, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !self.has_this_kernel() {
            return Err(format!("{name} is not run: these are the files of another node"));
        }
        let root = (!self.is_this()).then(|| self.root.clone());
        let child = start(path, arguments, root.as_deref());
        let child = child.map_err(|error| format!("{}: {error}", path.display()))?;
        printed_by(child, limit, most)
            .ok_or_else(|| format!("{name} did not answer within {} s", limit.as_secs_f32()))
            .and_then(|printed| {
                if printed.text.is_empty() { Err(format!("{name} printed nothing")) } else { Ok(printed) }
            })
    }
}

fn start(path: &Path, arguments: &[&str], root: Option<&Path>) -> std::io::Result<Child> {
    let mut command = Command::new(path);
    command.args(arguments).env_clear().env("PATH", FOLDERS.join(":")).env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    spawn_inside(command, root)
}

/// Starts a program in a group of its own and inside this root, if one is named. It ends with the process that starts it.
#[allow(unsafe_code, reason = "the root is changed, and what hangs must not outlive the process that asks")]
pub(super) fn spawn_inside(mut command: Command, root: Option<&Path>) -> std::io::Result<Child> {
    command.current_dir("/").process_group(0);
    let root = root.map(Path::to_owned);
    let prepare = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if let Some(root) = &root {
            chroot(root)?;
            chdir("/")?;
        }
        Ok(())
    };
    // SAFETY: three system calls, which take no lock; a path of usual length is not allocated for.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// What a child prints, at most `most` bytes of it; `None` if it goes on for longer than `limit`. It is ended with all that it
/// has started: who has answered has nothing more to do.
pub(super) fn printed_by(mut child: Child, limit: Duration, most: u64) -> Option<Printed> {
    let stdout = child.stdout.take();
    let read = bounded::run(limit, move || {
        let mut text = Vec::new();
        stdout.map(|stdout| stdout.take(most + 1).read_to_end(&mut text));
        let is_cut = text.len() as u64 > most;
        text.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Printed { text, is_cut }
    });
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let _ = group.map(|group| killpg(group, Signal::SIGKILL));
    let _ = child.wait();
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn run(arguments: &[&str], limit: Duration, most: u64) -> Result<Printed, String> {
        Node::this().run_tool("sh", arguments, limit, most)
    }

    #[test]
    fn a_tool_prints_as_much_as_it_may() {
        let printed = |text: &str, is_cut| Ok(Printed { text: text.into(), is_cut });
        assert_eq!(run(&["-c", "echo \"$LC_ALL $HOME\""], LONG, 100), printed("C \n", false));
        assert_eq!(run(&["-c", "yes"], LONG, 4), printed("y\ny\n", true));
    }

    #[test]
    fn one_that_hangs_says_nothing_or_is_not_there_is_told() {
        let hangs = run(&["-c", "sleep 600"], Duration::from_millis(100), 1);
        assert_eq!(hangs, Err("sh did not answer within 0.1 s".to_owned()));
        assert_eq!(run(&["-c", "exit 1"], LONG, 1), Err("sh printed nothing".to_owned()));
        let none = Node::this().run_tool("no-such-tool", &[], LONG, 1);
        assert_eq!(none, Err("no-such-tool is not on this node".to_owned()));
    }

    #[test]
    fn nothing_is_run_of_another_nodes_files() {
        let root = tempfile::tempdir().unwrap();
        let run = Node::at(root.path()).run_tool("sh", &[], LONG, 1);
        assert_eq!(run, Err("sh is not run: these are the files of another node".to_owned()));
    }
}
