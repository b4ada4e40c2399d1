//! `iptables`: the tool, its two back ends side by side, and the xtables lock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::firewall::Rules;
use crate::node::locks::Holder;

/// The legacy back end's lock (`iptables/xshared.c`); that of nf_tables takes none.
const LOCK: &str = "/run/xtables.lock";
/// Every rewrite of rules holds the lock for a moment. What holds it longer is worth a word.
const MOMENT: Duration = Duration::from_millis(300);
/// Where the runtime's plugins find the tool.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Tables that `iptables` itself makes in nf_tables. Others are of programs that speak nf_tables themselves.
const OF_IPTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
/// What the two back ends need of the kernel.
const MODULES: [&str; 4] = ["ip_tables", "iptable_nat", "nf_tables", "nf_nat"];

/// The facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    /// Whether the plugin needs the tool.
    needed: bool,
    tool: Option<PathBuf>,
    /// The back end that the tool works with, as the file behind its name tells.
    back_end: Option<&'static str>,
    /// `None` where they cannot be read.
    legacy: Option<Rules>,
    nft: Option<Rules>,
    lock_is_folder: bool,
    /// Who has held the lock for longer than a moment.
    holder: Option<Holder>,
    modules: Vec<&'static str>,
}

/// Whether there is anything to look at: everywhere.
#[must_use]
pub fn fits(_: &Subject) -> bool {
    true
}

/// Looks at the tool, the rules and the lock.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let tool = FOLDERS.iter().map(|folder| Path::new(folder).join("iptables"));
    let tool = tool.into_iter().find(|path| node.metadata(path).is_ok_and(|metadata| metadata.is_file()));
    let lock = Path::new(LOCK);
    judge(&Facts {
        needed: needs(subject),
        back_end: tool.as_deref().and_then(|tool| back_end(node, tool)),
        tool,
        legacy: node.legacy_rules(),
        nft: node.nft_rules(),
        lock_is_folder: node.metadata(lock).is_ok_and(|metadata| metadata.is_dir()),
        holder: node.lock_holder(lock).and_then(|holder| {
            std::thread::sleep(MOMENT);
            node.lock_holder(lock).filter(|still| *still == holder)
        }),
        modules: MODULES.into_iter().filter(|module| node.has_module(module)).collect(),
    })
}

/// Whether the plugin calls iptables (`plugins/meta/{portmap,firewall}`, and `ipMasq` of the others).
fn needs(subject: &Subject) -> bool {
    let config = &subject.config;
    let masquerades = config["ipMasq"].as_bool() == Some(true);
    match subject.plugin.as_str() {
        "portmap" => config["backend"] != "nftables",
        "firewall" => config["backend"] != "firewalld",
        "bridge" | "ptp" => masquerades && config["ipMasqBackend"] != "nftables",
        _ => false,
    }
}

/// The name of the file that the tool's links end in tells the back end: `xtables-nft-multi` or `xtables-legacy-multi`.
fn back_end(node: &Node, tool: &Path) -> Option<&'static str> {
    let mut path = tool.to_owned();
    for _ in 0..8 {
        let Some(target) = node.link_target(&path) else { break };
        path = path.parent()?.join(target);
    }
    let name = path.file_name()?.to_str()?;
    ["nft", "legacy"].into_iter().find(|back_end| name.contains(back_end))
}

fn judge(facts: &Facts) -> Finding {
    let finding = verdict(facts)
        .with("tool", facts.tool.as_ref().map(|tool| tool.display().to_string()))
        .with("back_end", facts.back_end)
        .with("legacy_rules", json!(facts.legacy))
        .with("nft_rules", json!(facts.nft))
        .with("modules", facts.modules.clone());
    match &facts.holder {
        Some(holder) => finding
            .with("lock_held_by", holder.to_string())
            .with("lock_holder_command", holder.command_line.as_str())
            .with("lock_holder_pid", holder.pid),
        None => finding,
    }
}

