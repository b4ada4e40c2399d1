//! A bundle that somebody has unpacked: its folder `host` is a node's root, whose kernel is far away.

use std::path::Path;

use serde_json::Value;

use super::manifest;
use crate::node::Node;
use crate::node::links::Link;

/// The largest list of links, in bytes.
const MAX: u64 = 64 << 20;
/// Where a bundle has the links.
pub const LINKS: &str = "netlink/links.json";

/// The links of the node whose files are below `root`, where that is the folder of a bundle.
#[must_use]
pub fn links(root: &Path) -> Option<Vec<Link>> {
    if root.file_name()? != "host" {
        return None;
    }
    let bundle = Node::at(root.parent()?);
    bundle.metadata(&Path::new("/").join(manifest::NAME)).ok()?;
    let list = bundle.read(&Path::new("/").join(LINKS), MAX).ok()?;
    let list: Vec<Value> = serde_json::from_slice(&list).ok()?;
    Some(list.iter().map(link).collect())
}

/// A link as the bundle has it; what is not there is as in a link of which nothing is known.
fn link(shown: &Value) -> Link {
    let number = |key: &str| shown[key].as_u64().and_then(|number| u32::try_from(number).ok());
    let is = |key: &str| shown[key].as_bool().unwrap_or_default();
    let text = |key: &str| shown[key].as_str().map(str::to_owned);
    let addresses = shown["addresses"].as_array().into_iter().flatten();
    Link {
        index: number("index").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        kind: text("kind"),
        up: is("up"),
        carrier: is("carrier"),
        mtu: number("mtu").unwrap_or_default(),
        controller: number("controller"),
        lower: number("lower"),
        port: number("port").and_then(|port| u16::try_from(port).ok()),
        peer_is_elsewhere: is("peer_is_elsewhere"),
        addresses: addresses.filter_map(|address| address.as_str()?.parse().ok()).collect(),
        ..Link::default()
    }
}

/// A link as a bundle has it: what the checks read that look at one.
#[must_use]
pub fn shown(link: &Link) -> Value {
    serde_json::json!({
        "index": link.index, "name": link.name, "kind": link.kind, "up": link.up, "carrier": link.carrier, "mtu": link.mtu,
        "controller": link.controller, "lower": link.lower, "port": link.port, "peer_is_elsewhere": link.peer_is_elsewhere,
        "addresses": link.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_they_were_written_and_from_a_bundle_only() {
        let bridge = Link {
            index: 7,
            name: "cni0".into(),
            kind: Some("bridge".into()),
            up: true,
            mtu: 1450,
            lower: Some(2),
            port: Some(8472),
            addresses: vec!["10.1.0.1/24".parse().unwrap()],
            ..Link::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("host");
        std::fs::create_dir_all(folder.path().join("netlink")).unwrap();
        std::fs::write(folder.path().join(LINKS), Value::from(vec![shown(&bridge)]).to_string()).unwrap();
        assert_eq!(links(&root), None);
        std::fs::write(folder.path().join(manifest::NAME), "{}").unwrap();
        assert_eq!(links(&root), Some(vec![bridge]));
        assert_eq!((links(Path::new("/")), links(folder.path())), (None, None));
    }
}
