//! `ipam-pool`: host-local's store (`plugins/ipam/host-local/backend/disk`).
//!
//! A file for every address, named by it, holds the container's id and the interface. Its existence alone reserves the
//! address; what no live sandbox holds any more is leaked, and an empty one is an orphan that no DEL finds.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde_json::{Value, json};

use super::Depth;
use super::ranges::{self, RangeSet};
use super::subject::Subject;
use crate::cni::environment::Verb;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::files::{FileError, Listing};

/// Where host-local keeps its pools.
const DATA_DIR: &str = "/var/lib/cni/networks";
/// Before a call, no more files than this are counted: a larger pool is not read on the path of a good call.
const QUICK_FILES: usize = 4096;
/// Before a call, no folder of more bytes than this is listed: it has, or once had, more files than that (ext4's do not shrink).
const QUICK_BYTES: u64 = 512 << 10;
/// In a pool of more than [`QUICK_FILES`], the holders of so many addresses are read. To read them all takes half a second for
/// 65,000 of them.
const SAMPLE: usize = 256;
/// The largest pool that is looked at.
const MAX_FILES: usize = 200_000;
/// How many addresses a record names.
const NAMED: usize = 16;

/// One reserved address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reservation {
    address: IpAddr,
    /// The container and the interface; `None` where the file was not read.
    holder: Option<(String, String)>,
}

/// The facts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pool {
    network: String,
    folder: PathBuf,
    sets: Vec<RangeSet>,
    reservations: Vec<Reservation>,
    /// The containers among the holders that are gone; `None` where it was not looked for.
    gone: Option<BTreeSet<String>>,
    lock_holder: Option<String>,
}

/// Whether the call takes addresses from host-local.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    subject.verb == Verb::Add && subject.uses_host_local() && !subject.is_chained()
}

/// Looks at the pool of the call's network.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let config = match subject.effective_config(node) {
        Ok(config) => config,
        Err(why) => return Finding::skipped(why),
    };
    // What is wrong in the ranges is the finding of the check `config`.
    let Ok(sets) = ranges::of_config(&config) else { return Finding::skipped("the ranges cannot be read") };
    let data_dir = config["ipam"]["dataDir"].as_str().filter(|dir| !dir.is_empty()).unwrap_or(DATA_DIR);
    let network = config["name"].as_str().unwrap_or_default().to_owned();
    let folder = Path::new(data_dir).join(&network);
    let limit = if depth == Depth::Quick { QUICK_FILES } else { MAX_FILES };
    let is_large = || node.metadata(&folder).is_ok_and(|metadata| metadata.len() > QUICK_BYTES);
    if depth == Depth::Quick && is_large() {
        return Finding::skipped(format!("{} is too large to be listed before a call", folder.display()));
    }
    let listing = match node.list(&folder, limit) {
        Ok(listing) => listing,
        // The plugin makes it; what is no folder it can neither use nor make one.
        Err(FileError::System { errno: Errno::ENOENT, .. }) => Listing::default(),
        Err(error) => return Finding::skipped(error.to_string()),
    };
    if listing.cut {
        return Finding::skipped(format!("{} has more than {limit} files", folder.display()));
    }
    let addresses = listing.names.iter().filter_map(|name| name.to_str()?.parse().ok());
    let mut pool = Pool {
        reservations: addresses.map(|address| Reservation { address, holder: None }).collect(),
        network,
        folder,
        sets,
        gone: None,
        lock_holder: None,
    };
    if depth == Depth::Full {
        read_holders(node, &mut pool);
        pool.lock_holder = node.lock_holder(&pool.folder.join("lock")).map(|holder| holder.to_string());
    }
    judge(&pool, &subject.container_id, &subject.ifname)
}

fn read_holders(node: &Node, pool: &mut Pool) {
    let most = if pool.reservations.len() > QUICK_FILES { SAMPLE } else { QUICK_FILES };
    for reservation in pool.reservations.iter_mut().take(most) {
        let path = pool.folder.join(reservation.address.to_string());
        reservation.holder = node.read_start(&path, 4096).ok().map(|content| parse_holder(&content));
    }
    let holders = pool.reservations.iter().filter_map(|reservation| reservation.holder.as_ref());
    let ids = holders.map(|(id, _)| id.clone()).filter(|id| !id.is_empty()).collect();
    pool.gone = node.gone_sandboxes(&pool.network, ids);
}

