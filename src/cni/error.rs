//! CNI errors: what plugins print ([SPEC.md, "Error"]) and how libcni reads it.
//!
//! [SPEC.md, "Error"]: https://www.cni.dev/docs/spec/#error

use serde::{Deserialize, Serialize};

use super::{go, json};

/// Error codes of the specification and of libcni (`pkg/types/types.go`).
pub mod code {
    /// A required environment variable is missing or invalid.
    pub const INVALID_ENVIRONMENT: u64 = 4;
    /// Input or output failed.
    pub const IO_FAILURE: u64 = 5;
    /// Content could not be decoded.
    pub const DECODING_FAILURE: u64 = 6;
    /// The network configuration is invalid.
    pub const INVALID_CONFIG: u64 = 7;
    /// The runtime should try again later.
    pub const TRY_AGAIN_LATER: u64 = 11;
    /// STATUS: the plugin cannot serve an ADD now.
    pub const NOT_AVAILABLE: u64 = 50;
    /// Everything else (`ErrInternal`).
    pub const INTERNAL: u64 = 999;
}

/// A CNI error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The version of the specification, where the plugin named one.
    #[serde(rename = "cniVersion", default, skip_serializing_if = "Option::is_none")]
    pub cni_version: Option<String>,
    /// The code, where the plugin gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u64>,
    /// A short text.
    #[serde(default)]
    pub msg: String,
    /// A longer one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

impl Error {
    /// The text that libcni makes of it (`types.Error.Error`): the code is lost.
    #[must_use]
    pub fn text(&self) -> String {
        if self.details.is_empty() { self.msg.clone() } else { format!("{}; {}", self.msg, self.details) }
    }

    /// The error as a document for stdout.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| format!(r#"{{"code":{},"msg":""}}"#, code::INTERNAL))
    }

    /// Reads what a failed plugin printed, as Go's decoder fills libcni's `types.Error` from it: keys in any case, the
    /// last of several wins, `null` leaves a field as it is.
    ///
    /// # Errors
    /// The text of the decoder's error, as libcni would have quoted it.
    pub fn decode(stdout: &[u8]) -> Result<Error, String> {
        let document = json::validate(stdout).map_err(|error| error.to_string())?;
        let mut error = Error::default();
        let Some(members) = json::members(stdout, &document) else {
            let value = &stdout[document];
            return match kind(value) {
                "null" => Ok(error),
                kind => Err(format!("json: cannot unmarshal {kind} into Go value of type types.Error")),
            };
        };
        let mut mismatch = None;
        for member in members {
            let value = &stdout[member.value.clone()];
            let key = member.key(stdout).to_ascii_lowercase();
            let read = match key.as_str() {
                _ if value == b"null" => Ok(()),
                "cniversion" => {
                    error.cni_version = member.string(stdout).map(std::borrow::Cow::into_owned);
                    Ok(())
                }
                "code" => read_code(value).map(|code| error.code = Some(code)),
                "msg" => read_text(value).map(|text| error.msg = text),
                "details" => read_text(value).map(|text| error.details = text),
                _ => Ok(()),
            };
            if let Err(what) = read {
                let wanted = if key == "code" { "uint" } else { "string" };
                mismatch.get_or_insert_with(|| {
                    format!("json: cannot unmarshal {what} into Go struct field Error.{key} of type {wanted}")
                });
            }
        }
        mismatch.map_or(Ok(error), Err)
    }
}

fn read_code(value: &[u8]) -> Result<u64, String> {
    match kind(value) {
        "number" => {
            let text = String::from_utf8_lossy(value);
            text.parse().map_err(|_| format!("number {text}"))
        }
        kind => Err(kind.to_owned()),
    }
}

fn read_text(value: &[u8]) -> Result<String, String> {
    match kind(value) {
        "string" => Ok(json::unquote(value).into_owned()),
        kind => Err(kind.to_owned()),
    }
}

