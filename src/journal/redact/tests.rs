use super::*;
use serde_json::json;

fn redacted(mut value: Value) -> Value {
    Redaction::new(&["myKey".to_owned()]).value(&mut value);
    value
}

#[test]
fn values_go_by_their_keys() {
    let value = json!({
        "password": "hunter2", "k8s_auth_token": "abc", "apiKey": "abc", "client-key-data": "LS0t", "myKey": {"a": 1},
        "nested": [{"clientSecret": "x"}], "token": 12345, "k8s_client_key": "MIIEvQIBADANBgkqhkiG9w0B", "pass": "x",
    });
    let expected = json!({
        "password": REDACTED, "k8s_auth_token": REDACTED, "apiKey": REDACTED, "client-key-data": REDACTED,
        "myKey": REDACTED, "nested": [{"clientSecret": REDACTED}], "token": REDACTED, "k8s_client_key": REDACTED,
        "pass": REDACTED,
    });
    assert_eq!(redacted(value), expected);
}

#[test]
fn evidence_stays() {
    let value = json!({
        "etcd_key_file": "/calico-secrets/etcd-key", "etcd_ca_cert_file": "/calico-secrets/etcd-ca",
        "kubeconfig": "/etc/cni/net.d/calico-kubeconfig", "k8s_client_key": "/etc/cni/key.pem", "tokenFile": "/var/run/token",
        "secretName": "cilium-ipsec", "token": null, "password": "", "automountServiceAccountToken": false,
        "type": "bridge", "key": "value", "id": "4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f",
        "dst": "10.0.0.0/8", "K8S_POD_NAME": "token-server-0",
    });
    assert_eq!(redacted(value.clone()), value);
}

