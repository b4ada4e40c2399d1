//! `plugin-binary`: the delegate, its ipam plugin and what it delegates to can be started.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Depth;
use super::elf::{self, Format};
use super::subject::Subject;
use crate::cni::path;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::processes::Process;

/// Where distributions and add-ons put plugins, to be named when a binary is missing.
const USUAL_FOLDERS: [&str; 5] = [
    "/opt/cni/bin",
    "/usr/lib/cni",
    "/usr/libexec/cni",
    "/var/lib/rancher/k3s/data/cni",
    "/home/kubernetes/bin",
];

/// One plugin that the call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Binary {
    role: &'static str,
    name: String,
    found: Found,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// In none of the folders; where else it is.
    Nowhere { elsewhere: Vec<PathBuf> },
    /// The file that libcni takes.
    At {
        path: PathBuf,
        mode: u32,
        size: u64,
        format: Format,
        missing_loader: Option<String>,
        /// Who is writing it.
        writer: Option<Process>,
    },
    /// It is there, but cannot be read.
    Unreadable { path: PathBuf, why: String },
}

/// Looks for the binaries that the call needs.
#[must_use]
pub fn look(node: &Node, subject: &Subject, depth: Depth) -> Finding {
    let plugins = subject.plugins().into_iter();
    let binaries: Vec<Binary> = plugins
        .map(|(role, name)| Binary { role, found: find(node, &subject.folders, &name, depth), name })
        .collect();
    judge(&binaries, &subject.folders)
}

fn find(node: &Node, folders: &[PathBuf], name: &str, depth: Depth) -> Found {
    let is_file = |path: &PathBuf| node.metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut candidates = folders.iter().map(|folder| path::join(folder, name.as_ref()));
    let Some(path) = candidates.find(is_file) else {
        let usual = USUAL_FOLDERS.iter().map(|folder| path::join(Path::new(folder), name.as_ref()));
        return Found::Nowhere { elsewhere: usual.filter(is_file).collect() };
    };
    match node.open_file(&path) {
        Ok(file) => {
            let metadata = file.metadata.clone();
            let (mode, size) = (metadata.mode(), metadata.size());
            match file.read_start(elf::START) {
                Ok(start) => {
                    let format = elf::read(&start);
                    let missing_loader =
                        loader(&format).filter(|loader| node.metadata(Path::new(loader)).is_err());
                    let missing_loader = missing_loader.map(str::to_owned);
                    let full = depth == Depth::Full;
                    let writer = full.then(|| node.writer_of(&metadata)).flatten();
                    Found::At { path, mode, size, missing_loader, writer, format }
                }
                Err(error) => Found::Unreadable { path, why: error.to_string() },
            }
        }
        Err(error) => Found::Unreadable { path, why: error.to_string() },
    }
}

/// The program that the kernel starts to run this one.
fn loader(format: &Format) -> Option<&str> {
    match format {
        Format::Elf(elf) => elf.loader.as_deref(),
        Format::Script(interpreter) => Some(interpreter),
        Format::Other => None,
    }
}

fn judge(binaries: &[Binary], folders: &[PathBuf]) -> Finding {
    let evidence = Value::Array(binaries.iter().map(evidence).collect());
    let shown: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
    let problem = binaries.iter().find_map(|binary| problem(binary, &shown));
    let finding = problem.unwrap_or_else(|| {
        let names: Vec<_> = binaries.iter().map(|binary| binary.name.as_str()).collect();
        Finding::ok(format!("{} can be executed", names.join(", ")))
    });
    finding.with("folders", shown).with("binaries", evidence)
}

