//! Text that does not fit in one line of the terminal.

use std::io::{self, Write};

use anstyle::Style;

/// A line is not broken into pieces shorter than this.
const LEAST: usize = 24;

/// Ends a line in which something stands before this column with the text, and goes on at that column where the terminal is
/// too narrow.
///
/// # Errors
/// If it cannot be written.
pub fn hanging(
    out: &mut dyn Write,
    text: &str,
    column: usize,
    width: Option<usize>,
    style: Style,
) -> io::Result<()> {
    let room = width.map(|width| width.saturating_sub(column).max(LEAST));
    for (position, line) in wrapped(text, room).iter().enumerate() {
        let indent = if position == 0 { 0 } else { column };
        writeln!(out, "{:indent$}{}{line}{}", "", style.render(), style.render_reset())?;
    }
    Ok(())
}

/// The text in lines of at most `width` characters, broken at spaces. A word that is longer stands in a line of its own.
#[must_use]
pub fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines: Vec<String> = Vec::new();
    let mut left = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if length < left => {
                line.push(' ');
                line.push_str(word);
                left -= length + 1;
            }
            _ => {
                lines.push(word.to_owned());
                left = width.saturating_sub(length);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces() {
        let table: [(&str, Option<usize>, &[&str]); 6] = [
            ("one two three", None, &["one two three"]),
            ("one two three", Some(13), &["one two three"]),
            ("one two three", Some(12), &["one two", "three"]),
            ("one two three", Some(7), &["one two", "three"]),
            ("żółć /a/long/path x", Some(5), &["żółć", "/a/long/path", "x"]),
            ("", Some(5), &[""]),
        ];
        for (text, width, expected) in table {
            assert_eq!(wrapped(text, width), expected, "{text:?} in {width:?}");
        }
    }
}
