//! Taking it out: for a marker, or where nothing else is left.

use super::{Keeper, Looked, MAX_BYTES, change};
use crate::install::agent::fights::Fight;
use crate::install::agent::log::Line;
use crate::install::agent::watched::Concern;
use crate::install::conflist;
use crate::install::lists;
use crate::install::marker::{self, MARKER};
use crate::install::take_out::{self, TakenOut};

impl Keeper {
    /// Does what `cniscope uninstall` does, and once more when a sandbox is gone that needs the binary.
    pub(super) fn take_out(&mut self, concern: Concern, looked: &mut Looked) {
        self.is_installed = false;
        self.fights.values_mut().for_each(Fight::unwrapped);
        if !self.is_out || self.has_forwarder && concern.results {
            let wish = take_out::Wish {
                places: looked.places.clone(),
                conflist: self.wanted.conflist.clone(),
                purge: false,
            };
            match take_out::uninstall(&self.node, &wish) {
                Ok(done) => {
                    self.is_out = true;
                    self.has_forwarder = done.forwarder.is_some();
                    looked.lines.extend(told(&done));
                    // It is this agent for which the marker is to stay, whether or not its process is to be seen there.
                    if let Err(error) = marker::put(&self.node) {
                        looked.lines.push(Line::error(format!("{MARKER}: {error}")));
                    }
                }
                Err(error) => looked.lines.push(Line::error(error.to_string())),
            }
        } else {
            self.unwrap_all(looked);
        }
        looked.standing.trouble =
            Some(format!("cniscope is uninstalled: {MARKER} is there; `cniscope install` removes it"));
    }

    /// Unwraps every list that is wrapped.
    pub(super) fn unwrap_all(&mut self, looked: &mut Looked) {
        self.fights.values_mut().for_each(Fight::unwrapped);
        let told = self.wanted.conflist.as_deref();
        let Ok(files) = lists::everywhere(&self.node, &looked.places, told) else { return };
        for file in files {
            let content = self.node.read(&file, MAX_BYTES).unwrap_or_default();
            if conflist::unwrap(&content).is_ok_and(|unwrapped| unwrapped != content) {
                looked.lines.push(match change(&self.node, &file, conflist::unwrap) {
                    Ok(()) => Line::warn(format!("{}: unwrapped", file.display())),
                    Err(error) => Line::error(error),
                });
            }
        }
    }
}

/// What was taken out, in a line each.
fn told(done: &TakenOut) -> Vec<Line> {
    let mut lines: Vec<Line> =
        done.unwrapped.iter().map(|file| Line::warn(format!("{}: unwrapped", file.display()))).collect();
    lines.extend(done.removed.iter().map(|binary| Line::info(format!("{}: removed", binary.display()))));
    lines.extend(done.forwarder.iter().map(|binary| {
        let sandboxes = || format!("{} attachments of Pods need it", done.holders.len());
        let why = done.held.clone().unwrap_or_else(sandboxes);
        Line::info(format!("{}: stays as a forwarder: {why}", binary.display()))
    }));
    lines
}
