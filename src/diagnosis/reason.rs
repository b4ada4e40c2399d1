//! The reasoning: what happened, and what the checks found, to one cause.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Diagnosis;
use super::catalogue::{Cause, DESTRUCTIVE};
use super::finding::{Finding, Status};
use super::own::Own;
use super::reading;
use super::signatures::Rank;

/// What happened to a call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happened {
    /// The delegate returned an error; `text` is what libcni makes of it.
    Error {
        /// The text.
        text: String,
    },
    /// The delegate ended without a CNI error.
    Crashed {
        /// How it ended, in words that fit behind "the plugin ended with": `signal: killed and printed no CNI error`.
        how: String,
        /// What it printed, on stdout and stderr.
        printed: String,
    },
    /// The delegate was stopped at its deadline.
    Deadline {
        /// How long it was given, in words.
        after: String,
    },
    /// The delegate ended after a signal that cniscope got and passed on.
    Interrupted {
        /// The signal's name.
        signal: String,
        /// What it printed.
        printed: String,
    },
    /// The delegate was not started.
    NotStarted {
        /// Why not.
        text: String,
        /// What cniscope itself knows to be wrong.
        cause: Cause,
    },
    /// The delegate was not started since a check that failed denies the call.
    Denied {
        /// The check.
        check: String,
    },
}

impl Happened {
    /// What the delegate, or cniscope in its place, said.
    #[must_use]
    pub fn said(&self) -> &str {
        match self {
            Happened::Error { text } | Happened::NotStarted { text, .. } => text,
            Happened::Crashed { printed, .. } | Happened::Interrupted { printed, .. } => printed,
            Happened::Deadline { .. } | Happened::Denied { .. } => "",
        }
    }
}

/// A cause that looks like another one until the node is looked at.
struct Deeper {
    /// What the text says.
    told: Cause,
    /// Where this is not empty, the text has to have one of these words, in lower case.
    words: &'static [&'static str],
    /// What a check may find.
    found: Cause,
    /// Whether a warning is enough.
    or_warned: bool,
    /// Whether it goes deeper also than this finding, by which another check confirms the text.
    over: fn(confirmed: &Finding) -> bool,
}

impl Deeper {
    const fn new(told: Cause, found: Cause) -> Deeper {
        Deeper { told, words: &[], found, or_warned: false, over: |_| false }
    }
}

const DEEPER: &[Deeper] = &[
    Deeper::new(Cause::PluginCrashed, Cause::PluginNotExecutable),
    // Without its subnet, a flannel node has no pool, and its bridge an address of no network. Where somebody has used up the
    // last subnet that flannel had, that there is none any more goes deeper; a pool that is full of addresses of dead sandboxes
    // is full whatever flannel does.
    Deeper { over: |full| !has_leaks(full), ..Deeper::new(Cause::IpamExhausted, Cause::SubnetEnvMissing) },
    Deeper::new(Cause::BridgeAddressConflict, Cause::SubnetEnvMissing),
    // Who asks somebody that is not there waits until a deadline.
    Deeper::new(Cause::PluginTimeout, Cause::AgentUnreachable),
    Deeper::new(Cause::PluginTimeout, Cause::ApiserverUnreachable),
    Deeper::new(Cause::PluginTimeout, Cause::IpamBackendUnavailable),
    // Where the kernel tracks no further connection, nobody answers who is there.
    Deeper {
        words: &["timeout", "timed out", "deadline exceeded"],
        over: |_| true,
        ..Deeper::new(Cause::ApiserverUnreachable, Cause::ConntrackFailed)
    },
    // The kernel says so of an IPv6 address where IPv6 is off.
    Deeper {
        words: &["address", "ip addr"],
        or_warned: true,
        ..Deeper::new(Cause::PermissionDenied, Cause::SysctlFailed)
    },
];

/// What a warning explains only where the text has one of these words, in lower case.
const ONLY_WITH: &[(Cause, &[&str])] = &[
    // The clock, and no unknown authority.
    (Cause::CertificateInvalid, &["expired", "not yet valid"]),
    // The token, and no role.
    (Cause::ApiserverDenied, &["unauthorized", "credentials", "expired"]),
];

