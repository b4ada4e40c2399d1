//! What the kernel tells over netlink, and the rules of the firewall.

use std::path::Path;

use serde_json::json;

use crate::bundle::clean::Form;
use crate::bundle::gather::{Gathered, Gatherer};
use crate::bundle::manifest::Status;
use crate::bundle::unpacked;

/// The most that is taken of a list of rules, in bytes.
const RULES: u64 = 8 << 20;

pub(super) fn links(to: &Gatherer) -> Gathered {
    match to.node.links() {
        Ok(links) => to.found(unpacked::LINKS, &links.iter().map(unpacked::shown).collect::<Vec<_>>()),
        Err(error) => to.without(Status::Failed, error.to_string()),
    }
}

pub(super) fn routing(to: &Gatherer) -> Gathered {
    let tables = match to.node.tables() {
        Ok(tables) => tables,
        Err(error) => return to.without(Status::Failed, error.to_string()),
    };
    to.found("netlink/routes.json", &tables.routes)?;
    to.found("netlink/rules.json", &tables.rules)?;
    to.found("netlink/neighbours.json", &tables.neighbours)?;
    to.found("netlink/fdb.json", &tables.forwarding)
}

/// A tool is asked for what it lists only: of nf_tables where its module is loaded, of the legacy back end where it has tables
/// already, and with nothing by which it could load a module.
pub(super) fn firewall(to: &Gatherer) -> Gathered {
    let rules = to.node.nft_rules();
    let counts = json!({"nf_tables": rules, "legacy": to.node.legacy_rules()});
    to.found("netlink/rule-counts.json", &counts)?;
    // Of no rules nft prints nothing.
    if to.node.has_module("nf_tables") && rules.is_none_or(|rules| !rules.is_empty()) {
        listed(to, "nft", &["list", "ruleset"])?;
    }
    for (list, tool) in [
        ("/proc/net/ip_tables_names", "iptables-legacy-save"),
        ("/proc/net/ip6_tables_names", "ip6tables-legacy-save"),
    ] {
        if to.node.read_text(Path::new(list)).is_ok_and(|tables| !tables.is_empty()) {
            listed(to, tool, &["-M", "/bin/false"])?;
        }
    }
    Ok(())
}

fn listed(to: &Gatherer, tool: &str, arguments: &[&str]) -> Gathered {
    let path = format!("commands/{tool}.txt");
    match to.node.run_tool(tool, arguments, to.limit / 3, RULES) {
        Ok(printed) => {
            let cut = printed.is_cut.then(|| format!("the first {RULES} bytes of what {tool} prints"));
            to.put(&path, &printed.text, Form::Text, cut)
        }
        Err(why) => {
            to.without(Status::Missing, format!("{why}; how many rules there are is in rule-counts.json"))
        }
    }
}
