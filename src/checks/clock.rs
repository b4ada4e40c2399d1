//! `clock`: this node's time, against the dates of the certificates that it meets.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Depth;
use super::credentials::{self, Credentials, Validity, spoken};
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::clock;

/// What clocks of two machines may differ by without harm.
const SLACK: Duration = Duration::from_mins(1);
const SYNCHRONISE: &str =
    "set the node's clock and keep it synchronised: timedatectl, chronyc tracking, systemctl status chronyd";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kubeconfig {
    path: String,
    credentials: Credentials,
    written: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    synchronised: Option<bool>,
    now: SystemTime,
    kubeconfigs: Vec<Kubeconfig>,
}

/// Looks at the clock.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let mut paths = Vec::new();
    named(&subject.config, &mut paths);
    let kubeconfigs = paths.into_iter().filter_map(|path| {
        let content = node.read_text(Path::new(path)).ok()?;
        let written = node.metadata(Path::new(path)).ok().and_then(|metadata| metadata.modified().ok());
        Some(Kubeconfig { path: path.to_owned(), credentials: credentials::parse(&content), written })
    });
    judge(&Facts {
        synchronised: clock::is_synchronised(),
        now: SystemTime::now(),
        kubeconfigs: kubeconfigs.collect(),
    })
}

/// The kubeconfigs that an entry names, wherever its plugin keeps the key.
fn named<'a>(config: &'a Value, paths: &mut Vec<&'a str>) {
    for (key, value) in config.as_object().into_iter().flatten() {
        match value {
            Value::String(path) if key == "kubeconfig" && path.starts_with('/') => paths.push(path),
            Value::Object(_) => named(value, paths),
            _ => {}
        }
    }
}

fn judge(facts: &Facts) -> Finding {
    let mut dated = facts.kubeconfigs.iter().flat_map(|kubeconfig| {
        let certificates = kubeconfig.credentials.certificates.iter();
        certificates.map(|(key, validity)| (kubeconfig.path.as_str(), *key, *validity))
    });
    let wrong = dated.find_map(|(path, key, validity)| of_certificate(facts, path, key, validity));
    let finding = wrong.unwrap_or_else(|| of_clock(facts));
    finding.with("synchronised", facts.synchronised).with("now", clock::rfc3339(facts.now))
}

fn of_certificate(facts: &Facts, path: &str, key: &str, validity: Validity) -> Option<Finding> {
    let doubtful =
        if facts.synchronised == Some(false) { "; this node's clock is not synchronised" } else { "" };
    let fails = |what: String| Finding::fail(Cause::CertificateInvalid, what);
    if let Some(from) = validity.from.filter(|from| *from > facts.now) {
        let until = spoken(from.duration_since(facts.now).unwrap_or_default());
        let what = format!("{key} in {path} is valid only in {until}: this node's clock is behind{doubtful}");
        return Some(fails(what).fix(SYNCHRONISE));
    }
    let until = validity.until.filter(|until| *until <= facts.now)?;
    let since = spoken(facts.now.duration_since(until).unwrap_or_default());
    let finding = fails(format!("{key} in {path} expired {since} ago{doubtful}"));
    let finding = if doubtful.is_empty() { finding } else { finding.fix(SYNCHRONISE) };
    Some(finding.fix(format!("let the add-on write {path} again: restart its Pod on this node")))
}

fn of_clock(facts: &Facts) -> Finding {
    let written = facts.kubeconfigs.iter().filter_map(|kubeconfig| Some((kubeconfig, kubeconfig.written?)));
    let mut of_the_future = written.filter(|(_, written)| *written > facts.now + SLACK);
    if let Some((kubeconfig, written)) = of_the_future.next() {
        let ahead = spoken(written.duration_since(facts.now).unwrap_or_default());
        let summary = format!(
            "this node's clock went back: {} was written {ahead} later than it is now",
            kubeconfig.path
        );
        return Finding::warn(summary).explains(Cause::CertificateInvalid).fix(SYNCHRONISE);
    }
    match facts.synchronised {
        Some(true) => Finding::ok("the clock is synchronised"),
        Some(false) => Finding::warn("this node's clock is not synchronised")
            .explains(Cause::CertificateInvalid)
            .fix(SYNCHRONISE),
        None => Finding::skipped("the kernel does not tell whether the clock is synchronised"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn kubeconfig(from: u64, until: u64) -> Kubeconfig {
        let validity = Validity { from: Some(at(from)), until: Some(at(until)) };
        Kubeconfig {
            path: "/k".into(),
            credentials: Credentials {
                token: None,
                certificates: vec![("client-certificate-data", validity)],
            },
            written: Some(at(from)),
        }
    }

    #[test]
    fn states_of_the_clock() {
        let invalid = Some(Cause::CertificateInvalid);
        let day = 86_400;
        let table = [
            (Some(true), 10 * day, vec![], Status::Ok, None, "the clock is synchronised"),
            (
                Some(true),
                10 * day,
                vec![kubeconfig(day, 20 * day)],
                Status::Ok,
                None,
                "the clock is synchronised",
            ),
            (Some(false), 10 * day, vec![], Status::Warn, invalid, "this node's clock is not synchronised"),
            (
                None,
                10 * day,
                vec![],
                Status::Skipped,
                None,
                "the kernel does not tell whether the clock is synchronised",
            ),
            (
                Some(false),
                day,
                vec![kubeconfig(10 * day, 20 * day)],
                Status::Fail,
                invalid,
                "client-certificate-data in /k is valid only in 9 days: this node's clock is behind; this node's clock is \
                 not synchronised",
            ),
            (
                Some(true),
                30 * day,
                vec![kubeconfig(10 * day, 20 * day)],
                Status::Fail,
                invalid,
                "client-certificate-data in /k expired 10 days ago",
            ),
            (
                Some(true),
                day,
                vec![Kubeconfig { credentials: Credentials::default(), ..kubeconfig(2 * day, 3 * day) }],
                Status::Warn,
                invalid,
                "this node's clock went back: /k was written 24 h later than it is now",
            ),
        ];
        for (synchronised, now, kubeconfigs, status, cause, summary) in table {
            let finding = judge(&Facts { synchronised, now: at(now), kubeconfigs });
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn kubeconfigs_are_those_that_the_entry_names() {
        let config = json!({
            "kubernetes": {"kubeconfig": "/a"}, "ipam": {"kubernetes": {"kubeconfig": "/b"}}, "kubeconfig": "",
            "other": ["/c"], "kubeconfigs": "/d",
        });
        let mut paths = Vec::new();
        named(&config, &mut paths);
        assert_eq!(paths, ["/a", "/b"]);
    }

    #[test]
    fn a_kubeconfig_that_cannot_be_read_does_not_disturb() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("k"), [0xff, 0, b':', 0xfe]).unwrap();
        std::fs::create_dir(root.path().join("folder")).unwrap();
        nix::unistd::mkfifo(&root.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in ["/k", "/folder", "/fifo", "/none"] {
            let subject = Subject { config: json!({"kubeconfig": path}), ..Subject::default() };
            let finding = look(&Node::at(root.path()), &subject, Depth::Full);
            assert_ne!(finding.status, Status::Fail, "{path}: {finding:?}");
        }
    }
}
