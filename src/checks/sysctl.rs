//! `sysctl`: parameters of the kernel that networks need.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use ipnetwork::Ipv6Network;
use serde_json::Value;

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::{Finding, Status};
use crate::node::Node;

/// What the call wants of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    plugin: String,
    ipv6: bool,
    /// The bridge to which the plugin gives the gateways' addresses.
    gateway: Option<String>,
    /// Parameters that `tuning` sets.
    tuned: Vec<String>,
}

/// The values; `None` where there is no such parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Values {
    has_ipv6: bool,
    disable_ipv6_all: Option<i64>,
    /// Of the bridge, or else of a link that is yet to come.
    disable_ipv6_bridge: Option<i64>,
    ip_forward: Option<i64>,
    rp_filter: Option<i64>,
    bridge_nf: Option<i64>,
    /// A kubelet works on this node.
    kubernetes: bool,
    /// The bridge is there, and Pods are on it.
    bridge_in_use: bool,
    untunable: Vec<String>,
}

/// Looks at the parameters.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let wanted = wanted(node, subject);
    if !node.metadata(Path::new("/proc/sys/net/ipv4")).is_ok_and(|metadata| metadata.is_dir()) {
        return Finding::skipped("/proc/sys/net cannot be read");
    }
    let unread = RefCell::new(None);
    let value = |name: &str| {
        node.read_number(&path_of(name)).unwrap_or_else(|error| {
            unread.replace(Some(error.to_string()));
            None
        })
    };
    let of_link = |link: &str| value(&format!("net/ipv6/conf/{link}/disable_ipv6"));
    let gateway = wanted.gateway.as_deref();
    let is_missing = |name: &&String| node.metadata(&path_of(name)).is_err_and(|error| error.is_missing());
    let bridge = subject.bridge();
    let in_use = |bridge: String| node.link(&bridge, None).ok().flatten().is_some_and(|link| link.carrier);
    let values = Values {
        has_ipv6: node.metadata(Path::new("/proc/sys/net/ipv6")).is_ok(),
        disable_ipv6_all: of_link("all"),
        disable_ipv6_bridge: gateway.and_then(|bridge| of_link(bridge).or_else(|| of_link("default"))),
        ip_forward: value("net/ipv4/ip_forward"),
        rp_filter: value("net/ipv4/conf/all/rp_filter"),
        bridge_nf: value("net/bridge/bridge-nf-call-iptables"),
        kubernetes: node.has_kubelet(),
        bridge_in_use: bridge.is_some_and(in_use),
        untunable: wanted.tuned.iter().filter(is_missing).cloned().collect(),
    };
    let finding = judge(&wanted, &values);
    match unread.take() {
        Some(why) if finding.status == Status::Ok => Finding::skipped(why),
        _ => finding,
    }
}

/// As the tuning plugin makes it: a `.` between the parts of the name, or a `/` where a part itself has a `.`.
fn path_of(name: &str) -> PathBuf {
    let slashed = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    Path::new("/proc/sys").join(slashed)
}

fn wanted(node: &Node, subject: &Subject) -> Wanted {
    // Where flannel's file cannot be read, that is the finding of the check `flannel`.
    let config = subject.effective_config(node).unwrap_or(Cow::Borrowed(&subject.config));
    let is_gateway = ["isGateway", "isDefaultGateway"].iter().any(|key| config[*key] == Value::Bool(true));
    let tuned = subject.config["sysctl"].as_object().filter(|_| subject.plugin == "tuning");
    // What is per interface is there when the interface is.
    let of_interfaces = |name: &str| name.contains("IFNAME") || name.contains(&subject.ifname);
    Wanted {
        plugin: subject.plugin.clone(),
        ipv6: has_ipv6(&config),
        gateway: subject.bridge().filter(|_| is_gateway),
        tuned: tuned
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .filter(|name| subject.ifname.is_empty() || !of_interfaces(name))
            .filter(|name| !name.contains("IFNAME"))
            .collect(),
    }
}

/// Whether an IPv6 address or network stands anywhere in it, name servers aside.
fn has_ipv6(config: &Value) -> bool {
    match config {
        Value::String(text) => {
            text.contains(':') && (text.parse::<Ipv6Addr>().is_ok() || text.parse::<Ipv6Network>().is_ok())
        }
        Value::Array(items) => items.iter().any(has_ipv6),
        Value::Object(fields) => fields.iter().any(|(key, value)| key != "dns" && has_ipv6(value)),
        _ => false,
    }
}

fn judge(wanted: &Wanted, values: &Values) -> Finding {
    let mut findings = [
        of_tuning(values),
        if wanted.ipv6 { of_ipv6(wanted, values) } else { None },
        of_forwarding(wanted, values),
    ];
    let finding = findings.iter_mut().find_map(Option::take);
    let finding = finding.unwrap_or_else(|| Finding::ok("the kernel's parameters fit the network"));
    finding
        .with("net.ipv4.ip_forward", values.ip_forward)
        .with("net.ipv4.conf.all.rp_filter", values.rp_filter)
        .with("net.ipv6.conf.all.disable_ipv6", values.disable_ipv6_all)
        .with("net.bridge.bridge-nf-call-iptables", values.bridge_nf)
}

