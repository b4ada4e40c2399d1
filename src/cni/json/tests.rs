use super::*;

#[test]
fn errors_are_worded_as_in_go() {
    let table: &[(&str, &str)] = &[
        ("", "unexpected end of JSON input"),
        ("  ", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("{\"a\"", "unexpected end of JSON input"),
        ("[1,", "unexpected end of JSON input"),
        ("\"a", "unexpected end of JSON input"),
        ("tru", "unexpected end of JSON input"),
        ("-", "unexpected end of JSON input"),
        ("1.", "unexpected end of JSON input"),
        ("junk", "invalid character 'j' looking for beginning of value"),
        ("{} {}", "invalid character '{' after top-level value"),
        ("{}\nOK", "invalid character 'O' after top-level value"),
        ("OK", "invalid character 'O' looking for beginning of value"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{\"a\":'b'}", "invalid character '\\'' looking for beginning of value"),
        ("\"\\x\"", "invalid character 'x' in string escape code"),
        ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
        ("\"a\nb\"", "invalid character '\\n' in string literal"),
        ("01", "invalid character '1' after top-level value"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("nul ", "invalid character ' ' in literal null (expecting 'l')"),
        ("\u{feff}{}", "invalid character 'ï' looking for beginning of value"),
    ];
    for (document, expected) in table {
        let error = validate(document.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), *expected, "{document:?}");
    }
}

#[test]
fn accepts_what_go_accepts_and_serde_json_does_not() {
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    let documents: &[&[u8]] = &[b"{\"a\": \"\\ud800\"}", b"{\"a\": \"\xff\"}", deep.as_bytes(), b" null\n"];
    for document in documents {
        assert!(validate(document).is_ok());
    }
}

#[test]
fn deeper_than_go_is_refused() {
    let deep = "[".repeat(MAX_DEPTH + 1);
    assert_eq!(validate(deep.as_bytes()), Err(SyntaxError::TooDeep));
}

#[test]
fn members_keep_order_duplicates_and_places() {
    let document = br#" {"a" : 1.0, "t\u0079pe":"x","a":{"b":[1,{}]} ,"e":[] } "#;
    let object = validate(document).unwrap();
    let found: Vec<(String, &str)> = members(document, &object)
        .unwrap()
        .iter()
        .map(|m| (m.key(document).into_owned(), std::str::from_utf8(&document[m.value.clone()]).unwrap()))
        .collect();
    assert_eq!(
        found,
        [("a".into(), "1.0"), ("type".into(), "\"x\""), ("a".into(), "{\"b\":[1,{}]}"), ("e".into(), "[]")]
    );
}

#[test]
fn members_and_elements_of_other_values_are_none() {
    for document in [&b"[1]"[..], b"null", b"\"{}\"", b"12"] {
        let value = validate(document).unwrap();
        assert_eq!(members(document, &value), None);
    }
    assert_eq!(elements(b"{}", &(0..2)), None);
    assert_eq!(members(b"{ }", &(0..3)), Some(vec![]));
    assert_eq!(elements(b"[ 1, [2] ]", &(0..10)), Some(vec![2..3, 5..8]));
}

#[test]
fn the_first_of_two_documents_is_found() {
    assert_eq!(first_document(b" {\"a\":1}{\"b\":2}"), Ok(1..8));
}

#[test]
fn strings_are_decoded_as_in_go() {
    let table: &[(&[u8], &str)] = &[
        (b"\"plain\"", "plain"),
        (b"\"a\\n\\\"\\/\\u0041\"", "a\n\"/A"),
        (b"\"\\ud83d\\ude00\"", "\u{1f600}"),
        (b"\"\\ud83dx\"", "\u{fffd}x"),
        (b"\"\\ude00\"", "\u{fffd}"),
        (b"\"\xff\"", "\u{fffd}"),
        (b"\"\\t\xff\"", "\t\u{fffd}"),
    ];
    for (literal, expected) in table {
        assert_eq!(unquote(literal), *expected);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_serde_json_accepts_is_accepted(text in "[ -~]{0,40}|[\\[\\]{}:,\"0-9etrufalsn. -]{0,24}") {
        if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            proptest::prop_assert!(validate(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
        if let Ok(value) = validate(&bytes) {
            let _ = members(&bytes, &value);
            let _ = elements(&bytes, &value);
        }
        let _ = unquote(&bytes);
    }
}
