//! Links, routes, namespaces, devices.

use super::{Cause, Entry, destructive, safe};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::BridgeAddressConflict,
        id: "bridge-address-conflict",
        title: "the bridge has another address than the network's gateway",
        about: "The bridge of the network exists with an address of another subnet. The node's Pod subnet changed while the \
                old bridge stayed (a reset or a rejoined node), or two networks share one bridge name.",
        texts: &["\"cni0\" already has an IP address different from 10.244.1.1/24"],
        checks: &["bridge", "flannel", "cidr"],
        fix: &[
            safe(
                "find out which network owns the bridge's address: if two use one name, give one of them another",
            ),
            destructive(
                "remove the foreign address from the bridge, or delete the bridge when no Pod uses it; the plugin makes it again",
            ),
        ],
        verify: &["ip -br address show type bridge", "cat /run/flannel/subnet.env"],
        hides: &[],
    },
    Entry {
        cause: Cause::BridgeWrongKind,
        id: "bridge-wrong-kind",
        title: "the bridge's name is held by something else, or the bridge is full",
        about: "A link with the bridge's name is no Linux bridge (a dummy, a veth, an Open vSwitch port), or it is one that \
                takes no further port. A bridge holds 1023 ports, and keeps those of veths that leaked.",
        texts: &[
            "\"cni0\" already exists but is not a bridge",
            "failed to connect \"veth1a2b\" to bridge cni0: exchange full",
        ],
        checks: &["bridge", "attachment"],
        fix: &[
            safe("give the network another bridge name, or rename the link that holds it"),
            safe(
                "if the bridge is full, look for ports of sandboxes that are gone, and spread the Pods over more nodes",
            ),
        ],
        verify: &["ip -d link show cni0", "ls /sys/class/net/cni0/brif | wc -l"],
        hides: &[],
    },
    Entry {
        cause: Cause::InterfaceExists,
        id: "interface-exists",
        title: "an interface of that name is already there",
        about: "The plugin wants to make an interface whose name is taken, in the Pod or on the host. An earlier ADD was left \
                half-way, two networks ask for the same name in one Pod, or the veth of a dead sandbox stayed.",
        texts: &[
            "container veth name provided (eth0) already exists",
            "failed to create macvlan: file exists",
        ],
        checks: &["interface", "leftovers", "config"],
        fix: &[
            safe("run DEL for the container, or delete its Pod: the runtime makes a new sandbox"),
            safe("if two networks of the Pod ask for one interface name, give them different ones"),
            destructive("delete the leftover link, when no live sandbox has its peer: ip link delete NAME"),
        ],
        verify: &["ip -br link", "cniscope doctor leftovers"],
        hides: &[],
    },
    Entry {
        cause: Cause::LinkBusy,
        id: "link-busy",
        title: "the parent link is in use by something else",
        about: "The kernel refuses to put the new interface on its parent, which something else owns already: a bond, a \
                bridge, a macvlan where ipvlan is asked for (or the other way round), or an exclusive passthru. \
                 It does not go away by itself: the two cannot share the link.",
        texts: &["failed to create ipvlan: device or resource busy"],
        checks: &["interface", "config"],
        fix: &[
            safe(
                "use another parent link: macvlan and ipvlan cannot share one, and a port of a bond or bridge takes neither",
            ),
            safe("use the bond or the bridge itself as the master"),
        ],
        verify: &["ip -d link show PARENT", "ip -d link | grep -E 'macvlan|ipvlan|master'"],
        hides: &[],
    },
    Entry {
        cause: Cause::InterfaceMissing,
        id: "interface-missing",
        title: "an interface that the plugin needs does not exist",
        about: "The parent, bridge, host device or Pod interface that the configuration names is not there. The link was \
                renamed (another NIC, another kernel), the configuration was written for another node, or the interface \
                went away during the call.",
        texts: &["failed to lookup master \"eth1\": Link not found", "no such network interface"],
        checks: &["interface", "config", "kernel", "attachment", "overlay"],
        fix: &[
            safe(
                "compare the name in the configuration (master, device, bridge) with the links of this node",
            ),
            safe(
                "create the link, or correct the name; where nodes differ, let the plugin find the link by the default route",
            ),
        ],
        verify: &["ip -br link", "grep -rnE '\"(master|device|bridge|if0name)\"' /etc/cni/net.d"],
        hides: &[],
    },
    Entry {
        cause: Cause::RouteConflict,
        id: "route-conflict",
        title: "a route cannot be added",
        about: "The kernel refuses a route for the Pod: it is there already, through another interface for instance, or its \
                gateway cannot be reached from the address. Overlapping networks and a second default route are usual.",
        texts: &[
            "failed to add route '0.0.0.0/0 via 10.1.0.1 dev eth0': file exists",
            "failed to add route '0.0.0.0/0 via 192.0.2.1 dev eth0': network is unreachable",
        ],
        checks: &["cidr", "config", "attachment", "leftovers", "overlay"],
        fix: &[
            safe("compare the configuration's routes and gateway with the node's and the Pod's: ip route"),
            safe(
                "leave only one network of the Pod with a default route, and choose subnets that do not overlap",
            ),
        ],
        verify: &["ip route show table all", "ip -6 route"],
        hides: &[],
    },
    Entry {
        cause: Cause::MtuInvalid,
        id: "mtu-invalid",
        title: "the MTU is refused or does not fit the parent link",
        about: "The configured MTU is larger than the parent link or the encapsulation allows, or below the minimum of the \
                address family (1280 for IPv6). The kernel or the plugin refuses it.",
        texts: &[
            "Invalid MTU (1500). The requested MTU for bond is bigger than that of the slave link",
            "failed to set mtu to 9000: invalid argument",
        ],
        checks: &["config", "bridge", "flannel", "overlay", "attachment"],
        fix: &[
            safe(
                "set mtu to at most the parent link's, less the overhead of the encapsulation (VXLAN over IPv4: 50 bytes)",
            ),
            safe("leave mtu out: the plugin takes the parent's"),
        ],
        verify: &["ip -br -d link", "grep -rn mtu /etc/cni/net.d"],
        hides: &[],
    },
    Entry {
        cause: Cause::NetnsGone,
        id: "netns-gone",
        title: "the sandbox's network namespace does not exist any more",
        about: "The runtime names a network namespace that is gone, or a path that is none. The sandbox died or was removed \
                while the call was under way, the node rebooted, or the runtime and the plugin see different mounts.",
        texts: &[
            "failed to Statfs \"/proc/10435/ns/net\": no such file or directory",
            "unknown FS magic on \"/var/run/netns/cni-0f1e\": 1021994",
        ],
        checks: &["netns", "leftovers", "runtime"],
        fix: &[
            safe("delete the Pod: the runtime makes a new sandbox"),
            safe(
                "if every Pod has it, look for a second runtime or kubelet, and whether /run/netns is shared with the plugin's mounts",
            ),
        ],
        verify: &["ls -l /run/netns", "findmnt -t nsfs", "crictl pods"],
        hides: &[Cause::InterfaceMissing],
    },
    Entry {
        cause: Cause::DeviceUnavailable,
        id: "device-unavailable",
        title: "the device for the Pod cannot be given",
        about: "The plugin got no usable hardware or virtual device: no VF is free, the device plugin passed no device ID, the \
                driver refuses, or the device is still in another namespace. Pods without such a device are not affected.",
        texts: &[
            "SRIOV-CNI failed to load netconf: LoadConf(): VF pci addr is required",
            "failed to configure VF \"failed to set vf 3 vlan configuration: invalid argument\"",
        ],
        checks: &["interface", "kernel", "agent", "config"],
        fix: &[
            safe(
                "see whether the Pod requests the device's resource, and whether the network's resourceName is the same",
            ),
            safe(
                "look at the device plugin's Pod on this node, and at the state of the device and its driver",
            ),
            destructive(
                "make the VFs again: echo 0, then the number, into sriov_numvfs (Pods that use them lose them)",
            ),
        ],
        verify: &[
            "kubectl get node NODE -o jsonpath='{.status.allocatable}'",
            "ip link show",
            "cat /sys/class/net/*/device/sriov_numvfs",
        ],
        hides: &[],
    },
];
