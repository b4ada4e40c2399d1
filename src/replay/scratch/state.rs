//! The state that a plugin can change, read before and after.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ipnetwork::IpNetwork;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};

use crate::digest::sha256;
use crate::node::links::{self, Link, LinkError};
use crate::node::route_socket::{RouteSocket, address_of};
use crate::node::{Node, bounded, netns};
use crate::replay::change::{Kind, Place, State};

/// How long a tool may take to list rules.
const LIMIT: Duration = Duration::from_secs(5);
/// Where the tools are.
const TOOLS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The table of the kernel's own routes (`RT_TABLE_LOCAL`).
const LOCAL_TABLE: u32 = 255;
/// A parameter that counts.
const COUNTER: &str = "net.netfilter.nf_conntrack_count";
/// What cniscope itself writes.
const OWN: [&str; 3] = ["/run/cniscope", "/run/cniscope-replay", "/run/netns"];

/// Reads the state of both network namespaces and of these folders.
///
/// # Errors
/// If the kernel cannot be asked.
pub fn read(sandbox: &Path, folders: &[PathBuf]) -> Result<State, LinkError> {
    let mut state = State::new();
    for (place, path) in [(Place::Node, None), (Place::Sandbox, Some(sandbox))] {
        let mut put = |kind, name: String, how: String| state.insert((place, kind, name), how);
        network(&RouteSocket::open(path)?, &mut put)?;
        let inside = || {
            let mut found = sysctls();
            found.extend(rules());
            found
        };
        let found = match path {
            Some(path) => netns::inside(path, inside).unwrap_or_default(),
            None => inside(),
        };
        for ((kind, name), how) in found {
            put(kind, name, how);
        }
    }
    for folder in folders {
        files(folder, &mut state);
    }
    for module in fs::read_to_string("/proc/modules").unwrap_or_default().lines() {
        let name = module.split(' ').next().unwrap_or_default().to_owned();
        state.insert((Place::Kernel, Kind::Module, name), "loaded".to_owned());
    }
    Ok(state)
}

fn network(
    socket: &RouteSocket,
    put: &mut impl FnMut(Kind, String, String) -> Option<String>,
) -> Result<(), LinkError> {
    let links = links::all(socket)?;
    let name_of = |index: u32| {
        let link = links.iter().find(|link| link.index == index);
        link.map_or_else(|| format!("link {index}"), |link| link.name.clone())
    };
    for link in &links {
        put(Kind::Link, link.name.clone(), described(link, &name_of));
        for address in link.addresses.iter().filter(|address| !is_link_local(address.ip())) {
            put(Kind::Address, format!("{address} on {}", link.name), String::new());
        }
        if !link.mac.is_empty() {
            put(Kind::Mac, link.name.clone(), hexadecimal(&link.mac));
        }
    }
    for (family, name) in [(AddressFamily::Inet, "inet"), (AddressFamily::Inet6, "inet6")] {
        for route in socket.routes(family)? {
            if let Some(text) = of_route(&route, &name_of) {
                put(Kind::Route, text, String::new());
            }
        }
        for rule in socket.rules(family)? {
            put(Kind::Rule, format!("{name} {}", of_rule(&rule)), String::new());
        }
    }
    Ok(())
}

fn described(link: &Link, name_of: &impl Fn(u32) -> String) -> String {
    let mut text = format!(
        "{}, {}, mtu {}",
        link.kind.as_deref().unwrap_or("device"),
        if link.up { "up" } else { "down" },
        link.mtu
    );
    if let Some(bridge) = link.controller {
        let _ = write!(text, ", port of {}", name_of(bridge));
    }
    // The other end of a veth is in another namespace more often than not, where its index says nothing.
    if let Some(lower) = link.lower.filter(|_| !link.is_veth() && !link.peer_is_elsewhere) {
        let _ = write!(text, ", upon {}", name_of(lower));
    }
    text
}

/// The kernel makes such addresses by itself, some time after a link is up.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local() || address.is_multicast())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