#[test]
fn texts_lose_what_looks_like_a_secret() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2ln";
    let table = [
        (format!("token {jwt} expired"), "token <redacted> expired"),
        (format!("Authorization: Bearer {jwt}"), "Authorization: Bearer <redacted>"),
        ("authorization: Basic dXNlcjpwYXNz".into(), "authorization: Basic <redacted>"),
        (
            "get https://user:pa$s@etcd:2379/v3: timeout".into(),
            "get https://<redacted>@etcd:2379/v3: timeout",
        ),
        ("proxy http://me@proxy:3128, refused".into(), "proxy http://<redacted>@proxy:3128, refused"),
        ("run x --token abc --password=def -v".into(), "run x --token <redacted> --password=<redacted> -v"),
        (
            r#"bad config {"password": "a b", "x": 1}"#.into(),
            r#"bad config {"password": "<redacted>", "x": 1}"#,
        ),
        (r#"\"secret\":\"abc\" rest"#.into(), r#"\"secret\":\"<redacted>\" rest"#),
        ("PASSWORD=x;USER=y".into(), "PASSWORD=<redacted>;USER=y"),
        ("token: a1b2c3d4e5f6a1b2".into(), "token: <redacted>"),
        ("use abcdef.0123456789abcdef to join".into(), "use <redacted> to join"),
        ("key AKIAIOSFODNN7EXAMPLE refused".into(), "key <redacted> refused"),
        ("ghp_0123456789abcdef0123456789abcdef0123".into(), "<redacted>"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b".into(), "a <redacted> b"),
        ("a -----BEGIN CERTIFICATE-----\nMII".into(), "a <redacted>"),
        ("ca: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t.".into(), "ca: <redacted>."),
    ];
    for (text, expected) in table {
        assert_eq!(Redaction::default().text(&text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn errors_stay_whole() {
    for text in [
        "service account token expired",
        "error: token: signature is invalid",
        "failed to get secret: not found",
        "the server has asked for the client to provide credentials",
        "invalid bearer token",
        "open /run/flannel/subnet.env: no such file or directory",
        "stat /etc/cni/net.d/calico-kubeconfig: no such file or directory",
        "dial tcp 10.96.0.1:443: i/o timeout",
        "Get \"https://10.96.0.1:443/api/v1/namespaces/default?limit=1\": x509: certificate has expired",
        "no IP addresses available in range set: 10.244.7.1-10.244.7.6",
        "user@host: permission denied",
        "zażółć: password",
        "master.kubernetesdefault",
        "K8S_POD_INFRA_CONTAINER_ID=4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f6e9d8c7a4b2f",
    ] {
        assert_eq!(Redaction::default().text(text), None, "{text}");
    }
}

fn written(document: &impl serde::Serialize, redaction: &Redaction) -> String {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, Redacting::new(redaction));
    document.serialize(&mut serializer).unwrap();
    String::from_utf8(json).unwrap()
}

#[test]
fn what_is_written_is_what_serde_json_writes() {
    let numbers = (-1_i8, 2.5_f64, 1e300_f64, f64::NAN, u64::MAX, i128::MIN, true, ());
    let keys = std::collections::BTreeMap::from([(7_u16, "seven"), (8, "eight")]);
    let flags = std::collections::BTreeMap::from([(true, 'c')]);
    let texts = ["", "a\"b\\c/d", "\u{1}\u{8}\u{c}\n\r\t\u{7f}", "zażółć"];
    let document = (numbers, keys, flags, texts, Some(Vec::<u8>::new()), json!({}));
    assert_eq!(written(&document, &Redaction::default()), serde_json::to_string(&document).unwrap());
}

#[test]
fn what_a_secret_holds_is_left_out_whole() {
    let redaction = Redaction::default();
    let document =
        json!({"secret": {"a": [1, {"b": "c"}], "d": true}, "token": [[], {}], "e": [{"pass": 1.5}, null]});
    let expected = r#"{"secret":"<redacted>","token":"<redacted>","e":[{"pass":"<redacted>"},null]}"#;
    assert_eq!(written(&document, &redaction), expected);
    let raw = std::collections::BTreeMap::from([("pass", ((1, "x"), [2_u8; 3]))]);
    assert_eq!(written(&raw, &redaction), r#"{"pass":"<redacted>"}"#);
}

/// Documents with keys and texts that matter here.
fn documents() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let key =
        "(my|api|client|pass|k8s_auth|etcd)?[_-]?([kK]ey|token|word|cert|name|file|secret|ca|data|Id|x)?";
    let text = "(token|password|--secret|bearer|basic)?[=: \"]{0,2}(eyJ)?[a-zA-Z0-9+./\\\\ \n\u{e9}-]{0,24}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_what_the_tree_would_become(document in documents()) {
        let redaction = Redaction::new(&["myKey".to_owned()]);
        let mut tree = document.clone();
        redaction.value(&mut tree);
        proptest::prop_assert_eq!(written(&document, &redaction), tree.to_string());
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}|(://|eyJ|--token|=|:|\"|\\\\| |ż|\\.|@|-----BEGIN |bearer ){0,12}") {
        let redaction = Redaction::default();
        if let Some(clean) = redaction.text(&text) {
            proptest::prop_assert!(clean.contains(REDACTED));
        }
    }

    #[test]
    fn a_planted_password_never_stays(before in "[a-z ,;]{0,20}", password in "[A-Za-z0-9+/]{8,30}", after in "[a-z ]{0,20}") {
        let clean = Redaction::default().text(&format!("{before} password={password} {after}")).unwrap();
        proptest::prop_assert!(!clean.contains(&password));
    }
}

#[test]
fn every_key_of_a_secret_is_looked_at() {
    let keys = SECRET_KEYS.iter().chain(&SHORT_SECRET_KEYS).chain(&MATERIAL_ENDS);
    for key in keys {
        for key in [(*key).to_owned(), format!("x_{}", key.to_uppercase()), format!("1{key}")] {
            assert!(!is_harmless(&key), "{key}");
        }
    }
    for key in ["", "name", "pod_name", "ifname", "type", "12"] {
        assert!(is_harmless(key), "{key}");
    }
}
