//! Plugins whose own installer looks for their entry by its `type`, and edits what it finds.
//!
//! Wrapped, such an entry is not found any more: the installer adds a second one, waits for ever, or removes nothing
//! when it is uninstalled.

/// One such plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditedByOthers {
    /// The `type` that its installer looks for.
    pub kind: &'static str,
    /// Who edits the entry, and how.
    pub reason: &'static str,
}

/// All of them. An entry that such an installer writes as a part of its own list (Cilium's, Calico's, AWS') is not among
/// them: those lists are written anew as a whole.
pub const TABLE: [EditedByOthers; 5] = [
    EditedByOthers {
        kind: "istio-cni",
        reason: "Istio's installer removes the entry of this type, appends its own, and starts again while it finds none",
    },
    EditedByOthers {
        kind: "linkerd-cni",
        reason: "Linkerd's installer removes the entries of this type from every list, and appends its own",
    },
    EditedByOthers {
        kind: "kuma-cni",
        reason: "Kuma's installer removes the entry of this type, and appends its own",
    },
    EditedByOthers {
        kind: "consul-cni",
        reason: "Consul's installer removes the entry of this type, appends its own, and wants it to be the last",
    },
    EditedByOthers {
        kind: "merbridge-cni",
        reason: "Merbridge's installer appends an entry of this type where it finds none, and removes it at its end",
    },
];

/// The row of a plugin, if its entry is edited by others.
#[must_use]
pub fn find(kind: &str) -> Option<&'static EditedByOthers> {
    TABLE.iter().find(|plugin| plugin.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_there_once_and_have_a_reason() {
        for (position, plugin) in TABLE.iter().enumerate() {
            assert_eq!(find(plugin.kind), Some(plugin));
            assert!(!plugin.reason.is_empty());
            assert!(TABLE[..position].iter().all(|other| other.kind != plugin.kind));
        }
    }

    #[test]
    fn other_plugins_are_not_among_them() {
        for kind in ["calico", "cilium-cni", "portmap", "egress-cni", "istio", ""] {
            assert_eq!(find(kind), None, "{kind}");
        }
    }
}
