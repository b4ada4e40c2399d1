use super::*;
use crate::journal::read::Call;
use crate::report::row::Rows;
use serde_json::{Value, json};

fn about() -> About {
    About { zone: Zone::Utc, made: "2026-11-21T12:00:00Z".into(), filters: String::new(), broken: 0 }
}

fn call(number: i64, outcome: &str, more: &Value) -> Call {
    let mut record = json!({
        "id": format!("id-{number}"), "time": format!("2026-11-21T10:{:02}:00Z", number % 60), "node": "worker-1", "command": "ADD",
        "plugin": "bridge", "pod_namespace": "shop", "pod_name": "cart", "duration_ms": 12.0,
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    Call { record, outcome: outcome.into(), stalls: Vec::new() }
}

fn shown(calls: &[Call], about: &About) -> String {
    let mut rows = Rows::default();
    for call in calls {
        rows.take(call);
    }
    page(&Report::of(rows, 0, None), about)
}

/// The page up to its data, without its style.
fn seen(html: &str) -> String {
    let (head, rest) = html.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (body, _) = rest.split_once("<script type=").unwrap();
    head.to_owned() + body
}

#[test]
fn no_calls_are_said() {
    let html = seen(&shown(&[], &about()));
    assert!(html.contains("<h1>No calls.</h1>"), "{html}");
    assert!(!html.contains("<svg"), "{html}");
}

/// What an attacker would like to be read as markup, in every text of a record.
const HOSTILE: [&str; 7] = [
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "\"><svg onload=window.hacked=1>",
    "' onmouseover='window.hacked=1",
    "javascript:window.hacked=1",
    "<!--<script>",
    "]]></title></desc></svg></style><a href=javascript:window.hacked=1>",
];

#[test]
fn no_text_of_a_record_becomes_markup() {
    let plain = shown(&hostile_calls(&["x"; 7]), &about());
    let html = shown(&hostile_calls(&HOSTILE), &About { filters: HOSTILE[0].into(), ..about() });
    // Whatever the texts are, the same elements stand there.
    assert_eq!(tags(&seen(&html)), tags(&seen(&plain)));
    let scripts = |html: &str| html.matches("<script").count() + html.matches("</script").count();
    assert_eq!(scripts(&html), scripts(&plain));
    let data = html.split_once("<script type=").unwrap().1;
    let (data, _) = data.rsplit_once("<script>").unwrap();
    assert!(!data.contains("<img") && !data.contains("<svg") && !data.contains("<!--"));
}

/// Calls of two nodes with one of these texts in each field that a page shows.
fn hostile_calls(texts: &[&str]) -> Vec<Call> {
    let mut calls = Vec::new();
    for (number, text) in (0..).zip(texts) {
        let more = json!({
            "id": format!("{number}{text}"), "node": format!("worker-{number}{text}"), "command": "ADD", "plugin": format!("{number}{text}"),
            "pod_namespace": text, "pod_name": text, "cause": format!("{number}{text}"), "container_id": text, "stderr": text,
            "error": {"code": 1, "msg": text, "details": text}, "config": {*text: text}, "env": {*text: text},
            "diagnosis": {"cause": text, "title": text, "summary": text, "evidence": [text], "ruled_out": [text], "fix": [text]},
            "checks": [{"check": "ipam-pool", "status": "ok", "summary": text, "evidence": {"folder": format!("/pools/{number}{text}"), "sets": [
                {"ranges": text, "capacity": 5, "used": 5}
            ]}}],
        });
        calls.push(call(number, "failed", &more));
    }
    calls
}

/// The names of the elements in their order.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).map(|rest| rest.split([' ', '>']).next().unwrap()).collect()
}
