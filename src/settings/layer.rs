//! What one source of settings says, applied key by key.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Mode, Recording, Settings};
use crate::checks;

/// The keys that an entry may set: it may have been written by a tenant (Multus).
pub(super) const ENTRY_KEYS: [&str; 6] = ["wraps", "named", "checks", "deadlineSeconds", "enrich", "verify"];
/// Every key of the settings file, those of an object with their path. `checks` has one for each check, and
/// `deadlineSeconds` one for each of [`VERBS`].
pub const KEYS: [&str; 13] = [
    "checks",
    "deadlineSeconds",
    "enrich",
    "verify",
    "evidenceMilliseconds",
    "journal",
    "journal.dir",
    "journal.maxBytes",
    "journal.maxFiles",
    "journal.record",
    "journal.mode",
    "journal.group",
    "redact",
];
/// The verbs that `deadlineSeconds` knows.
pub const VERBS: [&str; 5] = ["ADD", "DEL", "CHECK", "GC", "STATUS"];
/// The longest deadline that is believed.
const MAX_DEADLINE_SECONDS: f64 = 86_400.0;

impl Settings {
    /// Applies an object of settings from `place`, which may hold the keys in `allowed` or else all.
    pub(super) fn apply(&mut self, place: &str, value: &Value, allowed: Option<&[&str]>) {
        let mut layer = Layer { place, warnings: Vec::new() };
        if let Some(object) = layer.object("", value) {
            for (key, value) in object {
                if allowed.is_some_and(|allowed| !allowed.contains(&key.as_str())) {
                    layer.warn(key, "is not a key that an entry may set");
                    continue;
                }
                self.apply_key(&mut layer, key, value);
            }
        }
        self.warnings.append(&mut layer.warnings);
    }

    fn apply_key(&mut self, layer: &mut Layer<'_>, key: &str, value: &Value) {
        match key {
            // What is wrapped is read from the bytes of the entry, by the forwarder as well (cni::entry).
            "wraps" | "named" if layer.place.starts_with("entry") => {}
            _ if !KEYS.contains(&key) => layer.warn(key, "is not a known key"),
            "deadlineSeconds" => self.apply_deadlines(layer, value),
            "checks" => self.apply_checks(layer, value),
            "enrich" => layer.boolean(key, value, &mut self.enrich),
            "verify" => layer.boolean(key, value, &mut self.verify),
            "evidenceMilliseconds" => {
                if let Some(milliseconds) = layer.integer(key, value, 0..=10_000) {
                    self.evidence = Duration::from_millis(milliseconds);
                }
            }
            "journal" => self.apply_journal(layer, value),
            "redact" => self.apply_redact(layer, value),
            _ => {}
        }
    }

    fn apply_deadlines(&mut self, layer: &mut Layer<'_>, value: &Value) {
        for (verb, value) in layer.object("deadlineSeconds", value).into_iter().flatten() {
            let key = format!("deadlineSeconds.{verb}");
            if !VERBS.contains(&verb.as_str()) {
                layer.warn(&key, &format!("is not a verb with a deadline; known are {}", VERBS.join(", ")));
                continue;
            }
            match value.as_f64().filter(|seconds| (0.0..=MAX_DEADLINE_SECONDS).contains(seconds)) {
                Some(seconds) => {
                    self.deadlines.0.insert(verb.clone(), Duration::from_secs_f64(seconds));
                }
                None => layer.expected(&key, value, "a number of seconds from 0 (none) to 86400"),
            }
        }
    }

    fn apply_checks(&mut self, layer: &mut Layer<'_>, value: &Value) {
        for (check, value) in layer.object("checks", value).into_iter().flatten() {
            let key = format!("checks.{check}");
            if !checks::names().any(|name| name == check) {
                let known: Vec<_> = checks::names().collect();
                layer.warn(&key, &format!("is not a known check; known are {}", known.join(", ")));
                continue;
            }
            match value.as_str() {
                Some("off") => drop(self.checks.insert(check.clone(), Mode::Off)),
                Some("warn") => drop(self.checks.remove(check)),
                Some("deny") => drop(self.checks.insert(check.clone(), Mode::Deny)),
                _ => layer.expected(&key, value, "off, warn or deny"),
            }
        }
    }

