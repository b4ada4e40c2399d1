//! One plugin entry, as it stands in a conflist or arrives on stdin: wrapping and unwrapping it byte by byte.
//!
//! Wrapped, `{"type": "calico", …}` reads `{"type": "cniscope", "cniscope": {"wraps": "calico"}, …}`. Unwrapping
//! restores `type` and drops `cniscope`; every other byte stays as it was written.

use std::borrow::Cow;
use std::ops::Range;

use super::json::{self, Member, SyntaxError};

/// The `type` of a wrapped entry, and the key that holds its settings.
pub const NAME: &str = "cniscope";

/// Why bytes are no plugin entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// They are no JSON.
    #[error("{0}")]
    Syntax(#[from] SyntaxError),
    /// They are JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
}

/// A plugin entry: an object somewhere in a document.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    document: &'a [u8],
    members: Vec<Member>,
}

impl<'a> Entry<'a> {
    /// Reads a document that is one entry, as on stdin.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn read(document: &'a [u8]) -> Result<Entry<'a>, EntryError> {
        let object = json::validate(document)?;
        Entry::within(document, &object)
    }

    /// Reads the entry at `object` of a valid document.
    ///
    /// # Errors
    /// If there stands no object.
    pub fn within(document: &'a [u8], object: &Range<usize>) -> Result<Entry<'a>, EntryError> {
        let members = json::members(document, object).ok_or(EntryError::NotAnObject)?;
        Ok(Entry { document, members })
    }

    /// The last member with this key, which is the one that Go's decoder keeps.
    #[must_use]
    pub fn last(&self, key: &str) -> Option<&Member> {
        self.members.iter().rev().find(|member| member.key(self.document) == key)
    }

    /// The value of the last member with this key, if it is a string.
    #[must_use]
    pub fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        self.last(key)?.string(self.document)
    }

    /// The bytes of a member's value.
    #[must_use]
    pub fn bytes(&self, member: &Member) -> &'a [u8] {
        &self.document[member.value.clone()]
    }

    /// The bytes of the value of the last `cniscope`.
    #[must_use]
    pub fn settings(&self) -> Option<&'a [u8]> {
        self.last(NAME).map(|member| self.bytes(member))
    }

    /// Whether one of possibly several members with this key is this string.
    #[must_use]
    pub fn has_string(&self, key: &str, value: &str) -> bool {
        self.members.iter().any(|member| {
            member.key(self.document) == key && member.string(self.document).as_deref() == Some(value)
        })
    }

    /// The literal of `wraps` in the last `cniscope`, with its quotes: what `type` is restored to.
    #[must_use]
    pub fn wraps(&self) -> Option<&'a [u8]> {
        let settings = Entry::within(self.document, &self.last(NAME)?.value.clone()).ok()?;
        let wraps = settings.last("wraps")?;
        wraps.string(self.document)?;
        Some(self.bytes(wraps))
    }

    /// The changes that give the delegate's entry back: every `type` that is `cniscope` restored, every `cniscope`
    /// dropped. `None` where the entry does not say what it wraps.
    #[must_use]
    pub fn unwrapped(&self) -> Option<Vec<Edit>> {
        let literal = self.wraps()?;
        let mut edits = Vec::new();
        let mut last_kept: Option<&Member> = None;
        for (position, member) in self.members.iter().enumerate() {
            if member.key(self.document) == NAME {
                edits.push(Edit::remove(self.without_comma(last_kept, position)));
                continue;
            }
            if member.key(self.document) == "type" && member.string(self.document).as_deref() == Some(NAME) {
                edits.push(Edit { range: member.value.clone(), with: literal.to_vec() });
            }
            last_kept = Some(member);
        }
        Some(edits)
    }

    /// The place of the member with one of the commas beside it: the one before it where something is kept before it,
    /// else the one behind it.
    fn without_comma(&self, last_kept: Option<&Member>, position: usize) -> Range<usize> {
        let member = &self.members[position];
        if last_kept.is_some() {
            return self.members[position - 1].value.end..member.value.end;
        }
        let end = self.members.get(position + 1).map_or(member.value.end, |next| next.key.start);
        member.key.start..end
    }

    /// The changes that wrap the entry. `None` where it has no `type` that is a string, or is wrapped already.
    #[must_use]
    pub fn wrapped(&self, told: Told) -> Option<Vec<Edit>> {
        let kind = self.last("type")?;
        if kind.string(self.document)? == NAME {
            return None;
        }
        let literal = String::from_utf8_lossy(self.bytes(kind));
        let named = if told.named { r#", "named": true"# } else { "" };
        let verify = if told.verify { "" } else { r#", "verify": false"# };
        let with = format!(r#""{NAME}", "{NAME}": {{"wraps": {literal}{named}{verify}}}"#);
        Some(vec![Edit { range: kind.value.clone(), with: with.into_bytes() }])
    }
}

/// What a wrapped entry is told beside the plugin that it wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// It came from a single-plugin `.conf`, whose errors carry the network's name.
    pub named: bool,
    /// After a good ADD it looks whether the network is there.
    pub verify: bool,
}

/// One change of a document: the bytes at `range` become `with`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub range: Range<usize>,
    /// The bytes that come.
    pub with: Vec<u8>,
}

