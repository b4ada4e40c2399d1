//! Real texts, and what decides where two causes fit.

use super::*;

#[track_caller]
fn assert_read(table: &[(&str, Cause)]) {
    for (text, cause) in table {
        let reading = read(text, &[]);
        assert_eq!(reading.cause, *cause, "{text}\n{:?}", reading.evidence);
    }
}

#[test]
fn messages_of_plugins_are_told() {
    assert_read(&[
        (r#"failed to find plugin "bridge" in path [/opt/bridge/bin /opt/cni/bin]"#, Cause::PluginNotFound),
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
        (r#"container veth name ("eth0") peer provided ("veth1") already exists"#, Cause::InterfaceExists),
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
    ]);
}

#[test]
fn texts_that_nothing_is_known_of_are_unknown() {
    let wrapper = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"0f\": ";
    for text in [
        "",
        "context canceled",
        "rpc error: code = Canceled desc = context canceled",
        "something else went wrong",
        "failed to set up pod network",
        "exit status 3",
        wrapper,
        &format!("{wrapper}plugin type=\"bridge\" failed (add): "),
    ] {
        let reading = read(text, &[]);
        assert_eq!((reading.cause, reading.confidence()), (Cause::Unknown, "none"), "{text}");
    }
}

#[test]
fn a_full_number_of_watches_is_not_a_full_disk() {
    assert_read(&[
        ("failed to add watch on \"/etc/cni/net.d\": no space left on device", Cause::ResourceLimit),
        ("write /var/lib/cni/results/x: no space left on device", Cause::DiskFull),
    ]);
}

#[test]
fn unreachable_on_the_way_to_the_api_is_no_route_conflict() {
    assert_read(&[
        ("dial tcp 10.96.0.1:443: connect: network is unreachable", Cause::ApiserverUnreachable),
        ("dial tcp 192.0.2.1:6443: connect: no route to host", Cause::ApiserverUnreachable),
        (
            "failed to add route '0.0.0.0/0 via 192.0.2.1 dev eth0': network is unreachable",
            Cause::RouteConflict,
        ),
    ]);
}

#[test]
fn a_client_at_localhost_8080_has_no_kubeconfig() {
    assert_read(&[
        (
            "Get \"http://localhost:8080/api/v1/pods\": dial tcp [::1]:8080: connect: connection refused",
            Cause::KubeconfigMissing,
        ),
        (
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            Cause::KubeconfigMissing,
        ),
    ]);
}

#[test]
fn permission_denied_depends_on_what_is_denied() {
    assert_read(&[
        ("fork/exec /opt/cni/bin/bridge: permission denied", Cause::PluginNotExecutable),
        ("open /var/lib/cni/networks/pods/lock: permission denied", Cause::PermissionDenied),
        ("failed to add IP addr 2001:db8::2/64 to \"eth0\": permission denied", Cause::SysctlFailed),
    ]);
}

#[test]
fn a_namespace_that_may_not_be_looked_at_is_not_gone() {
    let denied = r#"failed to Statfs "/proc/6043/ns/net": permission denied"#;
    let twice = format!(
        r#"{denied}, failed to clean up sandbox container "a" network: failed to Statfs "/proc/6043/ns/net""#
    );
    assert_read(&[(denied, Cause::PermissionDenied), (&twice, Cause::PermissionDenied)]);
    assert_read(&[(r#"failed to Statfs "/proc/6043/ns/net"#, Cause::NetnsGone)]);
}

/// The kernel says the same of rules, filters and routes that are not there, as netlink asks for them.
#[test]
fn what_is_missing_is_a_file_only_where_one_is_named() {
    assert_read(&[
        ("failed to del rule table 500: no such file or directory", Cause::Unknown),
        ("open /var/lib/cni/cache/a: no such file or directory", Cause::FilesystemBroken),
    ]);
}

#[test]
fn systemd_and_the_runtime_are_not_the_network() {
    assert_read(&[
        (
            "dial unix /run/systemd/private: connect: no such file or directory failed to add conmon to systemd sandbox cgroup",
            Cause::RuntimeFailed,
        ),
        (
            "creating container for [/x]: sd-bus call: Transport endpoint is not connected",
            Cause::RuntimeFailed,
        ),
        (r#"RuntimeHandler "runsc" not supported"#, Cause::RuntimeFailed),
    ]);
}

#[test]
fn a_daemon_that_hands_out_addresses_is_no_agent() {
    assert_read(&[
        (
            "error dialing DHCP daemon: dial unix /run/cni/dhcp.sock: connect: no such file or directory",
            Cause::IpamBackendUnavailable,
        ),
        ("dial tcp 127.0.0.1:50051: connect: connection refused", Cause::IpamBackendUnavailable),
        ("dial tcp 127.0.0.1:10090: connect: connection refused", Cause::IpamBackendUnavailable),
        ("dial unix /var/run/cilium/cilium.sock: connect: connection refused", Cause::AgentUnreachable),
        (
            "unable to create endpoint: [PUT /endpoint/{id}][429] putEndpointIdTooManyRequests",
            Cause::AgentRefused,
        ),
    ]);
}

#[test]
fn a_full_subnet_of_the_cloud_is_not_the_nodes_pool() {
    assert_read(&[
        (
            "failed to allocate a private IP: InsufficientFreeAddressesInSubnet: no free IP addresses available",
            Cause::CloudApiFailed,
        ),
        ("no IP addresses available in range set: 10.1.0.1-10.1.0.6", Cause::IpamExhausted),
        ("UnauthorizedOperation: not allowed", Cause::CloudApiFailed),
        ("Unauthorized", Cause::ApiserverDenied),
    ]);
}

#[test]
fn the_xtables_lock_is_it_whatever_stands_around() {
    assert_read(&[(
        "could not teardown ipv4 dnat: running [/sbin/iptables -t nat -D X]: exit status 4: Another app is currently holding the xtables lock. Perhaps you want to use the -w option? permission denied",
        Cause::IptablesLock,
    )]);
}

#[test]
fn a_binary_that_is_being_overwritten_cannot_be_executed() {
    assert_read(&[
        ("netplugin failed with no error message: exec: already started", Cause::PluginNotExecutable),
        ("fork/exec /opt/cni/bin/bridge: text file busy", Cause::PluginNotExecutable),
    ]);
}

#[test]
fn a_failure_of_the_runtime_is_one_unless_it_holds_an_error_of_the_network() {
    let runc = "failed to create containerd task: failed to create shim task: OCI runtime create failed: ";
    let hook =
        format!("{runc}error running hook: failed to call cni.Setup: plugin type=\"ipvlan\" failed (add): ");
    assert_read(&[
        (&format!("{runc}no space left on device"), Cause::RuntimeFailed),
        (
            "failed to get sandbox image \"pause\": Head \"https://reg.example/v2/\": dial tcp 192.0.2.1:443: i/o timeout",
            Cause::RuntimeFailed,
        ),
        ("failed to reserve sandbox name \"a\": name \"a\" is reserved for \"b\"", Cause::RuntimeFailed),
        (
            "failed to start sandbox container: Error response from daemon: driver failed programming external connectivity on endpoint a (0f1e): Bind for 0.0.0.0:80 failed: port is already allocated",
            Cause::PortConflict,
        ),
        ("write /sys/fs/cgroup/a/cgroup.subtree_control: no such file or directory", Cause::RuntimeFailed),
        (&format!("{hook}failed to lookup master \"wlan0\": Link not found"), Cause::InterfaceMissing),
    ]);
}

#[test]
fn the_innermost_error_decides_and_not_what_stands_around_it() {
    assert_read(&[
        ("failed to add route '::/0': operation not supported", Cause::KernelUnsupported),
        ("unable to create endpoint: Cilium API client timeout exceeded", Cause::AgentUnreachable),
        ("netplugin failed with no error message: signal: killed", Cause::PluginTimeout),
        (
            "error getting ClusterInformation: connection is unauthorized: Unauthorized",
            Cause::ApiserverDenied,
        ),
        (
            "Get \"https://10.96.0.1:443/api/v1/nodes\": x509: certificate has expired or is not yet valid",
            Cause::CertificateInvalid,
        ),
        ("failed to load netconf: unexpected end of JSON input", Cause::ConfigInvalid),
    ]);
}

#[test]
fn the_first_failure_decides_and_not_the_clean_up_after_it() {
    let text = r#"[failed to set up sandbox container "0f" network for pod "a": networkPlugin cni failed to set up pod "a_b" network: no IP ranges specified, failed to clean up sandbox container "0f" network for pod "a": networkPlugin cni failed to teardown pod "a_b" network: failed to Statfs "/proc/1/ns/net": no such file or directory]"#;
    assert_read(&[(text, Cause::ConfigInvalid)]);
}

#[test]
fn a_text_broken_in_the_middle_of_words_is_read() {
    let text = "networkPlugin cni failed to set up pod \"a_b\" net\nwork: device or resou\nrce busy";
    assert_read(&[(text, Cause::LinkBusy)]);
}

#[test]
fn what_cniscope_found_on_the_node_stands() {
    let text = "no IP addresses available in range set: 10.1.0.1-10.1.0.6 [cniscope: subnet-env-missing: flannel.1 is gone; see: cniscope show 01a1]";
    let reading = read(text, &[]);
    assert_eq!((reading.cause, reading.confidence()), (Cause::SubnetEnvMissing, "high"));
    let unknown =
        "no IP ranges specified [cniscope: unknown cause; no check applied; see: cniscope show 01a1]";
    assert_eq!(read(unknown, &[]).cause, Cause::ConfigInvalid);
}

#[test]
fn how_sure_a_reading_is_follows_from_what_decides() {
    let table = [
        ("no IP ranges specified", "high"),
        ("open /x: permission denied", "medium"),
        ("context deadline exceeded", "low"),
        ("it rained", "none"),
    ];
    for (text, confidence) in table {
        assert_eq!(read(text, &[]).confidence(), confidence, "{text}");
    }
}

#[test]
fn a_signature_of_the_owner_decides_before_the_others() {
    let own = super::super::own::parse(
        "acme.json",
        br#"{"cause": "agent-refused", "all": ["Widget", "is full"], "plugin": "acme"}"#,
    );
    let (own, warnings) = own;
    assert!(warnings.is_empty());
    let text = |plugin: &str| {
        format!("plugin type=\"{plugin}\" failed (add): widget 7 is full: no space left on device")
    };
    let reading = read(&text("acme"), &own);
    assert_eq!(reading.cause, Cause::AgentRefused);
    assert_eq!(
        reading.evidence.as_deref(),
        Some("the error's text has “Widget” and “is full”, as acme.json says")
    );
    assert_eq!(read(&text("bridge"), &own).cause, Cause::DiskFull);
    assert_eq!(read("WIDGET is full", &own).cause, Cause::AgentRefused);
}

#[test]
fn what_is_not_a_plugins_is_told_by_who_says_it() {
    let table = [
        (
            "failed to resolve reference \"r.io/pause:3.9\": dial tcp 10.0.0.1:443: i/o timeout",
            Cause::RuntimeFailed,
        ),
        ("toomanyrequests: You have reached your pull rate limit", Cause::RuntimeFailed),
        ("invalid configuration: no server found for cluster \"local\"", Cause::KubeconfigMissing),
        ("the server does not allow access to the requested resource", Cause::ApiserverDenied),
        (
            "serviceaccounts \"a\" is forbidden: User \"b\" cannot create resource \"c\": RBAC: \
          clusterrole.rbac.authorization.k8s.io \"d\" not found",
            Cause::ApiserverDenied,
        ),
        ("admission webhook \"a.b\" denied the request: no", Cause::ApiserverDenied),
        ("Timeout: request did not complete within requested timeout 30s", Cause::ApiserverUnreachable),
        ("Error response from daemon: network web_default not found", Cause::NetworkNotReady),
        ("no available IPv4 addresses on this network's address pools: a", Cause::IpamExhausted),
        ("the given pool (10.1.0.0/24) does not exist", Cause::IpamPoolMissing),
        ("ipset v7.1: Error in line 10: The set with the given name does not exist", Cause::IptablesFailed),
        ("ipset v6.34: Kernel error received: set type not supported", Cause::IptablesFailed),
    ];
    for (text, cause) in table {
        assert_eq!(read(text, &[]).cause, cause, "{text}");
    }
}
