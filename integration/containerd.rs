//! A real containerd, asked through CRI for the sandboxes of Pods whose network is wrapped.

pub mod runtime;

use std::fs;

use serde_json::{Value, json};

use crate::journal;
use crate::plugins::wrapped;
use crate::support::{Place, eventually, spawn};
use runtime::{Containerd, NAMESPACE, uid};

/// What the bridge plugin says of a full pool.
const FULL: &str =
    "failed to allocate for range 0: no IP addresses available in range set: 10.244.7.1-10.244.7.6";

/// A network with five addresses for Pods.
fn bridge() -> Value {
    json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "subnet": "10.244.7.0/29"},
    })
}

fn portmap() -> Value {
    json!({"type": "portmap", "capabilities": {"portMappings": true}})
}

/// A containerd whose Pods have that network, wrapped.
pub fn with_wrapped_network() -> Containerd {
    Containerd::start(Place::new(), &[wrapped(&bridge()), wrapped(&portmap())])
}

/// The same without cniscope.
fn with_plain_network() -> Containerd {
    Containerd::start(Place::new(), &[bridge(), portmap()])
}

/// Reserves an address as host-local does.
fn reserve(containerd: &Containerd, address: &str, content: &str) {
    fs::write(containerd.reservations().join(address), content).unwrap();
}

#[test]
fn a_sandbox_has_the_address_that_its_record_tells() {
    let containerd = with_wrapped_network();
    let id = containerd.run("web").unwrap();
    let status = &containerd.inspect(&id)["status"];
    assert_eq!(status["state"], "SANDBOX_READY");
    assert_eq!(status["network"]["ip"], "10.244.7.2");
    let ips = &journal::end_of(&containerd.place, "bridge")["result"]["ips"];
    assert_eq!(ips, &json!([{"address": "10.244.7.2/29", "gateway": "10.244.7.1", "interface": 2}]));
}

#[test]
fn every_call_of_a_sandbox_is_recorded_with_its_pod() {
    let containerd = with_wrapped_network();
    let id = containerd.run("web").unwrap();
    containerd.remove(&id);
    let records = journal::records(&containerd.place, 12);
    let seen: Vec<[&str; 4]> = records
        .iter()
        .map(|record| {
            ["event", "command", "plugin", "outcome"].map(|field| record[field].as_str().unwrap_or(""))
        })
        .collect();
    let call = |command, plugin| [["begin", command, plugin, ""], ["end", command, plugin, "ok"]];
    let expected = [
        call("ADD", "bridge"),
        call("ADD", "portmap"),
        // StopPodSandbox, and RemovePodSandbox, which stops once more.
        call("DEL", "portmap"),
        call("DEL", "bridge"),
        call("DEL", "portmap"),
        call("DEL", "bridge"),
    ];
    assert_eq!(seen, expected.as_flattened());
    for record in &records {
        assert_eq!(record["container_id"], id);
        assert_eq!(record["ifname"], "eth0");
        assert_eq!(record["network"], "pods");
        assert_eq!(record["pod_namespace"], NAMESPACE);
        assert_eq!(record["pod_name"], "web");
        if record["event"] == "end" {
            assert_eq!(record["pod_uid"], uid("web"));
            assert_eq!(record["caller"]["name"], "containerd");
        }
    }
}

#[test]
fn a_removed_sandbox_leaves_what_it_leaves_without_cniscope() {
    let [plain, wrapped] = [with_plain_network(), with_wrapped_network()].map(|containerd| {
        let id = containerd.run("web").unwrap();
        assert_eq!(containerd.reserved(), ["10.244.7.2"]);
        containerd.remove(&id);
        assert_eq!(containerd.machine.links(), ["lo", "cni0"]);
        assert_eq!(containerd.reserved(), [""; 0]);
        assert_eq!(containerd.sandboxes(), [""; 0]);
        containerd.machine.network_state()
    });
    assert_eq!(wrapped, plain);
}

