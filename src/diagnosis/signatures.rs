//! What error texts say: literals of the plugins' and libcni's own messages, and the cause that each stands for.
//!
//! A signature is data: texts that must all occur, and the place that they were learned from. The first that fits
//! decides, so the more particular ones stand first.

use super::catalogue::Cause;

/// A text that tells a cause.
#[derive(Debug)]
pub struct Signature {
    /// The cause.
    pub cause: Cause,
    /// What must all occur in the text, in lower case.
    pub all: &'static [&'static str],
    /// Where it was learned: a file of a plugin's source, or an issue.
    pub from: &'static str,
}

const fn signature(cause: Cause, all: &'static [&'static str], from: &'static str) -> Signature {
    Signature { cause, all, from }
}

/// Every signature, the more particular ones first.
pub const SIGNATURES: &[Signature] = &[
    signature(Cause::PluginNotFound, &["failed to find plugin ", " in path ["], "cni:pkg/invoke/find.go"),
    signature(Cause::PluginNotExecutable, &["fork/exec ", "exec format error"], "cni:pkg/invoke/raw_exec.go"),
    signature(Cause::PluginNotExecutable, &["fork/exec ", "permission denied"], "cni:pkg/invoke/raw_exec.go"),
    signature(
        Cause::PluginNotExecutable,
        &["fork/exec ", "no such file or directory"],
        "cni:pkg/invoke/raw_exec.go",
    ),
    signature(Cause::PluginNotExecutable, &["text file busy"], "cni:pkg/invoke/raw_exec.go"),
    signature(Cause::PluginNotExecutable, &["exec: already started"], "cni:pkg/invoke/raw_exec.go"),
    signature(Cause::PluginNotExecutable, &["version `glibc_", "not found"], "glibc:elf/dl-version.c"),
    signature(
        Cause::PluginNotExecutable,
        &["error while loading shared libraries:"],
        "glibc:elf/dl-error-skeleton.c",
    ),
    signature(
        Cause::IpamExhausted,
        &["no ip addresses available in range set"],
        "plugins:plugins/ipam/host-local/backend/allocator/allocator.go",
    ),
    signature(
        Cause::IpamDuplicate,
        &["duplicate allocation is not allowed"],
        "plugins:plugins/ipam/host-local/backend/allocator/allocator.go",
    ),
    signature(
        Cause::IpamAddressTaken,
        &["requested ip address ", " is not available in range set "],
        "plugins:plugins/ipam/host-local/backend/allocator/allocator.go",
    ),
    signature(
        Cause::IpamAddressTaken,
        &["requested ip ", " is subnet's gateway"],
        "plugins:plugins/ipam/host-local/backend/allocator/allocator.go",
    ),
    signature(
        Cause::BridgeAddressConflict,
        &[" already has an ip address different from "],
        "plugins:plugins/main/bridge/bridge.go",
    ),
    signature(
        Cause::BridgeAddressConflict,
        &["failed to set bridge addr: could not add ip address", "file exists"],
        "plugins:plugins/main/bridge/bridge.go",
    ),
    signature(
        Cause::BridgeWrongKind,
        &[" already exists but is not a bridge"],
        "plugins:plugins/main/bridge/bridge.go",
    ),
    signature(
        Cause::BridgeWrongKind,
        &[" to bridge ", "exchange full"],
        "plugins:plugins/main/bridge/bridge.go",
    ),
    signature(
        Cause::InterfaceExists,
        &["container veth name ", " already exists"],
        "plugins:pkg/ip/link_linux.go",
    ),
    signature(Cause::InterfaceExists, &["failed to find a unique veth name"], "plugins:pkg/ip/link_linux.go"),
    signature(
        Cause::NetnsGone,
        &["failed to statfs ", "no such file or directory"],
        "plugins:pkg/ns/ns_linux.go",
    ),
    signature(Cause::NetnsGone, &["unknown fs magic on "], "plugins:pkg/ns/ns_linux.go"),
    signature(
        Cause::NetnsGone,
        &["failed to open netns ", "no such file or directory"],
        "plugins:pkg/ns/ns_linux.go",
    ),
    signature(
        Cause::ChainOrderWrong,
        &["required prevresult missing"],
        "plugins:plugins/main/bridge/bridge.go",
    ),
    signature(
        Cause::ChainOrderWrong,
        &["must be called as chained plugin"],
        "plugins:plugins/meta/portmap/main.go",
    ),
    signature(
        Cause::ChainOrderWrong,
        &["missing prevresult from earlier plugin"],
        "plugins:plugins/meta/tuning/tuning.go",
    ),
    signature(
        Cause::ConfigInvalid,
        &["no ip ranges specified"],
        "plugins:plugins/ipam/host-local/backend/allocator/config.go",
    ),
    signature(
        Cause::ConfigInvalid,
        &["ipam config missing 'ipam' key"],
        "plugins:plugins/ipam/host-local/backend/allocator/config.go",
    ),
    signature(
        Cause::ConfigInvalid,
        &["invalid range set "],
        "plugins:plugins/ipam/host-local/backend/allocator/config.go",
    ),
    signature(Cause::ConfigInvalid, &["invalid cidr address: "], "go:net/ip.go"),
    signature(Cause::ConfigInvalid, &["missing network name"], "cni:pkg/skel/skel.go"),
    signature(Cause::ConfigInvalid, &["invalid characters found in network name"], "cni:pkg/utils/utils.go"),
    signature(Cause::ConfigInvalid, &["error unmarshall network config"], "cni:pkg/skel/skel.go"),
    signature(Cause::ConfigInvalid, &["failed to load netconf: "], "plugins:plugins/main/bridge/bridge.go"),
    signature(
        Cause::ConfigInvalid,
        &["cannot set hairpin mode and promiscuous mode at the same time"],
        "plugins:plugins/main/bridge/bridge.go",
    ),
    signature(
        Cause::ConfigInvalid,
        &["if rate is set, burst must also be set"],
        "plugins:plugins/meta/bandwidth/main.go",
    ),
    signature(
        Cause::PluginCrashed,
        &["netplugin failed but error parsing its diagnostic message"],
        "cni:pkg/invoke/raw_exec.go",
    ),
    signature(Cause::PluginCrashed, &["goroutine ", "[running]"], "go:runtime/panic.go"),
    signature(Cause::PluginCrashed, &["runtime error: "], "go:runtime/error.go"),
];

