//! Flannel's back ends that tunnel: their devices, and what a tunnel takes of a packet (flannel's `pkg/backend`).

use crate::node::links::Link;

/// What vxlan takes of a packet over IPv4: Ethernet, IP, UDP and its own header.
pub(in crate::checks) const VXLAN_OVERHEAD: u32 = 50;
/// Over IPv6 the outer header is 20 bytes longer.
pub(in crate::checks) const VXLAN6_OVERHEAD: u32 = 70;

/// A device that flannel makes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Backend {
    /// Its name, without the number that some have at their end.
    name: &'static str,
    is_numbered: bool,
    /// Its kind.
    pub(super) kind: &'static str,
    /// What the tunnel takes of a packet at least.
    pub(super) takes: u32,
    /// What flannel leaves for it, as `FLANNEL_MTU` tells.
    left: u32,
}

const BACKENDS: [Backend; 6] = [
    // vxlan/vxlan.go, `createVXLANDevice`; `encapOverhead` of vxlan_network.go is one for both.
    numbered("flannel.", "vxlan", VXLAN_OVERHEAD, 50),
    numbered("flannel-v6.", "vxlan", VXLAN6_OVERHEAD, 50),
    // wireguard/wireguard.go, `RegisterNetwork`, and `overhead` of wireguard_network.go. In the modes auto and ipv6 the first
    // one may send over IPv6, which is not seen here.
    named("flannel-wg", "wireguard", 60, 80),
    named("flannel-wg-v6", "wireguard", 80, 80),
    // ipip/ipip.go, `configureIPIPDevice`.
    named("flannel.ipip", "ipip", 20, 20),
    // udp/udp_network_amd64.go, `encapOverhead`.
    numbered("flannel", "tun", 28, 28),
];

const fn named(name: &'static str, kind: &'static str, takes: u32, left: u32) -> Backend {
    Backend { name, is_numbered: false, kind, takes, left }
}

const fn numbered(name: &'static str, kind: &'static str, takes: u32, left: u32) -> Backend {
    Backend { is_numbered: true, ..named(name, kind, takes, left) }
}

/// The back end whose device this is, by its name.
pub(super) fn of(device: &Link) -> Option<&'static Backend> {
    let is_it = |backend: &&Backend| {
        let number = device.name.strip_prefix(backend.name);
        number.is_some_and(
            |rest| if backend.is_numbered { rest.parse::<u32>().is_ok() } else { rest.is_empty() },
        )
    };
    BACKENDS.iter().find(is_it)
}

/// The largest MTU that Pods behind the device may have. It is the device's own, but flannel leaves too little room for vxlan
/// over IPv6, and the kernel makes the device smaller (`vxlan_config_apply`): it then tells the Pods, as IPv6 wants it, and
/// nothing is lost on the way.
pub(in crate::checks) fn room(device: &Link) -> u32 {
    device.mtu.saturating_add(of(device).map_or(0, |backend| backend.takes.saturating_sub(backend.left)))
}

/// The device for which flannel has left so many bytes of the MTU, in a cluster with these families.
pub(super) fn device_for(left: u32, has_ipv4: bool) -> Option<String> {
    let is_it = |backend: &&Backend| {
        backend.left == left && (has_ipv4 || backend.kind != "vxlan" || backend.takes > left)
    };
    BACKENDS.iter().find(is_it).map(|backend| match backend.kind {
        // The VNI that flannel uses unless it is told another one.
        "vxlan" => format!("{}1", backend.name),
        "tun" => format!("{}0", backend.name),
        _ => backend.name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, mtu: u32) -> Link {
        Link { name: name.into(), mtu, ..Link::default() }
    }

    #[test]
    fn devices_are_known_by_their_names() {
        let table = [
            ("flannel.1", Some(("vxlan", 50)), 1400),
            ("flannel.4096", Some(("vxlan", 50)), 1400),
            ("flannel-v6.1", Some(("vxlan", 70)), 1420),
            ("flannel-wg", Some(("wireguard", 60)), 1400),
            ("flannel-wg-v6", Some(("wireguard", 80)), 1400),
            ("flannel.ipip", Some(("ipip", 20)), 1400),
            ("flannel0", Some(("tun", 28)), 1400),
            ("flannel.", None, 1400),
            ("flannel-wg1", None, 1400),
            ("flannel.x", None, 1400),
            ("eth0", None, 1400),
        ];
        for (name, expected, largest) in table {
            let device = device(name, 1400);
            assert_eq!(of(&device).map(|backend| (backend.kind, backend.takes)), expected, "{name}");
            assert_eq!(room(&device), largest, "{name}");
        }
    }

    #[test]
    fn what_flannel_leaves_tells_its_device() {
        let table = [
            (50, true, Some("flannel.1")),
            (50, false, Some("flannel-v6.1")),
            (80, true, Some("flannel-wg")),
            (20, true, Some("flannel.ipip")),
            (28, true, Some("flannel0")),
            (0, true, None),
            (70, false, None),
        ];
        for (left, has_ipv4, expected) in table {
            assert_eq!(device_for(left, has_ipv4).as_deref(), expected, "{left}");
        }
    }
}
