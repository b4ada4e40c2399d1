//! The programs that make a machine a Kubernetes node, and what they are told.
//!
//! Everything stands at the place where kubeadm and the packages of distributions put it, which is where cniscope and
//! people look: containerd's configuration, the kubelet's, the folders of CNI.

use std::fs::File;
use std::path::PathBuf;
use std::process::Child;

use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::image;
use crate::machine::{Machine, printed};
use crate::support::spawn;
use crate::world::tool;

/// The node's name.
pub const NODE: &str = "worker-1";
/// By which kubectl, the kubelet and the controllers find the API server.
pub const KUBECONFIG: &str = "/etc/kubernetes/admin.conf";
/// Where the API server makes itself a certificate.
const PKI: &str = "/etc/kubernetes/pki";
const TOKENS: &str = "/etc/kubernetes/pki/tokens.csv";
/// By which the API server knows the tokens that it has signed.
const PRIVATE_KEY: &str = "/etc/kubernetes/pki/sa.key";
const PUBLIC_KEY: &str = "/etc/kubernetes/pki/sa.pub";
const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";
const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    Etcd,
    Containerd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Kubelet,
}

impl Program {
    /// Starts it.
    pub fn start(self, machine: &Machine) -> Child {
        let log = File::options().create(true).append(true).open(machine.path(&self.log())).unwrap();
        let mut command = machine.command(self.path());
        command.args(self.arguments());
        spawn(command.stdout(log.try_clone().unwrap()).stderr(log))
    }

    /// What it writes goes here.
    pub fn log(self) -> String {
        format!("/var/log/{self:?}.log")
    }

    fn path(self) -> PathBuf {
        match self {
            Program::Etcd => tool("bin/etcd"),
            Program::Containerd => "containerd".into(),
            Program::ApiServer => tool("bin/kube-apiserver"),
            Program::ControllerManager => tool("bin/kube-controller-manager"),
            Program::Scheduler => tool("bin/kube-scheduler"),
            Program::Kubelet => tool("bin/kubelet"),
        }
    }

    fn arguments(self) -> Vec<String> {
        let kubeconfig = format!("--kubeconfig={KUBECONFIG}");
        match self {
            // A lost disk is no concern of a node that lives in memory.
            Program::Etcd => words(["--data-dir=/var/lib/etcd", "--unsafe-no-fsync"]),
            Program::Containerd => Vec::new(),
            Program::ApiServer => words([
                "--etcd-servers=http://127.0.0.1:2379",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                &format!("--cert-dir={PKI}"),
                &format!("--token-auth-file={TOKENS}"),
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                &format!("--service-account-key-file={PUBLIC_KEY}"),
                &format!("--service-account-signing-key-file={PRIVATE_KEY}"),
                "--service-cluster-ip-range=10.96.0.0/16",
                // The node's name is nobody else's.
                "--kubelet-preferred-address-types=InternalIP",
                // It listens where no endpoint may be.
                "--endpoint-reconciler-type=none",
            ]),
            Program::ControllerManager => words([
                &kubeconfig,
                "--leader-elect=false",
                &format!("--service-account-private-key-file={PRIVATE_KEY}"),
                &format!("--root-ca-file={PKI}/apiserver.crt"),
                "--controllers=daemonset-controller,job-controller,serviceaccount-controller,namespace-controller,\
                 garbage-collector-controller,node-lifecycle-controller,root-ca-certificate-publisher-controller",
            ]),
            Program::Scheduler => words([&kubeconfig, "--leader-elect=false"]),
            Program::Kubelet => words([
                &kubeconfig,
                &format!("--config={KUBELET_CONFIG}"),
                &format!("--hostname-override={NODE}"),
                "--node-ip=192.0.2.1",
            ]),
        }
    }
}