/// Go's word for the kind of a JSON value.
#[must_use]
pub fn kind(value: &[u8]) -> &'static str {
    match value.first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "bool",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// What libcni says of a failed plugin that printed `stdout`, which is no CNI error for `reason`
/// (`pkg/invoke/raw_exec.go`, `pluginErr`). `ended` is how the process ended; the releases after 1.3 add it where only
/// stderr is there, and a text with it holds the older one whole.
#[must_use]
pub fn undecodable_text(stdout: &[u8], stderr: &[u8], reason: &str, ended: &str) -> String {
    match (stdout.is_empty(), stderr.is_empty()) {
        (true, true) => format!("netplugin failed with no error message: {ended}"),
        (true, false) => format!("netplugin failed: {}: {ended}", go::quote(stderr)),
        (false, _) => {
            format!(
                "netplugin failed but error parsing its diagnostic message {}: {reason}",
                go::quote(stdout)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Option<u64>, msg: &str, details: &str) -> Error {
        Error { cni_version: None, code, msg: msg.into(), details: details.into() }
    }

    #[test]
    fn decodes_as_go_does() {
        let table: &[(&str, Error)] = &[
            (r#"{"code": 7, "msg": "no", "details": "why"}"#, error(Some(7), "no", "why")),
            (r#"{"Msg":"a","MSG":"b","other":[1]}"#, error(None, "b", "")),
            (r#"{"code":null,"msg":"x","details":null}"#, error(None, "x", "")),
            (r#"{"code":18446744073709551615,"msg":"\u0041"}"#, error(Some(u64::MAX), "A", "")),
            ("null", Error::default()),
            ("{}", Error::default()),
        ];
        for (document, expected) in table {
            assert_eq!(Error::decode(document.as_bytes()).as_ref(), Ok(expected), "{document}");
        }
    }

    #[test]
    fn mismatches_are_worded_as_in_go() {
        let table = [
            (r#"{"code":"7"}"#, "json: cannot unmarshal string into Go struct field Error.code of type uint"),
            (
                r#"{"code":-1}"#,
                "json: cannot unmarshal number -1 into Go struct field Error.code of type uint",
            ),
            (
                r#"{"code":1.5,"msg":1}"#,
                "json: cannot unmarshal number 1.5 into Go struct field Error.code of type uint",
            ),
            (r#"{"msg":{}}"#, "json: cannot unmarshal object into Go struct field Error.msg of type string"),
            ("[]", "json: cannot unmarshal array into Go value of type types.Error"),
            ("\"x\"", "json: cannot unmarshal string into Go value of type types.Error"),
            ("{}{}", "invalid character '{' after top-level value"),
            ("", "unexpected end of JSON input"),
        ];
        for (document, expected) in table {
            assert_eq!(Error::decode(document.as_bytes()), Err(expected.to_owned()), "{document}");
        }
    }

    #[test]
    fn texts_of_what_is_no_error_are_libcnis() {
        let ended = "exit status 2";
        assert_eq!(
            undecodable_text(b"", b"", "", ended),
            "netplugin failed with no error message: exit status 2"
        );
        assert_eq!(
            undecodable_text(b"", b"boom\n", "", ended),
            r#"netplugin failed: "boom\n": exit status 2"#
        );
        assert_eq!(
            undecodable_text(b"oops", b"boom", "invalid character 'o' looking for beginning of value", ended),
            r#"netplugin failed but error parsing its diagnostic message "oops": invalid character 'o' looking for beginning of value"#
        );
    }

    #[test]
    fn the_document_leaves_out_what_the_plugin_left_out() {
        assert_eq!(error(None, "no", "").to_json(), r#"{"msg":"no"}"#);
        let whole = Error { cni_version: Some("1.0.0".into()), ..error(Some(11), "a\"b", "c") };
        assert_eq!(whole.to_json(), r#"{"cniVersion":"1.0.0","code":11,"msg":"a\"b","details":"c"}"#);
    }
}
