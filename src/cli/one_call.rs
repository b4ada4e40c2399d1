//! The one call that a name on the command line means.

use super::{CliError, Common};
use crate::journal::head::Head;
use crate::journal::named::Name;
use crate::journal::stored::{self, Stored};
use crate::render::list::{Form, List};
use crate::render::{self, escape};

/// So many calls are named between which it cannot be decided.
const CANDIDATES: usize = 8;
/// Of a name that fits more calls, the last of them count.
const MOST: usize = 1000;

/// Finds it: by its id, or the start or end of that; a container's id; a Pod, `NAMESPACE/NAME`; `last`; `last-failed`.
pub(super) fn find(common: &Common, text: &str) -> Result<Stored, CliError> {
    let name = Name::of(text);
    let most = if matches!(name, Name::Some(_)) { MOST } else { 1 };
    let mut calls = Vec::new();
    let may_be = |call: &Head| name.may_be(call);
    stored::in_portions(&common.node(), common.sources()?, &may_be, Some(most), |portion| {
        calls.extend(portion);
        Ok(())
    })?;
    name.choose(calls).map_err(|calls| undecided(common, text, &calls))
}

/// Says that a name fits no call, or which ones it fits.
fn undecided(common: &Common, name: &str, calls: &[Stored]) -> CliError {
    let name = escape::line(name);
    if calls.is_empty() {
        return CliError::Usage(format!(
            "no call {name:?} in {}; `cniscope journal` lists those that are there",
            common.journal_names()
        ));
    }
    let mut list = List::new(Form::Table, common.zone(), render::terminal_width(), false);
    let mut table = Vec::new();
    let shown = &calls[calls.len().saturating_sub(CANDIDATES)..];
    // Nothing that is written into memory fails.
    let _ = list.write(&mut table, shown);
    let more =
        if shown.len() < calls.len() { format!(", the last {} of them", shown.len()) } else { String::new() };
    let table = String::from_utf8_lossy(&table);
    CliError::Usage(format!("{} calls fit {name:?}{more}:\n{}", calls.len(), table.trim_end()))
}
