//! What a kubeconfig says of its own life: the token's and the certificates' dates. Nothing secret leaves this file.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use time::{Date, Month, PrimitiveDateTime, Time};

use super::kubeconfig::pairs;

/// DER's tag of a certificate's version, which old ones lack.
const VERSION: u8 = 0xa0;
/// DER's tag of a date with two digits of the year.
const UTC_TIME: u8 = 0x17;

/// How long calico-node asks a token for (`node/pkg/cni/token_watch.go`).
pub const TOKEN_LIFE: Duration = Duration::from_hours(24);

/// When a credential is valid. What is not told is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// Not before this.
    pub from: Option<SystemTime>,
    /// Not after this.
    pub until: Option<SystemTime>,
}

/// A kubeconfig, as far as it tells of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The bearer token's, if there is a token.
    pub token: Option<Validity>,
    /// The certificates', by the key that each stands under.
    pub certificates: Vec<(&'static str, Validity)>,
}

/// Reads a kubeconfig.
#[must_use]
pub fn parse(kubeconfig: &str) -> Credentials {
    let mut credentials = Credentials::default();
    for (key, value) in pairs(kubeconfig) {
        let certificate = |key: &'static str| Some((key, certificate(&base64(value)?)?));
        match key {
            "token" if !value.is_empty() => credentials.token = Some(token(value).unwrap_or_default()),
            "client-certificate-data" => {
                credentials.certificates.extend(certificate("client-certificate-data"));
            }
            "certificate-authority-data" => {
                credentials.certificates.extend(certificate("certificate-authority-data"));
            }
            _ => {}
        }
    }
    credentials
}

/// The dates in a JSON web token (RFC 7519). `None` if it is none.
fn token(text: &str) -> Option<Validity> {
    let payload = base64(text.split('.').nth(1)?)?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let at = |claim: &str| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims[claim].as_u64()?));
    Some(Validity { from: at("nbf").or_else(|| at("iat")), until: at("exp") })
}

/// The dates of the first certificate of a PEM file (RFC 5280, 4.1).
fn certificate(pem: &[u8]) -> Option<Validity> {
    let pem = std::str::from_utf8(pem).ok()?;
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let body: String = rest.split_once("-----END")?.0.split_ascii_whitespace().collect();
    let der = base64(&body)?;
    let (_, certificate, _) = element(&der)?;
    let (_, mut rest, _) = element(certificate)?;
    if element(rest)?.0 == VERSION {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (from_form, from, rest) = element(validity)?;
    let (until_form, until, _) = element(rest)?;
    Some(Validity { from: date(from_form, from), until: date(until_form, until) })
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let read = |length: usize, digit: &u8| length.checked_mul(256)?.checked_add((*digit).into());
        (digits.iter().try_fold(0, read)?, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` (UTCTime), or with four digits of the year (GeneralizedTime).
fn date(tag: u8, content: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(if tag == UTC_TIME { 2 } else { 4 })?;
    let mut year: i32 = year.parse().ok()?;
    if tag == UTC_TIME {
        year += if year < 50 { 2000 } else { 1900 };
    }
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(number(0)?).ok()?, number(2)?).ok()?;
    let time = Time::from_hms(number(4)?, number(6)?, number(8)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().into())
}

/// Base64 of either alphabet, padded or not.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    Some(bytes)
}

/// A stretch of time in the largest unit of which it has two: `27 h`.
#[must_use]
pub fn spoken(stretch: Duration) -> String {
    let seconds = stretch.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl ca -selfsign -startdate 20260102030405Z -enddate 20510102030405Z` for CN=t with a key of prime256v1, then
    /// base64 of the PEM file. The end is a GeneralizedTime, the start a UTCTime.
    const CERTIFICATE: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJBakNCcUFJQkFUQUtCZ2dxaGtqT1BRUURBakFNTVFvd0NBWURWUVFEREFGME1DQVhEVEkyTURFd01qQXoKTURRd05Wb1lEekl3TlRFd01UQXlNRE13TkRBMVdqQU1NUW93Q0FZRFZRUUREQUYwTUZrd0V3WUhLb1pJemowQwpBUVlJS29aSXpqMERBUWNEUWdBRXp1dXljTk45enZoOTFGdUJoM3ZuZXJJbGFKa0M4K2JVU0piTVRxdk9FMDVxCmJ5b2ErMmdqblN5MmxHU3JLczFSRHFzSCtVYWFMU1VZN2xBY0hoanNQakFLQmdncWhrak9QUVFEQWdOSkFEQkcKQWlFQWdJQVVRUzZIYVN4Uis1UndIcitIZlE1VWV2a3dkS2xkekh2WHJ1MkhSUFlDSVFEb0N4ZHMxakp3MURuMQpPK2F2eDhmMG1jbFlqdWVURG14TkEzNzh3MFI1Q0E9PQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==";

    fn validity(from: u64, until: u64) -> Validity {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        Validity { from: at(from), until: at(until) }
    }

    #[test]
    fn base64_is_read() {
        let table = [
            ("", Some("")),
            ("aGk=", Some("hi")),
            ("aGk", Some("hi")),
            ("Pz8_", Some("???")),
            ("Pz8/", Some("???")),
            ("a b", None),
        ];
        for (text, expected) in table {
            assert_eq!(base64(text), expected.map(|text| text.as_bytes().to_vec()), "{text}");
        }
    }

    #[test]
    fn the_dates_of_a_token_are_read() {
        // {"iat":1000,"exp":87400} and {"sub":"x"}, without a signature that anybody could use.
        let table = [
            ("token: e30.eyJpYXQiOjEwMDAsImV4cCI6ODc0MDB9.x", validity(1000, 87_400)),
            ("    \"token\": \"e30.eyJpYXQiOjEwMDAsImV4cCI6ODc0MDB9.x\",", validity(1000, 87_400)),
            ("  - token: e30.eyJzdWIiOiJ4In0.x", Validity { from: None, until: None }),
            ("token: opaque", Validity { from: None, until: None }),
            ("token: a.!.c", Validity { from: None, until: None }),
        ];
        for (kubeconfig, validity) in table {
            assert_eq!(parse(kubeconfig).token, Some(validity), "{kubeconfig}");
        }
        assert_eq!(parse("apiVersion: v1\ntoken:\ntokenFile: /x\n").token, None);
    }

    #[test]
    fn the_dates_of_a_certificate_are_read() {
        let kubeconfig = format!("users:\n- user:\n    client-certificate-data: {CERTIFICATE}\n");
        let expected = validity(1_767_323_045, 2_556_241_445);
        assert_eq!(parse(&kubeconfig).certificates, [("client-certificate-data", expected)]);
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        let whole = base64(CERTIFICATE).unwrap();
        assert!(certificate(&whole).is_some());
        for cut in [0, 10, 40, 100, whole.len() / 2] {
            assert_eq!(certificate(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(parse("certificate-authority-data: bm8=").certificates, []);
        assert_eq!(element(&[0x30, 0x88, 255, 255, 255, 255, 255, 255, 255, 255]), None);
        assert_eq!(date(0x17, b"991332000000Z"), None);
    }

    #[test]
    fn stretches_are_spoken() {
        let spoken = |seconds| spoken(Duration::from_secs(seconds));
        assert_eq!(
            [spoken(119), spoken(120), spoken(97_500), spoken(172_800)],
            ["119 s", "2 min", "27 h", "2 days"]
        );
    }
}
