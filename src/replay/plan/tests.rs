use super::*;
use serde_json::json;

fn record(config: &Value) -> Value {
    json!({
        "command": "ADD", "container_id": "c1", "ifname": "eth0", "netns": "/run/netns/pod", "plugin": "bridge",
        "config": config,
        "env": {"CNI_COMMAND": "ADD", "CNI_PATH": "/opt/cni/bin:/x", "CNI_ARGS": "A=b", "PATH": "/bin", "HTTP_PROXY": "p"},
    })
}

fn wrapped() -> Value {
    json!({"type": "cniscope", "cniscope": {"wraps": "bridge", "named": true}, "name": "pods", "cniVersion": "1.0.0"})
}

fn plan(record: &Value, wishes: &Wishes) -> Result<Plan, PlanError> {
    Plan::of_record(record, "ok", wishes, &[])
}

#[test]
fn a_record_is_a_call_of_the_plugin_itself() {
    let plan = plan(&record(&wrapped()), &Wishes::default()).unwrap();
    let config = json!({"type": "bridge", "name": "pods", "cniVersion": "1.0.0"});
    assert_eq!(plan.entries, [Entry { plugin: "bridge".into(), named: true, config }]);
    assert_eq!((plan.verbs.as_slice(), plan.release), (&["ADD".to_owned()][..], true));
    assert_eq!(plan.folders, [Path::new("/opt/cni/bin"), Path::new("/x")]);
    let variables: Vec<_> =
        plan.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("CNI_ARGS", "A=b"), ("PATH", "/bin")]);
    assert_eq!(plan.sandbox, Path::new("/run/netns/pod"));
}

#[test]
fn secrets_are_asked_for_by_name_and_taken() {
    let mut config = wrapped();
    config["args"] = json!({"cni": {"token": "<redacted>"}});
    let mut record = record(&config);
    record["env"]["CNI_ARGS"] = json!("K=<redacted>");
    assert_eq!(
        plan(&record, &Wishes::default()).unwrap_err().to_string(),
        "the record does not hold these secrets; give each with --set PATH=VALUE, or the whole configuration with \
         --config FILE: args.cni.token, CNI_ARGS"
    );
    let pair = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let set = vec![pair("args.cni.token", "t"), pair("CNI_ARGS", "K=v")];
    let plan = plan(&record, &Wishes { set, ..Wishes::default() }).unwrap();
    assert_eq!(plan.entries[0].config["args"]["cni"]["token"], "t");
    assert_eq!(plan.variables["CNI_ARGS"], "K=v");
}

#[test]
fn what_is_not_whole_is_not_run() {
    let mut cut = record(&wrapped());
    cut["truncated"] = json!(["stderr", "config"]);
    let table = [
        (record(&Value::Null), "has no configuration"),
        (cut, "was too long, and is cut"),
        (record(&json!("{")), "has a configuration that is no JSON object"),
    ];
    for (record, expected) in table {
        assert_eq!(plan(&record, &Wishes::default()), Err(PlanError::Incomplete(expected)));
        let wishes = Wishes { config: Some(wrapped()), ..Wishes::default() };
        assert_eq!(plan(&record, &wishes).unwrap().entries[0].plugin, "bridge");
    }
}

#[test]
fn an_agents_plugin_is_refused() {
    let config = json!({"type": "cniscope", "cniscope": {"wraps": "calico"}});
    let refusal = plan(&record(&config), &Wishes::default()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the plugin calico cannot be replayed: it writes to the cluster's datastore"
    );
}

#[test]
fn another_verb_needs_an_add_before_it() {
    let called = |recorded: &str, wanted: Option<&str>| {
        verbs(recorded, wanted).map(|verbs| verbs.join(" ")).map_err(|error| error.to_string())
    };
    let table = [
        ("ADD", None, Ok("ADD")),
        ("DEL", None, Ok("DEL")),
        ("ADD", Some("CHECK"), Ok("ADD CHECK")),
        ("ADD", Some("DEL"), Ok("ADD DEL")),
        ("CHECK", Some("ADD"), Ok("ADD")),
        ("CHECK", Some("DEL"), Ok("DEL")),
        ("GC", None, Ok("GC")),
        ("GC", Some("ADD"), Err("--command ADD: the recorded call is a GC, which has no attachment")),
    ];
    for (recorded, wanted, expected) in table {
        assert_eq!(called(recorded, wanted), expected.map(str::to_owned).map_err(str::to_owned));
    }
}

