//! A node for one run: network and mount namespaces in which no CNI call has ever been made.
//!
//! Two runs in two worlds start from the same state, down to the numbers of the links, so what they leave behind can be
//! compared whole. Nothing but two open files holds a world: it is gone with the process that made it, however that ends.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use crate::support::{Ran, cniscope, eventually, records_in, spawn};

/// The sandbox's network namespace.
pub const POD: &str = "/run/netns/pod";
/// Where the plugins are found.
pub const PLUGINS: &str = "/opt/cni/bin";
/// cnitool's default for configurations.
const CONFIGURATIONS: &str = "/etc/cni/net.d";
/// The journal's default.
const JOURNAL: &str = "/var/log/cniscope";

/// Makes a node of fresh namespaces. The host's own files stay visible, but for what CNI keeps; writing goes to a layer of
/// this world's. Addresses that the kernel makes up by itself, and the probing for duplicates of them, would change the
/// state after a call has ended. Forwarding is on, as on every node: a new namespace begins with what the machine has set, and
/// a new machine has it off.
const MAKE: &str = "
mount --make-rprivate /
mount -t tmpfs tmpfs /run
for folder in /etc /var /opt; do
    mkdir -p /run/layers$folder/upper /run/layers$folder/work
    mount -t overlay overlay $folder -o lowerdir=$folder,upperdir=/run/layers$folder/upper,workdir=/run/layers$folder/work
done
mount -t sysfs sysfs /sys
rm -rf /etc/cni /etc/cniscope /var/lib/cni /var/lib/cniscope /var/log/cniscope /opt/cni
mkdir -p /etc/cni/net.d /opt/cni/bin
ip netns add pod
quiet='echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
       echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad'
eval \"$quiet\"
echo 1 >/proc/sys/net/ipv4/ip_forward
ip netns exec pod sh -c \"$quiet\"
ip link set lo up
";

/// A node of its own, with one sandbox.
pub struct World {
    network: File,
    mounts: File,
    services: Mutex<Vec<Child>>,
}

impl Drop for World {
    fn drop(&mut self) {
        for service in self.services.get_mut().unwrap() {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

impl World {
    /// A new one, with every plugin and cniscope in [`PLUGINS`].
    pub fn new() -> World {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
                .unwrap_or_else(|error| panic!("namespaces cannot be made, which only root can: {error}"));
            let open = |name| File::open(Path::new("/proc/thread-self/ns").join(name)).unwrap();
            World { network: open("net"), mounts: open("mnt"), services: Mutex::default() }
        });
        let world = made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        world.sh(MAKE);
        for plugin in std::fs::read_dir(tool("plugins")).unwrap() {
            world.install(&plugin.unwrap().path());
        }
        world.install(&cniscope());
        world
    }

    /// Puts a program among the plugins.
    fn install(&self, program: &Path) {
        let link = Path::new(PLUGINS).join(program.file_name().unwrap());
        self.inside(|| std::os::unix::fs::symlink(program, link).unwrap());
    }

    /// Does something in it.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let enter_and_do = || {
            // A thread that shares its root and working folder with others cannot change its mount namespace.
            unshare(CloneFlags::CLONE_FS).unwrap();
            setns(&self.network, CloneFlags::CLONE_NEWNET).unwrap();
            setns(&self.mounts, CloneFlags::CLONE_NEWNS).unwrap();
            what()
        };
        std::thread::scope(|scope| {
            scope.spawn(enter_and_do).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Does something in its sandbox.
    pub fn inside_pod<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        self.inside(|| {
            setns(File::open(POD).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            what()
        })
    }

    /// Starts a service, which is stopped with the world.
    pub fn serve(&self, program: &str, arguments: &[&str]) {
        let mut command = command(Path::new(program), arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let service = self.inside(|| spawn(&mut command));
        self.services.lock().unwrap().push(service);
    }

    /// Runs a script that has to succeed, and gives what it printed.
    pub fn sh(&self, script: &str) -> String {
        self.inside(|| sh(script))
    }

    /// Writes a file.
    pub fn write(&self, path: &str, content: &str) {
        self.inside(|| {
            std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        });
    }

    /// Installs a configuration list, in the place of the one of the same name.
    pub fn configure(&self, list: &Value) {
        let name = list["name"].as_str().unwrap();
        self.write(&format!("{CONFIGURATIONS}/{name}.conflist"), &list.to_string());
    }

    /// cnitool, about to be called for the sandbox.
    pub fn cnitool(&self, verb: &str, network: &str) -> Cnitool<'_> {
        self.cnitool_in(POD, verb, network)
    }

    /// cnitool, about to be called for the sandbox whose network namespace is at this path.
    pub fn cnitool_in(&self, netns: &str, verb: &str, network: &str) -> Cnitool<'_> {
        Cnitool { world: self, command: command(&tool("bin/cnitool"), &[verb, network, netns]) }
    }

    /// The command line of cniscope.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        self.run(command(&cniscope(), arguments))
    }

    /// Runs a command to its end.
    fn run(&self, mut command: Command) -> Ran {
        let started = Instant::now();
        let output = self.inside(|| spawn(&mut command)).wait_with_output().unwrap();
        Ran::of(output, started.elapsed())
    }

    /// Every record of the journal, once no call is without its end, which may be written after the answer; there is none
    /// before the first call.
    pub fn records(&self) -> Vec<Value> {
        let of =
            |records: &[Value], event: &str| records.iter().filter(|record| record["event"] == event).count();
        eventually(|| {
            let records = self.inside(|| records_in(Path::new(JOURNAL)));
            // A STATUS has no begin.
            (of(&records, "begin") <= of(&records, "end")).then_some(records)
        })
    }

    /// Every end record of the journal.
    pub fn ends(&self) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["event"] == "end").collect()
    }
}

/// One call of cnitool.
pub struct Cnitool<'a> {
    world: &'a World,
    command: Command,
}

impl Cnitool<'_> {
    /// With this variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Makes the call and waits for its end.
    pub fn run(self) -> Ran {
        self.world.run(self.command)
    }
}

/// What `scripts/setup` has put below `.tools`.
pub fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools").join(name);
    assert!(
        path.exists(),
        "{} is missing: run `make setup-test` and `make setup-kubernetes`",
        path.display()
    );
    // The link may lead out of the repository; error texts are to be the same wherever it stands.
    path.canonicalize().unwrap()
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("CNI_PATH", PLUGINS)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a script where the calling thread is.
pub fn sh(script: &str) -> String {
    let output = spawn(&mut command(Path::new("/bin/sh"), &["-ec", script])).wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{script}\nfailed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
