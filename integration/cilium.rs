//! The real cilium-cni, wrapped and not: with an agent that is scripted, and without one.

mod outage;
pub mod world;

use serde_json::{Value, json};

use world::{POD, World};

/// The list that Cilium's agent writes, at one version, with its plugin as this entry.
pub fn list(version: &str, entry: &Value) -> Value {
    let mut entry = entry.clone();
    entry["enable-debug"] = json!(false);
    entry["log-file"] = json!("/var/run/cilium/cilium-cni.log");
    json!({"cniVersion": version, "name": "cilium", "plugins": [entry]})
}

fn direct() -> Value {
    json!({"type": "cilium-cni"})
}

/// Its entry, wrapped.
pub fn wrapped() -> Value {
    json!({"type": "cniscope", "cniscope": {"wraps": "cilium-cni"}})
}

/// A Pod's life through cnitool, told in full.
struct Life {
    /// Of ADD, CHECK, DEL and DEL once more.
    statuses: [i32; 4],
    /// Every answer, what it left, and what the agent was asked in all.
    told: String,
}

impl Life {
    fn of(world: &World, list: &Value) -> Life {
        let mut told = Vec::new();
        let statuses = ["add", "check", "del", "del"].map(|verb| {
            let (status, stdout, stderr) = world.cnitool(verb, list, "web");
            told.push(format!("{verb}: {stdout}\n{}{}", without_times(&stderr), world.left()));
            status
        });
        told.push(world.requests());
        Life { statuses, told: without_hardware_addresses(&told.concat()) }
    }
}

