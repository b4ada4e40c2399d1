//! Secrets of many kinds, planted wherever a bundle looks: none of them is in it, by name or by content.

use std::fs;

use serde_json::{Value, json};

use super::{bundle, files, node, put, unpacked};
use crate::support::Place;

/// A kind of secret: what must not be in a bundle, and how it stands in a text, such as a log. In a file with keys it stands
/// under one that nobody knows.
struct Secret {
    kind: &'static str,
    value: &'static str,
    text: &'static str,
}

const fn secret(kind: &'static str, value: &'static str, text: &'static str) -> Secret {
    Secret { kind, value, text }
}

/// None of them opens anything.
const SECRETS: [Secret; 21] = [
    secret(
        "service account's token",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJlLWJ5dGVz",
        "sent eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJlLWJ5dGVz",
    ),
    secret(
        "private key",
        "MIIEowIBAAKCAQEAprivate",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAprivate\n-----END RSA PRIVATE KEY-----",
    ),
    secret(
        "certificate",
        "MIIDdzCCAl+gAwIBpublic",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBpublic\n-----END CERTIFICATE-----",
    ),
    secret("password", "correct-horse-battery", "the password=correct-horse-battery is wrong"),
    secret("password of a sentence", "staple-weapon", "user admin, password: staple-weapon"),
    secret("credentials in a URL", "admin:tr0ub4dor", "Get \"https://admin:tr0ub4dor@etcd:2379/v3\": denied"),
    secret("basic authentication", "YWRtaW46dHIwdWI0ZG9y", "Authorization: Basic YWRtaW46dHIwdWI0ZG9y"),
    secret("bearer", "opaque-bearer-4711", "Authorization: Bearer opaque-bearer-4711"),
    secret("AWS key id", "AKIAIOSFODNN7EXAMPLE", "signed by AKIAIOSFODNN7EXAMPLE"),
    secret(
        "AWS secret key",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    secret(
        "GitHub's token",
        "ghp_abcdefghijklmnopqrstuvwxyz012345",
        "clone with ghp_abcdefghijklmnopqrstuvwxyz012345",
    ),
    secret("GitLab's token", "glpat-abcdefghij0123456789", "clone with glpat-abcdefghij0123456789"),
    secret("Slack's token", "xoxb-123456789012-abcdefghij", "told xoxb-123456789012-abcdefghij"),
    secret(
        "Google's key",
        "AIzaSyA-1234567890abcdefghijklmnopqrstuv",
        "asked with AIzaSyA-1234567890abcdefghijklmnopqrstuv",
    ),
    secret("Vault's token", "hvs.CAESIJabcdefghijklmnop", "renewed hvs.CAESIJabcdefghijklmnop"),
    secret("bootstrap token", "abcdef.0123456789abcdef", "joined with abcdef.0123456789abcdef"),
    secret(
        "registry's credentials",
        "dXNlcjpodW50ZXItMg==",
        "{\"auths\":{\"r.example.org\":{\"auth\":\"dXNlcjpodW50ZXItMg==\"}}}",
    ),
    secret(
        "key of a kubeconfig",
        "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCmFiYwo=",
        "client-key-data: LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCmFiYwo=",
    ),
    secret(
        "WireGuard's key",
        "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
        "interface has yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
    ),
    secret(
        "hash of a password",
        "$6$saltsalt$abcdefghijklmnopqrstuvwxyz",
        "root:$6$saltsalt$abcdefghijklmnopqrstuvwxyz:19000",
    ),
    secret("cookie", "session=opaque4711", "Cookie: session=opaque4711"),
];

/// Base64 as libcni keeps configurations in.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let digit = |place: usize| char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
        text.extend((0..4).map(|place| if place > three.len() { '=' } else { digit(place) }));
    }
    text
}

/// What base64 stands for; text that is none gives anything.
fn from_base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let of_four = |four: &[u8]| {
        let bits =
            four.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(|four| if four.len() > 1 { of_four(four) } else { Vec::new() }).collect()
}

