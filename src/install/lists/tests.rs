use std::fs;

use super::*;

const LIST: &str = r#"{"name":"pods","cniVersion":"1.0.0","plugins":[{"type":"bridge"},{"type":"portmap"}]}"#;

/// A node with these files of networks.
fn node(files: &[(&str, &str)]) -> (tempfile::TempDir, Node) {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = root.path().join("etc/cni/net.d").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let node = Node::at(root.path());
    (root, node)
}

/// What is chosen: the files, and what becomes of their entries.
fn told(files: &[(&str, &str)], told: Option<&str>, which: Which) -> Result<Vec<String>, String> {
    let (_root, node) = node(files);
    let places = Places::find(&node, None, None);
    told_of(&node, &places, told, which)
}

fn told_of(node: &Node, places: &Places, told: Option<&str>, which: Which) -> Result<Vec<String>, String> {
    let lists = chosen(node, places, told.map(Path::new), which).map_err(|error| error.to_string())?;
    let entry = |entry: &Planned| match entry.reason {
        Some(_) => entry.plugin.clone(),
        None => format!("{}*", entry.plugin),
    };
    let of = |list: &List| {
        let name = list.file.strip_prefix("/etc/cni/net.d").unwrap_or(&list.file).display().to_string();
        format!("{name}: {}", list.entries.iter().map(entry).collect::<Vec<_>>().join(" "))
    };
    Ok(lists.iter().map(of).collect())
}

#[test]
fn the_first_list_is_taken_with_all_its_entries() {
    let files = [("20-other.conflist", LIST), ("10-pods.conflist", LIST), ("00-readme.txt", "")];
    assert_eq!(told(&files, None, Which::All).unwrap(), ["10-pods.conflist: bridge* portmap*"]);
    assert_eq!(told(&files, None, Which::Head).unwrap(), ["10-pods.conflist: bridge* portmap"]);
}

#[test]
fn a_list_is_told_by_its_name_or_its_path() {
    let files = [("20-other.conflist", LIST), ("10-pods.conflist", LIST), ("own/list.conflist", LIST)];
    assert_eq!(
        told(&files, Some("20-other.conflist"), Which::All).unwrap(),
        ["20-other.conflist: bridge* portmap*"]
    );
    assert_eq!(
        told(&files, Some("/etc/cni/net.d/own/list.conflist"), Which::All).unwrap(),
        ["own/list.conflist: bridge* portmap*"]
    );
    assert_eq!(
        told(&files, Some("none"), Which::All).unwrap_err(),
        "/etc/cni/net.d/none: /etc/cni/net.d/none: no such file or directory"
    );
}

#[test]
fn the_lists_that_multus_runs_are_taken_too() {
    let files = [
        ("00-multus.conf", r#"{"name":"m","type":"multus-shim"}"#),
        ("10-pods.conflist", LIST),
        ("20-broken.conflist", "{"),
        ("30-single.conf", r#"{"name":"s","type":"macvlan"}"#),
    ];
    assert_eq!(
        told(&files, None, Which::All).unwrap(),
        ["00-multus.conf: multus-shim*", "10-pods.conflist: bridge* portmap*", "30-single.conf: macvlan*"]
    );
}

#[test]
fn the_files_beside_a_list_are_taken_with_it() {
    let files = [
        ("10-pods.conflist", LIST),
        ("pods/10-a.conf", r#"{"type":"tuning"}"#),
        ("pods/20-istio.conf", r#"{"type":"istio-cni"}"#),
        ("pods/readme", ""),
    ];
    let found = told(&files, None, Which::All).unwrap();
    assert_eq!(
        found,
        ["10-pods.conflist: bridge* portmap*", "pods/10-a.conf: tuning*", "pods/20-istio.conf: istio-cni"]
    );
    let found = told(&files, None, Which::Head).unwrap();
    assert_eq!(
        found,
        ["10-pods.conflist: bridge* portmap", "pods/10-a.conf: tuning", "pods/20-istio.conf: istio-cni"]
    );
}

#[test]
fn where_there_is_no_list_none_is_made() {
    let none = "/etc/cni/net.d: no network configuration is there; the network add-on writes it, cniscope makes none";
    assert_eq!(told(&[], None, Which::All).unwrap_err(), none);
    assert_eq!(told(&[("readme.txt", "")], None, Which::All).unwrap_err(), none);
}

#[test]
fn a_broken_list_is_passed_over_by_cri_o_alone() {
    let files = [("10-broken.conflist", r#"{"name":"n"}"#), ("20-pods.conflist", LIST)];
    assert_eq!(
        told(&files, None, Which::All).unwrap_err(),
        "/etc/cni/net.d/10-broken.conflist: plugins: is missing, expected an array of entries"
    );
    let (_root, node) = node(&files);
    let places = Places { runtime: Some("CRI-O"), ..Places::find(&node, None, None) };
    assert_eq!(told_of(&node, &places, None, Which::All).unwrap(), ["20-pods.conflist: bridge* portmap*"]);
}

#[test]
fn two_entries_of_one_plugin_are_refused() {
    let twice = r#"{"name":"n","plugins":[{"type":"a"},{"type":"a"}]}"#;
    assert_eq!(
        told(&[("10.conflist", twice)], None, Which::All).unwrap_err(),
        "/etc/cni/net.d/10.conflist: plugins[0] and plugins[1] both run \"a\": calls of the one could not be told from the \
         other's"
    );
}
