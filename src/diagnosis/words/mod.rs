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
    told.extend(ipv6_denied(text));
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
    let is_resource =
        is_named && resource.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'-'));
    is_resource.then(|| Told {
        cause: Cause::ApiObjectMissing,
        rank: Rank::Exact,
        span: Span { start, end: end + NOT_FOUND.len() },
    })
}

/// `exec: "iptables": executable file not found in $PATH`.
fn program_missing(text: &str) -> Option<Told> {
    const NOT_FOUND: &str = "\": executable file not found in";
    let end = text.rfind(NOT_FOUND)?;
    let start = text[..end].rfind('"')? + 1;
    let program = text[start..end].rsplit('/').next()?;
    let cause = match program {
        "conntrack" => Cause::ConntrackFailed,
        "nft" | "ipset" | "ebtables" | "arptables" | "firewall-cmd" => Cause::IptablesFailed,
        name if name.starts_with("iptables") || name.starts_with("ip6tables") => Cause::IptablesFailed,
        "modprobe" => Cause::KernelUnsupported,
        _ => return None,
    };
    Some(Told { cause, rank: Rank::Decisive, span: Span { start, end: end + NOT_FOUND.len() } })
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
