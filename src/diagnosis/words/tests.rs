//! What the system's own words tell, whoever says them.

use super::*;

/// The causes that a text's words tell, without their places.
fn causes(text: &str) -> Vec<Cause> {
    told(&text.to_ascii_lowercase()).into_iter().map(|told| told.cause).collect()
}

#[test]
fn who_does_not_answer_tells_the_cause() {
    let table = [
        ("dial unix /var/run/acme/agent.sock: connect: connection refused", Cause::AgentUnreachable),
        ("dial unix /run/acme/ipam.sock: connect: no such file or directory", Cause::IpamBackendUnavailable),
        ("dial unix /run/containerd/containerd.sock: connect: connection refused", Cause::RuntimeFailed),
        ("dial tcp 10.96.0.1:443: i/o timeout", Cause::ApiserverUnreachable),
        ("dial tcp 192.0.2.7:6443: connect: no route to host", Cause::ApiserverUnreachable),
        ("dial tcp [2001:db8::1]:6443: connect: network is unreachable", Cause::ApiserverUnreachable),
        ("dial tcp [::1]:8080: connect: connection refused", Cause::KubeconfigMissing),
        ("read: dial tcp 127.0.0.1:41000->127.0.0.1:8080: connection reset", Cause::KubeconfigMissing),
        ("dial tcp 127.0.0.1:50051: connect: connection refused", Cause::IpamBackendUnavailable),
        ("dial tcp 127.0.0.1:10090: connect: connection refused", Cause::IpamBackendUnavailable),
        ("dial tcp 192.0.2.9:2379: i/o timeout", Cause::IpamBackendUnavailable),
        ("dial tcp 127.0.0.1:9977: connect: connection refused", Cause::AgentUnreachable),
        ("dial tcp 169.254.169.254:80: i/o timeout", Cause::CloudApiFailed),
        ("dial tcp: lookup api.example.com on 192.0.2.53:53: no such host", Cause::ApiserverUnreachable),
        ("lookup ec2.eu-1.amazonaws.com on 192.0.2.53:53: no such host", Cause::CloudApiFailed),
        (
            "read tcp 192.0.2.1:4321->10.96.0.1:443: read: connection reset by peer",
            Cause::ApiserverUnreachable,
        ),
        ("write unix @->/run/acme/agent.sock: write: broken pipe", Cause::AgentUnreachable),
        ("connect(5, AF=1 \"/run/acme/cni.sock\", 40): No such file or directory", Cause::AgentUnreachable),
    ];
    for (text, cause) in table {
        assert_eq!(causes(text).first(), Some(&cause), "{text}");
    }
}

#[test]
fn an_address_of_which_nothing_is_known_tells_nothing() {
    for text in [
        "dial tcp 192.0.2.9:9999: i/o timeout",
        "dial tcp",
        "dial unix /run/acme.sock: connect: permission denied",
        "listening on /run/acme.sock",
        "lookup table is empty",
    ] {
        assert_eq!(causes(text), [], "{text}");
    }
}

#[test]
fn a_request_to_the_api_that_ends_badly_is_told_by_its_end() {
    let get = "Get \"https://10.96.0.1:443/api/v1/namespaces/a/pods/b\": ";
    for (end, expected) in [
        ("unexpected EOF", vec![Cause::ApiserverUnreachable]),
        ("net/http: TLS handshake timeout", vec![Cause::ApiserverUnreachable]),
        (
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            vec![Cause::ApiserverUnreachable],
        ),
        ("Service Unavailable", vec![Cause::ApiserverUnreachable]),
        ("Forbidden", vec![Cause::ApiserverDenied]),
        ("it rained", vec![]),
    ] {
        assert_eq!(causes(&format!("{get}{end}")), expected, "{end}");
    }
    let local = "Get http://localhost:8080/api/v1/nodes: EOF";
    assert_eq!(causes(local), [Cause::KubeconfigMissing]);
}

