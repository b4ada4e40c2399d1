//! The pools of addresses, as the check `ipam-pool` sees them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::checks::networks::Folder;
use crate::checks::subject::Subject;
use crate::checks::{Depth, TABLE, run, run_each};
use crate::diagnosis::finding::Finding;
use crate::node::{Node, bounded};

/// The check whose facts these are.
const CHECK: &str = "ipam-pool";
/// How long looking may take: Prometheus gives up after ten seconds.
const LIMIT: Duration = Duration::from_secs(4);

/// A range set of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// The network.
    pub network: String,
    /// The number of the range set.
    pub set: usize,
    /// How many addresses it has to give.
    pub capacity: f64,
    /// How many of them are taken.
    pub used: u64,
    /// How many of those no live sandbox holds; `None` where that cannot be told.
    pub leaked: Option<u64>,
}

/// Looks at the pools of the networks that the runtime takes. What cannot be looked at, or not in time, is left out.
#[must_use]
pub fn look(node: &Node, conf_dir: &Path, bin_folders: &[PathBuf]) -> Vec<Pool> {
    let Some(check) = TABLE.iter().find(|check| check.name == CHECK) else { return Vec::new() };
    let (of, dir, folders) = (node.clone(), conf_dir.to_owned(), bin_folders.to_vec());
    let read = bounded::run(LIMIT, move || Some(Folder::read(&of, &dir).ok()?.subjects(&folders)));
    let mut subjects: Vec<Subject> = read.flatten().unwrap_or_default();
    subjects.retain(check.fits);
    let look = |subject: &Subject| {
        let (node, subject) = (node.clone(), subject.clone());
        (check, move || run(check, &node, &subject, Depth::Full))
    };
    let findings = run_each(subjects.iter().map(look).collect(), LIMIT);
    let mut pools: Vec<Pool> = findings.iter().flat_map(of_finding).collect();
    // Two entries may take from the same pool.
    pools.sort_by(|one, other| (&one.network, one.set).cmp(&(&other.network, other.set)));
    pools.dedup_by(|one, other| (&one.network, one.set) == (&other.network, other.set));
    pools
}

fn of_finding(finding: &Finding) -> Vec<Pool> {
    let evidence = |name: &str| finding.evidence.get(name).cloned().unwrap_or_default();
    let folder = evidence("folder");
    // host-local names a pool's folder by its network.
    let name = Path::new(folder.as_str().unwrap_or_default()).file_name();
    let Some(network) = name.map(|name| name.to_string_lossy().into_owned()) else { return Vec::new() };
    let sets = evidence("sets");
    let sets = sets.as_array().map(Vec::as_slice).unwrap_or_default().iter().enumerate();
    sets.filter_map(|(set, counted)| {
        Some(Pool {
            network: network.clone(),
            set,
            capacity: number(&counted["capacity"])?,
            used: counted["used"].as_u64()?,
            leaked: counted["leaked"]
                .as_u64()
                .map(|leaked| leaked + counted["orphans"].as_u64().unwrap_or_default()),
        })
    })
    .collect()
}

/// A count; where it is larger than JSON's readers can hold, it stands there as text.
fn number(count: &Value) -> Option<f64> {
    count.as_f64().or_else(|| count.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    /// A node with one network of two range sets, whose sandboxes are all gone but one.
    fn node() -> (tempfile::TempDir, Node) {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let ranges = json!([[{"subnet": "10.1.0.0/29"}], [{"subnet": "fd00::/64"}]]);
        let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
            {"type": "cniscope", "cniscope": {"wraps": "bridge"}, "ipam": {"type": "host-local", "ranges": ranges}},
            {"type": "portmap"},
        ]});
        put("etc/cni/net.d/10-pods.conflist", &list.to_string());
        put("proc/7/environ", "CNI_CONTAINERID=alive\0");
        for (address, holder) in
            [("10.1.0.2", "alive\r\neth0"), ("10.1.0.3", "gone\r\neth0"), ("10.1.0.4", "")]
        {
            put(&format!("var/lib/cni/networks/pods/{address}"), holder);
        }
        let node = Node::at(root.path());
        (root, node)
    }

    #[test]
    fn each_range_set_is_a_pool() {
        let (_root, node) = node();
        let pool = |set, capacity, used, leaked| Pool { network: "pods".into(), set, capacity, used, leaked };
        let found = look(&node, Path::new("/etc/cni/net.d"), &[]);
        assert_eq!(found, [pool(0, 5.0, 3, Some(2)), pool(1, 18_446_744_073_709_551_614.0, 0, Some(0))]);
    }

    #[test]
    fn without_networks_there_are_no_pools() {
        let (root, node) = node();
        fs::remove_dir_all(root.path().join("etc")).unwrap();
        assert_eq!(look(&node, Path::new("/etc/cni/net.d"), &[]), []);
    }
}
