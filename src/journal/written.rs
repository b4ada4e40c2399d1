//! Lines that are whole by the look of them: as this release writes them, which is what nearly all lines are. What a filter
//! surely rejects of these needs no parsing.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

/// Where a record starts. In a line that another one has been written into, it stands twice.
static START: LazyLock<Finder> = LazyLock::new(|| Finder::new(b"{\"schema\":1,\"event\":\""));
const BEGIN: &[u8] = b"{\"schema\":1,\"event\":\"begin\",\"id\":\"";
const END: &[u8] = b"{\"schema\":1,\"event\":\"end\",\"id\":\"";
/// The last field of an end, before its hexadecimal digits.
const LAST: &[u8] = b",\"config_sha256\":\"";
const DIGITS: usize = 64;

/// A field of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `id`
    Id,
    /// `command`
    Command,
    /// `pod_namespace`
    PodNamespace,
    /// `pod_name`
    PodName,
    /// `plugin`
    Plugin,
    /// `outcome`
    Outcome,
    /// `cause`
    Cause,
}

impl Field {
    /// What stands before its text. Inside a text the quotes would be escaped, and before the head's last field there is
    /// nothing that has members: where this stands first, it is the head's.
    fn before(self) -> &'static [u8] {
        match self {
            Field::Id => b",\"id\":\"",
            Field::Command => b",\"command\":\"",
            Field::PodNamespace => b",\"pod_namespace\":\"",
            Field::PodName => b",\"pod_name\":\"",
            Field::Plugin => b",\"plugin\":\"",
            Field::Outcome => b",\"outcome\":\"",
            Field::Cause => b",\"cause\":\"",
        }
    }
}

/// A whole line of a begin or an end.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    line: &'a [u8],
    /// Whether it is an end.
    pub is_end: bool,
}

impl<'a> Written<'a> {
    /// The line, if it is surely whole.
    #[must_use]
    pub fn of(line: &'a [u8]) -> Option<Written<'a>> {
        let rest = line.strip_suffix(b"\"}")?;
        let is_end = line.starts_with(END);
        let is_whole = if is_end {
            // No line that is torn ends with this field.
            let (rest, digits) = rest.split_last_chunk::<DIGITS>()?;
            rest.ends_with(LAST)
                && digits.iter().all(u8::is_ascii_hexdigit)
                && START.find(&line[1..]).is_none()
        } else {
            // A begin has no members but texts and numbers: the end of a text and a brace end it.
            line.starts_with(BEGIN) && !rest.ends_with(b"\\") && memchr::memchr(b'{', &line[1..]).is_none()
        };
        // Zeros are what a crash of the machine leaves in the middle of a file.
        (is_whole && memchr::memchr(0, line).is_none()).then_some(Written { line, is_end })
    }

    /// The text of a field; `None` where it is none, or not known without parsing.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&'a [u8]> {
        let before = field.before();
        let rest = &self.line[memmem::find(self.line, before)? + before.len()..];
        let text = &rest[..memchr::memchr(b'"', rest)?];
        (!text.contains(&b'\\')).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(middle: &str) -> String {
        let sum = "0123456789abcdef".repeat(4);
        format!(r#"{{"schema":1,"event":"end","id":"a",{middle},"config_sha256":"{sum}"}}"#)
    }

    #[test]
    fn fields_of_the_head_are_found_before_all_others() {
        let line = end(
            r#""pod_name":"x\",\"plugin\":\"no","plugin":"calico","outcome":"ok","cause":null,"config":{"x":1,"plugin":"no"},"z":1,"cause":"nested""#,
        );
        let written = Written::of(line.as_bytes()).unwrap();
        assert!(written.is_end);
        let table = [
            (Field::Id, Some("a")),
            (Field::Plugin, Some("calico")),
            (Field::Outcome, Some("ok")),
            // Escaped: not known without parsing.
            (Field::PodName, None),
            (Field::Command, None),
        ];
        for (field, expected) in table {
            assert_eq!(written.text(field), expected.map(str::as_bytes), "{field:?}");
        }
    }

    #[test]
    fn what_is_not_surely_whole_is_parsed() {
        let begin = r#"{"schema":1,"event":"begin","id":"a","plugin":"x"}"#;
        assert!(Written::of(begin.as_bytes()).is_some_and(|written| !written.is_end));
        let whole = end(r#""outcome":"ok""#);
        let no = [
            String::new(),
            "}".to_owned(),
            whole[..whole.len() - 1].to_owned(),
            whole[..whole.len() - 70].to_owned(),
            // Another record has been written into a torn one.
            format!("{}{whole}", &whole[..60]),
            format!("{}{begin}", &begin[..40]),
            whole.replace("ok", "\0"),
            whole.replace("\"schema\":1", "\"schema\":2"),
            r#"{"schema":1,"event":"begin","id":"a","plugin":"x\"}"#.to_owned(),
            r#"{"schema":1,"event":"begin","id":"a","plugin":{"x":"y"}"#.to_owned(),
            r#"{"schema":1,"event":"stall","id":"a"}"#.to_owned(),
        ];
        for line in no {
            assert!(Written::of(line.as_bytes()).is_none(), "{line:?}");
        }
    }
}
