//! docs/diagnosis.md: three failures of a real containerd's Pods, as the event, the record and `doctor` show them.

use std::fs;

use serde_json::{Value, json};

use crate::containerd::runtime::Containerd;
use crate::journal;
use crate::machine::printed;
use crate::plugins::wrapped;
use crate::support::{Place, cniscope, spawn};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnosis.md");
const START: &str = "# Three failures

What a Pod's event, the journal and `doctor` say of the same failure. The Pods are a real containerd's, the plugins the
reference plugins; a test makes the failures again and compares this page.
";

/// A failure, and what to read of it.
struct Case {
    heading: &'static str,
    /// What happened to the node.
    story: &'static str,
    plugins: Vec<Value>,
    /// Breaks it.
    spoil: fn(&Containerd),
    /// What `doctor` is asked for.
    checks: &'static [&'static str],
}

fn cases() -> [Case; 3] {
    let bridge = wrapped(&json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.244.7.0/29"},
    }));
    [
        Case {
            heading: "The pool is full, and two of its addresses belong to nobody",
            story: "The node was switched off hard while Pods ran: for two of them DEL was never called.",
            plugins: vec![bridge.clone()],
            spoil: |containerd| {
                for pod in ["web", "db", "cache"] {
                    containerd.run(pod).unwrap();
                }
                for (address, digit) in [("10.244.7.5", "e"), ("10.244.7.6", "f")] {
                    let holder = format!("{}\r\neth0", digit.repeat(64));
                    fs::write(containerd.reservations().join(address), holder).unwrap();
                }
            },
            checks: &["ipam-pool"],
        },
        Case {
            heading: "The bridge has the address of another subnet",
            story: "The node joined the cluster again and was given another Pod subnet; the bridge of the old one stayed.",
            plugins: vec![bridge],
            spoil: |containerd| {
                let script = "ip link add cni0 address 02:00:00:00:00:01 type bridge; ip addr add 10.244.3.1/24 dev cni0; ip link set cni0 up";
                printed(containerd.machine.command("sh").args(["-ec", script]));
            },
            checks: &["bridge"],
        },
        Case {
            heading: "IPv6 is off on the node, and the network has IPv6 addresses",
            story: "A hardened image switches IPv6 off; what the plugin says of it is \"permission denied\".",
            plugins: vec![wrapped(&json!({
                "type": "bridge", "bridge": "cni0", "isGateway": true,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.7.0/29"}], [{"subnet": "fd00:7::/64"}]]},
            }))],
            spoil: |containerd| {
                let script =
                    "for of in all default; do echo 1 >/proc/sys/net/ipv6/conf/$of/disable_ipv6; done";
                printed(containerd.machine.command("sh").args(["-ec", script]));
            },
            checks: &["sysctl"],
        },
    ]
}

#[test]
fn the_page_on_diagnosis_shows_what_is_said() {
    let cases = cases();
    let page = cases.iter().fold(START.to_owned(), |page, case| page + "\n" + &section(case));
    if fs::read_to_string(PAGE).unwrap_or_default() != page {
        let new = concat!(env!("CARGO_MANIFEST_DIR"), "/target/diagnosis.md");
        fs::write(new, &page).unwrap();
        panic!(
            "docs/diagnosis.md shows something else: compare it with {new}, and copy that if it is right\n{page}"
        );
    }
}

fn section(case: &Case) -> String {
    let place = Place::new();
    let checks: Value = case.checks.iter().map(|check| ((*check).to_owned(), json!("warn"))).collect();
    place.settings(&json!({"checks": checks}));
    let containerd = Containerd::start(place, &case.plugins);
    (case.spoil)(&containerd);
    let error = containerd.run("checkout").unwrap_err();
    let failed = journal::failed(&containerd.place);
    let steady = |text: &str| steady(&containerd, &failed, text);
    let event = format!(
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"…\": {}",
        error.of_network()
    );
    let shown = containerd.place.cli(&["show", "last-failed"]).text();
    let told = shown.split("\n\n").take(2).collect::<Vec<_>>().join("\n\n");
    let mut doctor = containerd.machine.command(cniscope());
    let output = spawn(doctor.arg("doctor").args(case.checks)).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let doctor = String::from_utf8(output.stdout).unwrap();
    let block = |text: &str| format!("```text\n{}\n```\n", steady(text).trim_end());
    format!(
        "## {}\n\n{}\n\nThe Pod's event:\n\n{}\n`cniscope show last-failed`:\n\n{}\n`cniscope doctor {}`:\n\n{}",
        case.heading,
        case.story,
        block(&event),
        block(&told),
        case.checks.join(" "),
        block(&doctor)
    )
}

/// The text with what differs from run to run replaced by what a node has there.
fn steady(containerd: &Containerd, failed: &Value, text: &str) -> String {
    let name = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let text = text
        .replace(containerd.place.path("net.d").to_str().unwrap(), "/etc/cni/net.d")
        .replace(containerd.place.path("bin").to_str().unwrap(), "/opt/cni/bin")
        .replace(failed["netns"].as_str().unwrap(), "/var/run/netns/cni-42102729-385b-68b0-bccd-73ced7a2810a")
        .replace(failed["id"].as_str().unwrap(), "01a1fe8f-353a-745d-8059-1b289f1905f1")
        .replacen(&format!("{name}: "), "worker-1: ", 1);
    let timed = |line: &str| match line.split_once(": failed after ") {
        Some((start, _)) => format!("{start}: failed after 24 ms"),
        None => line.to_owned(),
    };
    text.lines().map(timed).collect::<Vec<_>>().join("\n")
}
