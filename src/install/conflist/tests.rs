use proptest::prelude::*;

use super::*;

fn text(result: Result<Vec<u8>, ConflistError>) -> Result<String, String> {
    result.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|error| error.to_string())
}

/// Wraps, and makes sure that it can be taken back, and that a second time changes nothing.
fn wrapped(document: &str, which: Which) -> String {
    let wrapped = text(wrap(document.as_bytes(), which)).unwrap();
    assert_eq!(text(wrap(wrapped.as_bytes(), which)).unwrap(), wrapped, "wrapped a second time");
    assert_eq!(text(unwrap(wrapped.as_bytes())).unwrap(), document, "unwrapped");
    wrapped
}

#[test]
fn every_entry_is_wrapped_and_no_other_byte_changes() {
    assert_eq!(
        wrapped(
            "\n{ \"name\":\"n\",\t\"plugins\" : [ {\"mtu\": 1.0, \"type\" : \"bridge\" } ,{\"type\":\"portmap\",\"n\":12345678901234567890}] , \"cniVersion\":\"1.0.0\"}\r\n",
            Which::All
        ),
        "\n{ \"name\":\"n\",\t\"plugins\" : [ {\"mtu\": 1.0, \"type\" : \"cniscope\", \"cniscope\": {\"wraps\": \"bridge\", \"verify\": false} } ,{\"type\":\"cniscope\", \"cniscope\": {\"wraps\": \"portmap\"},\"n\":12345678901234567890}] , \"cniVersion\":\"1.0.0\"}\r\n"
    );
}

