//! The wrappers: what kubelet, runtimes, libcni, Multus and delegating plugins put around an error.

use super::Layers;
use crate::diagnosis::signatures::Span;

/// What stands around an error.
struct Wrapper {
    /// Its text in lower case; `{pod}` and alike stand for what is kept, `{_}` for what is not. A `{pod}` is written as the
    /// kubelet does, `NAME_NAMESPACE`, a `{namespaced}` one as CRI-O and Podman do, `NAMESPACE_NAME`.
    form: &'static str,
    /// Who writes it.
    runtime: Option<&'static str>,
    /// The verb that it is about.
    verb: Option<&'static str>,
    /// Whether it is only of the network's way, so that what stands behind it decides alone.
    is_of_network: bool,
}

const fn network(form: &'static str) -> Wrapper {
    Wrapper { form, runtime: None, verb: None, is_of_network: true }
}

const fn of(form: &'static str, runtime: Option<&'static str>, verb: &'static str) -> Wrapper {
    Wrapper { form, runtime, verb: Some(verb), is_of_network: true }
}

/// A wrapper whose words may tell the cause, where what stands behind it does not.
const fn telling(form: &'static str) -> Wrapper {
    Wrapper { form, runtime: None, verb: None, is_of_network: false }
}

const CONTAINERD: Option<&str> = Some("containerd");
const CRIO: Option<&str> = Some("cri-o");
const DOCKER: Option<&str> = Some("docker");
const PODMAN: Option<&str> = Some("podman");

/// Every wrapper. Where one is the start of another, both may be found: the later end counts.
const WRAPPERS: &[Wrapper] = &[
    // libcni
    network("plugin type=\"{plugin}\" name=\"{network}\" failed ({verb}): "),
    network("plugin type=\"{plugin}\" failed ({verb}): "),
    // The same with its start cut off.
    network("\" failed ({verb}): "),
    // kubelet and runtimes
    of("failed to setup network for sandbox \"{sandbox}\": ", CONTAINERD, "ADD"),
    of("failed to destroy network for sandbox \"{sandbox}\": ", CONTAINERD, "DEL"),
    of("failed to set up sandbox container \"{sandbox}\" network for pod \"{pod}\": ", DOCKER, "ADD"),
    of("failed to clean up sandbox container \"{sandbox}\" network for pod \"{pod}\": ", DOCKER, "DEL"),
    of("networkplugin cni failed to set up pod \"{pod}\" network: ", DOCKER, "ADD"),
    of("networkplugin kubenet failed to set up pod \"{pod}\" network: ", DOCKER, "ADD"),
    of("networkplugin cni failed to teardown pod \"{pod}\" network: ", DOCKER, "DEL"),
    of("failed to setup network for pod \"{pod}\" using network plugins \"cni\": ", DOCKER, "ADD"),
    of("failed to create pod network sandbox {_}({sandbox}): ", CRIO, "ADD"),
    of("failed to destroy network for pod sandbox {_}({sandbox}): ", CRIO, "DEL"),
    of("network teardown failed for pod sandbox {_}({sandbox}): ", CRIO, "DEL"),
    of("error adding pod {namespaced} to cni network \"{network}\": ", None, "ADD"),
    of("error removing pod {namespaced} from cni network \"{network}\": ", None, "DEL"),
    of("error checking pod {namespaced} for cni network \"{network}\": ", None, "CHECK"),
    of("error while adding pod to cni network \"{network}\": ", None, "ADD"),
    of("error configuring network namespace for container {sandbox}: ", PODMAN, "ADD"),
    of("failed to call cni.setup: ", None, "ADD"),
    of("cni operation for network:{network} failed with:", None, "ADD"),
    of("error adding network: ", None, "ADD"),
    of("error while adding to cni network: ", None, "ADD"),
    of("error deleting network: ", None, "DEL"),
    // Docker's own network, and its hook
    of("driver failed programming external connectivity on endpoint {_} ({sandbox}): ", DOCKER, "ADD"),
    of("failed to create endpoint {_} on network {network}: ", DOCKER, "ADD"),
    of("failed to add interface {_} to sandbox: ", DOCKER, "ADD"),
    // Multus
    network("multus: [{namespace}/{pod}/{_}]: "),
    network("multus: [{namespace}/{pod}]: "),
    network("[{namespace}/{pod}/{_}:{network}]: "),
    network("[{namespace}/{pod}:{network}]: "),
    of("error adding container to network \"{network}\": ", None, "ADD"),
    of("delegateadd: error invoking delegateadd - \"{plugin}\": ", None, "ADD"),
    of("delegateadd: error invoking conflistadd - \"{network}\": ", None, "ADD"),
    of("delegatedel: error invoking delegatedel - \"{plugin}\": ", None, "DEL"),
    of("delegatedel: error invoking conflistdel - \"{network}\": ", None, "DEL"),
    of("error in getting result from addnetwork: ", None, "ADD"),
    of("error in getting result from addnetworklist: ", None, "ADD"),
    of("error in getting result from delnetwork: ", None, "DEL"),
    of("error in getting result from delnetworklist: ", None, "DEL"),
    of("error in getting result from checknetwork: ", None, "CHECK"),
    of("cmdadd (shim): ", None, "ADD"),
    of("cmddel (shim): ", None, "DEL"),
    of("cmdcheck (shim): ", None, "CHECK"),
    network(" errored: "),
    network("error configuring pod [{namespace}/{pod}] networking: "),
    // Plugins that delegate
    network("failed to delegate add: "),
    network("failed to execute ipam delegate: "),
    network("running ipam plugin failed: "),
    network("failed to invoke delegated plugin add for ipam: "),
    network("error delegating add to cni plugin:{plugin} because:"),
    network("cni plugin {plugin} failed: "),
    // What belongs to no network, or tells something itself
    telling("failed to create pod sandbox: "),
    telling("failed create pod sandbox: "),
    telling("(combined from similar events): "),
    telling("rpc error: code = {_} desc = "),
    telling("desc = \""),
    telling("cni request failed with status {_}: '"),
    telling("failed to allocate for range {_}: "),
    telling("runpodsandbox from runtime service failed\" err=\""),
    telling("stoppodsandbox from runtime service failed\" err=\""),
];

