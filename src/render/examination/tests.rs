use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::checks::examination::First;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::finding::Finding;

fn network(name: &str, plugins: &[&str], taken: bool) -> Seen {
    Seen {
        name: name.to_owned(),
        file: PathBuf::from(format!("/etc/cni/net.d/{name}.conflist")),
        plugins: plugins.iter().map(ToString::to_string).collect(),
        wrapped: plugins.iter().take(1).map(ToString::to_string).collect(),
        taken,
    }
}

fn examined(check: &str, finding: Finding, about: &[&str]) -> Examined {
    let about = about.iter().map(ToString::to_string).collect();
    Examined { finding: Finding { check: check.to_owned(), ..finding }, about }
}

fn examination(findings: Vec<Examined>, first: Option<First>) -> Examination {
    Examination {
        schema: 1,
        node: "worker-1".to_owned(),
        time: "2026-11-21T10:20:30.000000Z".to_owned(),
        took_ms: 12,
        status: findings.iter().map(|one| one.finding.status).max().unwrap(),
        first,
        event: None,
        networks: vec![network("pods", &["bridge", "portmap"], true)],
        findings,
    }
}

fn exhausted() -> Examined {
    let finding = Finding::fail(Cause::IpamExhausted, "5 of 5 addresses used, 2 of them leaked")
        .with("folder", "/var/lib/cni/networks/pods")
        .with("sets", json!([{"ranges": "10.1.0.1-10.1.0.6", "capacity": 5, "orphans": null}]))
        .with("leaked", json!([{"address": "10.1.0.3", "id": "a"}, {"address": "10.1.0.4", "id": "b"}]))
        .with("orphans", json!([]))
        .fix("release the 2 leaked addresses: remove their files in /var/lib/cni/networks/pods")
        .fix("destructive: delete the folder");
    examined("ipam-pool", finding, &["bridge in pods.conflist"])
}

fn healthy() -> Examination {
    let ok = |name: &str, what: &str| examined(name, Finding::ok(what), &[]);
    let twice = ok("plugin-binary", "portmap can be executed");
    examination(
        vec![ok("plugin-binary", "bridge can be executed"), twice, ok("bridge", "cni0 fits the network")],
        None,
    )
}

fn ill() -> Examination {
    let first = First { check: Some("ipam-pool".to_owned()), fix: exhausted().finding.fix[0].clone() };
    let findings = vec![
        exhausted(),
        examined("clock", Finding::warn("the clock is not synchronised"), &[]),
        examined("calico", Finding::skipped("did not answer within 4000 ms"), &[]),
        examined("clock", Finding::ok("the clock goes on"), &[]),
        examined("bridge", Finding::ok("cni0 fits the network"), &[]),
    ];
    let mut ill = examination(findings, Some(first));
    ill.networks.push(network("stale", &["flannel"], false));
    ill
}

fn shown(found: &Examination, detail: Detail, width: Option<usize>) -> String {
    let mut written = Vec::new();
    whole(&mut written, found, View { detail, width, ..View::default() }).unwrap();
    anstream::adapter::strip_str(std::str::from_utf8(&written).unwrap()).to_string()
}

