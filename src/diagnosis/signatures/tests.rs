//! What holds for every signature, and how they are found in a text.

use std::collections::BTreeSet;

use super::*;
use crate::diagnosis::{catalogue, reading, words};

fn signature(rank: Rank, text: &str) -> Signature {
    Signature::new(Cause::DiskFull, rank, text)
}

/// Whether a signature fits, and what it fits to.
fn fitted<'a>(rank: Rank, of: &str, text: &'a str) -> Option<&'a str> {
    let span = signature(rank, of).fit(text)?;
    Some(&text[span.start..span.end])
}

#[test]
fn every_line_of_the_data_files_is_a_signature() {
    for line in DATA.lines() {
        let signature = parse(line).unwrap_or_else(|| panic!("{line}"));
        assert!(signature.parts.iter().all(|part| !part.trim().is_empty()), "{line}");
    }
}

#[test]
fn no_text_is_there_twice() {
    let mut texts = BTreeSet::new();
    for signature in all() {
        assert!(texts.insert(&signature.lower), "{:?}", signature.parts);
    }
}

/// The text that a signature describes, with words of no meaning where anything may stand.
fn own_text(signature: &Signature) -> String {
    let mut parts = signature.parts.iter();
    let first = parts.next().unwrap().clone();
    parts.fold(first, |text, part| format!("{text} zz {part}"))
}

#[test]
fn every_signature_decides_about_its_own_text() {
    let mut others = Vec::new();
    for signature in all() {
        let text = own_text(signature);
        let cause = reading::read(&text, &[]).cause;
        if cause != signature.cause {
            others.push(format!("{text}: {cause}, not {}", signature.cause));
        }
    }
    assert!(others.is_empty(), "{}:\n{}", others.len(), others.join("\n"));
}

#[test]
fn every_cause_is_told_by_some_text() {
    let told: BTreeSet<_> = all().iter().map(|signature| signature.cause).collect();
    let known = catalogue::entries().map(|entry| entry.cause).filter(|cause| *cause != Cause::Unknown);
    assert_eq!(told, known.collect());
}

#[test]
fn no_signature_is_so_short_that_it_fits_by_accident() {
    for signature in all() {
        let letters: usize = signature.parts.iter().map(String::len).sum();
        let least = if signature.rank == Rank::Weak { 3 } else { 5 };
        assert!(letters >= least, "{:?}", signature.parts);
    }
}

#[test]
fn names_ids_paths_and_numbers_tell_nothing() {
    for word in [
        "unauthorized",
        "panic",
        "conntrack",
        "iptables",
        "x509",
        "bpf",
        "eni",
        "inotify",
        "cgroup",
        "runc",
        "vf",
        "ip",
        "certificate",
        "timeout",
        "denied",
        "10.96.0.1:443",
        "50051",
        "8080",
        "exec-format-error",
        "sigsegv-0",
    ] {
        let text = format!(
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"{word}\": \
             plugin type=\"{word}\" name=\"{word}\" failed (add): [{word}/{word}-1/{word}:{word}]: it rained"
        );
        assert_eq!(reading::read(&text, &[]).cause, Cause::Unknown, "{text}");
    }
}

#[test]
fn what_cannot_fit_is_passed_over_and_nothing_else() {
    // Some of them, since each is compared with all.
    for signature in all().iter().step_by(9) {
        let whole = own_text(signature).to_ascii_lowercase();
        let (start, end) =
            (whole.floor_char_boundary(whole.len() / 4), whole.floor_char_boundary(whole.len() * 3 / 4));
        for text in [&whole, &whole[start..], &whole[..end], &whole[start..end]] {
            let fitting: Vec<_> = fitting(text).collect();
            let expected: Vec<_> = all().iter().filter_map(|one| Some((one, one.fit(text)?))).collect();
            assert_eq!(fitting, expected, "{text}");
        }
    }
}

#[test]
fn parts_stand_in_their_order_and_near_each_other() {
    assert_eq!(fitted(Rank::Exact, "one * two", "a one b two c"), Some("one b two"));
    assert_eq!(fitted(Rank::Exact, "one * two", "two one"), None);
    assert_eq!(fitted(Rank::Exact, "one * two", &format!("one {} two", "x".repeat(500))), None);
    assert_eq!(fitted(Rank::Exact, "one <> two", "one \"b\" two"), Some("one \"b\" two"));
    assert_eq!(fitted(Rank::Exact, "one <> two", "one b c two"), None);
}

#[test]
fn the_last_place_counts_since_the_innermost_error_stands_last() {
    let span = signature(Rank::Word, "full").fit("full: full: why").unwrap();
    assert_eq!((span.start, span.end), (6, 10));
    // The last `one` has no `two` behind it.
    assert_eq!(fitted(Rank::Exact, "one * two", "one two one"), Some("one two"));
}

#[test]
fn words_are_whole_and_messages_may_go_on() {
    assert_eq!(fitted(Rank::Word, "denied", "undenied denieds"), None);
    assert_eq!(fitted(Rank::Word, "denied", "(denied)"), Some("denied"));
    assert_eq!(fitted(Rank::Exact, "is provide", "it is provided"), Some("is provide"));
    assert_eq!(fitted(Rank::Exact, "is provide", "this provided"), None);
}

#[test]
fn a_message_that_is_cut_inside_a_word_is_still_found() {
    let whole = "failed to find a unique veth name";
    assert_eq!(
        fitted(Rank::Exact, whole, "x: failed to find a unique ve"),
        Some("failed to find a unique ve")
    );
    assert_eq!(
        fitted(Rank::Exact, whole, "iled to find a unique veth name, so"),
        Some("iled to find a unique veth name")
    );
    // Whole words may be those of another message.
    assert_eq!(fitted(Rank::Exact, whole, "x: failed to find a unique"), None);
    assert_eq!(fitted(Rank::Weak, whole, "x: failed to find a unique ve"), None);
    assert_eq!(
        fitted(Rank::Word, "no space left on device", "x: no space left on dev"),
        Some("no space left on dev")
    );
}

#[test]
fn characters_of_several_bytes_are_no_obstacle() {
    for text in ["żółć one żółć two", "ż", "one ż"] {
        let _ = signature(Rank::Exact, "one * two").fit(text);
        let _ = signature(Rank::Exact, "failed to find a unique veth żółw").fit(text);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_reading_panic(text in "\\PC*|[ -~\n]{0,300}|(/apis/|https://|dial tcp |\\.sock|lookup |\" not found|: |é){0,12}") {
        std::hint::black_box((reading::read(&text, &[]), words::told(&text)));
    }
}
