//! Every check of the table, on nodes whose files hold anything and in calls whose configuration is anything: no check panics
//! or hangs, and nothing that `doctor` shows of what was found acts on a terminal.

mod contents;
mod files;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::absurd_nodes::{looked, subjects};
use super::examination::{Examination, Examined, Plan, examine};
use super::subject::Subject;
use super::{Depth, TABLE, run};
use crate::diagnosis::finding::Finding;
use crate::language::{self, Language};
use crate::node::files::asked;
use crate::node::links::Link;
use crate::node::{Node, bounded};
use crate::render::escape;
use crate::render::examination::{self, Detail, View};

/// More than all checks take on a noisy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A subject in which some of what a runtime says is something else.
fn subject() -> impl Strategy<Value = Subject> {
    let subject = proptest::sample::select(subjects());
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), contents::value()), 0..4);
    let words = proptest::array::uniform4(proptest::option::weighted(0.3, contents::word()));
    (subject, changes, words).prop_map(|(mut subject, changes, [plugin, container_id, netns, ifname])| {
        for (index, value) in changes {
            let pointers = pointers(&subject.config);
            let pointer: &String = index.get(&pointers);
            *subject.config.pointer_mut(pointer).unwrap() = value;
        }
        subject.plugin = plugin.unwrap_or(subject.plugin);
        subject.container_id = container_id.unwrap_or(subject.container_id);
        subject.netns = netns.map_or(subject.netns, PathBuf::from);
        subject.ifname = ifname.unwrap_or(subject.ifname);
        subject
    })
}

/// The places in a document, as RFC 6901 writes them, the whole one first.
fn pointers(document: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match document {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(values) => {
            values.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = children
        .into_iter()
        .flat_map(|(key, value)| pointers(value).into_iter().map(move |below| format!("/{key}{below}")));
    std::iter::once(String::new()).chain(below).collect()
}

/// What every check that fits says, and what `doctor` says of the node.
fn found(node: &Node, subject: &Subject) -> Examination {
    let plan = Plan {
        checks: Vec::new(),
        conf_dir: PathBuf::from("/etc/cni/net.d"),
        bin_folders: subject.folders.clone(),
        event: Some(subject.config.to_string()),
        own: Vec::new(),
        peers: Vec::new(),
        limit: LIMIT,
    };
    let mut found = examine(node, &plan);
    let about = vec![format!("{} in {}", subject.plugin, subject.network())];
    for check in TABLE.iter().filter(|check| (check.fits)(subject)) {
        let depths: &[Depth] = if check.before { &[Depth::Quick, Depth::Full] } else { &[Depth::Full] };
        let findings = depths.iter().map(|depth| run(check, node, subject, *depth));
        found.findings.extend(findings.map(|finding| Examined { finding, about: about.clone() }));
    }
    found
}

/// What a terminal would act on in what is shown of it, in every language.
fn acted_on(found: &Examination) -> Vec<char> {
    let mut shown = examination::line(found).into_bytes();
    for language in [Language::En, Language::Ru, Language::Zh] {
        let mut found = found.clone();
        language::examination(language, &mut found);
        let view = View { detail: Detail::Evidence, width: Some(80), language, ..View::default() };
        examination::whole(&mut shown, &found, view).unwrap();
    }
    escape::acted_on(&shown)
}

fn complaints(findings: &[Examined]) -> Vec<&Finding> {
    let findings = findings.iter().map(|one| &one.finding);
    findings
        .filter(|finding| {
            finding.summary.contains("please report it")
                || finding.summary.starts_with("did not answer within")
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_node_holds_makes_a_check_panic_or_hang_or_act_on_a_terminal(
        contents in files::contents(),
        subject in subject(),
        socket in proptest::sample::select(&files::SOCKETS[..]),
    ) {
        let root = tempfile::tempdir().unwrap();
        let _runtime = files::put(root.path(), &contents, socket);
        let node = Node::at(root.path()).with_links(&[Link::default()]);
        let found = bounded::run(LIMIT, move || found(&node, &subject));
        let found = found.expect("the checks hang");
            prop_assert_eq!(complaints(&found.findings), Vec::<&Finding>::new());
        prop_assert_eq!(acted_on(&found), []);
    }
}

#[test]
fn every_file_is_one_that_a_check_asks_for() {
    let contents: Vec<_> = files::FILES.map(|(path, valid)| (path, valid.as_bytes().to_vec())).into();
    let mut paths = BTreeSet::new();
    for socket in files::SOCKETS {
        let root = tempfile::tempdir().unwrap();
        let _runtime = files::put(root.path(), &contents, socket);
        let node = Node::at(root.path()).with_links(&[Link::default()]);
        for subject in subjects() {
            for check in TABLE.iter().filter(|check| (check.fits)(&subject)) {
                paths.extend(looked(check, &node, &subject, Depth::Full).1);
            }
        }
        // The node's name stands above what is found.
        let _ = node.host_name();
        paths.extend(asked::taken());
    }
    let unasked = files::FILES.iter().filter(|(path, _)| !paths.contains(&PathBuf::from("/").join(path)));
    assert_eq!(unasked.collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
}
