//! What the caches of results tell of calls: who went past cniscope, and who was there before it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use memchr::memmem;

use super::bypass::{Way, way};
use crate::journal::sources::open_files;
use crate::node::Node;
use crate::node::results::{Cached, FOLDERS};

/// More files of a folder are not looked at.
const MAX_FILES: usize = 1 << 16;
/// The most calls that are named at once.
const MAX_NAMED: usize = 10;
/// How far back the journal is searched, in bytes.
const MAX_SEARCHED: u64 = 8 << 20;

/// All attachments that are known of.
#[derive(Debug, Default)]
pub struct Attachments {
    /// By file, with what tells a new content from an old one.
    known: BTreeMap<PathBuf, (Option<SystemTime>, Option<Known>)>,
    /// How many went past, by network.
    past: BTreeMap<String, u64>,
}

/// An attachment and what was found of it. The configuration is not kept: there are as many as Pods.
#[derive(Debug)]
struct Known {
    attachment: Cached,
    way: Way,
}

/// What the caches tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many calls went past cniscope since this began, by network.
    pub past: BTreeMap<String, u64>,
    /// How many sandboxes of this boot were started unwrapped, and are still there.
    pub unwrapped: usize,
    /// How many attachments there are whose cache does not tell how they were added.
    pub untold: usize,
    /// Those that went past and were not known of before, in a sentence each.
    pub news: Vec<String>,
}

impl Attachments {
    /// Looks at what is new. `wrapped` gives since when a network has been wrapped.
    pub fn look(
        &mut self,
        node: &Node,
        journal: &Path,
        wrapped: impl Fn(&str) -> Option<SystemTime>,
    ) -> Tally {
        let mut news = Vec::new();
        let mut there = BTreeSet::new();
        for folder in FOLDERS.map(Path::new) {
            for name in node.list(folder, MAX_FILES).unwrap_or_default().names {
                let path = folder.join(name);
                let changed = node.metadata(&path).ok().and_then(|metadata| metadata.modified().ok());
                there.insert(path.clone());
                if self.known.get(&path).is_some_and(|(known, _)| *known == changed) {
                    continue;
                }
                let known = node.cached_result(&path).map(|attachment| {
                    let way = self.judge(&attachment, journal, &wrapped, &mut news);
                    Known { attachment: Cached { config: Vec::new(), ..attachment }, way }
                });
                self.known.insert(path, (changed, known));
            }
        }
        self.known.retain(|path, _| there.contains(path));
        if news.len() > MAX_NAMED {
            let more = news.len() - MAX_NAMED;
            news.truncate(MAX_NAMED);
            news.push(format!("{more} more calls went past cniscope"));
        }
        self.tally(node.boot_time(), news)
    }

    fn judge(
        &mut self,
        attachment: &Cached,
        journal: &Path,
        wrapped: &impl Fn(&str) -> Option<SystemTime>,
        news: &mut Vec<String>,
    ) -> Way {
        let found = way(attachment, wrapped(&attachment.network));
        if found != Way::Past {
            return found;
        }
        if is_recorded(journal, &attachment.container) {
            return Way::Through;
        }
        *self.past.entry(attachment.network.clone()).or_default() += 1;
        news.push(format!(
            "a call went past cniscope: ADD of {} for container {} in network {:?}, by a configuration that is not wrapped; has \
             the runtime loaded the one that is?",
            attachment.interface, attachment.container, attachment.network
        ));
        found
    }

    fn tally(&self, booted: Option<SystemTime>, news: Vec<String>) -> Tally {
        let known = || self.known.values().filter_map(|(_, known)| known.as_ref());
        // Files of an earlier boot stay until somebody deletes the attachments.
        let is_of_this_boot = |one: &&Known| {
            !one.attachment.is_gone && booted.is_none_or(|booted| one.attachment.ended >= booted)
        };
        let unwrapped: BTreeSet<&str> = known()
            .filter(|one| matches!(one.way, Way::Before | Way::Past))
            .filter(is_of_this_boot)
            .map(|one| one.attachment.container.as_str())
            .collect();
        Tally {
            past: self.past.clone(),
            unwrapped: unwrapped.len(),
            untold: known().filter(|one| one.way == Way::Untold).filter(is_of_this_boot).count(),
            news,
        }
    }
}

