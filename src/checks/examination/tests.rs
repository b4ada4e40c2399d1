use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A network whose first plugin is wrapped.
const PODS: &str = r#"{"name": "pods", "plugins": [
    {"type": "cniscope", "cniscope": {"wraps": "dummy"}}, {"type": "tuning"}]}"#;
/// Another one.
const OTHER: &str = r#"{"name": "other", "plugins": [{"type": "loopback"}]}"#;
/// What PODS needs.
const PLUGINS: [(&str, &str); 4] = [
    ("bin/sh", "#!/bin/sh"),
    ("bin/cniscope", "#!/bin/sh"),
    ("bin/dummy", "#!/bin/sh"),
    ("bin/tuning", "#!/bin/sh"),
];

/// What these checks find on a node with these files, all of which can be executed.
fn found(files: &[(&str, &str)], checks: &[&str]) -> Examination {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files.iter().chain(&[("etc/hostname", "worker-1\n")]) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let plan = Plan {
        checks: checks.iter().map(ToString::to_string).collect(),
        conf_dir: "/net.d".into(),
        bin_folders: vec!["/bin".into()],
        event: None,
        own: Vec::new(),
        peers: Vec::new(),
        limit: Duration::from_mins(1),
    };
    examine(&Node::at(root.path()), &plan)
}

/// A finding in one line: status, check, summary, and what it is about.
fn lines(found: &[Examined]) -> Vec<String> {
    let line = |one: &Examined| {
        let Finding { check, status, summary, .. } = &one.finding;
        format!("{} {check}: {summary} [{}]", status.as_str(), one.about.join("; "))
    };
    found.iter().map(line).collect()
}

fn examined(check: &str, finding: Finding) -> Examined {
    Examined { finding: Finding { check: check.to_owned(), ..finding }, about: Vec::new() }
}

#[test]
fn every_entry_and_the_node_are_looked_at() {
    let files = [&PLUGINS[..], &[("net.d/10-pods.conflist", PODS)]].concat();
    let found = found(&files, &["plugin-binary", "config"]);
    assert_eq!(
        lines(&found.findings),
        [
            "ok plugin-binary: cniscope, dummy can be executed [dummy in 10-pods.conflist]",
            "ok plugin-binary: tuning can be executed [tuning in 10-pods.conflist]",
            "ok config: the runtime takes 10-pods.conflist []",
            "ok config: the entry has no mistake that is known [dummy in 10-pods.conflist; tuning in 10-pods.conflist]",
        ]
    );
    assert_eq!((found.status, found.first, found.node.as_str()), (Status::Ok, None, "worker-1"));
    assert_eq!(
        found.networks,
        [Seen {
            name: "pods".into(),
            file: "/net.d/10-pods.conflist".into(),
            plugins: vec!["dummy".into(), "tuning".into()],
            wrapped: vec!["dummy".into()],
            taken: true,
        }]
    );
}

#[test]
fn a_wrapped_entry_needs_cniscope_too() {
    let plugins: Vec<_> = PLUGINS.into_iter().filter(|(name, _)| !name.ends_with("cniscope")).collect();
    let files = [&plugins[..], &[("net.d/10-pods.conflist", PODS)]].concat();
    let found = found(&files, &["plugin-binary"]);
    assert_eq!(
        lines(&found.findings[..1]),
        [
            "fail plugin-binary: the wrapper cniscope is in none of the folders of CNI_PATH (/bin) [dummy in 10-pods.conflist]"
        ]
    );
    let fix = "install cniscope in /bin".to_owned();
    assert_eq!(found.first, Some(First { check: Some("plugin-binary".into()), fix }));
}

#[test]
fn a_network_that_the_runtime_does_not_take_is_only_listed() {
    let files =
        [&PLUGINS[..], &[("net.d/10-pods.conflist", PODS), ("net.d/20-other.conflist", OTHER)]].concat();
    let found = found(&files, &["plugin-binary"]);
    assert_eq!(
        lines(&found.findings),
        [
            "ok plugin-binary: cniscope, dummy can be executed [dummy in 10-pods.conflist]",
            "ok plugin-binary: tuning can be executed [tuning in 10-pods.conflist]",
        ]
    );
    let taken: Vec<_> = found.networks.iter().map(|one| (one.name.as_str(), one.taken)).collect();
    assert_eq!(taken, [("pods", true), ("other", false)]);
}

#[test]
fn behind_a_broken_file_the_others_are_looked_at_and_only_warn() {
    let found =
        found(&[("net.d/10-pods.conflist", "{"), ("net.d/20-other.conflist", OTHER)], &["plugin-binary"]);
    assert_eq!(
        lines(&found.findings),
        ["warn plugin-binary: the plugin loopback is in none of the folders of CNI_PATH (/bin) \
          [loopback in 20-other.conflist, which the runtime does not take]"]
    );
    assert_eq!(found.status, Status::Warn);
}

