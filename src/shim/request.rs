//! What the runtime asks for, read once.

use std::cell::OnceCell;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use super::refusal::Refusal;
use crate::cni::entry::{self, Entry};
use crate::cni::environment::Environment;
use crate::cni::path;
use crate::journal::record::Caller;
use crate::node::Node;
use crate::settings::{Deadlines, Settings};

/// One call.
#[derive(Debug)]
pub(super) struct Request {
    /// Its id, a UUID of version 7.
    pub(super) id: String,
    /// When the process started.
    pub(super) started: Instant,
    /// The same by the clock.
    pub(super) time: SystemTime,
    pub(super) environment: Environment,
    /// As the runtime wrote it.
    pub(super) stdin: Vec<u8>,
    /// What the delegate reads: `type` restored, `cniscope` dropped.
    pub(super) delegate_stdin: Vec<u8>,
    /// The bytes of the entry's own settings.
    pub(super) entry_settings: Option<Vec<u8>>,
    /// The delegate's name; empty where the entry does not tell.
    pub(super) plugin: String,
    /// Whether errors carry the network's name (the entry came from a single-plugin `.conf`).
    pub(super) named: bool,
    /// The network's name.
    pub(super) network: String,
    /// The configuration's `cniVersion`.
    pub(super) cni_version: Option<String>,
    /// The folders of `CNI_PATH`.
    pub(super) folders: Vec<PathBuf>,
    /// Where the delegate was found; empty if it was not.
    pub(super) plugin_path: PathBuf,
    /// What the file system knows of it.
    pub(super) plugin_file: Option<Metadata>,
    /// The process that started this one: its id, and its name once it was asked for.
    caller: (u32, OnceCell<String>),
    /// This process; its helper outlives it where it is late.
    pub(super) pid: u32,
    /// Why the delegate is not started.
    pub(super) refusal: Option<Refusal>,
}

impl Request {
    pub(super) fn new(started: Instant, environment: Environment, stdin: Vec<u8>) -> Request {
        let mut request = Request {
            id: Uuid::now_v7().to_string(),
            started,
            time: SystemTime::now(),
            folders: path::folders(&environment.path),
            environment,
            stdin,
            delegate_stdin: Vec::new(),
            entry_settings: None,
            plugin: String::new(),
            named: false,
            network: String::new(),
            cni_version: None,
            plugin_path: PathBuf::new(),
            plugin_file: None,
            caller: (std::os::unix::process::parent_id(), OnceCell::new()),
            pid: std::process::id(),
            refusal: None,
        };
        request.refusal = request.read().err();
        request
    }

    /// The process that started this one. The first who asks looks its name up, which is for when there is time.
    pub(super) fn caller(&self) -> Caller {
        let (pid, name) = &self.caller;
        let comm =
            || Node::this().read_text(&crate::node::processes::proc_path(*pid, "comm")).unwrap_or_default();
        Caller { pid: *pid, name: name.get_or_init(comm).clone() }
    }

    /// How long the delegate may take.
    pub(super) fn deadline(&self, deadlines: &Deadlines) -> Option<Duration> {
        Settings::deadline(deadlines, &self.environment.command, &self.caller().name)
    }

    /// Reads stdin and finds the delegate.
    fn read(&mut self) -> Result<(), Refusal> {
        let stdin = std::mem::take(&mut self.stdin);
        let read = self.read_entry(&stdin);
        self.stdin = stdin;
        read?;
        if self.folders.is_empty() {
            return Err(Refusal::no_cni_path(self));
        }
        let (path, metadata) = find(&self.folders, &self.plugin).ok_or_else(|| Refusal::not_found(self))?;
        self.plugin_path = path;
        let is_this_program = is_this_program(&metadata);
        self.plugin_file = Some(metadata);
        if is_this_program { Err(Refusal::wraps_itself(self)) } else { Ok(()) }
    }

    fn read_entry(&mut self, stdin: &[u8]) -> Result<(), Refusal> {
        let entry = Entry::read(stdin).map_err(|error| Refusal::stdin_not_an_object(&error))?;
        self.network = entry.string("name").unwrap_or_default().into_owned();
        self.cni_version = entry.string("cniVersion").map(std::borrow::Cow::into_owned);
        self.entry_settings = entry.settings().map(<[u8]>::to_vec);
        let wrapped = Wrapped::of(&entry).map_err(|mistake| Refusal::bad_wraps(self, &mistake))?;
        self.plugin = wrapped.plugin;
        self.named = wrapped.named;
        self.delegate_stdin = entry::apply(stdin, &wrapped.edits);
        Ok(())
    }
}