fn words<const COUNT: usize>(words: [&str; COUNT]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// What a kubelet sets the kernel's parameters to. They are the whole host's, so the machine has files at their place in
/// which they are set already.
const PARAMETERS: [(&str, u32); 6] = [
    ("vm/overcommit_memory", 1),
    ("vm/panic_on_oom", 0),
    ("kernel/panic", 10),
    ("kernel/panic_on_oops", 1),
    ("kernel/keys/root_maxkeys", 1_000_000),
    ("kernel/keys/root_maxbytes", 25_000_000),
];

/// What is written to goes to a layer of the machine's; `/sys` shows its links. Its mounts reach the Pods that ask for it,
/// as on a node whose root systemd has made shared. Plugins that the host has elsewhere would be named in fixes. A
/// node needs an address that is not the loopback's.
const MOUNTS: &str = "
for folder in /etc /opt; do
    mkdir -p /run/layers$folder/upper /run/layers$folder/work
    mount -t overlay overlay $folder -o lowerdir=$folder,upperdir=/run/layers$folder/upper,workdir=/run/layers$folder/work
done
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
[ ! -d /usr/lib/cni ] || mount -t tmpfs tmpfs /usr/lib/cni
rm -rf /etc/cni /etc/cniscope /etc/containerd /etc/kubernetes /opt/cni
mkdir -p /etc/cni/net.d /etc/containerd /etc/kubernetes/pki /opt/cni/bin /var/lib/kubelet
mkdir -m 0700 /var/lib/etcd
ip link add eth0 type veth peer name uplink
ip link set uplink up
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
ip route add default via 192.0.2.254
";

/// Makes a machine ready for the programs: its folders and their configurations.
pub fn prepare(machine: &Machine) {
    let set = |(number, (parameter, value)): (usize, &(&str, u32))| {
        let file = format!("/run/parameter{number}");
        format!("echo {value} >{file}; mount --bind {file} /proc/sys/{parameter}\n")
    };
    let parameters: String = PARAMETERS.iter().enumerate().map(set).collect();
    let script = format!("{MOUNTS}{parameters}mount --make-rshared /");
    printed(machine.command("bash").args(["-ec", &script]));
    let write = |path: &str, content: &str| std::fs::write(machine.path(path), content).unwrap();
    write(CONTAINERD_CONFIG, &containerd_config());
    write(KUBELET_CONFIG, &kubelet_config(machine.cgroup()).to_string());
    write(KUBECONFIG, &kubeconfig().to_string());
    write("/etc/crictl.yaml", "runtime-endpoint: unix:///run/containerd/containerd.sock\n");
    write(TOKENS, "admin,admin,admin,system:masters\n");
    let key = KeyPair::generate().unwrap();
    write(PRIVATE_KEY, &key.serialize_pem());
    write(PUBLIC_KEY, &key.public_key_pem());
}

fn containerd_config() -> String {
    format!(
        r#"
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{}"
  restrict_oom_score_adj = true
  containerd.snapshotter = "native"
"#,
        image::NAME
    )
}

fn kubeconfig() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "admin",
        "clusters": [{"name": "test", "cluster": {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": true}}],
        "users": [{"name": "admin", "user": {"token": "admin"}}],
        "contexts": [{"name": "admin", "context": {"cluster": "test", "user": "admin"}}],
    })
}

/// With what a small machine with cgroups of version 1 needs: no groups for classes of Pods, no eviction.
fn kubelet_config(cgroup: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "address": "0.0.0.0",
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs", "cgroupRoot": cgroup, "cgroupsPerQOS": false, "failCgroupV1": false,
        "enforceNodeAllocatable": [], "evictionHard": {}, "localStorageCapacityIsolation": false,
        "failSwapOn": false,
        // Nobody answers there, and no Pod asks.
        "clusterDNS": ["10.96.0.10"], "clusterDomain": "cluster.local",
        "imageGCHighThresholdPercent": 100,
        // What has failed is tried again soon.
        "syncFrequency": "2s",
    })
}
