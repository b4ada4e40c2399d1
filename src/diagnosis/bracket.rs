//! The few words that are added to an error: read in the event of a Pod, by whoever may read that.

use std::net::IpAddr;

use super::Diagnosis;
use super::catalogue::Cause;

/// The longest bracket in bytes.
pub const MAX: usize = 600;
/// The most that the summary and the fix take of it.
const MAX_PART: usize = 230;

/// `[cniscope: <cause>: <summary>; fix: <first fix>; see: cniscope show <id>]`: one line, below [`MAX`] bytes.
///
/// Tenants read it. `known` are the texts that are theirs, the error and the configuration: a summary that names somebody
/// else gives way to the cause's title, and a fix that does so to the next one.
#[must_use]
pub fn of(diagnosis: &Diagnosis, id: &str, known: &[&str]) -> String {
    let is_theirs = |text: &&String| names_nobody_else(text, known);
    let summary = part(Some(&diagnosis.summary).filter(is_theirs).unwrap_or(&diagnosis.title));
    if diagnosis.cause == Cause::Unknown {
        return format!("[cniscope: unknown cause; {summary}; see: cniscope show {id}]");
    }
    let fix =
        diagnosis.fix.iter().find(is_theirs).map(|fix| format!("; fix: {}", part(fix))).unwrap_or_default();
    format!("[cniscope: {}: {summary}{fix}; see: cniscope show {id}]", diagnosis.cause)
}

/// How the host's ends of other sandboxes begin: the bridge plugin's, Calico's, Cilium's.
const HOST_ENDS: &[&str] = &["veth", "cali", "lxc"];
/// An id, or the piece of a link's name behind these, has so many hexadecimal digits at least.
const ID: usize = 7;

/// Whether a text names no process, address, sandbox or link but those of the texts in `known`.
fn names_nobody_else(text: &str, known: &[&str]) -> bool {
    let between = |character: char| character.is_whitespace() || ",;()[]{}\"'“”=".contains(character);
    let words = text.split(between).map(|word| word.trim_matches(['.', ':']));
    words.filter(|word| !word.is_empty()).all(|word| {
        let is_known = || known.iter().any(|known| known.contains(word));
        word != "pid" && (!names_somebody(word) || is_known())
    })
}

/// Whether a word is an address, an id or the host's end of a sandbox, or a path with one at its end.
fn names_somebody(word: &str) -> bool {
    let is_hexadecimal = |word: &str| {
        let digits = || word.bytes().filter(|byte| *byte != b'-');
        digits().count() >= ID && digits().all(|byte| byte.is_ascii_hexdigit())
    };
    // Digits alone are a count.
    let is_id = |word: &str| {
        is_hexadecimal(word)
            && word.bytes().any(|byte| byte.is_ascii_digit())
            && word.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let is_end =
        |word: &str| HOST_ENDS.iter().any(|start| word.strip_prefix(start).is_some_and(is_hexadecimal));
    let is_address = |word: &str| {
        word.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
    };
    let network = word.rsplit_once('/').map(|(address, _)| address);
    let last = word.rsplit('/').next().unwrap_or_default();
    let netns = last.strip_prefix("cni-").unwrap_or(last);
    is_address(word) || network.is_some_and(is_address) || is_address(last) || is_end(last) || is_id(netns)
}

/// Text for the one line, in ASCII, cut where it is long.
fn part(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|character| match character {
            '“' | '”' => '"',
            ' '..='~' => character,
            _ => ' ',
        })
        .collect();
    if line.len() > MAX_PART {
        line.truncate(MAX_PART - 3);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(cause: Cause, summary: &str, fix: &[&str]) -> Diagnosis {
        Diagnosis {
            cause,
            title: String::new(),
            summary: summary.into(),
            evidence: Vec::new(),
            ruled_out: Vec::new(),
            fix: fix.iter().map(|fix| (*fix).to_owned()).collect(),
        }
    }

    #[test]
    fn names_the_cause_the_first_fix_and_where_to_see_more() {
        assert_eq!(
            of(&diagnosis(Cause::IpamExhausted, "6 of 6 used", &["a", "b"]), "0197", &[]),
            "[cniscope: ipam-exhausted: 6 of 6 used; fix: a; see: cniscope show 0197]"
        );
        assert_eq!(
            of(&diagnosis(Cause::Unknown, "ruled out: config", &[]), "0197", &[]),
            "[cniscope: unknown cause; ruled out: config; see: cniscope show 0197]"
        );
    }

    #[test]
    fn is_one_short_line_whatever_is_in_it() {
        let long = "ż\n\u{1b}[31m".repeat(200);
        let bracket = of(&diagnosis(Cause::BridgeAddressConflict, &long, &[&long]), &"f".repeat(36), &[]);
        assert!(
            bracket.len() < MAX && bracket.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{bracket}"
        );
    }

    #[test]
    fn tenants_read_no_names_of_others() {
        let known = ["no address in 10.1.0.0/29 for veth0a1b2c3d", r#"{"gateway": "10.1.0.1"}"#];
        for text in [
            "5 of 5 addresses used, 2 leaked",
            "it is longer than 16777216 bytes",
            "restart the agent: kubectl -n kube-system delete pod calico-node",
            "the subnet 10.1.0.0/29 is full; the gateway is 10.1.0.1.",
            "ip link delete veth0a1b2c3d",
            "listen on 127.0.0.1:8080, [::1] or 0.0.0.0/0",
            "modprobe br_netfilter; sysctl net.ipv4.ip_forward=1",
            "remove their files in /var/lib/cni/networks/pods",
        ] {
            assert!(names_nobody_else(text, &known), "{text}");
        }
        for text in [
            "see what calico-ipam (pid 77) waits for",
            "remove their files, such as /var/lib/cni/networks/pods/10.1.0.2",
            "ip route show 10.9.0.0/16",
            "the address fd00::7 is taken",
            "ip link delete veth99887766",
            "ip netns delete cni-0a1b2c3d-1111-2222-3333-444455556666",
        ] {
            assert!(!names_nobody_else(text, &known), "{text}");
        }
        let mut named = diagnosis(Cause::IpamExhausted, "10.9.9.9 is taken", &["kill pid 5", "look"]);
        named.title = "it is full".into();
        assert_eq!(
            of(&named, "0197", &known),
            "[cniscope: ipam-exhausted: it is full; fix: look; see: cniscope show 0197]"
        );
    }
}
