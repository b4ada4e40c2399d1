//! `cniscope explain`: the cause of an error text, as runtimes, events and logs hold it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Place, Ran, spawn};

/// A Pod's event on a node with containerd.
const EVENT: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \
    \"0f1e\": plugin type=\"bridge\" name=\"pods\" failed (add): failed to allocate for range 0: no IP addresses available \
    in range set: 10.244.7.1-10.244.7.6";

/// Explains a text on standard input.
fn explained(place: &Place, arguments: &[&str], text: &[u8]) -> Ran {
    let mut command = place.cli_command(&[&["explain"], arguments].concat());
    let started = Instant::now();
    let mut child = spawn(command.stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(text).unwrap();
    Ran::of(child.wait_with_output().unwrap(), started.elapsed())
}

fn as_json(text: &str) -> Value {
    explained(&Place::new(), &["-o", "json"], text.as_bytes()).json()
}

#[test]
fn an_event_is_explained_with_evidence_fixes_and_the_next_command() {
    let event = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"0f1e\": \
        plugin type=\"portmap\" name=\"pods\" failed (add): must be called as chained plugin";
    let ran = Place::new().cli(&["explain", event]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r#"
    cause: chain-order-wrong, confidence high
    ADD of portmap failed: a chained plugin runs where it cannot

      Plugins as portmap, bandwidth or tuning work on the result of the plugin before them, and got none. The plugin stands first in the list or alone in a .conf file, or the one before it made no interface.

      evidence   the error's text has “must be called as chained plugin”
      fix 1      put the plugin behind the one that makes the interface
      fix 2      turn a single .conf into a .conflist that has both plugins
      fix 3      destructive: if the cached result of the Pod was lost, delete the Pod: a new sandbox is made
      verify     cniscope doctor config
                 grep -n '"type"' /etc/cni/net.d/*

    read as
      verb       ADD
      plugin     portmap
      network    pods
      sandbox    0f1e
      runtime    containerd
      error      must be called as chained plugin

    next
      on the node: cniscope doctor config, or explain it there with --here
      more of it: cniscope causes chain-order-wrong
    "#);
}

#[test]
fn as_json_an_event_has_all_its_fields() {
    let expected = json!({
        "cause": "ipam-exhausted",
        "title": "no address is left in the pool",
        "summary": "ADD of bridge failed: no address is left in the pool",
        "evidence": ["the error's text has “no IP addresses available in range set”"],
        "fix": ["release addresses: delete Pods of this network on this node", "give the network a larger range"],
        "verify": ["cniscope doctor ipam-pool", "ls /var/lib/cni/networks/*"],
        "confidence": "high",
        "count": 1,
        "peeled": {
            "runtime": "containerd",
            "verb": "ADD",
            "plugin": "bridge",
            "network": "pods",
            "sandbox": "0f1e",
            "error": "no IP addresses available in range set: 10.244.7.1-10.244.7.6",
        },
        "others": [],
    });
    assert_eq!(as_json(EVENT), expected);
}

#[test]
fn words_on_the_command_line_are_one_text() {
    let ran = Place::new().cli(&["explain", "-o", "json", "no", "IP", "ranges", "specified"]);
    let told = ran.json();
    assert_eq!([&told["cause"], &told["peeled"]["error"]], ["config-invalid", "no IP ranges specified"]);
}

#[test]
fn texts_of_every_runtime_and_of_delegating_plugins_are_peeled() {
    let table = [
        (
            // kubelet's own log, with the runtime's error escaped in it
            r#"E0824 17:14:16.482386     945 pod_workers.go:1294] "Error syncing pod, skipping" err="failed to \"CreatePodSandbox\" for \"cart-1_shop(7e9f)\" with CreatePodSandboxError: \"Failed to create sandbox for pod \\\"cart-1_shop(7e9f)\\\": rpc error: code = Unknown desc = failed to setup network for sandbox \\\"0f1e\\\": plugin type=\\\"calico\\\" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized\"" pod="shop/cart-1" podUID=7e9f"#,
            json!(["apiserver-denied", "containerd", "ADD", "calico", null]),
        ),
        (
            // CRI-O, in the journal
            r#"Jan 25 16:45:10 node-1 crio[1847]: time="2021-01-25 16:45:10.211283467Z" level=error msg="Error adding network: failed to create bridge \"cni0\": could not add \"cni0\": operation not supported""#,
            json!(["kernel-unsupported", "cri-o", "ADD", null, null]),
        ),
        (
            // Multus' daemon, and the plugin behind it
            r#"plugin type="multus-shim" name="multus-cni-network" failed (add): CmdAdd (shim): CNI request failed with status 400: '&{ContainerID:0f1e Netns:/var/run/netns/cni-1 IfName:eth0} ERRORED: error configuring pod [shop/cart-1] networking: [shop/cart-1/7e9f:storage]: error adding container to network "storage": failed to lookup master "eth9": Link not found'"#,
            json!(["interface-missing", null, "ADD", "multus-shim", "storage"]),
        ),
        (
            // the kubelet with Docker, and the clean-up that failed too
            r#"[failed to set up sandbox container "0f1e" network for pod "cart-1": networkPlugin cni failed to set up pod "cart-1_shop" network: open /run/flannel/subnet.env: no such file or directory, failed to clean up sandbox container "0f1e" network for pod "cart-1": networkPlugin cni failed to teardown pod "cart-1_shop" network: failed to Statfs "/proc/1/ns/net": no such file or directory]"#,
            json!(["subnet-env-missing", "docker", "ADD", null, null]),
        ),
        (
            // a plugin's own log in JSON
            r#"{"level":"error","ts":"2021-06-28T18:06:27.821Z","caller":"routed-eni-cni-plugin/cni.go:130","msg":"Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing dial tcp 127.0.0.1:50051: connect: connection refused\""}"#,
            json!(["ipam-backend-unavailable", null, null, null, null]),
        ),
        (
            // a plugin's answer
            "{\n    \"code\": 999,\n    \"msg\": \"failed to find plugin \\\"host-local\\\" in path [/opt/cni/bin]\"\n}",
            json!(["plugin-not-found", null, null, null, null]),
        ),
    ];
    for (text, expected) in table {
        let told = as_json(text);
        let of = |name: &str| told["peeled"][name].clone();
        let told = json!([told["cause"], of("runtime"), of("verb"), of("plugin"), of("network")]);
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn every_failure_of_a_log_is_counted() {
    let refused = |time: u32, pod: &str| {
        format!(
            "2024-05-01T10:00:{time}Z level=error msg=\"failed to setup network for sandbox \\\"{pod}\\\": plugin type=\\\"cilium-cni\\\" failed (add): unable to create endpoint: dial unix /var/run/cilium/cilium.sock: connect: connection refused\"\n"
        )
    };
    let log = [
        "2024-05-01T10:00:00Z level=info msg=\"starting\"\n",
        &refused(10, "0f1e0f1e0f1e0f1e0f1e"),
        "2024-05-01T10:00:11Z level=error msg=\"failed to destroy network for sandbox \\\"aa\\\": plugin type=\\\"portmap\\\" failed (delete): it rained\"\n",
        &refused(12, "1f1e0f1e0f1e0f1e0f1e"),
        &refused(13, "2f1e0f1e0f1e0f1e0f1e"),
    ]
    .concat();
    let told = as_json(&log);
    assert_eq!(json!([told["cause"], told["count"]]), json!(["agent-unreachable", 3]));
    let others: Vec<Value> = told["others"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["cause"], it["count"], it["peeled"]["error"]]))
        .collect();
    assert_eq!(others, [json!(["unknown", 1, "it rained"])]);
    let text = explained(&Place::new(), &[], log.as_bytes()).text();
    assert!(text.starts_with("cause: agent-unreachable, confidence high, 3 times\n"), "{text}");
    assert!(text.contains("\nalso in this text\n  1 x  unknown  it rained\n"), "{text}");
}

#[test]
fn a_log_without_a_failure_tells_of_none() {
    let log =
        "2024-05-01T10:00:00Z level=info msg=\"starting\"\n2024-05-01T10:00:01Z level=info msg=\"ready\"\n";
    let ran = explained(&Place::new(), &[], log.as_bytes());
    assert_eq!((ran.status, ran.text().as_str()), (0, "no failure is told of in this text\n"));
    let told = as_json(log);
    assert_eq!(json!([told["cause"], told["count"]]), json!(["unknown", 0]));
}

#[test]
fn events_of_the_cluster_are_read_with_their_pods_and_counts() {
    let event = |kind: &str, count: u32, message: &str| {
        json!({"kind": "Event", "type": kind, "reason": "FailedCreatePodSandBox", "count": count, "message": message,
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "cart-1"}})
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        event("Normal", 90, "Pod sandbox changed, it will be killed and re-created."),
        event("Warning", 7, EVENT),
    ]});
    for arguments in [&["-o", "json"][..], &["-o", "json", "--event"]] {
        let told = explained(&Place::new(), arguments, list.to_string().as_bytes()).json();
        let pod = format!(
            "{}/{}",
            told["peeled"]["namespace"].as_str().unwrap(),
            told["peeled"]["pod"].as_str().unwrap()
        );
        assert_eq!(
            json!([told["cause"], told["count"], pod, told["others"]]),
            json!(["ipam-exhausted", 7, "shop/cart-1", []])
        );
    }
}

#[test]
fn what_describe_prints_is_read_as_events() {
    let text = format!(
        "Name:             cart-1\nNamespace:        shop\nStatus:           Pending\nReason:           failed: not read\nEvents:\n  \
        Type     Reason                  Age                From               Message\n  \
        ----     ------                  ----               ----               -------\n  \
        Normal   Scheduled               10m                default-scheduler  Successfully assigned shop/cart-1 to n\n  \
        Warning  FailedCreatePodSandBox  2m (x25 over 10m)  kubelet            {EVENT}\n"
    );
    let told = explained(&Place::new(), &["--event", "-o", "json"], text.as_bytes()).json();
    let peeled = &told["peeled"];
    assert_eq!(
        json!([told["cause"], told["count"], peeled["namespace"], peeled["pod"], told["others"]]),
        json!(["ipam-exhausted", 25, "shop", "cart-1", []])
    );
}

#[test]
fn an_error_of_which_nothing_is_known_is_unknown() {
    let ran = Place::new().cli(&["explain", "plugin type=\"acme\" failed (add): it rained"]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r"
    cause: unknown
    ADD of acme failed: the cause is not known

      verify     cniscope show last-failed
                 journalctl -u kubelet -u containerd -u crio --since -10min

    read as
      verb       ADD
      plugin     acme
      error      it rained

    next
      on the node: cniscope doctor, or explain it there with --here
    ");
}

#[test]
fn no_text_is_wrong_usage() {
    let expected = "cniscope: there is no text: cniscope explain 'TEXT', or COMMAND | cniscope explain\n";
    for ran in [explained(&Place::new(), &[], b" \n"), Place::new().cli(&["explain", ""])] {
        assert_eq!((ran.status, ran.stdout.as_slice()), (2, b"".as_slice()));
        assert_eq!(String::from_utf8(ran.stderr).unwrap(), expected);
    }
}

/// A place whose folder `node` is a node with the network `pods` on the bridge `expl0`, whose pool of 1 address is full.
fn full_node() -> (Place, String) {
    let place = Place::new();
    let root = place.path("node");
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "expl0", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.244.7.0/30"}},
    ]});
    for (path, content) in [
        ("etc/cni/net.d/10-pods.conflist", list.to_string()),
        ("var/lib/cni/networks/pods/10.244.7.2", "0f1e\r\neth0".to_owned()),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), content).unwrap();
    }
    let root = root.to_str().unwrap().to_owned();
    (place, root)
}

#[test]
fn the_facts_of_this_node_confirm_the_cause() {
    let (place, root) = full_node();
    let told = explained(&place, &["--here", "--root", &root, "-o", "json"], EVENT.as_bytes()).json();
    assert_eq!(
        json!([told["cause"], told["summary"], told["confidence"]]),
        json!(["ipam-exhausted", "ADD of bridge failed: 1 of 1 addresses used", "high"])
    );
}

#[test]
fn what_this_node_rules_out_is_named() {
    let (place, root) = full_node();
    let told = explained(
        &place,
        &["--here", "--root", &root, "-o", "json"],
        b"plugin type=\"bridge\" failed (add): it rained",
    )
    .json();
    assert_eq!(json!([told["cause"], told["confidence"]]), json!(["unknown", "none"]));
    let evidence = told["evidence"].to_string();
    assert!(evidence.contains("check ipam-pool: "), "{told:#}");
    assert!(told["ruled_out"].to_string().contains("config: "), "{told:#}");
}

#[test]
fn a_signature_of_the_nodes_owner_counts() {
    let place = Place::new();
    let folder = place.path("node/etc/cniscope/signatures.d");
    fs::create_dir_all(&folder).unwrap();
    let own = json!({"cause": "agent-refused", "all": ["out of phase"], "plugin": "acme", "title": "the frobnicator slipped", "fix": "turn it back"});
    fs::write(folder.join("acme.json"), own.to_string()).unwrap();
    fs::write(folder.join("broken.json"), "{").unwrap();
    let root = place.path("node");
    let arguments = ["--root", root.to_str().unwrap(), "-o", "json"];
    let ran = explained(&place, &arguments, b"plugin type=\"acme\" failed (add): frobnicator out of phase");
    let told = ran.json();
    assert_eq!(
        json!([told["cause"], told["title"], told["fix"][0], told["evidence"], told["confidence"]]),
        json!([
            "agent-refused",
            "the frobnicator slipped",
            "turn it back",
            ["the error's text has “out of phase”, as /etc/cniscope/signatures.d/acme.json says"],
            "high"
        ])
    );
    let warning = String::from_utf8(ran.stderr).unwrap();
    assert!(
        warning.starts_with("cniscope: /etc/cniscope/signatures.d/broken.json: it is not JSON: "),
        "{warning}"
    );
}

#[test]
fn what_a_terminal_would_act_on_is_escaped() {
    let text = "plugin type=\"a\u{1b}[31m\" name=\"\u{202e}\" failed (add): \u{9b}31m failed\u{7}\0";
    for arguments in [&[][..], &["-o", "json"]] {
        let told = explained(&Place::new(), arguments, text.as_bytes()).text();
        let is_active =
            |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
        assert!(told.contains("31m") && !told.contains(is_active), "{told:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_read_as_far_as_they_are() {
    let told = explained(&Place::new(), &["-o", "json"], b"\xff\xfe no IP ranges specified \xc3").json();
    assert_eq!(told["cause"], "config-invalid");
}

#[test]
fn an_explanation_takes_ten_milliseconds_at_most() {
    let place = Place::new();
    let ran = |_| explained(&place, &["-o", "json"], EVENT.as_bytes()).took;
    // The best of many: other tests run at the same time.
    let best = (0..40).map(ran).min().unwrap();
    assert!(best <= Duration::from_millis(10), "{best:?}");
}

#[test]
fn a_long_log_of_different_failures_does_not_take_long() {
    let place = Place::new();
    let line = |number: u32| {
        format!(
            "2024-05-01T10:00:00Z level=error msg=\"failed: word{} of the case{}\"\n",
            number % 977,
            number / 977
        )
    };
    let log: String = (0..20_000).map(line).collect();
    let ran = explained(&place, &["-o", "json"], log.as_bytes());
    assert_eq!((ran.status, ran.json()["cause"].as_str()), (0, Some("unknown")));
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
}
