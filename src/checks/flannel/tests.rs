//! A node with flannel, in every state.

use super::*;
use crate::diagnosis::finding::Status;
use serde_json::json;

const WHOLE: &str =
    "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

fn link(name: &str, kind: Option<&str>, mtu: u32, address: &str) -> Link {
    let addresses = vec![address.parse().unwrap()];
    Link { name: name.into(), kind: kind.map(str::to_owned), up: true, mtu, addresses, ..Link::default() }
}

fn device() -> Link {
    link("flannel.1", Some("vxlan"), 1450, "10.244.1.0/32")
}

fn healthy() -> Facts {
    Facts {
        path: SUBNET_ENV.into(),
        found: parse(WHOLE),
        bridge: "cni0".into(),
        bridge_must_fit: true,
        delegate_mtu: None,
        links: Some(Links {
            devices: vec![device()],
            lower: Vec::new(),
            outer: Some(link("eth0", None, 1500, "192.0.2.7/24")),
            bridge: Some(link("cni0", Some("bridge"), 1450, "10.244.1.1/24")),
        }),
    }
}

fn with(change: impl FnOnce(&mut Facts, &mut Links)) -> (Status, Option<Cause>, String) {
    let mut facts = healthy();
    let mut links = facts.links.take().unwrap();
    change(&mut facts, &mut links);
    facts.links = Some(links);
    let finding = judge(&facts);
    (finding.status, finding.cause, finding.summary)
}

#[test]
fn subnet_env_is_read_as_the_plugin_reads_it() {
    let v6 = "FLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00:0:0:1::/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=false";
    let table = [
        (WHOLE.to_owned(), None),
        (v6.to_owned(), None),
        (String::new(), Some("FLANNEL_NETWORK or FLANNEL_IPV6_NETWORK is missing")),
        (WHOLE.replace("FLANNEL_SUBNET", "SUBNET"), Some("FLANNEL_SUBNET or FLANNEL_IPV6_SUBNET is missing")),
        (WHOLE.replace("FLANNEL_MTU=1450\n", ""), Some("FLANNEL_MTU is missing")),
        (WHOLE.replace("1450", "many"), Some("FLANNEL_MTU is \"many\", expected a number")),
        (WHOLE.replace("FLANNEL_IPMASQ=true\n", ""), Some("FLANNEL_IPMASQ is missing")),
        (
            WHOLE.replace("10.244.1.1/24", "10.244."),
            Some("FLANNEL_SUBNET is \"10.244.\", expected a network such as 10.244.1.0/24"),
        ),
        (
            WHOLE.replace("10.244.1.1/24", "10.244/99"),
            Some("FLANNEL_SUBNET is \"10.244/99\", which is no network"),
        ),
    ];
    for (content, expected) in table {
        let broken = match parse(&content) {
            Found::Broken(why) => Some(why),
            _ => None,
        };
        assert_eq!(broken.as_deref(), expected, "{content}");
    }
}

#[test]
fn states_of_the_file() {
    let gone = Some(Cause::SubnetEnvMissing);
    let path = "/run/flannel/subnet.env";
    let table = [
        (with(|_, _| {}), Status::Ok, None, format!("{path} is whole and flannel.1 fits it")),
        (with(|facts, _| facts.found = Found::Missing), Status::Fail, gone, format!("{path} is missing")),
        (
            with(|facts, links| (facts.found, links.devices) = (Found::Missing, Vec::new())),
            Status::Fail,
            gone,
            format!("{path} is missing, and flannel has no device here"),
        ),
        (
            with(|facts, _| facts.found = parse("")),
            Status::Fail,
            gone,
            format!("{path} is not whole: FLANNEL_NETWORK or FLANNEL_IPV6_NETWORK is missing"),
        ),
    ];
    for (found, status, cause, summary) in table {
        assert_eq!(found, (status, cause, summary));
    }
    let quick = judge(&Facts { links: None, ..healthy() });
    assert_eq!((quick.status, quick.summary), (Status::Ok, format!("{path} is whole")));
}