fn verdict(facts: &Facts) -> Finding {
    let Facts { tool, back_end, .. } = facts;
    if let Some(holder) = &facts.holder {
        let pid = holder.pid;
        return Finding::warn(format!("another process has held {LOCK} for longer than a moment"))
            .explains(Cause::IptablesLock)
            .fix(format!("find the holder of {LOCK} and see what it does"))
            .fix(format!("look at the holder: ps -o pid,ppid,etime,wchan,args -p {pid}"))
            .fix(format!("destructive: if it hangs, end it: kill {pid} (its rules may be half written)"));
    }
    if facts.lock_is_folder {
        let what = format!("{LOCK} is a folder, so iptables' legacy back end cannot open its lock");
        let finding = if facts.needed && *back_end == Some("legacy") {
            Finding::fail(Cause::IptablesFailed, what)
        } else {
            Finding::warn(what).explains(Cause::IptablesFailed)
        };
        return finding.fix(format!(
            "find the Pod that mounts {LOCK} without type: FileOrCreate, correct it, then: rmdir {LOCK}"
        ));
    }
    if facts.needed && tool.is_none() {
        return Finding::warn("iptables is not installed, and this plugin calls it")
            .explains(Cause::IptablesFailed)
            .fix("install the package iptables on this node");
    }
    let legacy = total(facts.legacy.as_ref(), |_| true);
    let by_iptables = total(facts.nft.as_ref(), |table| {
        table
            .split_once(' ')
            .is_some_and(|(family, name)| matches!(family, "ip" | "ip6") && OF_IPTABLES.contains(&name))
    });
    match (legacy, by_iptables) {
        (None, _) | (_, None) => Finding::skipped("the firewall's rules cannot be read"),
        (Some(legacy), Some(nft)) if legacy > 0 && nft > 0 => {
            let uses =
                back_end.map(|used| format!("; iptables on this node uses {used}")).unwrap_or_default();
            Finding::warn(format!(
                "rules of both back ends stand side by side: {legacy} legacy, {nft} nf_tables{uses}"
            ))
            .explains(Cause::IptablesFailed)
            .fix("compare iptables-legacy-save and iptables-nft-save, and find who writes to the one that is not to be used")
            .fix("use one back end on the node, for the host and for the add-on's images")
        }
        (Some(legacy), Some(nft)) => {
            Finding::ok(format!("one back end has rules ({legacy} legacy, {nft} nf_tables), {LOCK} is free"))
        }
    }
}

