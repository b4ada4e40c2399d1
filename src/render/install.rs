//! What an installation does, and what it did.

use std::io::{self, Write};

use super::rows::Rows;
use super::{BAD, GOOD, ODD, QUIET, escape};
use crate::install::binary::Standing;
use crate::install::lists::{List, Planned};
use crate::install::loaded::Loaded;
use crate::install::put_in::{Installed, Plan};
use crate::install::switch::{SWITCH, Switch};

/// Lines around a change.
const CONTEXT: usize = 3;

/// What would be done, with the changes of every list.
///
/// # Errors
/// If it cannot be written.
pub fn planned(out: &mut dyn Write, node: &str, plan: &Plan, width: Option<usize>) -> io::Result<()> {
    if plan.is_done() {
        return nothing(out, node, plan, width);
    }
    writeln!(out, "{}: nothing is changed, this is what would be done", escape::line(node))?;
    let mut rows = Rows { out, width };
    let binary = match plan.standing {
        Standing::Missing => "new",
        Standing::Same => "is there",
        Standing::Other => "replaced",
    };
    what(&mut rows, plan, binary, |entry| if entry.is_wrapped { "is wrapped" } else { "to be wrapped" })?;
    for list in plan.lists.iter().filter(|list| list.before != list.after) {
        diff(rows.out, list)?;
    }
    writeln!(rows.out, "\nto do it: the same without --dry-run")
}

/// What was done.
///
/// # Errors
/// If it cannot be written.
pub fn done(out: &mut dyn Write, node: &str, installed: &Installed, width: Option<usize>) -> io::Result<()> {
    let plan = &installed.plan;
    if plan.is_done() {
        return nothing(out, node, plan, width);
    }
    writeln!(out, "{}: {}installed{}", escape::line(node), GOOD.render(), GOOD.render_reset())?;
    let mut rows = Rows { out, width };
    let binary = match plan.standing {
        Standing::Missing => "new",
        Standing::Same => "was there",
        Standing::Other => "replaced; calls that ran have gone on with the old one",
    };
    what(&mut rows, plan, binary, |entry| if entry.is_wrapped { "was wrapped" } else { "wrapped" })?;
    rows.row("answered", &answered(installed))?;
    match &installed.loaded {
        Loaded::Yes { runtime } => rows.row("loaded", &format!("{runtime} has it"))?,
        Loaded::Unknown { reason } => rows.styled("loaded", ODD, &format!("not seen: {reason}"))?,
    }
    writeln!(rows.out, "\nnext: start a Pod, then: cniscope journal\nundo: cniscope uninstall")
}

fn answered(installed: &Installed) -> String {
    if let Some(why) = installed.not_asked {
        return format!("nobody was asked for VERSION: {why}");
    }
    let names = installed.plugins.iter().filter_map(|plugin| plugin.path.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    format!("cniscope, {} to VERSION", names.join(", "))
}

fn nothing(out: &mut dyn Write, node: &str, plan: &Plan, width: Option<usize>) -> io::Result<()> {
    writeln!(
        out,
        "{}: {}nothing to do{}, it is installed",
        escape::line(node),
        GOOD.render(),
        GOOD.render_reset()
    )?;
    what(&mut Rows { out, width }, plan, "is there", |_| "is wrapped")
}

fn what(
    rows: &mut Rows<'_>,
    plan: &Plan,
    binary: &str,
    of_entry: impl Fn(&Planned) -> &'static str,
) -> io::Result<()> {
    rows.row("binary", &format!("{}  {binary}", plan.binary.display()))?;
    for list in &plan.lists {
        rows.row("list", &format!("{}  network {}", list.file.display(), named(&list.network)))?;
        entries(rows, &list.entries, &of_entry)?;
    }
    if plan.switch == Switch::Off {
        rows.styled(
            "switch",
            BAD,
            &format!("it is switched off, and does nothing until this is gone: rm {SWITCH}"),
        )?;
    }
    Ok(())
}

fn named(network: &str) -> &str {
    if network.is_empty() { "without a name" } else { network }
}

/// The entries of a list, one a line.
pub(super) fn entries(
    rows: &mut Rows<'_>,
    entries: &[Planned],
    state: &impl Fn(&Planned) -> &'static str,
) -> io::Result<()> {
    let widest = entries.iter().map(|entry| entry.plugin.len()).max().unwrap_or(0);
    for entry in entries {
        let state = match entry.reason {
            Some(reason) => format!("left alone: {reason}"),
            None => state(entry).to_owned(),
        };
        rows.row("", &format!("{:widest$}  {state}", entry.plugin))?;
    }
    Ok(())
}

/// What changes in a list, as patch(1) reads it. Wrapping changes lines, and neither adds nor removes any.
fn diff(out: &mut dyn Write, list: &List) -> io::Result<()> {
    let [before, after] = [&list.before, &list.after].map(|bytes| String::from_utf8_lossy(bytes));
    let lines: Vec<(&str, &str)> = before.lines().zip(after.lines()).collect();
    let changed: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].0 != lines[*line].1).collect();
    let name = list.file.display().to_string();
    let name = escape::line(&name);
    writeln!(out, "\n--- {name}\n+++ {name}")?;
    // Changes whose lines around them touch stand together.
    for together in changed.chunk_by(|one, next| next - one <= 2 * CONTEXT) {
        let (Some(first), Some(end)) = (together.first(), together.last()) else { continue };
        let shown = first.saturating_sub(CONTEXT)..(end + CONTEXT + 1).min(lines.len());
        let place = format!("{},{}", shown.start + 1, shown.len());
        writeln!(out, "{}@@ -{place} +{place} @@{}", QUIET.render(), QUIET.render_reset())?;
        for run in lines[shown].chunk_by(|one, next| (one.0 == one.1) == (next.0 == next.1)) {
            if run[0].0 == run[0].1 {
                run.iter().try_for_each(|(line, _)| writeln!(out, " {}", escape::block(line)))?;
                continue;
            }
            for (sign, style, side) in [('-', BAD, 0), ('+', GOOD, 1)] {
                for (before, after) in run {
                    let line = escape::block(if side == 0 { before } else { after });
                    writeln!(out, "{}{sign}{line}{}", style.render(), style.render_reset())?;
                }
            }
        }
    }
    Ok(())
}