/// The check that measures just what a text says: where it finds nothing wrong, that speaks against the text. It was true when the
/// plugin said so, and the plugin may have looked elsewhere: so it stays the cause, and whoever reads it knows of the doubt.
const MEASURED_BY: &[(Cause, &str)] = &[
    (Cause::IpamExhausted, "ipam-pool"),
    (Cause::NetnsGone, "netns"),
    (Cause::DiskFull, "disk"),
    (Cause::PluginNotFound, "plugin-binary"),
    (Cause::ApiserverUnreachable, "apiserver"),
    (Cause::ConntrackFailed, "conntrack"),
];
/// How evidence begins that speaks against the cause.
pub const AGAINST: &str = "against it: ";

/// The checks that are worth running after this: those that can confirm what the text says, or all (`None`) where it
/// says nothing.
#[must_use]
pub fn checks_worth_running(happened: &Happened, own: &[Own]) -> Option<&'static [&'static str]> {
    told(happened, &[], own).map(|told| told.cause.entry().checks)
}

/// The cause. `own` are the signatures of this node's owner.
#[must_use]
pub fn diagnose(happened: &Happened, findings: &[Finding], own: &[Own]) -> Diagnosis {
    let Some(told) = told(happened, findings, own) else { return unknown(happened, findings) };
    let mut evidence = vec![told.evidence];
    let found = |status, cause| {
        findings.iter().find(|finding| finding.status == status && finding.cause == Some(cause))
    };
    let text = happened.said().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let confirmed = found(Status::Fail, told.cause);
    let deeper = |told: Cause, confirmed: Option<&Finding>| {
        let mut rows = DEEPER
            .iter()
            .filter(|row| row.told == told && (row.words.is_empty() || has(row.words)))
            .filter(|row| confirmed.is_none_or(row.over));
        rows.find_map(|row| {
            let warned = || found(Status::Warn, row.found).filter(|_| row.or_warned);
            found(Status::Fail, row.found).or_else(warned)
        })
    };
    // What is deeper may have a deeper cause itself.
    let first = deeper(told.cause, confirmed).or(confirmed);
    let second = first.and_then(|first| deeper(first.cause?, Some(first)));
    let warned = || {
        let words = ONLY_WITH.iter().find(|(cause, _)| *cause == told.cause).map(|(_, words)| *words);
        found(Status::Warn, told.cause).filter(|_| words.is_none_or(has))
    };
    let decisive = second.or(first).or_else(warned);
    let cause = decisive.and_then(|finding| finding.cause).unwrap_or(told.cause);
    if let Some(finding) = decisive {
        let moved = if cause == told.cause { "" } else { ", which is the deeper cause" };
        evidence.push(format!("check {}: {}{moved}", finding.check, finding.summary));
    }
    if decisive.is_none() {
        evidence.extend(against(cause, findings));
    }
    let looked_at = cause.entry().checks;
    let others = findings.iter().filter(|finding| {
        matches!(finding.status, Status::Warn | Status::Fail)
            && looked_at.contains(&finding.check.as_str())
            && decisive.is_none_or(|decisive| decisive.check != finding.check)
    });
    evidence.extend(others.map(|finding| format!("check {}: {}", finding.check, finding.summary)));
    let mut fix: Vec<String> = decisive.map(|finding| finding.fix.clone()).unwrap_or_default();
    let own = told.own.filter(|own| own.cause == cause);
    fix.extend(own.map(|own| own.fix.clone()).unwrap_or_default());
    for of_cause in cause.entry().fix.iter().map(ToString::to_string) {
        if !fix.contains(&of_cause) {
            fix.push(of_cause);
        }
    }
    fix.sort_by_key(|fix| fix.starts_with(DESTRUCTIVE));
    let title = own.and_then(|own| own.title.clone()).unwrap_or_else(|| cause.entry().title.to_owned());
    Diagnosis {
        cause,
        summary: decisive
            .map(|finding| finding.summary.clone())
            .or(told.summary)
            .unwrap_or_else(|| title.clone()),
        title,
        evidence,
        ruled_out: ruled_out(findings),
        fix,
    }
}

/// Whether a finding of `ipam-pool` names addresses of sandboxes that are gone.
fn has_leaks(finding: &Finding) -> bool {
    finding.evidence.get("leaked").and_then(Value::as_array).is_some_and(|leaked| !leaked.is_empty())
}

