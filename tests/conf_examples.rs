//! The configurations and the settings file of conf-examples: what is shipped is what wrapping makes, and it runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cniscope::digest::sha256;
use cniscope::install::conflist::{Which, unwrap, wrap};
use cniscope::node::Node;
use cniscope::settings::{KEYS, Settings, VERBS};
use serde_json::{Value, json};

use crate::support::Place;

/// Where the examples stand.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf-examples")
}

fn read(name: &str) -> String {
    let path = examples().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What origins.json says of each configuration.
fn origins() -> Vec<Value> {
    serde_json::from_str(&read("origins.json")).unwrap()
}

/// The path of each configuration, and its content before it was wrapped and after.
fn configurations() -> Vec<(String, String, String)> {
    let pair = |origin: &Value| {
        let name = origin["configuration"].as_str().unwrap().to_owned();
        let unwrapped = read(&format!("{name}.unwrapped"));
        (name.clone(), unwrapped, read(&name))
    };
    origins().iter().map(pair).collect()
}

/// A network's configuration as libcni takes it from a file: a single plugin is a list of one.
struct Network {
    name: Value,
    cni_version: Value,
    entries: Vec<Value>,
}

impl Network {
    fn read(content: &str) -> Network {
        let document: Value = serde_json::from_str(content).unwrap();
        let entries = document["plugins"].as_array().cloned().unwrap_or_else(|| vec![document.clone()]);
        Network { name: document["name"].clone(), cni_version: document["cniVersion"].clone(), entries }
    }

    /// What libcni writes to an entry's stdin.
    fn stdin(&self, entry: usize, previous: &Value) -> String {
        let mut config = self.entries[entry].clone();
        config["name"] = self.name.clone();
        config["cniVersion"] = self.cni_version.clone();
        if !previous.is_null() {
            config["prevResult"] = previous.clone();
        }
        config.to_string()
    }

    /// This wrapped network with the entries that its plugins are to read. Networks inside of an entry stay wrapped: its
    /// plugin runs them.
    fn restored(&self, unwrapped: &Network) -> Network {
        let entries = self.entries.iter().zip(unwrapped.plugins()).map(|(entry, plugin)| {
            let mut entry = entry.clone();
            entry["type"] = json!(plugin);
            entry.as_object_mut().unwrap().shift_remove("cniscope");
            entry
        });
        Network { name: self.name.clone(), cni_version: self.cni_version.clone(), entries: entries.collect() }
    }

    /// The names of its plugins, in their order.
    fn plugins(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry["type"].as_str().unwrap()).collect()
    }
}

/// The result of the plugin at this place of a list: it adds a route to what the one before gave.
fn result(network: &Network, entry: usize) -> Value {
    let routes: Vec<Value> =
        (0..=entry).map(|number| json!({"dst": format!("10.{number}.0.0/16")})).collect();
    json!({
        "cniVersion": network.cni_version,
        "interfaces": [{"name": "eth0", "sandbox": "/proc/1/ns/net"}],
        "ips": [{"version": "4", "interface": 0, "address": "10.9.8.7/24"}],
        "routes": routes,
    })
}

/// Makes the network's plugins: each keeps what it read under its verb, and prints its result on ADD.
fn make_plugins(place: &Place, unwrapped: &Network) {
    for (entry, plugin) in unwrapped.plugins().iter().enumerate() {
        let script = format!(
            "cat > \"$0.$CNI_COMMAND\"; [ \"$CNI_COMMAND\" != ADD ] || printf '%s' '{}'",
            result(unwrapped, entry)
        );
        place.plugin(plugin, &script);
    }
}

/// Runs one configuration through the binary as libcni would: ADD in its order, DEL in reverse.
fn runs(name: &str) {
    let (_, unwrapped, wrapped) = configurations().into_iter().find(|(of, ..)| of == name).unwrap();
    let (unwrapped, wrapped) = (Network::read(&unwrapped), Network::read(&wrapped));
    assert_eq!(wrapped.plugins(), vec!["cniscope"; unwrapped.entries.len()]);
    let restored = wrapped.restored(&unwrapped);
    let place = Place::new();
    make_plugins(&place, &unwrapped);
    let all = 0..unwrapped.entries.len();
    let read_by = |entry: usize, verb: &str| {
        fs::read_to_string(place.path("bin").join(format!("{}.{verb}", unwrapped.plugins()[entry]))).unwrap()
    };
    let mut previous = Value::Null;
    for entry in all.clone() {
        let call = place.wrapped("ADD", unwrapped.plugins()[entry]).stdin(wrapped.stdin(entry, &previous));
        let expected = result(&unwrapped, entry);
        assert_eq!(call.run().answer(), (0, expected.to_string(), String::new()));
        assert_eq!(read_by(entry, "ADD"), restored.stdin(entry, &previous));
        previous = expected;
    }
    for entry in all.rev() {
        let call = place.wrapped("DEL", unwrapped.plugins()[entry]).stdin(wrapped.stdin(entry, &previous));
        assert_eq!(call.run().answer(), (0, String::new(), String::new()));
        assert_eq!(read_by(entry, "DEL"), restored.stdin(entry, &previous));
    }
    let recorded: Vec<Value> = place
        .records()
        .iter()
        .filter(|record| record["event"] == "end")
        .map(|end| json!([end["command"], end["plugin"], end["network"], end["outcome"]]))
        .collect();
    let call = |verb: &str, plugin: &str| json!([verb, plugin, unwrapped.name, "ok"]);
    let plugins = unwrapped.plugins();
    let expected: Vec<Value> = (plugins.iter().map(|plugin| call("ADD", plugin)))
        .chain(plugins.iter().rev().map(|plugin| call("DEL", plugin)))
        .collect();
    assert_eq!(recorded, expected);
}