    fn apply_journal(&mut self, layer: &mut Layer<'_>, value: &Value) {
        for (name, value) in layer.object("journal", value).into_iter().flatten() {
            let key = format!("journal.{name}");
            match name.as_str() {
                _ if !KEYS.contains(&key.as_str()) => layer.warn(&key, "is not a known key"),
                "dir" => match value.as_str().filter(|dir| dir.starts_with('/')) {
                    Some(dir) => self.journal.dir = PathBuf::from(dir),
                    None => layer.expected(&key, value, "an absolute path"),
                },
                "maxBytes" => {
                    if let Some(bytes) = layer.integer(&key, value, 4096..=1 << 40) {
                        self.journal.max_bytes = bytes;
                    }
                }
                "maxFiles" => {
                    if let Some(files) = layer.integer(&key, value, 1..=1000) {
                        self.journal.max_files = u32::try_from(files).unwrap_or(u32::MAX);
                    }
                }
                "record" => match value.as_str() {
                    Some("all") => self.journal.record = Recording::All,
                    Some("failures") => self.journal.record = Recording::Failures,
                    Some("off") => self.journal.record = Recording::Off,
                    _ => layer.expected(&key, value, "all, failures or off"),
                },
                "mode" => match value.as_str().and_then(file_mode) {
                    Some(mode) => self.journal.mode = mode,
                    None => layer.expected(&key, value, "an octal mode from \"0600\" to \"0666\""),
                },
                "group" => match value.as_str().filter(|group| !group.is_empty()) {
                    Some(group) => group.clone_into(&mut self.journal.group),
                    None => layer.expected(&key, value, "the name or number of a group, as a string"),
                },
                _ => {}
            }
        }
    }

    fn apply_redact(&mut self, layer: &mut Layer<'_>, value: &Value) {
        let keys: Option<Vec<String>> = value
            .as_array()
            .and_then(|keys| keys.iter().map(|key| key.as_str().map(str::to_owned)).collect());
        match keys {
            Some(keys) => self.redact = keys,
            None => layer.expected("redact", value, "an array of strings"),
        }
    }
}

/// An octal mode that lets the owner read and write, and nobody execute.
fn file_mode(text: &str) -> Option<u32> {
    let mode = u32::from_str_radix(text, 8).ok()?;
    (mode & 0o600 == 0o600 && mode & !0o666 == 0).then_some(mode)
}

/// One source of settings, and what was wrong in it.
struct Layer<'a> {
    place: &'a str,
    warnings: Vec<String>,
}