fn of_tuning(values: &Values) -> Option<Finding> {
    let first = values.untunable.first()?;
    let summary = format!("the kernel has no parameter {first}, which the configuration sets");
    let finding = Finding::fail(Cause::SysctlFailed, summary).with("missing", values.untunable.clone());
    Some(finding.fix(format!("correct {first} in the configuration, or load the module that provides it")))
}

fn of_ipv6(wanted: &Wanted, values: &Values) -> Option<Finding> {
    let without = "or take the IPv6 ranges out of the network's configuration";
    if !values.has_ipv6 {
        let summary = "the network has IPv6 addresses, but this kernel runs without IPv6";
        return Some(
            Finding::fail(Cause::SysctlFailed, summary)
                .fix("take ipv6.disable=1 off the kernel's command line and reboot, where the node is to have IPv6")
                .fix(without),
        );
    }
    if let Some(bridge) = wanted.gateway.as_ref().filter(|_| values.disable_ipv6_bridge == Some(1)) {
        let summary = format!(
            "the network has IPv6 addresses, but IPv6 is off for {bridge}, which is to have one (disable_ipv6=1)"
        );
        return Some(
            Finding::fail(Cause::SysctlFailed, summary)
                .fix(format!("sysctl -w net.ipv6.conf.default.disable_ipv6=0; if it exists: net.ipv6.conf.{bridge}.disable_ipv6=0"))
                .fix(without),
        );
    }
    (values.disable_ipv6_all == Some(1)).then(|| {
        Finding::warn("the network has IPv6 addresses, but IPv6 is off on this node (disable_ipv6=1)")
            .explains(Cause::SysctlFailed)
            .fix("sysctl -w net.ipv6.conf.all.disable_ipv6=0")
            .fix(without)
    })
}

