//! k3s and RKE2 as folders below a root: what `install` writes there is what the DaemonSet's Pod may write.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::machine::printed;
use crate::manifests::folder;
use crate::support::cniscope;
use crate::world::tool;

/// The list that k3s' Flannel writes.
const FLANNEL: &str = r#"{
  "name":"cbr0",
  "cniVersion":"1.0.0",
  "plugins":[
    {
      "type":"flannel",
      "delegate":{
        "hairpinMode":true,
        "forceAddress":true,
        "isDefaultGateway":true
      }
    },
    {
      "type":"portmap",
      "capabilities":{
        "portMappings":true
      }
    }
  ]
}
"#;

/// A node's files.
struct Layout {
    root: tempfile::TempDir,
}

impl Layout {
    fn new() -> Layout {
        let layout = Layout { root: tempfile::tempdir().unwrap() };
        for folder in ["/etc", "/run", "/var/lib", "/var/log"] {
            fs::create_dir_all(layout.path(folder)).unwrap();
        }
        layout
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Puts plugins into a folder, each a link to one program as in k3s.
    fn plugins(&self, folder: &str) {
        fs::create_dir_all(self.path(folder)).unwrap();
        fs::copy(tool("plugins/bridge"), self.path(folder).join("cni")).unwrap();
        for plugin in ["bandwidth", "bridge", "calico", "calico-ipam", "flannel", "host-local", "portmap"] {
            symlink("cni", self.path(folder).join(plugin)).unwrap();
        }
    }

    /// Every file and link, with its content.
    fn files(&self) -> String {
        printed(Command::new("sh").current_dir(self.root.path()).args([
            "-ec",
            "find . -printf '%p %y %m %l\\n' | sort; find . -type f -exec sha256sum {} + | sort",
        ]))
    }

    fn cniscope(&self, verb: &str) {
        printed(Command::new(cniscope()).arg("--root").arg(self.root.path()).arg(verb));
    }
}

/// The folders that the container of an overlay may write to, as the node has them.
fn writable(overlay: &str) -> Vec<String> {
    let overlay = folder(&format!("overlays/{overlay}"));
    let render = format!(
        // What asks no API server writes it as JSON.
        "{kubectl} kustomize {overlay} | {kubectl} label --local -f - seen=yes -o json",
        kubectl = tool("bin/kubectl").display()
    );
    let rendered = printed(Command::new("sh").args(["-ec", &render]));
    let mut documents =
        serde_json::Deserializer::from_str(&rendered).into_iter::<Value>().map(Result::unwrap);
    let daemonset = documents.find(|document| document["kind"] == "DaemonSet").unwrap();
    let mounts = daemonset["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].as_array().unwrap();
    let is_writable = |mount: &&Value| mount["readOnly"] != true;
    let on_the_node = |mount: &Value| mount["mountPath"].as_str().unwrap()["/host".len()..].to_owned();
    mounts.iter().filter(is_writable).map(on_the_node).collect()
}

/// Installs on a layout and takes it out again: everything that is written is in a folder that the overlay's Pod may write.
fn comes_and_goes(layout: &Layout, overlay: &str, list: &str, binary: &str) {
    let before = layout.files();
    layout.cniscope("install");
    assert!(fs::read_to_string(layout.path(list)).unwrap().contains(r#""cniscope":"#));
    assert_eq!(fs::read(layout.path(binary)).unwrap(), fs::read(cniscope()).unwrap());
    let writable = writable(overlay);
    for written in [list, binary] {
        assert!(
            writable.iter().any(|folder| Path::new(written).starts_with(folder)),
            "{written}: {writable:?}"
        );
    }
    layout.cniscope("uninstall");
    assert_eq!(layout.files(), before);
}

#[test]
fn k3s_has_its_list_and_its_plugins_below_its_data() {
    let layout = Layout::new();
    let data = "/var/lib/rancher/k3s";
    let (networks, plugins) = (format!("{data}/agent/etc/cni/net.d"), format!("{data}/data/cni"));
    layout.put(
        &format!("{data}/agent/etc/containerd/config.toml"),
        &format!(
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n  bin_dir = \"{plugins}\"\n  conf_dir = \"{networks}\"\n"
        ),
    );
    layout.put(&format!("{networks}/10-flannel.conflist"), FLANNEL);
    layout.plugins(&plugins);
    comes_and_goes(
        &layout,
        "k3s",
        &format!("{networks}/10-flannel.conflist"),
        &format!("{plugins}/cniscope"),
    );
}

#[test]
fn rke2_has_the_usual_folders_and_its_own_containerd() {
    let layout = Layout::new();
    layout.put("/var/lib/rancher/rke2/agent/etc/containerd/config.toml", "version = 2\n");
    let list = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("conf-examples/calico/10-calico.conflist.unwrapped"),
    );
    layout.put("/etc/cni/net.d/10-canal.conflist", &list.unwrap());
    layout.plugins("/opt/cni/bin");
    comes_and_goes(&layout, "rke2", "/etc/cni/net.d/10-canal.conflist", "/opt/cni/bin/cniscope");
}
