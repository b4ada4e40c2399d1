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
mod tests;
