//! Kernels that lack something.

use super::*;
use crate::diagnosis::finding::Status;

fn need(module: &'static str, state: Module) -> Vec<Need> {
    vec![Need { module, plugin: "macvlan".into(), is_certain: true, state }]
}

fn healthy() -> Facts {
    Facts {
        release: "6.1.0-13".into(),
        loads_modules: true,
        is_closed: false,
        files: ModuleFiles { has_own: true, others: vec!["6.1.0-18".into()] },
        needs: need("macvlan", Module::OnDisk),
        other_kernel: None,
    }
}

/// A good call of this plugin with this kernel, on this day.
fn good(plugin: &str, kernel: &str, day: u8) -> Good {
    let facts = [(KERNEL.to_owned(), kernel.to_owned())].into();
    Good { plugin: plugin.into(), time: format!("2026-01-{day:02}T00:00:00.000Z"), facts, ..Good::default() }
}

#[test]
fn the_kernel_is_compared_with_that_of_the_last_good_call() {
    let (well, lacks) = ("the kernel 6.1.0-13 has what the plugin needs", Some(Cause::KernelUnsupported));
    let unused =
        "the kernel 6.1.0-13 runs; the plugin's last good call, at 2026-01-02T00:00:00.000Z, had 6.1.0-12";
    let none = "no good ADD is known since the kernel 6.1.0-13 runs; the last one, at 2026-01-02T00:00:00.000Z, had 6.1.0-12";
    let (old, new) = (good("macvlan", "6.1.0-12", 2), good("macvlan", "6.1.0-13", 3));
    let other = good("bridge", "6.1.0-13", 3);
    let table = [
        (vec![], Status::Ok, None, well),
        (vec![new.clone(), old.clone()], Status::Ok, None, well),
        (vec![other.clone(), old.clone()], Status::Ok, None, unused),
        (vec![other], Status::Ok, None, well),
        (vec![old.clone(), good("bridge", "6.1.0-11", 1)], Status::Warn, lacks, none),
        (vec![good("macvlan", "", 2)], Status::Ok, None, well),
    ];
    for (calls, status, cause, summary) in table {
        let other_kernel = other_kernel("6.1.0-13", "macvlan", &calls);
        let finding = judge(&Facts { other_kernel, ..healthy() });
        assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
    }
    let finding = judge(&Facts { other_kernel: other_kernel("6.1.0-13", "", &[old]), ..healthy() });
    assert_eq!(
        finding.evidence["last_good"],
        json!({"time": "2026-01-02T00:00:00.000Z", "release": "6.1.0-12"})
    );
}

#[test]
fn states_of_the_kernel() {
    let lacks = Some(Cause::KernelUnsupported);
    let with = |state| Facts { needs: need("macvlan", state), ..healthy() };
    let well = "the kernel 6.1.0-13 has what the plugin needs";
    let gone = ModuleFiles { has_own: false, others: vec!["6.1.0-18".into()] };
    let absent = "the kernel 6.1.0-13 has no macvlan, which macvlan needs";
    let table = [
        (healthy(), Status::Ok, None, well),
        (with(Module::Present), Status::Ok, None, well),
        (Facts { needs: Vec::new(), ..healthy() }, Status::Ok, None, "the kernel 6.1.0-13 runs"),
        (with(Module::Absent), Status::Fail, lacks, absent),
        (
            with(Module::Forbidden("/etc/modprobe.d/cis.conf".into())),
            Status::Fail,
            lacks,
            "macvlan, which macvlan needs, is not loaded, and /etc/modprobe.d/cis.conf forbids it",
        ),
        (
            Facts { is_closed: true, ..healthy() },
            Status::Fail,
            lacks,
            "macvlan, which macvlan needs, is not loaded, and this kernel loads no further modules \
             (kernel.modules_disabled=1)",
        ),
        (Facts { is_closed: true, ..with(Module::Present) }, Status::Ok, None, well),
        (
            with(Module::Unknown),
            Status::Skipped,
            None,
            "the kernel 6.1.0-13 does not tell what is built in: macvlan may be there",
        ),
        (
            Facts { files: gone.clone(), ..with(Module::Unknown) },
            Status::Warn,
            lacks,
            "the kernel 6.1.0-13 runs, but its modules are gone from /lib/modules (6.1.0-18): none can be loaded",
        ),
        (
            Facts { files: gone.clone(), loads_modules: false, ..with(Module::Present) },
            Status::Ok,
            None,
            well,
        ),
        (Facts { files: ModuleFiles::default(), ..with(Module::Present) }, Status::Ok, None, well),
        (Facts::default(), Status::Skipped, None, "the kernel does not tell its release"),
    ];
    for (facts, status, cause, summary) in table {
        let finding = judge(&facts);
        assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
    }
}

