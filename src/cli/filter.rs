//! Which calls are wanted.

use std::time::{Duration, SystemTime};

use time::macros::{format_description, time};
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use crate::journal::head::Head;
use crate::journal::read;
use crate::journal::written::{Field, Written};
use crate::node::clock;
use crate::render::time::Zone;

/// The filters of `journal`; a call has to pass all of them.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// Only calls since then: 10m, 2h, 3d, today, yesterday, 2026-11-21, 2026-11-21T10:20, RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only calls until then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only calls that did not do what they were to do
    #[arg(long)]
    failed: bool,
    /// Only calls that went well by their plugin's word, but left no network that works
    #[arg(long)]
    suspect: bool,
    /// Only calls for this Pod
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pod: Option<String>,
    /// Only calls for this container (the start of its id is enough)
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// Only calls of this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Only calls of this verb: ADD, DEL, CHECK, GC, STATUS
    #[arg(long, value_name = "VERB")]
    command: Option<String>,
    /// Only calls that failed for this cause
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only calls that took longer: 500ms, 2s
    #[arg(long, value_name = "DURATION")]
    slower_than: Option<String>,
}

/// The filters, understood.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    failed: bool,
    suspect: bool,
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    plugin: Option<String>,
    command: Option<String>,
    cause: Option<String>,
    slower_than: Option<Duration>,
}

impl Filter {
    /// Understands the filters. The error says what is expected.
    pub(super) fn wanted(&self, now: SystemTime, zone: Zone) -> Result<Wanted, String> {
        let point = |option: &str, text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            point_in_time(text, now, zone).map(Some).ok_or_else(|| {
                format!(
                    "{option} {text:?} is no time; expected 10m, 2h, 3d, today, yesterday, a date or RFC 3339"
                )
            })
        };
        let slower_than = self.slower_than.as_ref().map(|text| {
            duration(text)
                .ok_or_else(|| format!("--slower-than {text:?} is no duration; expected 500ms, 2s, 1m"))
        });
        let (namespace, pod) = match &self.pod {
            None => (None, None),
            Some(pod) => match pod.split_once('/') {
                Some((namespace, name)) => (Some(namespace.to_owned()), Some(name.to_owned())),
                None => (None, Some(pod.clone())),
            },
        };
        Ok(Wanted {
            since: point("--since", &self.since)?,
            until: point("--until", &self.until)?,
            failed: self.failed,
            suspect: self.suspect,
            namespace,
            pod,
            container: self.container.clone(),
            plugin: self.plugin.clone(),
            command: self.command.as_ref().map(|command| command.to_uppercase()),
            cause: self.cause.clone(),
            slower_than: slower_than.transpose()?,
        })
    }

    /// The filters as they stand on a command line.
    pub(super) fn words(&self) -> String {
        let mut words = Vec::new();
        for (is_set, word) in [(self.failed, "--failed"), (self.suspect, "--suspect")] {
            if is_set {
                words.push(word.to_owned());
            }
        }
        for (option, value) in [
            ("--since", &self.since),
            ("--until", &self.until),
            ("--pod", &self.pod),
            ("--container", &self.container),
            ("--plugin", &self.plugin),
            ("--command", &self.command),
            ("--cause", &self.cause),
            ("--slower-than", &self.slower_than),
        ] {
            if let Some(value) = value {
                words.push(format!("{option} {value}"));
            }
        }
        words.join(" ")
    }

    /// What they do to the calls that went well, where they pass over some because of that: then nobody can say how often
    /// calls fail.
    pub(super) fn leaves_out_good(&self) -> Option<&'static str> {
        match () {
            () if self.failed || self.cause.is_some() => Some("Only calls that failed are in this report"),
            () if self.suspect => Some("Only suspect calls are in this report"),
            () if self.slower_than.is_some() => Some("Only slow calls are in this report"),
            () => None,
        }
    }
}

impl read::Filter for Wanted {
    fn holds_for(&self, call: &Head) -> bool {
        let is = |wanted: &Option<String>, field: &str| wanted.as_ref().is_none_or(|wanted| field == wanted);
        let began = || clock::parse_rfc3339(&call.time);
        let took = || call.duration_ms.map(|ms| Duration::from_secs_f64(ms.max(0.0) / 1e3));
        (!self.failed || call.has_failed())
            && (!self.suspect || call.is_suspect())
            && is(&self.namespace, &call.pod_namespace)
            && is(&self.pod, &call.pod_name)
            && is(&self.plugin, &call.plugin)
            && is(&self.command, &call.command)
            && is(&self.cause, &call.cause)
            && self.container.as_ref().is_none_or(|container| call.container_id.starts_with(container))
            && self.since.is_none_or(|since| began().is_some_and(|began| began >= since))
            && self.until.is_none_or(|until| began().is_some_and(|began| began <= until))
            && self.slower_than.is_none_or(|least| took().is_some_and(|took| took > least))
    }

