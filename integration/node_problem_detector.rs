//! A real node-problem-detector, for which doctor is a custom plugin.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::support::eventually;
use crate::world::{World, tool};

const SHIPPED: &str = include_str!("../conf-examples/kubernetes/node-problem-detector/cniscope-monitor.json");
/// Where it serves its metrics unless it is told otherwise.
const METRICS: &str = "127.0.0.1:20257";

/// What it says of the condition: 1 for a problem.
fn problem(world: &World) -> Option<f64> {
    let answer = world.inside(|| {
        let mut stream = TcpStream::connect(METRICS).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    })?;
    let gauge = answer.lines().find(|line| {
        line.starts_with("problem_gauge{")
            && line.contains("\"CNIProblem\"")
            && line.contains("\"DoctorFoundProblem\"")
    })?;
    gauge.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn the_condition_of_the_node_is_what_doctor_finds() {
    let world = World::new();
    world.configure(&json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "cniscope", "cniscope": {"wraps": "ptr"}, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}},
    ]}));
    let doctor = || world.cli(&["doctor", "--one-line"]);
    let found = doctor();
    assert_eq!(found.status, 1, "{}", found.text());
    assert!(found.text().trim_end().len() <= 80 && found.text().contains("ptr"), "{}", found.text());
    // As it is shipped, but more often.
    let often = SHIPPED.replace("\"invoke_interval\": \"60s\"", "\"invoke_interval\": \"1s\"");
    assert_ne!(often, SHIPPED);
    world.write("/run/monitor.json", &often);
    let log = "/run/detector.log";
    world.serve("/bin/sh", &["-c", &format!(
        "exec {} --config.custom-plugin-monitor=/run/monitor.json --enable-k8s-exporter=false --port=0 --v=5 >{log} 2>&1",
        tool("bin/node-problem-detector").display()
    )]);
    eventually(|| (problem(&world) == Some(1.0)).then_some(()));
    // The message of the condition is the whole line.
    let message = format!("Message:{}", found.text().trim_end());
    eventually(|| world.sh(&format!("cat {log}")).contains(&message).then_some(()));

    // The plugin's name is spelt right.
    world.sh("sed -i s/ptr/ptp/ /etc/cni/net.d/pods.conflist");
    let found = doctor();
    assert_eq!(found.status, 0, "{}", found.text());
    eventually(|| (problem(&world) == Some(0.0)).then_some(()));
}
