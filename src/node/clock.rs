//! Time, and how it is written down.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::macros::format_description;

/// A point in time in UTC as RFC 3339 with microseconds: `2026-11-21T10:20:30.123456Z`.
#[must_use]
pub fn rfc3339(at: SystemTime) -> String {
    let format = format_description!(
        version = 2,
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    OffsetDateTime::from(at).format(&format).unwrap_or_default()
}

/// Reads RFC 3339, with any offset and any precision.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let parsed = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    Some(parsed.into())
}

/// Whether the kernel holds the clock for synchronised with a source of time (adjtimex(2)). `None` if it does not tell.
#[must_use]
#[allow(unsafe_code, reason = "nix has no adjtimex(2)")]
pub fn is_synchronised() -> Option<bool> {
    // SAFETY: a plain structure of integers. Without a mode nothing is set, so nothing is changed.
    let mut asked: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives through the call.
    let state = unsafe { libc::adjtimex(&raw mut asked) };
    (state >= 0).then_some(state != libc::TIME_ERROR && asked.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn writes_microseconds_and_reads_any_precision() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_256_430_000_007);
        assert_eq!(rfc3339(at), "2026-11-21T10:20:30.000007Z");
        assert_eq!(parse_rfc3339("2026-11-21T10:20:30.000007Z"), Some(at));
        assert_eq!(
            parse_rfc3339("2026-11-21T11:20:30+01:00"),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_256_430))
        );
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn the_kernel_tells_whether_the_clock_is_synchronised() {
        assert!(is_synchronised().is_some());
    }
}