    fn may_hold_for(&self, end: &Written) -> bool {
        let may_be = |wanted: &Option<String>, field| {
            let is_it = |wanted: &String| end.text(field).is_none_or(|text| text == wanted.as_bytes());
            wanted.as_ref().is_none_or(is_it)
        };
        (!self.failed || end.text(Field::Outcome) != Some(b"ok"))
            && may_be(&self.pod, Field::PodName)
            && may_be(&self.namespace, Field::PodNamespace)
            && may_be(&self.plugin, Field::Plugin)
            && may_be(&self.command, Field::Command)
            && may_be(&self.cause, Field::Cause)
    }
}

/// A point in time: so long ago, a day, or a date with or without a time of day.
fn point_in_time(text: &str, now: SystemTime, zone: Zone) -> Option<SystemTime> {
    if let Some(ago) = duration(text) {
        return now.checked_sub(ago);
    }
    let today = OffsetDateTime::from(now).to_offset(zone.offset(now)).date();
    let midnight = |date: Date| Some(PrimitiveDateTime::new(date, time!(0:00)));
    let day = match text {
        "today" => midnight(today),
        "yesterday" => today.previous_day().and_then(midnight),
        _ => local(text),
    };
    day.map(|day| in_zone(day, zone)).or_else(|| clock::parse_rfc3339(text))
}

fn local(text: &str) -> Option<PrimitiveDateTime> {
    let text = text.replace('T', " ");
    let date = format_description!(version = 2, "[year]-[month]-[day]");
    let minutes = format_description!(version = 2, "[year]-[month]-[day] [hour]:[minute]");
    let seconds = format_description!(version = 2, "[year]-[month]-[day] [hour]:[minute]:[second]");
    let of_date = Date::parse(&text, &date).ok().map(|date| PrimitiveDateTime::new(date, time!(0:00)));
    of_date
        .or_else(|| PrimitiveDateTime::parse(&text, &minutes).ok())
        .or_else(|| PrimitiveDateTime::parse(&text, &seconds).ok())
}

fn in_zone(local: PrimitiveDateTime, zone: Zone) -> SystemTime {
    // The zone's offset at that very time, not at this one: it may have changed since.
    let guess = SystemTime::from(local.assume_utc());
    local.assume_offset(zone.offset(guess)).into()
}