/// The first signature that fits the text.
#[must_use]
pub fn first_fit(text: &str) -> Option<&'static Signature> {
    let text = text.to_ascii_lowercase();
    SIGNATURES.iter().find(|signature| signature.all.iter().all(|part| text.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_texts_are_told() {
        let table = [
            (
                r#"failed to find plugin "bridge" in path [/opt/bridge/bin /opt/cni/bin]"#,
                Cause::PluginNotFound,
            ),
            ("fork/exec /opt/cni/bin/calico: exec format error", Cause::PluginNotExecutable),
            (
                r#"netplugin failed: "/opt/cni/bin/x: /lib64/libc.so.6: version `GLIBC_2.28' not found (required by x)""#,
                Cause::PluginNotExecutable,
            ),
            (
                "failed to allocate for range 0: no IP addresses available in range set: 10.128.0.1-10.128.1.254",
                Cause::IpamExhausted,
            ),
            (
                "failed to allocate for range 0: 10.88.0.3 has been allocated to default-redis-2, duplicate allocation is not allowed",
                Cause::IpamDuplicate,
            ),
            (
                "failed to allocate for range 0: requested IP address 172.22.1.254 is not available in range set 172.22.1.1-172.22.1.254",
                Cause::IpamAddressTaken,
            ),
            (
                r#"failed to set bridge addr: "cni0" already has an IP address different from 10.244.1.1/24"#,
                Cause::BridgeAddressConflict,
            ),
            (
                r#"failed to set bridge addr: could not add IP address to "cni0": file exists"#,
                Cause::BridgeAddressConflict,
            ),
            (
                r#"failed to create bridge "cni0": could not add "cni0": "cni0" already exists but is not a bridge"#,
                Cause::BridgeWrongKind,
            ),
            (r#"failed to connect "veth1" to bridge cni0: exchange full"#, Cause::BridgeWrongKind),
            ("container veth name provided (eth0) already exists", Cause::InterfaceExists),
            (
                r#"container veth name ("eth0") peer provided ("veth1") already exists"#,
                Cause::InterfaceExists,
            ),
            (r#"failed to Statfs "/proc/10435/ns/net": no such file or directory"#, Cause::NetnsGone),
            (
                r#"failed to open netns "/var/run/docker/netns/6f": unknown FS magic on "/var/run/docker/netns/6f": 1021994"#,
                Cause::NetnsGone,
            ),
            ("missing prevResult from earlier plugin", Cause::ChainOrderWrong),
            ("no IP ranges specified", Cause::ConfigInvalid),
            ("invalid range set 0: RangeStart 10.1.0.9 not in network 10.0.0.0/24", Cause::ConfigInvalid),
            (
                r#"netplugin failed but error parsing its diagnostic message "": unexpected end of JSON input"#,
                Cause::PluginCrashed,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(first_fit(text).map(|signature| signature.cause), Some(expected), "{text}");
        }
    }

    #[test]
    fn unknown_texts_are_not_told() {
        for text in ["", "context canceled", "something else went wrong", "failed to set up pod network"] {
            assert!(first_fit(text).is_none(), "{text}");
        }
    }

    #[test]
    fn signatures_are_in_lower_case_and_say_where_they_come_from() {
        for signature in SIGNATURES {
            assert!(!signature.all.is_empty() && !signature.from.is_empty());
            assert!(signature.all.iter().all(|part| **part == part.to_ascii_lowercase()), "{signature:?}");
        }
    }
}
