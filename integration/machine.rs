//! A machine of its own for a container runtime: namespaces for network, mounts and processes, with nothing of the
//! host's below `/run`, `/var/lib`, `/var/log` and `/dev/shm`. A runtime stands there at its real paths, and leaves
//! nothing on the host.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::spawn;

/// Its first process: prints its process id as the host knows it, and reaps what is orphaned until its stdin is closed. Then
/// it ends what runs here and removes the control group `$0` and those below, wherever a runtime has made them: a test
/// process that was killed cannot.
const INIT: &str = "
set -e
read -r pid _ </proc/self/stat
mount -t proc proc /proc
for folder in /run /var/lib /var/log /dev/shm; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/netns /var/lib/cni
ip link set lo up
echo $pid
while read -r _; do :; done
kill -KILL -- -1 2>/dev/null || true
for _ in {1..100}; do
    for group in /sys/fs/cgroup$0 /sys/fs/cgroup/*$0; do
        [ ! -d $group ] || find $group -depth -type d -exec rmdir {} + 2>/dev/null || left=$group
    done
    [ -n \"$left\" ] || exit 0
    left=
    sleep 0.05
done";

/// What a network leaves behind, without what differs from run to run.
const STATE: &str = r"
set -e -o pipefail
echo '# links'; ip -o link | cut -d: -f2 | cut -d@ -f1
echo '# addresses'; ip -o -4 addr | awk '{ print $2, $4 }'
echo '# routes'; ip route | sed 's/ linkdown//'
echo '# iptables'; iptables-save | sed '/^#/d; s/ \[[0-9:]*\]$//'
echo '# nftables'; nft list ruleset | sed 's/counter packets [0-9]* bytes [0-9]* //'
echo '# files'; find /var/lib/cni /run/netns -type f | sort";

/// Counts the machines of this process: each has a control group of its own.
static MACHINES: AtomicUsize = AtomicUsize::new(0);

/// The machine. With it everything that runs in it ends, when it is dropped or the tests end.
pub struct Machine {
    unshare: Child,
    init: u32,
    cgroup: String,
}

impl Machine {
    /// A new one.
    pub fn new() -> Machine {
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("/cniscope-{}-{number}", std::process::id());
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", INIT, &cgroup]);
        let mut unshare = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut pid = String::new();
        BufReader::new(unshare.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let init = pid.trim().parse();
        Machine { unshare, init: init.expect("a machine needs root, and its own stderr tells more"), cgroup }
    }

    /// A program to be run in it, with nothing in its environment but `PATH`.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--pid", "--target", &self.init.to_string(), "--"]);
        command.arg(program.as_ref()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A file of it, as the host reaches it.
    pub fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.init.to_string()).join("root").join(path.trim_start_matches('/'))
    }

    /// The control group below which its containers are to be.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// The names of the links in it.
    pub fn links(&self) -> Vec<String> {
        let listed = printed(self.command("ip").args(["-o", "link"]));
        let name = |line: &str| line.split([':', '@']).nth(1).unwrap().trim().to_owned();
        listed.lines().map(name).collect()
    }

    /// What stands in it of networks: links, addresses, routes, rules and the files of IPAM, caches and namespaces.
    pub fn network_state(&self) -> String {
        printed(self.command("bash").args(["-c", STATE]))
    }

    /// Whether a program of this name runs in it.
    pub fn runs(&self, program: &str) -> bool {
        let names = printed(self.command("ps").args(["-e", "-o", "comm="]));
        names.lines().any(|name| name == program)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process reads the end of its stdin.
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
    }
}

/// Ends a program of a machine with SIGKILL, as the kernel does when memory is short. `nsenter` is the child that
/// [`Machine::command`] has started, and the program its child.
pub fn kill(nsenter: &mut Child) {
    let children = format!("/proc/{0}/task/{0}/children", nsenter.id());
    let pid = fs::read_to_string(children).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    nsenter.wait().unwrap();
}

/// What a program that must succeed prints.
pub fn printed(command: &mut Command) -> String {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn(command).wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
