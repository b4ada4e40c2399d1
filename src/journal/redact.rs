//! Takes secrets out of what is written down: the last thing that happens to every string of a record.
//!
//! A value goes by its key (`"password": …`) or by its looks (a JWT, a PEM block, credentials in a URL). Paths stay
//! (`etcd_key_file`, `kubeconfig`): they are evidence.

use std::ops::Range;

use serde_json::Value;

/// What stands in a secret's place.
pub const REDACTED: &str = "<redacted>";

/// Parts of a key that make its value a secret. Keys are compared in lower case, letters and digits alone.
const SECRET_KEYS: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "psk",
    "sharedkey",
    "encryptionkey",
    "signingkey",
    "keydata",
    "certificatedata",
];
/// Keys that are short for one.
const SHORT_SECRET_KEYS: [&str; 3] = ["pass", "pwd", "certificateauthoritydata"];
/// Ends of a key that speak of the secret without holding it.
const HARMLESS_ENDS: [&str; 14] = [
    "file",
    "path",
    "dir",
    "name",
    "ref",
    "id",
    "type",
    "url",
    "ttl",
    "seconds",
    "namespace",
    "enabled",
    "version",
    "mode",
];
/// Ends of a key whose value is key material or a path to it.
const MATERIAL_ENDS: [&str; 4] = ["key", "cert", "certificate", "ca"];
/// How tokens of known issuers begin, and the least length of one.
const TOKEN_STARTS: [(&str, usize); 12] = [
    ("AKIA", 20),
    ("ASIA", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 24),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("AIza", 35),
    ("hvs.", 20),
    ("npm_", 20),
];

/// `-----BEGIN ` in base64, whatever follows.
const PEM_IN_BASE64: &str = "LS0tLS1CRUdJTi";

/// Which keys hold secrets.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    keys: Vec<String>,
}

impl Redaction {
    /// The known keys, and `keys` in addition.
    #[must_use]
    pub fn new(keys: &[String]) -> Redaction {
        Redaction { keys: keys.iter().map(|key| normal(key)).collect() }
    }

    /// Takes the secrets out of a document.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                for (key, value) in members.iter_mut() {
                    match self.sensitivity(key) {
                        Sensitivity::Secret => hide(value),
                        Sensitivity::Material if value.as_str().is_some_and(looks_like_material) => {
                            hide(value);
                        }
                        _ => self.value(value),
                    }
                }
            }
            _ => {}
        }
    }

    /// The text without its secrets. `None` if there are none.
    #[must_use]
    pub fn text(&self, text: &str) -> Option<String> {
        let mut secrets = Vec::new();
        url_credentials(text, &mut secrets);
        self.words(text, &mut secrets);
        if secrets.is_empty() {
            return None;
        }
        secrets.sort_by_key(|range| range.start);
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        for secret in secrets {
            if secret.start >= at {
                clean.push_str(&text[at..secret.start]);
                clean.push_str(REDACTED);
            }
            at = at.max(secret.end);
        }
        clean.push_str(&text[at..]);
        Some(clean)
    }

    fn sensitivity(&self, key: &str) -> Sensitivity {
        let key = normal(key);
        let ends = |ends: &[&str]| ends.iter().any(|end| key.ends_with(end));
        if self.keys.contains(&key) || SHORT_SECRET_KEYS.contains(&key.as_str()) {
            Sensitivity::Secret
        } else if ends(&HARMLESS_ENDS) {
            Sensitivity::None
        } else if SECRET_KEYS.iter().any(|part| key.contains(part)) {
            Sensitivity::Secret
        } else if ends(&MATERIAL_ENDS) {
            Sensitivity::Material
        } else {
            Sensitivity::None
        }
    }

    /// Looks at every word: whether it is a token itself, and whether it is the key of a secret that follows it.
    fn words(&self, text: &str, secrets: &mut Vec<Range<usize>>) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(offset) = bytes[at..].iter().position(|byte| is_word(*byte)) {
            let start = at + offset;
            let end = run(bytes, start, is_word);
            at = end;
            let word = &text[start..end];
            if is_token(word) {
                secrets.push(start..end);
            } else if word == "-----BEGIN" {
                at = end_of_pem(text, start);
                secrets.push(start..at);
            } else if word.starts_with(PEM_IN_BASE64) {
                at = run(bytes, start, is_base64);
                secrets.push(start..at);
            } else if let Some(secret) = self.follows(text, start, end) {
                at = secret.end;
                secrets.push(secret);
            }
        }
    }

    /// The secret behind the word at `start..end`: `password=…`, `--token …`, `"secret": "…"`, `Bearer …`, and `token: …`
    /// where what follows looks like one.
    fn follows(&self, text: &str, start: usize, end: usize) -> Option<Range<usize>> {
        let word = &text[start..end];
        let next = *text.as_bytes().get(end)?;
        // A key is no longer than this; and most words have nothing behind them that could be a value.
        if word.len() > 64 || !matches!(next, b'=' | b':' | b' ' | b'\t' | b'"' | b'\'' | b'\\') {
            return None;
        }
        if word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") {
            return credentials(text, end);
        }
        let value = assigned(text, start, end)?;
        (self.sensitivity(word) == Sensitivity::Secret).then_some(value)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sensitivity {
    Secret,
    Material,
    None,
}