#[test]
fn states_of_the_links() {
    let mtu = Some(Cause::MtuInvalid);
    let conflict = Some(Cause::BridgeAddressConflict);
    let other = |name: &str, kind: &str| Some(link(name, Some(kind), 1450, "10.9.9.0/24"));
    let outside = "is outside of the subnet that flannel has for this node now";
    let table = [
        (with(|_, links| links.bridge = None), Status::Ok, None, String::new()),
        (
            with(|_, links| links.bridge = other("cni0", "bridge")),
            Status::Fail,
            conflict,
            format!("cni0 {outside}"),
        ),
        (
            with(|facts, links| {
                facts.bridge_must_fit = false;
                links.bridge = other("cni0", "bridge");
            }),
            Status::Ok,
            None,
            String::new(),
        ),
        (
            with(|_, links| links.devices = vec![other("flannel.1", "vxlan").unwrap()]),
            Status::Warn,
            None,
            format!("flannel.1 {outside}"),
        ),
        (
            with(|_, links| links.devices = vec![other("flannel.1", "dummy").unwrap()]),
            Status::Warn,
            None,
            "flannel.1 is no vxlan but a dummy".into(),
        ),
        (
            with(|_, links| links.devices = vec![Link { up: false, ..device() }]),
            Status::Warn,
            None,
            "flannel.1 is down: Pods do not reach those of other nodes".into(),
        ),
        (
            with(|_, links| links.devices.clear()),
            Status::Warn,
            None,
            "flannel.1 is gone: Pods do not reach those of other nodes".into(),
        ),
        (
            with(|facts, links| {
                facts.found = parse(&WHOLE.replace("1450", "1500"));
                links.devices.clear();
            }),
            Status::Ok,
            None,
            "flannel has no device, as with host-gw".into(),
        ),
        (
            with(|_, links| (links.devices, links.outer) = (Vec::new(), None)),
            Status::Skipped,
            None,
            "which back end flannel uses cannot be told: it has no device".into(),
        ),
        (
            with(|facts, _| facts.found = parse(&WHOLE.replace("1450", "1500"))),
            Status::Warn,
            mtu,
            "FLANNEL_MTU in /run/flannel/subnet.env is 1500, but flannel.1 carries 1450: larger packets are lost"
                .into(),
        ),
        (
            with(|facts, _| facts.delegate_mtu = Some(9000)),
            Status::Warn,
            mtu,
            "the delegate's mtu is 9000, but flannel.1 carries 1450: larger packets are lost".into(),
        ),
        (
            with(|_, links| links.outer.as_mut().unwrap().mtu = 1400),
            Status::Warn,
            mtu,
            "flannel.1 has MTU 1450, but the network below it has room for 1350".into(),
        ),
    ];
    for ((found, found_cause, found_summary), status, cause, summary) in table {
        assert_eq!((found, found_cause), (status, cause), "{found_summary}");
        assert!(summary.is_empty() || found_summary == summary, "{found_summary}");
    }
}

#[test]
fn the_device_is_found_with_what_it_sends_through() {
    let numbered = |index: u32, lower: Option<u32>, link: Link| Link { index, lower, ..link };
    let links = vec![
        numbered(2, None, link("eth0", None, 1500, "192.0.2.7/24")),
        numbered(3, None, link("eth1", None, 9000, "198.51.100.7/24")),
        numbered(4, Some(3), device()),
    ];
    let chosen = choose(links.clone(), "cni0");
    assert_eq!((chosen.below(&links[2]), &chosen.outer, &chosen.bridge), (Some(&links[1]), &None, &None));
    assert_eq!(chosen.devices, [links[2].clone()]);
    assert_eq!(choose(links[..2].to_vec(), "cni0").outer, None, "which of two is not known");
    let wireguard = link("flannel-wg", Some("wireguard"), 1420, "10.244.1.0/32");
    let chosen = choose(vec![links[0].clone(), wireguard.clone()], "cni0");
    assert_eq!(chosen.below(&wireguard), Some(&links[0]));
}

/// A node with this device, on a network of this MTU.
fn behind(name: &str, kind: &str, mtu: u32, flannel_mtu: u32, outer: u32) -> (Status, Option<Cause>, String) {
    with(|facts, links| {
        facts.found = parse(&WHOLE.replace("1450", &flannel_mtu.to_string()));
        links.devices = vec![link(name, Some(kind), mtu, "10.244.1.0/32")];
        links.outer.as_mut().unwrap().mtu = outer;
    })
}

