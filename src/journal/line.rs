//! A record as the line that is appended: free of secrets and of bounded length.

use serde::Serialize;
use serde_json::{Map, Serializer, Value};

use super::redact::{Redacting, Redaction};
use crate::cni::json;

/// The longest line in bytes, its newline included.
pub const MAX_LINE: usize = 256 * 1024;

/// The lengths that strings are cut to, one after the other, until the line fits.
const STEPS: [usize; 6] = [64 * 1024, 16 * 1024, 4 * 1024, 1024, 256, 64];

/// Fields of a record as they are written, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// An object, without its closing bracket.
    json: Vec<u8>,
}

impl Part {
    /// What `fields` serialises to, which is an object.
    ///
    /// # Errors
    /// If it cannot be represented in JSON.
    pub fn of<T: Serialize>(fields: &T, redaction: &Redaction) -> Result<Part, serde_json::Error> {
        let mut json = clean(fields, redaction)?;
        json.pop();
        Ok(Part { json })
    }

    /// None yet.
    #[must_use]
    pub fn empty() -> Part {
        Part { json: b"{".to_vec() }
    }

    /// Puts a field behind the others. `value` is JSON, without secrets.
    pub fn put(&mut self, name: &str, value: &[u8]) {
        self.separate();
        self.json.push(b'"');
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
        self.json.extend_from_slice(value);
    }

    /// Puts all of another part behind these.
    pub fn extend(&mut self, other: &Part) {
        if other.json.len() > 1 {
            self.separate();
            self.json.extend_from_slice(&other.json[1..]);
        }
    }

    fn separate(&mut self) {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
    }

    /// The record as one line. Where it is too long, the largest fields are cut and named in `truncated`.
    #[must_use]
    pub fn into_line(mut self) -> Vec<u8> {
        self.json.push(b'}');
        if self.json.len() >= MAX_LINE {
            let mut fields = fields(&self.json);
            cut_largest_fields(&mut fields);
            self.json = Value::Object(fields).to_string().into_bytes();
        }
        self.json.push(b'\n');
        self.json
    }
}

/// A document without its secrets.
///
/// # Errors
/// If it cannot be represented in JSON.
pub fn clean<T: Serialize>(document: &T, redaction: &Redaction) -> Result<Vec<u8>, serde_json::Error> {
    // Most records fit.
    let mut json = Vec::with_capacity(1024);
    document.serialize(&mut Serializer::with_formatter(&mut json, Redacting::new(redaction)))?;
    Ok(json)
}

/// The fields of a record. One that `serde_json` does not read again, since it is nested too deep with the record around it,
/// is kept as text.
fn fields(record: &[u8]) -> Map<String, Value> {
    let members = json::members(record, &(0..record.len())).unwrap_or_default();
    let value = |json: &[u8]| {
        let text = || Value::String(String::from_utf8_lossy(json).into_owned());
        serde_json::from_slice(json).unwrap_or_else(|_| text())
    };
    members.into_iter().map(|one| (one.key(record).into_owned(), value(&record[one.value.clone()]))).collect()
}

fn cut_largest_fields(fields: &mut Map<String, Value>) {
    // Room for the names of the fields that are cut.
    let limit = MAX_LINE - 4096;
    let mut sizes: Vec<(String, usize)> =
        fields.iter().map(|(name, value)| (name.clone(), size(value))).collect();
    let mut total: usize = sizes.iter().map(|(name, size)| name.len() + size + 4).sum();
    let mut truncated = Vec::new();
    while total > limit {
        sizes.sort_by_key(|(_, size)| *size);
        let Some((name, before)) = sizes.pop() else { break };
        let Some(value) = fields.get_mut(&name) else { continue };
        let others = total - before;
        for step in STEPS {
            shorten(value, step);
            if others + size(value) <= limit {
                break;
            }
        }
        if size(value) + others > limit && size(value) > STEPS[STEPS.len() - 1] * 2 {
            // Many small things: only the text of it can be cut.
            *value = Value::String(cut(&value.to_string(), STEPS[2]));
        }
        total = others + size(value);
        truncated.push(Value::String(name));
    }
    fields.insert("truncated".to_owned(), Value::Array(truncated));
}

fn size(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len())
}

/// Cuts every string in `value` to `length` bytes, and every array to as many elements as that would be.
fn shorten(value: &mut Value, length: usize) {
    match value {
        Value::String(text) if text.len() > length => *text = cut(text, length),
        Value::Array(items) => {
            items.truncate(length / 16);
            for item in items {
                shorten(item, length);
            }
        }
        Value::Object(members) => members.values_mut().for_each(|member| shorten(member, length)),
        _ => {}
    }
}

fn cut(text: &str, length: usize) -> String {
    let end = text.floor_char_boundary(length);
    format!("{}… <{} bytes cut>", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(record: &Value) -> Value {
        let line = Part::of(record, &Redaction::default()).unwrap().into_line();
        assert!(line.len() <= MAX_LINE, "{}", line.len());
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_short_record_stays_as_it_is() {
        let record = json!({"schema": 1, "text": "line\nbreak", "password": "x"});
        assert_eq!(parse(&record), json!({"schema": 1, "text": "line\nbreak", "password": "<redacted>"}));
    }

    #[test]
    fn parts_follow_each_other() {
        let part = |value: Value| Part::of(&value, &Redaction::default()).unwrap();
        let mut whole = part(json!({"schema": 1}));
        whole.extend(&Part::empty());
        whole.extend(&part(json!({"a": [], "b": {}})));
        whole.put("c", b"{}");
        assert_eq!(
            String::from_utf8(whole.into_line()).unwrap(),
            "{\"schema\":1,\"a\":[],\"b\":{},\"c\":{}}\n"
        );
        let mut first = Part::empty();
        first.put("c", b"1");
        assert_eq!(first.into_line(), b"{\"c\":1}\n");
    }

    #[test]
    fn the_largest_field_is_cut_and_named() {
        let record = json!({"id": "i", "config": {"name": "net", "blob": "x".repeat(2_000_000)}, "stderr": "y".repeat(1000)});
        let cut = parse(&record);
        assert_eq!(cut["truncated"], json!(["config"]));
        assert_eq!(cut["config"]["name"], "net");
        assert!(cut["config"]["blob"].as_str().unwrap().ends_with("… <1934464 bytes cut>"));
        assert_eq!(cut["stderr"], record["stderr"]);
    }

    #[test]
    fn several_large_fields_are_cut() {
        let record = json!({"result": "r".repeat(300_000), "config": "c".repeat(290_000), "stderr": "e".repeat(100_000)});
        assert_eq!(parse(&record)["truncated"], json!(["result", "config"]));
    }

    #[test]
    fn many_small_values_are_cut_too() {
        let numbers: Vec<u32> = (0..200_000).collect();
        let members: Map<String, Value> = (0..100_000).map(|n| (format!("key{n}"), json!(n))).collect();
        let record = json!({"config": {"numbers": numbers}, "result": members});
        let cut = parse(&record);
        assert_eq!(cut["truncated"], json!(["result", "config"]));
        assert!(cut["result"].is_string());
    }

    #[test]
    fn what_is_nested_too_deep_to_be_read_again_is_kept_as_text() {
        let deep = (0..200).fold(json!("x"), |inner, _| json!([inner]));
        let cut = parse(&json!({"id": "i", "config": deep, "stderr": "y".repeat(300_000)}));
        assert_eq!(cut["config"], deep.to_string());
        assert_eq!(cut["truncated"], json!(["stderr"]));
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        assert_eq!(cut("aż", 2), "a… <2 bytes cut>");
    }
}
