use uuid::Uuid;

use super::*;

const ID: &str = "01a1fe8f-3023-745d-8059-1b289f195fb9";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn call(more: Value, outcome: &str) -> Call {
    let mut record = json!({
        "id": ID, "time": "2026-11-21T10:20:30.000007Z", "node": "worker-1", "pid": 41, "command": "ADD",
        "container_id": "c1", "ifname": "eth0", "netns": "/run/netns/a", "network": "pods", "plugin": "bridge",
    });
    if let (Value::Object(fields), Value::Object(more)) = (&mut record, more) {
        fields.extend(more);
    }
    Call { record, outcome: outcome.to_owned(), stalls: Vec::new() }
}

/// The spans of a call, with their attributes as an object.
fn spans(call: &Call) -> Vec<Value> {
    let mut request = request(call).unwrap();
    let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array_mut().unwrap();
    for span in spans.iter_mut() {
        let plain = plain(&span["attributes"]);
        span["attributes"] = plain;
    }
    spans.clone()
}

/// Attributes as an object; a number of 64 bits stays the text that it is.
fn plain(attributes: &Value) -> Value {
    let pairs = attributes.as_array().into_iter().flatten().map(|attribute| {
        let (form, value) = attribute["value"].as_object().unwrap().iter().next().unwrap();
        let texts = |value: &Value| {
            value["values"].as_array().unwrap().iter().map(|one| one["stringValue"].clone()).collect()
        };
        let value = if form == "arrayValue" { Value::Array(texts(value)) } else { value.clone() };
        (attribute["key"].as_str().unwrap().to_owned(), value)
    });
    Value::Object(pairs.collect())
}