/// A log of Cilium's with nothing in it that differs from run to run.
fn without_times(log: &str) -> String {
    let differs = |word: &&str| !word.starts_with("time=") && !word.starts_with("eventUUID=");
    log.lines().map(|line| line.split(' ').filter(differs).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// The text with the hardware addresses that it gives for links, which are random, numbered.
fn without_hardware_addresses(text: &str) -> String {
    let addresses =
        text.lines().filter_map(|line| line.trim_start().strip_prefix("link/ether ")?.split(' ').next());
    addresses.enumerate().fold(text.to_owned(), |text, (index, address)| {
        text.replace(address, &format!("<address {}>", index + 1))
    })
}

/// A Pod's life is the same where its plugin is wrapped.
fn lives_the_same(version: &str, statuses: [i32; 4]) {
    let [direct, wrapped] =
        [direct(), wrapped()].map(|entry| Life::of(&World::new(), &list(version, &entry)));
    assert_eq!(direct.statuses, statuses, "{}", direct.told);
    assert_eq!(wrapped.statuses, statuses, "{}", wrapped.told);
    assert_eq!(direct.told, wrapped.told);
}

#[test]
fn a_pod_of_version_1_0_0_lives_the_same() {
    lives_the_same("1.0.0", [0, 0, 0, 0]);
}

#[test]
fn a_pod_of_version_0_4_0_lives_the_same() {
    lives_the_same("0.4.0", [0, 0, 0, 0]);
}

#[test]
fn a_pod_of_version_0_3_1_which_has_no_check_lives_the_same() {
    lives_the_same("0.3.1", [0, 1, 0, 0]);
}

#[test]
fn add_leaves_the_links_of_cilium_and_del_takes_them_away() {
    let world = World::new();
    let list = list("1.0.0", &wrapped());
    assert_eq!(world.cnitool("add", &list, "web").0, 0);
    let left = without_hardware_addresses(&world.left());
    insta::assert_snapshot!(left, @r"
    node:
    3: lxccaf1939e14da@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP group default qlen 1000
        link/ether <address 1> brd ff:ff:ff:ff:ff:ff link-netns pod
    multicast ff00::/8 dev lxccaf1939e14da table local proto kernel metric 256 pref medium
    lxccaf1939e14da/rp_filter:0
    pod:
    2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP group default qlen 1000
        link/ether <address 2> brd ff:ff:ff:ff:ff:ff link-netnsid 0
        inet 10.11.0.7/32 scope global eth0
        inet6 fd00:11::7/128 scope global nodad
    default via 10.11.0.1 dev eth0 mtu 1450
    10.11.0.1 dev eth0 scope link
    local 10.11.0.7 dev eth0 table local proto kernel scope host src 10.11.0.7
    fd00:11::1 dev eth0 metric 1024 pref medium
    fd00:11::7 dev eth0 proto kernel metric 256 pref medium
    default via fd00:11::1 dev eth0 metric 1024 mtu 1450 pref medium
    local fd00:11::7 dev eth0 table local proto kernel metric 0 pref medium
    multicast ff00::/8 dev eth0 table local proto kernel metric 256 pref medium
    reserved ports: 8472
    ");
    assert_eq!(world.cnitool("del", &list, "web"), (0, String::new(), String::new()));
    // Of what it set, Cilium leaves the reserved ports to go with the Pod's namespace.
    assert_eq!(world.left(), "node:\npod:\nreserved ports: 8472\n");
}

#[test]
fn every_call_is_recorded_with_its_pod() {
    let world = World::new();
    let list = list("1.0.0", &wrapped());
    let (_, result, _) = world.cnitool("add", &list, "web");
    world.cnitool("del", &list, "web");
    let mut ends = world.place.records();
    ends.retain(|record| record["event"] == "end");
    let keys = ["command", "outcome", "plugin", "network", "pod_namespace", "pod_name", "netns"];
    let told: Vec<_> = ends.iter().map(|end| Value::from_iter(keys.map(|key| end[key].clone()))).collect();
    let expected = |verb| json!([verb, "ok", "cilium-cni", "cilium", "shop", "web", POD]);
    assert_eq!(told, [expected("ADD"), expected("DEL")]);
    // What the plugin printed; cnitool leaves the empty `dns` out.
    let mut result: Value = serde_json::from_str(&result).unwrap();
    result["dns"] = json!({});
    assert_eq!(ends[0]["result"], result);
}

#[test]
fn an_endpoint_that_the_agent_refuses_is_told_whole() {
    let worlds = [World::new(), World::new()];
    let [direct, wrapped] = [(&worlds[0], direct()), (&worlds[1], wrapped())]
        .map(|(world, entry)| world.cnitool("add", &list("1.0.0", &entry), "refused"));
    let error = "plugin type=\"cilium-cni\" failed (add): \
        unable to create endpoint: [PUT /endpoint/{id}][429] putEndpointIdTooManyRequests ";
    assert_eq!(direct, (1, String::new(), format!("{error}\n")));
    let id = worlds[1].place.end()["id"].clone();
    let bracket = "[cniscope: agent-refused: the network add-on's agent answers with a failure; \
        fix: read the agent's log on this node at the time of the failure";
    let bracket = format!("{bracket}; see: cniscope show {}]", id.as_str().unwrap());
    let enriched = format!("plugin type=\"cniscope\" failed (add): {error}; {bracket}\n");
    assert_eq!(wrapped, (1, String::new(), enriched));
    let [direct, wrapped] =
        worlds.each_ref().map(|world| without_hardware_addresses(&(world.left() + &world.requests())));
    // The check `cilium` asks the agent whether it answers.
    assert_eq!(direct + "GET /v1/config\n", wrapped);
}

#[test]
fn cilium_refuses_a_plugin_before_it_and_cniscope_stands_in_its_place() {
    let world = World::new();
    world.place.plugin("before", r#"cat >/dev/null; echo '{"cniVersion":"1.0.0"}'"#);
    let mut before = list("1.0.0", &direct());
    before["plugins"].as_array_mut().unwrap().insert(0, json!({"type": "before"}));
    let refusal = "plugin type=\"cilium-cni\" failed (add): CNI PrevResult supplied, but not in chaining mode \
        -- this is invalid, please set chaining-mode in CNI configuration\n";
    assert_eq!(world.cnitool("add", &before, "web"), (1, String::new(), refusal.into()));
    let (status, _, stderr) = world.cnitool("add", &list("1.0.0", &wrapped()), "web");
    assert_eq!((status, stderr), (0, String::new()));
}
