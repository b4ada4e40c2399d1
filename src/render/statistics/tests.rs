use serde_json::json;

use super::*;
use crate::journal::statistics::Sample;

/// Twelve calls in two hours: ADDs that go well, one that fails, a DEL that is killed, one that is suspect, one that runs.
fn summary(by: By) -> Summary {
    let mut summary = Summary::default();
    let mut add = |number: u32, command: &str, outcome: &str, cause: Option<&str>, took: Option<f64>| {
        let record = json!({
            "id": format!("0000000{number}"), "time": format!("2026-11-21T{:02}:00:{number:02}.000000Z", 9 + number / 8),
            "plugin": "bridge", "command": command, "pod_namespace": "shop", "pod_name": format!("cart-{}", number % 2),
            "container_id": "c", "cause": cause, "duration_ms": took,
        });
        let call = Call { record, outcome: outcome.to_owned(), stalls: Vec::new() };
        let name = match by {
            By::Plugin => Some(vec!["bridge".to_owned(), command.to_owned()]),
            By::Pod => Some(vec![crate::render::list::subject(&Stored::of_call(&call).head())]),
            By::Cause => cause.map(|cause| vec![cause.to_owned()]),
            By::Hour => Some(vec![Zone::Utc.hour(call.text("time"))]),
        };
        summary.add(&Sample::of(&call), name, Stored::of_call(&call));
    };
    for number in 0..8 {
        add(number, "ADD", "ok", None, Some(20.0 + f64::from(number)));
    }
    add(8, "ADD", "failed", Some("ipam-exhausted"), Some(250.0));
    add(9, "ADD", "ok", Some("overlay-down"), Some(40.0));
    add(10, "DEL", "killed", None, None);
    add(11, "DEL", "running", None, None);
    summary
}

fn shown(by: By, width: Option<usize>) -> String {
    let mut written = Vec::new();
    let view = View { by, zone: Zone::Utc, width, is_wide: false };
    whole(&mut written, &summary(by), view).unwrap();
    anstream::adapter::strip_str(std::str::from_utf8(&written).unwrap()).to_string()
}

