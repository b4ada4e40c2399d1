//! Rules of nf_tables that drop what goes to a UDP port of this node or leaves it for one, whoever sends it.
//!
//! Only what is certain is told: a rule with further conditions, or one behind a rule that may let the packets pass, drops
//! nothing here. Nor is policy looked at, or what is in sets.

use std::collections::BTreeMap;

use nix::sys::socket::SockProtocol;

use super::Node;
use super::netlink::{attributes, dump};

/// `NFNL_SUBSYS_NFTABLES << 8`, with `NFT_MSG_GETCHAIN` and `NFT_MSG_GETRULE` (`linux/netfilter/nf_tables.h`, as all below).
const GET_CHAINS: u16 = 10 << 8 | 4;
const GET_RULES: u16 = 10 << 8 | 7;
/// `struct nfgenmsg`.
const GENERAL: usize = 4;
/// `NF_INET_FORWARD`: packets of others.
const FORWARD: u32 = 2;
/// How deep chains call each other at most.
const MAX_DEPTH: usize = 16;

/// A table and a chain of it, e.g. `ip filter INPUT`.
type ChainName = String;

/// What is known of a node's packet filter.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    /// The chains that packets from or to this node pass.
    bases: Vec<ChainName>,
    rules: BTreeMap<ChainName, Vec<Rule>>,
}

/// A rule, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rule {
    /// The UDP port that it is about.
    port: Option<u16>,
    /// Whether it has conditions that were not understood, or that are none of the port.
    is_conditional: bool,
    verdict: Option<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Drop,
    Accept,
    /// To another chain of the table; its name.
    Jump(String),
    Other,
}

/// What becomes of a packet in a chain.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Dropped(ChainName),
    /// It is let pass, or may be.
    Passes,
    GoesOn,
}

impl Node {
    /// The chains in which all packets of this node to the UDP port, or from others to it, are dropped; `None` if the rules
    /// cannot be read.
    #[must_use]
    pub fn chains_that_drop(&self, port: u16) -> Option<Vec<String>> {
        if !self.has_module("nf_tables") {
            return Some(Vec::new());
        }
        let ask = |kind| dump(SockProtocol::NetlinkNetFilter, kind, &[0; GENERAL]).ok();
        Some(Filter::read(&ask(GET_CHAINS)?, &ask(GET_RULES)?).that_drop(port))
    }
}

impl Filter {
    fn read(chains: &[Vec<u8>], rules: &[Vec<u8>]) -> Filter {
        let mut filter =
            Filter { bases: chains.iter().filter_map(|chain| base(chain)).collect(), ..Filter::default() };
        for message in rules {
            if let Some((chain, rule)) = rule(message) {
                filter.rules.entry(chain).or_default().push(rule);
            }
        }
        filter
    }

    fn that_drop(&self, port: u16) -> Vec<ChainName> {
        let fate = |chain: &ChainName| match self.fate(chain, port, 0) {
            Fate::Dropped(chain) => Some(chain),
            Fate::Passes | Fate::GoesOn => None,
        };
        let mut found: Vec<ChainName> = self.bases.iter().filter_map(fate).collect();
        found.dedup();
        found
    }

    fn fate(&self, chain: &ChainName, port: u16, depth: usize) -> Fate {
        if depth > MAX_DEPTH {
            return Fate::Passes;
        }
        for rule in self.rules.get(chain).into_iter().flatten() {
            if rule.port.is_some_and(|of| of != port) {
                continue;
            }
            match (&rule.verdict, rule.port, rule.is_conditional) {
                // Who is meant by a chain that is only entered under conditions cannot be told.
                (None, ..) | (Some(Verdict::Drop), _, true) | (Some(Verdict::Jump(_)), None, true) => {}
                (Some(Verdict::Drop), Some(_), false) => return Fate::Dropped(chain.clone()),
                (Some(Verdict::Jump(target)), _, false) => {
                    let target =
                        format!("{} {target}", chain.rsplit_once(' ').map_or("", |(table, _)| table));
                    match self.fate(&target, port, depth + 1) {
                        Fate::GoesOn => {}
                        decided => return decided,
                    }
                }
                // The end of a chain whose rules before it were understood only in part.
                _ => return Fate::Passes,
            }
        }
        Fate::GoesOn
    }
}