#[test]
fn the_head_alone_is_wrapped_where_that_is_wanted() {
    assert_eq!(
        wrapped(r#"{"plugins":[{"type":"bridge"},{"type":"portmap"}]}"#, Which::Head),
        r#"{"plugins":[{"type":"cniscope", "cniscope": {"wraps": "bridge"}},{"type":"portmap"}]}"#
    );
}

#[test]
fn the_last_entry_alone_looks_at_the_network() {
    assert_eq!(
        wrapped(
            r#"{"plugins":[{"name":"n","type":"a"},{"type":"b"},{"type":"istio-cni"}],"name":"n"}"#,
            Which::All
        ),
        r#"{"plugins":[{"name":"n","type":"cniscope", "cniscope": {"wraps": "a", "named": true, "verify": false}},{"type":"cniscope", "cniscope": {"wraps": "b"}},{"type":"istio-cni"}],"name":"n"}"#
    );
    assert_eq!(
        text(wrap(
            br#"{"plugins":[{"type":"a"},{"type":"cniscope","cniscope":{"wraps":"b"}}]}"#,
            Which::Head
        ))
        .unwrap(),
        r#"{"plugins":[{"type":"cniscope", "cniscope": {"wraps": "a", "verify": false}},{"type":"cniscope","cniscope":{"wraps":"b"}}]}"#
    );
}

#[test]
fn networks_inside_of_an_entry_are_wrapped_with_it() {
    let inner = |first: &str, second: &str, single: &str| {
        format!(
            r#"{{"type":MULTUS,"delegates":[{{"plugins":[{{"type":{first}}},{{"type":{second}}}]}},{{"name":"s","type":{single}}},7,{{}},{{"plugins":[{{"type":"a"}},{{"type":"a"}}]}}],"name":"m"}}"#
        )
    };
    assert_eq!(
        wrapped(&inner(r#""a""#, r#""b""#, r#""c""#).replace("MULTUS", r#""multus""#), Which::All),
        inner(
            r#""cniscope", "cniscope": {"wraps": "a", "verify": false}"#,
            r#""cniscope", "cniscope": {"wraps": "b"}"#,
            r#""cniscope", "cniscope": {"wraps": "c", "named": true}"#
        )
        .replace("MULTUS", r#""cniscope", "cniscope": {"wraps": "multus", "named": true}"#)
    );
}

#[test]
fn an_entry_that_another_installer_edits_stays() {
    for plugin in edited_by_others::TABLE {
        let kind = plugin.kind;
        assert_eq!(
            wrapped(
                &format!(r#"{{"plugins":[{{"type":"a"}},{{"type":"{kind}"}},{{"type":"b"}}]}}"#),
                Which::All
            ),
            format!(
                r#"{{"plugins":[{{"type":"cniscope", "cniscope": {{"wraps": "a", "verify": false}}}},{{"type":"{kind}"}},{{"type":"cniscope", "cniscope": {{"wraps": "b"}}}}]}}"#
            )
        );
    }
}

#[test]
fn the_head_is_wrapped_even_where_another_installer_edits_it() {
    assert_eq!(
        wrapped(r#"{"plugins":[{"type":"istio-cni"}]}"#, Which::All),
        r#"{"plugins":[{"type":"cniscope", "cniscope": {"wraps": "istio-cni"}}]}"#
    );
}

#[test]
fn entries_that_are_wrapped_already_are_left_alone() {
    let document =
        r#"{"plugins":[{"cniscope":{"wraps":"a", "enrich":false}, "type":"cniscope"},{"type":"b"}]}"#;
    assert_eq!(
        text(wrap(document.as_bytes(), Which::All)).unwrap(),
        r#"{"plugins":[{"cniscope":{"wraps":"a", "enrich":false}, "type":"cniscope"},{"type":"cniscope", "cniscope": {"wraps": "b"}}]}"#
    );
    assert_eq!(text(unwrap(document.as_bytes())).unwrap(), r#"{"plugins":[{"type":"a"},{"type":"b"}]}"#);
}

#[test]
fn named_is_an_entry_that_itself_has_the_networks_name() {
    let table = [
        (r#"{"name":"n","type":"a"}"#, true),
        (r#"{"type":"a"}"#, false),
        (r#"{"name":"","type":"a"}"#, false),
        (r#"{"name":"n","plugins":[{"type":"a"}]}"#, false),
        (r#"{"name":"n","plugins":[{"name":"n","type":"a"}]}"#, true),
        (r#"{"name":"n","plugins":[{"name":"other","type":"a"}]}"#, false),
    ];
    for (document, named) in table {
        let expected = if named { r#"{"wraps": "a", "named": true}"# } else { r#"{"wraps": "a"}"# };
        let expected =
            document.replace(r#""type":"a""#, &format!(r#""type":"cniscope", "cniscope": {expected}"#));
        assert_eq!(wrapped(document, Which::All), expected);
    }
}

#[test]
fn of_several_members_with_one_key_the_last_counts() {
    assert_eq!(
        wrapped(r#"{"plugins":[{"type":"x"}],"plugins":[{"type":7,"type":"a"}]}"#, Which::All),
        r#"{"plugins":[{"type":"x"}],"plugins":[{"type":7,"type":"cniscope", "cniscope": {"wraps": "a"}}]}"#
    );
}

#[test]
fn what_cannot_be_wrapped_is_refused_with_what_is_expected() {
    let no_plugins = "no plugins, expected a conflist with an array \"plugins\", or a single plugin with a string \"type\"";
    let table: &[(&[u8], &str)] = &[
        (b"", "no JSON: unexpected end of JSON input"),
        (b"{\"plugins\":[}", "no JSON: invalid character '}' looking for beginning of value"),
        (b"[]", "not a JSON object, expected a conflist or the configuration of a single plugin"),
        (b"{}", no_plugins),
        (b"{\"plugins\":[]}", no_plugins),
        (b"{\"plugins\":{\"type\":\"a\"}}", no_plugins),
        (
            b"{\"plugins\":[{\"type\":\"a\"},\"b\"]}",
            "plugins[1]: not a JSON object, expected the entry of a plugin",
        ),
        (b"{\"plugins\":[{\"name\":\"a\"}]}", "plugins[0]: no \"type\", expected the name of a plugin"),
        (
            b"{\"plugins\":[{\"type\":[\"a\"]}]}",
            "plugins[0]: the plugin is [\"a\"], expected a string with the plain file name of a plugin",
        ),
        (
            b"{\"type\":\"\"}",
            "the plugin: the plugin is \"\", expected a string with the plain file name of a plugin",
        ),
        (
            b"{\"type\":\"../a\"}",
            "the plugin: the plugin is \"../a\", expected a string with the plain file name of a plugin",
        ),
        (
            b"{\"type\":\"a\\ud800\"}",
            "the plugin: the plugin is \"a\\ud800\", expected a string with the plain file name of a plugin",
        ),
        (
            b"{\"type\":\"a\xff\"}",
            "the plugin: the plugin is \"a\u{fffd}\", expected a string with the plain file name of a plugin",
        ),
        (
            b"{\"type\":\"cniscope\",\"cniscope\":{\"wraps\":\"cniscope\"}}",
            "the plugin: the plugin is \"cniscope\", expected a string with the plain file name of a plugin",
        ),
        (
            b"{\"plugins\":[{\"type\":\"cniscope\",\"cniscope\":{}}]}",
            "plugins[0]: \"type\" is \"cniscope\", but \"cniscope\" has no \"wraps\": set it to the name of the plugin",
        ),
        (
            b"{\"plugins\":[{\"type\":\"a\",\"cniscope\":{\"wraps\":\"a\"}}]}",
            "plugins[0]: runs \"a\", but has a \"cniscope\" too, as key or as \"type\": remove it",
        ),
        (
            b"{\"type\":\"cniscope\",\"type\":\"a\"}",
            "the plugin: runs \"a\", but has a \"cniscope\" too, as key or as \"type\": remove it",
        ),
        (
            b"{\"plugins\":[{\"type\":\"a\"},{\"type\":\"b\"},{\"type\":\"a\"}]}",
            "plugins[0] and plugins[2] both run \"a\": calls of the one could not be told from the other's",
        ),
        (
            b"{\"plugins\":[{\"type\":\"cniscope\",\"cniscope\":{\"wraps\":\"a\"}},{\"type\":\"\\u0061\"}]}",
            "plugins[0] and plugins[1] both run \"a\": calls of the one could not be told from the other's",
        ),
    ];
    for (document, expected) in table {
        let refused = text(wrap(document, Which::All)).unwrap_err();
        assert_eq!(refused, *expected, "{}", String::from_utf8_lossy(document));
    }
}

#[test]
fn unwrapping_leaves_alone_what_was_never_wrapped() {
    for document in [
        r#"{"plugins":[{"type":"a"},{"name":"no type"},{"type":"a"}]}"#,
        r#"{"plugins":[{"type":"a","cniscope":7}]}"#,
        r#"{"type":["a"]}"#,
    ] {
        assert_eq!(text(unwrap(document.as_bytes())).unwrap(), document);
    }
}

#[test]
fn unwrapping_takes_back_entries_that_could_not_be_wrapped_now() {
    assert_eq!(
        text(unwrap(
            br#"{"plugins":[{"type":"cniscope","cniscope":{"wraps":"a"}},{"type":"a"},{"type":"b","cniscope":{"wraps":"b"}}]}"#
        )),
        Ok(r#"{"plugins":[{"type":"a"},{"type":"a"},{"type":"b"}]}"#.to_owned())
    );
}

#[test]
fn an_entry_that_does_not_say_what_it_wraps_is_not_unwrapped() {
    assert_eq!(
        unwrap(br#"{"plugins":[{"type":"a"},{"type":"cniscope","cniscope":{}}]}"#),
        Err(ConflistError::WrapsNothing { place: Place::Plugins(1) })
    );
}

/// White space that a document may have anywhere.
fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

/// Any value, as it may be written: exact numbers, escapes, nesting, and keys that mean something elsewhere.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "null",
        "true",
        "-0.10e+5",
        "12345678901234567890",
        "1.0",
        r#""""#,
        r#""\ud800""#,
        r#""\u00e9\/\"""#,
        r#""[{,:}]""#,
        r#""cniscope""#,
        "\"é\"",
    ]);
    let key = prop::sample::select(vec![r#""type""#, r#""cniscope""#, r#""a""#, r#""plugins""#]);
    scalar.prop_map(str::to_owned).boxed().prop_recursive(3, 12, 3, move |inner| {
        let array = (prop::collection::vec(inner.clone(), 0..3), space())
            .prop_map(|(values, space)| format!("[{space}{}]", values.join(&format!("{space},"))));
        let members = prop::collection::vec((key.clone(), inner), 0..3);
        let object = (members, space()).prop_map(|(members, space)| {
            let members: Vec<_> =
                members.iter().map(|(key, value)| format!("{space}{key}:{space}{value}")).collect();
            format!("{{{}{space}}}", members.join(","))
        });
        prop_oneof![array, object]
    })
}

/// Members with keys that nobody knows, some of them twice.
fn members() -> impl Strategy<Value = Vec<String>> {
    let key = prop::sample::select(vec![r#""a""#, r#""b""#, r#""\u0061""#, r#""Type""#, r#""ipam""#]);
    let member = (space(), key, space(), value(), space())
        .prop_map(|(a, key, b, value, c)| format!("{a}{key}{b}:{b}{value}{c}"));
    prop::collection::vec(member, 0..4)
}

/// An entry for a plugin whose name holds `%`, to be replaced by what tells the plugins of a list apart.
fn entry() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![r#""p%""#, r#""\u0070%""#, r#""calico-%.x""#]);
    let earlier = prop::sample::select(vec!["", r#""type":7,"#, r#""type" : "other", "#]);
    (members(), space(), earlier, kind, members()).prop_map(|(mut all, space, earlier, kind, after)| {
        all.push(format!("{space}{earlier}\"type\"{space}:{kind}{space}"));
        all.extend(after);
        format!("{{{}}}", all.join(","))
    })
}

/// A document, and the entries in it.
fn conflist() -> impl Strategy<Value = (String, Vec<String>)> {
    let entries = prop::collection::vec(entry(), 1..4).prop_map(|entries| {
        let numbered = entries.iter().enumerate();
        numbered.map(|(position, entry)| entry.replace('%', &position.to_string())).collect::<Vec<_>>()
    });
    (members(), entries, space(), members()).prop_map(|(mut all, entries, space, after)| {
        let plugins = entries.join(&format!("{space},{space}"));
        all.push(format!("{space}\"plugins\"{space}:[{space}{plugins}{space}]"));
        all.extend(after);
        (format!("{space}{{{}}}{space}", all.join(",")), entries)
    })
}

proptest! {
    #[test]
    fn what_was_wrapped_can_be_taken_back_and_gives_each_plugin_its_entry((document, entries) in conflist()) {
        let wrapped = wrap(document.as_bytes(), Which::All).unwrap();
        prop_assert_eq!(text(unwrap(&wrapped)).unwrap(), document);
        prop_assert_eq!(wrap(&wrapped, Which::All).unwrap(), wrapped.clone());
        let configuration = Network::read(&wrapped).unwrap();
        prop_assert_eq!(configuration.entries.len(), entries.len());
        let whole = json::validate(&wrapped).unwrap();
        let plugins = Entry::within(&wrapped, &whole).unwrap().last("plugins").unwrap().value.clone();
        for (place, expected) in json::elements(&wrapped, &plugins).unwrap().into_iter().zip(entries) {
            // As the delegate's stdin is made of the shim's.
            let stdin = &wrapped[place];
            let entry = Entry::read(stdin).unwrap();
            prop_assert_eq!(entry.string("type").unwrap(), entry::NAME);
            let delegates = entry::apply(stdin, &entry.unwrapped().unwrap());
            prop_assert_eq!(String::from_utf8(delegates).unwrap(), expected);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = wrap(&bytes, Which::All);
        let _ = unwrap(&bytes);
    }
}