/// Behind these the error is over: fields of a log's record.
const TAILS: &[&str] = &[
    "\" pod=\"",
    "\" poduid=",
    "\" podsandboxid=",
    "\" containerid=",
    "; skipping pod",
    "\" subsys=",
    ", result: %!",
];
/// A second error, of the clean-up that followed the first.
const AND_THEN: &[&str] = &[
    ", failed to clean up sandbox container",
    ", failed to teardown pod",
    ", failed to clean up",
    "; failed to clean up",
];
/// What is kept of a wrapper is no longer than this.
const MOST: usize = 256;

/// An error without its wrappers.
pub(super) struct Cut {
    /// What stands behind the last wrapper of the network.
    pub(super) decisive: String,
    /// What stands behind the last wrapper.
    pub(super) innermost: String,
}

/// The errors of a text: what failed, and then what failed in cleaning up.
pub(super) fn errors(text: &str) -> Vec<&str> {
    let lower = text.to_ascii_lowercase();
    let at = AND_THEN.iter().filter_map(|words| lower.find(words)).min();
    match at {
        Some(at) => vec![&text[..at], &text[at + 2..]],
        None => vec![text],
    }
}

/// Cuts the wrappers off, and keeps what they tell.
pub(super) fn cut(text: &str, layers: &mut Layers) -> Cut {
    let lower = text.to_ascii_lowercase();
    let (mut decisive, mut innermost) = (0, 0);
    let mut kept = Kept::default();
    for wrapper in WRAPPERS {
        let mut at = 0;
        while let Some(found) = find(wrapper.form, &lower, at) {
            at = found.span.end;
            innermost = innermost.max(at);
            if wrapper.is_of_network {
                decisive = decisive.max(at);
            }
            kept.take(wrapper, &found, text);
        }
    }
    kept.put(layers);
    Cut { decisive: text[decisive..].to_owned(), innermost: shown(&text[innermost..]) }
}

/// A wrapper in a text.
struct Found {
    span: Span,
    /// The names in its form and where in the text their values stand.
    values: Vec<(&'static str, Span)>,
}

/// The first occurrence of a form at or behind `from`.
fn find(form: &'static str, text: &str, from: usize) -> Option<Found> {
    let head = form.split('{').next().unwrap_or_default();
    let mut at = from;
    loop {
        let start = at + text[at..].find(head)?;
        let behind = start + head.len();
        if let Some(values) = values(&form[head.len()..], text, behind) {
            let end = values.1;
            return Some(Found { span: Span { start, end }, values: values.0 });
        }
        at = behind;
    }
}

/// The values of the rest of a form, and where it ends.
fn values(form: &'static str, text: &str, from: usize) -> Option<(Vec<(&'static str, Span)>, usize)> {
    let mut values = Vec::new();
    let mut at = from;
    // Every piece is `name}literal`.
    for piece in form.split('{').skip(1) {
        let (name, literal) = piece.split_once('}')?;
        let near = text.floor_char_boundary((at + MOST).min(text.len()));
        let end = at + text[at..near].find(literal)?;
        // These are names and paths: with a space between them the form is another one.
        if text[at..end].contains(' ') {
            return None;
        }
        values.push((name, Span { start: at, end }));
        at = end + literal.len();
    }
    Some((values, at))
}

/// What wrappers tell, with the place where they tell it.
#[derive(Default)]
struct Kept {
    values: Vec<(&'static str, usize, String)>,
}

impl Kept {
    fn take(&mut self, wrapper: &Wrapper, found: &Found, text: &str) {
        let start = found.span.start;
        for (name, value) in found.values.iter().filter(|(name, _)| *name != "_") {
            self.values.push((name, start, text[value.start..value.end].trim_matches('"').to_owned()));
        }
        let told = [("runtime", wrapper.runtime), ("verb", wrapper.verb)];
        for (name, value) in told {
            self.values.extend(value.map(|value| (name, start, value.to_owned())));
        }
    }

