//! What a filter or a statistic needs of a record, read without the rest of it: most of a record is configuration, result
//! and checks, which are of interest for few calls.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::written::Written;

/// The head of a record. A text that is missing, or is none, is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head<'a> {
    /// The whole line.
    pub line: &'a [u8],
    /// `begin`, `end`, `stall`, or what a later release writes.
    pub event: Cow<'a, str>,
    /// The call's id.
    pub id: Cow<'a, str>,
    /// When the call began, RFC 3339.
    pub time: Cow<'a, str>,
    /// The host's name.
    pub node: Cow<'a, str>,
    /// The id of the boot.
    pub boot_id: Cow<'a, str>,
    /// The process that the runtime started.
    pub pid: Option<f64>,
    /// When that process started, in clock ticks since boot.
    pub start_ticks: Option<f64>,
    /// The verb.
    pub command: Cow<'a, str>,
    /// `CNI_CONTAINERID`.
    pub container_id: Cow<'a, str>,
    /// `CNI_IFNAME`.
    pub ifname: Cow<'a, str>,
    /// The Pod's namespace.
    pub pod_namespace: Cow<'a, str>,
    /// The Pod's name.
    pub pod_name: Cow<'a, str>,
    /// The network's `name`.
    pub network: Cow<'a, str>,
    /// The delegate.
    pub plugin: Cow<'a, str>,
    /// `outcome` of the end; `running`, `killed` or `unfinished` where there is none.
    pub outcome: Cow<'a, str>,
    /// The cause of a failure.
    pub cause: Cow<'a, str>,
    /// From the start of cniscope to its answer.
    pub duration_ms: Option<f64>,
    /// From the start of the delegate to its end.
    pub plugin_ms: Option<f64>,
    /// The difference.
    pub overhead_ms: Option<f64>,
    /// STATUS: how many calls with this outcome came since the last record.
    pub repeated: Option<f64>,
}

impl<'a> Head<'a> {
    /// The head of the record in a line; `None` if there is none.
    #[must_use]
    pub fn of(line: &'a [u8]) -> Option<Head<'a>> {
        let mut head = Head { line, ..Head::default() };
        let mut is_enough = false;
        let mut text = serde_json::Deserializer::from_slice(line);
        // Of a line that is surely whole, what stands behind the head needs no look.
        let can_stop = Written::of(line).is_some_and(|written| written.is_end);
        let read = OfRecord { head: &mut head, can_stop, is_enough: &mut is_enough }.deserialize(&mut text);
        let is_whole = is_enough || read.and_then(|()| text.end()).is_ok();
        (is_whole && !head.id.is_empty()).then_some(head)
    }

    /// The whole record.
    #[must_use]
    pub fn record(&self) -> Option<Value> {
        serde_json::from_slice(self.line).ok()
    }

    /// Whether the call did not do what it was to do. A call that is running has not failed yet.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        has_failed(&self.outcome)
    }

    /// Whether the plugin said that all is well, and the network is not there.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        is_suspect(&self.outcome, &self.cause)
    }
}

/// Whether a call with this outcome did not do what it was to do.
pub(super) fn has_failed(outcome: &str) -> bool {
    !matches!(outcome, "ok" | "running")
}

/// Only what was looked at after the call gives a good one a cause.
pub(super) fn is_suspect(outcome: &str, cause: &str) -> bool {
    outcome == "ok" && !cause.is_empty()
}

/// Reads a head; with `can_stop` no further than it goes.
struct OfRecord<'head, 'line> {
    head: &'head mut Head<'line>,
    can_stop: bool,
    is_enough: &'head mut bool,
}