fn problem(binary: &Binary, folders: &[String]) -> Option<Finding> {
    let name = &binary.name;
    let (path, mode, size, format, missing_loader, writer) = match &binary.found {
        Found::Nowhere { elsewhere } => return Some(nowhere(binary, folders, elsewhere)),
        Found::Unreadable { why, .. } => {
            return Some(Finding::warn(format!("the {} {name} cannot be looked at: {why}", binary.role)));
        }
        Found::At { path, mode, size, format, missing_loader, writer } => {
            (path.display(), mode, size, format, missing_loader, writer)
        }
    };
    let broken = |what: String| Finding::fail(Cause::PluginNotExecutable, format!("{path} {what}"));
    if mode & 0o111 == 0 {
        return Some(
            broken(format!("has mode {:04o}: nobody may execute it", mode & 0o7777))
                .fix(format!("chmod 0755 {path}")),
        );
    }
    if let Some(writer) = writer {
        let what = "is open for writing, and cannot be executed meanwhile".to_owned();
        return Some(
            broken(what).fix(format!("wait until {name} has been installed")).fix(format!(
                "if it stays like this, see what process {} ({}) does",
                writer.pid, writer.name
            )),
        );
    }
    if *size == 0 {
        return Some(broken("is empty".to_owned()).fix(format!("install {name} again")));
    }
    match format {
        Format::Other => {
            return Some(broken("is no program".to_owned()).fix(format!("install {name} again")));
        }
        Format::Elf(elf) if !elf::runs_here(&elf.machine) => {
            let here = std::env::consts::ARCH;
            let what = format!("is for {}, this machine is {here}", elf.machine);
            return Some(broken(what).fix(format!("install {name} for {here}")));
        }
        Format::Elf(elf) if elf.needs > *size => {
            let what = format!("is cut short: {size} of at least {} bytes", elf.needs);
            return Some(broken(what).fix(format!("install {name} again")));
        }
        _ => {}
    }
    let loader = missing_loader.as_ref()?;
    Some(
        broken(format!("needs {loader}, which is not on this node"))
            .fix(format!("install a static build of {name}")),
    )
}

fn nowhere(binary: &Binary, folders: &[String], elsewhere: &[PathBuf]) -> Finding {
    let summary = format!(
        "the {} {} is in none of the folders of CNI_PATH ({})",
        binary.role,
        binary.name,
        folders.join(", ")
    );
    let finding = Finding::fail(Cause::PluginNotFound, summary);
    match (elsewhere.first(), folders.first()) {
        (Some(there), Some(folder)) => finding
            .fix(format!("copy {} to {folder}, or set the runtime's bin folder to it", there.display())),
        (None, Some(folder)) => finding.fix(format!("install {} in {folder}", binary.name)),
        _ => finding,
    }
}