/// Plants a secret everywhere; `number` keeps the files of one from those of another.
fn plant(place: &Place, number: usize, secret: &Secret) {
    let Secret { value, text, .. } = secret;
    let config = json!({
        "cniVersion": "1.0.0", "name": format!("net{number}"), "type": "bridge", "acme": value, "own": {"name": value, *value: "x"},
        "kubernetes": {"kubeconfig": "/etc/cni/net.d/k", "acme": [value]}, "ipam": {"type": "host-local", "dns": {"domain": text}},
    });
    let list = json!({"cniVersion": "1.0.0", "name": "l", "plugins": [config], "remark": text});
    put(place, &format!("etc/cni/net.d/20-{number}.conflist"), list.to_string());
    put(
        place,
        &format!("etc/cni/net.d/30-{number}.conflist"),
        format!("{{\"name\": \"broken\",\n\"acme\": \"{value}\",\n{text}\n"),
    );
    let kubeconfig = format!(
        "clusters:\n- cluster:\n    server: https://10.96.0.1:443\n    acme: {value}\nusers:\n- name: u\n  user:\n    token: {value}\n    \
         password: |\n      {value}\n    exec:\n      args:\n      - {value}\n      env:\n      - name: {value}\n# {text}\n"
    );
    put(place, &format!("etc/cni/net.d/k{number}-kubeconfig"), kubeconfig);
    let file_name = text.replace('/', "%");
    put(place, &format!("etc/cni/net.d/{}", &file_name[..file_name.len().min(200)]), text);
    put(
        place,
        &format!("etc/containerd/conf.d/{number}.toml"),
        format!("version = 2\nacme = \"{value}\"\n# {text}\n[x]\npassword = \"\"\"\n{value}\n\"\"\"\n"),
    );
    put(place, &format!("etc/cniscope/signatures.d/{number}.json"), json!([{"text": text}]).to_string());
    put(place, &format!("etc/modprobe.d/{number}.conf"), text);
    let cached = json!({
        "kind": "cniCacheV1", "containerId": "c", "config": base64(list.to_string().as_bytes()), "cniArgs": [["PIN", value], ["K8S_POD_NAME", text]],
        "capabilityArgs": {"acme": value}, "result": {"ips": [], "acme": value}, "acme": value,
    });
    put(place, &format!("var/lib/cni/results/net{number}-c-eth0"), cached.to_string());
    let of_multus =
        json!([{"Conf": {"type": "bridge", "acme": value}, "Bytes": base64(config.to_string().as_bytes())}]);
    put(place, &format!("var/lib/cni/multus/c{number}"), of_multus.to_string());
    put(place, &format!("var/lib/cni/networks/net{number}/10.1.0.2"), format!("{text}\r\neth0"));
    put(place, &format!("var/lib/cni/networks/net{number}/keys"), value);
    put(
        place,
        &format!("var/log/pods/kube-system_calico-node-{number}_1/calico-node/0.log"),
        format!("2026-11-21T10:20:30Z stderr F {text}\n"),
    );
}

/// What is one file with lines of all of them.
fn plant_together(place: &Place) {
    let each = |line: &dyn Fn(&Secret) -> String| {
        SECRETS.iter().map(|secret| line(secret) + "\n").collect::<String>()
    };
    let texts = each(&|secret| secret.text.to_owned());
    for log in ["kubelet.log", "containerd.log", "calico/cni/cni.log", "multus.log"] {
        put(place, &format!("var/log/{log}"), &texts);
    }
    put(
        place,
        "run/flannel/subnet.env",
        each(&|secret| format!("FLANNEL_OWN={}", secret.value.replace('\n', " "))),
    );
    put(place, "etc/os-release", each(&|secret| format!("OWN=\"{}\"", secret.value)));
    put(
        place,
        "etc/cniscope/config.json",
        json!({"own": SECRETS.map(|secret| secret.value), "redact": ["ownkey"]}).to_string(),
    );
    put(place, "proc/1/mounts", each(&|secret| format!("x /mnt cifs rw,own={} 0 0", secret.value)));
    let record = |secret: &Secret| {
        let Secret { value, text, .. } = secret;
        json!({
            "schema": 1, "event": "end", "id": "019aa000-0000-7000-8000-000000000001", "outcome": "failed", "stderr": text, "error": {"msg": text, "details": text},
            "config": {"type": "bridge", "acme": value}, "env": {"CNI_ARGS": format!("PIN={value}"), "HOME": value}, "future": {"x": value},
            "checks": [{"check": "agent", "evidence": {"last_lines": [text], "token": value}}], "trace": {"baggage": value},
            "diagnosis": {"evidence": [text]}, "result": {"acme": value}, "stdout_raw": text,
        })
        .to_string()
    };
    // As an earlier version would have written it, which hid nothing; and a line that is torn.
    let records = each(&record);
    fs::write(place.path("log/journal.jsonl"), format!("{records}{}", &record(&SECRETS[3])[..120])).unwrap();
    fs::write(place.path("log/cniscope.log"), &texts).unwrap();
}

