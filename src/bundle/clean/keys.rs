//! The keys whose values may leave the node as they are: those of the CNI specification, of its reference plugins and of
//! the known add-ons, of runtimes' configurations, of kubeconfigs and of the journal.
//!
//! What is not here is hidden. A key that can hold a secret in any of these programs does not belong here. The lists are not
//! formatted, since a key a line makes nobody see what is missing.

/// Keys of network configurations, of results, and of what runtimes, flannel and Multus keep of them.
#[rustfmt::skip]
pub const NETWORK: &[&str] = &[
    // The specification and libcni.
    "cniVersion", "cniVersions", "supportedVersions", "name", "type", "plugins", "disableCheck", "disableGC",
    "loadOnlyInlinedPlugins", "capabilities", "prevResult", "runtimeConfig", "args", "cni", "cni.dev/attachments",
    "cni.dev/valid-attachments", "containerID", "ifname", "kind", "containerId", "ifName", "networkName", "netns",
    "capabilityArgs", "result", "code", "msg", "details",
    // Results.
    "interfaces", "interface", "ips", "ip4", "ip6", "ip", "version", "address", "gateway", "routes", "dst", "gw",
    "mtu", "advmss", "priority", "table", "scope", "mac", "sandbox", "socketPath", "pciID", "dns", "nameservers",
    "domain", "search", "options",
    // Capabilities.
    "portMappings", "hostPort", "containerPort", "protocol", "hostIP", "bandwidth", "ingressRate", "ingressBurst",
    "egressRate", "egressBurst", "ipRanges", "aliases", "infinibandGUID", "deviceID", "cgroupPath",
    // The reference plugins.
    "ipam", "ranges", "rangeStart", "rangeEnd", "range", "range_start", "range_end", "exclude", "subnet", "dataDir",
    "resolvConf", "addresses", "bridge", "isGateway", "isDefaultGateway", "forceAddress", "ipMasq", "ipMasqBackend",
    "hairpinMode", "promiscMode", "vlan", "vlanTrunk", "minID", "maxID", "id", "preserveDefaultVlan", "macspoofchk",
    "disableContainerInterface", "enabledad", "portIsolation", "master", "mode", "linkInContainer", "vlanId",
    "device", "hwaddr", "kernelpath", "pciBusID", "snat", "masqAll", "markMasqBit", "externalSetMarkChain",
    "conditionsV4", "conditionsV6", "backend", "sysctl", "promisc", "allmulti", "txQLen", "iptablesAdminChainName",
    "firewalldZone", "ingressPolicy", "vrfname", "daemonSocketPath", "request", "provide", "option", "skipDefault",
    "fromArg", "unshapedSubnets", "shapedSubnets", "numTxQueues", "numRxQueues", "hostInterface",
    "containerInterface",
    // flannel, Calico, Cilium, whereabouts.
    "delegate", "subnetFile", "log_level", "log_file_path", "log_file_max_size", "log_file_max_age",
    "log_file_max_count", "log_to_stderr", "datastore_type", "nodename", "nodename_file_optional", "policy",
    "kubernetes", "kubeconfig", "k8s_api_root", "container_settings", "allow_ip_forwarding", "feature_control",
    "ip_addrs_no_ipam", "floating_ips", "assign_ipv4", "assign_ipv6", "ipv4_pools", "ipv6_pools", "num_queues",
    "etcd_endpoints", "etcd_key_file", "etcd_cert_file", "etcd_ca_cert_file", "etcd_discovery_srv",
    "include_default_routes", "enable-debug", "log-file", "log-format", "chaining-mode", "datastore",
    "configuration_path", "enable_overlapping_ranges", "leader_lease_duration", "leader_renew_deadline",
    "leader_retry_period", "reconciler_cron_expression", "network_name", "sleep_for_race",
    // flannel's own configuration.
    "Network", "IPv6Network", "EnableIPv4", "EnableIPv6", "SubnetLen", "SubnetMin", "SubnetMax", "Backend", "Type",
    "VNI", "Port", "MTU", "DirectRouting",
    // Multus.
    "delegates", "confDir", "cniDir", "binDir", "clusterNetwork", "defaultNetworks", "systemNamespaces",
    "namespaceIsolation", "globalNamespaces", "multusNamespace", "readinessindicatorfile", "readinessindicatorFile",
    "logLevel", "logFile", "logToStderr", "logOptions", "maxSize", "maxAge", "maxBackups", "compress", "socketDir",
    "daemonSocketDir", "multusAutoconfigDir", "multusConfigFile", "multusMasterCNI", "cniConfigDir",
    "forceCNIVersion", "Conf", "ConfList", "ConfListPlugin", "Name", "IfnameRequest", "MacRequest", "IPRequest",
    "MasterPlugin", "ResourceName", "DeviceID", "IsFilterV4Gateway", "IsFilterV6Gateway",
    // cniscope.
    "cniscope", "wraps", "named", "checks", "deadlineSeconds", "enrich", "verify", "evidenceMilliseconds", "journal",
    "dir", "maxBytes", "maxFiles", "record", "group", "redact",
];

