//! Takes secrets out of a document while it is written: what a record is made of is never built as a tree, which would take a
//! call longer than all that it writes.
//!
//! The same rules as [`Redaction::value`], which changes a document that is there already.

use std::io::{self, Write};

use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

use super::{REDACTED, Redaction, Sensitivity, looks_like_material};

/// Writes JSON as `serde_json` does, without secrets.
#[derive(Debug)]
pub struct Redacting<'a> {
    redaction: &'a Redaction,
    /// The string that is being written.
    text: String,
    /// Whether one is, and of which kind.
    writing: Writing,
    /// Whether something in it has to be escaped.
    has_escapes: bool,
    /// What the key says of the value that comes next.
    value: Sensitivity,
    /// How many arrays and objects are open whose contents are left out.
    hidden: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Nothing,
    Key,
    KeyText,
    Text,
}

impl<'a> Redacting<'a> {
    /// For one document.
    #[must_use]
    pub fn new(redaction: &'a Redaction) -> Redacting<'a> {
        Redacting {
            redaction,
            text: String::new(),
            writing: Writing::Nothing,
            has_escapes: false,
            value: Sensitivity::None,
            hidden: 0,
        }
    }

    /// Writes what belongs to no string, unless it is left out.
    fn plain<W: ?Sized + Write>(&self, to: &mut W, text: &[u8]) -> io::Result<()> {
        if self.hidden == 0 { to.write_all(text) } else { Ok(()) }
    }

    /// A number that is not simply written: as a key, of a secret, or of what is left out.
    fn number<W: ?Sized + Write>(&mut self, to: &mut W, number: &[u8]) -> io::Result<()> {
        if matches!(self.writing, Writing::KeyText | Writing::Text) {
            self.text.push_str(&String::from_utf8_lossy(number));
            return Ok(());
        }
        self.string(to, REDACTED, false)
    }

    fn is_simple(&self) -> bool {
        self.writing == Writing::Nothing && self.value != Sensitivity::Secret && self.hidden == 0
    }

    /// Writes a string, unless it is left out. What needs no escape is written at once.
    fn string<W: ?Sized + Write>(&self, to: &mut W, text: &str, has_escapes: bool) -> io::Result<()> {
        if self.hidden > 0 {
            return Ok(());
        }
        if has_escapes {
            return serde_json::to_writer(to, text).map_err(io::Error::from);
        }
        to.write_all(b"\"")?;
        to.write_all(text.as_bytes())?;
        to.write_all(b"\"")
    }

    fn open<W: ?Sized + Write>(&mut self, to: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.hidden > 0 {
            self.hidden += 1;
            return Ok(());
        }
        if self.value == Sensitivity::Secret {
            self.string(to, REDACTED, false)?;
            self.hidden = 1;
            return Ok(());
        }
        to.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, to: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.hidden > 0 {
            self.hidden -= 1;
            return Ok(());
        }
        to.write_all(bracket)
    }
}

/// Numbers are written as `serde_json` writes them, unless their key is that of a secret.
macro_rules! numbers {
    ($($write:ident: $number:ty),*) => { $(
        fn $write<W: ?Sized + Write>(&mut self, to: &mut W, value: $number) -> io::Result<()> {
            if self.is_simple() {
                return CompactFormatter.$write(to, value);
            }
            let mut digits = Vec::new();
            CompactFormatter.$write(&mut digits, value)?;
            self.number(to, &digits)
        }
    )* };
}

impl Formatter for Redacting<'_> {
    numbers!(
        write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128,
        write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128,
        write_f32: f32, write_f64: f64, write_number_str: &str
    );

    fn write_null<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.plain(to, b"null")
    }

    fn write_bool<W: ?Sized + Write>(&mut self, to: &mut W, value: bool) -> io::Result<()> {
        let word = if value { "true" } else { "false" };
        if self.writing == Writing::KeyText {
            self.text.push_str(word);
            return Ok(());
        }
        self.plain(to, word.as_bytes())
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.clear();
        self.has_escapes = false;
        self.writing = if self.writing == Writing::Key { Writing::KeyText } else { Writing::Text };
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        self.text.push_str(fragment);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        self.has_escapes = true;
        self.text.push(match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        });
        Ok(())
    }

    fn end_string<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        let is_key = self.writing == Writing::KeyText;
        self.writing = Writing::Nothing;
        if self.hidden > 0 {
            return Ok(());
        }
        if is_key {
            self.value = self.redaction.sensitivity(&self.text);
            return self.string(to, &self.text, self.has_escapes);
        }
        let is_secret = match self.value {
            Sensitivity::Secret => !self.text.is_empty(),
            Sensitivity::Material => looks_like_material(&self.text),
            Sensitivity::None => false,
        };
        if is_secret {
            return self.string(to, REDACTED, false);
        }
        match self.redaction.text(&self.text) {
            Some(clean) => self.string(to, &clean, self.has_escapes),
            None => self.string(to, &self.text, self.has_escapes),
        }
    }

    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.open(to, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.close(to, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.value = Sensitivity::None;
        if first { Ok(()) } else { self.plain(to, b",") }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.open(to, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.close(to, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.writing = Writing::Key;
        if first { Ok(()) } else { self.plain(to, b",") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.plain(to, b":")
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(io::Error::other("JSON that is not looked through for secrets"))
    }
}