#[test]
fn none_of_many_kinds_of_secrets_is_in_a_bundle() {
    let place = node();
    for (number, secret) in SECRETS.iter().enumerate() {
        plant(&place, number, secret);
    }
    plant_together(&place);
    assert_eq!(bundle(&place, &[]).status, 0);
    let files = files(&unpacked(&place));
    for path in [
        "host/etc/cni/net.d/20-0.conflist",
        "host/etc/cni/net.d/k0-kubeconfig",
        "host/var/lib/cni/results/net0-c-eth0",
        "logs/kubelet.log",
        "host/etc/containerd/conf.d/0.toml",
        "host/var/lib/cni/multus/c0",
        "host/var/lib/cni/networks/net0/10.1.0.2",
        "host/proc/mounts",
        "host/etc/os-release",
        "host/run/flannel/subnet.env",
        "journal/journal.jsonl",
        "journal/cniscope.log",
        "logs/calico/cni/cni.log",
        "logs/pods/kube-system_calico-node-0_1/calico-node/0.log",
        "host/etc/cniscope/config.json",
    ] {
        assert!(files.contains_key(path), "{path} is not in the bundle: {:?}", files.keys());
    }
    let mut leaks = Vec::new();
    for (path, content) in &files {
        let content = String::from_utf8_lossy(content);
        let words = content.split(|letter: char| !(letter.is_ascii_alphanumeric() || "+/=".contains(letter)));
        let decoded: Vec<u8> = words
            .filter(|word| word.len() >= 16)
            .flat_map(|word| [from_base64(word), vec![b' ']].concat())
            .collect();
        let decoded = String::from_utf8_lossy(&decoded);
        for Secret { kind, value, .. } in &SECRETS {
            for (whose, text) in [("content", &content), ("base64", &decoded)] {
                leaks.extend(text.contains(value).then(|| format!("{kind}: {whose} of {path}")));
            }
            leaks.extend(path.contains(value).then(|| format!("{kind}: path {path}")));
        }
    }
    assert_eq!(leaks, [""; 0]);
}

#[test]
fn what_is_no_secret_is_still_there() {
    let place = node();
    plant(&place, 0, &SECRETS[0]);
    bundle(&place, &[]);
    let folder = unpacked(&place);
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
    let kubeconfig = "clusters:\n- cluster:\n    server: https://10.96.0.1:443\n    acme: <redacted>\nusers:\n- name: u\n  user:\n    \
        token: <redacted>\n    password: <redacted>\n# <redacted>\n    exec:\n# <redacted>\n# <redacted>\n# <redacted>\n# <redacted>\n# <redacted>\n";
    assert_eq!(read("host/etc/cni/net.d/k0-kubeconfig"), kubeconfig);
    let cached: Value = serde_json::from_str(&read("host/var/lib/cni/results/net0-c-eth0")).unwrap();
    let config: Value = serde_json::from_slice(&from_base64(cached["config"].as_str().unwrap())).unwrap();
    assert_eq!(
        json!([config["name"], config["remark"], config["plugins"][0]["type"]]),
        json!(["l", "<redacted>", "bridge"])
    );
    assert_eq!(
        json!([cached["containerId"], cached["cniArgs"]]),
        json!(["c", ["<redacted>", ["K8S_POD_NAME", "sent <redacted>"]]])
    );
}
