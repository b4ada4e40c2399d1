//! Evidence of a node for somebody who is not on it: gathered item by item, cleaned, hashed, and packed into one file.
//!
//! An item is a row in [`items::TABLE`]. Each has its own time, in a thread of its own that is left behind where it hangs:
//! then the bundle has what came until then, and says so. Nothing that is wrong with the node keeps a bundle from being made;
//! only where it cannot be written there is none.

pub mod archive;
pub mod check;
pub mod clean;
pub mod gather;
mod items;
pub mod manifest;
pub mod unpacked;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::digest::sha256;
use crate::node::{Node, bounded};
use archive::Archive;
use clean::Text;
use gather::{Gathered, Gatherer, Piece, Plan};
use items::{Item, TABLE};
use manifest::{Manifest, Redacted, Row, Status};

/// The most places of hidden things that are listed.
const MAX_LISTED: usize = 20_000;

/// How much a bundle may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many bytes it may hold, unpacked.
    pub size: u64,
    /// How long it may take.
    pub time: Duration,
}

/// The names of the items.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|item| item.name)
}

/// Makes a bundle at `place`, whose files are below `folder`; gives its manifest and its size in bytes.
///
/// # Errors
/// If it cannot be written.
pub fn make(
    node: &Node,
    plan: Plan,
    text: Text,
    bounds: Bounds,
    (place, folder, time): (&Path, &str, SystemTime),
    version: &str,
) -> io::Result<(Manifest, u64)> {
    let started = Instant::now();
    let mut making = Making::new(node, plan, text, bounds, (place, folder, time))?;
    for item in TABLE {
        making.gather(item)?;
    }
    making.finish(node, time, started, version)
}

/// A bundle while it is made.
struct Making {
    archive: Archive,
    node: Node,
    plan: Arc<Plan>,
    text: Arc<Text>,
    room: Arc<AtomicU64>,
    unnamed: Arc<AtomicU64>,
    until: Instant,
    rows: Vec<Row>,
    redacted: Vec<Redacted>,
    hidden: usize,
    paths: HashSet<String>,
}

impl Making {
    fn new(
        node: &Node,
        plan: Plan,
        text: Text,
        bounds: Bounds,
        (place, folder, time): (&Path, &str, SystemTime),
    ) -> io::Result<Making> {
        Ok(Making {
            archive: Archive::create(place, folder, time)?,
            node: node.clone(),
            plan: Arc::new(plan),
            text: Arc::new(text),
            room: Arc::new(AtomicU64::new(bounds.size)),
            unnamed: Arc::default(),
            until: Instant::now() + bounds.time,
            rows: Vec::new(),
            redacted: Vec::new(),
            hidden: 0,
            paths: HashSet::new(),
        })
    }

    fn gather(&mut self, item: &'static Item) -> io::Result<()> {
        let limit = item.limit.min(self.until.saturating_duration_since(Instant::now()));
        let (started, before) = (Instant::now(), self.rows.len());
        let mut last = started;
        let (sender, receiver) = mpsc::sync_channel(0);
        let gatherer = Gatherer {
            node: self.node.clone(),
            plan: self.plan.clone(),
            limit,
            text: self.text.clone(),
            room: self.room.clone(),
            unnamed: self.unnamed.clone(),
            sender,
        };
        let is_started = !limit.is_zero()
            && bounded::spawn(move || {
                if gathered(item, &gatherer).is_ok() {
                    let _ = gatherer.sender.send(None);
                }
            })
            .is_some();
        if !is_started {
            let reason = if limit.is_zero() {
                "no time was left for it (--timeout)"
            } else {
                "no thread could be had"
            };
            self.without(item, Status::Timeout, reason.to_owned(), Duration::ZERO);
            return Ok(());
        }
        loop {
            match receiver.recv_timeout(limit.saturating_sub(started.elapsed())) {
                Ok(Some(piece)) => {
                    self.add(item, piece, last.elapsed())?;
                    last = Instant::now();
                }
                Ok(None) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let so_far = if self.rows.len() > before { "; what came until then is here" } else { "" };
                    let reason = format!("not had within {} ms{so_far}", limit.as_millis());
                    self.without(item, Status::Timeout, reason, started.elapsed());
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let reason = "the item itself failed; please report it".to_owned();
                    self.without(item, Status::Failed, reason, started.elapsed());
                    break;
                }
            }
        }
        if self.rows.len() == before {
            self.without(item, Status::Missing, item.none.to_owned(), started.elapsed());
        }
        Ok(())
    }

    fn without(&mut self, item: &Item, status: Status, reason: String, took: Duration) {
        let name = item.name.to_owned();
        self.rows.push(Row {
            name,
            path: None,
            sha256: None,
            size: 0,
            status,
            reason: Some(reason),
            took_ms: millis(took),
        });
    }

    fn add(&mut self, item: &Item, piece: Piece, took: Duration) -> io::Result<()> {
        // Reasons name paths and what others have said.
        let reason = piece.reason.map(|reason| self.text.hide(&reason).unwrap_or(reason));
        let Some((path, content)) = piece.file else {
            self.without(item, piece.status, reason.unwrap_or_default(), took);
            return Ok(());
        };
        if !self.paths.insert(path.clone()) {
            // Two items may look at the same file.
            return Ok(());
        }
        self.hidden += piece.hidden.len();
        let room = MAX_LISTED.saturating_sub(self.redacted.len());
        let listed = piece.hidden.into_iter().take(room);
        self.redacted.extend(listed.map(|one| Redacted {
            file: path.clone(),
            place: one.place,
            kind: one.why,
        }));
        self.put(item.name, path, &content, piece.status, reason, took)
    }

    fn put(
        &mut self,
        name: &str,
        path: String,
        content: &[u8],
        status: Status,
        reason: Option<String>,
        took: Duration,
    ) -> io::Result<()> {
        self.archive.add(&path, content)?;
        let (sha256, size) = (Some(sha256(content)), content.len() as u64);
        self.rows.push(Row {
            name: name.to_owned(),
            path: Some(path),
            sha256,
            size,
            status,
            reason,
            took_ms: millis(took),
        });
        Ok(())
    }

    fn finish(
        mut self,
        node: &Node,
        time: SystemTime,
        started: Instant,
        version: &str,
    ) -> io::Result<(Manifest, u64)> {
        let not_listed = self.hidden - self.redacted.len();
        let list = json!({"schema": manifest::SCHEMA, "redacted": self.redacted, "not_listed": not_listed});
        let list = format!("{list:#}\n");
        self.put(
            "redacted",
            manifest::REDACTED.to_owned(),
            list.as_bytes(),
            Status::Ok,
            None,
            Duration::ZERO,
        )?;
        let manifest = Manifest {
            schema: manifest::SCHEMA,
            version: version.to_owned(),
            node: node.host_name(),
            time: crate::node::clock::rfc3339(time),
            took_ms: millis(started.elapsed()),
            redacted: self.hidden,
            items: self.rows,
        };
        let content = serde_json::to_vec_pretty(&manifest)?;
        self.archive.add(manifest::NAME, &content)?;
        Ok((manifest, self.archive.finish()?))
    }
}

