//! Plugins and their configuration.

use super::{Cause, Entry, destructive, safe};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::PluginNotFound,
        id: "plugin-not-found",
        title: "a plugin binary is not on the node",
        about: "The configuration names a plugin, or an ipam or chained plugin, that lies in none of the runtime's plugin \
                folders. The network add-on's installer has not run or copies to another folder than the runtime \
                reads, an upgrade removed the binary, or a stale configuration names a plugin of another add-on.",
        texts: &["failed to find plugin \"bridge\" in path [/opt/cni/bin]"],
        checks: &["plugin-binary", "config", "runtime"],
        fix: &[
            safe("install the missing binary in a folder of CNI_PATH"),
            safe(
                "set the runtime's plugin folder (containerd: bin_dir, CRI-O: plugin_dirs) to the one that the add-on fills",
            ),
            safe("restart the network add-on's Pod on this node: most install their binaries at start"),
        ],
        verify: &["ls -l /opt/cni/bin", "grep -rn '\"type\"' /etc/cni/net.d"],
        hides: &[Cause::NetworkNotReady],
    },
    Entry {
        cause: Cause::PluginNotExecutable,
        id: "plugin-not-executable",
        title: "a plugin binary is there but cannot be run",
        about: "The kernel refuses to start the plugin: no execute permission, a build for another architecture, a file that \
                was cut short, a missing loader or C library, or a file that is being overwritten at this moment. The \
                last one mends itself; the others stay until the binary is replaced.",
        texts: &[
            "fork/exec /opt/cni/bin/bridge: exec format error",
            "/lib64/libc.so.6: version `GLIBC_2.34' not found",
            "fork/exec /opt/cni/bin/bridge: text file busy",
        ],
        checks: &["plugin-binary"],
        fix: &[
            safe("install the binary for this machine's architecture again, and give it mode 0755"),
            safe("if it needs a newer C library than the node has, install a static build"),
        ],
        verify: &["file /opt/cni/bin/*", "findmnt -T /opt/cni/bin -o TARGET,OPTIONS"],
        hides: &[Cause::PluginCrashed],
    },
    Entry {
        cause: Cause::PluginCrashed,
        id: "plugin-crashed",
        title: "the plugin died, or ended without a CNI error",
        about: "The plugin ended by a panic or a signal, or printed something that is no CNI answer. It is a bug in the \
                plugin, a build that does not fit this CPU or kernel, or the kernel's out-of-memory killer.",
        texts: &[
            "netplugin failed with no error message",
            "unexpected end of JSON input",
            "panic: runtime error: invalid memory address or nil pointer dereference",
        ],
        checks: &["plugin-binary", "config", "limits"],
        fix: &[
            safe("read what the plugin printed: cniscope show"),
            safe("go back to the version of the plugin that worked last"),
            safe("report it to the plugin's project with that record"),
        ],
        verify: &["cniscope show last-failed", "dmesg -T | grep -iE 'oom|segfault|traps:'"],
        hides: &[],
    },
    Entry {
        cause: Cause::PluginTimeout,
        id: "plugin-timeout",
        title: "the plugin did not end in time",
        about: "The plugin was killed, or gave up, at a deadline, and the text does not say what it was waiting for. Usually \
                it waits for a lock, an agent, the Kubernetes API or a slow disk; the record's stall snapshot tells which.",
        texts: &["netplugin failed with no error message: signal: killed", "context deadline exceeded"],
        checks: &[
            "plugin-binary",
            "agent",
            "calico",
            "cilium",
            "apiserver",
            "conntrack",
            "iptables",
            "limits",
            "disk",
        ],
        fix: &[
            safe("see what the plugin was waiting for: cniscope show"),
            safe("look whether the node is overloaded: CPU, disk and memory pressure"),
        ],
        verify: &[
            "cniscope show last-failed",
            "cat /proc/pressure/cpu /proc/pressure/io /proc/pressure/memory",
        ],
        hides: &[],
    },
    Entry {
        cause: Cause::NetworkNotReady,
        id: "network-not-ready",
        title: "the node has no network configuration yet",
        about: "The runtime finds no usable configuration in its CNI folder, so the node stays NotReady. The network add-on \
                was never installed, its Pod on this node does not come up, or it writes to another folder than the \
                runtime reads.",
        texts: &[
            "cni plugin not initialized",
            "no networks found in /etc/cni/net.d",
            "cni config uninitialized",
        ],
        checks: &["config", "runtime", "agent"],
        fix: &[
            safe(
                "look why the network add-on's Pod on this node does not run: kubectl describe it and read its logs",
            ),
            safe("install a network add-on if the cluster has none"),
            safe(
                "make the runtime read the folder that the add-on writes to (containerd: conf_dir, CRI-O: network_dir)",
            ),
        ],
        verify: &[
            "ls -l /etc/cni/net.d",
            "kubectl get pods -n kube-system -o wide --field-selector spec.nodeName=NODE",
        ],
        hides: &[],
    },
    Entry {
        cause: Cause::ConfigInvalid,
        id: "config-invalid",
        title: "the network configuration is malformed, or misses or misuses a field",
        about: "The plugin or libcni read the configuration and refuses it: broken JSON, a missing or unknown field, or a \
                value that cannot be. It fails for every Pod of the network until the file, or the object that it is \
                generated from, is corrected.",
        texts: &[
            "error parsing configuration list: invalid character",
            "no IP ranges specified",
            "invalid CIDR address: 10.244.0.0",
        ],
        checks: &["config"],
        fix: &[
            safe("correct the configuration in /etc/cni/net.d, or where the network add-on takes it from"),
            safe(
                "remove files of add-ons that are gone: the runtime takes the first one in the order of names",
            ),
        ],
        verify: &["ls -l /etc/cni/net.d", "cniscope doctor config"],
        hides: &[Cause::NetworkNotReady],
    },
    Entry {
        cause: Cause::CniVersionMismatch,
        id: "cni-version-mismatch",
        title: "plugin and configuration share no CNI version",
        about: "The configuration's cniVersion is one that a plugin of the list, or the runtime's library, does not speak, or \
                a result cannot be converted to it. Typical after one side was upgraded: an old plugin binary with a new \
                configuration, or no cniVersion at all, which means 0.1.0.",
        texts: &[
            "incompatible CNI versions; config is \"1.0.0\", plugin supports [\"0.3.1\" \"0.4.0\"]",
            "unsupported CNI result version \"1.0.0\"",
        ],
        checks: &["cni-version", "plugin-binary", "config"],
        fix: &[
            safe("upgrade the plugin that is too old for the configuration's cniVersion"),
            safe("or set cniVersion to one that every plugin of the list and the runtime support"),
        ],
        verify: &["cniscope doctor cni-version", "grep -rn cniVersion /etc/cni/net.d"],
        hides: &[Cause::NetworkNotReady],
    },
    Entry {
        cause: Cause::ChainOrderWrong,
        id: "chain-order-wrong",
        title: "a chained plugin runs where it cannot",
        about: "Plugins as portmap, bandwidth or tuning work on the result of the plugin before them, and got none. The \
                plugin stands first in the list or alone in a .conf file, or the one before it made no interface.",
        texts: &["Required prevResult missing", "must be called as chained plugin"],
        checks: &["config"],
        fix: &[
            safe("put the plugin behind the one that makes the interface"),
            safe("turn a single .conf into a .conflist that has both plugins"),
            destructive("if the cached result of the Pod was lost, delete the Pod: a new sandbox is made"),
        ],
        verify: &["cniscope doctor config", "grep -n '\"type\"' /etc/cni/net.d/*"],
        hides: &[],
    },
];
