//! Text from outside, made harmless for a terminal: a Pod's name or a plugin's stderr may hold anything.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text as one line: what a terminal would act on stands there as `\u{1b}`, a line's end as `\n`.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character.is_control() || is_format(character))
}

/// The text with its lines kept.
#[must_use]
pub fn block(text: &str) -> Cow<'_, str> {
    escaped(text, |character| {
        (character.is_control() && !matches!(character, '\n' | '\t')) || is_format(character)
    })
}

/// A JSON document that says the same: in it, such characters stand in strings alone, where they can be written as escapes.
#[must_use]
pub fn json(document: &str) -> Cow<'_, str> {
    let is_active = |character: char| {
        (character.is_control() && !character.is_ascii_whitespace()) || is_format(character)
    };
    if !document.contains(is_active) {
        return Cow::Borrowed(document);
    }
    let mut escaped = String::with_capacity(document.len() + 16);
    for character in document.chars() {
        if is_active(character) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Characters that turn the direction of what follows, or are not seen at all.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

fn escaped(text: &str, is_active: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_active) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' if is_active('\n') => escaped.push_str("\\n"),
            '\t' if is_active('\t') => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            _ if is_active(character) => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// What a terminal would act on in what is shown, but for lines' ends and the styles that are cniscope's own.
#[cfg(test)]
pub(crate) fn acted_on(shown: &[u8]) -> Vec<char> {
    let mut shown = String::from_utf8_lossy(shown).into_owned();
    for style in [super::BAD, super::GOOD, super::ODD, super::HEADING, super::QUIET] {
        shown = shown.replace(&style.render().to_string(), "");
    }
    shown = shown.replace(&super::BAD.render_reset().to_string(), "");
    let is_active = |character: &char| character.is_control() || is_format(*character);
    shown.chars().filter(|character| *character != '\n' && is_active(character)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_styles_are_not_acted_on() {
        let own = [super::super::BAD, super::super::ODD].map(|style| format!("{style}a{style:#}"));
        let shown = format!("{}\n\u{1b}[35mb\t\u{9b}\u{202e}\r", own.concat());
        assert_eq!(acted_on(shown.as_bytes()), ['\u{1b}', '\t', '\u{9b}', '\u{202e}', '\r']);
    }

    #[test]
    fn what_a_terminal_would_act_on_is_shown() {
        let table = [
            ("plain żółć", "plain żółć", "plain żółć"),
            ("a\nb\tc", "a\\nb\\tc", "a\nb\tc"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("evil\u{202e}txt\r", "evil\\u{202e}txt\\r", "evil\\u{202e}txt\\r"),
            ("\u{9b}31m", "\\u{9b}31m", "\\u{9b}31m"),
        ];
        for (text, as_line, as_block) in table {
            assert_eq!((line(text).as_ref(), block(text).as_ref()), (as_line, as_block));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_control_character_stays(text in "\\PC*|[\u{0}-\u{9f}]{0,20}") {
            proptest::prop_assert!(!line(&text).chars().any(char::is_control));
            proptest::prop_assert!(!block(&text).chars().any(|character| character.is_control() && character != '\n' && character != '\t'));
        }
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({"a\u{9b}": ["\u{202e}b\u{7f}\n\u{1b}", "ä"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let escaped = json(&text);
        assert_eq!(escaped, "{\n  \"a\\u009b\": [\n    \"\\u202eb\\u007f\\n\\u001b\",\n    \"ä\"\n  ]\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
