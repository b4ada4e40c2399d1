//! Files of keys and values with one of them a line: YAML, TOML, environment files, and JSON that is broken.

use super::text::Text;
use super::{Hidden, Why};
use crate::journal::redact::REDACTED;

/// Cleans a file line by line: a line stays where its key is `allowed` and a single value follows.
pub(super) fn clean(text: &Text, file: &str, allowed: &[&str]) -> (String, Vec<Hidden>) {
    let mut clean = String::with_capacity(file.len());
    let mut hidden = Vec::new();
    // Inside a list of several lines, whose key is allowed.
    let mut in_list = false;
    let mut below = Below::default();
    for (number, line) in file.lines().enumerate() {
        let kept =
            if below.has(line) { Kept::Nothing } else { kept(line, allowed, &mut in_list, &mut below) };
        let place = || format!("line {}", number + 1);
        match kept {
            Kept::Whole => {
                let shown = text.hide(line);
                if shown.is_some() {
                    hidden.push(Hidden { place: place(), why: Why::Looks });
                }
                clean.push_str(shown.as_deref().unwrap_or(line));
            }
            Kept::Key(end) => {
                hidden.push(Hidden { place: place(), why: Why::NotListed });
                clean.push_str(&text.hide(&line[..end]).unwrap_or_else(|| line[..end].to_owned()));
                clean.push(' ');
                clean.push_str(REDACTED);
            }
            Kept::Nothing => {
                hidden.push(Hidden { place: place(), why: Why::NotListed });
                clean.push_str("# ");
                clean.push_str(REDACTED);
            }
        }
        clean.push('\n');
    }
    (clean, hidden)
}

/// What belongs to a key that is not allowed: all lines that stand further to the right, or a text of several lines up to its
/// end.
#[derive(Debug, Default)]
struct Below {
    column: Option<usize>,
    quotes: Option<&'static str>,
}

impl Below {
    fn has(&mut self, line: &str) -> bool {
        if let Some(quotes) = self.quotes {
            if line.contains(quotes) {
                self.quotes = None;
            }
            return true;
        }
        let column = column(line);
        if line.trim().is_empty() || self.column.is_some_and(|key| column > key) {
            return self.column.is_some() && !line.trim().is_empty();
        }
        self.column = None;
        false
    }

    fn of_key(&mut self, line: &str, value: &str) {
        self.column = Some(column(line));
        let opens = |quotes: &&str| value.matches(*quotes).count() == 1;
        self.quotes = ["\"\"\"", "\'\'\'"].into_iter().find(opens);
    }
}

/// Where the content of a line begins, behind the dash of a list.
fn column(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t', '-']).len()
}

/// What of a line stays.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    Whole,
    /// What is before this place: the key, and what separates it from its value.
    Key(usize),
    Nothing,
}

fn kept(line: &str, allowed: &[&str], in_list: &mut bool, below: &mut Below) -> Kept {
    let content = line.trim();
    let was_in_list = std::mem::take(in_list);
    if content.bytes().all(|byte| b"{}[](),".contains(&byte)) || content == "---" {
        return Kept::Whole;
    }
    if content.starts_with('[') && content.ends_with(']') && !content.contains(['=', ',']) {
        // A table of TOML. Its names are those of plugins, registries and runtimes.
        return Kept::Whole;
    }
    if was_in_list && content.trim_end_matches(',').trim_matches(['"', '\'']).bytes().all(is_of_a_path) {
        *in_list = true;
        return Kept::Whole;
    }
    let start = column(line);
    let rest = &line[start..];
    let Some(separator) = rest.find([':', '=']) else { return Kept::Nothing };
    let key = rest[..separator].trim().trim_matches(['"', '\'']);
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte)) {
        return Kept::Nothing;
    }
    let value = rest[separator + 1..].trim().trim_end_matches(',').trim_end();
    let is_allowed = allowed.contains(&key);
    if !is_allowed {
        below.of_key(line, value);
    }
    if value.is_empty() || matches!(value, "{" | "[" | "{}" | "[]" | "true" | "false" | "null") {
        *in_list = value == "[" && is_allowed;
        return Kept::Whole;
    }
    if is_allowed && is_single(value) {
        return Kept::Whole;
    }
    below.of_key(line, value);
    Kept::Key(start + separator + 1)
}

