//! What the record of a call does not hold since it is secret: named by its path, and given again.
//!
//! A path is the keys and indexes down to the value with dots between them, `delegates.0.token`; a dot inside a key is
//! written `\.`.

use serde_json::Value;

use crate::journal::redact::REDACTED;

/// The paths of all strings in which something was taken out.
#[must_use]
pub fn paths(config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(config, "", &mut found);
    found
}

fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::String(text) if text.contains(REDACTED) => found.push(path.to_owned()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &below(&index.to_string()), found);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                walk(value, &below(&key.replace('.', "\\.")), found);
            }
        }
        _ => {}
    }
}

/// Puts a text in the place of what stands at a path.
///
/// # Errors
/// If nothing stands there.
pub fn set(config: &mut Value, path: &str, text: &str) -> Result<(), String> {
    let mut at = config;
    for step in steps(path) {
        let below = match at {
            Value::Object(members) => members.get_mut(&step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        at = below.ok_or_else(|| format!("--set {path}: the configuration has nothing there"))?;
    }
    *at = Value::String(text.to_owned());
    Ok(())
}

fn steps(path: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut letters = path.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = steps.len() - 1;
        match letter {
            '\\' if letters.peek() == Some(&'.') => steps[last].extend(letters.next()),
            '.' => steps.push(String::new()),
            other => steps[last].push(other),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_secret_is_named_and_can_be_given() {
        let mut config = json!({
            "type": "bridge",
            "token": REDACTED,
            "url": "https://<redacted>@server",
            "list": [{"plain": 1}, {"my.key": REDACTED}],
        });
        let found = paths(&config);
        assert_eq!(found, ["token", "url", "list.1.my\\.key"]);
        for (path, text) in found.iter().zip(["t", "https://a:b@server", "k"]) {
            set(&mut config, path, text).unwrap();
        }
        let expected = json!({
            "type": "bridge", "token": "t", "url": "https://a:b@server", "list": [{"plain": 1}, {"my.key": "k"}],
        });
        assert_eq!(config, expected);
        assert_eq!(paths(&config), [""; 0]);
    }

    #[test]
    fn what_is_not_there_cannot_be_set() {
        let mut config = json!({"list": [1]});
        for path in ["none", "list.1", "list.x", "list.0.deeper"] {
            let expected = format!("--set {path}: the configuration has nothing there");
            assert_eq!(set(&mut config, path, "x"), Err(expected));
        }
        assert_eq!(config, json!({"list": [1]}));
    }
}
