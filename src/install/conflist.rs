//! A whole network configuration, wrapped and unwrapped byte by byte: a conflist, or the single plugin of a `.conf`.
//!
//! Nothing is reformatted. What [`wrap`] makes, [`unwrap`] takes back to the very same bytes; what could not be taken
//! back so is refused.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::edited_by_others;
use crate::cni::entry::{self, Edit, Entry, Told};
use crate::cni::json::{self, SyntaxError};
use crate::cni::path;

/// Which entries are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first alone.
    Head,
    /// The first, and every other that no other installer edits (see [`edited_by_others`]).
    All,
}

impl Which {
    /// Whether the entry of this plugin, at this place of its list, is one of them.
    #[must_use]
    pub fn has(self, position: usize, plugin: &str) -> bool {
        position == 0 || self == Which::All && edited_by_others::find(plugin).is_none()
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the whole document.
    Single,
    /// It is the one with this index of the conflist's `plugins`.
    Plugins(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Single => f.write_str("the plugin"),
            Place::Plugins(index) => write!(f, "plugins[{index}]"),
        }
    }
}

/// Why a configuration is not wrapped or unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConflistError {
    /// It is no JSON.
    #[error("no JSON: {0}")]
    Syntax(#[from] SyntaxError),
    /// It is JSON of another kind.
    #[error("not a JSON object, expected a conflist or the configuration of a single plugin")]
    NotAnObject,
    /// It names no plugin.
    #[error(
        "no plugins, expected a conflist with an array \"plugins\", or a single plugin with a string \"type\""
    )]
    NoPlugins,
    /// One of the plugins is no entry.
    #[error("{place}: not a JSON object, expected the entry of a plugin")]
    EntryNotAnObject {
        /// Where it stands.
        place: Place,
    },
    /// An entry without a `type`.
    #[error("{place}: no \"type\", expected the name of a plugin")]
    NoType {
        /// Where it stands.
        place: Place,
    },
    /// An entry whose plugin cannot be wrapped.
    #[error("{place}: the plugin is {found}, expected a string with the plain file name of a plugin")]
    BadType {
        /// Where it stands.
        place: Place,
        /// The value, as it is written.
        found: String,
    },
    /// An entry that is wrapped, but does not say what it wraps.
    #[error(
        "{place}: \"type\" is \"cniscope\", but \"cniscope\" has no \"wraps\": set it to the name of the plugin"
    )]
    WrapsNothing {
        /// Where it stands.
        place: Place,
    },
    /// An entry that runs another plugin, but holds what belongs to a wrapped one.
    #[error("{place}: runs {kind:?}, but has a \"cniscope\" too, as key or as \"type\": remove it")]
    HalfWrapped {
        /// Where it stands.
        place: Place,
        /// The plugin.
        kind: String,
    },
    /// Two entries that run the same plugin.
    #[error("{first} and {second} both run {kind:?}: calls of the one could not be told from the other's")]
    SameType {
        /// Where the first of them stands.
        first: Place,
        /// Where the other stands.
        second: Place,
        /// The plugin.
        kind: String,
    },
}

/// Wraps the entries of a configuration that are not wrapped yet, and those of the networks that stand inside of them, as
/// Multus has them.
///
/// # Errors
/// If it is no network configuration, or cannot be wrapped in a way that can be taken back.
pub fn wrap(document: &[u8], which: Which) -> Result<Vec<u8>, ConflistError> {
    let network = Network::read(document)?;
    let mut edits = network.wrapped(which)?;
    // One that cannot be wrapped stays: its runtime is the plugin around it.
    edits.extend(network.inner(document).iter().filter_map(|inner| inner.wrapped(which).ok()).flatten());
    Ok(applied(document, edits))
}

/// Gives every wrapped entry of a configuration back as it was. What is not wrapped stays, whatever it is.
///
/// # Errors
/// If it is no network configuration, or a wrapped entry does not say what it wraps.
pub fn unwrap(document: &[u8]) -> Result<Vec<u8>, ConflistError> {
    let network = Network::read(document)?;
    let mut edits = network.unwrapped()?;
    edits.extend(network.inner(document).iter().filter_map(|inner| inner.unwrapped().ok()).flatten());
    Ok(applied(document, edits))
}

fn applied(document: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|edit| edit.range.start);
    entry::apply(document, &edits)
}

/// The entries of a network, in their order.
struct Network<'a> {
    /// The conflist's `name`, if it has one.
    list_name: Option<Cow<'a, str>>,
    entries: Vec<(Place, Entry<'a>)>,
}