/// What an entry says of the plugin that it wraps.
pub(super) struct Wrapped {
    pub(super) plugin: String,
    pub(super) named: bool,
    pub(super) edits: Vec<entry::Edit>,
}

impl Wrapped {
    /// Reads it. The error says what is wrong with `wraps`.
    pub(super) fn of(entry: &Entry<'_>) -> Result<Wrapped, String> {
        let settings = entry.settings().ok_or("the entry has no key \"cniscope\"")?;
        let edits = entry.unwrapped().ok_or("\"cniscope\" has no \"wraps\" that is a string")?;
        let settings = Entry::read(settings).map_err(|error| format!("\"cniscope\" is {error}"))?;
        let plugin = settings.string("wraps").unwrap_or_default().into_owned();
        if !path::is_plugin_name(&plugin) {
            return Err(format!("\"wraps\" is {plugin:?}, expected the plain file name of a plugin"));
        }
        if plugin == entry::NAME {
            return Err(format!("\"wraps\" is {plugin:?}, which is this program"));
        }
        let named = settings.last("named").is_some_and(|member| settings.bytes(member) == b"true");
        Ok(Wrapped { plugin, named, edits })
    }
}

/// The plugin's path, as libcni finds it: the first regular file of its name.
fn find(folders: &[PathBuf], plugin: &str) -> Option<(PathBuf, Metadata)> {
    folders.iter().find_map(|folder| {
        let path = path::join(folder, plugin.as_ref());
        let metadata = std::fs::metadata(&path).ok().filter(Metadata::is_file)?;
        Some((path, metadata))
    })
}

/// Whether a file is this very program, under whatever name.
fn is_this_program(file: &Metadata) -> bool {
    std::fs::metadata("/proc/self/exe").is_ok_and(|own| own.dev() == file.dev() && own.ino() == file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wraps(entry: &str) -> Result<String, String> {
        let entry = Entry::read(entry.as_bytes()).unwrap();
        Wrapped::of(&entry)
            .map(|wrapped| format!("{}{}", wrapped.plugin, if wrapped.named { ", named" } else { "" }))
    }

    #[test]
    fn what_is_wrapped_is_a_plain_file_name() {
        let table: &[(&str, Result<&str, &str>)] = &[
            (r#"{"cniscope":{"wraps":"calico"}}"#, Ok("calico")),
            (r#"{"cniscope":{"wraps":"calico","named":true}}"#, Ok("calico, named")),
            (r#"{"cniscope":{"wraps":"calico","named":"true"}}"#, Ok("calico")),
            (r#"{"cniscope":{"wraps":"a"},"cniscope":{"wraps":"b"}}"#, Ok("b")),
            (r"{}", Err("the entry has no key \"cniscope\"")),
            (r#"{"cniscope":true}"#, Err("\"cniscope\" has no \"wraps\" that is a string")),
            (r#"{"cniscope":{"wraps":["x"]}}"#, Err("\"cniscope\" has no \"wraps\" that is a string")),
            (
                r#"{"cniscope":{"wraps":""}}"#,
                Err("\"wraps\" is \"\", expected the plain file name of a plugin"),
            ),
            (
                r#"{"cniscope":{"wraps":"../x"}}"#,
                Err("\"wraps\" is \"../x\", expected the plain file name of a plugin"),
            ),
            (
                r#"{"cniscope":{"wraps":".."}}"#,
                Err("\"wraps\" is \"..\", expected the plain file name of a plugin"),
            ),
            (r#"{"cniscope":{"wraps":"cniscope"}}"#, Err("\"wraps\" is \"cniscope\", which is this program")),
        ];
        for (entry, expected) in table {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(wraps(entry), expected, "{entry}");
        }
    }

    #[test]
    fn this_program_is_known_by_its_inode() {
        let folder = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap();
        let link = folder.path().join("calico");
        std::os::unix::fs::symlink(own, &link).unwrap();
        assert!(is_this_program(&std::fs::metadata(&link).unwrap()));
        assert!(!is_this_program(&std::fs::metadata("/bin/sh").unwrap()));
    }
}
