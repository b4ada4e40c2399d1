//! Texts as people paste them, and what is left of them.

use super::*;

/// What the wrappers of a text tell, as JSON without the error, and the error.
fn peeled(text: &str) -> (String, String) {
    let mut layers = peel(text).layers;
    let error = std::mem::take(&mut layers.error);
    let mut told = serde_json::to_value(layers).unwrap();
    told.as_object_mut().unwrap().remove("error");
    (told.to_string(), error)
}

#[test]
fn an_error_without_wrappers_is_its_own_innermost() {
    for text in ["", "it rained", "failed to load netconf: unexpected end of JSON input"] {
        assert_eq!(peeled(text), ("{}".into(), text.into()));
    }
}

#[test]
fn the_wrappers_of_every_runtime_are_peeled_off() {
    let table = [
        (
            r#"Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "0f1e": plugin type="bridge" name="pods" failed (add): it rained"#,
            r#"{"runtime":"containerd","verb":"ADD","plugin":"bridge","network":"pods","sandbox":"0f1e"}"#,
        ),
        (
            r#"rpc error: code = Unknown desc = failed to destroy network for sandbox "0f1e": plugin type="bridge" failed (delete): it rained"#,
            r#"{"runtime":"containerd","verb":"DEL","plugin":"bridge","sandbox":"0f1e"}"#,
        ),
        (
            r#"Failed create pod sandbox: rpc error: code = Unknown desc = failed to set up sandbox container "0f1e" network for pod "cart-1": NetworkPlugin cni failed to set up pod "cart-1_shop" network: it rained"#,
            r#"{"runtime":"docker","verb":"ADD","namespace":"shop","pod":"cart-1","sandbox":"0f1e"}"#,
        ),
        (
            r#"rpc error: code = Unknown desc = failed to create pod network sandbox k8s_cart-1_shop_83eb_0(0f1e): error adding pod shop_cart-1 to CNI network "pods": plugin type="calico" failed (add): it rained"#,
            r#"{"runtime":"cri-o","verb":"ADD","plugin":"calico","network":"pods","namespace":"shop","pod":"cart-1","sandbox":"0f1e"}"#,
        ),
        (
            r#"Error: error configuring network namespace for container 0f1e: error adding pod cart_cart to CNI network "podman": it rained"#,
            r#"{"runtime":"podman","verb":"ADD","network":"podman","namespace":"cart","pod":"cart","sandbox":"0f1e"}"#,
        ),
        (
            "Error response from daemon: driver failed programming external connectivity on endpoint web (0f1e): it rained",
            r#"{"runtime":"docker","verb":"ADD","sandbox":"0f1e"}"#,
        ),
        (
            r#"Failed to setup network for pod "cart-1_shop(7e9f)" using network plugins "cni": it rained; Skipping pod"#,
            r#"{"runtime":"docker","verb":"ADD","namespace":"shop","pod":"cart-1"}"#,
        ),
    ];
    for (text, told) in table {
        assert_eq!(peeled(text), (told.into(), "it rained".into()), "{text}");
    }
}

#[test]
fn of_a_chain_of_plugins_the_innermost_is_named() {
    let text = r#"plugin type="multus" name="multus-cni-network" failed (add): [shop/cart-1/7e9f-11:side-net]: error adding container to network "side-net": plugin type="portmap" failed (add): it rained"#;
    let told = r#"{"verb":"ADD","plugin":"portmap","network":"side-net","namespace":"shop","pod":"cart-1"}"#;
    assert_eq!(peeled(text), (told.into(), "it rained".into()));
    let shim = r#"plugin type="multus-shim" name="m" failed (add): CmdAdd (shim): CNI request failed with status 400: '&{...} ERRORED: error configuring pod [shop/cart-1] networking: Multus: [shop/cart-1/7e9f]: it rained'"#;
    let told = r#"{"verb":"ADD","plugin":"multus-shim","network":"m","namespace":"shop","pod":"cart-1"}"#;
    assert_eq!(peeled(shim), (told.into(), "it rained".into()));
}

#[test]
fn a_command_in_brackets_is_no_pod() {
    let text =
        "running [/usr/sbin/iptables -t nat -C X -m comment --comment a/b: --wait]: exit status 1: it rained";
    assert_eq!(peeled(text), ("{}".into(), text.into()));
}

