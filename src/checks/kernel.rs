//! `kernel`: the modules that a plugin needs, and whether those on disk are of the kernel that runs. None is loaded to find out.

use std::path::Path;

use serde_json::{Value, json};

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::last_good::{Good, KERNEL};
use crate::node::modules::{Module, ModuleFiles};

/// The kinds of links that plugins make; the kernel asks for the module of each by itself.
const NEEDS: &[(&str, &[&str])] = &[
    ("bridge", &["bridge", "veth"]),
    ("calico", &["veth"]),
    ("cilium-cni", &["veth"]),
    ("dummy", &["dummy"]),
    ("ipvlan", &["ipvlan"]),
    ("macvlan", &["macvlan"]),
    ("ptp", &["veth"]),
    ("tap", &["tun"]),
    ("vlan", &["8021q"]),
    ("vrf", &["vrf"]),
];
/// What flanneld makes with the back end that is its default.
const VXLAN: &str = "vxlan";

/// A module, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Need {
    module: &'static str,
    plugin: String,
    /// Whether the call fails without it.
    is_certain: bool,
    state: Module,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    release: String,
    loads_modules: bool,
    /// `kernel.modules_disabled`: no module can be loaded any more.
    is_closed: bool,
    files: ModuleFiles,
    needs: Vec<Need>,
    other_kernel: Option<OtherKernel>,
}

/// No call has gone well with the kernel that runs: the last good one ran with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OtherKernel {
    release: String,
    /// When the call began.
    time: String,
    /// Whether that is so of every plugin of the node, not of this one alone.
    of_all: bool,
}

/// Looks at the kernel's modules.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let need = |(module, plugin, is_certain): (&'static str, String, bool)| Need {
        module,
        plugin,
        is_certain,
        state: node.module(module),
    };
    let release = node.kernel();
    judge(&Facts {
        other_kernel: other_kernel(&release, &subject.plugin, &node.good_calls()),
        release,
        loads_modules: node.loads_modules(),
        is_closed: node.number(Path::new("/proc/sys/kernel/modules_disabled")) == Some(1),
        files: node.module_files(),
        needs: needed(subject).into_iter().map(need).collect(),
    })
}

/// By the last good calls, the latest first.
fn other_kernel(release: &str, plugin: &str, calls: &[Good]) -> Option<OtherKernel> {
    let of_call = |call: &Good| call.facts.get(KERNEL).cloned().unwrap_or_default();
    let last = calls.iter().find(|call| plugin.is_empty() || call.plugin == plugin)?;
    let before = of_call(last);
    let is_other = !release.is_empty() && !before.is_empty() && before != release;
    is_other.then(|| OtherKernel {
        release: before,
        time: last.time.clone(),
        of_all: calls.iter().all(|call| of_call(call) != release),
    })
}

fn needed(subject: &Subject) -> Vec<(&'static str, String, bool)> {
    let mut needed = Vec::new();
    for (_, plugin) in subject.plugins() {
        let modules = NEEDS.iter().find(|(name, _)| *name == plugin).map(|(_, modules)| *modules);
        needed.extend(modules.unwrap_or_default().iter().map(|module| (*module, plugin.clone(), true)));
        if plugin == "flannel" {
            needed.push((VXLAN, plugin, false));
        }
    }
    needed
}

fn judge(facts: &Facts) -> Finding {
    let found = facts.needs.iter().filter_map(|need| of_need(facts, need));
    // Of those that are alike the first.
    let worst = found.collect::<Vec<_>>().into_iter().rev().max_by_key(|finding| finding.status);
    let finding =
        worst.or_else(|| of_files(facts)).or_else(|| of_change(facts)).unwrap_or_else(|| untroubled(facts));
    let needs: serde_json::Map<String, Value> =
        facts.needs.iter().map(|need| (need.module.to_owned(), shown(&need.state))).collect();
    let finding = match &facts.other_kernel {
        Some(other) => finding.with("last_good", json!({"time": other.time, "release": other.release})),
        None => finding,
    };
    finding
        .with("release", facts.release.as_str())
        .with("modules", needs)
        .with("other_releases", facts.files.others.clone())
}