/// The families through which packets of IPv4 come.
fn family(message: &[u8]) -> Option<&'static str> {
    match i32::from(*message.first()?) {
        libc::NFPROTO_IPV4 => Some("ip"),
        libc::NFPROTO_INET => Some("inet"),
        _ => None,
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

fn find<'a>(attributes: &[(u16, &'a [u8])], kind: u16) -> Option<&'a [u8]> {
    attributes.iter().find(|(one, _)| *one == kind).map(|(_, value)| *value)
}

/// A number of four bytes, as nf_tables has them.
fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// The chain, if packets from or to this node enter it by themselves.
fn base(message: &[u8]) -> Option<ChainName> {
    let (table, name, hook) = (1, 3, 4);
    let family = family(message)?;
    let chain = attributes(message.get(GENERAL..)?);
    let number = number(find(&attributes(find(&chain, hook)?), 1)?)?;
    (number != FORWARD).then_some(())?;
    Some(format!("{family} {} {}", text(find(&chain, table)?), text(find(&chain, name)?)))
}

fn rule(message: &[u8]) -> Option<(ChainName, Rule)> {
    let (table, chain, expressions) = (1, 2, 4);
    let family = family(message)?;
    let of_rule = attributes(message.get(GENERAL..)?);
    let name = format!("{family} {} {}", text(find(&of_rule, table)?), text(find(&of_rule, chain)?));
    let mut reading = Reading::default();
    for (_, expression) in attributes(find(&of_rule, expressions).unwrap_or_default()) {
        let expression = attributes(expression);
        let data = attributes(find(&expression, 2).unwrap_or_default());
        reading.take(&text(find(&expression, 1)?), &data);
    }
    if reading.is_of_others {
        reading.rule.verdict = None;
    }
    Some((name, reading.rule))
}

/// What was loaded last, and is about to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    Protocol,
    DestinationPort,
    /// The link through which a packet came: its index, or its name.
    Entrance,
    Other,
}

/// A rule while its expressions are read.
#[derive(Default)]
struct Reading {
    rule: Rule,
    loaded: Option<Loaded>,
    /// It is about packets of the loopback, or about connections that are known: one direction of a tunnel is never the
    /// answer to the other.
    is_of_others: bool,
}

impl Reading {
    fn take(&mut self, expression: &str, data: &[(u16, &[u8])]) {
        match expression {
            "meta" => {
                let (iif, iifname, l4proto) = (4, 6, 16);
                self.loaded = Some(match find(data, 2).and_then(number) {
                    Some(key) if key == l4proto => Loaded::Protocol,
                    Some(key) if key == iif || key == iifname => Loaded::Entrance,
                    _ => Loaded::Other,
                });
            }
            "ct" => {
                self.loaded = Some(Loaded::Other);
                self.is_of_others = true;
            }
            "payload" => self.loaded = Some(loaded(data)),
            "cmp" => {
                let value = find(data, 3).map(attributes).and_then(|data| Some(find(&data, 1)?.to_vec()));
                self.compare(find(data, 2).and_then(number) == Some(0), &value.unwrap_or_default());
            }
            "match" => {
                self.extension(&text(find(data, 1).unwrap_or_default()), find(data, 3).unwrap_or_default());
            }
            "immediate" => self.rule.verdict = find(data, 2).and_then(verdict).or(self.rule.verdict.take()),
            "reject" => self.rule.verdict = Some(Verdict::Drop),
            "target" => {
                let rejects = find(data, 1).is_some_and(|name| text(name) == "REJECT");
                self.rule.verdict = Some(if rejects { Verdict::Drop } else { Verdict::Other });
            }
            "counter" | "log" => {}
            _ => self.rule.is_conditional = true,
        }
    }

    fn compare(&mut self, is_equal: bool, value: &[u8]) {
        match (self.loaded.take(), value) {
            (Some(Loaded::Protocol), [protocol, ..])
                if is_equal && i32::from(*protocol) == libc::IPPROTO_UDP => {}
            (Some(Loaded::DestinationPort), [high, low, ..]) if is_equal => {
                self.rule.port = Some(u16::from_be_bytes([*high, *low]));
            }
            (Some(Loaded::Entrance), _)
                if is_equal && (value.starts_with(b"lo\0") || value == 1_u32.to_ne_bytes()) =>
            {
                self.is_of_others = true;
            }
            _ => self.rule.is_conditional = true,
        }
    }

