//! The way to the Kubernetes API, and what it answers.

use super::{Cause, Entry, safe};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        cause: Cause::ApiserverUnreachable,
        id: "apiserver-unreachable",
        title: "the plugin cannot reach the Kubernetes API",
        about: "The plugin asks the API server, mostly through the service's address, and gets no connection or no answer. \
                kube-proxy (or its replacement) is not up on this node, a firewall or proxy is in between, the name does \
                not resolve, or the API server itself is down.",
        texts: &[
            "dial tcp 10.96.0.1:443: i/o timeout",
            "dial tcp 10.96.0.1:443: connect: connection refused",
            "net/http: TLS handshake timeout",
        ],
        checks: &["apiserver", "iptables", "conntrack", "cidr", "agent"],
        fix: &[
            safe("test the address that the text names from this node: curl -k https://ADDRESS/readyz"),
            safe(
                "if it is the service's address, see whether kube-proxy or its replacement runs here and its rules are there",
            ),
            safe(
                "look for a proxy in the runtime's environment: the cluster's networks belong into NO_PROXY",
            ),
        ],
        verify: &[
            "cniscope doctor apiserver",
            "kubectl get --raw /readyz",
            "kubectl get endpoints kubernetes",
        ],
        hides: &[
            Cause::PluginTimeout,
            Cause::AgentRefused,
            Cause::IpamBackendUnavailable,
            Cause::IpamPoolMissing,
            Cause::NetworkNotReady,
        ],
    },
    Entry {
        cause: Cause::ApiserverDenied,
        id: "apiserver-denied",
        title: "the Kubernetes API refuses the plugin's credentials",
        about: "The API server answers, but does not accept who asks (Unauthorized) or what is asked for (forbidden). The token \
                in the plugin's kubeconfig has expired or belongs to a deleted account or another cluster, or a role is \
                missing.",
        texts: &[
            "connection is unauthorized: Unauthorized",
            "pods \"web-0\" is forbidden: User \"system:serviceaccount:kube-system:multus\" cannot get resource \"pods\"",
        ],
        checks: &["calico", "apiserver", "clock"],
        fix: &[
            safe("restart the add-on's Pod on this node: it writes a kubeconfig with a new token"),
            safe(
                "for forbidden: apply the add-on's ClusterRole and ClusterRoleBinding again, of the version that runs",
            ),
            safe("compare the node's clock with the API server's"),
        ],
        verify: &[
            "ls -l --full-time /etc/cni/net.d/*kubeconfig*",
            "kubectl --kubeconfig /etc/cni/net.d/calico-kubeconfig get nodes",
        ],
        hides: &[],
    },
    Entry {
        cause: Cause::CertificateInvalid,
        id: "certificate-invalid",
        title: "a TLS certificate is not trusted",
        about: "The connection fails in TLS: the certificate has expired or is not valid yet, is signed by an authority that \
                the plugin does not know, or is for another name. A node's wrong clock and a cluster that was made again \
                with an old kubeconfig look the same.",
        texts: &[
            "x509: certificate has expired or is not yet valid",
            "x509: certificate signed by unknown authority",
        ],
        checks: &["clock", "apiserver", "calico"],
        fix: &[
            safe("look at the node's clock first: a wrong one makes good certificates invalid"),
            safe("renew what has expired (kubeadm certs renew, or the add-on's certificates)"),
            safe(
                "restart the add-on's Pod on this node: it writes a kubeconfig with the cluster's present authority",
            ),
        ],
        verify: &[
            "timedatectl",
            "openssl s_client -connect ADDRESS </dev/null | openssl x509 -noout -dates -issuer -ext subjectAltName",
        ],
        hides: &[Cause::ApiserverUnreachable],
    },
    Entry {
        cause: Cause::KubeconfigMissing,
        id: "kubeconfig-missing",
        title: "the plugin's kubeconfig or credential file is missing or unreadable",
        about: "The plugin has nothing to find and ask the API server with; a client without a kubeconfig falls back to \
                localhost:8080. The add-on's installer has not run, its file was removed, or the configuration names \
                another path than it writes.",
        texts: &[
            "stat /etc/cni/net.d/calico-kubeconfig: no such file or directory",
            "dial tcp 127.0.0.1:8080: connect: connection refused",
        ],
        checks: &["calico", "apiserver", "config", "agent"],
        fix: &[
            safe("see whether the file that the configuration names exists and can be read"),
            safe("restart the add-on's Pod on this node: its installer writes the file"),
        ],
        verify: &["ls -lR /etc/cni/net.d", "grep -rn kubeconfig /etc/cni/net.d"],
        hides: &[],
    },
    Entry {
        cause: Cause::ApiObjectMissing,
        id: "api-object-missing",
        title: "an object that the plugin needs is not in the Kubernetes API",
        about: "The API server answers that the Pod, node, NetworkAttachmentDefinition or other resource does not exist. The \
                Pod was deleted meanwhile, a name or namespace is misspelt, the node is registered under another name, or \
                the custom resource definitions are not installed.",
        texts: &[
            "pods \"web-0\" not found",
            "cannot find a network-attachment-definition (macvlan-conf) in namespace (default)",
        ],
        checks: &["apiserver", "calico", "agent"],
        fix: &[
            safe("look for the object under the name and namespace that the text gives"),
            safe(
                "create it, or correct the Pod's annotation; install the add-on's custom resource definitions if the kind is unknown",
            ),
            safe(
                "if it is the node, compare the node's name in the API with the one that the add-on took at start",
            ),
        ],
        verify: &["kubectl get network-attachment-definitions -A", "kubectl get nodes", "kubectl get crd"],
        hides: &[],
    },
];