fn shown(state: &Module) -> Value {
    match state {
        Module::Present => json!("present"),
        Module::OnDisk => json!("on disk"),
        Module::Forbidden(path) => json!(format!("forbidden by {}", path.display())),
        Module::Absent => json!("absent"),
        Module::Unknown => Value::Null,
    }
}

fn of_need(facts: &Facts, need: &Need) -> Option<Finding> {
    let Facts { release, .. } = facts;
    let Need { module, plugin, .. } = need;
    let (what, fix) = match &need.state {
        Module::Absent => (
            format!("the kernel {release} has no {module}, which {plugin} needs"),
            format!(
                "install the package with the kernel's further modules (linux-modules-extra-{release}, kernel-modules-extra)"
            ),
        ),
        Module::OnDisk if facts.is_closed => (
            format!(
                "{module}, which {plugin} needs, is not loaded, and this kernel loads no further modules (kernel.modules_disabled=1)"
            ),
            format!(
                "have it loaded at start, before modules are switched off: echo {module} > /etc/modules-load.d/cni.conf"
            ),
        ),
        Module::Forbidden(path) => (
            format!("{module}, which {plugin} needs, is not loaded, and {} forbids it", path.display()),
            format!(
                "take {module} out of {}, or load it at start: echo {module} > /etc/modules-load.d/cni.conf",
                path.display()
            ),
        ),
        Module::Present | Module::OnDisk | Module::Unknown => return None,
    };
    let finding = if need.is_certain {
        Finding::fail(Cause::KernelUnsupported, what)
    } else {
        Finding::warn(what).explains(Cause::KernelUnsupported)
    };
    Some(finding.fix(fix))
}

/// After an upgrade of its package the running kernel may have lost its modules.
fn of_files(facts: &Facts) -> Option<Finding> {
    let Facts { release, files, .. } = facts;
    if !facts.loads_modules || release.is_empty() || files.has_own || files.others.is_empty() {
        return None;
    }
    let there = files.others.join(", ");
    Some(
        Finding::warn(format!(
            "the kernel {release} runs, but its modules are gone from /lib/modules ({there}): none can be loaded"
        ))
        .explains(Cause::KernelUnsupported)
        .fix(format!("install the modules of {release} again"))
        .fix("destructive: reboot the node into the kernel whose modules are there (drain it first)"),
    )
}

/// That one plugin has not been used since is no trouble yet; that no call has gone well may be.
fn of_change(facts: &Facts) -> Option<Finding> {
    let Facts { release, other_kernel, .. } = facts;
    let OtherKernel { release: before, time, .. } = other_kernel.as_ref().filter(|other| other.of_all)?;
    Some(
        Finding::warn(format!(
            "no good ADD is known since the kernel {release} runs; the last one, at {time}, had {before}"
        ))
        .explains(Cause::KernelUnsupported)
        .fix(format!(
            "compare what has changed between {before} and {release}: modules, options, the add-on's demands"
        ))
        .fix(format!("destructive: reboot the node into {before} (drain it first)")),
    )
}

fn untroubled(facts: &Facts) -> Finding {
    let Facts { release, .. } = facts;
    let unknown: Vec<&str> =
        facts.needs.iter().filter(|need| need.state == Module::Unknown).map(|need| need.module).collect();
    match (release.is_empty(), unknown.is_empty()) {
        (true, _) => Finding::skipped("the kernel does not tell its release"),
        (_, false) => Finding::skipped(format!(
            "the kernel {release} does not tell what is built in: {} may be there",
            unknown.join(", ")
        )),
        _ if let Some(OtherKernel { release: before, time, .. }) = &facts.other_kernel => Finding::ok(
            format!("the kernel {release} runs; the plugin's last good call, at {time}, had {before}"),
        ),
        _ if facts.needs.is_empty() => Finding::ok(format!("the kernel {release} runs")),
        _ => Finding::ok(format!("the kernel {release} has what the plugin needs")),
    }
}

#[cfg(test)]
mod tests;
