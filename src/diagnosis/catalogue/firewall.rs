//! Rules, connection tracking, ports.

use super::{Cause, Entry, destructive, safe};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::IptablesLock,
        id: "iptables-lock",
        title: "another process holds the xtables lock",
        about: "iptables works under one lock of the node, and another process kept it longer than the plugin waited. Usual \
                holders are kube-proxy or Felix with very many rules, or an iptables that hangs.",
        texts: &["Another app is currently holding the xtables lock"],
        checks: &["iptables"],
        fix: &[
            safe("find the holder of /run/xtables.lock and see what it does"),
            safe(
                "if it is a rewrite of many rules that ends, nothing is to be done: the kubelet tries again",
            ),
            destructive("end a holder that hangs; its rules may be half written"),
        ],
        verify: &["cniscope doctor iptables", "lslocks | grep xtables"],
        hides: &[Cause::IptablesFailed, Cause::PluginTimeout],
    },
    Entry {
        cause: Cause::IptablesFailed,
        id: "iptables-failed",
        title: "iptables or nftables refuses the rules",
        about: "The firewall tool failed: it is not installed, a kernel module or table is missing, a chain or match is not \
                there, or rules of the legacy and of the nft back end stand side by side. \
                Services and other Pods of the node are often affected too.",
        texts: &[
            "can't initialize iptables table `nat': Table does not exist (do you need to insmod?)",
            "exec: \"iptables\": executable file not found in $PATH",
            "iptables: No chain/target/match by that name.",
        ],
        checks: &["iptables", "kernel", "overlay"],
        fix: &[
            safe(
                "install the missing tool, or load the module that the text names (ip_tables, iptable_nat, nf_tables, xt_comment)",
            ),
            safe(
                "use one back end on the node, for the host and for the add-on's images: compare iptables -V in both",
            ),
            destructive(
                "flush the rules of the back end that is not to be used, then restart kube-proxy and the add-on",
            ),
        ],
        verify: &[
            "iptables -V",
            "lsmod | grep -E 'ip_tables|nf_tables|iptable_nat'",
            "cniscope doctor iptables",
        ],
        hides: &[],
    },
    Entry {
        cause: Cause::ConntrackFailed,
        id: "conntrack-failed",
        title: "connection tracking is full or its tool fails",
        about: "The plugin could not remove connection tracking entries, or the table has no room for new ones. The conntrack \
                tool or module is missing, or net.netfilter.nf_conntrack_max is too small for the load.",
        texts: &["nf_conntrack: table full, dropping packet", "error deleting conntrack entries"],
        checks: &["conntrack", "kernel"],
        fix: &[
            safe("install the conntrack tool, or load nf_conntrack and nf_conntrack_netlink"),
            safe(
                "raise net.netfilter.nf_conntrack_max if the table is full, and look for the source of the connections",
            ),
        ],
        verify: &[
            "cniscope doctor conntrack",
            "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
        ],
        hides: &[Cause::ApiserverUnreachable],
    },
    Entry {
        cause: Cause::PortConflict,
        id: "port-conflict",
        title: "a host port of the Pod cannot be opened",
        about: "The Pod asks for a port of the node that something else holds: a process of the host, another Pod, or a rule \
                of a Pod that is gone. Only Pods with that port fail; the scheduler knows nothing of the host's processes.",
        texts: &["cannot open hostport 8080 for pod web-0: listen tcp4 :8080: bind: address already in use"],
        checks: &["leftovers", "iptables"],
        fix: &[
            safe("find what listens on the port: ss -lntup"),
            safe("choose another hostPort, or stop what holds it"),
        ],
        verify: &["ss -lntup", "iptables-save -t nat | grep CNI-DN"],
        hides: &[],
    },
];
