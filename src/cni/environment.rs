//! The parameters that a runtime gives in the environment ([SPEC.md, "Parameters"]).
//!
//! [SPEC.md, "Parameters"]: https://www.cni.dev/docs/spec/#parameters

use std::ffi::{OsStr, OsString};
use std::fmt;

/// What the runtime asks for: the value of `CNI_COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Attach a container to the network.
    Add,
    /// Detach it.
    Del,
    /// Verify an attachment.
    Check,
    /// Release what is left of attachments that are gone.
    Gc,
    /// Tell whether the plugin is ready for ADD.
    Status,
    /// Tell the versions of the specification that are supported.
    Version,
    /// Anything else: the delegate judges it.
    Other(String),
}

impl Verb {
    /// Reads the value of `CNI_COMMAND`.
    #[must_use]
    pub fn parse(value: &OsStr) -> Verb {
        match value.to_string_lossy().as_ref() {
            "ADD" => Verb::Add,
            "DEL" => Verb::Del,
            "CHECK" => Verb::Check,
            "GC" => Verb::Gc,
            "STATUS" => Verb::Status,
            "VERSION" => Verb::Version,
            other => Verb::Other(other.to_owned()),
        }
    }

    /// The value of `CNI_COMMAND`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Verb::Add => "ADD",
            Verb::Del => "DEL",
            Verb::Check => "CHECK",
            Verb::Gc => "GC",
            Verb::Status => "STATUS",
            Verb::Version => "VERSION",
            Verb::Other(other) => other,
        }
    }

    /// The word in the parentheses of `plugin type="…" failed (add)`, which libcni writes before the error of an ADD
    /// or a DEL and of no other verb (`libcni/api.go`).
    #[must_use]
    pub fn failed_word(&self) -> Option<&'static str> {
        match self {
            Verb::Add => Some("add"),
            Verb::Del => Some("delete"),
            _ => None,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The CNI parameters of one call. A variable that is unset is an empty one, as for libcni's own plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `CNI_COMMAND`.
    pub command: Verb,
    /// `CNI_CONTAINERID`.
    pub container_id: OsString,
    /// `CNI_NETNS`: the path of the sandbox's network namespace.
    pub netns: OsString,
    /// `CNI_IFNAME`: the interface's name in it.
    pub ifname: OsString,
    /// `CNI_PATH`: the folders of plugins, separated by `:`.
    pub path: OsString,
    /// `CNI_ARGS`, read.
    pub pod: Pod,
    /// `CNI_NETNS_OVERRIDE`: the sandbox's network namespace may be the plugin's own.
    pub netns_override: bool,
}

impl Environment {
    /// Reads the parameters through `variable`, which gives the value of an environment variable.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Environment {
        let value = |name| variable(name).unwrap_or_default();
        let netns_override = value("CNI_NETNS_OVERRIDE").to_string_lossy().to_uppercase();
        Environment {
            command: Verb::parse(&value("CNI_COMMAND")),
            container_id: value("CNI_CONTAINERID"),
            netns: value("CNI_NETNS"),
            ifname: value("CNI_IFNAME"),
            path: value("CNI_PATH"),
            pod: Pod::from_args(&value("CNI_ARGS").to_string_lossy()),
            netns_override: netns_override == "TRUE" || netns_override == "1",
        }
    }
}

/// The Pod that a Kubernetes runtime names in `CNI_ARGS`. Empty where it names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// `K8S_POD_NAMESPACE`.
    pub namespace: String,
    /// `K8S_POD_NAME`.
    pub name: String,
    /// `K8S_POD_UID`.
    pub uid: String,
}

impl Pod {
    /// Reads `KEY=value;KEY=value`.
    #[must_use]
    pub fn from_args(args: &str) -> Pod {
        let mut pod = Pod::default();
        for (key, value) in args.split(';').filter_map(|pair| pair.split_once('=')) {
            match key {
                "K8S_POD_NAMESPACE" => value.clone_into(&mut pod.namespace),
                "K8S_POD_NAME" => value.clone_into(&mut pod.name),
                "K8S_POD_UID" => value.clone_into(&mut pod.uid),
                _ => {}
            }
        }
        pod
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_variables_are_empty_ones() {
        let environment = Environment::read(|_| None);
        assert_eq!(environment.command, Verb::Other(String::new()));
        assert_eq!(environment.container_id, "");
        assert_eq!(environment.pod, Pod::default());
        assert!(!environment.netns_override);
    }

    #[test]
    fn the_pod_is_read_from_args() {
        let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-7d9;K8S_POD_UID=6f1e;=;x;K8S_POD_INFRA_CONTAINER_ID=ab";
        let pod = Pod::from_args(args);
        assert_eq!(pod, Pod { namespace: "shop".into(), name: "cart-7d9".into(), uid: "6f1e".into() });
    }

    #[test]
    fn verbs_read_and_print_alike() {
        for word in ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", "add", ""] {
            assert_eq!(Verb::parse(OsStr::new(word)).as_str(), word);
        }
        assert_eq!(Verb::Del.failed_word(), Some("delete"));
        assert_eq!(Verb::Check.failed_word(), None);
    }

    #[test]
    fn the_override_is_read_as_by_skel() {
        for (value, expected) in [("1", true), ("true", true), ("TRUE", true), ("0", false), ("yes", false)] {
            let environment =
                Environment::read(|name| (name == "CNI_NETNS_OVERRIDE").then(|| OsString::from(value)));
            assert_eq!(environment.netns_override, expected, "{value}");
        }
    }
}