#[test]
fn the_result_of_the_whole_list_is_not_what_the_head_is_given() {
    let wishes = Wishes { command: Some("ADD".into()), ..Wishes::default() };
    for (plugin, is_given) in [("bridge", false), ("portmap", true)] {
        let config = json!({"type": plugin, "prevResult": {"ips": []}});
        let mut record = record(&config);
        record["command"] = json!("CHECK");
        assert_eq!(plan(&record, &wishes).unwrap().given().is_some(), is_given, "{plugin}");
        assert!(plan(&record, &Wishes::default()).unwrap().given().is_some(), "{plugin}");
    }
}

#[test]
fn folders_that_are_configured_are_copied_too() {
    let config = json!({"type": "bridge", "ipam": {"type": "host-local", "dataDir": "/data/ipam"}});
    let folders = plan(&record(&config), &Wishes::default()).unwrap().state_folders();
    assert_eq!(folders, ["/data/ipam", "/etc/cni", "/run", "/var/lib/cni"].map(PathBuf::from));
    for known in ["/run/ipam", "/var/lib/cni/networks", "../up", "/data/../etc"] {
        let config = json!({"type": "bridge", "ipam": {"type": "host-local", "dataDir": known}});
        let folders = plan(&record(&config), &Wishes::default()).unwrap().state_folders();
        assert_eq!(folders.len(), 3, "{known}");
    }
}

#[test]
fn the_master_of_a_link_is_known() {
    let master = |config: Value| plan(&record(&config), &Wishes::default()).unwrap().masters();
    let named = |name: Option<&str>, is_inside| vec![Master { name: name.map(str::to_owned), is_inside }];
    assert_eq!(master(json!({"type": "macvlan", "master": "eth1"})), named(Some("eth1"), false));
    assert_eq!(
        master(json!({"type": "macvlan", "linkInContainer": true, "master": "e"})),
        named(Some("e"), true)
    );
    assert_eq!(master(json!({"type": "ipvlan"})), named(None, false));
    assert_eq!(master(json!({"type": "flannel", "delegate": {"type": "ipvlan"}})), named(None, false));
    assert_eq!(master(json!({"type": "bridge", "master": "eth1"})), []);
}

#[test]
fn namespaces_are_made_at_their_own_path_only_where_there_is_a_copy() {
    let table = [
        ("/run/netns/a", "/run/netns/a"),
        ("/var/run/netns/a", "/var/run/netns/a"),
        ("/proc/12/ns/net", SANDBOX),
        ("/run/../etc/passwd", SANDBOX),
        ("", SANDBOX),
    ];
    for (netns, expected) in table {
        assert_eq!(sandbox(netns), Path::new(expected), "{netns}");
    }
}

#[test]
fn a_binary_stands_for_the_plugin_of_its_name_or_the_only_one() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["host-local", "bridge-1.2"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let folder = folder.path().canonicalize().unwrap();
    let config = json!({"type": "bridge", "ipam": {"type": "host-local"}});
    let substitute = |wish: String| {
        let mut plan = plan(&record(&config), &Wishes::default()).unwrap();
        plan.substitute(&wish).map_err(|error| error.to_string())?;
        Ok::<_, String>(plan.substitute.unwrap().plugin)
    };
    let path = |name: &str| folder.join(name).display().to_string();
    assert_eq!(substitute(path("host-local")).unwrap(), "host-local");
    assert_eq!(substitute(path("bridge-1.2")).unwrap(), "bridge");
    assert_eq!(substitute(format!("host-local={}", path("bridge-1.2"))).unwrap(), "host-local");
    let other = format!("portmap={}", path("bridge-1.2"));
    assert_eq!(
        substitute(other.clone()).unwrap_err(),
        format!(
            "--plugin {other}: say which plugin it stands for, TYPE={} with a TYPE of bridge, host-local",
            path("bridge-1.2")
        )
    );
    let missing = path("none");
    assert_eq!(
        substitute(missing.clone()).unwrap_err(),
        format!("--plugin {missing}: No such file or directory (os error 2)")
    );
}