#[test]
fn calls_are_summed_up_by_plugin_and_verb() {
    insta::assert_snapshot!(shown(By::Plugin, None), @r#"
    11 calls, 2 failed (18 %), 1 suspect, 1 running; from 11-21 09:00:00.000 to 11-21 10:00:11.000

    PLUGIN  VERB  CALLS  FAILED   RATE    P50     P95     P99     MAX  HISTOGRAM     FIRST               LAST
    bridge  ADD      10       1   10 %  24 ms  250 ms  250 ms  250 ms  ···█▁▁······  11-21 09:00:00.000  11-21 10:00:09.000
    bridge  DEL       1       1  100 %                                 ············  11-21 10:00:10.000  11-21 10:00:11.000

    failures by cause
    CAUSE           FAILED  SHARE  SUSPECT  FIRST               LAST
    ipam-exhausted       1   50 %           11-21 10:00:08.000  11-21 10:00:08.000
    killed               1   50 %           11-21 10:00:10.000  11-21 10:00:10.000
    overlay-down         0    0 %        1  11-21 10:00:09.000  11-21 10:00:09.000

    how long calls took
     up to 30 ms  8  ████████████████████████████████
    up to 100 ms  1  ████
    up to 300 ms  1  ████

    slowest calls
    TIME                VERB  POD          PLUGIN    TOOK  OUTCOME  CAUSE           ID
    11-21 10:00:08.000  ADD   shop/cart-0  bridge  250 ms  failed   ipam-exhausted  00000008
    11-21 10:00:09.000  ADD   shop/cart-1  bridge   40 ms  ok       overlay-down    00000009
    11-21 09:00:07.000  ADD   shop/cart-1  bridge   27 ms  ok                       00000007
    11-21 09:00:06.000  ADD   shop/cart-0  bridge   26 ms  ok                       00000006
    11-21 09:00:05.000  ADD   shop/cart-1  bridge   25 ms  ok                       00000005
    "#);
}

#[test]
fn a_narrow_terminal_has_no_room_for_the_times_of_groups() {
    let text = shown(By::Plugin, Some(80));
    let row = text.lines().find(|line| line.starts_with("bridge")).unwrap();
    assert_eq!(row, "bridge  ADD      10       1   10 %  24 ms  250 ms  250 ms  250 ms  ···█▁▁······");
}

#[test]
fn groups_may_be_hours_pods_or_causes() {
    let rows = |by| {
        let text = shown(by, Some(80));
        let rows = text.lines().skip(2).take_while(|line| !line.is_empty());
        rows.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!([By::Hour, By::Pod, By::Cause].map(rows).join("\n\n"), @r#"
    HOUR         CALLS  FAILED  RATE    P50     P95     P99     MAX  HISTOGRAM
    11-21 09:00      8       0   0 %  23 ms   27 ms   27 ms   27 ms  ···█········
    11-21 10:00      3       2  67 %  40 ms  250 ms  250 ms  250 ms  ····██······

    POD          CALLS  FAILED  RATE    P50     P95     P99     MAX  HISTOGRAM
    shop/cart-0      6       2  33 %  24 ms  250 ms  250 ms  250 ms  ···█·▂······
    shop/cart-1      5       0   0 %  25 ms   40 ms   40 ms   40 ms  ···█▂·······

    CAUSE           CALLS  FAILED   RATE     P50     P95     P99     MAX  HISTOGRAM
    ipam-exhausted      1       1  100 %  250 ms  250 ms  250 ms  250 ms  ·····█······
    overlay-down        1       0    0 %   40 ms   40 ms   40 ms   40 ms  ····█·······
    "#);
}

#[test]
fn a_program_gets_the_same_numbers() {
    let document = json(&summary(By::Plugin), By::Plugin, 3);
    let fields = document.as_object().unwrap().iter().map(|(name, value)| match value.as_array() {
        Some(values) => {
            values.iter().map(|value| format!("\n  {value}")).fold(format!("{name}:"), |all, one| all + &one)
        }
        None => format!("{name}: {value}"),
    });
    insta::assert_snapshot!(fields.collect::<Vec<_>>().join("\n"), @r#"
    schema: 1
    calls: 11
    failures: 2
    failure_rate: 0.18181818181818182
    suspects: 1
    running: 1
    first: "2026-11-21T09:00:00.000000Z"
    last: "2026-11-21T10:00:11.000000Z"
    duration_ms: {"p50":24.107694708143892,"p95":250.0,"p99":250.0,"max":250.0}
    histogram:
      {"up_to_ms":1.0,"calls":0}
      {"up_to_ms":3.0,"calls":0}
      {"up_to_ms":10.0,"calls":0}
      {"up_to_ms":30.0,"calls":8}
      {"up_to_ms":100.0,"calls":1}
      {"up_to_ms":300.0,"calls":1}
      {"up_to_ms":1000.0,"calls":0}
      {"up_to_ms":3000.0,"calls":0}
      {"up_to_ms":10000.0,"calls":0}
      {"up_to_ms":30000.0,"calls":0}
      {"up_to_ms":100000.0,"calls":0}
      {"up_to_ms":null,"calls":0}
    percentile_error: 0.01
    broken_lines: 3
    groups:
      {"plugin":"bridge","command":"ADD","calls":10,"failures":1,"failure_rate":0.1,"suspects":1,"running":0,"first":"2026-11-21T09:00:00.000000Z","last":"2026-11-21T10:00:09.000000Z","duration_ms":{"p50":24.107694708143892,"p95":250.0,"p99":250.0,"max":250.0},"histogram":[{"up_to_ms":1.0,"calls":0},{"up_to_ms":3.0,"calls":0},{"up_to_ms":10.0,"calls":0},{"up_to_ms":30.0,"calls":8},{"up_to_ms":100.0,"calls":1},{"up_to_ms":300.0,"calls":1},{"up_to_ms":1000.0,"calls":0},{"up_to_ms":3000.0,"calls":0},{"up_to_ms":10000.0,"calls":0},{"up_to_ms":30000.0,"calls":0},{"up_to_ms":100000.0,"calls":0},{"up_to_ms":null,"calls":0}]}
      {"plugin":"bridge","command":"DEL","calls":1,"failures":1,"failure_rate":1.0,"suspects":0,"running":1,"first":"2026-11-21T10:00:10.000000Z","last":"2026-11-21T10:00:11.000000Z","duration_ms":{"p50":null,"p95":null,"p99":null,"max":null},"histogram":[{"up_to_ms":1.0,"calls":0},{"up_to_ms":3.0,"calls":0},{"up_to_ms":10.0,"calls":0},{"up_to_ms":30.0,"calls":0},{"up_to_ms":100.0,"calls":0},{"up_to_ms":300.0,"calls":0},{"up_to_ms":1000.0,"calls":0},{"up_to_ms":3000.0,"calls":0},{"up_to_ms":10000.0,"calls":0},{"up_to_ms":30000.0,"calls":0},{"up_to_ms":100000.0,"calls":0},{"up_to_ms":null,"calls":0}]}
    causes:
      {"cause":"ipam-exhausted","failures":1,"suspects":0,"first":"2026-11-21T10:00:08.000000Z","last":"2026-11-21T10:00:08.000000Z"}
      {"cause":"killed","failures":1,"suspects":0,"first":"2026-11-21T10:00:10.000000Z","last":"2026-11-21T10:00:10.000000Z"}
      {"cause":"overlay-down","failures":0,"suspects":1,"first":"2026-11-21T10:00:09.000000Z","last":"2026-11-21T10:00:09.000000Z"}
    slowest:
      {"id":"00000008","time":"2026-11-21T10:00:08.000000Z","command":"ADD","plugin":"bridge","pod_namespace":"shop","pod_name":"cart-0","container_id":"c","duration_ms":250.0,"cause":"ipam-exhausted","outcome":"failed"}
      {"id":"00000009","time":"2026-11-21T10:00:09.000000Z","command":"ADD","plugin":"bridge","pod_namespace":"shop","pod_name":"cart-1","container_id":"c","duration_ms":40.0,"cause":"overlay-down","outcome":"ok"}
      {"id":"00000007","time":"2026-11-21T09:00:07.000000Z","command":"ADD","plugin":"bridge","pod_namespace":"shop","pod_name":"cart-1","container_id":"c","duration_ms":27.0,"cause":null,"outcome":"ok"}
      {"id":"00000006","time":"2026-11-21T09:00:06.000000Z","command":"ADD","plugin":"bridge","pod_namespace":"shop","pod_name":"cart-0","container_id":"c","duration_ms":26.0,"cause":null,"outcome":"ok"}
      {"id":"00000005","time":"2026-11-21T09:00:05.000000Z","command":"ADD","plugin":"bridge","pod_namespace":"shop","pod_name":"cart-1","container_id":"c","duration_ms":25.0,"cause":null,"outcome":"ok"}
    "#);
}

#[test]
fn of_no_calls_nothing_is_written() {
    let mut written = Vec::new();
    let view = View { by: By::Plugin, zone: Zone::Utc, width: None, is_wide: false };
    whole(&mut written, &Summary::default(), view).unwrap();
    assert_eq!(written, b"");
    let document = json(&Summary::default(), By::Plugin, 0);
    assert_eq!((&document["calls"], &document["duration_ms"]["p50"]), (&json!(0), &Value::Null));
}

#[test]
fn parts_do_not_look_like_nothing_or_all_where_they_are_not() {
    let table =
        [(0.0, "0 %"), (0.0004, "<0.1 %"), (0.012, "1.2 %"), (0.5, "50 %"), (0.999, "99 %"), (1.0, "100 %")];
    for (part, expected) in table {
        assert_eq!(percent(part), expected);
    }
}