/// A key in lower case, letters and digits alone: `apiKey`, `api_key` and `API-KEY` are one.
fn normal(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn hide(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(text) if text.is_empty() => {}
        _ => *value = Value::String(REDACTED.to_owned()),
    }
}

fn looks_like_material(text: &str) -> bool {
    text.len() >= 16 && !text.starts_with('/') && !text.contains(char::is_whitespace)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.'
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

/// The end of the run of bytes from `start` that `belongs` to.
fn run(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| !belongs(*byte)).map_or(bytes.len(), |length| start + length)
}

/// The value that is given to the key at `start..end` of the text.
fn assigned(text: &str, start: usize, end: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let skip = |from: usize, skipped: &[u8]| run(bytes, from, |byte| skipped.contains(&byte));
    let after_key = skip(end, b"\"'\\");
    let key_is_quoted = after_key > end;
    let separator = skip(after_key, b" \t");
    let flag = text[start..].starts_with("--");
    let value = match bytes.get(separator)? {
        b'=' | b':' => skip(separator + 1, b" \t"),
        _ if flag && separator > end => separator,
        _ => return None,
    };
    let quotes = skip(value, b"\"'\\");
    let stop = if quotes > value {
        run(bytes, quotes, |byte| !matches!(byte, b'"' | b'\'' | b'\\'))
    } else {
        run(bytes, quotes, |byte| {
            !byte.is_ascii_whitespace()
                && !matches!(byte, b',' | b';' | b'&' | b')' | b'}' | b']' | b'"' | b'\'')
        })
    };
    let certain = key_is_quoted || flag || bytes[separator] == b'=';
    let found = &text[quotes..stop];
    (!found.is_empty() && (certain || looks_random(found))).then_some(quotes..stop)
}

/// Whether a word behind `token: ` is one rather than a sentence about one.
fn looks_random(word: &str) -> bool {
    word.len() >= 12
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !word.starts_with('/')
}

/// Where the PEM block that begins at `start` ends: with the text, where its end is cut off.
fn end_of_pem(text: &str, start: usize) -> usize {
    let Some(offset) = text[start..].find("-----END ") else { return text.len() };
    let end = start + offset + "-----END ".len();
    text[end..].find("-----").map_or(text.len(), |dashes| end + dashes + "-----".len())
}

/// A JSON web token, a token of a known issuer, a Kubernetes bootstrap token.
fn is_token(word: &str) -> bool {
    if word.len() < 20 {
        return false;
    }
    let is_jwt = word.starts_with("eyJ") && (word.len() >= 40 || word.contains('.'));
    let is_issued = TOKEN_STARTS.iter().any(|(start, least)| word.len() >= *least && word.starts_with(start));
    is_jwt || is_issued || is_bootstrap_token(word)
}

/// `abcdef.0123456789abcdef`.
fn is_bootstrap_token(word: &str) -> bool {
    let lower = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    word.len() == 23
        && word.split_once('.').is_some_and(|(id, secret)| {
            id.len() == 6 && lower(id) && lower(secret) && secret.bytes().any(|byte| byte.is_ascii_digit())
        })
}

/// `https://user:password@host`: everything before the `@`.
fn url_credentials(text: &str, secrets: &mut Vec<Range<usize>>) {
    if !text.contains('@') {
        return;
    }
    for (scheme, _) in text.match_indices("://") {
        let start = scheme + 3;
        let end = run(text.as_bytes(), start, |byte| {
            !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'"' | b'\'' | b'?' | b'#' | b',' | b'\\')
        });
        if let Some(at_sign) = text[start..end].rfind('@').filter(|at_sign| *at_sign > 0) {
            secrets.push(start..start + at_sign);
        }
    }
}