impl<'a> Network<'a> {
    fn read(document: &'a [u8]) -> Result<Network<'a>, ConflistError> {
        let whole = json::validate(document)?;
        Network::within(document, &whole)
    }

    /// The network at `object` of a valid document.
    fn within(document: &'a [u8], object: &Range<usize>) -> Result<Network<'a>, ConflistError> {
        let root = Entry::within(document, object).map_err(|_| ConflistError::NotAnObject)?;
        let Some(plugins) = root.last("plugins") else {
            if root.last("type").is_none() {
                return Err(ConflistError::NoPlugins);
            }
            return Ok(Network { list_name: None, entries: vec![(Place::Single, root)] });
        };
        let elements = json::elements(document, &plugins.value).unwrap_or_default();
        if elements.is_empty() {
            return Err(ConflistError::NoPlugins);
        }
        let entry = |(index, place): (usize, &Range<usize>)| {
            let entry = Entry::within(document, place)
                .map_err(|_| ConflistError::EntryNotAnObject { place: Place::Plugins(index) })?;
            Ok((Place::Plugins(index), entry))
        };
        let entries = elements.iter().enumerate().map(entry).collect::<Result<_, ConflistError>>()?;
        Ok(Network { list_name: root.string("name"), entries })
    }

    /// The networks that its entries run, as far as they are some: Multus' `delegates`.
    fn inner(&self, document: &'a [u8]) -> Vec<Network<'a>> {
        let delegates = self.entries.iter().filter_map(|(_, entry)| entry.last("delegates"));
        let objects = delegates.filter_map(|member| json::elements(document, &member.value)).flatten();
        objects.filter_map(|object| Network::within(document, &object).ok()).collect()
    }

    /// The changes that wrap its entries.
    fn wrapped(&self, which: Which) -> Result<Vec<Edit>, ConflistError> {
        let plugins = self.plugins()?;
        refuse_same_types(&plugins)?;
        let is_wanted =
            |position: usize, plugin: &Plugin<'_>| plugin.is_wrapped || which.has(position, &plugin.kind);
        let wanted = plugins.iter().enumerate().filter(|(position, plugin)| is_wanted(*position, plugin));
        let wanted: Vec<_> = wanted.map(|(_, plugin)| plugin).collect();
        let mut edits = Vec::new();
        for (index, plugin) in wanted.iter().enumerate() {
            // One look at the network is enough: when all of it is there.
            let told = Told { named: self.names(plugin.entry), verify: index + 1 == wanted.len() };
            edits.extend(plugin.entry.wrapped(told).unwrap_or_default());
        }
        Ok(edits)
    }

    /// The changes that give its wrapped entries back.
    fn unwrapped(&self) -> Result<Vec<Edit>, ConflistError> {
        let mut edits = Vec::new();
        for (place, entry) in &self.entries {
            match entry.unwrapped() {
                Some(of_entry) => edits.extend(of_entry),
                None if entry.string("type").as_deref() == Some(entry::NAME) => {
                    return Err(ConflistError::WrapsNothing { place: *place });
                }
                None => {}
            }
        }
        Ok(edits)
    }

    fn plugins(&self) -> Result<Vec<Plugin<'_>>, ConflistError> {
        self.entries.iter().map(|(place, entry)| Plugin::of(*place, entry)).collect()
    }

    /// Whether libcni's errors of this entry carry the network's name: they do where the entry itself has it
    /// (`libcni/api.go`, `pluginDescription`), which is so in a `.conf`, and in a list that was made of one.
    fn names(&self, entry: &Entry<'_>) -> bool {
        let own = entry.string("name").filter(|name| !name.is_empty());
        own.is_some() && (self.list_name.is_none() || own == self.list_name)
    }
}

/// An entry that can be wrapped, or is.
struct Plugin<'a> {
    place: Place,
    entry: &'a Entry<'a>,
    /// The plugin that runs in the end.
    kind: Cow<'a, str>,
    is_wrapped: bool,
}

impl<'a> Plugin<'a> {
    fn of(place: Place, entry: &'a Entry<'a>) -> Result<Plugin<'a>, ConflistError> {
        let written = entry.last("type").ok_or(ConflistError::NoType { place })?;
        let is_wrapped = entry.string("type").as_deref() == Some(entry::NAME);
        let literal = if is_wrapped {
            entry.wraps().ok_or(ConflistError::WrapsNothing { place })?
        } else {
            entry.bytes(written)
        };
        let kind = Some(json::unquote(literal)).filter(|name| literal.starts_with(b"\"") && is_kept(name));
        let Some(kind) = kind else {
            let found = String::from_utf8_lossy(literal).into_owned();
            return Err(ConflistError::BadType { place, found });
        };
        if !is_wrapped && (entry.settings().is_some() || entry.has_string("type", entry::NAME)) {
            return Err(ConflistError::HalfWrapped { place, kind: kind.into_owned() });
        }
        Ok(Plugin { place, entry, kind, is_wrapped })
    }
}

/// Whether a plugin of this name can be wrapped: a name that was decoded with losses would not be the same file's.
fn is_kept(name: &str) -> bool {
    path::is_plugin_name(name) && name != entry::NAME && !name.contains(char::REPLACEMENT_CHARACTER)
}

fn refuse_same_types(plugins: &[Plugin<'_>]) -> Result<(), ConflistError> {
    for (position, second) in plugins.iter().enumerate() {
        if let Some(first) = plugins[..position].iter().find(|first| first.kind == second.kind) {
            let kind = second.kind.clone().into_owned();
            return Err(ConflistError::SameType { first: first.place, second: second.place, kind });
        }
    }
    Ok(())
}

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
