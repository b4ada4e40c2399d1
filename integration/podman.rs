//! A real Podman, whose containers have a network that is wrapped. It runs plugins with code of its own.

mod runtime;

use serde_json::{Value, json};

use crate::image;
use crate::journal;
use crate::plugins::wrapped;
use runtime::Podman;

/// A network with one address for a container.
fn bridge() -> Value {
    json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.8.0/30"}]]},
    })
}

fn portmap() -> Value {
    json!({"type": "portmap", "capabilities": {"portMappings": true}})
}

/// A Podman with that network, wrapped.
fn with_wrapped_network() -> Podman {
    Podman::new(&[wrapped(&bridge()), wrapped(&portmap())])
}

/// The same without cniscope.
fn with_plain_network() -> Podman {
    Podman::new(&[bridge(), portmap()])
}

#[test]
fn a_container_has_the_address_that_its_record_tells() {
    let podman = with_wrapped_network();
    let id = podman.run(&["--detach", image::NAME]);
    let inspected: Value = serde_json::from_str(&podman.podman(&["inspect", id.trim()])).unwrap();
    assert_eq!(inspected[0]["State"]["Status"], "running");
    assert_eq!(inspected[0]["NetworkSettings"]["Networks"]["pods"]["IPAddress"], "10.244.8.2");
    let record = journal::end_of(&podman.place, "bridge");
    assert_eq!(record["result"]["ips"][0]["address"], "10.244.8.2/30");
}

#[test]
fn every_call_of_a_container_is_recorded() {
    let podman = with_wrapped_network();
    let id = podman.run(&["--detach", "--name", "web", image::NAME]);
    podman.podman(&["rm", "--force", "--time", "0", "web"]);
    let seen: Vec<[String; 8]> = journal::records(&podman.place, 8)
        .iter()
        .map(|record| {
            ["event", "command", "plugin", "outcome", "container_id", "pod_name", "ifname", "network"]
                .map(|field| record[field].as_str().unwrap_or("").to_owned())
        })
        .collect();
    let calls = [("ADD", "bridge"), ("ADD", "portmap"), ("DEL", "portmap"), ("DEL", "bridge")];
    let expected: Vec<[String; 8]> = calls
        .iter()
        .flat_map(|(command, plugin)| {
            [("begin", ""), ("end", "ok")].map(|(event, outcome)| {
                [event, command, plugin, outcome, id.trim(), "web", "eth0", "pods"].map(str::to_owned)
            })
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_container_that_ends_leaves_what_it_leaves_without_cniscope() {
    let [plain, wrapped] = [with_plain_network(), with_wrapped_network()].map(|podman| {
        podman.run(&["--rm", "--publish", "8080:80", image::NAME, "end"]);
        assert_eq!(podman.podman(&["ps", "--all", "--quiet"]), "");
        assert_eq!(podman.machine.links(), ["lo", "cni0"]);
        podman.machine.network_state()
    });
    assert_eq!(wrapped, plain);
}

#[test]
fn the_error_of_a_full_pool_is_that_without_cniscope_and_the_cause() {
    let [(_, plain), (podman, enriched)] = [with_plain_network(), with_wrapped_network()].map(|podman| {
        podman.run(&["--detach", image::NAME]);
        let failed = podman.try_to_run(&["--detach", image::NAME]);
        assert_eq!(failed.status.code(), Some(126));
        let stderr = String::from_utf8(failed.stderr).unwrap();
        let error = stderr.lines().find(|line| line.starts_with("Error: ")).unwrap_or(&stderr).to_owned();
        (podman, error)
    });
    let failed = journal::failed(&podman.place);
    let id = failed["id"].as_str().unwrap();
    let text =
        "failed to allocate for range 0: no IP addresses available in range set: 10.244.8.1-10.244.8.2";
    assert_eq!(
        plain,
        format!(r#"Error: plugin type="bridge" failed (add): cni plugin bridge failed: {text}"#)
    );
    assert_eq!(
        enriched,
        format!(
            r#"Error: plugin type="cniscope" failed (add): cni plugin cniscope failed: plugin type="bridge" failed (add): {text}: [cniscope: ipam-exhausted: 1 of 1 addresses used; fix: release addresses: delete Pods of this network on this node; see: cniscope show {id}]"#
        )
    );
}