#[test]
fn an_object_of_the_api_is_named_by_its_resource() {
    for text in [
        r#"pods "nginx" not found"#,
        r#"nodes "node-1" not found"#,
        r#"status 400: 'pods "nginx" not found'"#,
        r#"WorkloadEndpoint.crd.projectcalico.org "WorkloadEndpoint(default/node-1)" not found"#,
        r#"failed to get annotation: pod "shop/cart-1" not found"#,
        r#"network-attachment-definitions.k8s.cni.cncf.io "side-net" not found"#,
        r#"with error: clusterinformations.crd.projectcalico.org "default" not found"#,
    ] {
        assert_eq!(causes(text), [Cause::ApiObjectMissing], "{text}");
    }
    for text in [
        r#"CNI network "pods" not found"#,
        r#"is forbidden: RBAC: clusterrole.rbac.authorization.k8s.io "calico-node" not found"#,
        r#"link "eth0" not found"#,
        r#"" not found"#,
        r#"as "x" not found"#,
    ] {
        assert_eq!(causes(text), [], "{text}");
    }
}

#[test]
fn a_program_that_is_not_there_tells_by_its_name() {
    let missing = |program: &str| causes(&format!("exec: \"{program}\": executable file not found in $PATH"));
    assert_eq!(missing("iptables"), [Cause::IptablesFailed]);
    assert_eq!(missing("/usr/sbin/ip6tables-restore"), [Cause::IptablesFailed]);
    assert_eq!(missing("nft"), [Cause::IptablesFailed]);
    assert_eq!(missing("conntrack"), [Cause::ConntrackFailed]);
    assert_eq!(missing("sh"), []);
}

#[test]
fn a_program_that_is_not_there_is_named_in_many_ways() {
    for (text, expected) in [
        (
            "nsenter: failed to execute iptables-nft-save: No such file or directory",
            vec![Cause::IptablesFailed],
        ),
        ("fork/exec /usr/sbin/ip6tables: no such file or directory", vec![Cause::IptablesFailed]),
        ("sh: 1: conntrack: not found", vec![Cause::ConntrackFailed]),
        ("/bin/sh: line 3: ipset: command not found", vec![Cause::IptablesFailed]),
        ("exec: \"nft\": file does not exist", vec![Cause::IptablesFailed]),
        ("fork/exec /opt/cni/bin/acme: no such file or directory", vec![]),
        ("the pool: not found", vec![]),
        (": command not found", vec![]),
    ] {
        assert_eq!(causes(text), expected, "{text}");
    }
}

#[test]
fn a_link_that_is_there_already_is_told_by_what_was_to_be_made() {
    for (text, expected) in [
        ("vxlan add failed: Failed to add vxlan acme7: file exists", vec![Cause::InterfaceExists]),
        ("failed to create dummy link \"d0\": file exists", vec![Cause::InterfaceExists]),
        ("rename interface tmp7 to eth0: file exists", vec![Cause::InterfaceExists]),
        ("failed to add route to link eth0: file exists", vec![]),
        ("failed to add qdisc on interface eth0: file exists", vec![]),
        ("failed to create /var/lib/acme/state: file exists", vec![]),
        ("file exists", vec![]),
    ] {
        assert_eq!(causes(text), expected, "{text}");
    }
}

#[test]
fn an_ipv6_address_that_is_denied_is_the_sysctls_doing() {
    for (text, expected) in [
        (
            "failed to add IP addr {Version:6 Interface:0xc4 Address:{IP:2001:db8::5}} to \"eth0\": permission denied",
            vec![Cause::SysctlFailed],
        ),
        ("failed to add IP addr 2001:db8::5/64 to \"eth0\": permission denied", vec![Cause::SysctlFailed]),
        ("failed to add IP addr 192.0.2.5/24 to \"eth0\": permission denied", vec![]),
        ("open 2001:db8::5: permission denied", vec![]),
    ] {
        assert_eq!(causes(text), expected, "{text}");
    }
}

#[test]
fn a_clouds_code_for_a_limit_is_the_clouds_doing() {
    for (text, expected) in [
        ("ErrorCode: EniPerInstanceLimitExceeded", vec![Cause::CloudApiFailed]),
        ("InvalidInterface.IpAddressLimitExceeded: Address count 7", vec![Cause::CloudApiFailed]),
        ("googleapi: Error 403: quotaExceeded", vec![Cause::CloudApiFailed]),
        ("the limit is exceeded", vec![]),
        ("limitExceededBy: 5", vec![]),
    ] {
        assert_eq!(causes(text), expected, "{text}");
    }
}
