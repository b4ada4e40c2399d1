//! Addresses: pools, allocations, and who hands them out.

use super::{Cause, Entry, destructive, safe};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::IpamExhausted,
        id: "ipam-exhausted",
        title: "no address is left in the pool",
        about: "Every address of the node's range, block or pool is held. Either as many Pods run as it has addresses, or \
                addresses leaked: a DEL that never ran (a crash, a forced reboot) leaves an address that nobody uses.",
        texts: &[
            "no IP addresses available in range set: 10.244.0.1-10.244.0.254",
            "No more IPs available",
            "failed to assign an IP address to container",
        ],
        checks: &["ipam-pool", "leftovers", "flannel", "cidr"],
        fix: &[
            safe("release addresses: delete Pods of this network on this node"),
            safe("give the network a larger range"),
        ],
        verify: &["cniscope doctor ipam-pool", "ls /var/lib/cni/networks/*"],
        hides: &[],
    },
    Entry {
        cause: Cause::IpamDuplicate,
        id: "ipam-duplicate",
        title: "the container already holds an address",
        about: "The store already has an allocation for this container and interface, so the plugin refuses a second one. An \
                earlier ADD failed half-way without its DEL, or one network is attached twice under the same interface.",
        texts: &["10.88.0.3 has been allocated to 0f1e, duplicate allocation is not allowed"],
        checks: &["ipam-pool", "leftovers", "config"],
        fix: &[
            safe("run DEL for the container, or delete its Pod, before it is added again"),
            destructive("remove the allocation's file or record, when the container does not exist any more"),
        ],
        verify: &["cniscope doctor ipam-pool", "grep -rl CONTAINER_ID /var/lib/cni/networks"],
        hides: &[],
    },
    Entry {
        cause: Cause::IpamAddressTaken,
        id: "ipam-address-taken",
        title: "the address that was asked for is taken, reserved or outside the pool",
        about: "The Pod or the runtime asks for one particular address, and the pool cannot give it: somebody holds it, it is \
                the gateway or reserved, or it lies outside the range. Other Pods of the network are not affected.",
        texts: &["requested IP address 10.88.0.3 is not available in range set 10.88.0.1-10.88.255.254"],
        checks: &["ipam-pool", "config", "cidr"],
        fix: &[
            safe("ask for another address, or release this one"),
            safe("look who holds it, a Pod that ends slowly included, and wait until it has gone"),
        ],
        verify: &["ls /var/lib/cni/networks/*", "kubectl get pods -A -o wide | grep ADDRESS"],
        hides: &[],
    },
    Entry {
        cause: Cause::IpamPoolMissing,
        id: "ipam-pool-missing",
        title: "no pool or Pod CIDR is there for this node",
        about: "The plugin has nothing to allocate from: the controller gave this node no podCIDR, or no pool is configured, \
                enabled, or matches this node, namespace or Pod. New Pods cannot get an address until one is assigned.",
        texts: &["no configured Calico pools", "node \"worker1\" pod cidr not assigned"],
        checks: &["config", "cidr", "agent", "ipam-pool"],
        fix: &[
            safe(
                "look at the node's spec.podCIDR: the controller manager needs --allocate-node-cidrs and a --cluster-cidr with room for another node",
            ),
            safe(
                "create or enable a pool that selects this node and namespace, for the address family that is asked for",
            ),
            safe("restart the network add-on's Pod on this node after the CIDR was assigned"),
        ],
        verify: &[
            "kubectl get node NODE -o jsonpath='{.spec.podCIDRs}'",
            "kubectl get ippools.crd.projectcalico.org -o wide",
        ],
        hides: &[Cause::SubnetEnvMissing],
    },
    Entry {
        cause: Cause::IpamBackendUnavailable,
        id: "ipam-backend-unavailable",
        title: "the service that hands out addresses does not answer",
        about: "The ipam plugin asks a daemon or a data store for an address (the DHCP daemon, AWS ipamd, azure-cns, etcd, \
                whereabouts' lease) and gets no answer. The service is down, still starting, overloaded or locked.",
        texts: &[
            "error dialing DHCP daemon: dial unix /run/cni/dhcp.sock: connect: no such file or directory",
            "dial tcp 127.0.0.1:50051: connect: connection refused",
        ],
        checks: &["agent", "apiserver", "runtime", "ipam-pool"],
        fix: &[
            safe("see whether the IPAM's daemon runs on this node and read its log"),
            safe("start it (dhcp: systemctl start cni-dhcp), or restart its Pod on this node"),
            safe("for a data store or a lease in the API: look at its health and at who holds the lock"),
        ],
        verify: &[
            "ss -lxp | grep -i cni",
            "ss -ltnp | grep -E ':(50051|10090|2379) '",
            "kubectl get pods -n kube-system -o wide",
        ],
        hides: &[Cause::PluginTimeout],
    },
];