#[test]
fn prefixes_of_logs_and_fields_behind_the_error_are_no_part_of_it() {
    let inner =
        r#"failed to setup network for sandbox \"0f1e\": plugin type=\"bridge\" failed (add): it rained"#;
    let told = |runtime: &str| {
        format!(r#"{{"runtime":"{runtime}","verb":"ADD","plugin":"bridge","sandbox":"0f1e"}}"#)
    };
    let table = [
        (
            format!(
                "Aug 24 17:14:16 node-1 kubelet[945]: E0824 17:14:16.482386 945 pod_workers.go:1294] \"Error syncing pod, skipping\" err=\"rpc error: code = Unknown desc = {inner}\" pod=\"shop/cart-1\" podUID=41cc"
            ),
            "containerd",
        ),
        (
            format!(
                "E0824 17:14:16.482386 945 remote_runtime.go:193] \"RunPodSandbox from runtime service failed\" err=\"rpc error: code = Unknown desc = {inner}\""
            ),
            "containerd",
        ),
        (
            format!(
                "Oct 17 21:31:31 node-1 containerd[26]: time=\"2022-10-17T21:31:31+09:00\" level=error msg=\"RunPodSandbox for x failed, error\" error=\"{inner}\""
            ),
            "containerd",
        ),
        (format!("time=\"2022-10-17T21:31:31+09:00\" level=error msg=\"{inner}\""), "containerd"),
        (format!("{{\"level\":\"error\",\"ts\":1.5,\"logger\":\"zap\",\"msg\":\"{inner}\"}}"), "containerd"),
    ];
    for (text, runtime) in table {
        assert_eq!(peeled(&text), (told(runtime), "it rained".into()), "{text}");
    }
}

#[test]
fn escapes_are_taken_away_as_often_as_they_were_made() {
    let mut text = r#"plugin type="bridge" failed (add): open "/x": it rained"#.to_owned();
    for level in 0..=3 {
        let (told, error) = peeled(&text);
        assert_eq!(told, r#"{"verb":"ADD","plugin":"bridge"}"#, "level {level}: {text}");
        assert_eq!(error, r#"open "/x": it rained"#, "level {level}");
        text = text.replace('\\', "\\\\").replace('"', "\\\"");
    }
}

#[test]
fn an_answer_of_a_plugin_is_read_as_one() {
    let answer = "{\n  \"cniVersion\": \"1.0.0\",\n  \"code\": 100,\n  \"msg\": \"it rained\",\n  \"details\": \"all day\"\n}";
    assert_eq!(peeled(answer), ("{}".into(), "it rained: all day".into()));
}

#[test]
fn the_error_may_stand_in_the_middle_of_several_lines() {
    let text =
        "Events:\n  Type  Reason\n  plugin type=\"bridge\" failed (add): failed to\n    load netconf\n  more";
    assert_eq!(peeled(text).1, "failed to load netconf more");
    let broken = "plugin type=\"bri\ndge\" failed (add): it ra\nined";
    assert_eq!(peel_joined(broken).layers.error, "it rained");
    assert_eq!(peel_joined(broken).layers.plugin.as_deref(), Some("bridge"));
}

#[test]
fn a_text_may_be_cut_at_either_end() {
    assert_eq!(peeled("ugin type=\"bridge\" failed (add): it rained").1, "it rained");
    assert_eq!(peeled("plugin type=\"bridge\" failed (a").1, "plugin type=\"bridge\" failed (a");
}

#[test]
fn what_failed_in_cleaning_up_stands_behind_what_failed_first() {
    let text = r#"[failed to set up sandbox container "0f" network for pod "a": networkPlugin cni failed to set up pod "a_b" network: it rained, failed to clean up sandbox container "0f" network for pod "a": networkPlugin cni failed to teardown pod "a_b" network: it snowed]"#;
    let peeled = peel(text);
    assert_eq!(peeled.decisive, ["it rained", "it snowed]"]);
    assert_eq!(peeled.layers.error, "it rained");
}

#[test]
fn what_cniscope_has_added_is_taken_out_and_its_cause_kept() {
    let text = "plugin type=\"bridge\" failed (add): it rained; here [cniscope: ipam-exhausted: 5 of 5 used; fix: no space left on device; see: cniscope show 0197-f]";
    let peeled = peel(text);
    assert_eq!(peeled.layers.error, "it rained; here");
    assert_eq!(peeled.layers.cniscope.as_deref(), Some("ipam-exhausted"));
}

#[test]
fn the_path_of_a_network_namespace_is_kept() {
    let table = [
        (r#"failed to Statfs "/proc/10435/ns/net": no such file"#, Some("/proc/10435/ns/net")),
        (r#"unknown FS magic on "/var/run/netns/cni-1": 1021994"#, Some("/var/run/netns/cni-1")),
        ("open /proc/sys/net/ipv4/ip_forward: denied", None),
    ];
    for (text, netns) in table {
        assert_eq!(peel(text).layers.netns.as_deref(), netns);
    }
}

#[test]
fn a_log_is_cut_into_its_entries() {
    let log = "ed) off\nAug 24 17:14:16 node kubelet[9]: one\n  more\nE0824 17:14:16.48 9 x.go:1] two\n2023-08-07T17:03:06Z three\ntime=\"2022\" four\n{\"msg\":\"five\"}\nERRO[0000] six\n  Warning  Failed  7s  kubelet  seven\n";
    let starts: Vec<_> = entries(log).iter().map(|entry| entry.trim().chars().next().unwrap()).collect();
    assert_eq!(starts, ['e', 'A', 'E', '2', 't', '{', 'E', 'W']);
    assert_eq!(entries("no log\nbut lines"), ["no log\nbut lines"]);
    assert!(entries(" \n").is_empty());
}

#[test]
fn a_megabyte_takes_no_longer_than_its_length() {
    for piece in
        ["[", "\\\"", "plugin type=\"", "failed to setup network for sandbox \"", "\u{1f327} [a/b", "\n"]
    {
        let text = piece.repeat((1 << 20) / piece.len());
        let started = std::time::Instant::now();
        std::hint::black_box(peel(&text));
        // Some milliseconds; without a bound it would be minutes.
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "{piece:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(
        text in "\\PC*|[\\[\\]/\"\\\\n:{}()a ]{0,200}|(plugin type=\"|\\]: |failed \\(add\\): |\\[cniscope: |rpc error: code = |é){0,20}"
    ) {
        let peeled = peel(&text);
        proptest::prop_assert!(!peeled.decisive.is_empty());
        std::hint::black_box((peel_joined(&text), entries(&text)));
    }
}
