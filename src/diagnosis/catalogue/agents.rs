//! The network add-on's agent on the node, and the cloud behind it.

use super::{Cause, Entry, destructive, safe};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::SubnetEnvMissing,
        id: "subnet-env-missing",
        title: "flannel's subnet file is missing or cut short",
        about: "flanneld writes /run/flannel/subnet.env when it has got a subnet for this node; without it the plugin knows no \
                range. flanneld has not started, has no lease (often a missing podCIDR), or the file was lost with /run.",
        texts: &["open /run/flannel/subnet.env: no such file or directory"],
        checks: &["flannel", "agent"],
        fix: &[
            safe("look why flanneld does not run on this node: its Pod's or unit's log says what it misses"),
            safe(
                "if it complains of the Pod CIDR, make the cluster's --pod-network-cidr and flannel's Network the same",
            ),
            safe("restart flanneld on this node: it writes the file again"),
        ],
        verify: &[
            "cat /run/flannel/subnet.env",
            "kubectl get pods -A -o wide -l app=flannel",
            "ip -d link show flannel.1",
        ],
        hides: &[Cause::IpamExhausted, Cause::BridgeAddressConflict, Cause::ConfigInvalid],
    },
    Entry {
        cause: Cause::AgentUnreachable,
        id: "agent-unreachable",
        title: "the network add-on's agent on this node does not answer",
        about: "The plugin only hands the work to the add-on's agent, and its socket, port or file is not there or refuses. The \
                agent is not running, is starting or restarting, or its folder is not mounted where the plugin looks.",
        texts: &[
            "dial unix /var/run/cilium/cilium.sock: connect: no such file or directory",
            "stat /var/lib/calico/nodename: no such file or directory: check that the calico/node container is running",
        ],
        checks: &["agent", "calico", "cilium", "runtime"],
        fix: &[
            safe(
                "look at the add-on's Pod on this node: is it running and ready, how often did it restart, what does its log say",
            ),
            safe("if it has just started, wait: the kubelet tries again"),
            safe("restart the add-on's Pod on this node"),
        ],
        verify: &[
            "kubectl get pods -A -o wide --field-selector spec.nodeName=NODE",
            "ss -lxp",
            "cniscope doctor agent",
        ],
        hides: &[Cause::PluginTimeout, Cause::AgentRefused],
    },
    Entry {
        cause: Cause::AgentRefused,
        id: "agent-refused",
        title: "the network add-on's agent answers with a failure",
        about: "The agent got the request and refused it or failed in it: it is not ready yet, limits its rate, cannot make the \
                endpoint, or waits for a switch or a controller. The reason stands in the agent's own log.",
        texts: &[
            "unable to create endpoint: [PUT /endpoint/{id}][429] putEndpointIdTooManyRequests",
            "timed out waiting for OVS port binding",
        ],
        checks: &["agent", "cilium", "calico", "apiserver"],
        fix: &[
            safe("read the agent's log on this node at the time of the failure"),
            safe("if it says too many requests or not ready, wait: the kubelet tries again"),
            safe("look at the add-on's controller and at the objects that it keeps for this Pod"),
            destructive(
                "restart the add-on's Pod on this node (its rules stay, some add-ons interrupt traffic)",
            ),
        ],
        verify: &["kubectl logs -n kube-system POD --since=10m", "cniscope doctor agent"],
        hides: &[Cause::PluginTimeout],
    },
    Entry {
        cause: Cause::CloudApiFailed,
        id: "cloud-api-failed",
        title: "the cloud's API limits or refuses an interface or an address",
        about: "Pod addresses come from the cloud's network, and its API did not give one: a full cloud subnet, the \
                limit of interfaces of this machine type, throttled requests, or missing rights of the node's role. \
                The node itself is well, and others of the same cloud account may fail alike.",
        texts: &[
            "InsufficientFreeAddressesInSubnet: the specified subnet does not have enough free addresses",
            "RequestLimitExceeded",
        ],
        checks: &["agent", "ipam-pool"],
        fix: &[
            safe("read the add-on's log for the cloud's error code"),
            safe(
                "for a full subnet add another one; for a limit use a larger machine type or prefixes; for missing rights extend the node's role",
            ),
            safe("if requests are throttled, wait, and let fewer nodes start at a time"),
        ],
        verify: &[
            "kubectl logs -n kube-system -l k8s-app=aws-node --since=10m",
            "tail /var/log/aws-routed-eni/ipamd.log",
        ],
        hides: &[Cause::IpamExhausted, Cause::AgentRefused],
    },
];