/// What the check says that measures the cause, where it finds nothing wrong.
fn against(cause: Cause, findings: &[Finding]) -> Option<String> {
    let (_, check) = MEASURED_BY.iter().find(|(measured, _)| *measured == cause)?;
    let finding = findings.iter().find(|finding| finding.check == *check && finding.status == Status::Ok)?;
    Some(format!("{AGAINST}check {}: {}", finding.check, finding.summary))
}

/// What the texts and the way it ended tell, before the node is looked at.
struct Told<'a> {
    cause: Cause,
    evidence: String,
    summary: Option<String>,
    own: Option<&'a Own>,
}

impl Told<'_> {
    /// What is known without a text.
    fn of(cause: Cause, evidence: String, summary: String) -> Told<'static> {
        Told { cause, evidence, summary: Some(summary), own: None }
    }
}

fn told<'a>(happened: &Happened, findings: &[Finding], own: &'a [Own]) -> Option<Told<'a>> {
    let by_text = |text: &str, least: Rank| {
        let reading = reading::read(text, own);
        let evidence = reading.evidence.filter(|_| reading.rank >= Some(least))?;
        Some(Told { cause: reading.cause, evidence, summary: None, own: reading.own })
    };
    // What a plugin prints before it dies is not only its error.
    let by_output = |text: &str| by_text(text, Rank::Word);
    match happened {
        Happened::Error { text } => by_text(text, Rank::Weak),
        Happened::NotStarted { text, cause } => Some(Told::of(*cause, text.clone(), text.clone())),
        Happened::Interrupted { printed, .. } => by_output(printed),
        Happened::Crashed { how, printed } => by_output(printed).or_else(|| {
            let summary = format!("the plugin ended with {how}");
            Some(Told::of(Cause::PluginCrashed, summary.clone(), summary))
        }),
        Happened::Deadline { after } => {
            let summary = format!("the plugin was stopped after {after}");
            Some(Told::of(Cause::PluginTimeout, summary.clone(), summary))
        }
        Happened::Denied { check } => {
            let finding = findings.iter().find(|finding| finding.check == *check)?;
            let evidence = format!("the check {check} is set to deny");
            Some(Told::of(finding.cause?, evidence, finding.summary.clone()))
        }
    }
}

fn unknown(happened: &Happened, findings: &[Finding]) -> Diagnosis {
    let mut evidence = Vec::new();
    if let Happened::Interrupted { signal, .. } = happened {
        evidence.push(format!("{signal} was sent to cniscope and passed on to the plugin"));
    }
    let remarkable = findings.iter().filter(|finding| matches!(finding.status, Status::Warn | Status::Fail));
    evidence.extend(remarkable.map(|finding| format!("check {}: {}", finding.check, finding.summary)));
    let well: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.status == Status::Ok)
        .map(|finding| finding.check.as_str())
        .collect();
    let summary = if well.is_empty() {
        "no check applied".to_owned()
    } else {
        format!("ruled out: {}", well.join(", "))
    };
    Diagnosis {
        cause: Cause::Unknown,
        title: Cause::Unknown.entry().title.to_owned(),
        summary,
        evidence,
        ruled_out: ruled_out(findings),
        fix: Vec::new(),
    }
}

