//! Finds its way in a JSON document without changing a byte of it.
//!
//! Runtimes and plugins are Go programs, so "JSON" here is what Go's `encoding/json` accepts: raw control
//! characters are refused, invalid UTF-8 and lone surrogates are not, and nesting goes 10,000 deep. `serde_json`
//! differs in all three, and a document that the delegate would have accepted must reach it. Errors are worded
//! as in Go (`encoding/json/scanner.go`), since libcni would have shown those words.
//!
//! The scanner does not recurse: a document from the outside cannot exhaust the stack.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Nesting beyond this is refused, as in Go (`maxNestingDepth`).
const MAX_DEPTH: usize = 10_000;

/// Why a document is no JSON, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyntaxError {
    /// The document ends too early.
    UnexpectedEnd,
    /// A byte stands where it must not.
    InvalidCharacter {
        /// The byte.
        byte: u8,
        /// Its offset from the start of the document.
        offset: usize,
        /// What was being read, e.g. `after top-level value`.
        context: &'static str,
    },
    /// More than 10,000 arrays and objects inside each other.
    TooDeep,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::UnexpectedEnd => f.write_str("unexpected end of JSON input"),
            SyntaxError::InvalidCharacter { byte, context, .. } => {
                write!(f, "invalid character {} {context}", quote_byte(*byte))
            }
            SyntaxError::TooDeep => f.write_str("exceeded max depth"),
        }
    }
}

impl std::error::Error for SyntaxError {}

/// Go's `quoteChar`: the byte as a character literal.
fn quote_byte(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        _ => {
            let quoted = super::go::quote(char::from(byte).to_string().as_bytes());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

/// One `"key": value` of an object, as byte ranges of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key with its quotes.
    pub key: Range<usize>,
    /// The value without white space around it.
    pub value: Range<usize>,
}

impl Member {
    /// The key, unescaped.
    #[must_use]
    pub fn key<'a>(&self, document: &'a [u8]) -> Cow<'a, str> {
        unquote(&document[self.key.clone()])
    }

    /// The value if it is a string, unescaped.
    #[must_use]
    pub fn string<'a>(&self, document: &'a [u8]) -> Option<Cow<'a, str>> {
        let value = &document[self.value.clone()];
        (value.first() == Some(&b'"')).then(|| unquote(value))
    }
}

/// Checks that `document` is exactly one JSON document, and says where its value stands.
///
/// # Errors
/// The first place where Go's decoder would stop.
pub fn validate(document: &[u8]) -> Result<Range<usize>, SyntaxError> {
    let mut scanner = Scanner { bytes: document, at: 0 };
    let value = scanner.value()?;
    scanner.skip_space();
    match scanner.peek() {
        None => Ok(value),
        Some(byte) => Err(scanner.invalid(byte, "after top-level value")),
    }
}

/// The first of possibly several documents that stand one behind the other.
///
/// # Errors
/// The first place in it where Go's decoder would stop.
pub fn first_document(bytes: &[u8]) -> Result<Range<usize>, SyntaxError> {
    Scanner { bytes, at: 0 }.value()
}

/// The members of the object at `object` (a range that [`validate`] or a [`Member`] gave), in their order, with
/// duplicates. `None` if there stands no object.
#[must_use]
pub fn members(document: &[u8], object: &Range<usize>) -> Option<Vec<Member>> {
    let mut found = Vec::new();
    let mut scanner = Scanner { bytes: &document[..object.end], at: object.start };
    scanner.open(b'{')?;
    while scanner.separated(b'}') {
        let key = scanner.value().ok()?;
        scanner.skip_space();
        scanner.at += 1; // the colon: the document is known to be valid
        let value = scanner.value().ok()?;
        found.push(Member { key, value });
    }
    Some(found)
}

