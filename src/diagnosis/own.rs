//! Signatures of this node's owner: `/etc/cniscope/signatures.d/*.json`. A mistake in one is a warning that names file
//! and field; the others count.

use serde_json::{Map, Value};

use super::catalogue::Cause;

/// A signature of this node's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The cause.
    pub cause: Cause,
    /// What must all occur in the innermost error.
    pub all: Vec<String>,
    /// The plugin whose errors it is about; the errors of every plugin if there is none.
    pub plugin: Option<String>,
    /// What is wrong, in place of the catalogue's words.
    pub title: Option<String>,
    /// What to do, before what the catalogue says.
    pub fix: Vec<String>,
    /// The file.
    pub from: String,
}

/// A literal shorter than this fits by accident.
const LEAST: usize = 4;
/// The fields of a signature.
const FIELDS: [&str; 5] = ["cause", "all", "plugin", "title", "fix"];

impl Own {
    /// Whether it fits an error in lower case. A text that names no plugin may be of this one.
    #[must_use]
    pub fn fits(&self, text: &str, plugin: Option<&str>) -> bool {
        let is_of_plugin = match (&self.plugin, plugin) {
            (Some(own), Some(plugin)) => own == plugin,
            _ => true,
        };
        is_of_plugin && self.all.iter().all(|part| text.contains(&part.to_ascii_lowercase()))
    }

    /// Its literals, quoted.
    #[must_use]
    pub fn quoted(&self) -> String {
        let quoted: Vec<_> = self.all.iter().map(|part| format!("“{part}”")).collect();
        quoted.join(" and ")
    }
}

/// The signatures of a file, one object or an array of them, and what is wrong with the others.
#[must_use]
pub fn parse(file: &str, content: &[u8]) -> (Vec<Own>, Vec<String>) {
    let values = match serde_json::from_slice(content) {
        Ok(Value::Array(values)) => values,
        Ok(value) => vec![value],
        Err(error) => return (Vec::new(), vec![format!("{file}: it is not JSON: {error}")]),
    };
    let (mut good, mut warnings) = (Vec::new(), Vec::new());
    for (position, value) in values.iter().enumerate() {
        let place = if values.len() == 1 { file.to_owned() } else { format!("{file}: signature {position}") };
        let Some(fields) = value.as_object() else {
            warnings.push(format!("{place}: a signature is an object"));
            continue;
        };
        let unknown = fields.keys().filter(|field| !FIELDS.contains(&field.as_str()));
        warnings.extend(unknown.map(|field| format!("{place}: {field}: no such field")));
        match signature(file, fields) {
            Ok(own) => good.push(own),
            Err(mistake) => warnings.push(format!("{place}: {mistake}; the signature is not used")),
        }
    }
    (good, warnings)
}

fn signature(file: &str, fields: &Map<String, Value>) -> Result<Own, String> {
    let text = |field: &str| match fields.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{field}: not a string")),
    };
    let id = text("cause")?.ok_or("cause: it is missing")?;
    let cause = Cause::from_id(&id)
        .filter(|cause| *cause != Cause::Unknown)
        .ok_or_else(|| format!("cause: {id:?} is none; cniscope causes lists them"))?;
    let all = texts("all", fields.get("all").ok_or("all: it is missing")?)?;
    if all.is_empty() || all.iter().any(|part| part.trim().len() < LEAST) {
        return Err(format!("all: needs literals of at least {LEAST} characters"));
    }
    let fix = fields.get("fix").map_or(Ok(Vec::new()), |fix| texts("fix", fix))?;
    Ok(Own { cause, all, plugin: text("plugin")?, title: text("title")?, fix, from: file.to_owned() })
}

/// A string, or an array of strings.
fn texts(field: &str, value: &Value) -> Result<Vec<String>, String> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        other => std::slice::from_ref(other),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    values.iter().map(text).collect::<Option<_>>().ok_or_else(|| format!("{field}: not an array of strings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(content: &str) -> Vec<String> {
        parse("a.json", content.as_bytes()).1
    }

    #[test]
    fn a_signature_has_all_its_fields() {
        let content = r#"{"cause": "agent-refused", "all": ["widget", "full"], "plugin": "acme", "title": "t", "fix": ["a", "b"]}"#;
        let (own, warnings) = parse("a.json", content.as_bytes());
        let expected = Own {
            cause: Cause::AgentRefused,
            all: vec!["widget".into(), "full".into()],
            plugin: Some("acme".into()),
            title: Some("t".into()),
            fix: vec!["a".into(), "b".into()],
            from: "a.json".into(),
        };
        assert_eq!((own, warnings), (vec![expected], vec![]));
    }

    #[test]
    fn a_mistake_names_the_file_and_the_field() {
        let unused = |mistake: &str| vec![format!("a.json: {mistake}; the signature is not used")];
        let table = [
            ("7", vec!["a.json: a signature is an object".to_owned()]),
            (r#"{"all": ["text"]}"#, unused("cause: it is missing")),
            (r#"{"cause": 7, "all": ["text"]}"#, unused("cause: not a string")),
            (
                r#"{"cause": "rain", "all": ["text"]}"#,
                unused("cause: \"rain\" is none; cniscope causes lists them"),
            ),
            (
                r#"{"cause": "unknown", "all": ["text"]}"#,
                unused("cause: \"unknown\" is none; cniscope causes lists them"),
            ),
            (r#"{"cause": "disk-full"}"#, unused("all: it is missing")),
            (r#"{"cause": "disk-full", "all": [7]}"#, unused("all: not an array of strings")),
            (r#"{"cause": "disk-full", "all": []}"#, unused("all: needs literals of at least 4 characters")),
            (
                r#"{"cause": "disk-full", "all": ["a "]}"#,
                unused("all: needs literals of at least 4 characters"),
            ),
            (
                r#"{"cause": "disk-full", "all": ["text"], "fixes": "a"}"#,
                vec!["a.json: fixes: no such field".to_owned()],
            ),
        ];
        for (content, expected) in table {
            assert_eq!(warnings(content), expected, "{content}");
        }
        let second = r#"[{"cause": "disk-full", "all": ["text"]}, {"cause": "rain"}]"#;
        let (own, warnings) = parse("a.json", second.as_bytes());
        assert_eq!(own.len(), 1);
        assert!(warnings[0].starts_with("a.json: signature 1: cause: "), "{warnings:?}");
    }

    #[test]
    fn what_is_not_json_is_a_warning() {
        assert!(warnings("{").concat().starts_with("a.json: it is not JSON: "));
    }
}
