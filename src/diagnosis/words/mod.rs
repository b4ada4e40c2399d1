//! The system's own words, where a literal is not enough: who did not answer, what was not found, which program is not
//! there. They tell a cause for plugins that no signature names.

mod peers;

#[cfg(test)]
mod tests;

use super::catalogue::Cause;
use super::signatures::{Rank, Span};

/// What words tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The cause.
    pub cause: Cause,
    /// How much it tells.
    pub rank: Rank,
    /// Where it stands in the text.
    pub span: Span,
}

/// Everything that the words of a text in lower case tell.
#[must_use]
pub fn told(text: &str) -> Vec<Told> {
    let mut told = peers::told(text);
    told.extend(object_missing(text));
    told.extend(program_missing(text));
    told.extend(link_exists(text));
    told.extend(ipv6_denied(text));
    told.extend(limit_exceeded(text));
    told
}

/// Kinds of the Kubernetes API, where a plugin writes them in the singular.
const KINDS: &[&str] = &["pod", "node", "namespace", "network-attachment-definition"];

/// `pods "x" not found`: an object of the Kubernetes API, named by its resource in the plural.
fn object_missing(text: &str) -> Option<Told> {
    const NOT_FOUND: &str = "\" not found";
    let end = text.rfind(NOT_FOUND)?;
    let name = text[..end].rfind('"')?;
    let before = text[..name].strip_suffix(' ')?;
    let start = before.rfind([' ', ':', '(', '[', '"', '\'']).map_or(0, |at| at + 1);
    let resource = &before[start..];
    let kind = resource.split('.').next().unwrap_or_default();
    // With its group behind it, it may be the kind.
    let is_named = KINDS.contains(&kind) || kind.len() > 3 && (kind.ends_with('s') || resource.contains('.'));
    // A group has digits, `k8s.cni.cncf.io`; a resource has none.
    let is_kind = kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let is_group =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    // A role that is not there is why somebody may not, not what was asked for.
    let is_role = resource.ends_with(".rbac.authorization.k8s.io");
    let is_resource = is_named && is_kind && !is_role && resource.bytes().all(is_group);
    is_resource.then(|| Told {
        cause: Cause::ApiObjectMissing,
        rank: Rank::Exact,
        span: Span { start, end: end + NOT_FOUND.len() },
    })
}

/// How the shell, `nsenter` and Go say that a program is not there: (before its name, behind it).
const PROGRAM_MISSING: &[(&str, &str)] = &[
    ("\"", "\": executable file not found in"),
    ("\"", "\": file does not exist"),
    ("fork/exec ", ": no such file or directory"),
    ("failed to execute ", ": no such file or directory"),
    (" ", ": command not found"),
    (" ", ": not found"),
];

/// `exec: "iptables": executable file not found in $PATH`, and others of [`PROGRAM_MISSING`].
fn program_missing(text: &str) -> Option<Told> {
    PROGRAM_MISSING.iter().find_map(|(before, behind)| {
        let end = text.rfind(behind)?;
        let start = text[..end].rfind(before)?;
        let program = text[start + before.len()..end].rsplit('/').next()?;
        let span = Span { start, end: end + behind.len() };
        Some(Told { cause: of_program(program)?, rank: Rank::Decisive, span })
    })
}

/// The cause that a program which cannot be run stands for. `None` for one that may be anybody's.
fn of_program(program: &str) -> Option<Cause> {
    Some(match program {
        "conntrack" => Cause::ConntrackFailed,
        "nft" | "ipset" | "ebtables" | "arptables" | "firewall-cmd" => Cause::IptablesFailed,
        name if name.starts_with("iptables") || name.starts_with("ip6tables") => Cause::IptablesFailed,
        "modprobe" => Cause::KernelUnsupported,
        _ => return None,
    })
}

/// Kinds of links, and words for one.
const LINKS: &[&str] = &[
    "veth",
    "vxlan",
    "vlan",
    "macvlan",
    "ipvlan",
    "macvtap",
    "geneve",
    "gre",
    "ipip",
    "tunnel",
    "dummy",
    "vrf",
    "ifb",
    "tap",
    "netkit",
    "link",
    "interface",
];
/// What is done to a link that gives it its name.
const NAMED: &[&str] =
    &["add", "adding", "create", "creating", "make", "making", "rename", "renaming", "move"];
/// What there may be on a link that exists too.
const ON_LINKS: &[&str] =
    &["route", "rule", "addr", "address", "neighbor", "neigh", "fdb", "qdisc", "filter", "map"];
/// How far before its reason stands what was done.
const DONE: usize = 120;

/// `failed to add vxlan x: file exists`: a link of that name is already there.
fn link_exists(text: &str) -> Option<Told> {
    const EXISTS: &str = ": file exists";
    let end = text.rfind(EXISTS)?;
    let start = text.ceil_char_boundary(end.saturating_sub(DONE));
    let has = |words: &[&str]| {
        let mut done = text[start..end].split(|character: char| !character.is_ascii_alphanumeric());
        done.any(|word| words.contains(&word))
    };
    (has(LINKS) && has(NAMED) && !has(ON_LINKS)).then(|| Told {
        cause: Cause::InterfaceExists,
        rank: Rank::Word,
        span: Span { start, end: end + EXISTS.len() },
    })
}

/// How the clouds' codes for "no more of these" end: `EniPerInstanceLimitExceeded`, `InvalidInterface.IpAddressLimitExceeded`.
const LIMIT_EXCEEDED: &[&str] = &["limitexceeded", "quotaexceeded"];

/// A cloud's code that ends so.
fn limit_exceeded(text: &str) -> Option<Told> {
    let end = LIMIT_EXCEEDED.iter().filter_map(|words| Some(text.rfind(words)? + words.len())).max()?;
    let is_of_code = |character: char| character.is_ascii_alphanumeric() || character == '.';
    let start = text[..end].rfind(|character| !is_of_code(character)).map_or(0, |at| at + 1);
    let is_whole = !text[end..].starts_with(|next: char| next.is_ascii_alphanumeric());
    is_whole.then_some(Told { cause: Cause::CloudApiFailed, rank: Rank::Decisive, span: Span { start, end } })
}

/// An IPv6 address that the kernel denies: IPv6 is off on the node, or in the namespace.
fn ipv6_denied(text: &str) -> Option<Told> {
    const DENIED: &str = "permission denied";
    let end = text.rfind(DENIED)?;
    let start =
        ["add ip addr", "add addr", "add ipv6"].iter().filter_map(|words| text[..end].rfind(words)).max()?;
    let is_ipv6 = text[start..end].split([' ', '"', '{', '(', ',', '/']).any(|word| {
        let word = word.trim_start_matches("ip:");
        matches!(word, "version:6" | "ipv6") || word.parse::<std::net::Ipv6Addr>().is_ok()
    });
    is_ipv6.then(|| Told {
        cause: Cause::SysctlFailed,
        rank: Rank::Decisive,
        span: Span { start, end: end + DENIED.len() },
    })
}
