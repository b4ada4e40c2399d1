//! What people see, as a terminal does.

use cniscope::render::escape;

/// Panics if a terminal would act on something in it, but for lines' ends and colours.
pub fn assert_harmless(shown: &[u8]) {
    let shown = without_colours(str::from_utf8(shown).unwrap());
    for line in shown.split('\n') {
        assert_eq!(escape::line(line), line, "{shown:?}");
    }
}

/// The text without `ESC [ … m`, which is what cniscope itself writes.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .trim_start_matches(|character: char| character.is_ascii_digit() || character == ';')
            .strip_prefix('m')
        {
            Some(behind) => rest.push_str(behind),
            None => rest.extend(["\u{1b}[", part]),
        }
    }
    rest
}
