//! The manifests in conf-examples/kubernetes, as kubectl renders them and the API server takes them.

use std::path::Path;

use crate::node::with_network;

/// A path in conf-examples/kubernetes.
pub fn folder(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf-examples/kubernetes").join(name);
    folder.to_str().unwrap().to_owned()
}

#[test]
fn the_api_server_takes_every_overlay() {
    let node = with_network("10.244.7.0/24");
    // A dry run makes no namespace for what comes after it.
    node.kubectl(&["create", "namespace", "cniscope"]);
    let overlays = std::fs::read_dir(folder("overlays")).unwrap();
    let mut names: Vec<String> =
        overlays.map(|overlay| overlay.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["k3s", "kubeadm", "rke2", "uninstall-k3s", "uninstall-kubeadm", "uninstall-rke2"]);
    for name in names {
        let told = node.kubectl(&["apply", "--dry-run=server", "-k", &folder(&format!("overlays/{name}"))]);
        assert!(told.contains("daemonset.apps/cniscope created (server dry run)\n"), "{name}: {told}");
    }
}
