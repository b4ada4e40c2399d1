//! Values and times on their axes.

use std::fmt;

use time::OffsetDateTime;
use time::macros::format_description;

use crate::render::count::thousands;
use crate::report::time_line::TimeLine;

/// A place in a picture, written with one digit.
#[derive(Debug, Clone, Copy)]
pub struct Px(pub f64);

impl fmt::Display for Px {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 10.0).round() / 10.0;
        // Not `-0`.
        write!(to, "{}", rounded + 0.0)
    }
}

/// Round values from 0 to at least `most`, at most five of them.
#[must_use]
pub fn levels(most: usize) -> Vec<usize> {
    let most = most.max(1);
    let steps =
        (0..).flat_map(|power| [1, 2, 5].map(|digit| 10_usize.saturating_pow(power).saturating_mul(digit)));
    let step = steps.into_iter().find(|step| most.div_ceil(*step) <= 4).unwrap_or(most);
    (0..=most.div_ceil(step)).map(|count| count * step).collect()
}

/// Powers of ten that hold all values between them, in milliseconds: from at most 1 ms, so that charts look alike.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the logarithm of a duration")]
pub fn decades(least: f64, most: f64) -> Vec<i32> {
    let least = least.max(0.1).log10().floor() as i32;
    let most = most.max(10.0).log10().ceil() as i32;
    (least.min(0)..=most).collect()
}

/// `1 ms`, `10 s`.
#[must_use]
pub fn decade_label(power: i32) -> String {
    match power {
        ..0 => format!("{} ms", 10_f64.powi(power)),
        0..3 => format!("{:.0} ms", 10_f64.powi(power)),
        _ => format!("{:.0} s", 10_f64.powi(power - 3)),
    }
}

/// What stands at a tick of the time axis, where so many seconds lie between two of them.
#[must_use]
pub fn time_label(line: &TimeLine, second: i64, step: i64) -> String {
    let Ok(wall) = OffsetDateTime::from_unix_timestamp(second + line.offset) else { return String::new() };
    let is_midnight = wall.time() == time::Time::MIDNIGHT;
    let text = if step >= 300 * 86_400 {
        wall.format(&format_description!(version = 2, "[month repr:short] [year]"))
    } else if step >= 86_400 || is_midnight {
        wall.format(&format_description!(version = 2, "[month repr:short] [day padding:none]"))
    } else if step >= 60 {
        wall.format(&format_description!(version = 2, "[hour]:[minute]"))
    } else {
        wall.format(&format_description!(version = 2, "[hour]:[minute]:[second]"))
    };
    text.unwrap_or_default()
}

/// When a piece of time begins, with its day.
#[must_use]
pub fn piece_label(line: &TimeLine, piece: usize) -> String {
    let second = line.start + line.width * i64::try_from(piece).unwrap_or_default();
    let Ok(wall) = OffsetDateTime::from_unix_timestamp(second + line.offset) else { return String::new() };
    let text = if line.width >= 86_400 {
        wall.format(&format_description!(version = 2, "[month repr:short] [day padding:none]"))
    } else if line.width >= 60 {
        wall.format(&format_description!(
            version = 2,
            "[month repr:short] [day padding:none] [hour]:[minute]"
        ))
    } else {
        wall.format(&format_description!(
            version = 2,
            "[month repr:short] [day padding:none] [hour]:[minute]:[second]"
        ))
    };
    text.unwrap_or_default()
}

/// A number of seconds as people count them: `15 min`.
#[must_use]
pub fn width_label(seconds: i64) -> String {
    let (count, unit) = match seconds {
        seconds if seconds % 86_400 == 0 => (seconds / 86_400, "d"),
        seconds if seconds % 3600 == 0 => (seconds / 3600, "h"),
        seconds if seconds % 60 == 0 => (seconds / 60, "min"),
        seconds => (seconds, "s"),
    };
    format!("{} {unit}", thousands(usize::try_from(count).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_round_and_few() {
        let table: [(usize, &[usize]); 6] = [
            (0, &[0, 1]),
            (1, &[0, 1]),
            (4, &[0, 1, 2, 3, 4]),
            (7, &[0, 2, 4, 6, 8]),
            (37, &[0, 10, 20, 30, 40]),
            (1001, &[0, 500, 1000, 1500]),
        ];
        for (most, expected) in table {
            assert_eq!(levels(most), expected, "{most}");
        }
    }

    #[test]
    fn decades_hold_all_values() {
        for (least, most, expected) in
            [(2.0, 5.0, 0..=1), (0.2, 900.0, -1..=3), (30.0, 200_000.0, 0..=6), (0.0, 0.0, -1..=1)]
        {
            assert_eq!(decades(least, most), expected.collect::<Vec<_>>(), "{least} to {most}");
        }
        let labels = [-1, 0, 2, 3, 5].map(decade_label);
        assert_eq!(labels, ["0.1 ms", "1 ms", "100 ms", "1 s", "100 s"]);
    }

    #[test]
    fn times_are_labelled_as_finely_as_they_lie_apart() {
        let line = TimeLine { start: 1_795_219_200, width: 900, count: 40, offset: 3600 };
        let table = [
            (1_795_219_200, 900, "01:00"),
            (1_795_219_200 - 3600, 900, "Nov 21"),
            (1_795_219_200, 86_400, "Nov 21"),
            (1_795_219_205, 5, "01:00:05"),
            (1_795_219_200, 400 * 86_400, "Nov 2026"),
        ];
        for (second, step, expected) in table {
            assert_eq!(time_label(&line, second, step), expected);
        }
        assert_eq!(piece_label(&line, 1), "Nov 21 01:15");
        assert_eq!(piece_label(&TimeLine { width: 86_400, ..line.clone() }, 0), "Nov 21");
        assert_eq!(piece_label(&TimeLine { width: 5, ..line }, 1), "Nov 21 01:00:05");
        let widths = [5, 900, 7200, 604_800].map(width_label);
        assert_eq!(widths, ["5 s", "15 min", "2 h", "7 d"]);
    }

    #[test]
    fn places_have_one_digit() {
        let written = [0.0, -0.01, 12.34, 100.0].map(|place| Px(place).to_string());
        assert_eq!(written, ["0", "0", "12.3", "100"]);
    }
}