fn ruled_out(findings: &[Finding]) -> Vec<String> {
    let well = findings.iter().filter(|finding| finding.status == Status::Ok);
    well.map(|finding| format!("{}: {}", finding.check, finding.summary)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &str, finding: Finding) -> Finding {
        Finding { check: check.to_owned(), ..finding }
    }

    fn error(text: &str) -> Happened {
        Happened::Error { text: text.to_owned() }
    }

    const FULL: &str =
        "failed to allocate for range 0: no IP addresses available in range set: 10.1.1.1-10.1.1.6";

    #[test]
    fn a_text_is_confirmed_by_its_check() {
        let findings = [
            finding("bridge", Finding::ok("br0 is a bridge")),
            finding(
                "ipam-pool",
                Finding::fail(Cause::IpamExhausted, "5 of 5 addresses used, 2 leaked").fix("clean"),
            ),
        ];
        let diagnosis = diagnose(&error(FULL), &findings, &[]);
        assert_eq!(diagnosis.cause, Cause::IpamExhausted);
        assert_eq!(diagnosis.summary, "5 of 5 addresses used, 2 leaked");
        assert_eq!(
            diagnosis.evidence,
            [
                "the error's text has “no IP addresses available in range set”",
                "check ipam-pool: 5 of 5 addresses used, 2 leaked"
            ]
        );
        assert_eq!(diagnosis.ruled_out, ["bridge: br0 is a bridge"]);
        assert_eq!(diagnosis.fix[0], "clean");
    }

    #[test]
    fn what_speaks_against_a_text_is_told() {
        let free = finding("ipam-pool", Finding::ok("1 of 5 addresses used"));
        let diagnosis = diagnose(&error(FULL), &[free], &[]);
        assert_eq!(diagnosis.cause, Cause::IpamExhausted);
        assert_eq!(diagnosis.evidence[1], "against it: check ipam-pool: 1 of 5 addresses used");
        let other = finding("bridge", Finding::ok("br0 is a bridge"));
        assert_eq!(diagnose(&error(FULL), &[other], &[]).evidence.len(), 1);
    }

    #[test]
    fn a_text_stands_alone_where_no_check_could_look() {
        let diagnosis = diagnose(&error(FULL), &[finding("ipam-pool", Finding::skipped("unreadable"))], &[]);
        assert_eq!(
            (diagnosis.cause, diagnosis.summary.as_str()),
            (Cause::IpamExhausted, "no address is left in the pool")
        );
        assert_eq!(diagnosis.fix.len(), 2);
    }

    #[test]
    fn an_unknown_text_stays_unknown_on_a_node_that_is_well_and_on_one_that_is_not() {
        let well = [finding("bridge", Finding::ok("a")), finding("netns", Finding::ok("b"))];
        let diagnosis = diagnose(&error("it rained"), &well, &[]);
        assert_eq!(
            (diagnosis.cause, diagnosis.summary.as_str()),
            (Cause::Unknown, "ruled out: bridge, netns")
        );
        assert_eq!(diagnosis.ruled_out, ["bridge: a", "netns: b"]);
        let failing = [finding("bridge", Finding::fail(Cause::BridgeWrongKind, "br0 is a veth"))];
        let diagnosis = diagnose(&error("it rained"), &failing, &[]);
        assert_eq!((diagnosis.cause, diagnosis.summary.as_str()), (Cause::Unknown, "no check applied"));
        assert_eq!(diagnosis.evidence, ["check bridge: br0 is a veth"]);
    }

    #[test]
    fn a_crash_is_one_unless_the_text_or_the_binary_tell_more() {
        let crashed = |printed: &str| Happened::Crashed {
            how: "exit status 2 and printed no CNI error".into(),
            printed: printed.into(),
        };
        let diagnosis = diagnose(&crashed("boom"), &[], &[]);
        assert_eq!(diagnosis.cause, Cause::PluginCrashed);
        assert_eq!(diagnosis.summary, "the plugin ended with exit status 2 and printed no CNI error");
        let libraries =
            crashed("x: error while loading shared libraries: libfoo.so.1: cannot open shared object file");
        assert_eq!(diagnose(&libraries, &[], &[]).cause, Cause::PluginNotExecutable);
        let binary = finding("plugin-binary", Finding::fail(Cause::PluginNotExecutable, "x is cut short"));
        let diagnosis = diagnose(&crashed("boom"), &[binary], &[]);
        assert_eq!(diagnosis.cause, Cause::PluginNotExecutable);
        assert_eq!(diagnosis.evidence[1], "check plugin-binary: x is cut short, which is the deeper cause");
    }

    #[test]
    fn a_full_pool_is_flannels_lost_subnet_unless_the_pool_is_full_of_dead_sandboxes() {
        let lost = finding("flannel", Finding::fail(Cause::SubnetEnvMissing, "subnet.env is missing"));
        let diagnosis = diagnose(
            &error(FULL),
            &[finding("ipam-pool", Finding::skipped("no subnet.env")), lost.clone()],
            &[],
        );
        assert_eq!(diagnosis.cause, Cause::SubnetEnvMissing);
        assert_eq!(
            diagnosis.evidence,
            [
                "the error's text has “no IP addresses available in range set”",
                "check flannel: subnet.env is missing, which is the deeper cause"
            ]
        );
        let full = finding("ipam-pool", Finding::fail(Cause::IpamExhausted, "5 of 5 addresses used"));
        let leaky = full.clone().with("leaked", vec!["10.1.1.2"]);
        assert_eq!(diagnose(&error(FULL), &[lost.clone(), full], &[]).cause, Cause::SubnetEnvMissing);
        assert_eq!(diagnose(&error(FULL), &[lost, leaky], &[]).cause, Cause::IpamExhausted);
    }

    #[test]
    fn a_cause_that_is_deeper_hides_the_other_one() {
        for row in DEEPER {
            assert!(row.found.entry().hides.contains(&row.told), "{} hides {}", row.found, row.told);
        }
    }

    #[test]
    fn a_server_that_is_not_reached_where_no_connection_can_be_tracked() {
        let silent = finding("apiserver", Finding::fail(Cause::ApiserverUnreachable, "it does not answer"));
        let full =
            finding("conntrack", Finding::fail(Cause::ConntrackFailed, "9 of 9 connections are tracked"));
        let findings = [silent, full];
        for text in ["context deadline exceeded", "dial tcp 10.96.0.1:443: i/o timeout"] {
            let diagnosis = diagnose(&error(text), &findings, &[]);
            assert_eq!(diagnosis.cause, Cause::ConntrackFailed, "{text}");
            let told = "check conntrack: 9 of 9 connections are tracked, which is the deeper cause";
            assert_eq!(diagnosis.evidence[1], told);
            assert_eq!(
                diagnose(&error(text), &findings[..1], &[]).cause,
                Cause::ApiserverUnreachable,
                "{text}"
            );
        }
        let answered = "server gave HTTP response to HTTPS client";
        assert_eq!(diagnose(&error(answered), &findings, &[]).cause, Cause::ApiserverUnreachable);
        // A table that is full is no reason for what the plugin waits for without a connection.
        assert_eq!(
            diagnose(&error("context deadline exceeded"), &findings[1..], &[]).cause,
            Cause::PluginTimeout
        );
    }

    #[test]
    fn a_timeout_where_the_agent_is_gone_is_the_agents() {
        let gone = finding("cilium", Finding::fail(Cause::AgentUnreachable, "there is no socket"));
        for happened in [error("context deadline exceeded"), Happened::Deadline { after: "2 s".into() }] {
            let diagnosis = diagnose(&happened, std::slice::from_ref(&gone), &[]);
            assert_eq!(diagnosis.cause, Cause::AgentUnreachable);
            assert_eq!(diagnosis.evidence[1], "check cilium: there is no socket, which is the deeper cause");
        }
    }

    #[test]
    fn safe_fixes_stand_before_those_that_destroy() {
        let foreign = Finding::fail(Cause::BridgeAddressConflict, "another address")
            .fix("destructive: ip address delete 10.9.0.1/24 dev br0")
            .fix("look at it");
        let text = "failed to set bridge addr: \"br0\" already has an IP address different from 10.1.0.1/24";
        let fix = diagnose(&error(text), &[finding("bridge", foreign)], &[]).fix;
        assert_eq!(fix[0], "look at it");
        assert!(fix.is_sorted_by_key(|fix| fix.starts_with(DESTRUCTIVE)), "{fix:?}");
    }

    #[test]
    fn a_warning_confirms_a_text_and_never_replaces_it() {
        let warned =
            |cause| [finding("ipam-pool", Finding::warn("1 of 5 addresses is free").explains(cause))];
        let diagnosis = diagnose(&error(FULL), &warned(Cause::IpamExhausted), &[]);
        assert_eq!(
            (diagnosis.cause, diagnosis.summary.as_str()),
            (Cause::IpamExhausted, "1 of 5 addresses is free")
        );
        let diagnosis = diagnose(&error(FULL), &warned(Cause::SubnetEnvMissing), &[]);
        assert_eq!(
            (diagnosis.cause, diagnosis.summary.as_str()),
            (Cause::IpamExhausted, "no address is left in the pool")
        );
    }

    #[test]
    fn a_warning_decides_only_what_the_texts_words_point_to() {
        let off = finding("sysctl", Finding::warn("IPv6 is off on this node").explains(Cause::SysctlFailed));
        let clock = finding(
            "clock",
            Finding::warn("the clock is not synchronised").explains(Cause::CertificateInvalid),
        );
        let old = finding("calico", Finding::warn("written 27 h ago").explains(Cause::ApiserverDenied));
        let findings = [off, clock, old];
        let (denied, invalid, lacks) =
            (Cause::ApiserverDenied, Cause::CertificateInvalid, Cause::PermissionDenied);
        let table = [
            (
                "could not add IP address to \"cni0\": permission denied",
                lacks,
                Cause::SysctlFailed,
                "IPv6 is off on this node",
            ),
            ("open /x: permission denied", lacks, lacks, ""),
            (
                "x509: certificate has expired or is not yet valid",
                invalid,
                invalid,
                "the clock is not synchronised",
            ),
            ("x509: certificate signed by unknown authority", invalid, invalid, ""),
            ("connection is unauthorized: Unauthorized", denied, denied, "written 27 h ago"),
            ("pods is forbidden: User \"x\" cannot get resource", denied, denied, ""),
        ];
        for (text, told, cause, summary) in table {
            // Whichever signature it is that tells.
            let happened = Happened::NotStarted { text: text.to_owned(), cause: told };
            let diagnosis = diagnose(&happened, &findings, &[]);
            let summary = if summary.is_empty() { text } else { summary };
            assert_eq!((diagnosis.cause, diagnosis.summary.as_str()), (cause, summary), "{text}");
        }
    }

    #[test]
    fn a_deadline_is_a_timeout_and_an_interruption_is_not() {
        let deadline = Happened::Deadline { after: "2 s".into() };
        let diagnosis = diagnose(&deadline, &[], &[]);
        assert_eq!(
            (diagnosis.cause, diagnosis.summary.as_str()),
            (Cause::PluginTimeout, "the plugin was stopped after 2 s")
        );
        let interrupted = Happened::Interrupted { signal: "SIGTERM".into(), printed: String::new() };
        let diagnosis = diagnose(&interrupted, &[], &[]);
        assert_eq!(diagnosis.cause, Cause::Unknown);
        assert_eq!(diagnosis.evidence, ["SIGTERM was sent to cniscope and passed on to the plugin"]);
    }

    #[test]
    fn a_denial_has_the_cause_of_the_check_that_denies() {
        let findings = [finding("ipam-pool", Finding::fail(Cause::IpamExhausted, "5 of 5 addresses used"))];
        let diagnosis = diagnose(&Happened::Denied { check: "ipam-pool".into() }, &findings, &[]);
        assert_eq!(
            (diagnosis.cause, diagnosis.summary.as_str()),
            (Cause::IpamExhausted, "5 of 5 addresses used")
        );
        assert_eq!(diagnosis.evidence[0], "the check ipam-pool is set to deny");
    }

    #[test]
    fn what_to_run_follows_from_the_text() {
        assert_eq!(checks_worth_running(&error(FULL), &[]), Some(Cause::IpamExhausted.entry().checks));
        assert_eq!(checks_worth_running(&error("it rained"), &[]), None);
    }

    #[test]
    fn what_a_plugin_printed_before_it_died_has_to_be_clear() {
        let crashed = |printed: &str| Happened::Crashed { how: "a signal".into(), printed: printed.into() };
        let vague = diagnose(&crashed("retrying: connection refused"), &[], &[]);
        assert_eq!(vague.cause, Cause::PluginCrashed);
        let clear = diagnose(&crashed("cannot allocate memory"), &[], &[]);
        assert_eq!(clear.cause, Cause::ResourceLimit);
    }

    #[test]
    fn a_signature_of_the_owner_gives_its_own_title_and_fix() {
        let content =
            br#"{"cause": "agent-refused", "all": ["widget"], "title": "widgets", "fix": "oil it"}"#;
        let (own, _) = super::super::own::parse("acme.json", content);
        let diagnosis = diagnose(&error("no widget"), &[], &own);
        assert_eq!((diagnosis.cause, diagnosis.summary.as_str()), (Cause::AgentRefused, "widgets"));
        assert_eq!((diagnosis.title.as_str(), diagnosis.fix[0].as_str()), ("widgets", "oil it"));
        assert_eq!(diagnosis.fix.len(), 1 + Cause::AgentRefused.entry().fix.len());
    }
}