/// `<container id>\r\n<interface>`; old releases wrote the id alone.
fn parse_holder(content: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(content);
    let mut lines = text.lines().map(str::trim);
    (lines.next().unwrap_or_default().to_owned(), lines.next().unwrap_or_default().to_owned())
}

/// One range set with what is taken of it.
struct Use<'a> {
    set: &'a RangeSet,
    position: usize,
    used: Vec<&'a Reservation>,
}

impl Use<'_> {
    fn free(&self) -> u128 {
        self.set.capacity().saturating_sub(self.used.len() as u128)
    }

    fn counted(&self) -> String {
        format!("{} of {} addresses used", self.used.len(), self.set.capacity())
    }
}

fn judge(pool: &Pool, container_id: &str, ifname: &str) -> Finding {
    let uses: Vec<Use<'_>> = pool
        .sets
        .iter()
        .enumerate()
        .map(|(position, set)| {
            let used =
                pool.reservations.iter().filter(|reservation| set.gives(reservation.address)).collect();
            Use { set, position, used }
        })
        .collect();
    let leaked = |held: &Reservation| match (&held.holder, &pool.gone) {
        (Some((id, _)), Some(gone)) => gone.contains(id),
        _ => false,
    };
    let orphan = |held: &Reservation| held.holder.as_ref().is_some_and(|(id, _)| id.is_empty());
    let own = |held: &Reservation| {
        let (id, interface) = held.holder.as_ref()?;
        let same_interface = interface.is_empty() || interface == ifname;
        (!id.is_empty() && id == container_id && same_interface).then_some(held.address)
    };
    // The tightest set decides: a container takes an address of each.
    let tightest = uses.iter().min_by_key(|one| one.free());
    let finding = match tightest {
        None => Finding::skipped("the network has no ranges"),
        Some(tightest) => {
            let in_set =
                if uses.len() > 1 { format!(" (range set {})", tightest.position) } else { String::new() };
            let lost = tightest.used.iter().filter(|held| leaked(held) || orphan(held)).count();
            let seen = tightest.used.iter().filter(|held| held.holder.is_some()).count();
            let is_sample = seen < tightest.used.len();
            let of_them = match lost {
                0 => String::new(),
                _ if is_sample => format!(", {lost} of the {seen} looked at leaked"),
                _ => format!(", {lost} of them leaked"),
            };
            let summary = format!("{}{of_them}{in_set}", tightest.counted());
            if let Some(address) = uses.iter().flat_map(|one| one.used.iter()).find_map(|held| own(held)) {
                Finding::fail(Cause::IpamDuplicate, format!("this container already holds {address}"))
                    .fix("delete the Pod, or run DEL for the container: the address is released with it")
            } else if tightest.free() == 0 {
                let finding = Finding::fail(Cause::IpamExhausted, summary);
                let folder = pool.folder.display();
                match lost {
                    0 => finding,
                    _ if is_sample => {
                        finding.fix(format!("release the leaked addresses: remove their files in {folder}"))
                    }
                    _ => finding
                        .fix(format!("release the {lost} leaked addresses: remove their files in {folder}")),
                }
            } else if tightest.free().saturating_mul(10) <= tightest.set.capacity() {
                Finding::warn(summary)
            } else {
                Finding::ok(summary)
            }
        }
    };
    let named = |chosen: &dyn Fn(&Reservation) -> bool| -> Value {
        let mut held: Vec<&Reservation> =
            uses.iter().flat_map(|one| one.used.iter().copied()).filter(|held| chosen(held)).collect();
        // A folder lists its files in any order.
        held.sort_unstable_by_key(|held| held.address);
        let named = held.into_iter().take(NAMED);
        named
            .map(|held| {
                let (id, interface) = held.holder.clone().unwrap_or_default();
                json!({"address": held.address.to_string(), "container_id": id, "ifname": interface})
            })
            .collect()
    };
    let sets: Value = uses
        .iter()
        .map(|one| {
            let count =
                |chosen: &dyn Fn(&Reservation) -> bool| one.used.iter().filter(|held| chosen(held)).count();
            json!({
                "ranges": one.set.to_string(), "capacity": number(one.set.capacity()), "used": one.used.len(),
                "free": number(one.free()),
                "leaked": pool.gone.as_ref().map(|_| count(&leaked)), "orphans": count(&orphan),
            })
        })
        .collect();
    let mut finding = finding.with("folder", pool.folder.display().to_string()).with("sets", sets);
    if pool.gone.is_some() {
        finding = finding.with("leaked", named(&leaked)).with("orphans", named(&orphan));
    }
    if let Some(holder) = &pool.lock_holder {
        finding = finding.with("lock_held_by", holder.as_str());
    }
    finding
}

