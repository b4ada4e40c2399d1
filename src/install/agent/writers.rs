//! Who writes a list, told from what is written, and what is to be done where he writes it again and again. Pure.

/// Somebody who writes lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer {
    /// A word for him.
    pub name: &'static str,
    /// The plugins by which his lists are known.
    plugins: &'static [&'static str],
    /// What to do, so that he and cniscope are not in each other's way.
    pub advice: &'static str,
}

/// Those who are known. The first whose plugin a list has is the one: Multus' list holds another one's, and Cilium's chained
/// lists are written by Cilium.
const WRITERS: [Writer; 4] = [
    Writer {
        name: "multus",
        plugins: &["multus", "multus-shim"],
        advice: "Multus generates its list from the first other one, and again whenever that changes: give it a list of its own \
                 (--multus-conf-file=FILE, or multusConfigFile in its daemon-config.json, instead of auto), wrapped by \
                 `cniscope install`",
    },
    Writer {
        name: "cilium",
        plugins: &["cilium-cni"],
        advice: "Cilium writes its list back after every change in the folder: let it keep the one that stands there, with \
                 cni.customConf=true in its Helm values (and cni.exclusive=false where other lists are to stay: it renames them \
                 to *.cilium_bak), and run `cniscope install` once more",
    },
    Writer {
        name: "calico",
        plugins: &["calico"],
        advice: "Calico writes its list when the container install-cni of calico-node starts, so that seems to restart all the \
                 time: kubectl get pods -A -l k8s-app=calico-node, and the logs of that container",
    },
    Writer {
        name: "flannel",
        plugins: &["flannel"],
        advice: "flannel copies its list from cni-conf.json in the ConfigMap kube-flannel-cfg when its Pod starts, so that seems \
                 to restart all the time: kubectl get pods -A -l app=flannel; the list in the ConfigMap can be a wrapped one",
    },
];

/// Whoever is not known.
const OTHER: Writer = Writer {
    name: "unknown",
    plugins: &[],
    advice: "find who writes it, for example with auditctl -w FILE -p wa and ausearch -f FILE, and let him write the wrapped list",
};

/// Who writes a list with these plugins.
#[must_use]
pub fn of<'p>(plugins: impl IntoIterator<Item = &'p str>) -> Writer {
    let plugins: Vec<&str> = plugins.into_iter().collect();
    let is_his = |writer: &&Writer| writer.plugins.iter().any(|plugin| plugins.contains(plugin));
    WRITERS.iter().find(is_his).copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_known_by_its_plugins() {
        let table: [(&[&str], &str); 9] = [
            (&["calico", "bandwidth", "portmap"], "calico"),
            (&["cilium-cni"], "cilium"),
            (&["aws-cni", "egress-cni", "portmap", "cilium-cni"], "cilium"),
            (&["flannel", "portmap", "cilium-cni"], "cilium"),
            (&["flannel", "portmap"], "flannel"),
            (&["multus"], "multus"),
            (&["multus-shim", "calico"], "multus"),
            (&["bridge"], "unknown"),
            (&[], "unknown"),
        ];
        for (plugins, expected) in table {
            assert_eq!(of(plugins.iter().copied()).name, expected, "{plugins:?}");
        }
    }

    #[test]
    fn everybody_has_an_advice_in_one_line() {
        for writer in WRITERS.iter().chain([&OTHER]) {
            assert!(writer.advice.len() > 40 && !writer.advice.contains('\n'), "{writer:?}");
        }
    }
}
