//! How many columns of the terminal a text takes: a Chinese character takes two.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns that the text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// The columns that the character takes.
#[must_use]
pub fn of_char(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// The text with spaces up to a column.
#[must_use]
pub fn padded(text: &str, column: usize) -> String {
    format!("{text}{}", " ".repeat(column.saturating_sub(width(text))))
}

/// The text cut in its middle, where both ends of a Pod's name tell something.
#[must_use]
pub fn fitted(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let head = columns.saturating_sub(1) / 2;
    let tail = columns.saturating_sub(1) - head;
    let start: String = within(text.chars(), head).collect();
    let end: Vec<char> = within(text.chars().rev(), tail).collect();
    format!("{start}…{}", end.iter().rev().collect::<String>())
}

/// The first characters, as many as there is room for.
fn within(characters: impl Iterator<Item = char>, room: usize) -> impl Iterator<Item = char> {
    characters
        .scan(0, |taken, character| {
            *taken += of_char(character);
            Some((*taken, character))
        })
        .take_while(move |(taken, _)| *taken <= room)
        .map(|(_, character)| character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chinese_character_takes_two_columns() {
        assert_eq!((width("沙箱 eth0"), width("żółć"), width("")), (9, 4, 0));
        assert_eq!(padded("沙箱", 6), "沙箱  ");
        assert_eq!(padded("沙箱", 3), "沙箱");
    }

    #[test]
    fn what_is_cut_takes_no_more_columns_than_there_are() {
        let table = [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "ab…ef"),
            ("网络命名空间", 12, "网络命名空间"),
            ("网络命名空间", 11, "网络…空间"),
            ("网络命名空间", 8, "网…空间"),
            ("a网b络c", 6, "a…络c"),
            ("网络", 1, "…"),
        ];
        for (text, columns, expected) in table {
            assert_eq!(fitted(text, columns), expected, "{text} in {columns}");
            assert!(width(expected) <= columns, "{expected}");
        }
    }
}