/// Gathers an item. Of the files of another node those alone are looked at: what this kernel tells is not that node's.
fn gathered(item: &Item, to: &Gatherer) -> Gathered {
    if item.is_live && !to.node.has_this_kernel() {
        return to.without(Status::Missing, "these are the files of another node, which cannot be asked");
    }
    (item.gather)(to)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    static HANGS: Item = Item {
        name: "hangs",
        limit: Duration::from_millis(200),
        none: "nothing",
        is_live: false,
        gather: |to| {
            to.found("first.json", &1)?;
            std::thread::sleep(Duration::from_mins(10));
            to.found("late.json", &2)
        },
    };
    static PANICS: Item =
        Item { name: "panics", gather: |_| std::panic::resume_unwind(Box::new("on purpose")), ..HANGS };
    static NOTHING: Item =
        Item { name: "nothing", limit: Duration::from_mins(1), gather: |_| Ok(()), ..HANGS };
    static LARGE: Item = Item {
        name: "large",
        gather: |to| to.put("large", &[b'x'; 5000], clean::Form::Text, None),
        ..NOTHING
    };
    static TWICE: Item = Item { name: "twice", gather: |to| to.found("first.json", &3), ..NOTHING };
    static LIVE: Item = Item { name: "live", is_live: true, ..TWICE };

    /// What the manifest says of these items: path, status, reason.
    fn rows(items: &[&'static Item], time: Duration) -> Vec<(Option<String>, Status, Option<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::at(folder.path());
        let plan = Plan {
            conf_dir: PathBuf::new(),
            bin_folders: Vec::new(),
            journal: PathBuf::new(),
            kubeconfig: None,
        };
        let bounds = Bounds { size: 4096, time };
        let place = (&*folder.path().join("b"), "top", SystemTime::UNIX_EPOCH);
        let mut making = Making::new(&node, plan, Text::new(&[]), bounds, place).unwrap();
        for item in items {
            making.gather(item).unwrap();
        }
        making.rows.into_iter().map(|row| (row.path, row.status, row.reason)).collect()
    }

    fn row(
        path: Option<&str>,
        status: Status,
        reason: Option<&str>,
    ) -> (Option<String>, Status, Option<String>) {
        (path.map(str::to_owned), status, reason.map(str::to_owned))
    }

    #[test]
    fn an_item_that_hangs_leaves_what_came_before_and_holds_up_no_other() {
        let late = "not had within 200 ms; what came until then is here";
        let expected = [
            row(Some("first.json"), Status::Ok, None),
            row(None, Status::Timeout, Some(late)),
            row(None, Status::Failed, Some("the item itself failed; please report it")),
            row(None, Status::Missing, Some("nothing")),
        ];
        assert_eq!(rows(&[&HANGS, &PANICS, &NOTHING], Duration::from_mins(1)), expected);
    }

    #[test]
    fn room_and_time_are_bounded() {
        let large = "large: no room is left for its 5000 bytes (--max-size)";
        let expected = [row(None, Status::Cut, Some(large)), row(Some("first.json"), Status::Ok, None)];
        assert_eq!(rows(&[&LARGE, &TWICE], Duration::from_mins(1)), expected);
        let late = row(None, Status::Timeout, Some("no time was left for it (--timeout)"));
        assert_eq!(rows(&[&TWICE, &NOTHING], Duration::ZERO), [late.clone(), late]);
    }

    #[test]
    fn a_file_is_there_once_and_of_other_nodes_only_files_are() {
        let elsewhere = "these are the files of another node, which cannot be asked";
        let first = row(Some("first.json"), Status::Ok, None);
        let expected =
            [first, row(None, Status::Missing, Some("nothing")), row(None, Status::Missing, Some(elsewhere))];
        assert_eq!(rows(&[&TWICE, &TWICE, &LIVE], Duration::from_mins(1)), expected);
    }
}