#[test]
fn what_a_call_may_do_without_is_a_warning() {
    let mut facts = healthy();
    facts.needs = need("vxlan", Module::Absent);
    facts.needs[0].is_certain = false;
    assert_eq!(judge(&facts).status, Status::Warn);
    facts.needs.extend(need("veth", Module::Absent));
    let finding = judge(&facts);
    assert_eq!(
        (finding.status, finding.summary.as_str()),
        (Status::Fail, "the kernel 6.1.0-13 has no veth, which macvlan needs")
    );
    assert_eq!(
        json!(finding.evidence),
        json!({
            "release": "6.1.0-13", "modules": {"vxlan": "absent", "veth": "absent"}, "other_releases": ["6.1.0-18"],
        })
    );
}

#[test]
fn what_a_plugin_delegates_to_needs_its_modules_too() {
    let of = |plugin: &str, config: Value| {
        let subject = Subject { plugin: plugin.into(), config, ..Subject::default() };
        needed(&subject).into_iter().map(|(module, _, _)| module).collect::<Vec<_>>()
    };
    assert_eq!(of("flannel", json!({})), ["vxlan", "bridge", "veth"]);
    assert_eq!(of("vlan", json!({"ipam": {"type": "host-local"}})), ["8021q"]);
    assert!(of("portmap", json!({})).is_empty());
}

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn looked(root: &Path) -> (Status, String) {
    let subject = Subject { plugin: "macvlan".into(), ..Subject::default() };
    let finding = look(&Node::at(root), &subject, Depth::Full);
    (finding.status, finding.summary)
}

#[test]
fn modules_are_looked_for_below_the_root() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "proc/sys/kernel/osrelease", "5.15.0-1005-raspi\n");
    put(root.path(), "proc/modules", "veth 1 0 - Live 0x0\n");
    put(root.path(), "lib/modules/5.15.0-1005-raspi/modules.builtin", "kernel/x.ko\n");
    put(root.path(), "lib/modules/5.15.0-1005-raspi/modules.dep", "kernel/net/vxlan.ko:\n");
    let lacks = "the kernel 5.15.0-1005-raspi has no macvlan, which macvlan needs";
    assert_eq!(looked(root.path()), (Status::Fail, lacks.to_owned()));
    put(root.path(), "proc/modules", "macvlan 1 0 - Live 0x0\n");
    assert_eq!(looked(root.path()).0, Status::Ok);
}

#[test]
fn absurd_files_tell_nothing() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(looked(root.path()).0, Status::Skipped);
    put(root.path(), "proc/sys/kernel/osrelease", "6.1\n");
    std::fs::create_dir_all(root.path().join("proc/modules")).unwrap();
    let folder = root.path().join("lib/modules/6.1");
    std::fs::create_dir_all(folder.join("modules.builtin")).unwrap();
    nix::unistd::mkfifo(&folder.join("modules.dep"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let unknown = "the kernel 6.1 does not tell what is built in: macvlan may be there";
    assert_eq!(looked(root.path()), (Status::Skipped, unknown.to_owned()));
    put(root.path(), "proc/sys/kernel/osrelease", &format!("{}\n", "../".repeat(2000)));
    assert_eq!(looked(root.path()).0, Status::Skipped);
}