impl Edit {
    fn remove(range: Range<usize>) -> Edit {
        Edit { range, with: Vec::new() }
    }
}

/// Applies changes that are in the order of their places and do not overlap.
#[must_use]
pub fn apply(document: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut edited = Vec::with_capacity(document.len());
    let mut at = 0;
    for edit in edits {
        edited.extend_from_slice(&document[at..edit.range.start]);
        edited.extend_from_slice(&edit.with);
        at = edit.range.end;
    }
    edited.extend_from_slice(&document[at..]);
    edited
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrap(document: &str) -> Option<String> {
        let entry = Entry::read(document.as_bytes()).unwrap();
        let bytes = apply(document.as_bytes(), &entry.unwrapped()?);
        Some(String::from_utf8(bytes).unwrap())
    }

    fn wrap(document: &str, named: bool) -> Option<String> {
        let entry = Entry::read(document.as_bytes()).unwrap();
        let bytes = apply(document.as_bytes(), &entry.wrapped(Told { named, verify: true })?);
        Some(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_other_byte_stays() {
        let table = [
            (
                r#"{"type": "cniscope", "cniscope": {"wraps": "calico"}, "log_level": "info", "n": 12345678901234567890 }"#,
                r#"{"type": "calico", "log_level": "info", "n": 12345678901234567890 }"#,
            ),
            (r#"{"cniscope":{"wraps":"a"},"type":"cniscope"}"#, r#"{"type":"a"}"#),
            (r#"{"cniscope":{"wraps":"a"}, "cniscope":{"wraps":"b"}, "type":"cniscope"}"#, r#"{"type":"b"}"#),
            (
                r#"{"type":"cniscope","cniscope":1,"x":1.0,"cniscope":{"wraps":"b"}}"#,
                r#"{"type":"b","x":1.0}"#,
            ),
            (r#"{ "cniscope" : {"wraps":"b"} }"#, "{  }"),
            (r#"{"t\u0079pe":"cnisc\u006fpe","c\u006eiscope":{"wr\u0061ps":"b"}}"#, r#"{"t\u0079pe":"b"}"#),
            (
                r#"{"type":"cniscope","type":"other","cniscope":{"wraps":"a\u0062"},"x":{"cniscope":1,"type":"cniscope"}}"#,
                r#"{"type":"a\u0062","type":"other","x":{"cniscope":1,"type":"cniscope"}}"#,
            ),
        ];
        for (wrapped, expected) in table {
            assert_eq!(unwrap(wrapped).as_deref(), Some(expected), "{wrapped}");
        }
    }

    #[test]
    fn an_entry_that_does_not_say_what_it_wraps_stays_wrapped() {
        for document in [
            r#"{"type":"cniscope"}"#,
            r#"{"cniscope":{}}"#,
            r#"{"cniscope":{"wraps":7}}"#,
            r#"{"cniscope":"calico"}"#,
            r#"{"cniscope":{"wraps":"a"},"cniscope":null}"#,
        ] {
            assert_eq!(unwrap(document), None, "{document}");
        }
    }

    #[test]
    fn wrapping_keeps_the_place_of_the_type() {
        assert_eq!(
            wrap(r#"{ "name":"n", "type": "bridge" , "mtu": 1450 }"#, false).unwrap(),
            r#"{ "name":"n", "type": "cniscope", "cniscope": {"wraps": "bridge"} , "mtu": 1450 }"#
        );
        assert_eq!(
            wrap(r#"{"type":"bridge"}"#, true).unwrap(),
            r#"{"type":"cniscope", "cniscope": {"wraps": "bridge", "named": true}}"#
        );
    }

    #[test]
    fn what_has_no_type_or_is_wrapped_is_not_wrapped() {
        for document in
            [r#"{"name":"x"}"#, r#"{"type":["a"]}"#, r#"{"type":"cniscope","cniscope":{"wraps":"a"}}"#]
        {
            assert_eq!(wrap(document, false), None, "{document}");
        }
    }

    #[test]
    fn other_documents_are_refused() {
        assert_eq!(Entry::read(b"[]").unwrap_err().to_string(), "not a JSON object");
        assert_eq!(Entry::read(b"{").unwrap_err().to_string(), "unexpected end of JSON input");
    }

    proptest::proptest! {
        #[test]
        fn unwrapping_what_was_wrapped_gives_the_same_bytes(
            before in proptest::collection::vec("[a-z]{1,6}", 0..4),
            after in proptest::collection::vec("[a-z]{1,6}", 0..4),
            space in "[ \n\t]{0,3}",
            plugin in "[a-z][a-z0-9.-]{0,12}",
        ) {
            proptest::prop_assume!(plugin != NAME);
            let member = |key: &String| format!("{space}\"x{key}\"{space}:{space}[1,{{\"type\":\"cniscope\"}}]{space}");
            let mut members: Vec<String> = before.iter().map(member).collect();
            members.push(format!("{space}\"type\"{space}:{space}\"{plugin}\"{space}"));
            members.extend(after.iter().map(member));
            let document = format!("{space}{{{}}}{space}", members.join(","));
            let wrapped = wrap(&document, false).unwrap();
            proptest::prop_assert_eq!(unwrap(&wrapped).unwrap(), document);
        }
    }
}
