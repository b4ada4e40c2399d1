//! Counts and shares as people read them.

/// A count with its digits in groups of three: `12,345`.
#[must_use]
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 call`, `2 calls`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// `1 of 2 calls`.
#[must_use]
pub fn of_all(some: usize, all: usize, noun: &str) -> String {
    format!("{} of {}", thousands(some), counted(all, noun))
}

/// A share in percent, with two digits where it is small: `63 %`, `2.8 %`, `0.04 %`. What is not all is never `100 %`, and what
/// is not nothing never `0 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent <= 0.0 => "0 %".to_owned(),
        percent if percent < 0.01 => "<0.01 %".to_owned(),
        percent if percent < 0.095 => format!("{percent:.2} %"),
        percent if percent < 9.95 => format!("{percent:.1} %"),
        percent if (99.0..100.0).contains(&percent) => format!("{:.1} %", percent.min(99.9)),
        percent => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups() {
        let table = [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")];
        for (count, expected) in table {
            assert_eq!(thousands(count), expected);
        }
        assert_eq!(
            (counted(1, "call"), of_all(2, 1000, "call")),
            ("1 call".into(), "2 of 1,000 calls".into())
        );
    }

    #[test]
    fn shares_have_two_digits() {
        let table = [
            (0.0, "0 %"),
            (0.000_01, "<0.01 %"),
            (0.0004, "0.04 %"),
            (0.0284, "2.8 %"),
            (0.0995, "10 %"),
            (0.633, "63 %"),
            (0.9999, "99.9 %"),
            (1.0, "100 %"),
        ];
        for (share, expected) in table {
            assert_eq!(percent(share), expected, "{share}");
        }
    }
}
