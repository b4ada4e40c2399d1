//! Rules of the firewall, counted by table, in the node's network namespace. Nothing is asked for that would make the kernel
//! load a module or create a table.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::Node;
use super::netlink::{attributes, dump};

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE` (`linux/netfilter/nfnetlink.h`, `nf_tables.h`).
const GET_RULES: u16 = 10 << 8 | 7;
/// `struct nfgenmsg`.
const GENERAL: usize = 4;
/// `NFTA_RULE_TABLE`.
const RULE_TABLE: u16 = 1;
/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`.
const GET_INFO: i32 = 64;
/// The lists of tables that the legacy back end has made, for each family, with the level of its socket option.
const LEGACY: [(&str, AddressFamily, i32); 2] = [
    ("/proc/net/ip_tables_names", AddressFamily::Inet, libc::IPPROTO_IP),
    ("/proc/net/ip6_tables_names", AddressFamily::Inet6, libc::IPPROTO_IPV6),
];

/// A family and a table's name, e.g. `ip nat`, with how many rules it has.
pub type Rules = BTreeMap<String, usize>;

impl Node {
    /// The rules of nf_tables; `None` if they cannot be read.
    #[must_use]
    pub fn nft_rules(&self) -> Option<Rules> {
        if !self.has_module("nf_tables") {
            return Some(Rules::new());
        }
        let messages = dump(SockProtocol::NetlinkNetFilter, GET_RULES, &[0; GENERAL]).ok()?;
        let mut rules = Rules::new();
        for table in messages.iter().filter_map(|message| table_of(message)) {
            *rules.entry(table).or_insert(0) += 1;
        }
        Some(rules)
    }

    /// The rules of the legacy back end; `None` if they cannot be read. A table that does not exist yet would be created by
    /// asking for it: only those are asked for that the kernel lists.
    #[must_use]
    pub fn legacy_rules(&self) -> Option<Rules> {
        let mut rules = Rules::new();
        for (list, family, level) in LEGACY {
            let listed = match self.read_text(Path::new(list)) {
                Ok(listed) => listed,
                Err(error) if error.is_missing() => continue,
                Err(_) => return None,
            };
            let word = if family == AddressFamily::Inet { "ip" } else { "ip6" };
            // Below another root the list may be of another kernel than the one that is asked.
            let here = Node::this().read_text(Path::new(list)).unwrap_or_default();
            for table in listed.split_ascii_whitespace() {
                if !here.split_ascii_whitespace().any(|one| one == table) {
                    return None;
                }
                rules.insert(format!("{word} {table}"), count_legacy(family, level, table)?);
            }
        }
        Some(rules)
    }
}

/// The table of a rule.
fn table_of(message: &[u8]) -> Option<String> {
    let family = match i32::from(*message.first()?) {
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_IPV6 => "ip6",
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_BRIDGE => "bridge",
        libc::NFPROTO_ARP => "arp",
        libc::NFPROTO_NETDEV => "netdev",
        _ => return None,
    };
    let attributes = attributes(message.get(GENERAL..)?);
    let (_, name) = attributes.iter().find(|(kind, _)| *kind == RULE_TABLE)?;
    Some(format!("{family} {}", String::from_utf8_lossy(name).trim_end_matches('\0')))
}

/// `struct ipt_getinfo` (`linux/netfilter_ipv4/ip_tables.h`); that of IPv6 is alike.
#[repr(C)]
#[derive(Default)]
struct Info {
    name: [u8; 32],
    valid_hooks: u32,
    hook_entry: [u32; 5],
    underflow: [u32; 5],
    num_entries: u32,
    size: u32,
}

#[allow(unsafe_code, reason = "nix does not know this socket option")]
fn count_legacy(family: AddressFamily, level: i32, table: &str) -> Option<usize> {
    use std::os::fd::AsRawFd as _;
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).ok()?;
    let mut info = Info::default();
    let name = table.as_bytes();
    info.name.get_mut(..name.len()).filter(|_| name.len() < 32)?.copy_from_slice(name);
    let mut length = u32::try_from(size_of::<Info>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is as long and has no invalid values.
    let asked = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            GET_INFO,
            std::ptr::from_mut(&mut info).cast(),
            std::ptr::from_mut(&mut length),
        )
    };
    // An empty table has an entry for every hook's policy, and one that ends it.
    let without_rules = info.valid_hooks.count_ones() + 1;
    (asked == 0).then(|| info.num_entries.saturating_sub(without_rules) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_rule_is_read() {
        let rule = |family: u8| [&[family, 0, 0, 0][..], &[8, 0, 1, 0, b'n', b'a', b't', 0]].concat();
        assert_eq!(table_of(&rule(2)).as_deref(), Some("ip nat"));
        assert_eq!(table_of(&rule(10)).as_deref(), Some("ip6 nat"));
        assert_eq!((table_of(&rule(99)), table_of(&[]), table_of(&[2, 0, 0, 0])), (None, None, None));
    }

    #[test]
    fn where_no_table_is_listed_none_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let node = Node::at(root.path());
        assert_eq!((node.legacy_rules(), node.nft_rules()), (Some(Rules::new()), Some(Rules::new())));
    }

    #[test]
    fn looking_creates_no_table() {
        let listed = || std::fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
        let before = listed();
        let _ = (Node::this().legacy_rules(), Node::this().nft_rules());
        assert_eq!(listed(), before);
    }

    #[test]
    fn a_table_that_only_a_list_below_another_root_has_is_not_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("proc/net");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("ip_tables_names"), "filter\nnat\nmangle\nraw\nsecurity\nweather\n")
            .unwrap();
        assert_eq!(Node::at(root.path()).legacy_rules(), None);
        let own = std::fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
        assert!(!own.contains("security"), "asking for it would have made it");
    }
}