#[test]
fn a_healthy_node_is_a_short_block() {
    insta::assert_snapshot!(shown(&healthy(), Detail::Checks, Some(80)), @r#"
    worker-1: no problem found

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist

    checks
      ok      plugin-binary  bridge can be executed (+1 more)
      ok      bridge         cni0 fits the network
    "#);
}

#[test]
fn every_entry_can_have_a_line() {
    insta::assert_snapshot!(shown(&healthy(), Detail::Entries, Some(80)), @r#"
    worker-1: no problem found

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist

    checks
      ok      plugin-binary  bridge can be executed
      ok      plugin-binary  portmap can be executed
      ok      bridge         cni0 fits the network
    "#);
}

#[test]
fn what_is_wrong_is_shown_with_its_evidence_and_fix() {
    insta::assert_snapshot!(shown(&ill(), Detail::Checks, None), @r#"
    worker-1: 1 problem, 1 warning, 1 skipped

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist
      stale   flannel (wrapped) in /etc/cni/net.d/stale.conflist; the runtime does not take it

    checks
      fail    ipam-pool  5 of 5 addresses used, 2 of them leaked
              about   bridge in pods.conflist
              cause   ipam-exhausted: no address is left in the pool
              folder  /var/lib/cni/networks/pods
              sets    ranges 10.1.0.1-10.1.0.6, capacity 5
              leaked  address 10.1.0.3, id a
                      address 10.1.0.4, id b
              fix 1   release the 2 leaked addresses: remove their files in /var/lib/cni/networks/pods
              fix 2   destructive: delete the folder

      warn    clock      the clock is not synchronised

      skipped calico     did not answer within 4000 ms

      ok      bridge     cni0 fits the network

    first
      release the 2 leaked addresses: remove their files in /var/lib/cni/networks/pods
    "#);
}

#[test]
fn it_fits_a_narrow_terminal() {
    let narrow = shown(&ill(), Detail::Checks, Some(60));
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    insta::assert_snapshot!(narrow, @r#"
    worker-1: 1 problem, 1 warning, 1 skipped

    networks
      pods    bridge (wrapped), portmap in
              /etc/cni/net.d/pods.conflist
      stale   flannel (wrapped) in
              /etc/cni/net.d/stale.conflist; the runtime does
              not take it

    checks
      fail    ipam-pool  5 of 5 addresses used, 2 of them leaked
              about   bridge in pods.conflist
              cause   ipam-exhausted: no address is left in the
                      pool
              folder  /var/lib/cni/networks/pods
              sets    ranges 10.1.0.1-10.1.0.6, capacity 5
              leaked  address 10.1.0.3, id a
                      address 10.1.0.4, id b
              fix 1   release the 2 leaked addresses: remove
                      their files in /var/lib/cni/networks/pods
              fix 2   destructive: delete the folder

      warn    clock      the clock is not synchronised

      skipped calico     did not answer within 4000 ms

      ok      bridge     cni0 fits the network

    first
      release the 2 leaked addresses: remove their files in
      /var/lib/cni/networks/pods
    "#);
}

#[test]
fn what_is_well_can_have_its_evidence() {
    let bridge = Finding::ok("cni0 fits the network").with("mtu", 1500);
    let found = examination(vec![examined("bridge", bridge, &["bridge in pods.conflist"])], None);
    insta::assert_snapshot!(shown(&found, Detail::Evidence, None), @r#"
    worker-1: no problem found

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist

    checks
      ok      bridge  cni0 fits the network
              about  bridge in pods.conflist
              mtu    1500
    "#);
}

/// An event that tells of a full pool.
fn of_a_full_pool() -> Diagnosis {
    Diagnosis {
        cause: Cause::IpamExhausted,
        title: "no address is left in the pool".to_owned(),
        summary: "no address is left in the pool".to_owned(),
        evidence: vec!["the error's text has “no IP addresses available”".to_owned()],
        ruled_out: vec![
            "bridge: cni0 fits the network".to_owned(),
            "ipam-pool: 0 of 5 addresses used".to_owned(),
        ],
        fix: vec!["release the 2 leaked addresses".to_owned(), "destructive: delete the folder".to_owned()],
    }
}

#[test]
fn an_event_comes_before_everything() {
    let mut found = ill();
    found.event = Some(of_a_full_pool());
    insta::assert_snapshot!(shown(&found, Detail::Checks, Some(80)), @r#"
    worker-1: 1 problem, 1 warning, 1 skipped

    event
      ipam-exhausted: no address is left in the pool
              evidence  the error's text has “no IP addresses available”
              fix 1     release the 2 leaked addresses
              fix 2     destructive: delete the folder

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist
      stale   flannel (wrapped) in /etc/cni/net.d/stale.conflist; the runtime does
              not take it

    checks
      fail    ipam-pool  5 of 5 addresses used, 2 of them leaked
              about   bridge in pods.conflist
              cause   ipam-exhausted: no address is left in the pool
              folder  /var/lib/cni/networks/pods
              sets    ranges 10.1.0.1-10.1.0.6, capacity 5
              leaked  address 10.1.0.3, id a
                      address 10.1.0.4, id b
              fix 1   release the 2 leaked addresses: remove their files in
                      /var/lib/cni/networks/pods
              fix 2   destructive: delete the folder

      warn    clock      the clock is not synchronised

      skipped calico     did not answer within 4000 ms

      ok      bridge     cni0 fits the network

    first
      release the 2 leaked addresses: remove their files in
      /var/lib/cni/networks/pods
    "#);
}

#[test]
fn of_an_event_that_is_over_is_told_what_is_well_now() {
    let mut found = healthy();
    found.event = Some(of_a_full_pool());
    insta::assert_snapshot!(shown(&found, Detail::Checks, None), @r#"
    worker-1: no problem found

    event
      ipam-exhausted: no address is left in the pool
              evidence  the error's text has “no IP addresses available”
              well now  ipam-pool: 0 of 5 addresses used
              fix 1     release the 2 leaked addresses
              fix 2     destructive: delete the folder

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist

    checks
      ok      plugin-binary  bridge can be executed (+1 more)
      ok      bridge         cni0 fits the network
    "#);
}

#[test]
fn of_an_unknown_event_is_told_what_was_ruled_out() {
    let mut found = healthy();
    found.event = Some(Diagnosis {
        cause: Cause::Unknown,
        title: "unknown cause".to_owned(),
        summary: "ruled out: bridge".to_owned(),
        evidence: Vec::new(),
        ruled_out: vec!["bridge: cni0 fits the network".to_owned()],
        fix: Vec::new(),
    });
    insta::assert_snapshot!(shown(&found, Detail::Checks, None), @r#"
    worker-1: no problem found

    event
      unknown cause: ruled out: bridge
              ruled out  bridge: cni0 fits the network

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist

    checks
      ok      plugin-binary  bridge can be executed (+1 more)
      ok      bridge         cni0 fits the network
    "#);
}

#[test]
fn the_time_is_shown_where_it_goes_on() {
    let mut written = Vec::new();
    let view = View { time: Some(Zone::Utc), ..View::default() };
    whole(&mut written, &healthy(), view).unwrap();
    let text = String::from_utf8(written).unwrap();
    let title = anstream::adapter::strip_str(text.lines().next().unwrap()).to_string();
    assert_eq!(title, "worker-1 at 2026-11-21 10:20:30.000 +00:00: no problem found");
}

#[test]
fn the_title_counts_what_is_wrong() {
    let title = |findings: Vec<Examined>| {
        shown(&examination(findings, None), Detail::Checks, None).lines().next().unwrap().to_owned()
    };
    let warn = || examined("clock", Finding::warn("late"), &[]);
    let table = [
        (vec![warn()], "worker-1: no problem, 1 warning"),
        (vec![exhausted(), exhausted()], "worker-1: 2 problems"),
        (vec![exhausted(), warn(), warn()], "worker-1: 1 problem, 2 warnings"),
        (
            vec![examined("a", Finding::skipped("late"), &[]), healthy().findings.remove(0)],
            "worker-1: no problem found, 1 skipped",
        ),
        (vec![examined("a", Finding::skipped("late"), &[])], "worker-1: nothing could be looked at"),
    ];
    for (findings, expected) in table {
        assert_eq!(title(findings), expected);
    }
}

#[test]
fn one_line_fits_the_message_of_a_node_condition() {
    let table = [
        (healthy(), "no problem found by 3 checks"),
        (ill(), "ipam-exhausted: 5 of 5 addresses used, 2 of them leaked"),
        (
            examination(vec![examined("clock", Finding::warn("late"), &[])], None),
            "no problem; 1 warning: late",
        ),
        (
            examination(vec![examined("a", Finding::skipped("no answer"), &[])], None),
            "could not look: no answer",
        ),
        (
            examination(
                vec![
                    examined("a", Finding::fail(Cause::ConfigInvalid, "ä".repeat(200)), &[]),
                    exhausted(),
                    exhausted(),
                ],
                None,
            ),
            "config-invalid: äääääääääääääääääääääääää... (+2 more)",
        ),
    ];
    for (found, expected) in table {
        assert_eq!(line(&found), expected);
        assert!(expected.len() <= 80);
    }
}

/// A node on which everything that comes from outside is this text.
fn all_of(text: &str) -> Examination {
    let finding =
        Finding::fail(Cause::ConfigInvalid, text).with(text, json!([{text: text}, [text]])).fix(text);
    let first = First { check: Some(text.to_owned()), fix: text.to_owned() };
    let mut found = examination(vec![examined("config", finding, &[text])], Some(first));
    found.node = text.to_owned();
    found.networks.push(network(text, &[text], true));
    found
}

#[test]
fn text_from_outside_is_harmless_for_a_terminal() {
    let found = all_of("a\u{1b}[35m\nb\u{202e}");
    let mut written = Vec::new();
    whole(&mut written, &found, View { detail: Detail::Evidence, ..View::default() }).unwrap();
    let text = String::from_utf8(written).unwrap();
    assert!(!text.contains('\u{202e}') && !text.contains("\u{1b}[35m"), "{text}");
    assert_eq!(text.matches(r"a\u{1b}[35m\nb\u{202e}").count(), 12);
    assert!(!line(&found).contains(char::is_control));
}

proptest::proptest! {
    #[test]
    fn nothing_from_outside_acts_on_a_terminal(
        text in "(\\PC{1,9}|[\\x00-\\x1f\\x7f-\\u{9f}]|[\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{2069}\u{feff}]|\x1b\\[35m|\x1b\\]0;| in |: |destructive: ){0,20}"
    ) {
        let mut found = all_of(&text);
        found.event = Some(Diagnosis {
            summary: text.clone(),
            evidence: vec![text.clone()],
            ruled_out: vec![text.clone()],
            fix: vec![text.clone()],
            ..of_a_full_pool()
        });
        for width in [None, Some(40)] {
            let mut written = Vec::new();
            whole(&mut written, &found, View { detail: Detail::Evidence, width, ..View::default() }).unwrap();
            proptest::prop_assert_eq!(escape::acted_on(&written), []);
        }
        proptest::prop_assert!(!line(&found).contains(char::is_control));
    }
}
