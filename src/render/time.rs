//! Times and durations as people read them.

use std::time::SystemTime;

use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::node::clock;

/// The zone in which times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// The machine's own.
    Local,
    /// UTC.
    Utc,
}

impl Zone {
    fn at(self, time: SystemTime) -> OffsetDateTime {
        let time = OffsetDateTime::from(time);
        let offset = match self {
            Zone::Local => UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC),
            Zone::Utc => UtcOffset::UTC,
        };
        time.to_offset(offset)
    }

    /// The offset from UTC at a point in time.
    #[must_use]
    pub fn offset(self, time: SystemTime) -> UtcOffset {
        self.at(time).offset()
    }

    /// A time of a record, with the day, as it stands in a list. What is no time is shown as it is.
    #[must_use]
    pub fn short(self, rfc3339: &str) -> String {
        let format =
            format_description!(version = 2, "[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
        clock::parse_rfc3339(rfc3339)
            .and_then(|time| self.at(time).format(&format).ok())
            .unwrap_or_else(|| rfc3339.to_owned())
    }

    /// The same in whole seconds.
    #[must_use]
    pub fn to_seconds(self, rfc3339: &str) -> String {
        let short = self.short(rfc3339);
        short.split_once('.').map_or(short.clone(), |(seconds, _)| seconds.to_owned())
    }

    /// The hour that a time of a record is in: `2026-11-21 10:00 +01:00`.
    #[must_use]
    pub fn hour(self, rfc3339: &str) -> String {
        let format = format_description!(
            version = 2,
            "[year]-[month]-[day] [hour]:00 [offset_hour sign:mandatory]:[offset_minute]"
        );
        clock::parse_rfc3339(rfc3339)
            .and_then(|time| self.at(time).format(&format).ok())
            .unwrap_or_else(|| rfc3339.to_owned())
    }

    /// A time of a record with the year, and the zone.
    #[must_use]
    pub fn long(self, rfc3339: &str) -> String {
        let format = format_description!(
            version = 2,
            "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3] [offset_hour sign:mandatory]:[offset_minute]"
        );
        clock::parse_rfc3339(rfc3339)
            .and_then(|time| self.at(time).format(&format).ok())
            .unwrap_or_else(|| rfc3339.to_owned())
    }

    /// The day and the minute. What is no time is shown as it is.
    #[must_use]
    pub fn minutes(self, rfc3339: &str) -> String {
        let format =
            format_description!(version = 2, "[day padding:none] [month repr:short] [year], [hour]:[minute]");
        clock::parse_rfc3339(rfc3339)
            .and_then(|time| self.at(time).format(&format).ok())
            .unwrap_or_else(|| rfc3339.to_owned())
    }

    /// The zone's offset at a time, as people name it: `UTC`, `UTC+01:00`.
    #[must_use]
    pub fn name(self, rfc3339: &str) -> String {
        let offset = clock::parse_rfc3339(rfc3339).map_or(UtcOffset::UTC, |time| self.offset(time));
        if offset.is_utc() {
            return "UTC".to_owned();
        }
        let format = format_description!(version = 2, "UTC[offset_hour sign:mandatory]:[offset_minute]");
        offset.format(&format).unwrap_or_default()
    }
}

/// Milliseconds in at most three digits and a fitting unit.
#[must_use]
pub fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9_950.0 => format!("{:.1} s", ms / 1e3),
        ms if ms < 120_000.0 => format!("{:.0} s", ms / 1e3),
        ms => format!("{:.0} min", ms / 6e4),
    }
}

/// A number of bytes in a fitting unit.
#[must_use]
pub fn bytes(count: f64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut count = count;
    let mut unit = 0;
    while count >= 1024.0 && unit + 1 < UNITS.len() {
        count /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && count < 10.0);
    format!("{count:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_their_zone() {
        assert_eq!(Zone::Utc.short("2026-11-21T10:20:30.123456Z"), "11-21 10:20:30.123");
        assert_eq!(Zone::Utc.long("2026-11-21T11:20:30.5+01:00"), "2026-11-21 10:20:30.500 +00:00");
        assert_eq!(Zone::Utc.short("soon"), "soon");
        assert_eq!(Zone::Utc.hour("2026-11-21T11:59:30.5+01:00"), "2026-11-21 10:00 +00:00");
        assert_eq!(Zone::Utc.minutes("2026-11-21T11:20:30.5+01:00"), "21 Nov 2026, 10:20");
        assert_eq!(Zone::Utc.name("2026-11-21T11:20:30.5+01:00"), "UTC");
    }

    #[test]
    fn durations_and_sizes_have_few_digits() {
        let table = [
            (0.04, "0.0 ms"),
            (9.8, "9.8 ms"),
            (9.97, "10 ms"),
            (250.4, "250 ms"),
            (1200.0, "1.2 s"),
            (31_000.0, "31 s"),
            (200_000.0, "3 min"),
        ];
        for (milliseconds, expected) in table {
            assert_eq!(duration(milliseconds), expected);
        }
        for (count, expected) in
            [(0.0, "0 B"), (1023.0, "1023 B"), (5_895_528.0, "5.6 MiB"), (20_480.0, "20 KiB")]
        {
            assert_eq!(bytes(count), expected);
        }
    }
}
