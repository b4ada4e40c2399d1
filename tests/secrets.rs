//! What is secret reaches the plugin and the runtime, and no record. A record is never too long.

use std::fs;

use serde_json::{Value, json};

use crate::support::Place;

const HIDDEN: &str = "<redacted>";
/// Shaped like a service account's token.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLWJ5dGVz";

/// Everything that has been written beside the journal and into it.
fn written(place: &Place) -> String {
    let files = fs::read_dir(place.path("log")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn secrets_of_the_configuration_are_hidden_and_paths_stay() {
    let place = Place::new();
    place.plugin("plugin", "cat >\"$0.stdin\"; echo '{}'");
    let policy = json!({
        "type": "k8s", "k8s_auth_token": TOKEN, "k8s_client_key_data": "c2VjcmV0LWtleS1kYXRh", "note": format!("Bearer {TOKEN}"),
    });
    let call = place
        .wrapped("ADD", "plugin")
        .config("etcd_key_file", json!("/etc/calico/key.pem"))
        .config(
            "kubernetes",
            json!({"kubeconfig": "/etc/cni/net.d/calico-kubeconfig", "password": "hunter-2"}),
        )
        .config("policy", policy)
        .config("url", json!("https://admin:hunter-2@etcd:2379/v3"))
        .config("ca", json!("-----BEGIN CERTIFICATE-----\nhunter-2\n-----END CERTIFICATE-----\n"));
    assert_eq!(call.run().status, 0);
    let config = &place.end()["config"];
    let expected = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "cniscope", "cniscope": {"wraps": "plugin"},
        "etcd_key_file": "/etc/calico/key.pem",
        "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig", "password": HIDDEN},
        "policy": {"type": "k8s", "k8s_auth_token": HIDDEN, "k8s_client_key_data": HIDDEN, "note": "Bearer <redacted>"},
        "url": "https://<redacted>@etcd:2379/v3",
        "ca": "<redacted>\n",
    });
    assert_eq!(config, &expected);
    let got = fs::read_to_string(place.path("bin/plugin.stdin")).unwrap();
    for secret in [TOKEN, "hunter-2", "c2VjcmV0LWtleS1kYXRh"] {
        assert!(got.contains(secret), "{secret} did not reach the plugin");
        assert!(!written(&place).contains(secret), "{secret} is written down");
    }
}

#[test]
fn secrets_of_the_environment_are_hidden() {
    let place = Place::new();
    place.plugin("plugin", "echo '{}'");
    let call = place
        .wrapped("ADD", "plugin")
        .env("CNI_ARGS", format!("K8S_POD_NAME=p;PASSWORD=hunter-2;X={TOKEN}"))
        .env("https_proxy", "http://user:hunter-2@proxy:3128")
        .env("AWS_SECRET_ACCESS_KEY", "hunter-2");
    assert_eq!(call.run().status, 0);
    let end = place.end();
    assert_eq!(end["env"]["CNI_ARGS"], "K8S_POD_NAME=p;PASSWORD=<redacted>;X=<redacted>");
    assert_eq!(end["env"]["https_proxy"], "http://<redacted>@proxy:3128");
    assert_eq!(end["env"]["AWS_SECRET_ACCESS_KEY"], json!(null));
    assert!(!written(&place).contains("hunter-2") && !written(&place).contains(TOKEN));
}

#[test]
fn secrets_of_an_error_are_returned_and_not_recorded() {
    let place = Place::new();
    let error = json!({"code": 999, "msg": "Get \"https://admin:hunter-2@api/\": denied", "details": format!("password=hunter-2 {TOKEN}")});
    place.plugin("plugin", &format!("cat <<'end'\n{error}\nend\necho 'token: {TOKEN}' >&2; exit 1"));
    let ran = place.wrapped("ADD", "plugin").run();
    let msg = ran.json()["msg"].as_str().unwrap().to_owned();
    assert_eq!(msg, "plugin type=\"plugin\" failed (add): Get \"https://admin:hunter-2@api/\": denied");
    let details = ran.json()["details"].as_str().unwrap().to_owned();
    assert!(details.starts_with(&format!("password=hunter-2 {TOKEN} [cniscope: ")), "{details}");
    let end = place.end();
    let clean = json!({"code": 999, "msg": "Get \"https://<redacted>@api/\": denied", "details": "password=<redacted> <redacted>"});
    assert_eq!(end["error"], clean);
    assert_eq!(end["stderr"], "token: <redacted>\n");
    assert!(!written(&place).contains("hunter-2") && !written(&place).contains(TOKEN));
}

/// The one end record, with the length of its line.
fn line(place: &Place) -> (Value, usize) {
    let end = place.end();
    let text = fs::read_to_string(place.path("log/journal.jsonl")).unwrap();
    (end, text.lines().last().unwrap().len() + 1)
}

#[test]
fn a_long_configuration_is_cut_in_its_record_and_named() {
    for filler in [json!("x".repeat(300_000)), json!((0..60_000).collect::<Vec<u32>>())] {
        let place = Place::new();
        place.plugin("plugin", "cat >\"$0.stdin\"; echo '{}'");
        assert_eq!(place.wrapped("ADD", "plugin").config("filler", filler).run().status, 0);
        let (end, length) = line(&place);
        assert_eq!(end["truncated"], json!(["config"]));
        assert!(length <= 256 * 1024, "{length} bytes");
        assert_eq!((&end["outcome"], &end["result"]), (&json!("ok"), &json!({})));
        assert!(fs::metadata(place.path("bin/plugin.stdin")).unwrap().len() > 300_000);
    }
}

#[test]
fn the_largest_fields_are_cut_first() {
    let place = Place::new();
    place.plugin("plugin", "head -c 200000 /dev/zero | tr '\\0' e >&2; printf '{\"x\":\"'; head -c 400000 /dev/zero | tr '\\0' r; printf '\"}'");
    assert_eq!(place.wrapped("ADD", "plugin").config("small", json!("y".repeat(1000))).run().status, 0);
    let (end, length) = line(&place);
    assert_eq!(end["truncated"], json!(["result"]));
    assert_eq!(end["config"]["small"], "y".repeat(1000));
    assert!(length <= 256 * 1024, "{length} bytes");
}
