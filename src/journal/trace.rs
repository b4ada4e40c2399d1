//! W3C Trace Context (level 1, <https://www.w3.org/TR/trace-context/>) as runtimes hand it on in the environment:
//! `TRACEPARENT` and `TRACESTATE`. It is recorded as it came; here is what of it can be used. Pure.

/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;
/// The longest key of a member, and the longest value.
const MAX_MEMBER: usize = 256;

/// The span that a call is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent<'a> {
    /// 32 hexadecimal digits in lower case, not all of them 0.
    pub trace_id: &'a str,
    /// 16 of them.
    pub span_id: &'a str,
    /// The trace flags; bit 0 is `sampled`.
    pub flags: u8,
}

/// What a `traceparent` says; `None` if it is malformed. Of a version that is not known yet, what stands there as in the
/// first one counts.
#[must_use]
pub fn parent(traceparent: &str) -> Option<Parent<'_>> {
    let mut parts = traceparent.splitn(5, '-');
    let mut digits = |length: usize| parts.next().filter(|part| are_digits(part, length));
    let (version, trace_id, span_id, flags) = (digits(2)?, digits(32)?, digits(16)?, digits(2)?);
    let is_known = match version {
        "ff" => false,
        "00" => parts.next().is_none(),
        _ => true,
    };
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (is_known && !is_zero(trace_id) && !is_zero(span_id)).then_some(Parent { trace_id, span_id, flags })
}

/// Whether this can be the id of a trace.
#[must_use]
pub fn is_trace_id(text: &str) -> bool {
    are_digits(text, 32) && !is_zero(text)
}

fn are_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_zero(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0')
}

/// Whether a `tracestate` is well-formed: a list of members `key=value`, each key there once. One that is not is to be
/// left out.
#[must_use]
pub fn is_state(tracestate: &str) -> bool {
    let members = tracestate.split(',').map(|member| member.trim_matches([' ', '\t']));
    let mut keys = Vec::new();
    for member in members.filter(|member| !member.is_empty()) {
        let Some((key, value)) = member.split_once('=') else { return false };
        if keys.len() == MAX_MEMBERS || keys.contains(&key) || !is_key(key) || !is_value(value) {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn is_key(key: &str) -> bool {
    let (first, is_vendor) = match key.split_once('@') {
        Some((tenant, vendor)) => (tenant, is_name(vendor, 14) && starts_with_letter(vendor)),
        None => (key, starts_with_letter(key)),
    };
    is_vendor && is_name(first, MAX_MEMBER) && key.len() <= MAX_MEMBER
}

fn starts_with_letter(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
}

fn is_name(name: &str, longest: usize) -> bool {
    let is_start = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes().next().is_some_and(is_start)
        && name.len() <= longest
        && name.bytes().all(|byte| is_start(byte) || b"_-*/".contains(&byte))
}

fn is_value(value: &str) -> bool {
    let is_printed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    !value.is_empty() && value.len() <= MAX_MEMBER && value.bytes().all(is_printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_traceparent_is_understood_as_the_recommendation_says() {
        let some = |flags| Some(Parent { trace_id: TRACE, span_id: SPAN, flags });
        let table = [
            (format!("00-{TRACE}-{SPAN}-01"), some(1)),
            (format!("00-{TRACE}-{SPAN}-00"), some(0)),
            (format!("00-{TRACE}-{SPAN}-ff"), some(255)),
            // A later version may go on behind what is known.
            (format!("01-{TRACE}-{SPAN}-01"), some(1)),
            (format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be"), some(1)),
            (format!("cc-{TRACE}-{SPAN}-01."), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("00-{TRACE}-{SPAN}-01-"), None),
            (format!("00-{TRACE}-{SPAN}-01-x"), None),
            (format!("00-{TRACE}-{SPAN}-1"), None),
            (format!("00-{TRACE}-{SPAN}"), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{SPAN}-01", &TRACE[1..]), None),
            (format!("00-{TRACE}0-{SPAN}-01"), None),
            (format!("00-{TRACE}-{SPAN}-0g"), None),
            (format!(" 00-{TRACE}-{SPAN}-01"), None),
            (format!("00-{TRACE}-{SPAN}-01\n"), None),
            (format!("00_{TRACE}_{SPAN}_01"), None),
            (format!("0-{TRACE}-{SPAN}-01"), None),
            ("00-€€€€€€€€€€ab-00f067aa0ba902b7-01".to_owned(), None),
            ("<redacted>".to_owned(), None),
            ("-".repeat(100), None),
            (String::new(), None),
        ];
        for (text, expected) in table {
            assert_eq!(parent(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_tracestate_is_well_formed_or_left_out() {
        let many =
            |count: usize| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        let long = "k".repeat(257);
        let table = [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE".to_owned(), true),
            ("rojo=1 , \tcongo=2,".to_owned(), true),
            ("fw529a3039@dt=FfAjpd6Y".to_owned(), true),
            ("0tenant@vendor=1".to_owned(), true),
            ("a_-*/9=!\"#~".to_owned(), true),
            (many(32), true),
            (many(33), false),
            (format!("{}=v", &long[1..]), true),
            (format!("{long}=v"), false),
            (format!("k={}", &long[1..]), true),
            (format!("k={long}"), false),
            ("a=1,a=2".to_owned(), false),
            ("9a=1".to_owned(), false),
            ("A=1".to_owned(), false),
            ("a@=1".to_owned(), false),
            ("@a=1".to_owned(), false),
            ("a@b@c=1".to_owned(), false),
            ("a@morethanfourteen=1".to_owned(), false),
            ("a=".to_owned(), false),
            ("a".to_owned(), false),
            ("a=b=c".to_owned(), false),
            ("a=\u{fffd}".to_owned(), false),
            ("a=\n".to_owned(), false),
            (" ,".to_owned(), false),
            (String::new(), false),
        ];
        for (text, expected) in table {
            assert_eq!(is_state(&text), expected, "{text:?}");
        }
    }
}