#[test]
fn the_error_of_a_full_pool_is_that_without_cniscope_and_the_cause() {
    let [(plain, alone), (wrapped, enriched)] =
        [with_plain_network(), with_wrapped_network()].map(|containerd| {
            for pod in ["pod1", "pod2", "pod3", "pod4", "pod5"] {
                containerd.run(pod).unwrap();
            }
            let error = containerd.run("pod6").unwrap_err();
            (containerd, error)
        });
    let failed = journal::failed(&wrapped.place);
    let id = failed["id"].as_str().unwrap();
    let text = format!(r#"plugin type="bridge" failed (add): {FULL}"#);
    assert_eq!(alone.of_network(), text);
    assert_eq!(
        enriched.of_network(),
        format!(
            r#"plugin type="cniscope" failed (add): {text}; [cniscope: ipam-exhausted: 5 of 5 addresses used; fix: release addresses: delete Pods of this network on this node; see: cniscope show {id}]"#
        )
    );
    // The sandbox that failed left nothing.
    assert_eq!(wrapped.sandboxes().len(), 5);
    assert_eq!(wrapped.reserved(), plain.reserved());
    assert_eq!(wrapped.machine.links().len(), plain.machine.links().len());
}

#[test]
fn the_id_in_an_error_shows_the_call() {
    let containerd = with_wrapped_network();
    containerd.run("pod1").unwrap();
    for address in ["10.244.7.3", "10.244.7.4", "10.244.7.5", "10.244.7.6"] {
        reserve(&containerd, address, "");
    }
    let error = containerd.run("pod2").unwrap_err();
    let (_, id) = error.of_network().split_once("see: cniscope show ").unwrap();
    let shown = containerd.place.cli(&["show", id.trim_end_matches(']')]);
    assert_eq!(shown.status, 0, "{shown:?}");
    let text = shown.text();
    let mut paragraphs = text.split("\n\n");
    assert!(paragraphs.next().unwrap().starts_with("ADD shop/pod2 by bridge: failed after "), "{text}");
    assert!(paragraphs.next().unwrap().starts_with("cause: ipam-exhausted\n"), "{text}");
}

#[test]
fn leaked_addresses_are_counted_and_those_of_live_sandboxes_are_not() {
    let containerd = with_wrapped_network();
    for pod in ["pod1", "pod2", "pod3"] {
        containerd.run(pod).unwrap();
    }
    let dead = "d".repeat(64);
    reserve(&containerd, "10.244.7.5", &format!("{dead}\r\neth0"));
    reserve(&containerd, "10.244.7.6", "");
    let error = containerd.run("pod4").unwrap_err();
    let failed = journal::failed(&containerd.place);
    let id = failed["id"].as_str().unwrap();
    assert_eq!(
        error.of_network(),
        format!(
            r#"plugin type="cniscope" failed (add): plugin type="bridge" failed (add): {FULL}; [cniscope: ipam-exhausted: 5 of 5 addresses used, 2 of them leaked; fix: release the 2 leaked addresses: remove their files in /var/lib/cni/networks/pods; see: cniscope show {id}]"#
        )
    );
    let checks = failed["checks"].as_array().unwrap();
    let pool = checks.iter().rfind(|check| check["check"] == "ipam-pool").unwrap();
    assert_eq!(
        pool["evidence"],
        json!({
            "folder": "/var/lib/cni/networks/pods",
            "sets": [{
                "ranges": "10.244.7.1-10.244.7.6",
                "capacity": 5, "used": 5, "free": 0, "leaked": 1, "orphans": 1,
            }],
            "leaked": [{"address": "10.244.7.5", "container_id": dead, "ifname": "eth0"}],
            "orphans": [{"address": "10.244.7.6", "container_id": "", "ifname": ""}],
        })
    );
}

#[test]
fn a_delegate_that_hangs_ends_at_its_deadline_and_the_sandbox_is_cleaned() {
    let place = Place::new();
    place.plugin("hanging", r#"[ "$CNI_COMMAND" != ADD ] || exec sleep 1000"#);
    let mut entry = wrapped(&json!({"type": "hanging"}));
    entry["cniscope"]["deadlineSeconds"] = json!({"ADD": 2});
    let containerd = Containerd::start(place, &[entry]);
    let before = containerd.machine.network_state();
    let error = containerd.run("web").unwrap_err();
    let failed = journal::failed(&containerd.place);
    let id = failed["id"].as_str().unwrap();
    assert_eq!(
        error.of_network(),
        format!(
            r#"plugin type="cniscope" failed (add): plugin type="hanging" failed (add): hanging did not end within 2 s and was stopped; [cniscope: plugin-timeout: the plugin was stopped after 2 s; fix: see what the plugin was waiting for: cniscope show; see: cniscope show {id}]"#
        )
    );
    assert_eq!((&failed["outcome"], &failed["returned"]["code"]), (&json!("deadline"), &json!(11)));
    assert_eq!(containerd.sandboxes(), [""; 0]);
    assert_eq!(containerd.machine.network_state(), before);
    assert!(!containerd.machine.runs("sleep"), "what the plugin started is still there");
}

#[test]
fn a_call_outlives_the_containerd_that_made_it() {
    let place = Place::new();
    let (begun, go_on) = (place.path("begun"), place.path("go-on"));
    let script = format!(
        r#"[ "$CNI_COMMAND" = ADD ] || exit 0
touch {begun}
until [ -e {go_on} ]; do sleep 0.02; done
echo '{{"cniVersion":"1.0.0","ips":[{{"address":"10.244.7.2/29"}}]}}'"#,
        begun = begun.display(),
        go_on = go_on.display(),
    );
    place.plugin("slow", &script);
    let mut containerd = Containerd::start(place, &[wrapped(&json!({"type": "slow"}))]);
    let crictl = spawn(&mut containerd.run_command("web"));
    eventually(|| begun.exists().then_some(()));
    containerd.kill();
    assert!(!crictl.wait_with_output().unwrap().status.success());
    assert!(containerd.place.records().iter().all(|record| record["event"] == "begin"));
    fs::write(&go_on, "").unwrap();
    let end = journal::end_of(&containerd.place, "slow");
    assert_eq!((&end["outcome"], &end["caller"]["name"]), (&json!("ok"), &json!("containerd")));
    assert_eq!(end["result"]["ips"], json!([{"address": "10.244.7.2/29"}]));

    // The next containerd knows the sandbox, and deletes it through cniscope.
    containerd.start_again();
    let sandbox = end["container_id"].as_str().unwrap();
    assert_eq!(containerd.sandboxes(), [sandbox]);
    containerd.crictl(&["stopp", sandbox]).unwrap();
    let deleted = journal::records(&containerd.place, 4).remove(3);
    assert_eq!(
        ["event", "command", "outcome", "container_id"].map(|field| &deleted[field]),
        ["end", "DEL", "ok", sandbox]
    );
}
