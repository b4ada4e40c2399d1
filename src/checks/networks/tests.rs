use super::*;
use std::fs;

/// The only network of a file with this content.
fn read_as(name: &str, content: &str) -> Result<Vec<Network>, Flaw> {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(name), content).unwrap();
    let mut folder = Folder::read(&Node::at(root.path()), Path::new("/")).unwrap();
    folder.files.remove(0).networks
}

fn flaw(name: &str, content: &str) -> String {
    read_as(name, content).unwrap_err().to_string()
}

#[test]
fn a_list_gives_its_entries_as_the_plugins_get_them() {
    let networks = read_as(
        "a.conflist",
        r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [
            {"type": "cniscope", "cniscope": {"wraps": "bridge"}, "mtu": 1400},
            {"type": "portmap", "capabilities": {"portMappings": true}}]}"#,
    );
    let bridge = json!({"type": "bridge", "mtu": 1400, "name": "pods", "cniVersion": "1.0.0"});
    let portmap = json!({
        "type": "portmap", "capabilities": {"portMappings": true}, "name": "pods", "cniVersion": "1.0.0",
        "prevResult": {"cniVersion": "1.0.0"},
    });
    let entry = |plugin: &str, is_wrapped, config| Entry { plugin: plugin.into(), is_wrapped, config };
    let entries = vec![entry("bridge", true, bridge), entry("portmap", false, portmap)];
    assert_eq!(networks, Ok(vec![Network { name: "pods".into(), entries }]));
}

#[test]
fn a_single_plugin_stands_as_it_is_written() {
    let networks = read_as("a.conf", r#"{"type": "loopback", "name": "lo"}"#).unwrap();
    let config = json!({"type": "loopback", "name": "lo"});
    let entries = vec![Entry { plugin: "loopback".into(), is_wrapped: false, config }];
    assert_eq!(networks, [Network { name: "lo".into(), entries }]);
}

#[test]
fn networks_inside_of_multus_are_found() {
    let networks = read_as(
        "00-multus.conf",
        r#"{"name": "m", "type": "multus", "delegates": [
            {"name": "pods", "plugins": [{"type": "calico"}, {"type": "portmap"}]}, {"name": "b", "type": "bridge"}]}"#,
    );
    let named: Vec<_> = networks.unwrap().iter().map(|one| (one.name.clone(), one.entries.len())).collect();
    assert_eq!(named, [("m".to_owned(), 1), ("pods".to_owned(), 2), ("b".to_owned(), 1)]);
}

