//! What leaves the node: of files whose form is known, what is on a list of harmless keys; of texts, what does not look like
//! a secret. What is hidden is told with its place, never with its value.

mod json;
mod keys;
mod lines;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use json::Document;
pub use text::Text;

/// The longest name of a node or a container.
const MAX_NAME: usize = 253;
/// The longest name of an interface (`IFNAMSIZ`).
const MAX_INTERFACE: usize = 15;

/// Why something was hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Its key is not on the list of those that are harmless.
    NotListed,
    /// It looks like a secret.
    Looks,
    /// It is of another form than a file of this kind has.
    Form,
}

/// Something that was hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Where in its file: a key's path, or a line.
    pub place: String,
    /// Why.
    pub why: Why,
}

/// What a file is, by which it is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A network's configuration or a result, or a kubeconfig, which stand in the same folders.
    Network,
    /// A runtime's configuration.
    Runtime,
    /// Variables, one a line.
    Variables,
    /// The journal.
    Records,
    /// Who has an address, as host-local keeps it: an id and an interface.
    Reservation,
    /// A word, such as a node's name.
    Word,
    /// What the kernel lists as mounted.
    Mounts,
    /// Anything else, such as a log, or what the kernel tells.
    Text,
    /// What cniscope itself found, as JSON.
    Findings,
}

/// A file without its secrets.
#[derive(Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// What is left.
    pub content: Vec<u8>,
    /// What is not.
    pub hidden: Vec<Hidden>,
}

impl Text {
    /// Cleans a file.
    #[must_use]
    pub fn clean(&self, content: &[u8], form: Form) -> Cleaned {
        let file = String::from_utf8_lossy(content);
        let (content, hidden) = match form {
            Form::Network => self.network(&file),
            Form::Runtime => lines::clean(self, &file, keys::RUNTIME),
            Form::Variables => lines::clean(self, &file, keys::VARIABLES),
            Form::Records => self.records(&file),
            Form::Reservation => self.names(&file, &[MAX_NAME, MAX_INTERFACE]),
            Form::Word => self.names(&file, &[MAX_NAME]),
            Form::Mounts => each_line(&file, |line| Some(self.mount(line))),
            Form::Text => self.hide_in_lines(&file),
            Form::Findings => self.findings(&file),
        };
        Cleaned { content: content.into_bytes(), hidden }
    }

    /// JSON where it is JSON; else the lines of a kubeconfig, or of JSON that is broken.
    fn network(&self, file: &str) -> (String, Vec<Hidden>) {
        let of_kubeconfig = file.contains("clusters") && file.contains("server");
        let allowed = if of_kubeconfig { keys::KUBECONFIG } else { keys::NETWORK };
        let Ok(mut value) = serde_json::from_str::<Value>(file) else {
            return lines::clean(self, file, allowed);
        };
        if !(value.is_object() || value.is_array()) {
            return each_line(file, |_| None);
        }
        let mut document = Document::new(self, allowed);
        document.value(&mut value, "");
        let hidden = document.hidden();
        // A file in which nothing was hidden stays as its author has written it.
        let clean = if hidden.is_empty() { file.to_owned() } else { pretty(&value) };
        (clean, hidden)
    }

    fn findings(&self, file: &str) -> (String, Vec<Hidden>) {
        let Ok(mut value) = serde_json::from_str::<Value>(file) else { return self.hide_in_lines(file) };
        let mut document = Document::new(self, &[]);
        document.texts(&mut value, "");
        (pretty(&value), document.hidden())
    }

    /// Line by line: one that is no record is a text.
    fn records(&self, file: &str) -> (String, Vec<Hidden>) {
        let (mut clean, mut hidden) = (String::with_capacity(file.len()), Vec::new());
        for (number, line) in file.lines().enumerate() {
            let place = |place: &str| {
                format!("line {}{}{place}", number + 1, if place.is_empty() { "" } else { ": " })
            };
            if let Ok(Value::Object(mut record)) = serde_json::from_str(line) {
                let mut document = Document::new(self, keys::NETWORK);
                document.record(&mut record);
                let found = document.hidden();
                if found.is_empty() {
                    clean.push_str(line);
                } else {
                    clean.push_str(&Value::Object(record).to_string());
                    hidden.extend(found.into_iter().map(|one| Hidden { place: place(&one.place), ..one }));
                }
            } else if let Some(text) = self.hide(line) {
                clean.push_str(&text);
                hidden.push(Hidden { place: place(""), why: Why::Looks });
            } else {
                clean.push_str(line);
            }
            clean.push('\n');
        }
        (clean, hidden)
    }