fn total(rules: Option<&Rules>, counts: impl Fn(&str) -> bool) -> Option<usize> {
    rules.map(|rules| rules.iter().filter(|(table, _)| counts(table)).map(|(_, rules)| rules).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use nix::fcntl::{Flock, FlockArg};

    fn rules(tables: &[(&str, usize)]) -> Rules {
        tables.iter().map(|(table, rules)| ((*table).to_owned(), *rules)).collect()
    }

    fn well() -> Facts {
        Facts {
            needed: true,
            tool: Some("/usr/sbin/iptables".into()),
            back_end: Some("nft"),
            legacy: Some(Rules::new()),
            nft: Some(rules(&[("ip nat", 4), ("ip filter", 3), ("inet firewalld", 90)])),
            ..Facts::default()
        }
    }

    #[test]
    fn states_of_the_firewall() {
        let failed = Some(Cause::IptablesFailed);
        let legacy = |rules| Facts { legacy: rules, ..well() };
        let table = [
            (
                well(),
                Status::Ok,
                None,
                "one back end has rules (0 legacy, 7 nf_tables), /run/xtables.lock is free",
            ),
            (
                legacy(Some(rules(&[("ip nat", 0)]))),
                Status::Ok,
                None,
                "one back end has rules (0 legacy, 7 nf_tables), /run/xtables.lock is free",
            ),
            (
                legacy(Some(rules(&[("ip nat", 12)]))),
                Status::Warn,
                failed,
                "rules of both back ends stand side by side: 12 legacy, 7 nf_tables; iptables on this node uses nft",
            ),
            (
                Facts {
                    nft: Some(rules(&[("inet firewalld", 90)])),
                    ..legacy(Some(rules(&[("ip nat", 12)])))
                },
                Status::Ok,
                None,
                "one back end has rules (12 legacy, 0 nf_tables), /run/xtables.lock is free",
            ),
            (legacy(None), Status::Skipped, None, "the firewall's rules cannot be read"),
            (
                Facts { tool: None, ..well() },
                Status::Warn,
                failed,
                "iptables is not installed, and this plugin calls it",
            ),
            (
                Facts { lock_is_folder: true, ..well() },
                Status::Warn,
                failed,
                "/run/xtables.lock is a folder, so iptables' legacy back end cannot open its lock",
            ),
            (
                Facts { lock_is_folder: true, back_end: Some("legacy"), ..well() },
                Status::Fail,
                failed,
                "/run/xtables.lock is a folder, so iptables' legacy back end cannot open its lock",
            ),
        ];
        for (facts, status, cause, summary) in table {
            let finding = judge(&facts);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn a_plugin_that_does_not_call_it_does_not_miss_it() {
        let without = Facts { tool: None, needed: false, ..well() };
        assert_eq!(judge(&without).status, Status::Ok);
        let subject = |plugin: &str, config| Subject { plugin: plugin.into(), config, ..Subject::default() };
        let table = [
            (subject("portmap", json!({})), true),
            (subject("portmap", json!({"backend": "nftables"})), false),
            (subject("bridge", json!({"ipMasq": true})), true),
            (subject("bridge", json!({"ipMasq": true, "ipMasqBackend": "nftables"})), false),
            (subject("bridge", json!({})), false),
            (subject("cilium-cni", json!({})), false),
        ];
        for (subject, expected) in table {
            assert_eq!(needs(&subject), expected, "{} {}", subject.plugin, subject.config);
        }
    }

    #[test]
    fn the_holder_of_the_lock_stands_in_the_evidence_and_not_in_what_tenants_read() {
        let holder = Holder { pid: 77, name: "kube-proxy".into(), command_line: "kube-proxy --v=2".into() };
        let finding = judge(&Facts { holder: Some(holder), ..well() });
        assert_eq!((finding.status, finding.cause), (Status::Warn, Some(Cause::IptablesLock)));
        assert_eq!(
            (&finding.evidence["lock_held_by"], &finding.evidence["lock_holder_command"]),
            (&json!("kube-proxy (pid 77)"), &json!("kube-proxy --v=2"))
        );
        let read_by_tenants = format!("{} {}", finding.summary, finding.fix[0]);
        assert!(!read_by_tenants.contains("77") && !read_by_tenants.contains("kube-proxy"));
    }

    fn node() -> (tempfile::TempDir, Node) {
        let root = tempfile::tempdir().unwrap();
        for folder in ["usr/sbin", "etc/alternatives", "run", "proc/net"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let node = Node::at(root.path());
        (root, node)
    }

    #[test]
    fn the_back_end_is_told_by_the_links() {
        let (root, node) = node();
        let link =
            |target: &str, path: &str| std::os::unix::fs::symlink(target, root.path().join(path)).unwrap();
        std::fs::write(root.path().join("usr/sbin/xtables-nft-multi"), "").unwrap();
        link("xtables-nft-multi", "usr/sbin/iptables-nft");
        link("/usr/sbin/iptables-nft", "etc/alternatives/iptables");
        link("/etc/alternatives/iptables", "usr/sbin/iptables");
        let finding = look(&node, &Subject::default(), Depth::Full);
        assert_eq!(
            (&finding.evidence["tool"], &finding.evidence["back_end"]),
            (&json!("/usr/sbin/iptables"), &json!("nft"))
        );
        link("loop", "usr/sbin/loop");
        assert_eq!(back_end(&node, Path::new("/usr/sbin/loop")), None);
    }

    #[test]
    fn a_lock_that_stays_held_is_a_warning() {
        let (root, _) = node();
        let lock = root.path().join("run/xtables.lock");
        let _held = Flock::lock(std::fs::File::create(&lock).unwrap(), FlockArg::LockExclusive).unwrap();
        // The processes are this machine's: the holder is looked for among them.
        std::fs::remove_dir_all(root.path().join("proc")).unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::copy("/proc/locks", root.path().join("proc/locks")).unwrap();
        let finding = look(&Node::at(root.path()), &Subject::default(), Depth::Full);
        assert_eq!(
            (finding.status, &finding.evidence["lock_holder_pid"]),
            (Status::Warn, &json!(std::process::id()))
        );
    }

    #[test]
    fn what_is_absurd_is_not_guessed_about() {
        let (root, node) = node();
        nix::unistd::mkfifo(&root.path().join("proc/net/ip_tables_names"), nix::sys::stat::Mode::S_IRWXU)
            .unwrap();
        std::fs::create_dir(root.path().join("usr/sbin/iptables")).unwrap();
        let finding = look(&node, &Subject::default(), Depth::Full);
        assert_eq!(
            (finding.status, finding.summary.as_str(), &finding.evidence["tool"]),
            (Status::Skipped, "the firewall's rules cannot be read", &json!(null))
        );
    }
}