fn evidence(binary: &Binary) -> Value {
    match &binary.found {
        Found::Nowhere { elsewhere } => {
            json!({ "name": binary.name, "role": binary.role, "elsewhere": elsewhere })
        }
        Found::Unreadable { path, why } => {
            json!({ "name": binary.name, "role": binary.role, "path": path, "error": why })
        }
        Found::At { path, mode, size, writer, .. } => {
            let mut evidence = json!({
                "name": binary.name, "role": binary.role, "path": path, "mode": format!("{:04o}", mode & 0o7777), "size": size,
            });
            if let Some(writer) = writer {
                evidence["written_by"] = json!({ "pid": writer.pid, "name": writer.name });
            }
            evidence
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// What is found of a plugin `x` whose file is made by `make`.
    fn found(make: impl FnOnce(&Path)) -> Finding {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("opt/bin");
        fs::create_dir_all(&folder).unwrap();
        make(&folder.join("x"));
        let subject = Subject {
            plugin: "x".into(),
            folders: vec!["/none".into(), "/opt/bin".into()],
            ..Subject::default()
        };
        look(&Node::at(root.path()), &subject, Depth::Quick)
    }

    fn put(path: &Path, content: &[u8], mode: u32) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn elf(machine: u8, needs: u8) -> Vec<u8> {
        let mut program = b"\x7fELF\x02\x01\x01".to_vec();
        program.resize(120, 0);
        program[18] = machine;
        program[32] = 64; // the program headers stand behind the header
        program[54] = 56; // each is this long
        program[56] = 1; // and there is one
        program[64] = 1; // PT_LOAD
        program[64 + 32] = needs;
        program
    }

    fn this_machine() -> u8 {
        if cfg!(target_arch = "x86_64") { 62 } else { 183 }
    }

    #[test]
    fn a_binary_that_is_being_written_is_told_with_who_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        put(&path, &elf(this_machine(), 120), 0o755);
        let _writing = fs::File::options().append(true).open(&path).unwrap();
        let subject =
            Subject { plugin: "x".into(), folders: vec![folder.path().into()], ..Subject::default() };
        let finding = look(&Node::this(), &subject, Depth::Full);
        assert_eq!(finding.cause, Some(Cause::PluginNotExecutable));
        assert_eq!(
            finding.summary,
            format!("{} is open for writing, and cannot be executed meanwhile", path.display())
        );
        assert_eq!(finding.fix[0], "wait until x has been installed");
        assert_eq!(finding.evidence["binaries"][0]["written_by"]["pid"], std::process::id());
    }

    #[test]
    fn states_of_a_binary() {
        type Make = fn(&Path);
        let table: [(&str, Make, Status, Option<Cause>, &str); 8] = [
            (
                "good",
                |path| put(path, &elf(this_machine(), 120), 0o755),
                Status::Ok,
                None,
                "x can be executed",
            ),
            (
                "missing",
                |_| {},
                Status::Fail,
                Some(Cause::PluginNotFound),
                "the plugin x is in none of the folders of CNI_PATH (/none, /opt/bin)",
            ),
            (
                "a folder",
                |path| fs::create_dir(path).unwrap(),
                Status::Fail,
                Some(Cause::PluginNotFound),
                "the plugin x is in none of the folders of CNI_PATH (/none, /opt/bin)",
            ),
            (
                "no x bit",
                |path| put(path, &elf(this_machine(), 120), 0o644),
                Status::Fail,
                Some(Cause::PluginNotExecutable),
                "/opt/bin/x has mode 0644: nobody may execute it",
            ),
            (
                "empty",
                |path| put(path, b"", 0o755),
                Status::Fail,
                Some(Cause::PluginNotExecutable),
                "/opt/bin/x is empty",
            ),
            (
                "junk",
                |path| put(path, b"<html>404", 0o755),
                Status::Fail,
                Some(Cause::PluginNotExecutable),
                "/opt/bin/x is no program",
            ),
            (
                "cut short",
                |path| put(path, &elf(this_machine(), 250), 0o755),
                Status::Fail,
                Some(Cause::PluginNotExecutable),
                "/opt/bin/x is cut short: 120 of at least 250 bytes",
            ),
            (
                "a script without its interpreter",
                |path| put(path, b"#!/bin/none\n", 0o755),
                Status::Fail,
                Some(Cause::PluginNotExecutable),
                "/opt/bin/x needs /bin/none, which is not on this node",
            ),
        ];
        for (name, make, status, cause, summary) in table {
            let finding = found(make);
            assert_eq!(
                (finding.status, finding.cause, finding.summary.as_str()),
                (status, cause, summary),
                "{name}"
            );
        }
    }

    #[test]
    fn another_machines_program_is_named_as_such() {
        let finding = found(|path| put(path, &elf(22, 120), 0o755));
        let expected = format!("/opt/bin/x is for s390x, this machine is {}", std::env::consts::ARCH);
        assert_eq!(finding.summary, expected);
    }

    #[test]
    fn a_missing_binary_that_is_elsewhere_is_named_there() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/lib/cni")).unwrap();
        put(&root.path().join("usr/lib/cni/host-local"), b"", 0o755);
        let config = json!({"ipam": {"type": "host-local"}});
        let subject =
            Subject { plugin: "x".into(), folders: vec!["/opt/bin".into()], config, ..Subject::default() };
        let binaries = [Binary {
            role: "ipam plugin",
            name: "host-local".into(),
            found: find(&Node::at(root.path()), &subject.folders, "host-local", Depth::Quick),
        }];
        let finding = judge(&binaries, &subject.folders);
        assert_eq!(
            finding.fix,
            ["copy /usr/lib/cni/host-local to /opt/bin, or set the runtime's bin folder to it"]
        );
    }

    #[test]
    fn a_binary_that_cannot_be_read_is_a_warning_with_the_reason() {
        let unreadable =
            Found::Unreadable { path: "/opt/bin/x".into(), why: "/opt/bin/x: input/output error".to_owned() };
        let binary = Binary { role: "plugin", name: "x".into(), found: unreadable };
        let expected = Finding::warn("the plugin x cannot be looked at: /opt/bin/x: input/output error")
            .with("folders", json!(["/opt/bin"]))
            .with(
                "binaries",
                json!([{
                    "name": "x", "role": "plugin", "path": "/opt/bin/x", "error": "/opt/bin/x: input/output error",
                }]),
            );
        assert_eq!(judge(&[binary], &["/opt/bin".into()]), expected);
    }
}
