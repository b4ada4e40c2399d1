//! What a file or a word of a configuration can be.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// What parsers and terminals stumble over.
const ODD: [&str; 26] = [
    "\u{1b}[31m",
    "\u{1b}]0;title\u{7}",
    "\u{9b}2J",
    "\u{202e}",
    "\u{200b}",
    "\\u001b[2J",
    "\\u202e",
    "\0",
    "\r",
    "\n",
    "\n\n",
    "\t",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    "-1",
    "1e999",
    "18446744073709551616",
    "/../../..",
    "é",
];
/// What checks look for.
const WORDS: [&str; 18] = [
    "",
    "bridge",
    "host-local",
    "cilium-cni",
    "calico-ipam",
    "dhcp",
    "1.0.0",
    "10.1.0.0/24",
    "10.1.0.0/0",
    "10.1.0.9",
    "::/0",
    "fd00::1",
    "eth0",
    "cni0",
    "/run/netns/abc",
    "/etc/cni/net.d",
    "/etc/cni/net.d/calico-kubeconfig",
    "../../etc",
];
/// Keys of configurations.
const KEYS: [&str; 16] = [
    "type",
    "name",
    "ipam",
    "ranges",
    "subnet",
    "gateway",
    "routes",
    "dst",
    "plugins",
    "delegate",
    "prevResult",
    "ips",
    "address",
    "interface",
    "mtu",
    "cniscope",
];

/// A name, an address or a path, which may be none.
pub fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&WORDS[..]).prop_map(str::to_owned),
        (select(&WORDS[..]), select(&ODD[..])).prop_map(|(word, odd)| format!("{word}{odd}")),
        "\\PC{0,20}",
    ]
}

/// Any JSON.
pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
        Just(json!("9".repeat(5000))),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let key = prop_oneof![4 => select(&KEYS[..]).prop_map(str::to_owned), 1 => word()];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..6).prop_map(Value::from_iter),
        ]
    })
}

/// What a file holds that has to hold something like this.
pub fn like(valid: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let odd = prop_oneof![
        4 => select(&ODD[..]).prop_map(|odd| odd.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..8),
    ];
    let changes = proptest::collection::vec((any::<Index>(), 0_usize..12, odd), 1..4);
    prop_oneof![
        4 => Just(valid.as_bytes().to_vec()),
        4 => changes.prop_map(move |changes| changed(valid, changes)),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => select(absurd()),
    ]
}

/// The text with other bytes in the place of some of its own.
fn changed(valid: &str, changes: Vec<(Index, usize, Vec<u8>)>) -> Vec<u8> {
    let mut content = valid.as_bytes().to_vec();
    for (index, length, odd) in changes {
        let start = index.index(content.len() + 1);
        let end = (start + length).min(content.len());
        content.splice(start..end, odd);
    }
    content
}

fn absurd() -> Vec<Vec<u8>> {
    let texts = [
        String::new(),
        "[".repeat(20_000),
        "{\"a\":".repeat(5000),
        "x".repeat(300_000),
        "9".repeat(5000),
        "\u{1b}[2J\n".repeat(300),
        "99999999999999999999 -1 0x 0\n".repeat(20),
    ];
    texts.map(String::into_bytes).to_vec()
}