/// The elements of the array at `array`, in their order. `None` if there stands no array.
#[must_use]
pub fn elements(document: &[u8], array: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut scanner = Scanner { bytes: &document[..array.end], at: array.start };
    scanner.open(b'[')?;
    while scanner.separated(b']') {
        found.push(scanner.value().ok()?);
    }
    Some(found)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What may stand next, inside the innermost array or object.
enum Expect {
    Value,
    ValueOrClose,
    KeyOrClose,
    Key,
    SeparatorOrClose,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn invalid(&self, byte: u8, context: &'static str) -> SyntaxError {
        SyntaxError::InvalidCharacter { byte, offset: self.at, context }
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.skip_space();
        (self.peek() == Some(bracket)).then(|| self.at += 1)
    }

    /// In a valid document, behind an opening bracket or a value: steps over a comma, and tells whether another
    /// element comes before `close`.
    fn separated(&mut self, close: u8) -> bool {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
        }
        self.peek().is_some_and(|byte| byte != close)
    }

    /// Steps over one value and the white space before it.
    fn value(&mut self) -> Result<Range<usize>, SyntaxError> {
        let mut open: Vec<u8> = Vec::new();
        let mut expect = Expect::Value;
        self.skip_space();
        let start = self.at;
        loop {
            self.skip_space();
            let byte = self.peek().ok_or(SyntaxError::UnexpectedEnd)?;
            let closes = open.last().is_some_and(|bracket| closing(*bracket) == byte);
            expect = match expect {
                Expect::ValueOrClose | Expect::KeyOrClose | Expect::SeparatorOrClose if closes => {
                    self.at += 1;
                    open.pop();
                    Expect::SeparatorOrClose
                }
                Expect::KeyOrClose | Expect::Key => {
                    self.key(byte)?;
                    Expect::Value
                }
                Expect::Value | Expect::ValueOrClose => match byte {
                    b'{' | b'[' => {
                        if open.len() == MAX_DEPTH {
                            return Err(SyntaxError::TooDeep);
                        }
                        self.at += 1;
                        open.push(byte);
                        if byte == b'{' { Expect::KeyOrClose } else { Expect::ValueOrClose }
                    }
                    _ => {
                        self.scalar(byte)?;
                        Expect::SeparatorOrClose
                    }
                },
                Expect::SeparatorOrClose => {
                    let in_object = open.last() == Some(&b'{');
                    if byte != b',' {
                        let context =
                            if in_object { "after object key:value pair" } else { "after array element" };
                        return Err(self.invalid(byte, context));
                    }
                    self.at += 1;
                    if in_object { Expect::Key } else { Expect::Value }
                }
            };
            if open.is_empty() {
                return Ok(start..self.at);
            }
        }
    }

    fn key(&mut self, byte: u8) -> Result<(), SyntaxError> {
        if byte != b'"' {
            return Err(self.invalid(byte, "looking for beginning of object key string"));
        }
        self.string()?;
        self.skip_space();
        match self.peek().ok_or(SyntaxError::UnexpectedEnd)? {
            b':' => self.at += 1,
            byte => return Err(self.invalid(byte, "after object key")),
        }
        Ok(())
    }

    fn scalar(&mut self, byte: u8) -> Result<(), SyntaxError> {
        match byte {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(&[
                (b'r', "in literal true (expecting 'r')"),
                (b'u', "in literal true (expecting 'u')"),
                (b'e', "in literal true (expecting 'e')"),
            ]),
            b'f' => self.literal(&[
                (b'a', "in literal false (expecting 'a')"),
                (b'l', "in literal false (expecting 'l')"),
                (b's', "in literal false (expecting 's')"),
                (b'e', "in literal false (expecting 'e')"),
            ]),
            b'n' => self.literal(&[
                (b'u', "in literal null (expecting 'u')"),
                (b'l', "in literal null (expecting 'l')"),
                (b'l', "in literal null (expecting 'l')"),
            ]),
            _ => Err(self.invalid(byte, "looking for beginning of value")),
        }
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        loop {
            match self.peek().ok_or(SyntaxError::UnexpectedEnd)? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek().ok_or(SyntaxError::UnexpectedEnd)? {
                        b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                        b'u' => self.four_digits()?,
                        byte => return Err(self.invalid(byte, "in string escape code")),
                    }
                }
                byte if byte < 0x20 => return Err(self.invalid(byte, "in string literal")),
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(())
    }

    /// The hexadecimal digits of `\uXXXX`; ends on the last one.
    fn four_digits(&mut self) -> Result<(), SyntaxError> {
        for _ in 0..4 {
            self.at += 1;
            let byte = self.peek().ok_or(SyntaxError::UnexpectedEnd)?;
            if !byte.is_ascii_hexdigit() {
                return Err(self.invalid(byte, "in \\u hexadecimal character escape"));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek().ok_or(SyntaxError::UnexpectedEnd)? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits("in numeric literal")?,
            byte => return Err(self.invalid(byte, "in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self, context: &'static str) -> Result<(), SyntaxError> {
        let first = self.peek().ok_or(SyntaxError::UnexpectedEnd)?;
        if !first.is_ascii_digit() {
            return Err(self.invalid(first, context));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, rest: &[(u8, &'static str)]) -> Result<(), SyntaxError> {
        self.at += 1;
        for (expected, context) in rest {
            let byte = self.peek().ok_or(SyntaxError::UnexpectedEnd)?;
            if byte != *expected {
                return Err(self.invalid(byte, context));
            }
            self.at += 1;
        }
        Ok(())
    }
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}

/// The text of a string literal (with its quotes), decoded as Go does: what is no UTF-8 and lone surrogates become
/// U+FFFD.
#[must_use]
pub fn unquote(literal: &[u8]) -> Cow<'_, str> {
    let inner = literal.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(literal);
    if !inner.contains(&b'\\') {
        return String::from_utf8_lossy(inner);
    }
    let mut decoded = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += 1;
        if byte != b'\\' {
            decoded.push(byte);
            continue;
        }
        let escape = inner.get(at).copied().unwrap_or(b'\\');
        at += 1;
        match escape {
            b'b' => decoded.push(0x08),
            b'f' => decoded.push(0x0c),
            b'n' => decoded.push(b'\n'),
            b'r' => decoded.push(b'\r'),
            b't' => decoded.push(b'\t'),
            b'u' => {
                let character = escaped_character(inner, &mut at);
                decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => decoded.push(other),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// The character of `\uXXXX`, or of a pair of them, with `at` behind the `u`.
fn escaped_character(text: &[u8], at: &mut usize) -> char {
    let unit = |from: usize| {
        let digits = text.get(from..from + 4)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(high) = unit(*at) else { return char::REPLACEMENT_CHARACTER };
    *at += 4;
    if let Some(character) = char::from_u32(high) {
        return character;
    }
    let low = if text.get(*at..*at + 2) == Some(b"\\u") { unit(*at + 2) } else { None };
    match (high, low) {
        (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
            *at += 6;
            let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_worded_as_in_go() {
        let table: &[(&str, &str)] = &[
            ("", "unexpected end of JSON input"),
            ("  ", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"a\"", "unexpected end of JSON input"),
            ("[1,", "unexpected end of JSON input"),
            ("\"a", "unexpected end of JSON input"),
            ("tru", "unexpected end of JSON input"),
            ("-", "unexpected end of JSON input"),
            ("1.", "unexpected end of JSON input"),
            ("junk", "invalid character 'j' looking for beginning of value"),
            ("{} {}", "invalid character '{' after top-level value"),
            ("{}\nOK", "invalid character 'O' after top-level value"),
            ("OK", "invalid character 'O' looking for beginning of value"),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{\"a\":'b'}", "invalid character '\\'' looking for beginning of value"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("01", "invalid character '1' after top-level value"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("trux", "invalid character 'x' in literal true (expecting 'e')"),
            ("nul ", "invalid character ' ' in literal null (expecting 'l')"),
            ("\u{feff}{}", "invalid character 'ï' looking for beginning of value"),
        ];
        for (document, expected) in table {
            let error = validate(document.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), *expected, "{document:?}");
        }
    }

    #[test]
    fn accepts_what_go_accepts_and_serde_json_does_not() {
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let documents: &[&[u8]] =
            &[b"{\"a\": \"\\ud800\"}", b"{\"a\": \"\xff\"}", deep.as_bytes(), b" null\n"];
        for document in documents {
            assert!(validate(document).is_ok());
        }
    }

    #[test]
    fn deeper_than_go_is_refused() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(validate(deep.as_bytes()), Err(SyntaxError::TooDeep));
    }

    #[test]
    fn members_keep_order_duplicates_and_places() {
        let document = br#" {"a" : 1.0, "t\u0079pe":"x","a":{"b":[1,{}]} ,"e":[] } "#;
        let object = validate(document).unwrap();
        let found: Vec<(String, &str)> = members(document, &object)
            .unwrap()
            .iter()
            .map(|m| (m.key(document).into_owned(), std::str::from_utf8(&document[m.value.clone()]).unwrap()))
            .collect();
        assert_eq!(
            found,
            [
                ("a".into(), "1.0"),
                ("type".into(), "\"x\""),
                ("a".into(), "{\"b\":[1,{}]}"),
                ("e".into(), "[]")
            ]
        );
    }

    #[test]
    fn members_and_elements_of_other_values_are_none() {
        for document in [&b"[1]"[..], b"null", b"\"{}\"", b"12"] {
            let value = validate(document).unwrap();
            assert_eq!(members(document, &value), None);
        }
        assert_eq!(elements(b"{}", &(0..2)), None);
        assert_eq!(members(b"{ }", &(0..3)), Some(vec![]));
        assert_eq!(elements(b"[ 1, [2] ]", &(0..10)), Some(vec![2..3, 5..8]));
    }

    #[test]
    fn the_first_of_two_documents_is_found() {
        assert_eq!(first_document(b" {\"a\":1}{\"b\":2}"), Ok(1..8));
    }

    #[test]
    fn strings_are_decoded_as_in_go() {
        let table: &[(&[u8], &str)] = &[
            (b"\"plain\"", "plain"),
            (b"\"a\\n\\\"\\/\\u0041\"", "a\n\"/A"),
            (b"\"\\ud83d\\ude00\"", "\u{1f600}"),
            (b"\"\\ud83dx\"", "\u{fffd}x"),
            (b"\"\\ude00\"", "\u{fffd}"),
            (b"\"\xff\"", "\u{fffd}"),
            (b"\"\\t\xff\"", "\t\u{fffd}"),
        ];
        for (literal, expected) in table {
            assert_eq!(unquote(literal), *expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_serde_json_accepts_is_accepted(text in "[ -~]{0,40}|[\\[\\]{}:,\"0-9etrufalsn. -]{0,24}") {
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                proptest::prop_assert!(validate(text.as_bytes()).is_ok());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            if let Ok(value) = validate(&bytes) {
                let _ = members(&bytes, &value);
                let _ = elements(&bytes, &value);
            }
            let _ = unquote(&bytes);
        }
    }
}