#[test]
fn a_failed_call_is_a_span_with_three_children() {
    let more = json!({
        "pod_namespace": "shop", "pod_name": "cart", "pod_uid": "uid-1", "cniscope_version": "0.1.0", "cni_version": "1.0.0",
        "plugin_path": "/opt/cni/bin/bridge", "duration_ms": 12.5, "plugin_ms": 8.25, "overhead_ms": 4.25,
        "plugin_after_ms": 1.5, "exit_status": 1, "signal": null, "plugin_pid": 43, "plugin_rss_kb": 9420,
        "plugin_cpu_ms": 7.5, "cause": "ipam-exhausted", "caller": {"pid": 7, "name": "containerd"},
        "error": {"code": 11, "msg": "no room", "details": "at all"},
        "checks": [{"check": "config", "status": "ok"}, {"check": "ipam-pool", "status": "fail"}],
        "diagnosis": {"cause": "ipam-exhausted", "summary": "13 of 13 are taken", "evidence": ["a"], "fix": ["b", "c"]},
        "trace": {"traceparent": TRACEPARENT, "tracestate": "congo=t61rcWkgMzE"},
    });
    let call = call(more, "failed");
    let resource = plain(&request(&call).unwrap()["resourceSpans"][0]["resource"]["attributes"]);
    let expected = json!({
        "service.name": "cniscope", "service.version": "0.1.0", "host.name": "worker-1", "k8s.node.name": "worker-1",
        "k8s.namespace.name": "shop", "k8s.pod.name": "cart", "k8s.pod.uid": "uid-1",
    });
    assert_eq!(resource, expected);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let whole = "b19694b167b421c8";
    let expected = json!([
        {
            "traceId": trace, "spanId": whole, "name": "ADD bridge", "kind": 1,
            "startTimeUnixNano": "1795256430000007000", "endTimeUnixNano": "1795256430012507000",
            "parentSpanId": "00f067aa0ba902b7", "traceState": "congo=t61rcWkgMzE", "flags": 0x301,
            "status": {"code": 2, "message": "ipam-exhausted: 13 of 13 are taken"},
            "attributes": {
                "cni.command": "ADD", "cni.plugin": "bridge", "cni.network": "pods", "cni.version": "1.0.0",
                "cni.netns": "/run/netns/a", "cni.caller": "containerd", "cni.error.code": "11",
                "network.interface.name": "eth0", "container.id": "c1", "process.pid": "41", "process.parent_pid": "7",
                "cniscope.id": ID, "cniscope.outcome": "failed", "cniscope.cause": "ipam-exhausted",
                "cniscope.overhead_ms": 4.25, "cniscope.checks.failed": ["ipam-pool"], "error.type": "ipam-exhausted",
                "error.message": "no room; at all",
            },
        },
        {
            "traceId": trace, "spanId": "", "name": "preflight", "kind": 1, "parentSpanId": whole, "flags": 0x101,
            "startTimeUnixNano": "1795256430000007000", "endTimeUnixNano": "1795256430001507000", "attributes": {},
        },
        {
            "traceId": trace, "spanId": "", "name": "bridge", "kind": 3, "parentSpanId": whole, "flags": 0x101,
            "startTimeUnixNano": "1795256430001507000", "endTimeUnixNano": "1795256430009757000",
            "status": {"code": 2, "message": "no room; at all"}, "events": [],
            "attributes": {
                "process.executable.name": "bridge", "process.executable.path": "/opt/cni/bin/bridge",
                "process.pid": "43", "process.exit.code": "1", "cniscope.delegate.cpu_ms": 7.5,
                "cniscope.delegate.rss_kb": "9420", "error.type": "failed",
            },
        },
        {
            "traceId": trace, "spanId": "", "name": "diagnosis", "kind": 1, "parentSpanId": whole, "flags": 0x101,
            "startTimeUnixNano": "1795256430009757000", "endTimeUnixNano": "1795256430012507000",
            "attributes": {
                "cniscope.cause": "ipam-exhausted", "cniscope.summary": "13 of 13 are taken",
                "cniscope.evidence": ["a"], "cniscope.fix": ["b", "c"],
            },
        },
    ]);
    let mut shown = spans(&call);
    let mut ids: Vec<String> = shown.iter().map(|span| span["spanId"].as_str().unwrap().to_owned()).collect();
    assert!(
        ids.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "{ids:?}"
    );
    for span in &mut shown[1..] {
        span["spanId"] = "".into();
    }
    assert_eq!(Value::from(shown), expected);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_call_that_is_part_of_no_trace_has_its_own() {
    let table = [
        (json!({}), "01a1fe8f3023745d80591b289f195fb9"),
        (
            json!({"trace": {"traceparent": "00-nonsense", "tracestate": "a=b"}}),
            "01a1fe8f3023745d80591b289f195fb9",
        ),
        (json!({"trace": {"traceparent": "<redacted>"}}), "01a1fe8f3023745d80591b289f195fb9"),
        (json!({"trace": "cut"}), "01a1fe8f3023745d80591b289f195fb9"),
        (json!({"id": "another kind of id"}), &sha256(b"another kind of id")[..32]),
        (json!({"id": Uuid::nil().to_string()}), &sha256(Uuid::nil().to_string().as_bytes())[..32]),
    ];
    for (more, expected) in table {
        let whole = spans(&call(more.clone(), "ok")).remove(0);
        let found = (&whole["traceId"], &whole["parentSpanId"], &whole["traceState"], &whole["flags"]);
        assert_eq!(found, (&json!(expected), &Value::Null, &Value::Null, &json!(0x100)), "{more}");
    }
}

#[test]
fn a_malformed_tracestate_is_left_out() {
    let trace = json!({"traceparent": TRACEPARENT, "tracestate": "a=1,a=2"});
    let whole = spans(&call(json!({"trace": trace}), "ok")).remove(0);
    assert_eq!((&whole["parentSpanId"], &whole["traceState"]), (&json!("00f067aa0ba902b7"), &Value::Null));
}

#[test]
fn the_same_call_has_the_same_ids_every_time() {
    let more = json!({"duration_ms": 2.0, "plugin_ms": 1.0, "plugin_after_ms": 0.5});
    let ids = |call: &Call| spans(call).iter().map(|span| span["spanId"].clone()).collect::<Vec<_>>();
    let one = ids(&call(more.clone(), "ok"));
    assert_eq!((one.len(), &one), (3, &ids(&call(more, "ok"))));
    let other = call(json!({"id": "01a1fe8f-3023-745d-8059-1b289f195fba"}), "ok");
    assert_ne!(one[0], ids(&other)[0]);
}

#[test]
fn only_a_failure_is_an_error() {
    let diagnosis = json!({"cause": "interface-missing", "summary": "eth0 is not there"});
    let suspect = json!({
        "cause": "interface-missing", "diagnosis": diagnosis, "duration_ms": 2.0, "plugin_ms": 1.0, "plugin_after_ms": 0.5,
    });
    let shown = spans(&call(suspect, "ok"));
    assert_eq!(shown.len(), 3, "what is looked at after a good call is no part of it");
    assert_eq!(shown[0]["attributes"]["cniscope.suspect"], true);
    assert!(shown.iter().all(|span| span["status"].is_null()));
    let killed = spans(&call(json!({}), "killed")).remove(0);
    assert_eq!(
        (&killed["status"], &killed["attributes"]["error.type"]),
        (&json!({"code": 2, "message": "killed"}), &json!("killed"))
    );
}

#[test]
fn what_was_seen_of_a_hanging_delegate_is_an_event() {
    let connection = json!({"peer": "10.96.0.1:443", "state": "connecting"});
    let process = json!({
        "pid": 43, "parent": 41, "name": "calico", "command_line": "calico", "state": "S", "wchan": {}, "syscall": "",
        "connections": [connection], "waits_for_lock": {"path": "/run/xtables.lock"},
    });
    let stall = json!({
        "event": "stall", "id": ID, "time": "2026-11-21T10:20:40.000007Z", "after_ms": 10_000.5,
        "snapshot": {"processes": [process]},
    });
    let of_delegate = json!({"duration_ms": 12_000.0, "plugin_ms": 11_000.0, "plugin_after_ms": 0.5});
    for (more, position, end) in
        [(of_delegate, 2, "1795256442000007000"), (json!({}), 0, "1795256440000007000")]
    {
        let outcome = if position == 0 { "killed" } else { "ok" };
        let mut call = call(more, outcome);
        call.stalls = vec![stall.clone(), json!({"snapshot": {}})];
        let shown = spans(&call);
        let event = &shown[position]["events"][0];
        assert_eq!(
            (&event["timeUnixNano"], &event["name"]),
            (&json!("1795256440000007000"), &json!("stall"))
        );
        assert_eq!(
            plain(&event["attributes"]),
            json!({"cniscope.after_ms": 10_000.5, "cniscope.processes": ["calico S, lock /run/xtables.lock, connecting 10.96.0.1:443"]})
        );
        assert_eq!(shown[position]["events"].as_array().unwrap().len(), 1, "a stall without a time is none");
        assert_eq!(shown[0]["endTimeUnixNano"], end);
    }
}

#[test]
fn a_call_that_runs_or_has_no_time_is_no_span() {
    assert_eq!(request(&call(json!({}), "running")), None);
    for time in [json!("yesterday"), json!(7), json!("1960-01-01T00:00:00Z")] {
        assert_eq!(request(&call(json!({"time": time}), "ok")), None, "{time}");
    }
}

#[test]
fn absurd_times_make_no_span_that_ends_before_it_begins() {
    for (whole, before, took) in
        [(1.0, 5.0, 5.0), (-1.0, -1.0, -1.0), (1e300, 1e299, 1e300), (5.0, 1.0, 1e300)]
    {
        let more = json!({"duration_ms": whole, "plugin_after_ms": before, "plugin_ms": took});
        for span in spans(&call(more, "ok")) {
            let time = |field: &str| span[field].as_str().unwrap().parse::<u64>().unwrap();
            assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span}");
        }
    }
}

#[test]
fn outside_of_kubernetes_nothing_is_said_of_it() {
    let request = request(&call(json!({"pod_namespace": "", "pod_name": ""}), "ok")).unwrap();
    let resource = plain(&request["resourceSpans"][0]["resource"]["attributes"]);
    assert_eq!(resource, json!({"service.name": "cniscope", "host.name": "worker-1"}));
}