#[test]
fn each_back_end_takes_its_own_of_the_mtu() {
    let well = |name: &str| (Status::Ok, None, format!("{SUBNET_ENV} is whole and {name} fits it"));
    let mtu = |summary: &str| (Status::Warn, Some(Cause::MtuInvalid), summary.to_owned());
    let table = [
        (behind("flannel.1", "vxlan", 1450, 1450, 1500), well("flannel.1")),
        (behind("flannel-wg", "wireguard", 1420, 1420, 1500), well("flannel-wg")),
        (behind("flannel-wg", "wireguard", 1440, 1420, 1500), well("flannel-wg")),
        (
            behind("flannel-wg", "wireguard", 1420, 1420, 1450),
            mtu("flannel-wg has MTU 1420, but the network below it has room for 1390"),
        ),
        (
            behind("flannel-wg-v6", "wireguard", 1440, 1420, 1500),
            mtu("flannel-wg-v6 has MTU 1440, but the network below it has room for 1420"),
        ),
        (behind("flannel.ipip", "ipip", 1480, 1480, 1500), well("flannel.ipip")),
        (
            behind("flannel.ipip", "ipip", 1480, 1480, 1450),
            mtu("flannel.ipip has MTU 1480, but the network below it has room for 1430"),
        ),
        (behind("flannel0", "tun", 1472, 1472, 1500), well("flannel0")),
        // As flannel and the kernel make it.
        (behind("flannel-v6.1", "vxlan", 1430, 1450, 1500), well("flannel-v6.1")),
        (
            behind("flannel-v6.1", "vxlan", 1430, 1450, 1450),
            mtu("flannel-v6.1 has MTU 1430, but the network below it has room for 1380"),
        ),
        (
            behind("flannel-v6.1", "vxlan", 1430, 1500, 1500),
            mtu(
                "FLANNEL_MTU in /run/flannel/subnet.env is 1500, but flannel-v6.1 carries 1430: larger packets are lost",
            ),
        ),
        (
            behind("flannel.ipip", "sit", 1480, 1480, 1500),
            (Status::Warn, None, "flannel.ipip is no ipip but a sit".to_owned()),
        ),
    ];
    for (found, expected) in table {
        assert_eq!(found, expected);
    }
}

#[test]
fn of_two_families_the_device_that_is_wrong_is_told() {
    let both = |mtu| {
        with(|_, links| links.devices.push(link("flannel-v6.1", Some("vxlan"), mtu, "fd00:0:0:1::/128"))).2
    };
    assert_eq!(both(1430), "/run/flannel/subnet.env is whole and flannel.1 fits it");
    assert_eq!(both(1450), "flannel-v6.1 has MTU 1450, but the network below it has room for 1430");
}

#[test]
fn a_device_that_is_gone_is_told_by_the_room_that_is_left_for_it() {
    let without = |flannel_mtu: &str| {
        with(|facts, links| {
            facts.found = parse(&WHOLE.replace("1450", flannel_mtu));
            links.devices.clear();
        })
    };
    let gone =
        |name: &str| (Status::Warn, None, format!("{name} is gone: Pods do not reach those of other nodes"));
    assert_eq!(without("1420"), gone("flannel-wg"));
    assert_eq!(without("1480"), gone("flannel.ipip"));
    // IPsec takes 77, and has no device.
    assert_eq!(without("1423").0, Status::Ok);
}

fn looked(put: impl FnOnce(&Path), depth: Depth) -> (Status, Option<Cause>, String) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("run/flannel")).unwrap();
    put(&root.path().join("run/flannel/subnet.env"));
    let config = json!({"name": "cbr0", "type": "flannel", "delegate": {"bridge": "no-such-bridge"}});
    let subject = Subject { plugin: "flannel".into(), config, ..Subject::default() };
    assert!(fits(&subject));
    let finding = look(&Node::at(root.path()), &subject, depth);
    (finding.status, finding.cause, finding.summary)
}

#[test]
fn what_stands_in_place_of_the_file_is_named_and_does_not_hang() {
    let path = "/run/flannel/subnet.env";
    let gone = Some(Cause::SubnetEnvMissing);
    let quick = |put: &dyn Fn(&Path)| looked(put, Depth::Quick);
    let folder = quick(&|file| std::fs::create_dir(file).unwrap());
    let fifo = quick(&|file| nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRWXU).unwrap());
    let huge = quick(&|file| std::fs::write(file, vec![b'\n'; 1 << 20]).unwrap());
    let binary = quick(&|file| std::fs::write(file, [0, 0xff, b'=', 0xfe]).unwrap());
    let circle = quick(&|file| std::os::unix::fs::symlink("subnet.env", file).unwrap());
    let table = [
        (quick(&|file| std::fs::write(file, WHOLE).unwrap()), Status::Ok, None, "is whole"),
        (quick(&|_| {}), Status::Fail, gone, "is missing"),
        (folder, Status::Fail, gone, "is not whole: is a folder, expected a regular file"),
        (fifo, Status::Fail, gone, "is not whole: is a FIFO, expected a regular file"),
        (binary, Status::Fail, gone, "is not whole: FLANNEL_NETWORK or FLANNEL_IPV6_NETWORK is missing"),
    ];
    for (found, status, cause, summary) in table {
        assert_eq!(found, (status, cause, format!("{path} {summary}")));
    }
    assert_eq!(huge, (Status::Skipped, None, format!("{path}: is larger than 65536 bytes")));
    assert_eq!(circle, (Status::Skipped, None, format!("{path}: too many symbolic links encountered")));
}

#[test]
fn a_close_look_sees_that_the_device_is_gone_with_the_file() {
    let (status, cause, summary) = looked(|_| {}, Depth::Full);
    assert_eq!((status, cause), (Status::Fail, Some(Cause::SubnetEnvMissing)));
    assert!(summary.starts_with("/run/flannel/subnet.env is missing"), "{summary}");
}
