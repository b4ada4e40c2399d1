//! Documents: what stands under a key that is known to be harmless stays, as far as its text is; everything else is hidden.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::keys::{CNI_ARGS, ENVIRONMENT, NESTED, NETWORK, OF_NAMES, RECORD_TEXTS};
use super::text::Text;
use super::{Hidden, Why};
use crate::checks::credentials::base64;
use crate::journal::redact::REDACTED;

/// A name or a plain value under one of [`OF_NAMES`] is no longer than this.
const PLAIN: usize = 64;
/// What stands deeper is in no configuration. An item has a small stack.
const MAX_DEPTH: usize = 48;
/// How deep a configuration may stand in another one's text.
const MAX_NESTED: usize = 4;

/// A document while it is cleaned.
pub(super) struct Document<'a> {
    text: &'a Text,
    allowed: &'a [&'static str],
    hidden: Vec<Hidden>,
    nested: usize,
    depth: usize,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &'a Text, allowed: &'a [&'static str]) -> Document<'a> {
        Document { text, allowed, hidden: Vec::new(), nested: 0, depth: 0 }
    }

    /// What was hidden.
    pub(super) fn hidden(self) -> Vec<Hidden> {
        self.hidden
    }

    /// Cleans a value whose keys go by the list.
    pub(super) fn value(&mut self, value: &mut Value, place: &str) {
        if self.depth == MAX_DEPTH {
            return self.hide(value, place, Why::Form);
        }
        self.depth += 1;
        self.value_at(value, place);
        self.depth -= 1;
    }

    fn value_at(&mut self, value: &mut Value, place: &str) {
        match value {
            Value::String(text) => self.string(text, place),
            Value::Array(items) => {
                for (position, item) in items.iter_mut().enumerate() {
                    self.value(item, &format!("{place}[{position}]"));
                }
            }
            Value::Object(members) => self.members(members, place),
            _ => {}
        }
    }

    fn members(&mut self, members: &mut Map<String, Value>, place: &str) {
        for (key, mut value) in std::mem::take(members) {
            let key = self.key(key, place);
            let at = format!("{place}.{key}");
            match key.as_str() {
                "env" => self.environment(&mut value, &at),
                "cniArgs" => self.arguments(&mut value, &at),
                _ if NESTED.contains(&key.as_str()) && value.is_string() => self.nested(&mut value, &at),
                _ if OF_NAMES.contains(&key.as_str()) && value.is_object() => self.names(&mut value, &at),
                _ if self.allowed.contains(&key.as_str()) => self.value(&mut value, &at),
                _ => self.hide(&mut value, &at, Why::NotListed),
            }
            members.insert(key, value);
        }
    }

    /// A key can hold a secret where a document maps secrets to something.
    fn key(&mut self, key: String, place: &str) -> String {
        let Some(clean) = self.text.hide(&key) else { return key };
        self.hidden.push(Hidden { place: format!("{place}.{clean}"), why: Why::Looks });
        clean
    }

    fn string(&mut self, text: &mut String, place: &str) {
        if let Some(clean) = self.text.hide(text) {
            *text = clean;
            self.hidden.push(Hidden { place: place.to_owned(), why: Why::Looks });
        }
    }

    /// Hides a value; what is empty, or no more than yes or no, is none.
    fn hide(&mut self, value: &mut Value, place: &str, why: Why) {
        let is_nothing = match value {
            Value::Null | Value::Bool(_) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Number(_) => false,
        };
        if !is_nothing {
            *value = Value::from(REDACTED);
            self.hidden.push(Hidden { place: place.to_owned(), why });
        }
    }

    /// A configuration in a text. Where it is none, nothing of it is known.
    fn nested(&mut self, value: &mut Value, place: &str) {
        let text = value.as_str().unwrap_or_default();
        let decoded = base64(text).filter(|_| !text.trim_start().starts_with('{'));
        let is_encoded = decoded.is_some();
        let bytes = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
        let parsed = serde_json::from_slice::<Value>(&bytes)
            .ok()
            .filter(|inner| inner.is_object() || inner.is_array());
        let Some(mut inner) = parsed.filter(|_| self.nested < MAX_NESTED) else {
            return self.hide(value, place, Why::NotListed);
        };
        self.nested += 1;
        self.value(&mut inner, place);
        self.nested -= 1;
        let clean = inner.to_string();
        *value = Value::from(if is_encoded { encoded(clean.as_bytes()) } else { clean });
    }

    /// Names that a program knows, with plain values.
    fn names(&mut self, value: &mut Value, place: &str) {
        let Some(members) = value.as_object_mut() else { return };
        for (name, value) in members.iter_mut() {
            let at = format!("{place}.{name}");
            let plain = |text: &str| {
                text.len() <= PLAIN
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/ \t".contains(&byte))
            };
            match value {
                Value::String(text) if plain(text) && plain(name) => self.string(text, &at),
                Value::Number(_) if plain(name) => {}
                _ => self.hide(value, &at, Why::NotListed),
            }
        }
    }

    /// The environment of a call.
    fn environment(&mut self, value: &mut Value, place: &str) {
        let Some(members) = value.as_object_mut() else { return self.hide(value, place, Why::NotListed) };
        for (name, value) in members.iter_mut() {
            let at = format!("{place}.{name}");
            match value {
                Value::String(text) if name == "CNI_ARGS" => self.cni_args(text, &at),
                Value::String(text) if ENVIRONMENT.contains(&name.as_str()) => self.string(text, &at),
                _ => self.hide(value, &at, Why::NotListed),
            }
        }
    }

    /// `KEY=VALUE;KEY=VALUE`.
    fn cni_args(&mut self, text: &mut String, place: &str) {
        let parts: Vec<String> = text
            .split(';')
            .map(|part| {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                if CNI_ARGS.contains(&key) {
                    part.to_owned()
                } else if value.is_empty() {
                    REDACTED.to_owned()
                } else {
                    format!("{}={REDACTED}", self.text.hide(key).unwrap_or_else(|| key.to_owned()))
                }
            })
            .collect();
        let clean = if text.is_empty() { String::new() } else { parts.join(";") };
        if clean != *text {
            *text = clean;
            self.hidden.push(Hidden { place: place.to_owned(), why: Why::NotListed });
        }
        self.string(text, place);
    }

    /// libcni's form of them: `[["KEY", "VALUE"], …]`.
    fn arguments(&mut self, value: &mut Value, place: &str) {
        let Some(pairs) = value.as_array_mut() else { return self.hide(value, place, Why::NotListed) };
        for (position, pair) in pairs.iter_mut().enumerate() {
            let is_known = pair[0].as_str().is_some_and(|key| CNI_ARGS.contains(&key));
            let at = format!("{place}[{position}]");
            if is_known && pair.as_array().is_some_and(|pair| pair.len() == 2) {
                self.value(pair, &at);
            } else {
                self.hide(pair, &at, Why::NotListed);
            }
        }
    }

    /// A record of the journal: of its own fields the texts pass as texts do; configuration and result go by their keys.
    pub(super) fn record(&mut self, record: &mut Map<String, Value>) {
        for (field, mut value) in std::mem::take(record) {
            let field = self.key(field, "");
            let at = field.clone();
            match field.as_str() {
                "env" => self.environment(&mut value, &at),
                "trace" => self.trace(&mut value),
                "config" | "result" => {
                    let mut inner = Document { allowed: NETWORK, hidden: Vec::new(), ..*self };
                    inner.value(&mut value, &at);
                    self.hidden.append(&mut inner.hidden);
                }
                field if RECORD_TEXTS.contains(&field) => self.texts(&mut value, &at),
                _ => self.hide(&mut value, &at, Why::NotListed),
            }
            record.insert(field, value);
        }
    }

    /// What cniscope itself has written: its keys are its own, its texts are not.
    pub(super) fn texts(&mut self, value: &mut Value, place: &str) {
        let before = value.clone();
        self.text.known().value(value);
        self.strings(value);
        differences(&before, value, place, &mut self.hidden);
    }

    fn strings(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(clean) = self.text.hide(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.strings(item)),
            Value::Object(members) => members.values_mut().for_each(|value| self.strings(value)),
            _ => {}
        }
    }

    /// Of the trace only what the W3C's format makes of fixed form.
    fn trace(&mut self, value: &mut Value) {
        let Some(members) = value.as_object_mut() else { return self.hide(value, "trace", Why::NotListed) };
        for (name, value) in members.iter_mut() {
            if name != "traceparent" {
                self.hide(value, &format!("trace.{name}"), Why::NotListed);
            }
        }
    }
}