/// Keys below which every key is a name that the program knows, with a plain value: a kernel's parameter, a check, a verb.
#[rustfmt::skip]
pub const OF_NAMES: &[&str] = &[
    "sysctl", "checks", "deadlineSeconds",
];

/// Keys whose text is a configuration again, as JSON or as base64 of it.
#[rustfmt::skip]
pub const NESTED: &[&str] = &[
    "config", "Bytes",
];

/// Keys of kubeconfigs.
#[rustfmt::skip]
pub const KUBECONFIG: &[&str] = &[
    "apiVersion", "kind", "preferences", "clusters", "cluster", "server", "certificate-authority",
    "insecure-skip-tls-verify", "tls-server-name", "contexts", "context", "namespace", "user", "users", "name",
    "current-context", "client-certificate", "client-key", "tokenFile", "proxy-url",
];

/// Keys of containerd's and CRI-O's configuration.
#[rustfmt::skip]
pub const RUNTIME: &[&str] = &[
    "version", "root", "state", "imports", "oom_score", "disabled_plugins", "required_plugins", "address", "uid",
    "gid", "level", "format", "conf_dir", "bin_dir", "bin_dirs", "max_conf_num", "conf_template", "ip_pref",
    "setup_serially", "use_internal_loopback", "network_dir", "plugin_dirs", "cni_default_network",
    "network_plugin_binary_dir", "network_plugin_conf_dir", "sandbox_image", "sandbox", "SystemdCgroup",
    "runtime_type", "runtime_path", "runtime_root", "snapshotter", "default_runtime_name", "default_runtime",
    "BinaryName", "netns_mounts_under_state_dir", "restrict_oom_score_adj", "disable_cgroup", "disable_apparmor",
    "enable_selinux", "selinux", "stream_server_address", "stream_server_port", "stream_idle_timeout",
    "enable_unprivileged_ports", "enable_unprivileged_icmp", "drain_exec_sync_io_timeout", "namespaces_dir",
    "pinns_path", "manage_ns_lifecycle", "drop_infra_ctr", "cgroup_manager", "conmon", "conmon_cgroup", "listen",
    "log_level", "log_dir", "storage_driver", "pause_image", "pause_command", "pids_limit", "timeout",
    "internal_wipe", "version_file", "clean_shutdown_file", "hooks_dir", "default_sysctls", "runtime_config_path",
    "privileged_without_host_devices", "config_path", "enable_cdi", "cdi_spec_dirs",
];

/// Variables of flannel's `subnet.env`, Calico's and of other files of that form.
#[rustfmt::skip]
pub const VARIABLES: &[&str] = &[
    "FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_IPV6_NETWORK", "FLANNEL_IPV6_SUBNET", "FLANNEL_MTU",
    "FLANNEL_IPMASQ", "NAME", "ID", "ID_LIKE", "VERSION", "VERSION_ID", "VERSION_CODENAME", "PRETTY_NAME", "VARIANT",
    "VARIANT_ID", "BUILD_ID", "IMAGE_ID", "IMAGE_VERSION",
];

/// Fields of a record that are text or numbers, or lists of them that cniscope has made: they pass as free text does.
#[rustfmt::skip]
pub const RECORD_TEXTS: &[&str] = &[
    "schema", "event", "id", "time", "node", "boot_id", "pid", "start_ticks", "command", "container_id", "ifname",
    "netns", "pod_namespace", "pod_name", "network", "plugin", "outcome", "cause", "duration_ms", "plugin_ms",
    "overhead_ms", "plugin_after_ms", "exit_status", "signal", "plugin_pid", "plugin_rss_kb", "plugin_cpu_ms", "error",
    "returned", "diagnosis", "stderr", "stdout_raw", "checks", "changed", "repeated", "cni_version", "pod_uid", "plugin_path",
    "plugin_target", "plugin_mtime", "plugin_size", "cniscope_version", "config_sha256", "caller", "warnings",
    "truncated", "after_ms", "snapshot",
];

/// Variables of a call's environment, beside `CNI_ARGS`, whose parts go by [`CNI_ARGS`].
#[rustfmt::skip]
pub const ENVIRONMENT: &[&str] = &[
    "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_NETNS_OVERRIDE", "PATH",
    "TRACEPARENT", "traceparent", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
];

/// What runtimes put into `CNI_ARGS`.
#[rustfmt::skip]
pub const CNI_ARGS: &[&str] = &[
    "IgnoreUnknown", "K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID", "IP", "MAC",
];

/// Options of mounts that have a value.
#[rustfmt::skip]
pub const MOUNT_OPTIONS: &[&str] = &[
    "size", "mode", "nr_inodes", "nr_blocks", "uid", "gid", "lowerdir", "upperdir", "workdir", "errors", "data",
    "commit", "stripe", "memory_recursiveprot", "xattr", "name", "pgrp", "minproto", "maxproto", "fd", "direct",
    "pipe_ino", "timeout", "vers", "rsize", "wsize", "retrans", "hard", "hidepid", "subvol", "subvolid", "compress",
    "logbufs", "logbsize", "inode64", "ptmxmode", "uuid", "index", "redirect_dir", "space_cache",
];