/// `90s`, `10m`, `2h`, `3d`, `500ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        "d" => Some(Duration::from_secs(number.checked_mul(86_400)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read::Filter as _;

    fn now() -> SystemTime {
        clock::parse_rfc3339("2026-11-21T10:20:30Z").unwrap()
    }

    #[test]
    fn times_are_understood() {
        let table = [
            ("90s", "2026-11-21T10:19:00.000000Z"),
            ("2h", "2026-11-21T08:20:30.000000Z"),
            ("1d", "2026-11-20T10:20:30.000000Z"),
            ("today", "2026-11-21T00:00:00.000000Z"),
            ("yesterday", "2026-11-20T00:00:00.000000Z"),
            ("2026-11-01", "2026-11-01T00:00:00.000000Z"),
            ("2026-11-01 07:30", "2026-11-01T07:30:00.000000Z"),
            ("2026-11-01T07:30:15", "2026-11-01T07:30:15.000000Z"),
            ("2026-11-01T07:30:15+02:00", "2026-11-01T05:30:15.000000Z"),
        ];
        for (text, expected) in table {
            let found = point_in_time(text, now(), Zone::Utc).map(clock::rfc3339);
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for text in ["", "10", "10x", "soon", "2026-13-01", "m", "99999999999999999999s"] {
            assert_eq!(point_in_time(text, now(), Zone::Utc), None, "{text}");
        }
    }

    #[test]
    fn a_mistake_names_the_option_and_what_is_expected() {
        let filter = Filter { since: Some("soon".into()), ..Filter::default() };
        assert_eq!(
            filter.wanted(now(), Zone::Utc).unwrap_err(),
            "--since \"soon\" is no time; expected 10m, 2h, 3d, today, yesterday, a date or RFC 3339"
        );
        let filter = Filter { slower_than: Some("slow".into()), ..Filter::default() };
        assert_eq!(
            filter.wanted(now(), Zone::Utc).unwrap_err(),
            "--slower-than \"slow\" is no duration; expected 500ms, 2s, 1m"
        );
    }

    #[test]
    fn filters_can_be_told() {
        let filter =
            Filter { failed: true, since: Some("1h".into()), pod: Some("a/b".into()), ..Filter::default() };
        assert_eq!(filter.words(), "--failed --since 1h --pod a/b");
        assert_eq!(filter.leaves_out_good(), Some("Only calls that failed are in this report"));
        let filter = Filter { since: Some("1h".into()), ..Filter::default() };
        assert_eq!((filter.leaves_out_good(), Filter::default().words()), (None, String::new()));
    }

    fn call(outcome: &str) -> Head<'_> {
        Head {
            time: "2026-11-21T10:00:00Z".into(),
            command: "ADD".into(),
            plugin: "calico".into(),
            pod_namespace: "shop".into(),
            pod_name: "cart".into(),
            container_id: "4b2f6e".into(),
            cause: "ipam-exhausted".into(),
            duration_ms: Some(700.0),
            outcome: outcome.into(),
            ..Head::default()
        }
    }

    #[test]
    fn what_is_rejected_unparsed_would_be_rejected_anyway() {
        let text = |text: &str| Some(text.to_owned());
        let filters = [
            Filter { failed: true, ..Filter::default() },
            Filter { pod: text("shop/cart"), ..Filter::default() },
            Filter { plugin: text("calico"), command: text("add"), ..Filter::default() },
            Filter { cause: text("unknown"), ..Filter::default() },
        ];
        let mut rejected = 0;
        for (outcome, cause) in [("ok", "null"), ("failed", "\"unknown\""), ("failed", "\"ipam-exhausted\"")]
        {
            for (plugin, pod) in [("calico", "cart"), ("cal\\u0069co", "ca\\u0072t"), ("bridge", "web")] {
                let line = format!(
                    r#"{{"schema":1,"event":"end","id":"a","command":"ADD","pod_namespace":"shop","pod_name":"{pod}","plugin":"{plugin}","outcome":"{outcome}","cause":{cause},"overhead_ms":1,"checks":[{{"x":1,"cause":"unknown"}}],"config_sha256":"{}"}}"#,
                    "0".repeat(64)
                );
                let (written, head) =
                    (Written::of(line.as_bytes()).unwrap(), Head::of(line.as_bytes()).unwrap());
                for filter in &filters {
                    let wanted = filter.wanted(now(), Zone::Utc).unwrap();
                    assert!(wanted.may_hold_for(&written) || !wanted.holds_for(&head), "{filter:?} {line}");
                    rejected += usize::from(!wanted.may_hold_for(&written));
                }
            }
        }
        assert_eq!(rejected, 12);
    }

    #[test]
    fn a_call_has_to_pass_all() {
        let text = |text: &str| Some(text.to_owned());
        let table = [
            (Filter::default(), true),
            (Filter { failed: true, ..Filter::default() }, true),
            (Filter { pod: text("cart"), ..Filter::default() }, true),
            (Filter { pod: text("shop/cart"), ..Filter::default() }, true),
            (Filter { pod: text("other/cart"), ..Filter::default() }, false),
            (Filter { container: text("4b2f"), ..Filter::default() }, true),
            (Filter { container: text("b2f"), ..Filter::default() }, false),
            (Filter { plugin: text("bridge"), ..Filter::default() }, false),
            (Filter { command: text("add"), ..Filter::default() }, true),
            (Filter { cause: text("unknown"), ..Filter::default() }, false),
            (Filter { slower_than: text("500ms"), ..Filter::default() }, true),
            (Filter { slower_than: text("1s"), ..Filter::default() }, false),
            (Filter { since: text("30m"), ..Filter::default() }, true),
            (Filter { since: text("10m"), ..Filter::default() }, false),
            (Filter { until: text("10m"), ..Filter::default() }, true),
            (Filter { pod: text("cart"), plugin: text("bridge"), ..Filter::default() }, false),
        ];
        for (filter, expected) in table {
            let wanted = filter.wanted(now(), Zone::Utc).unwrap();
            assert_eq!(wanted.holds_for(&call("failed")), expected, "{filter:?}");
        }
        let failed = Filter { failed: true, ..Filter::default() }.wanted(now(), Zone::Utc).unwrap();
        for (outcome, expected) in [("ok", false), ("running", false), ("killed", true), ("refused", true)] {
            assert_eq!(failed.holds_for(&call(outcome)), expected, "{outcome}");
        }
        let suspect = Filter { suspect: true, ..Filter::default() }.wanted(now(), Zone::Utc).unwrap();
        let mut well = call("ok");
        assert!(suspect.holds_for(&well) && !suspect.holds_for(&call("failed")));
        well.cause = "".into();
        assert!(!suspect.holds_for(&well));
    }
}