/// Whether it is one value, or a list of them, and nothing that goes on in the next line or holds further keys.
fn is_single(value: &str) -> bool {
    if let Some(list) = value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        return list.split(',').all(|one| is_single(one.trim()));
    }
    let bare =
        value.strip_prefix(['"', '\'']).and_then(|value| value.strip_suffix(['"', '\''])).unwrap_or(value);
    !bare.contains(['"', '\'', '{', '}', '[', ']', ',', '|', '>', '&', '*', '!', '`', '#'])
        && !bare.contains(char::is_whitespace) | value.starts_with('"')
}

fn is_of_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-*".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::super::keys::{KUBECONFIG, NETWORK, RUNTIME, VARIABLES};
    use super::*;

    fn cleaned(file: &str, allowed: &[&str]) -> String {
        clean(&Text::new(&[]), file, allowed).0
    }

    #[test]
    fn a_kubeconfig_keeps_its_server_and_its_paths() {
        let file = "\
apiVersion: v1
clusters:
- name: local
  cluster:
    server: https://10.96.0.1:443
    certificate-authority-data: c2VjcmV0
users:
- name: calico
  user:
    token: \"short\"
    client-key: /etc/key.pem
    password: |
      hunter
      name: not-a-key
    exec: {command: aws, name: x}
";
        let expected = "\
apiVersion: v1
clusters:
- name: local
  cluster:
    server: https://10.96.0.1:443
    certificate-authority-data: <redacted>
users:
- name: calico
  user:
    token: <redacted>
    client-key: /etc/key.pem
    password: <redacted>
# <redacted>
# <redacted>
    exec: <redacted>
";
        assert_eq!(cleaned(file, KUBECONFIG), expected);
    }

    #[test]
    fn a_runtimes_configuration_keeps_its_folders() {
        let file = "\
version = 2
imports = [
  \"/etc/containerd/conf.d/*.toml\",
]
[plugins.\"io.containerd.grpc.v1.cri\".cni]
  bin_dir = \"/opt/cni/bin\"
  bin_dirs = [\"/opt/cni/bin\", \"/usr/lib/cni\"]
[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"r.example.org\".auth]
  username = \"me\"
  password = \"hunter\"
";
        let expected = file.replace("\"me\"", "<redacted>").replace("\"hunter\"", "<redacted>");
        assert_eq!(cleaned(file, RUNTIME), expected);
    }

    #[test]
    fn variables_and_broken_documents_go_by_their_keys_too() {
        let file = "FLANNEL_MTU=1450\nexport X=1\nTOKEN=abc\nhunter\n";
        assert_eq!(
            cleaned(file, VARIABLES),
            "FLANNEL_MTU=1450\n# <redacted>\nTOKEN= <redacted>\n# <redacted>\n"
        );
        let file =
            "{\n  \"type\": \"bridge\",\n  \"name\": \"a\", \"password\": \"hunter\",\n  \"x\": \"y\"\n";
        let expected = "{\n  \"type\": \"bridge\",\n  \"name\": <redacted>\n  \"x\": <redacted>\n";
        assert_eq!(cleaned(file, NETWORK), expected);
    }

    #[test]
    fn what_stands_below_a_key_that_is_not_known_is_hidden_with_it() {
        let file = "own:\n  name: hunter\n  - name: hunter\nname: x\ntext = \"\"\"\nname = hunter\n\"\"\"\nname = y\n";
        let expected = "own:\n# <redacted>\n# <redacted>\nname: x\ntext = <redacted>\n# <redacted>\n# <redacted>\nname = y\n";
        assert_eq!(cleaned(file, KUBECONFIG), expected);
    }

    #[test]
    fn what_was_hidden_is_named_by_its_line() {
        let (_, hidden) = clean(&Text::new(&[]), "NAME=x\nTOKEN=abc\n", VARIABLES);
        assert_eq!(hidden, [Hidden { place: "line 2".into(), why: Why::NotListed }]);
    }
}