    /// A name a line, each no longer than told; there are no more lines than that.
    fn names(&self, file: &str, most: &[usize]) -> (String, Vec<Hidden>) {
        let mut most = most.iter();
        each_line(file, |line| {
            let fits = most.next().is_some_and(|most| line.len() <= *most) && is_name(line);
            fits.then(|| self.hide(line).unwrap_or_else(|| line.to_owned()))
        })
    }

    /// A line of `/proc/mounts`: of options that have a value, those that are known.
    fn mount(&self, line: &str) -> String {
        let mut fields: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if let Some(options) = fields.get_mut(3) {
            let shown = |option: &str| match option.split_once('=') {
                Some((key, _)) if !keys::MOUNT_OPTIONS.contains(&key) => {
                    format!("{key}={}", crate::journal::redact::REDACTED)
                }
                _ => option.to_owned(),
            };
            *options = options.split(',').map(shown).collect::<Vec<_>>().join(",");
        }
        let line = fields.join(" ");
        self.hide(&line).unwrap_or(line)
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Every line as `shown` has it; where that is nothing, the line is hidden.
fn each_line(file: &str, mut shown: impl FnMut(&str) -> Option<String>) -> (String, Vec<Hidden>) {
    let (mut clean, mut hidden) = (String::with_capacity(file.len()), Vec::new());
    for (number, piece) in file.split_inclusive('\n').enumerate() {
        let line = piece.trim_end_matches(['\n', '\r']);
        let text = shown(line);
        if text.as_deref() != Some(line) {
            hidden.push(Hidden { place: format!("line {}", number + 1), why: Why::Form });
        }
        clean.push_str(text.as_deref().unwrap_or(crate::journal::redact::REDACTED));
        clean.push_str(&piece[line.len()..]);
    }
    (clean, hidden)
}

/// Whether a line is the name of a node, a container, an interface or an address; or empty.
fn is_name(line: &str) -> bool {
    line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(content: &str, form: Form) -> String {
        String::from_utf8(Text::new(&[]).clean(content.as_bytes(), form).content).unwrap()
    }

    #[test]
    fn every_form_keeps_what_it_is_for() {
        let table = [
            (Form::Network, "{\"type\": \"bridge\"}", "{\"type\": \"bridge\"}"),
            (Form::Network, "{\"pin\":7}", "{\n  \"pin\": \"<redacted>\"\n}\n"),
            (Form::Network, "\"hunter\"", "<redacted>"),
            (Form::Reservation, "container1\r\neth0", "container1\r\neth0"),
            (Form::Reservation, "hunter 2\neth0", "<redacted>\neth0"),
            (Form::Reservation, "a\nhunterhunterhunter\nb", "a\n<redacted>\n<redacted>"),
            (Form::Word, "node-1\n", "node-1\n"),
            (Form::Word, "hunter=2\n", "<redacted>\n"),
            (
                Form::Mounts,
                "//u:p@h/s /mnt cifs rw,size=1,password=x 0 0\n",
                "//u:p@h/s /mnt cifs rw,size=1,password=<redacted> 0 0\n",
            ),
            (
                Form::Findings,
                "{\"evidence\":{\"token\":\"x\",\"mtu\":1}}",
                "{\n  \"evidence\": {\n    \"token\": \"<redacted>\",\n    \"mtu\": 1\n  }\n}\n",
            ),
            (Form::Records, "torn {\"password\": \"x\nnext\n", "torn {\"password\": \"<redacted>\nnext\n"),
        ];
        for (form, content, expected) in table {
            assert_eq!(clean(content, form), expected, "{form:?}");
        }
    }

    #[test]
    fn a_kubeconfig_goes_by_its_own_keys_in_json_too() {
        let file = r#"{"clusters":[{"cluster":{"server":"https://10.96.0.1:443"}}],"users":[{"user":{"token":"hunter"}}]}"#;
        let expected = r#"{"clusters":[{"cluster":{"server":"https://10.96.0.1:443"}}],"users":[{"user":{"token":"<redacted>"}}]}"#;
        let value: Value = serde_json::from_str(&clean(file, Form::Network)).unwrap();
        assert_eq!(value.to_string(), expected);
    }
}
