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

proptest::proptest! {
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
