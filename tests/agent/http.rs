//! What is asked by HTTP: by many, by slow ones, by those who ask something else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use super::Node;

#[test]
fn it_is_healthy_when_it_is_not_ready() {
    let node = Node::without_networks();
    let agent = node.agent(&[]);
    agent.is(503, "waiting for the network add-on");
    assert_eq!(agent.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(agent.get("/other").0, 404);
}

#[test]
fn calls_are_counted_where_they_are_recorded() {
    let node = Node::new();
    let log = node.path("var/log/cniscope");
    fs::create_dir_all(&log).unwrap();
    let record = r#"{"schema":1,"event":"end","id":"019f0000-0000-7000-8000-000000000001","plugin":"bridge","command":"ADD","outcome":"ok","duration_ms":20,"time":"2026-11-21T10:00:00Z"}"#;
    fs::write(log.join("journal.jsonl"), format!("{record}\n")).unwrap();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let series = "cniscope_calls_total{plugin=\"bridge\",command=\"ADD\",outcome=\"ok\"}";
    assert_eq!(agent.metric(series), Some(1.0));
    assert_eq!(agent.metric("cniscope_counters_kept"), Some(1.0));
}

#[test]
fn slow_clients_do_not_keep_others_waiting() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let slow: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = agent.connect();
            // Nothing, half a head, or a question whose answer is not read.
            let said: &[u8] =
                [&b""[..], b"GET /healthz HTT", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"][number % 3];
            let _ = stream.write_all(said);
            stream
        })
        .collect();
    let started = Instant::now();
    assert_eq!(agent.get("/healthz"), (200, "ok\n".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    // And who says nothing is not waited for.
    let started = Instant::now();
    let mut last = slow.into_iter().rev().find(|stream| stream.local_addr().is_ok()).unwrap();
    let _ = last.read_to_end(&mut Vec::new());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_hundred_who_ask_at_once_are_all_answered_or_sent_away_and_it_goes_on() {
    let node = Node::new();
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let answered = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = agent.connect();
                    let _ = write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
                    let mut answer = String::new();
                    let _ = stream.read_to_string(&mut answer);
                    let is_whole =
                        answer.contains("cniscope_agent_up 1\n") && answer.contains("cniscope_build_info{");
                    assert!(answer.is_empty() || is_whole, "{answer}");
                    is_whole
                })
            })
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).filter(|is_whole| *is_whole).count()
    });
    assert!(answered >= 64, "{answered}");
    assert_eq!(agent.get("/healthz").0, 200);
}

#[test]
fn what_doctor_finds_is_told_and_said() {
    let node = Node::new();
    let agent = node.agent(&["--doctor-every", "10s"]);
    agent.is(200, "wrapped");
    fs::remove_file(node.path("opt/cni/bin/portmap")).unwrap();
    agent.says("warn  doctor: plugin-binary: fail: ");
    let failing = "cniscope_doctor_check{check=\"plugin-binary\",status=\"fail\"}";
    assert_eq!(agent.metric(failing), Some(1.0));
    let first = agent.metric("cniscope_doctor_last_run_timestamp_seconds").unwrap();
    node.place.put("root/opt/cni/bin/portmap", super::PLUGIN);
    agent.says("info  doctor: plugin-binary: ok: ");
    assert_eq!(agent.metric(failing), None);
    assert!(agent.metric("cniscope_doctor_last_run_timestamp_seconds").unwrap() > first);
}

#[test]
fn the_log_can_be_json() {
    let node = Node::new();
    let agent = node.agent(&["-o", "json"]);
    agent.is(200, "wrapped");
    for line in agent.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["time", "level", "message"]);
    }
}