fn of_forwarding(wanted: &Wanted, values: &Values) -> Option<Finding> {
    let plugin = wanted.plugin.as_str();
    // bridge and ptp set it themselves in every ADD: until the first one it may be off.
    if values.ip_forward == Some(0) && (values.bridge_in_use || matches!(plugin, "calico" | "cilium-cni")) {
        let summary = "net.ipv4.ip_forward is 0: this node does not forward what Pods send";
        return Some(Finding::warn(summary).fix("sysctl -w net.ipv4.ip_forward=1, and in /etc/sysctl.d"));
    }
    // Felix refuses to start with the loose filter; with the strict one the node drops what Cilium routes past it.
    let wrong_filter = match (plugin, values.rp_filter) {
        ("calico", Some(2)) => Some(("loose", 1)),
        ("cilium-cni", Some(1)) => Some(("strict", 0)),
        _ => None,
    };
    if let Some((how, value)) = wrong_filter {
        let summary = format!("net.ipv4.conf.all.rp_filter is {how}, which {plugin} does not work with");
        return Some(Finding::warn(summary).fix(format!("sysctl -w net.ipv4.conf.all.rp_filter={value}")));
    }
    if values.kubernetes && values.bridge_in_use && values.bridge_nf != Some(1) {
        let summary =
            "net.bridge.bridge-nf-call-iptables is not 1: services do not answer Pods of their own node";
        return Some(Finding::warn(summary).fix(
            "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1, and in /etc/sysctl.d",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;

    fn values() -> Values {
        Values {
            has_ipv6: true,
            disable_ipv6_all: Some(0),
            disable_ipv6_bridge: Some(0),
            ip_forward: Some(1),
            rp_filter: Some(0),
            bridge_nf: Some(1),
            kubernetes: true,
            bridge_in_use: true,
            untunable: Vec::new(),
        }
    }

    fn dual(plugin: &str, gateway: Option<&str>) -> Wanted {
        Wanted { plugin: plugin.into(), ipv6: true, gateway: gateway.map(str::to_owned), tuned: Vec::new() }
    }

    #[test]
    fn states_of_the_parameters() {
        let failed = Some(Cause::SysctlFailed);
        let v4 = || Wanted { ipv6: false, ..dual("bridge", None) };
        let off = || Values { disable_ipv6_all: Some(1), disable_ipv6_bridge: Some(1), ..values() };
        let idle = Values { ip_forward: Some(0), bridge_nf: None, bridge_in_use: false, ..values() };
        let well = "the kernel's parameters fit the network";
        let table = [
            (dual("bridge", Some("cni0")), values(), Status::Ok, None, well),
            (v4(), off(), Status::Ok, None, well),
            (v4(), idle, Status::Ok, None, well),
            (
                dual("bridge", Some("cni0")),
                off(),
                Status::Fail,
                failed,
                "the network has IPv6 addresses, but IPv6 is off for cni0, which is to have one (disable_ipv6=1)",
            ),
            (
                dual("macvlan", None),
                off(),
                Status::Warn,
                failed,
                "the network has IPv6 addresses, but IPv6 is off on this node (disable_ipv6=1)",
            ),
            (
                dual("ptp", None),
                Values { has_ipv6: false, disable_ipv6_all: None, ..values() },
                Status::Fail,
                failed,
                "the network has IPv6 addresses, but this kernel runs without IPv6",
            ),
            (
                v4(),
                Values { ip_forward: Some(0), ..values() },
                Status::Warn,
                None,
                "net.ipv4.ip_forward is 0: this node does not forward what Pods send",
            ),
            (
                dual("calico", None),
                Values { rp_filter: Some(2), ..values() },
                Status::Warn,
                None,
                "net.ipv4.conf.all.rp_filter is loose, which calico does not work with",
            ),
            (
                dual("cilium-cni", None),
                Values { rp_filter: Some(1), ..values() },
                Status::Warn,
                None,
                "net.ipv4.conf.all.rp_filter is strict, which cilium-cni does not work with",
            ),
            (
                v4(),
                Values { bridge_nf: None, ..values() },
                Status::Warn,
                None,
                "net.bridge.bridge-nf-call-iptables is not 1: services do not answer Pods of their own node",
            ),
            (v4(), Values { bridge_nf: None, kubernetes: false, ..values() }, Status::Ok, None, well),
            (
                v4(),
                Values { untunable: vec!["net.ipv4.weather".into()], ..values() },
                Status::Fail,
                failed,
                "the kernel has no parameter net.ipv4.weather, which the configuration sets",
            ),
        ];
        for (wanted, values, status, cause, summary) in table {
            let finding = judge(&wanted, &values);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn ipv6_is_found_wherever_it_stands() {
        let table = [
            (json!({"ipam": {"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64"}]]}}), true),
            (json!({"ipam": {"addresses": [{"address": "fd00::5/64"}]}}), true),
            (json!({"runtimeConfig": {"ips": ["fd00::7"]}}), true),
            (json!({"ipam": {"subnet": "10.1.0.0/16"}, "dns": {"nameservers": ["fd00::53"]}}), false),
            (json!({"name": "a:b", "mac": "02:fc:00:00:00:01"}), false),
        ];
        for (config, expected) in table {
            assert_eq!(has_ipv6(&config), expected, "{config}");
        }
    }

    fn looked(plugin: &str, config: Value, put: impl FnOnce(&Path)) -> Finding {
        let root = tempfile::tempdir().unwrap();
        let sys = root.path().join("proc/sys/net");
        for (name, value) in [("ipv4/ip_forward", "1\n"), ("ipv6/conf/all/disable_ipv6", "1\n")] {
            std::fs::create_dir_all(sys.join(name).parent().unwrap()).unwrap();
            std::fs::write(sys.join(name), value).unwrap();
        }
        put(&sys);
        let subject = Subject { plugin: plugin.into(), config, ifname: "eth0".into(), ..Subject::default() };
        look(&Node::at(root.path()), &subject, Depth::Full)
    }

    #[test]
    fn parameters_are_read_below_the_root() {
        let dual = || json!({"ipam": {"subnet": "fd00::/64"}});
        let finding = looked("macvlan", dual(), |_| {});
        assert_eq!((finding.status, finding.cause), (Status::Warn, Some(Cause::SysctlFailed)));
        assert_eq!(finding.evidence["net.ipv6.conf.all.disable_ipv6"], json!(1));
        let finding = looked("macvlan", dual(), |sys| {
            std::fs::write(sys.join("ipv6/conf/all/disable_ipv6"), [0xff; 9000]).unwrap();
        });
        assert_eq!(
            (finding.status, finding.summary.as_str()),
            (Status::Skipped, "/proc/sys/net/ipv6/conf/all/disable_ipv6: expected a number")
        );
        let finding = looked("macvlan", dual(), |sys| std::fs::remove_dir_all(sys).unwrap());
        assert_eq!(
            (finding.status, finding.summary.as_str()),
            (Status::Skipped, "/proc/sys/net cannot be read")
        );
    }

    #[test]
    fn what_tuning_sets_has_to_exist_and_interfaces_are_left_out() {
        let tuning = |names: &[&str]| {
            let sysctl: serde_json::Map<_, _> =
                names.iter().map(|name| ((*name).to_owned(), json!("1"))).collect();
            looked("tuning", json!({"sysctl": sysctl}), |_| {}).cause
        };
        assert_eq!(tuning(&["net.ipv4.ip_forward", "net/ipv4/ip_forward"]), None);
        assert_eq!(tuning(&["net.ipv4.conf.IFNAME.arp_notify", "net.ipv4.conf.eth0.arp_notify"]), None);
        assert_eq!(tuning(&["net.ipv4.ip_forward", "net.core.weather"]), Some(Cause::SysctlFailed));
    }
}