#[test]
fn entries_beside_the_list_come_behind_its_own() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("pods")).unwrap();
    fs::write(root.path().join("pods/20.conf"), r#"{"type": "tuning"}"#).unwrap();
    fs::write(root.path().join("pods/10.conf"), r#"{"type": "portmap"}"#).unwrap();
    fs::write(root.path().join("pods/readme"), "x").unwrap();
    let plugins = |list: &str| {
        fs::write(root.path().join("a.conflist"), list).unwrap();
        let folder = Folder::read(&Node::at(root.path()), Path::new("/")).unwrap();
        let networks = folder.files[0].networks.clone().unwrap();
        networks[0].entries.iter().map(|entry| entry.plugin.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        plugins(r#"{"name": "pods", "plugins": [{"type": "bridge"}]}"#),
        ["bridge", "portmap", "tuning"]
    );
    assert_eq!(plugins(r#"{"name": "pods"}"#), ["portmap", "tuning"]);
    let closed = r#"{"name": "pods", "loadOnlyInlinedPlugins": true, "plugins": [{"type": "bridge"}]}"#;
    assert_eq!(plugins(closed), ["bridge"]);
}

#[test]
fn what_a_runtime_refuses_is_named_with_its_place() {
    let table = [
        ("a.conflist", " \n", "is empty"),
        ("a.conflist", "[]", "is no JSON object"),
        (
            "a.conflist",
            "{\n\"name\": \"pods\"\n\"plugins\"}",
            "is no JSON: invalid character '\"' after object key:value pair (line 3)",
        ),
        ("a.conflist", r#"{"name": "pods", "plugins": ["#, "is no JSON: unexpected end of JSON input"),
        ("a.conflist", r#"{"plugins": [{"type": "x"}]}"#, "name: is missing, expected the network's name"),
        ("a.conflist", r#"{"name": 7}"#, "name: is 7, expected a string"),
        ("a.conflist", r#"{"name": "n", "cniVersion": 1}"#, "cniVersion: is 1, expected a string"),
        ("a.conflist", r#"{"name": "n", "disableCheck": 1}"#, "disableCheck: is 1, expected true or false"),
        ("a.conflist", r#"{"name": "n"}"#, "plugins: is missing, expected an array of entries"),
        (
            "a.conflist",
            r#"{"name": "n", "type": "bridge"}"#,
            "plugins: is missing; a single plugin stands in a file that ends in .conf",
        ),
        ("a.conflist", r#"{"name": "n", "plugins": []}"#, "plugins: is empty"),
        ("a.conflist", r#"{"name": "n", "plugins": {}}"#, "plugins: is {}, expected an array of entries"),
        (
            "a.conflist",
            r#"{"name": "n", "plugins": [{"type": "a"}, {}]}"#,
            "plugins[1]: type: is missing, expected the name of a plugin",
        ),
        (
            "a.conflist",
            r#"{"name": "n", "plugins": [{"type": "cniscope"}]}"#,
            "plugins[0]: \"type\" is \"cniscope\", but \"cniscope\" has no \"wraps\": set it to the name of the plugin",
        ),
        ("a.conf", r#"{"name": "n", "type": ["x"]}"#, r#"type: is ["x"], expected a string"#),
        (
            "a.json",
            r#"{"name": "n", "plugins": [{"type": "a"}]}"#,
            "type: is missing; a list of plugins stands in a file that ends in .conflist",
        ),
    ];
    for (name, content, expected) in table {
        assert_eq!(flaw(name, content), expected, "{content}");
    }
}

#[test]
fn files_are_those_that_libcni_reads_in_its_order() {
    let root = tempfile::tempdir().unwrap();
    for name in
        ["b.conf", "B.conflist", "a.json", "a.conf.bak", "x.conflist.cilium_bak", ".hidden.conf", "conf"]
    {
        fs::write(root.path().join(name), "{}").unwrap();
    }
    fs::create_dir(root.path().join("0.conf")).unwrap();
    let folder = Folder::read(&Node::at(root.path()), Path::new("/")).unwrap();
    let names: Vec<_> = folder.files.iter().map(File::name).collect();
    assert_eq!(names, [".hidden.conf", "B.conflist", "a.json", "b.conf"]);
    assert_eq!(folder.unread, ["a.conf.bak", "conf", "x.conflist.cilium_bak"]);
    assert!(Folder::read(&Node::at(root.path()), Path::new("/none")).unwrap_err().is_missing());
}

#[test]
fn what_is_no_file_of_a_sensible_size_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    nix::unistd::mkfifo(&path("1.conf"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(path("folder")).unwrap();
    std::os::unix::fs::symlink("folder", path("2.conf")).unwrap();
    std::os::unix::fs::symlink("3.conf", path("3.conf")).unwrap();
    std::os::unix::fs::symlink("none", path("4.conf")).unwrap();
    fs::write(path("5.conf"), vec![b' '; 2 << 20]).unwrap();
    fs::write(path("6.conf"), b"\x00\xff\xfe").unwrap();
    fs::write(path("7.conf"), format!("{{\"type\": {}{}}}", "[".repeat(900), "]".repeat(900))).unwrap();
    let folder = Folder::read(&Node::at(root.path()), Path::new("/")).unwrap();
    let flaws: Vec<_> = folder.files.iter().map(|file| file.networks.clone().unwrap_err()).collect();
    let unread = |what: &str| Flaw::Unread(what.into());
    let refused = |what: &str| Flaw::Refused(what.into());
    assert_eq!(
        flaws,
        [
            refused("/1.conf: is a FIFO, expected a regular file"),
            refused("/2.conf: is a folder, expected a regular file"),
            refused("/3.conf: too many symbolic links encountered"),
            refused("/4.conf: no such file or directory"),
            unread("/5.conf: is larger than 1048576 bytes"),
            refused("is no JSON: invalid character '\\x00' looking for beginning of value (line 1)"),
            unread("cannot be read: recursion limit exceeded at line 1 column 136"),
        ]
    );
}

#[test]
fn the_first_file_is_taken_and_with_multus_the_others_too() {
    let root = tempfile::tempdir().unwrap();
    let taken = |first: &str| {
        fs::write(root.path().join("00.conf"), first).unwrap();
        fs::write(root.path().join("10.conf"), r#"{"name": "b", "type": "calico"}"#).unwrap();
        let folder = Folder::read(&Node::at(root.path()), Path::new("/")).unwrap();
        folder.files.iter().map(|file| folder.is_taken(file)).collect::<Vec<_>>()
    };
    assert_eq!(taken(r#"{"name": "a", "type": "bridge"}"#), [true, false]);
    assert_eq!(taken(r#"{"name": "a", "type": "multus-shim"}"#), [true, true]);
    assert_eq!(taken("broken"), [true, false]);
}

#[test]
fn subjects_are_the_node_and_every_entry() {
    let root = tempfile::tempdir().unwrap();
    let list =
        r#"{"name": "n", "plugins": [{"type": "cniscope", "cniscope": {"wraps": "a"}}, {"type": "b"}]}"#;
    fs::write(root.path().join("1.conflist"), list).unwrap();
    fs::write(root.path().join("2.conflist"), "broken").unwrap();
    let folder = Folder::read(&Node::at(root.path()), Path::new("/")).unwrap();
    let subjects = folder.subjects(&["/bin".into()]);
    let shown: Vec<_> =
        subjects.iter().map(|one| (one.plugin.as_str(), one.is_chained(), &one.origin)).collect();
    let entry = |is_wrapped| Origin::Entry { file: "/1.conflist".into(), is_wrapped };
    let expected = [
        ("", false, &Origin::Node { conf_dir: "/".into() }),
        ("a", false, &entry(true)),
        ("b", true, &entry(false)),
    ];
    assert_eq!(shown, expected);
    assert!(subjects.iter().all(|subject| subject.folders == [PathBuf::from("/bin")]));
}