#[test]
fn what_one_fix_mends_is_one_finding() {
    let both = PODS
        .replace("{\"type\": \"tuning\"}", "{\"type\": \"cniscope\", \"cniscope\": {\"wraps\": \"tuning\"}}");
    let plugins: Vec<_> = PLUGINS.into_iter().filter(|(name, _)| !name.ends_with("cniscope")).collect();
    let found = found(&[&plugins[..], &[("net.d/10-pods.conflist", &both)]].concat(), &["plugin-binary"]);
    assert_eq!(
        lines(&found.findings),
        ["fail plugin-binary: the wrapper cniscope is in none of the folders of CNI_PATH (/bin) \
          [dummy in 10-pods.conflist; tuning in 10-pods.conflist]"]
    );
}

#[test]
fn without_a_network_the_node_is_looked_at_all_the_same() {
    let found = found(&[], &["config", "netns"]);
    assert_eq!(
        lines(&found.findings),
        [
            "fail config: /net.d: no such file or directory []",
            "skipped netns: there is nothing on this node that it looks at []"
        ]
    );
    let of_cause = Cause::NetworkNotReady.entry().fix.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(found.findings[0].finding.fix, of_cause);
}

#[test]
fn calls_are_not_looked_for_in_entries() {
    let found = found(&[("net.d/10-pods.conflist", PODS)], &[]);
    let names: Vec<_> = found.findings.iter().map(|one| one.finding.check.as_str()).collect();
    assert!(!names.contains(&"netns") && !names.contains(&"interface"), "{names:?}");
}

#[test]
fn what_is_true_of_the_node_is_looked_at_once() {
    let of_the_node = Check { of_the_node: true, fits: |_| true, ..TABLE[0] };
    let of_entries = Check { of_the_node: false, ..of_the_node };
    let of_plugins = Check { fits: |subject| !subject.plugin.is_empty(), ..of_the_node };
    let entry = Subject {
        origin: Origin::Entry { file: "/x.conf".into(), is_wrapped: false },
        plugin: "x".into(),
        ..Subject::default()
    };
    let node = Subject { origin: Origin::Node { conf_dir: "/".into() }, ..Subject::default() };
    let subjects = [node, entry.clone(), entry];
    let plugins =
        |check: &Check| fitting(check, &subjects).iter().map(|one| one.plugin.clone()).collect::<Vec<_>>();
    assert_eq!(plugins(&of_the_node), [""]);
    assert_eq!(plugins(&of_entries), ["", "x", "x"]);
    assert_eq!(plugins(&of_plugins), ["x", "x"]);
}

#[test]
fn the_worst_comes_first_and_what_it_explains_behind_it() {
    let findings = vec![
        examined("plugin-binary", Finding::ok("a")),
        examined("plugin-binary", Finding::fail(Cause::PluginCrashed, "b")),
        examined("bridge", Finding::fail(Cause::PluginNotExecutable, "c")),
        examined("config", Finding::skipped("d")),
        examined("ipam-pool", Finding::warn("e")),
    ];
    assert_eq!(
        lines(&ordered(findings)),
        [
            "fail bridge: c []",
            "fail plugin-binary: b []",
            "warn ipam-pool: e []",
            "skipped config: d []",
            "ok plugin-binary: a []"
        ]
    );
}

#[test]
fn the_first_thing_to_do_is_a_safe_one_of_the_worst() {
    let fix = |findings: &[Examined]| first(findings).map(|first| first.fix);
    let fail = || Finding::fail(Cause::BridgeWrongKind, "");
    let destructive = || examined("a", fail().fix("destructive: delete it"));
    let both = || examined("a", fail().fix("destructive: delete it").fix("rename it"));
    let warn = || examined("b", Finding::warn("").fix("look"));
    assert_eq!(fix(&[both(), warn()]).as_deref(), Some("rename it"));
    assert_eq!(fix(&[destructive()]).as_deref(), Some("destructive: delete it"));
    assert_eq!(fix(&[warn()]).as_deref(), Some("look"));
    assert_eq!(fix(&[examined("a", Finding::fail(Cause::Unknown, "")), warn()]), None);
    assert_eq!(fix(&[examined("a", Finding::ok("").fix("nothing"))]), None);
}

#[test]
fn an_event_is_judged_with_what_was_found() {
    const FULL: &str =
        "plugin type=\"bridge\" failed (add): no IP addresses available in range set: 10.1.0.1-10.1.0.6";
    let leaked = Finding::fail(Cause::IpamExhausted, "5 of 5 addresses used, 2 leaked").fix("release the 2");
    let kind = Finding::fail(Cause::BridgeWrongKind, "br0 is a veth").fix("rename it");
    let findings = [examined("bridge", kind), examined("ipam-pool", leaked)];
    let judged = |text: &str, findings: &[Examined]| {
        let event = of_event(text, findings, &[]);
        let first = first_of_event(&event, findings);
        (event.cause, event.summary, first.map(|first| (first.check, first.fix)))
    };
    assert_eq!(
        judged(FULL, &findings),
        (
            Cause::IpamExhausted,
            "5 of 5 addresses used, 2 leaked".to_owned(),
            Some((Some("ipam-pool".to_owned()), "release the 2".to_owned()))
        )
    );
    let (cause, _, first) = judged(FULL, &findings[..1]);
    assert_eq!((cause, first.map(|(check, _)| check)), (Cause::IpamExhausted, Some(None)));
    assert_eq!(
        judged("it rained", &findings),
        (Cause::Unknown, "no check applied".to_owned(), None),
        "what was found decides what to do first"
    );
}
