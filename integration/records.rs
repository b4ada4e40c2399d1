//! What the journal holds of calls of real plugins.

use serde_json::{Value, json};

use crate::network::{NAME, Network, Wrapping};

fn ptp() -> Value {
    json!({"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.8.0.0/24"}})
}

#[test]
fn the_pod_that_the_runtime_names_is_in_every_record() {
    let network = Network::of(json!([ptp(), {"type": "tuning"}]));
    let world = network.world("1.1.0", Wrapping::Whole);
    let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-7d9;K8S_POD_UID=6f1e";
    for verb in ["add", "check", "del"] {
        let ran = world.cnitool(verb, NAME).env("CNI_ARGS", args).run();
        assert_eq!((ran.status, ran.answer().2.as_str()), (0, ""));
    }
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    let records: Vec<_> = world
        .records()
        .iter()
        .map(|record| {
            ["event", "command", "plugin", "pod_namespace", "pod_name"].map(|field| text(record, field))
        })
        .collect();
    let calls = [
        ("ADD", "ptp"),
        ("ADD", "tuning"),
        ("CHECK", "ptp"),
        ("CHECK", "tuning"),
        ("DEL", "tuning"),
        ("DEL", "ptp"),
    ];
    let expected: Vec<_> = calls
        .iter()
        .flat_map(|(command, plugin)| {
            ["begin", "end"].map(|event| [event, command, plugin, "shop", "cart-7d9"].map(str::to_owned))
        })
        .collect();
    assert_eq!(records, expected);
    assert!(world.ends().iter().all(|end| end["pod_uid"] == "6f1e"));
    let listed = world.cli(&["journal", "--pod", "shop/cart-7d9", "-o", "json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), calls.len());
}

#[test]
fn a_configuration_and_a_result_of_64_kb_pass() {
    let domains: Vec<String> = (0..2600).map(|number| format!("namespace-{number}.svc.example")).collect();
    let mut ptp = ptp();
    ptp["dns"] = json!({"search": domains});
    let network = Network::of(json!([ptp, {"type": "tuning", "mtu": 1400}])).versions(&["1.1.0"]);
    assert!(network.list("1.1.0", Wrapping::Direct).to_string().len() > 64 << 10);
    network.is_the_same(|_, steps| {
        assert!(steps[1].stdout.len() > 64 << 10, "{}", steps[1].stderr);
        assert!(steps.iter().all(|step| step.status == 0));
    });
}
