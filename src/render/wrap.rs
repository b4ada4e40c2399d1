//! Text that does not fit in one line of the terminal.

use std::io::{self, Write};

use anstyle::Style;

use super::width::{of_char, width};

/// A line does not begin with these.
const CLOSING: &str = "，。；：！？、）》】”’…,.;:!?)]";
/// A line does not end with these.
const OPENING: &str = "（《【“‘([";
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
    terminal: Option<usize>,
    style: Style,
) -> io::Result<()> {
    let room = terminal.map(|terminal| terminal.saturating_sub(column).max(LEAST));
    for (position, line) in wrapped(text, room).iter().enumerate() {
        let indent = if position == 0 { 0 } else { column };
        writeln!(out, "{:indent$}{}{line}{}", "", style.render(), style.render_reset())?;
    }
    Ok(())
}

/// The text in lines of at most `room` columns, broken at spaces and between Chinese characters. What cannot be broken and
/// is longer stands in a line of its own.
#[must_use]
pub fn wrapped(text: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room else { return vec![text.to_owned()] };
    let mut lines: Vec<String> = Vec::new();
    let mut left = 0;
    for (piece, space) in pieces(text) {
        let length = width(piece);
        match lines.last_mut() {
            Some(line) if space.len() + length <= left => {
                line.push_str(space);
                line.push_str(piece);
                left -= space.len() + length;
            }
            _ => {
                lines.push(piece.to_owned());
                left = room.saturating_sub(length);
            }
        }
    }
    lines
}

/// What stays together, and the space before it, if there is one.
fn pieces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(' ').enumerate().flat_map(|(position, word)| {
        let space = if position == 0 { "" } else { " " };
        let mut rest = Some(word);
        let pieces = std::iter::from_fn(move || {
            let word = rest?;
            let (piece, others) = word.split_at(first_break(word).unwrap_or(word.len()));
            rest = (!others.is_empty()).then_some(others);
            Some(piece)
        });
        pieces.enumerate().map(move |(position, piece)| (piece, if position == 0 { space } else { "" }))
    })
}

/// Where a line can end within a word: beside a Chinese character, but not before what closes and behind what opens.
fn first_break(word: &str) -> Option<usize> {
    let is_wide = |character| of_char(character) > 1;
    let mut characters = word.char_indices().zip(word.chars().skip(1));
    characters.find_map(|((place, character), next)| {
        let is_break =
            (is_wide(character) || is_wide(next)) && !CLOSING.contains(next) && !OPENING.contains(character);
        is_break.then_some(place + character.len_utf8())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_broken_between_characters_and_its_punctuation_stays() {
        let table: [(&str, usize, &[&str]); 5] = [
            ("网络命名空间", 8, &["网络命名", "空间"]),
            ("网络命名空间", 7, &["网络命", "名空间"]),
            ("删除该 Pod：会创建新的沙箱", 12, &["删除该 Pod：", "会创建新的沙", "箱"]),
            ("沙箱（已删除）。", 6, &["沙箱", "（已删", "除）。"]),
            ("检查 kube-proxy 的规则", 12, &["检查", "kube-proxy", "的规则"]),
        ];
        for (text, room, expected) in table {
            assert_eq!(wrapped(text, Some(room)), expected, "{text:?} in {room}");
        }
    }

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
