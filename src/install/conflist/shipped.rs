//! The lists that add-ons write (`shipped/ORIGINS.md`), wrapped and taken back.

use std::fs;
use std::path::Path;

use super::*;

/// Every one of them, by its name.
fn shipped() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/install/conflist/shipped");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let named = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut lists: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending != "md"))
        .map(|path| (named(&path), fs::read(&path).unwrap()))
        .collect();
    lists.sort();
    lists
}

/// The plugin of each entry, those that are wrapped with a `*`, and with a `?` where they look at the network.
fn entries(document: &[u8]) -> Vec<String> {
    let network = Network::read(document).unwrap();
    let inner = network.inner(document);
    let all = std::iter::once(&network).chain(&inner).flat_map(|network| network.plugins().unwrap());
    all.map(|plugin| {
        let settings = String::from_utf8_lossy(plugin.entry.settings().unwrap_or_default()).into_owned();
        let wrapped = if plugin.is_wrapped { "*" } else { "" };
        let verifies = if plugin.is_wrapped && !settings.contains("verify") { "?" } else { "" };
        let named = if settings.contains("named") { "!" } else { "" };
        format!("{}{wrapped}{verifies}{named}", plugin.kind)
    })
    .collect()
}

#[test]
fn what_is_wrapped_of_each() {
    let expected = [
        "antrea.conflist: antrea*, portmap*, bandwidth*?",
        "aws.conflist: aws-cni*!, egress-cni*, portmap*?",
        "azure.conflist: azure-vnet*, portmap*?",
        "calico.conflist: calico*, bandwidth*, portmap*?",
        "canal.conflist: calico*, portmap*, bandwidth*?",
        "cilium-chained.conflist: aws-cni*!, portmap*, cilium-cni*?",
        "cilium.conflist: cilium-cni*?",
        "flannel.conflist: flannel*, portmap*?",
        "istio-chained.conflist: calico*?, istio-cni",
        "k3s.conflist: flannel*, portmap*, bandwidth*?",
        "kindnet.conflist: ptp*, portmap*?",
        "kube-router.conflist: bridge*, portmap*?",
        "multus-thick.conf: multus-shim*?!",
        "multus-thin.conf: multus*?!, flannel*, portmap*?",
        "ovn-kubernetes.conf: ovn-k8s-cni-overlay*?!",
        "weave.conflist: weave-net*!, portmap*?",
    ];
    let found: Vec<String> = shipped()
        .iter()
        .map(|(name, list)| format!("{name}: {}", entries(&wrap(list, Which::All).unwrap()).join(", ")))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn each_is_taken_back_to_the_same_bytes() {
    for (name, list) in shipped() {
        for which in [Which::Head, Which::All] {
            let wrapped = wrap(&list, which).unwrap();
            assert_ne!(wrapped, list, "{name}");
            assert_eq!(wrap(&wrapped, which).unwrap(), wrapped, "{name}: wrapped a second time");
            assert_eq!(unwrap(&wrapped).unwrap(), list, "{name}");
        }
        let both = wrap(&wrap(&list, Which::Head).unwrap(), Which::All).unwrap();
        assert_eq!(unwrap(&both).unwrap(), list, "{name}: the head first");
    }
}

#[test]
fn every_file_says_where_it_comes_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/install/conflist/shipped");
    let origins = fs::read_to_string(folder.join("ORIGINS.md")).unwrap();
    for (name, _) in shipped() {
        assert!(origins.contains(&format!("| `{name}` | ")), "{name}");
    }
}

proptest::proptest! {
    /// An add-on that writes other white space, or no line breaks at all, is wrapped and taken back as well.
    #[test]
    fn each_is_taken_back_with_other_white_space(
        which in proptest::sample::select(shipped()),
        spaces in proptest::collection::vec("[ \t\r\n]{0,3}", 1..8),
    ) {
        let (_, list) = which;
        let text = String::from_utf8(list).unwrap();
        let (mut other, mut is_text, mut count) = (String::new(), false, 0);
        for letter in text.chars() {
            is_text ^= letter == '"';
            other.push(letter);
            if !is_text && "{}[],:".contains(letter) {
                other.push_str(&spaces[count % spaces.len()]);
                count += 1;
            }
        }
        let wrapped = wrap(other.as_bytes(), Which::All).unwrap();
        proptest::prop_assert_eq!(unwrap(&wrapped).unwrap(), other.into_bytes());
    }
}