/// A route as `ip route` writes it. None of the kernel's own.
fn of_route(route: &RouteMessage, name_of: &impl Fn(u32) -> String) -> Option<String> {
    let (mut to, mut gateway, mut link, mut source, mut metric) = (None, None, None, None, None);
    let mut table = u32::from(route.header.table);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(destination) => to = address_of(destination),
            RouteAttribute::Gateway(found) => gateway = address_of(found),
            RouteAttribute::PrefSource(found) => source = address_of(found),
            RouteAttribute::Oif(index) => link = Some(*index),
            RouteAttribute::Priority(number) => metric = Some(*number),
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    if table == LOCAL_TABLE || to.is_some_and(is_link_local) {
        return None;
    }
    let is_ipv6 = route.header.address_family == AddressFamily::Inet6;
    let to = to.and_then(|to| IpNetwork::new(to, route.header.destination_prefix_length).ok());
    let mut text = to.map_or_else(|| "default".to_owned(), |to| to.to_string());
    if route.header.kind != RouteType::Unicast {
        text = format!("{:?} {text}", route.header.kind).to_lowercase();
    }
    for (word, value) in [
        (" via ", gateway.map(|gateway| gateway.to_string())),
        (" dev ", link.map(name_of)),
        (" src ", source.map(|source| source.to_string())),
        (" table ", (table != 254).then(|| table.to_string())),
        // The kernel's own metric of a route of IPv6 tells nothing.
        (" metric ", metric.filter(|_| !is_ipv6).map(|metric| metric.to_string())),
    ] {
        if let Some(value) = value {
            text.push_str(word);
            text.push_str(&value);
        }
    }
    Some(text)
}

/// A rule as `ip rule` writes it, without what is rare.
fn of_rule(rule: &RuleMessage) -> String {
    let (mut priority, mut table) = (0, u32::from(rule.header.table));
    let (mut from, mut to, mut others) = ("all".to_owned(), None, Vec::new());
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Source(address) => from = format!("{address}/{}", rule.header.src_len),
            RuleAttribute::Destination(address) => to = Some(format!("{address}/{}", rule.header.dst_len)),
            RuleAttribute::Iifname(name) => others.push(format!(" iif {name}")),
            RuleAttribute::Oifname(name) => others.push(format!(" oif {name}")),
            RuleAttribute::FwMark(mark) => others.push(format!(" fwmark {mark:#x}")),
            _ => {}
        }
    }
    let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
    format!("{priority}: from {from}{to}{} lookup {table}", others.concat())
}

type Found = BTreeMap<(Kind, String), String>;

/// The kernel's parameters of this network namespace.
fn sysctls() -> Found {
    let mut found = Found::new();
    let mut folders = vec![PathBuf::from("/proc/sys/net")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if let Ok(value) = fs::read_to_string(&path) {
                let name =
                    path.strip_prefix("/proc/sys").unwrap_or(&path).to_string_lossy().replace('/', ".");
                if name != COUNTER {
                    found.insert((Kind::Sysctl, name), value.trim().to_owned());
                }
            }
        }
    }
    found
}

/// The rules of the firewall, where there are some: to ask for them must not make the kernel load what it has not.
fn rules() -> Found {
    let mut found = Found::new();
    if Node::this().has_module("nf_tables") {
        let iptables = [("ip", "iptables-nft-save"), ("ip6", "ip6tables-nft-save")];
        let mut listed = Vec::new();
        for (family, tool) in iptables {
            if let Some(text) = printed(tool, &[]) {
                listed.push(family);
                found.extend(of_iptables(family, &text));
            }
        }
        if let Some(text) = printed("nft", &["--stateless", "list", "ruleset"]) {
            found.extend(of_nft(&text, &listed));
        }
    }
    let legacy = [
        ("ip", "/proc/net/ip_tables_names", "iptables-legacy-save"),
        ("ip6", "/proc/net/ip6_tables_names", "ip6tables-legacy-save"),
    ];
    for (family, list, tool) in legacy {
        if fs::read_to_string(list).is_ok_and(|tables| !tables.is_empty()) {
            found.extend(printed(tool, &[]).map(|text| of_iptables(family, &text)).unwrap_or_default());
        }
    }
    found
}

