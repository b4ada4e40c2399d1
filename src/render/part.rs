//! One part of a record, as it was recorded, for a pipe.

use serde_json::Value;

/// What redaction leaves in the place of a secret.
const REDACTED: &str = "<redacted>";

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the plugin read on stdin.
    Config,
    /// What it wrote to stdout.
    Stdout,
    /// What it wrote to stderr.
    Stderr,
}

impl Part {
    /// Its bytes, and what is to be said of them. A document of JSON ends with a newline, text is as it was.
    #[must_use]
    pub fn of(self, record: &Value) -> (Vec<u8>, Vec<String>) {
        let (name, fields): (&str, &[&str]) = match self {
            Part::Config => ("configuration", &["config"]),
            Part::Stdout => ("stdout", &["stdout_raw", "result", "error"]),
            Part::Stderr => ("stderr", &["stderr"]),
        };
        let is_there = |field: &&&str| !matches!(&record[**field], Value::Null) && record[**field] != "";
        let Some(field) = fields.iter().find(is_there) else {
            return (Vec::new(), vec![format!("the record has no {name}")]);
        };
        let text = match &record[*field] {
            Value::String(text) => text.clone(),
            value => format!("{value}\n"),
        };
        let mut remarks = Vec::new();
        match text.matches(REDACTED).count() {
            0 => {}
            1 => remarks.push(format!("1 value was redacted when it was recorded: {REDACTED}")),
            count => remarks.push(format!("{count} values were redacted when it was recorded: {REDACTED}")),
        }
        if record["truncated"].as_array().is_some_and(|cut| cut.iter().any(|name| name == *field)) {
            remarks.push(format!("the {name} was cut when it was recorded"));
        }
        (text.into_bytes(), remarks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_are_as_they_were_recorded() {
        let record = json!({
            "config": {"name": "net", "b": 1, "a": "<redacted>", "c": ["<redacted>"]},
            "result": null, "error": {"code": 7, "msg": "no", "details": ""},
            "stderr": "\u{1b}[31mwords\nmore", "truncated": ["stderr"],
        });
        let table = [
            (
                Part::Config,
                "{\"name\":\"net\",\"b\":1,\"a\":\"<redacted>\",\"c\":[\"<redacted>\"]}\n",
                vec!["2 values were redacted when it was recorded: <redacted>"],
            ),
            (Part::Stdout, "{\"code\":7,\"msg\":\"no\",\"details\":\"\"}\n", vec![]),
            (Part::Stderr, "\u{1b}[31mwords\nmore", vec!["the stderr was cut when it was recorded"]),
        ];
        for (part, text, remarks) in table {
            let (bytes, said) = part.of(&record);
            assert_eq!(
                (str::from_utf8(&bytes).unwrap(), said),
                (text, remarks.iter().map(ToString::to_string).collect())
            );
        }
        assert_eq!(Part::Stderr.of(&json!({})), (Vec::new(), vec!["the record has no stderr".to_owned()]));
    }
}