/// The places at which a document is not as it was.
fn differences(before: &Value, after: &Value, place: &str, found: &mut Vec<Hidden>) {
    match (before, after) {
        (Value::Array(before), Value::Array(after)) => {
            for (position, (before, after)) in before.iter().zip(after).enumerate() {
                differences(before, after, &format!("{place}[{position}]"), found);
            }
        }
        (Value::Object(before), Value::Object(after)) => {
            for ((key, before), after) in before.iter().zip(after.values()) {
                differences(before, after, &format!("{place}.{key}"), found);
            }
        }
        _ if before != after => found.push(Hidden { place: place.to_owned(), why: Why::Looks }),
        _ => {}
    }
}

/// Base64 with padding (RFC 4648).
fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::bounded;
    use serde_json::json;
    use std::time::Duration;

    fn clean(mut value: Value) -> Value {
        let text = Text::new(&[]);
        Document::new(&text, NETWORK).value(&mut value, "");
        value
    }

    #[test]
    fn only_known_keys_keep_their_values() {
        let config = json!({
            "cniVersion": "1.0.0", "name": "net", "plugins": [{
                "type": "acme", "mtu": 1450, "pin": 1234, "secretly": true, "empty": "", "acme": {"name": "s3cret"},
                "etcd_key": "no-path", "etcd_key_file": "/etc/key.pem", "sysctl": {"net.core.somaxconn": "500"},
                "etcd_endpoints": "https://u:p@etcd:2379",
            }],
        });
        let expected = json!({
            "cniVersion": "1.0.0", "name": "net", "plugins": [{
                "type": "acme", "mtu": 1450, "pin": "<redacted>", "secretly": true, "empty": "", "acme": "<redacted>",
                "etcd_key": "<redacted>", "etcd_key_file": "/etc/key.pem", "sysctl": {"net.core.somaxconn": "500"},
                "etcd_endpoints": "https://<redacted>@etcd:2379",
            }],
        });
        assert_eq!(clean(config), expected);
    }

    #[test]
    fn what_was_hidden_is_listed_without_its_value() {
        let text = Text::new(&[]);
        let mut document = Document::new(&text, NETWORK);
        document.value(&mut json!({"plugins": [{"pin": 1, "name": "password=x"}]}), "");
        let hidden = document.hidden();
        let places: Vec<(&str, Why)> = hidden.iter().map(|one| (one.place.as_str(), one.why)).collect();
        assert_eq!(places, [(".plugins[0].pin", Why::NotListed), (".plugins[0].name", Why::Looks)]);
    }

    #[test]
    fn a_configuration_in_a_text_is_cleaned_there() {
        let inner = json!({"type": "bridge", "password": "hunter"}).to_string();
        let expected = json!({"type": "bridge", "password": "<redacted>"}).to_string();
        let cached =
            clean(json!({"kind": "cniCacheV1", "config": encoded(inner.as_bytes()), "ifName": "eth0"}));
        assert_eq!(cached["config"], encoded(expected.as_bytes()));
        assert_eq!(clean(json!({"config": inner}))["config"], expected);
        assert_eq!(clean(json!({"config": "hunter"}))["config"], "<redacted>");
        let conf = clean(json!([{"Conf": {"name": "n"}, "Bytes": encoded(b"no JSON")}]));
        assert_eq!(conf, json!([{"Conf": {"name": "n"}, "Bytes": "<redacted>"}]));
    }

    #[test]
    fn what_stands_too_deep_is_hidden_and_ends_nothing() {
        let deep = (0..100).fold(json!("text"), |inner, _| json!({"plugins": [inner]}));
        let nested = (0..10).fold(deep, |inner, _| json!({"config": inner.to_string()}));
        let cleaned = bounded::run(Duration::from_mins(1), move || clean(nested).to_string()).unwrap();
        assert!(cleaned.contains("<redacted>") && !cleaned.contains("text"), "{cleaned}");
    }

    #[test]
    fn arguments_go_by_their_names() {
        let cached = json!({"cniArgs": [["K8S_POD_NAME", "p"], ["PIN", "hunter"], "odd"], "env": {
            "CNI_ARGS": "K8S_POD_NAME=p;PIN=hunter;hunter", "PATH": "/bin", "HOME": "hunter", "https_proxy": "http://u:p@x",
        }});
        let expected = json!({"cniArgs": [["K8S_POD_NAME", "p"], "<redacted>", "<redacted>"], "env": {
            "CNI_ARGS": "K8S_POD_NAME=p;PIN=<redacted>;<redacted>", "PATH": "/bin", "HOME": "<redacted>",
            "https_proxy": "http://<redacted>@x",
        }});
        assert_eq!(clean(cached), expected);
    }

    #[test]
    fn a_record_keeps_what_tells_and_no_field_that_is_not_known() {
        let mut record = json!({
            "event": "end", "pid": 7, "stderr": "password=hunter", "config": {"type": "bridge", "pin": 1}, "future": "hunter",
            "checks": [{"check": "bridge", "evidence": {"address": "10.1.0.1/24", "token": "hunter"}}],
            "trace": {"traceparent": "00-0", "baggage": "user=hunter"},
        });
        let text = Text::new(&[]);
        let mut document = Document::new(&text, NETWORK);
        document.record(record.as_object_mut().unwrap());
        let hidden = document.hidden();
        let places: Vec<&str> = hidden.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["stderr", "config.pin", "future", "checks[0].evidence.token", "trace.baggage"]);
        assert_eq!(
            record,
            json!({
                "event": "end", "pid": 7, "stderr": "password=<redacted>", "config": {"type": "bridge", "pin": "<redacted>"}, "future": "<redacted>",
                "checks": [{"check": "bridge", "evidence": {"address": "10.1.0.1/24", "token": "<redacted>"}}],
                "trace": {"traceparent": "00-0", "baggage": "<redacted>"},
            })
        );
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(encoded(plain.as_bytes()), text);
        }
    }
}