fn printed(tool: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(tool);
    command.args(arguments).env_clear().env("PATH", TOOLS).stdin(Stdio::null()).stderr(Stdio::null());
    let output = bounded::run(LIMIT, move || command.output().ok()).flatten()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The lines of `iptables-save`, each with its table and without its counters.
fn of_iptables(family: &str, text: &str) -> Found {
    let mut table = String::new();
    let mut found = Found::new();
    for line in text.lines() {
        let line = line.split(" [").next().unwrap_or(line).trim_end();
        match line.as_bytes().first() {
            Some(b'*') => line[1..].clone_into(&mut table),
            // A chain of the kernel's own that lets everything pass is what is there without rules.
            Some(b':') if line.ends_with(" ACCEPT") => {}
            Some(b':' | b'-') => {
                found.insert((Kind::Iptables, format!("{family} {table} {line}")), String::new());
            }
            _ => {}
        }
    }
    found
}

/// The lines of `nft list ruleset`, each with its table and chain. Tables of iptables are told by it: those of the families
/// that are `listed`.
fn of_nft(text: &str, listed: &[&str]) -> Found {
    const OF_IPTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
    let mut path: Vec<String> = Vec::new();
    let mut found = Found::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        if line == "}" {
            path.pop();
            continue;
        }
        let is_opened = line.ends_with('{');
        let own = line.trim_end_matches('{').trim();
        let full = path.iter().map(String::as_str).chain([own]).collect::<Vec<_>>().join(" ");
        let words: Vec<&str> = full.split(' ').collect();
        let is_of_iptables = matches!(words[..], ["table", family, name, ..]
            if listed.contains(&family) && OF_IPTABLES.contains(&name));
        if !is_of_iptables {
            found.insert((Kind::Nft, full.trim_start_matches("table ").to_owned()), String::new());
        }
        if is_opened {
            path.push(own.to_owned());
        }
    }
    found
}

fn files(folder: &Path, state: &mut State) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if OWN.iter().any(|own| path == Path::new(own)) {
            continue;
        }
        let mode = found.mode() & 0o7777;
        let how = if found.is_dir() {
            files(&path, state);
            format!("folder, mode {mode:04o}")
        } else if found.is_file() {
            let content = Node::this().read_start(&path, 1 << 20).unwrap_or_default();
            format!("{} bytes, mode {mode:04o}, sha256 {:.12}", found.len(), sha256(&content))
        } else {
            fs::read_link(&path)
                .map_or_else(|_| "special".to_owned(), |target| format!("link to {}", target.display()))
        };
        state.insert((Place::Files, Kind::File, path.display().to_string()), how);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &Found) -> Vec<&str> {
        found.keys().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn rules_of_iptables_have_their_table_and_no_counters() {
        let text = "# c\n*nat\n:POSTROUTING ACCEPT [7:420]\n:CNI-1 - [0:0]\n-A POSTROUTING -s 10.1.0.2/32 -j CNI-1\nCOMMIT\n";
        assert_eq!(
            names(&of_iptables("ip", text)),
            ["ip nat -A POSTROUTING -s 10.1.0.2/32 -j CNI-1", "ip nat :CNI-1 -"]
        );
    }

    #[test]
    fn rules_of_nft_have_their_table_and_chain_and_those_of_iptables_are_told_once() {
        let text = "table ip nat {\n\tchain A {\n\t\treturn\n\t}\n}\ntable inet own {\n\tset s {\n\t\ttype ipv4_addr\n\t}\n\tchain c {\n\t\tip saddr 10.1.0.2 drop\n\t}\n}\n";
        let own = [
            "inet own",
            "inet own chain c",
            "inet own chain c ip saddr 10.1.0.2 drop",
            "inet own set s",
            "inet own set s type ipv4_addr",
        ];
        assert_eq!(names(&of_nft(text, &["ip"])), own);
        assert_eq!(of_nft(text, &[]).len(), own.len() + 3);
    }
}