impl<'de> DeserializeSeed<'de> for OfRecord<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfRecord<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a record")
    }

    // Of a name that stands there twice the last one counts, as in every reader of JSON.
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let head = self.head;
        while let Some(name) = fields.next_key::<Scalar>()? {
            let text = match name.text().as_ref() {
                "event" => &mut head.event,
                "id" => &mut head.id,
                "time" => &mut head.time,
                "node" => &mut head.node,
                "boot_id" => &mut head.boot_id,
                "command" => &mut head.command,
                "container_id" => &mut head.container_id,
                "ifname" => &mut head.ifname,
                "pod_namespace" => &mut head.pod_namespace,
                "pod_name" => &mut head.pod_name,
                "network" => &mut head.network,
                "plugin" => &mut head.plugin,
                "outcome" => &mut head.outcome,
                "cause" => &mut head.cause,
                other => {
                    let number = match other {
                        "pid" => &mut head.pid,
                        "start_ticks" => &mut head.start_ticks,
                        "duration_ms" => &mut head.duration_ms,
                        "plugin_ms" => &mut head.plugin_ms,
                        "overhead_ms" => {
                            head.overhead_ms = fields.next_value::<Scalar>()?.number();
                            // Only the count of STATUS calls stands behind it.
                            if self.can_stop && head.command != "STATUS" {
                                *self.is_enough = true;
                                return Ok(());
                            }
                            continue;
                        }
                        "repeated" => &mut head.repeated,
                        _ => {
                            fields.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *number = fields.next_value::<Scalar>()?.number();
                    continue;
                }
            };
            *text = fields.next_value::<Scalar>()?.text();
        }
        Ok(())
    }
}

/// A value without members. A field whose form another release has changed does not make its record unreadable.
enum Scalar<'a> {
    /// Borrowed from the line where nothing in it is escaped.
    Text(Cow<'a, str>),
    Number(f64),
    Other,
}

impl<'a> Scalar<'a> {
    fn text(self) -> Cow<'a, str> {
        if let Scalar::Text(text) = self { text } else { Cow::Borrowed("") }
    }

    fn number(self) -> Option<f64> {
        if let Scalar::Number(number) = self { Some(number) } else { None }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar<'de>, D::Error> {
        deserializer.deserialize_any(OfValue)
    }
}

struct OfValue;

impl<'de> Visitor<'de> for OfValue {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    #[allow(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^53")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    #[allow(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^53")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar<'de>, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_read_whatever_stands_around_it() {
        let line = br#"{"config":{"id":"no","plugin":["no"]}, "plugin" : "cal\u0069co","id":"a","outcome":"ok","duration_ms":12.5,"pid":7,"cause":null}"#;
        let head = Head::of(line).unwrap();
        let expected = Head {
            line,
            id: "a".into(),
            plugin: "calico".into(),
            outcome: "ok".into(),
            duration_ms: Some(12.5),
            pid: Some(7.0),
            ..Head::default()
        };
        assert_eq!(head, expected);
    }

    #[test]
    fn of_a_line_as_it_is_written_only_the_head_is_read() {
        let sum = "0123456789abcdef".repeat(4);
        let line = |command: &str, rest: &str| {
            format!(
                r#"{{"schema":1,"event":"end","id":"a","command":"{command}","outcome":"ok","overhead_ms":1.5,{rest}"config_sha256":"{sum}"}}"#
            )
        };
        // Nothing but the head makes a difference, which shows that nothing else is read.
        let add = line("ADD", r#""result":[],"overhead_ms":2,"#);
        assert_eq!(Head::of(add.as_bytes()).unwrap().overhead_ms, Some(1.5));
        let status = line("STATUS", r#""repeated":7,"#);
        assert_eq!(Head::of(status.as_bytes()).unwrap().repeated, Some(7.0));
        for torn in
            [&add[..add.len() - 1], &add[..add.len() - 70], r#"{"schema":1,"event":"end","id":"a","x":{}"#]
        {
            assert_eq!(Head::of(torn.as_bytes()), None, "{torn}");
        }
        let zeros = line("ADD", "\"stderr\":\"\0\0\",");
        assert_eq!(Head::of(zeros.as_bytes()), None);
        let other = add.replace(r#""schema":1"#, r#""schema":2"#);
        assert_eq!(Head::of(other.as_bytes()).unwrap().overhead_ms, Some(2.0));
    }

    #[test]
    fn fields_of_another_form_are_empty_and_the_last_of_two_counts() {
        let head = Head::of(
            br#"{"id":"a","plugin":{"name":"b"},"node":[1],"time":5,"event":true,"pid":"7","id":"b"}"#,
        )
        .unwrap();
        assert_eq!(head.id, "b");
        assert_eq!([&head.plugin, &head.node, &head.time, &head.event], [""; 4]);
        assert_eq!(head.pid, None);
    }

    #[test]
    fn what_is_no_record_has_no_head() {
        let table: [&[u8]; 7] =
            [b"", b"junk", b"[1]", b"{}", br#"{"id":1}"#, br#"{"id":"a""#, br#"{"id":"a","x":{"y":[}}"#];
        for line in table {
            assert_eq!(Head::of(line), None, "{}", String::from_utf8_lossy(line));
        }
    }
}
