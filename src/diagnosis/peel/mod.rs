//! A text as it is found in an event, a log or a terminal: the wrappers are peeled off, and what they tell is kept.
//!
//! What is left is the innermost error. Nothing here fails: a text without wrappers is its own innermost error. Every
//! step goes over the text a fixed number of times.

mod layout;
mod wrappers;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use layout::{entries, is_start_of_entry};

/// The most of a text that is looked at: its start and its end.
const MOST: usize = 32 * 1024;

/// What the wrappers tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Layers {
    /// The container runtime: containerd, cri-o, docker, podman.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// ADD, DEL, CHECK, GC or STATUS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The plugin that failed: of several the innermost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The network: of several the innermost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The Pod's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The Pod's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The sandbox, or the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The network namespace's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// The cause that cniscope on the node has named in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cniscope: Option<String>,
    /// What is left: the innermost error.
    pub error: String,
}

/// A text without its wrappers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peeled {
    /// What the wrappers tell, and the innermost error as people read it.
    pub layers: Layers,
    /// What decides about the cause, the first before the others: what stands behind the last wrapper of the network. It may
    /// hold further wrappers, whose words tell something where the innermost error does not.
    pub decisive: Vec<String>,
}

/// Peels a text.
#[must_use]
pub fn peel(text: &str) -> Peeled {
    peel_with(text, " ")
}

/// Peels a text whose lines were broken by a terminal or a web page in the middle of words.
#[must_use]
pub fn peel_joined(text: &str) -> Peeled {
    peel_with(text, "")
}

fn peel_with(text: &str, between_lines: &str) -> Peeled {
    let text = layout::readable(&bounded(text));
    let mut layers = Layers::default();
    let flat = layout::flat(&text, between_lines);
    let (flat, cniscope) = wrappers::without_bracket(&flat);
    layers.cniscope = cniscope;
    let mut decisive = Vec::new();
    for (position, part) in wrappers::errors(&flat).into_iter().enumerate() {
        let cut = wrappers::cut(part, &mut layers);
        if position == 0 {
            layers.error = cut.innermost;
        }
        decisive.push(cut.decisive);
    }
    layers.runtime = layers.runtime.or_else(|| layout::runtime(&text));
    layers.netns = wrappers::netns(&flat);
    Peeled { layers, decisive }
}

/// The start and the end of a text that is very long: an error is never that long, what stands around it may be.
fn bounded(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= MOST {
        return text.into();
    }
    let start = text.floor_char_boundary(MOST / 2);
    let end = text.ceil_char_boundary(text.len() - MOST / 2);
    format!("{}\n{}", &text[..start], &text[end..]).into()
}