    /// The outermost Pod, sandbox, verb and runtime; the innermost plugin and network.
    fn put(mut self, layers: &mut Layers) {
        self.values.sort_by_key(|(_, at, _)| *at);
        for (name, _, value) in self.values {
            if value.is_empty() {
                continue;
            }
            match name {
                "plugin" => layers.plugin = Some(value),
                "network" => layers.network = Some(value),
                "verb" => {
                    layers.verb.get_or_insert(verb(&value));
                }
                "runtime" => {
                    layers.runtime.get_or_insert(value);
                }
                "sandbox" => {
                    layers.sandbox.get_or_insert(value);
                }
                "namespace" => {
                    layers.namespace.get_or_insert(value);
                }
                "pod" => put_pod(layers, &value),
                "namespaced" => {
                    if let Some((namespace, name)) = value.split_once('_') {
                        layers.namespace.get_or_insert(namespace.to_owned());
                        layers.pod.get_or_insert(name.to_owned());
                    }
                }
                _ => {}
            }
        }
    }
}

/// `add` as CNI writes it.
fn verb(word: &str) -> String {
    match word {
        "delete" => "DEL".to_owned(),
        other => other.to_ascii_uppercase(),
    }
}

/// The Pod's name; the kubelet writes `NAME_NAMESPACE` or `NAME_NAMESPACE(UID)`, which no name can hold.
fn put_pod(layers: &mut Layers, value: &str) {
    let value = value.split('(').next().unwrap_or_default();
    let (name, namespace) = match value.split_once('_') {
        Some((name, namespace)) => (name, Some(namespace)),
        None => (value, None),
    };
    if let Some(namespace) = namespace {
        layers.namespace.get_or_insert(namespace.to_owned());
    }
    layers.pod.get_or_insert(name.to_owned());
}

/// The error as people read it: without the fields of a record and the quotes that stand around it.
fn shown(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let end = TAILS.iter().filter_map(|tail| lower.find(tail)).min().unwrap_or(text.len());
    let error = text[..end].trim().trim_end_matches([']', '*']).trim_end();
    // A quote that has no partner belongs to what stood around the error.
    let is_odd = error.matches('"').count() % 2 == 1;
    let error = if is_odd { error.strip_suffix('"').unwrap_or(error) } else { error };
    error.trim_end_matches('\'').trim().to_owned()
}

/// The text without what cniscope has added to it on the node, and the cause that it has named there.
pub(super) fn without_bracket(text: &str) -> (String, Option<String>) {
    const START: &str = "[cniscope: ";
    let Some((before, rest)) = text.split_once(START) else { return (text.to_owned(), None) };
    let cause = rest.split([':', ' ', ';', ']']).next().unwrap_or_default().to_owned();
    let after = rest.split_once("see: cniscope show ").and_then(|(_, rest)| rest.split_once(']'));
    let after = after.map(|(_, after)| after).unwrap_or_default();
    (format!("{before}{after}"), Some(cause))
}

/// The path of a network namespace in a text.
pub(super) fn netns(text: &str) -> Option<String> {
    let start = ["/var/run/netns/", "/run/netns/", "/var/run/docker/netns/", "/proc/"]
        .iter()
        .filter_map(|folder| text.find(folder))
        .min()?;
    let end = text[start..].find(['"', ' ', ':', '\'', ',']).map_or(text.len(), |end| start + end);
    let path = &text[start..end];
    let is_netns = path.contains("netns/") || path.ends_with("/ns/net");
    is_netns.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrapper_is_peeled_off_and_what_it_tells_is_kept() {
        for wrapper in WRAPPERS {
            // Every name stands for itself, but the verb, which is a word of CNI.
            let around = wrapper.form.replace("{verb}", "add").replace("{_}", "any").replace(['{', '}'], "");
            let around =
                around.replace("namespaced", "namespace_pod").replace("\"pod\"", "\"pod_namespace\"");
            let mut layers = Layers::default();
            let cut = cut(&format!("{around}it rained"), &mut layers);
            assert_eq!(cut.innermost, "it rained", "{around}");
            let decisive =
                if wrapper.is_of_network { "it rained".to_owned() } else { format!("{around}it rained") };
            assert_eq!(cut.decisive, decisive, "{around}");
            let told = [
                ("{plugin}", &layers.plugin, "plugin"),
                ("{network}", &layers.network, "network"),
                ("{sandbox}", &layers.sandbox, "sandbox"),
                ("{pod}", &layers.pod, "pod"),
                ("{namespaced}", &layers.namespace, "namespace"),
                ("{namespace}", &layers.namespace, "namespace"),
            ];
            for (name, kept, expected) in told.iter().filter(|(name, ..)| wrapper.form.contains(name)) {
                assert_eq!(kept.as_deref(), Some(*expected), "{name} in {around}");
            }
            assert_eq!(layers.runtime.as_deref(), wrapper.runtime, "{around}");
            let verb = if wrapper.form.contains("{verb}") { Some("ADD") } else { wrapper.verb };
            assert_eq!(layers.verb.as_deref(), verb, "{around}");
        }
    }
}
