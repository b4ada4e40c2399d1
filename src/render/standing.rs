//! What of cniscope stands on a node.

use std::io::{self, Write};

use super::rows::Rows;
use super::{BAD, GOOD, ODD, QUIET, escape};
use crate::install::marker::MARKER;
use crate::install::standing::{BinaryState, ListState, State, Summary};
use crate::install::switch::{SWITCH, Switch};

/// The whole state.
///
/// # Errors
/// If it cannot be written.
pub fn whole(out: &mut dyn Write, state: &State, width: Option<usize>) -> io::Result<()> {
    let (style, word) = match state.state {
        _ if !state.problems.is_empty() => (BAD, "needs attention"),
        Summary::Installed => (GOOD, "installed"),
        Summary::Partly => (ODD, "partly installed"),
        Summary::Forwarder => (ODD, "uninstalled, but for a forwarder"),
        Summary::Absent => (QUIET, "not installed"),
    };
    writeln!(out, "{}: {}{word}{}", escape::line(&state.node), style.render(), style.render_reset())?;
    let mut rows = Rows { out, width };
    let loaded = match state.loaded {
        Some(true) => "; has loaded a wrapped list",
        Some(false) => "; has loaded no wrapped list",
        None => "",
    };
    rows.row("runtime", &format!("{}{loaded}", state.runtime.unwrap_or("none of Kubernetes is there")))?;
    rows.row("networks", &state.conf_dir.display().to_string())?;
    let folders: Vec<_> = state.bin_dirs.iter().map(|folder| folder.display().to_string()).collect();
    rows.row("plugins", &folders.join(", "))?;
    rows.row("binary", &state.binary.as_ref().map_or_else(|| "none".to_owned(), binary))?;
    rows.row("settings", state.settings.unwrap_or("the built-in ones"))?;
    match state.switch {
        Switch::On => {}
        Switch::Forwarder => rows.row("switch", &format!("{SWITCH}: a forwarder"))?,
        Switch::Off => rows.styled("switch", ODD, &format!("{SWITCH}: off"))?,
    }
    if state.uninstalled {
        rows.row("marker", &format!("{MARKER}: no agent wraps anything"))?;
    }
    let pids: Vec<String> = state.agents.iter().map(ToString::to_string).collect();
    rows.row(
        "agent",
        &if pids.is_empty() { "none".to_owned() } else { format!("process {}", pids.join(", ")) },
    )?;
    for list in &state.lists {
        self::list(&mut rows, list)?;
    }
    if state.binary.is_some()
        && matches!(state.state, Summary::Forwarder | Summary::Partly)
        && !state.holders.is_empty()
    {
        rows.heading("sandboxes that need the binary for their DEL")?;
        super::uninstall::holders(rows.out, &state.holders, width)?;
    }
    if !state.notes.is_empty() || !state.problems.is_empty() {
        writeln!(rows.out)?;
    }
    for problem in &state.problems {
        rows.styled("problem", BAD, problem)?;
    }
    for note in &state.notes {
        rows.styled("note", ODD, note)?;
    }
    match state.state {
        Summary::Absent if state.problems.is_empty() => {
            writeln!(rows.out, "\nnext: cniscope install --dry-run")
        }
        _ => Ok(()),
    }
}

fn binary(binary: &BinaryState) -> String {
    let path = binary.path.display();
    let version = binary.version.as_deref().unwrap_or("of a version that it does not tell");
    let this =
        if binary.is_this { "this one" } else { "another than this one; to replace it: cniscope install" };
    format!("{path}  {version}, {this}")
}

fn list(rows: &mut Rows<'_>, list: &ListState) -> io::Result<()> {
    let taken = if list.is_taken { "" } else { ", not the one that the runtime takes" };
    rows.heading(&format!("network {} in {}{taken}", list.network, list.file.display()))?;
    if let Some(flaw) = &list.flaw {
        return rows.styled("flaw", BAD, flaw);
    }
    let widest = list.entries.iter().map(|entry| entry.plugin.len()).max().unwrap_or(0);
    for entry in &list.entries {
        let (style, state) = match entry.reason {
            _ if entry.is_wrapped => (GOOD, "wrapped".to_owned()),
            Some(reason) => (QUIET, format!("left alone: {reason}")),
            None => (ODD, "not wrapped".to_owned()),
        };
        let line = format!("{:widest$}  {state}", entry.plugin);
        writeln!(rows.out, "  {}{}{}", style.render(), escape::line(&line), style.render_reset())?;
    }
    Ok(())
}
