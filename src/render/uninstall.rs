//! What an uninstall did, or would do.

use std::io::{self, Write};

use super::rows::Rows;
use super::table::{Cell, Table};
use super::{GOOD, ODD, escape};
use crate::install::holders::Holder;
use crate::install::marker::MARKER;
use crate::install::take_out::TakenOut;

/// More sandboxes are counted, not shown.
const MAX_HOLDERS: usize = 20;

/// What was done, or with `is_plan` would be.
///
/// # Errors
/// If it cannot be written.
pub fn told(
    out: &mut dyn Write,
    node: &str,
    done: &TakenOut,
    is_plan: bool,
    width: Option<usize>,
) -> io::Result<()> {
    let node = escape::line(node);
    let is_nothing = done.unwrapped.is_empty() && done.removed.is_none() && done.forwarder.is_none();
    if is_nothing {
        writeln!(out, "{node}: {}nothing to do{}, it is not installed", GOOD.render(), GOOD.render_reset())?;
    } else if is_plan {
        writeln!(out, "{node}: nothing is changed, this is what would be done")?;
    } else if done.forwarder.is_some() {
        writeln!(out, "{node}: {}uninstalled, but for a forwarder{}", ODD.render(), ODD.render_reset())?;
    } else {
        writeln!(out, "{node}: {}uninstalled{}", GOOD.render(), GOOD.render_reset())?;
    }
    let mut rows = Rows { out, width };
    for (position, file) in done.unwrapped.iter().enumerate() {
        let verb = if is_plan { "to be unwrapped" } else { "unwrapped" };
        rows.row(if position == 0 { "lists" } else { "" }, &format!("{}  {verb}", file.display()))?;
    }
    if let Some(binary) = &done.removed {
        let verb = if is_plan { "to be removed" } else { "removed" };
        rows.row("binary", &format!("{}  {verb}", binary.display()))?;
    }
    if let Some(binary) = &done.forwarder {
        let verb = if is_plan { "to stay" } else { "stays" };
        rows.row(
            "binary",
            &format!("{}  {verb} as a forwarder: it hands calls on and does nothing else", binary.display()),
        )?;
    }
    if let Some(held) = &done.held {
        rows.styled("held", ODD, held)?;
    }
    if !done.agents.is_empty() {
        let pids: Vec<String> = done.agents.iter().map(ToString::to_string).collect();
        let text =
            format!("runs (process {}); {MARKER} stays, which keeps it from wrapping again", pids.join(", "));
        rows.row("agent", &text)?;
    }
    if let Some(journal) = done.journal.as_ref().filter(|_| !is_nothing) {
        rows.row("journal", &format!("{}  stays; --purge removes it", journal.display()))?;
    }
    if !done.holders.is_empty() {
        let count = done.holders.len();
        let heading = match count {
            1 => "1 sandbox was added through it, and needs it for its DEL".to_owned(),
            _ => format!("{count} sandboxes were added through it, and need it for their DEL"),
        };
        rows.heading(&heading)?;
        holders(rows.out, &done.holders, width)?;
    }
    if done.forwarder.is_some() {
        let next = if is_plan {
            "to do it: the same without --dry-run"
        } else {
            "next: when those are deleted, again: cniscope uninstall; or let it wait for them: cniscope uninstall --wait"
        };
        writeln!(rows.out, "\n{next}")?;
    }
    Ok(())
}

/// For whom an uninstall waits.
///
/// # Errors
/// If it cannot be written.
pub fn waits(out: &mut dyn Write, done: &TakenOut) -> io::Result<()> {
    if let Some(held) = &done.held {
        writeln!(out, "waiting: {held}")?;
    }
    match done.holders.len() {
        0 => return Ok(()),
        1 => writeln!(out, "waiting for 1 sandbox to be deleted, which was added through cniscope")?,
        count => {
            writeln!(out, "waiting for {count} sandboxes to be deleted, which were added through cniscope")?;
        }
    }
    holders(out, &done.holders, None)
}

/// A table of sandboxes.
pub(super) fn holders(out: &mut dyn Write, holders: &[Holder], width: Option<usize>) -> io::Result<()> {
    let mut table = Table::new(&["~POD", "~CONTAINER", "NETWORK", "INTERFACE"]);
    let cell = |text: &str| Cell::new(escape::line(if text.is_empty() { "-" } else { text }));
    for holder in holders.iter().take(MAX_HOLDERS) {
        table.row(vec![
            cell(&holder.pod),
            cell(&holder.container_id),
            cell(&holder.network),
            cell(&holder.ifname),
        ]);
    }
    table.write(out, width)?;
    if holders.len() > MAX_HOLDERS {
        writeln!(out, "and {} more: cniscope status -o json", holders.len() - MAX_HOLDERS)?;
    }
    Ok(())
}
