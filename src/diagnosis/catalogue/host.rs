//! The host: kernel, rights, disks, limits, the runtime.

use super::{Cause, Entry, destructive, safe};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::SysctlFailed,
        id: "sysctl-failed",
        title: "a kernel parameter cannot be set",
        about: "A file below /proc/sys does not exist, is read-only or not allowed for Pods. Often IPv6 is off on the node \
                while the network has IPv6 addresses, a module such as br_netfilter is not loaded, or a Pod asks for an \
                unsafe sysctl.",
        texts: &[
            "open /proc/sys/net/ipv6/conf/eth0/accept_dad: no such file or directory",
            "failed to add IP addr 2001:db8::2/64 to \"eth0\": permission denied",
        ],
        checks: &["sysctl", "kernel", "attachment"],
        fix: &[
            safe("look at the parameter that the text names: does it exist, may it be written"),
            safe(
                "for IPv6: take the IPv6 range out of the network, or switch IPv6 on (net.ipv6.conf.all.disable_ipv6=0, no ipv6.disable=1)",
            ),
            safe(
                "load the module that provides it (br_netfilter, nf_conntrack), or allow the sysctl in the tuning plugin's and the kubelet's lists",
            ),
        ],
        verify: &[
            "sysctl net.ipv6.conf.all.disable_ipv6 net.ipv4.ip_forward",
            "findmnt /proc/sys",
            "cniscope doctor sysctl",
        ],
        hides: &[Cause::PermissionDenied],
    },
    Entry {
        cause: Cause::BpfFailed,
        id: "bpf-failed",
        title: "eBPF programs or maps cannot be loaded",
        about: "The add-on's eBPF part failed: the bpf filesystem is not mounted, the kernel's verifier rejects a program, a \
                map cannot be pinned, or a tc or XDP program cannot be attached. \
                Usually the kernel is older than the add-on needs, or built without an option.",
        texts: &[
            "BPF filesystem is not mounted",
            "load program: permission denied: 71: R1 invalid mem access",
        ],
        checks: &["cilium", "kernel", "limits"],
        fix: &[
            safe("see whether bpffs is mounted at /sys/fs/bpf, and seen by the add-on's Pod"),
            safe("compare the kernel's version and configuration with what the add-on's version needs"),
            safe("read the verifier's message in the agent's log, and report it with the kernel's version"),
        ],
        verify: &["findmnt -t bpf", "uname -r", "bpftool prog list"],
        hides: &[],
    },
    Entry {
        cause: Cause::KernelUnsupported,
        id: "kernel-unsupported",
        title: "the kernel lacks what the plugin needs",
        about: "The kernel knows no such link type, protocol or option: it was built without it, or its module is not \
                installed. After a kernel upgrade without a reboot, modules of the running kernel may be gone from disk.",
        texts: &[
            "failed to create macvlan: operation not supported",
            "address family not supported by protocol",
        ],
        checks: &["kernel", "cilium"],
        fix: &[
            safe(
                "load the module that the plugin needs (vxlan, macvlan, ipvlan, vrf, ip6_tables, ...): modprobe NAME",
            ),
            safe(
                "install the package with the kernel's further modules (linux-modules-extra-$(uname -r) or alike)",
            ),
            destructive("reboot the node if its kernel was upgraded and the running one's modules are gone"),
        ],
        verify: &[
            "ls /lib/modules/$(uname -r)",
            "zgrep -E 'VXLAN|MACVLAN|IPVLAN' /proc/config.gz /boot/config-$(uname -r)",
        ],
        hides: &[],
    },
    Entry {
        cause: Cause::PermissionDenied,
        id: "permission-denied",
        title: "the plugin lacks a right",
        about: "The kernel denies the plugin itself an operation: it does not run as root, lacks a capability such as \
                CAP_NET_ADMIN, or SELinux, AppArmor or seccomp stops it. \
                The file or link that the text names is the one to look at.",
        texts: &[
            "failed to create bridge \"cni0\": operation not permitted",
            "open /var/lib/cni/networks/pods/lock: permission denied",
        ],
        checks: &["kernel", "limits", "disk", "sysctl"],
        fix: &[
            safe("look for denials in the audit log: ausearch -m avc, dmesg"),
            safe(
                "run the runtime as root with all capabilities, or give the rootless set-up what the plugin needs",
            ),
            safe("correct the labels of the plugin's files and state: restorecon -R /opt/cni /var/lib/cni"),
        ],
        verify: &["ausearch -m avc -ts recent", "dmesg -T | grep -iE 'denied|audit'", "getenforce"],
        hides: &[],
    },
    Entry {
        cause: Cause::DiskFull,
        id: "disk-full",
        title: "no space or no inodes are left",
        about: "The plugin or the runtime cannot write its state: the file system of /var/lib/cni, /run or the logs is full, \
                or out of inodes, or a quota is reached. \
                A Pod's image or log is the usual cause.",
        texts: &["write /var/lib/cni/networks/pods/10.1.0.5: no space left on device"],
        checks: &["disk"],
        fix: &[
            safe("find what fills it: df -h, df -i, du -x"),
            destructive(
                "remove unused images, old logs and ended containers: crictl rmi --prune, journalctl --vacuum-size=1G",
            ),
        ],
        verify: &["df -h /var/lib/cni /run /etc/cni /var/log", "df -i /var/lib/cni /run /etc/cni /var/log"],
        hides: &[Cause::FilesystemBroken],
    },
    Entry {
        cause: Cause::FilesystemBroken,
        id: "filesystem-broken",
        title: "a state file or folder is unusable",
        about: "A file of the plugin's or the runtime's state is corrupt, empty, of the wrong type or missing, or its file \
                system is read-only or damaged. It often follows a power cut or a disk error.",
        texts: &["open /var/lib/cni/networks/pods/lock: read-only file system", "input/output error"],
        checks: &["disk", "leftovers", "calico"],
        fix: &[
            safe("look at the path that the text names, and at dmesg for disk errors"),
            safe("if the file system turned read-only, repair it before anything else"),
            destructive(
                "remove the corrupt cache or state file of a sandbox that is gone; it is written again",
            ),
        ],
        verify: &[
            "findmnt -T /var/lib/cni -o TARGET,FSTYPE,OPTIONS",
            "find /var/lib/cni -type f -size 0",
            "dmesg -T | grep -iE 'I/O error|remount'",
        ],
        hides: &[],
    },
    Entry {
        cause: Cause::ResourceLimit,
        id: "resource-limit",
        title: "the node is out of memory, processes, descriptors or watches",
        about: "The kernel refused a resource: memory, a process or thread, an open file, an inotify watch or socket \
                buffers. Mostly one workload takes them all, or a limit is too low for the number of Pods.",
        texts: &[
            "fork/exec /opt/cni/bin/bridge: resource temporarily unavailable",
            "too many open files",
            "failed to add watch on \"/etc/cni/net.d\": no space left on device",
        ],
        checks: &["limits"],
        fix: &[
            safe("find who takes it: memory and processes by cgroup, descriptors and watches by process"),
            safe(
                "raise the limit that the text names (fs.inotify.max_user_instances, fs.inotify.max_user_watches, LimitNOFILE, TasksMax)",
            ),
        ],
        verify: &["cniscope doctor limits", "cat /proc/sys/fs/file-nr /proc/loadavg", "free -m"],
        hides: &[Cause::PluginCrashed, Cause::PluginTimeout],
    },
    Entry {
        cause: Cause::RuntimeFailed,
        id: "runtime-failed",
        title: "the sandbox failed outside of the network",
        about: "This is no CNI failure: the container runtime could not make or remove the sandbox, before or after the \
                network. Its image, its name, its cgroup or the low-level runtime (runc, crun, kata) is the problem.",
        texts: &[
            "failed to create containerd task: OCI runtime create failed: runc create failed",
            "failed to get sandbox image \"registry.k8s.io/pause:3.9\"",
            "failed to reserve sandbox name",
        ],
        checks: &["runtime", "limits", "disk"],
        fix: &[
            safe("read the runtime's log around this sandbox: journalctl -u containerd -u crio"),
            safe(
                "for an image: look whether the sandbox image can be pulled; for cgroups: use the same driver in kubelet and runtime",
            ),
            destructive(
                "restart the runtime if it holds on to a sandbox that is gone (calls under way fail and are tried again)",
            ),
        ],
        verify: &["crictl info", "crictl pods", "journalctl -u containerd -u crio --since -10min"],
        hides: &[],
    },
];