impl Layer<'_> {
    fn warn(&mut self, key: &str, what: &str) {
        let key = if key.is_empty() { String::new() } else { format!(" {key:?}") };
        self.warnings.push(format!("{}:{key} {what}; the default is used", self.place));
    }

    fn expected(&mut self, key: &str, value: &Value, expected: &str) {
        let mut shown = value.to_string();
        if shown.len() > 40 {
            shown = format!("{}…", shown.chars().take(40).collect::<String>());
        }
        self.warn(key, &format!("is {shown}, expected {expected}"));
    }

    fn object<'v>(&mut self, key: &str, value: &'v Value) -> Option<&'v Map<String, Value>> {
        if value.as_object().is_none() {
            self.expected(key, value, "an object");
        }
        value.as_object()
    }

    fn boolean(&mut self, key: &str, value: &Value, target: &mut bool) {
        match value.as_bool() {
            Some(value) => *target = value,
            None => self.expected(key, value, "true or false"),
        }
    }

    fn integer(&mut self, key: &str, value: &Value, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let number = value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            self.expected(key, value, &format!("a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The warnings of a settings file with this content.
    fn warnings(content: &Value) -> Vec<String> {
        let mut settings = Settings::default();
        settings.apply("file", content, None);
        let warnings = std::mem::take(&mut settings.warnings);
        assert_eq!(settings, Settings::default(), "a mistake changes nothing: {content}");
        warnings
    }

    #[test]
    fn every_mistake_keeps_the_default_and_is_named() {
        let table = [
            (json!([]), "file: is [], expected an object; the default is used"),
            (json!({"journl": {}}), "file: \"journl\" is not a known key; the default is used"),
            (json!({"wraps": "x"}), "file: \"wraps\" is not a known key; the default is used"),
            (
                json!({"enrich": "yes"}),
                "file: \"enrich\" is \"yes\", expected true or false; the default is used",
            ),
            (json!({"verify": 1}), "file: \"verify\" is 1, expected true or false; the default is used"),
            (
                json!({"evidenceMilliseconds": -1}),
                "file: \"evidenceMilliseconds\" is -1, expected a whole number from 0 to 10000; the default is used",
            ),
            (
                json!({"evidenceMilliseconds": 60000}),
                "file: \"evidenceMilliseconds\" is 60000, expected a whole number from 0 to 10000; the default is used",
            ),
            (
                json!({"deadlineSeconds": 200}),
                "file: \"deadlineSeconds\" is 200, expected an object; the default is used",
            ),
            (
                json!({"deadlineSeconds": {"add": 1}}),
                "file: \"deadlineSeconds.add\" is not a verb with a deadline; known are ADD, DEL, CHECK, GC, STATUS; the default is used",
            ),
            (
                json!({"deadlineSeconds": {"ADD": "200s"}}),
                "file: \"deadlineSeconds.ADD\" is \"200s\", expected a number of seconds from 0 (none) to 86400; the default is used",
            ),
            (
                json!({"checks": {"ipam-pool": true}}),
                "file: \"checks.ipam-pool\" is true, expected off, warn or deny; the default is used",
            ),
            (
                json!({"redact": "key"}),
                "file: \"redact\" is \"key\", expected an array of strings; the default is used",
            ),
            (
                json!({"redact": ["key", 1]}),
                "file: \"redact\" is [\"key\",1], expected an array of strings; the default is used",
            ),
            (
                json!({"journal": "off"}),
                "file: \"journal\" is \"off\", expected an object; the default is used",
            ),
            (
                json!({"journal": {"dir": "log"}}),
                "file: \"journal.dir\" is \"log\", expected an absolute path; the default is used",
            ),
            (
                json!({"journal": {"maxBytes": 100}}),
                "file: \"journal.maxBytes\" is 100, expected a whole number from 4096 to 1099511627776; the default is used",
            ),
            (
                json!({"journal": {"maxFiles": 0}}),
                "file: \"journal.maxFiles\" is 0, expected a whole number from 1 to 1000; the default is used",
            ),
            (
                json!({"journal": {"record": "some"}}),
                "file: \"journal.record\" is \"some\", expected all, failures or off; the default is used",
            ),
            (
                json!({"journal": {"mode": 384}}),
                "file: \"journal.mode\" is 384, expected an octal mode from \"0600\" to \"0666\"; the default is used",
            ),
            (
                json!({"journal": {"mode": "0755"}}),
                "file: \"journal.mode\" is \"0755\", expected an octal mode from \"0600\" to \"0666\"; the default is used",
            ),
            (
                json!({"journal": {"group": 0}}),
                "file: \"journal.group\" is 0, expected the name or number of a group, as a string; the default is used",
            ),
            (
                json!({"journal": {"size": 1}}),
                "file: \"journal.size\" is not a known key; the default is used",
            ),
        ];
        for (content, expected) in table {
            assert_eq!(warnings(&content), [expected]);
        }
    }

    #[test]
    fn a_long_value_is_shown_short() {
        let warning = warnings(&json!({"enrich": "x".repeat(1000)})).remove(0);
        assert!(warning.len() < 140, "{warning}");
    }

    #[test]
    fn an_unknown_check_is_named_with_the_known_ones() {
        let warning = warnings(&json!({"checks": {"ipam": "deny"}})).remove(0);
        assert!(warning.starts_with("file: \"checks.ipam\" is not a known check; known are "), "{warning}");
        assert!(warning.contains("ipam-pool"), "{warning}");
    }

    #[test]
    fn a_check_set_back_to_warn_is_at_its_default() {
        let mut settings = Settings::default();
        settings.apply("file", &json!({"checks": {"bridge": "deny", "netns": "off"}}), None);
        settings.apply("entry", &json!({"checks": {"bridge": "warn", "netns": "warn"}}), None);
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn good_values_are_taken() {
        let mut settings = Settings::default();
        let content = json!({
            "deadlineSeconds": {"ADD": 1.5, "DEL": 0}, "checks": {"ipam-pool": "deny", "bridge": "off"},
            "enrich": false, "verify": false, "evidenceMilliseconds": 0, "redact": ["myKey"],
            "journal": {"dir": "/j", "maxBytes": 4096, "maxFiles": 1, "record": "failures", "mode": "0640", "group": "adm"},
        });
        settings.apply("file", &content, None);
        assert_eq!(settings.warnings, [""; 0]);
        assert_eq!(settings.mode("ipam-pool"), Mode::Deny);
        assert_eq!(settings.mode("bridge"), Mode::Off);
        assert_eq!(settings.mode("netns"), Mode::Warn);
        assert!(!settings.enrich && !settings.verify);
        assert_eq!(settings.evidence, Duration::ZERO);
        assert_eq!(settings.redact, ["myKey"]);
        let journal = &settings.journal;
        assert_eq!((journal.max_bytes, journal.max_files, journal.mode), (4096, 1, 0o640));
        assert_eq!((journal.dir.as_path(), journal.record), ("/j".as_ref(), Recording::Failures));
        assert_eq!(journal.group, "adm");
    }
}
