//! What an agent costs: nothing while nothing happens, and little memory.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use super::Node;
use crate::support::agent::Agent;

/// A number of `/proc/<pid>/status`, over all threads.
fn status(agent: &Agent, field: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
    let of_task = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    tasks.map(|task| of_task(fs::read_to_string(task.unwrap().path().join("status")).unwrap())).sum()
}

#[test]
fn while_nothing_happens_it_is_never_woken() {
    let node = Node::new();
    let agent = node.agent(&["--doctor-every", "10m"]);
    agent.is(200, "wrapped");
    assert!(agent.metric("cniscope_agent_up").is_some());
    // Until the first examination is over and its threads have gone.
    crate::support::eventually(|| agent.metric("cniscope_doctor_last_run_timestamp_seconds"));
    std::thread::sleep(Duration::from_secs(3));
    let woken = || status(&agent, "voluntary_ctxt_switches");
    let before = woken();
    std::thread::sleep(Duration::from_secs(10));
    assert!(woken() - before <= 1, "{} times in ten seconds", woken() - before);
}

#[test]
fn a_days_journal_does_not_stay_in_memory() {
    let node = Node::new();
    let log = node.path("var/log/cniscope");
    fs::create_dir_all(&log).unwrap();
    // 128 MiB in 8 files, as the settings have it.
    let filler = "x".repeat(3000);
    let mut id = 0;
    for file in (0..8).rev() {
        let name = if file == 0 { "journal.jsonl".to_owned() } else { format!("journal.{file}.jsonl") };
        let mut written = std::io::BufWriter::new(fs::File::create(log.join(name)).unwrap());
        let mut bytes = 0;
        while bytes < 16 << 20 {
            id += 1;
            let record = format!(
                "{{\"schema\":1,\"event\":\"end\",\"id\":\"019f0000-0000-7000-8000-{id:012}\",\"plugin\":\"bridge\",\"command\":\"ADD\",\"outcome\":\"ok\",\"duration_ms\":20,\"overhead_ms\":1,\"time\":\"2026-11-21T10:00:00Z\",\"stderr\":\"{filler}\"}}\n"
            );
            bytes += record.len();
            written.write_all(record.as_bytes()).unwrap();
        }
    }
    let agent = node.agent(&[]);
    agent.is(200, "wrapped");
    let series = "cniscope_calls_total{plugin=\"bridge\",command=\"ADD\",outcome=\"ok\"}";
    crate::support::eventually(|| (agent.metric(series) == Some(f64::from(id))).then_some(()));
    for _ in 0..20 {
        assert_eq!(agent.get("/healthz").0, 200);
    }
    let used = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let kilobytes = |field: &str| {
        let line = used.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let (now, most) = (kilobytes("VmRSS:"), kilobytes("VmHWM:"));
    assert!(now <= 20 * 1024 && most <= 40 * 1024, "{now} kB, {most} kB at most");
}
