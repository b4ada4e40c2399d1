use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::checks::examination::First;
use crate::diagnosis::catalogue::Cause;
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
    let first = First { check: "ipam-pool".to_owned(), fix: exhausted().finding.fix[0].clone() };
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

fn shown(found: &Examination, is_wide: bool, width: Option<usize>) -> String {
    let mut written = Vec::new();
    whole(&mut written, found, is_wide, width).unwrap();
    anstream::adapter::strip_str(std::str::from_utf8(&written).unwrap()).to_string()
}

#[test]
fn a_healthy_node_is_a_short_block() {
    insta::assert_snapshot!(shown(&healthy(), false, Some(80)), @r#"
    worker-1: no problem found

    networks
      pods    bridge (wrapped), portmap in /etc/cni/net.d/pods.conflist

    checks
      ok      plugin-binary, bridge
    "#);
}

#[test]
fn every_check_has_a_line_where_it_is_to_be_wide() {
    insta::assert_snapshot!(shown(&healthy(), true, Some(80)), @r#"
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
    insta::assert_snapshot!(shown(&ill(), false, None), @r#"
    worker-1: 1 problem, 1 warning

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
      ok      bridge

    first
      release the 2 leaked addresses: remove their files in /var/lib/cni/networks/pods
    "#);
}

#[test]
fn it_fits_a_narrow_terminal() {
    let narrow = shown(&ill(), false, Some(60));
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    insta::assert_snapshot!(narrow, @r#"
    worker-1: 1 problem, 1 warning

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
      ok      bridge

    first
      release the 2 leaked addresses: remove their files in
      /var/lib/cni/networks/pods
    "#);
}

#[test]
fn the_title_counts_what_is_wrong() {
    let title = |findings: Vec<Examined>| {
        shown(&examination(findings, None), false, None).lines().next().unwrap().to_owned()
    };
    let warn = || examined("clock", Finding::warn("late"), &[]);
    let table = [
        (vec![warn()], "worker-1: no problem, 1 warning"),
        (vec![exhausted(), exhausted()], "worker-1: 2 problems"),
        (vec![exhausted(), warn(), warn()], "worker-1: 1 problem, 2 warnings"),
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

#[test]
fn text_from_outside_is_harmless_for_a_terminal() {
    let hostile = "a\u{1b}[35m\nb\u{202e}";
    let finding = Finding::fail(Cause::ConfigInvalid, hostile)
        .with(hostile, json!([{hostile: hostile}, [hostile]]))
        .fix(hostile);
    let first = First { check: hostile.to_owned(), fix: hostile.to_owned() };
    let mut found = examination(vec![examined("config", finding, &[hostile])], Some(first));
    found.node = hostile.to_owned();
    found.networks.push(network(hostile, &[hostile], true));
    let mut written = Vec::new();
    whole(&mut written, &found, true, None).unwrap();
    let text = String::from_utf8(written).unwrap();
    assert!(!text.contains('\u{202e}') && !text.contains("\u{1b}[35m"), "{text}");
    assert_eq!(text.matches(r"a\u{1b}[35m\nb\u{202e}").count(), 12);
    assert!(!line(&found).contains(char::is_control));
}