#[test]
fn every_configuration_is_there_and_says_where_it_comes_from() {
    let mut found = BTreeSet::new();
    let folders = fs::read_dir(examples()).unwrap().map(|folder| folder.unwrap().path());
    // Alerts and what is for a cluster are no configurations of a network.
    let is_of_networks =
        |folder: &PathBuf| !folder.ends_with("prometheus") && !folder.ends_with("kubernetes");
    for folder in folders.filter(is_of_networks) {
        for file in fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().path()) {
            found.insert(file.strip_prefix(examples()).unwrap().to_string_lossy().into_owned());
        }
    }
    let named = configurations().into_iter().flat_map(|(name, ..)| [format!("{name}.unwrapped"), name]);
    assert_eq!(found, named.collect());
    let readme = read("README.md");
    for (name, ..) in configurations() {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}

#[test]
fn what_is_wrapped_are_the_bytes_that_are_pinned() {
    for origin in origins() {
        let name = origin["configuration"].as_str().unwrap();
        let pinned = origin["unwrapped_sha256"].as_str().unwrap();
        assert_eq!(sha256(read(&format!("{name}.unwrapped")).as_bytes()), pinned, "{name}");
    }
}

#[test]
fn wrapping_makes_what_is_shipped() {
    for (name, unwrapped, wrapped) in configurations() {
        let made = String::from_utf8(wrap(unwrapped.as_bytes(), Which::All).unwrap()).unwrap();
        assert_eq!(made, wrapped, "{name}");
    }
}

#[test]
fn unwrapping_gives_the_original_bytes_back() {
    for (name, unwrapped, wrapped) in configurations() {
        let made = String::from_utf8(unwrap(wrapped.as_bytes()).unwrap()).unwrap();
        assert_eq!(made, unwrapped, "{name}");
    }
}

#[test]
fn the_bridge_list_runs() {
    runs("bridge/87-podman-bridge.conflist");
}

#[test]
fn calicos_list_runs() {
    runs("calico/10-calico.conflist");
}

#[test]
fn ciliums_list_runs() {
    runs("cilium/05-cilium.conflist");
}

#[test]
fn flannels_list_runs() {
    runs("flannel/10-flannel.conflist");
}

#[test]
fn multus_runs() {
    runs("multus/00-multus.conf");
}

/// libcni writes the name where the entry has it itself, which only a single plugin's has.
#[test]
fn an_error_of_multus_carries_the_networks_name_and_one_of_calico_does_not() {
    let table = [
        (
            "multus/00-multus.conf",
            r#"plugin type="multus" name="multus-cni-network" failed (add): no API server"#,
        ),
        ("calico/10-calico.conflist", r#"plugin type="calico" failed (add): no API server"#),
    ];
    for (name, expected) in table {
        let place = Place::new();
        let plugin = name.split('/').next().unwrap();
        place.plugin(plugin, r#"cat >/dev/null; echo '{"code":100,"msg":"no API server"}'; exit 1"#);
        let ran = place.wrapped("ADD", plugin).stdin(Network::read(&read(name)).stdin(0, &Value::Null)).run();
        assert_eq!((ran.status, &ran.json()["code"], &ran.json()["msg"]), (1, &json!(100), &json!(expected)));
    }
}

/// Every setting of config.json that is no object of others, by its path.
fn shipped_settings() -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(&read("config.json")).unwrap();
    let mut found = Vec::new();
    for (key, value) in document.as_object().unwrap() {
        match value.as_object().filter(|inner| !inner.is_empty()) {
            Some(inner) => {
                found.extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value.clone())));
            }
            None => found.push((key.clone(), value.clone())),
        }
    }
    found
}

#[test]
fn config_json_holds_every_setting() {
    let objects = ["checks", "journal"];
    let known: BTreeSet<String> = KEYS
        .iter()
        .filter(|key| !objects.contains(key))
        .map(|key| (*key).to_owned())
        .chain(cniscope::checks::names().map(|name| format!("checks.{name}")))
        .collect();
    assert_eq!(shipped_settings().into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>(), known);
}

#[test]
fn config_json_changes_no_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, read("config.json")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let settings = Settings::of_node(&Node::at(folder.path()), Some(&"/config.json".into()));
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_readme_has_every_setting_with_its_default() {
    let readme = read("README.md");
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = readme.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    for (key, value) in shipped_settings() {
        let row = rows.iter().find(|row| row[0] == format!("`{key}`"));
        let row = row.unwrap_or_else(|| panic!("{key} is not in the README's table"));
        assert_eq!(row[2], format!("`{value}`"), "{key}");
    }
    for verb in VERBS {
        assert!(
            readme.contains(&format!("`{verb}`")),
            "{verb}, which deadlineSeconds knows, is not in the README"
        );
    }
}