    /// A match of iptables: of `udp`, with `struct xt_udp`, two source ports and two destination ports, from and to.
    fn extension(&mut self, name: &str, info: &[u8]) {
        let at = |offset: usize| Some(u16::from_ne_bytes(info.get(offset..offset + 2)?.try_into().ok()?));
        let is_plain = info.get(8) == Some(&0) && (at(0), at(2)) == (Some(0), Some(u16::MAX));
        match (name, at(4), at(6)) {
            ("comment", ..) => {}
            ("conntrack" | "state", ..) => self.is_of_others = true,
            ("udp", Some(from), Some(to)) if is_plain && from == to => self.rule.port = Some(from),
            _ => self.rule.is_conditional = true,
        }
    }
}

/// What stands at this place of a packet.
fn loaded(data: &[(u16, &[u8])]) -> Loaded {
    let (network, transport) = (1, 2);
    let part = [2, 3, 4].map(|kind| find(data, kind).and_then(number).unwrap_or(u32::MAX));
    match part {
        [base, 2, 2] if base == transport => Loaded::DestinationPort,
        [base, 9, 1] if base == network => Loaded::Protocol,
        _ => Loaded::Other,
    }
}

fn verdict(data: &[u8]) -> Option<Verdict> {
    let verdict = attributes(data).iter().find(|(kind, _)| *kind == 2).map(|(_, value)| attributes(value))?;
    let code = number(find(&verdict, 1)?)?.cast_signed();
    Some(match (code, find(&verdict, 2)) {
        (libc::NF_DROP, _) => Verdict::Drop,
        (libc::NF_ACCEPT, _) => Verdict::Accept,
        (libc::NFT_JUMP | libc::NFT_GOTO, Some(chain)) => Verdict::Jump(text(chain)),
        _ => Verdict::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &str = "ip filter INPUT";

    fn rule(port: Option<u16>, is_conditional: bool, verdict: Verdict) -> Rule {
        Rule { port, is_conditional, verdict: Some(verdict) }
    }

    fn dropping(rules: Vec<Rule>) -> Vec<String> {
        let others = vec![rule(Some(8472), false, Verdict::Drop)];
        let rules = BTreeMap::from([(INPUT.to_owned(), rules), ("ip filter OTHERS".to_owned(), others)]);
        Filter { bases: vec![INPUT.to_owned()], rules }.that_drop(8472)
    }

    #[test]
    fn only_what_is_dropped_for_certain_is_told() {
        let drop = || rule(Some(8472), false, Verdict::Drop);
        let jump = |is_conditional| rule(None, is_conditional, Verdict::Jump("OTHERS".into()));
        let counts = Rule::default();
        let table: [(Vec<Rule>, &[&str]); 11] = [
            (vec![], &[]),
            (vec![drop()], &[INPUT]),
            (vec![counts, rule(Some(53), false, Verdict::Accept), drop()], &[INPUT]),
            (vec![rule(None, true, Verdict::Drop), drop()], &[INPUT]),
            (vec![rule(Some(8472), true, Verdict::Drop)], &[]),
            (vec![rule(Some(8472), true, Verdict::Accept), drop()], &[]),
            (vec![rule(None, true, Verdict::Accept), drop()], &[]),
            (vec![rule(None, false, Verdict::Drop)], &[]),
            (vec![jump(false)], &["ip filter OTHERS"]),
            (vec![jump(true)], &[]),
            (vec![rule(None, false, Verdict::Jump("NONE".into())), drop()], &[INPUT]),
        ];
        for (rules, expected) in table {
            assert_eq!(dropping(rules.clone()), expected, "{rules:?}");
        }
        let round = rule(None, false, Verdict::Jump("INPUT".into()));
        assert_eq!(dropping(vec![round]), [""; 0], "chains that call each other");
    }

    #[test]
    fn messages_that_are_cut_or_of_other_families_are_passed_over() {
        let messages: Vec<Vec<u8>> =
            vec![vec![], vec![2], vec![2, 0, 0, 0], vec![7, 0, 0, 0, 8, 0, 1, 0, b'a', 0, 0, 0], vec![2; 64]];
        assert_eq!(Filter::read(&messages, &messages), Filter::default());
    }
}