/// Whether the end of the journal has a record of the container.
fn is_recorded(journal: &Path, container: &str) -> bool {
    let wanted = format!("\"container_id\":{}", serde_json::Value::from(container));
    let finder = memmem::Finder::new(&wanted);
    let mut left = MAX_SEARCHED;
    for (_, mut file) in open_files(journal).unwrap_or_default().into_iter().rev() {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let mut position = size.saturating_sub(left);
        left = left.saturating_sub(size);
        let overlap = wanted.len() as u64;
        let mut block = Vec::new();
        while position < size {
            block.clear();
            let read = file.seek(SeekFrom::Start(position)).and_then(|_| {
                std::io::Read::by_ref(&mut file).take(256 * 1024 + overlap).read_to_end(&mut block)
            });
            if read.is_err() || block.is_empty() {
                break;
            }
            if finder.find(&block).is_some() {
                return true;
            }
            position += 256 * 1024;
        }
        if left == 0 {
            break;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;
    use std::fs;
    use std::time::Duration;

    /// A node with these results, whose calls ended ten minutes ago.
    fn node(results: &[(&str, &str)]) -> (tempfile::TempDir, Node) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("var/lib/cni/results");
        fs::create_dir_all(&folder).unwrap();
        for (container, kind) in results {
            let config = STANDARD.encode(json!({"plugins": [{"type": kind}]}).to_string());
            let cached =
                json!({"containerId": container, "ifName": "eth0", "networkName": "pods", "config": config});
            let path = folder.join(format!("pods-{container}-eth0"));
            fs::write(&path, cached.to_string()).unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_mins(10)).unwrap();
        }
        let node = Node::at(root.path());
        (root, node)
    }

    fn ago(minutes: u64) -> SystemTime {
        SystemTime::now() - Duration::from_mins(minutes)
    }

    #[test]
    fn a_call_that_went_past_is_counted_and_named_once() {
        let (root, node) = node(&[("c1", "bridge"), ("c2", "cniscope"), ("c3", "bridge")]);
        let mut attachments = Attachments::default();
        let journal = root.path().join("log");
        fs::create_dir(&journal).unwrap();
        fs::write(journal.join("journal.jsonl"), "{\"id\":\"a\",\"container_id\":\"c3\"}\n").unwrap();
        let found = attachments.look(&node, &journal, |_| Some(ago(20)));
        assert_eq!(found.past, BTreeMap::from([("pods".to_owned(), 1)]));
        assert_eq!((found.unwrapped, found.untold), (1, 0));
        assert_eq!(
            found.news,
            [
                "a call went past cniscope: ADD of eth0 for container c1 in network \"pods\", by a configuration that is not \
                 wrapped; has the runtime loaded the one that is?"
            ]
        );
        let again = attachments.look(&node, &journal, |_| Some(ago(20)));
        assert_eq!(again, Tally { news: Vec::new(), ..found });
    }

    #[test]
    fn what_was_there_before_is_a_gap_until_it_is_deleted() {
        let (root, node) = node(&[("c1", "bridge"), ("c2", "cniscope")]);
        let mut attachments = Attachments::default();
        let mut look = || attachments.look(&node, root.path(), |_| Some(ago(5)));
        assert_eq!(look(), Tally { unwrapped: 1, ..Tally::default() });
        fs::remove_file(root.path().join("var/lib/cni/results/pods-c1-eth0")).unwrap();
        assert_eq!(look(), Tally::default());
    }

    #[test]
    fn results_of_an_earlier_boot_are_no_gap() {
        let (root, node) = node(&[("c1", "bridge")]);
        fs::create_dir(root.path().join("proc")).unwrap();
        let boot = ago(9).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        fs::write(root.path().join("proc/stat"), format!("btime {boot}\n")).unwrap();
        let found = Attachments::default().look(&node, root.path(), |_| None);
        assert_eq!(found, Tally::default());
    }

    #[test]
    fn a_record_is_found_wherever_it_stands_in_the_end_of_the_journal() {
        let root = tempfile::tempdir().unwrap();
        let filler = "x".repeat(256 * 1024 - 10);
        let text = format!("{filler}\"container_id\":\"c1\"{filler}{filler}");
        fs::write(root.path().join("journal.1.jsonl"), text).unwrap();
        fs::write(root.path().join("journal.jsonl"), "{}\n").unwrap();
        assert!(is_recorded(root.path(), "c1"));
        assert!(!is_recorded(root.path(), "c"));
        fs::write(root.path().join("journal.jsonl"), "y".repeat(9 << 20)).unwrap();
        assert!(!is_recorded(root.path(), "c1"), "so far back nobody looks");
        assert!(!is_recorded(&root.path().join("none"), "c1"));
    }
}