/// What follows `Bearer` or `Basic`, where it is no plain word.
fn credentials(text: &str, end: usize) -> Option<Range<usize>> {
    let start = end + 1;
    let end = run(text.as_bytes(), start, |byte| is_base64(byte) || byte == b'.');
    let word = text.get(start..end)?;
    (word.len() >= 8 && !word.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn redacted(mut value: Value) -> Value {
        Redaction::new(&["myKey".to_owned()]).value(&mut value);
        value
    }

    #[test]
    fn values_go_by_their_keys() {
        let value = json!({
            "password": "hunter2", "k8s_auth_token": "abc", "apiKey": "abc", "client-key-data": "LS0t", "myKey": {"a": 1},
            "nested": [{"clientSecret": "x"}], "token": 12345, "k8s_client_key": "MIIEvQIBADANBgkqhkiG9w0B", "pass": "x",
        });
        let expected = json!({
            "password": REDACTED, "k8s_auth_token": REDACTED, "apiKey": REDACTED, "client-key-data": REDACTED,
            "myKey": REDACTED, "nested": [{"clientSecret": REDACTED}], "token": REDACTED, "k8s_client_key": REDACTED,
            "pass": REDACTED,
        });
        assert_eq!(redacted(value), expected);
    }

    #[test]
    fn evidence_stays() {
        let value = json!({
            "etcd_key_file": "/calico-secrets/etcd-key", "etcd_ca_cert_file": "/calico-secrets/etcd-ca",
            "kubeconfig": "/etc/cni/net.d/calico-kubeconfig", "k8s_client_key": "/etc/cni/key.pem", "tokenFile": "/var/run/token",
            "secretName": "cilium-ipsec", "token": null, "password": "", "automountServiceAccountToken": false,
            "type": "bridge", "key": "value", "id": "4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f",
            "dst": "10.0.0.0/8", "K8S_POD_NAME": "token-server-0",
        });
        assert_eq!(redacted(value.clone()), value);
    }

    #[test]
    fn texts_lose_what_looks_like_a_secret() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2ln";
        let table = [
            (format!("token {jwt} expired"), "token <redacted> expired"),
            (format!("Authorization: Bearer {jwt}"), "Authorization: Bearer <redacted>"),
            ("authorization: Basic dXNlcjpwYXNz".into(), "authorization: Basic <redacted>"),
            (
                "get https://user:pa$s@etcd:2379/v3: timeout".into(),
                "get https://<redacted>@etcd:2379/v3: timeout",
            ),
            ("proxy http://me@proxy:3128, refused".into(), "proxy http://<redacted>@proxy:3128, refused"),
            (
                "run x --token abc --password=def -v".into(),
                "run x --token <redacted> --password=<redacted> -v",
            ),
            (
                r#"bad config {"password": "a b", "x": 1}"#.into(),
                r#"bad config {"password": "<redacted>", "x": 1}"#,
            ),
            (r#"\"secret\":\"abc\" rest"#.into(), r#"\"secret\":\"<redacted>\" rest"#),
            ("PASSWORD=x;USER=y".into(), "PASSWORD=<redacted>;USER=y"),
            ("token: a1b2c3d4e5f6a1b2".into(), "token: <redacted>"),
            ("use abcdef.0123456789abcdef to join".into(), "use <redacted> to join"),
            ("key AKIAIOSFODNN7EXAMPLE refused".into(), "key <redacted> refused"),
            ("ghp_0123456789abcdef0123456789abcdef0123".into(), "<redacted>"),
            (
                "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b".into(),
                "a <redacted> b",
            ),
            ("a -----BEGIN CERTIFICATE-----\nMII".into(), "a <redacted>"),
            ("ca: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t.".into(), "ca: <redacted>."),
        ];
        for (text, expected) in table {
            assert_eq!(Redaction::default().text(&text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn errors_stay_whole() {
        for text in [
            "service account token expired",
            "error: token: signature is invalid",
            "failed to get secret: not found",
            "the server has asked for the client to provide credentials",
            "invalid bearer token",
            "open /run/flannel/subnet.env: no such file or directory",
            "stat /etc/cni/net.d/calico-kubeconfig: no such file or directory",
            "dial tcp 10.96.0.1:443: i/o timeout",
            "Get \"https://10.96.0.1:443/api/v1/namespaces/default?limit=1\": x509: certificate has expired",
            "no IP addresses available in range set: 10.244.7.1-10.244.7.6",
            "user@host: permission denied",
            "zażółć: password",
            "master.kubernetesdefault",
            "K8S_POD_INFRA_CONTAINER_ID=4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f",
        ] {
            assert_eq!(Redaction::default().text(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}|(://|eyJ|--token|=|:|\"|\\\\| |ż|\\.|@|-----BEGIN |bearer ){0,12}") {
            let redaction = Redaction::default();
            if let Some(clean) = redaction.text(&text) {
                proptest::prop_assert!(clean.contains(REDACTED));
            }
        }

        #[test]
        fn a_planted_password_never_stays(before in "[a-z ,;]{0,20}", password in "[A-Za-z0-9+/]{8,30}", after in "[a-z ]{0,20}") {
            let clean = Redaction::default().text(&format!("{before} password={password} {after}")).unwrap();
            proptest::prop_assert!(!clean.contains(&password));
        }
    }
}
