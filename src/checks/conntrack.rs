//! `conntrack`: the kernel's table of connections.
//!
//! A full one makes no CNI error: the kernel drops the first packets of new connections, and who connects runs into
//! timeouts. It is counted for each network namespace; this one is the node's.

use std::path::Path;

use serde_json::Value;

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

const FOLDERS: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"];
const RAISE: &str = "raise net.netfilter.nf_conntrack_max (sysctl), and look for who opens so many connections: conntrack -L \
                     counted by source";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    /// How many connections there are, and at most can be; `None` where the kernel tracks none.
    table: Option<(u64, u64)>,
    /// Since the node started.
    dropped: Option<u64>,
    has_tool: bool,
    /// kube-proxy and the kubelet's checks call the tool.
    wants_tool: bool,
}

/// Looks at the table.
#[must_use]
pub fn look(node: &Node, _: &Subject, _: Depth) -> Finding {
    let number = |name| node.read_number(Path::new(&format!("/proc/sys/net/netfilter/nf_conntrack_{name}")));
    let table = match number("count").and_then(|count| Ok(count.zip(number("max")?))) {
        Ok(table) => table,
        Err(error) => return Finding::skipped(error.to_string()),
    };
    let statistics = node.read_text(Path::new("/proc/net/stat/nf_conntrack")).ok();
    let is_file = |folder: &str| {
        node.metadata(&Path::new(folder).join("conntrack")).is_ok_and(|metadata| metadata.is_file())
    };
    judge(&Facts {
        table,
        dropped: statistics.and_then(|statistics| dropped(&statistics)),
        has_tool: FOLDERS.iter().any(|folder| is_file(folder)),
        wants_tool: node.has_kubelet(),
    })
}

/// The sum of `drop` over the processors: a line of names, then a line of hexadecimal numbers for each.
fn dropped(statistics: &str) -> Option<u64> {
    let mut lines = statistics.lines();
    let column = lines.next()?.split_ascii_whitespace().position(|name| name == "drop")?;
    let numbers = lines.map(|line| u64::from_str_radix(line.split_ascii_whitespace().nth(column)?, 16).ok());
    numbers.sum()
}

fn judge(facts: &Facts) -> Finding {
    let of_table = facts.table.and_then(|(count, max)| {
        // No limit is 0 (nf_conntrack_core.c).
        let (percent, counted) = (
            count.saturating_mul(100).checked_div(max)?,
            format!("{count} of {max} connections are tracked"),
        );
        match percent {
            100.. => {
                let summary = format!("{counted}: the kernel drops new ones");
                Some(Finding::fail(Cause::ConntrackFailed, summary).fix(RAISE))
            }
            90..100 => Some(Finding::warn(counted).explains(Cause::ConntrackFailed).fix(RAISE)),
            _ => None,
        }
    });
    let finding = of_table.unwrap_or_else(|| match facts.table {
        _ if facts.wants_tool && !facts.has_tool => {
            Finding::warn("the tool conntrack is not installed on this node")
                .explains(Cause::ConntrackFailed)
                .fix("install the package conntrack (on some distributions conntrack-tools)")
        }
        None => Finding::ok("the kernel tracks no connections here"),
        Some((count, max)) => Finding::ok(format!("{count} of {max} connections are tracked")),
    });
    finding.with("dropped", facts.dropped.map_or(Value::Null, Value::from)).with("tool", facts.has_tool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;

    #[test]
    fn states_of_the_table() {
        let failed = Some(Cause::ConntrackFailed);
        let facts = |count, max| Facts { table: Some((count, max)), has_tool: true, ..Facts::default() };
        let bare = Facts { wants_tool: true, has_tool: false, ..facts(1, 100) };
        let table = [
            (Facts::default(), Status::Ok, None, "the kernel tracks no connections here"),
            (facts(89, 100), Status::Ok, None, "89 of 100 connections are tracked"),
            (facts(90, 100), Status::Warn, failed, "90 of 100 connections are tracked"),
            (
                facts(100, 100),
                Status::Fail,
                failed,
                "100 of 100 connections are tracked: the kernel drops new ones",
            ),
            (
                facts(u64::MAX, 1),
                Status::Fail,
                failed,
                "18446744073709551615 of 1 connections are tracked: the kernel drops new ones",
            ),
            (facts(7, 0), Status::Ok, None, "7 of 0 connections are tracked"),
            (bare.clone(), Status::Warn, failed, "the tool conntrack is not installed on this node"),
            (
                Facts { table: None, ..bare },
                Status::Warn,
                failed,
                "the tool conntrack is not installed on this node",
            ),
        ];
        for (facts, status, cause, summary) in table {
            let finding = judge(&facts);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn drops_are_summed_over_the_processors() {
        let statistics = "entries  clashres found insert_failed drop early_drop\n\
                          00000000 00000000 00000000 00000000 0000000a 00000000\n\
                          00000000 00000000 00000000 00000000 00000001 00000000\n";
        let table = [(statistics, Some(11)), ("", None), ("drop\nxyz\n", None), ("entries\n1\n", None)];
        for (statistics, expected) in table {
            assert_eq!(dropped(statistics), expected, "{statistics}");
        }
    }

    fn looked(put: impl FnOnce(&Path)) -> (Status, String) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("proc/sys/net/netfilter");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("nf_conntrack_max"), "100\n").unwrap();
        put(&folder.join("nf_conntrack_count"));
        let finding = look(&Node::at(root.path()), &Subject::default(), Depth::Full);
        (finding.status, finding.summary)
    }

    #[test]
    fn the_table_is_read_below_the_root_and_what_cannot_be_read_is_not_judged() {
        let write = |content: Vec<u8>| looked(move |file| std::fs::write(file, content).unwrap());
        assert_eq!(
            write(b"100\n".to_vec()),
            (Status::Fail, "100 of 100 connections are tracked: the kernel drops new ones".to_owned())
        );
        let none = (Status::Ok, "the kernel tracks no connections here".to_owned());
        assert_eq!(looked(|_| {}), none);
        let path = "/proc/sys/net/netfilter/nf_conntrack_count";
        let skipped = |why: &str| (Status::Skipped, format!("{path}: {why}"));
        assert_eq!(write(vec![b'9'; 100]), skipped("expected a number"));
        assert_eq!(write(vec![0xff; 2 << 20]), skipped("is larger than 1048576 bytes"));
        assert_eq!(
            looked(|file| std::fs::create_dir(file).unwrap()),
            skipped("is a folder, expected a regular file")
        );
        assert_eq!(
            looked(|file| nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRWXU).unwrap()),
            skipped("is a FIFO, expected a regular file")
        );
        assert_eq!(
            looked(|file| std::os::unix::fs::symlink("nf_conntrack_count", file).unwrap()),
            skipped("too many symbolic links encountered")
        );
    }
}