/// A count as a number where JSON's readers can hold it, else as text.
fn number(count: u128) -> Value {
    u64::try_from(count).map_or_else(|_| Value::String(count.to_string()), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;

    fn pool(subnet: &str, held: &[(&str, &str)], gone: Option<&[&str]>) -> Pool {
        Pool {
            network: "demo".into(),
            folder: PathBuf::from("/var/lib/cni/networks/demo"),
            sets: ranges::of_config(&json!({"ipam": {"subnet": subnet}})).unwrap(),
            reservations: held
                .iter()
                .map(|(address, id)| Reservation {
                    address: address.parse().unwrap(),
                    holder: gone.map(|_| ((*id).to_owned(), "eth0".to_owned())),
                })
                .collect(),
            gone: gone.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
            lock_holder: None,
        }
    }

    const FIVE: [(&str, &str); 5] =
        [("10.1.0.2", "a"), ("10.1.0.3", "b"), ("10.1.0.4", "c"), ("10.1.0.5", "d"), ("10.1.0.6", "e")];

    fn verdict(pool: &Pool) -> (Status, Option<Cause>, String) {
        let finding = judge(pool, "new", "eth0");
        (finding.status, finding.cause, finding.summary)
    }

    #[test]
    fn a_pool_is_judged_by_what_is_free() {
        let table = [
            (pool("10.1.0.0/29", &FIVE[..2], None), Status::Ok, None, "2 of 5 addresses used"),
            (
                pool("10.1.0.0/29", &FIVE, None),
                Status::Fail,
                Some(Cause::IpamExhausted),
                "5 of 5 addresses used",
            ),
            (
                pool("10.1.0.0/29", &FIVE, Some(&["b", "c"])),
                Status::Fail,
                Some(Cause::IpamExhausted),
                "5 of 5 addresses used, 2 of them leaked",
            ),
            (pool("10.9.0.0/29", &FIVE, None), Status::Ok, None, "0 of 5 addresses used"),
        ];
        for (pool, status, cause, summary) in table {
            assert_eq!(verdict(&pool), (status, cause, summary.to_owned()));
        }
    }

    #[test]
    fn a_pool_with_a_tenth_left_is_a_warning() {
        let held: Vec<(String, &str)> = (2..30).map(|last| (format!("10.1.0.{last}"), "x")).collect();
        let held: Vec<(&str, &str)> = held.iter().map(|(address, id)| (address.as_str(), *id)).collect();
        assert_eq!(verdict(&pool("10.1.0.0/27", &held[..27], None)).0, Status::Warn);
        assert_eq!(verdict(&pool("10.1.0.0/27", &held[..26], None)).0, Status::Ok);
    }

    #[test]
    fn leaks_are_named_with_their_holders_and_the_fix_names_the_folder() {
        let mut full = pool("10.1.0.0/29", &FIVE, Some(&["b"]));
        full.reservations[4].holder = Some((String::new(), String::new()));
        let finding = judge(&full, "new", "eth0");
        assert_eq!(finding.summary, "5 of 5 addresses used, 2 of them leaked");
        assert_eq!(
            finding.evidence["leaked"],
            json!([{"address": "10.1.0.3", "container_id": "b", "ifname": "eth0"}])
        );
        assert_eq!(
            finding.evidence["orphans"],
            json!([{"address": "10.1.0.6", "container_id": "", "ifname": ""}])
        );
        assert_eq!(
            finding.evidence["sets"],
            json!([{"ranges": "10.1.0.1-10.1.0.6", "capacity": 5, "used": 5, "free": 0, "leaked": 1, "orphans": 1}])
        );
        assert_eq!(
            finding.fix,
            ["release the 2 leaked addresses: remove their files in /var/lib/cni/networks/demo"]
        );
    }

    #[test]
    fn of_a_large_pool_some_holders_are_read_and_the_finding_says_so() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("pools/demo");
        std::fs::create_dir_all(&folder).unwrap();
        let addresses = (0..QUICK_FILES + 4).map(|number| format!("10.1.{}.{}", number / 256, number % 256));
        for address in addresses.skip(2) {
            std::fs::write(folder.join(address), "").unwrap();
        }
        let config = json!({"name": "demo", "ipam": {
            "type": "host-local", "dataDir": "/pools", "ranges": [[{"subnet": "10.1.0.0/19", "rangeEnd": "10.1.16.3"}]],
        }});
        let subject = Subject { plugin: "bridge".into(), config, ..Subject::default() };
        let node = Node::at(root.path());
        let finding = look(&node, &subject, Depth::Full);
        assert_eq!(
            (finding.status, finding.summary.as_str()),
            (Status::Fail, "4098 of 4098 addresses used, 256 of the 256 looked at leaked")
        );
        assert_eq!(finding.fix, ["release the leaked addresses: remove their files in /pools/demo"]);
        let finding = look(&node, &subject, Depth::Quick);
        let expected = (Status::Skipped, "/pools/demo has more than 4096 files");
        assert_eq!((finding.status, finding.summary.as_str()), expected);
    }

    #[test]
    fn leaks_are_named_in_the_order_of_their_addresses() {
        let mut full = pool("10.1.0.0/29", &FIVE, Some(&["b", "d"]));
        full.reservations.reverse();
        let leaked = judge(&full, "new", "eth0").evidence["leaked"].clone();
        assert_eq!((&leaked[0]["address"], &leaked[1]["address"]), (&json!("10.1.0.3"), &json!("10.1.0.5")));
    }

    #[test]
    fn the_containers_own_address_comes_first() {
        let finding = judge(&pool("10.1.0.0/29", &FIVE, Some(&[])), "d", "eth0");
        assert_eq!(
            (finding.cause, finding.summary.as_str()),
            (Some(Cause::IpamDuplicate), "this container already holds 10.1.0.5")
        );
        assert_eq!(
            judge(&pool("10.1.0.0/29", &FIVE, Some(&[])), "d", "net1").cause,
            Some(Cause::IpamExhausted)
        );
    }

    #[test]
    fn holders_are_read_as_the_plugin_writes_them() {
        let table: [(&[u8], (&str, &str)); 4] = [
            (b"abc\r\neth0", ("abc", "eth0")),
            (b"abc", ("abc", "")),
            (b"", ("", "")),
            (b" abc \n", ("abc", "")),
        ];
        for (content, (id, interface)) in table {
            assert_eq!(parse_holder(content), (id.to_owned(), interface.to_owned()));
        }
    }

    #[test]
    fn a_pool_is_read_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("pools/demo");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["10.1.0.2", "10.1.0.3", "last_reserved_ip.0", "lock"] {
            std::fs::write(folder.join(name), "id\r\neth0").unwrap();
        }
        let config = json!({"name": "demo", "ipam": {"type": "host-local", "subnet": "10.1.0.0/29", "dataDir": "/pools"}});
        let subject = Subject { plugin: "bridge".into(), config, ..Subject::default() };
        assert!(fits(&subject));
        let finding = look(&Node::at(root.path()), &subject, Depth::Quick);
        assert_eq!((finding.status, finding.summary.as_str()), (Status::Ok, "2 of 5 addresses used"));
    }

    #[test]
    fn what_cannot_be_read_is_skipped_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("pools")).unwrap();
        nix::unistd::mkfifo(&root.path().join("pools/demo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let config = json!({"name": "demo", "ipam": {"type": "host-local", "subnet": "10.1.0.0/29", "dataDir": "/pools"}});
        let subject = Subject { plugin: "bridge".into(), config, ..Subject::default() };
        let finding = look(&Node::at(root.path()), &subject, Depth::Full);
        let expected = (Status::Skipped, "/pools/demo: not a directory");
        assert_eq!((finding.status, finding.summary.as_str()), expected);
    }
}
