//! The journal, the youngest file first: where a bound cuts, the oldest calls go.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::atomic::Ordering;

use crate::bundle::clean::Form;
use crate::bundle::gather::{Gathered, Gatherer};
use crate::bundle::manifest::Status;
use crate::journal::log;
use crate::journal::sources::open_files;

/// The most that is taken of one file, in bytes; by default the journal rotates at this size.
const MAX_FILE: u64 = 32 << 20;
/// The end of the program's own log, in bytes.
const LOG: u64 = 1 << 20;

pub(super) fn gather(to: &Gatherer) -> Gathered {
    let files = match open_files(&to.plan.journal) {
        Ok(files) => files,
        Err(error) => return to.without(Status::Failed, error.to_string()),
    };
    for (path, mut file) in files.into_iter().rev() {
        if path.extension().is_some_and(|extension| extension == "gz") {
            to.without(
                Status::Missing,
                format!("{}: compressed, and not looked through for secrets", path.display()),
            )?;
            continue;
        }
        let name = path.file_name().unwrap_or_default().display().to_string();
        let size = match file.metadata() {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => {
                to.without(Status::Failed, format!("{}: is no regular file", path.display()))?;
                continue;
            }
        };
        // Cleaning makes a line no longer than a few words more.
        let most = MAX_FILE.min(to.room.load(Ordering::Relaxed) / 8 * 7);
        let mut content = Vec::new();
        let start = SeekFrom::Start(size.saturating_sub(most));
        let read = file.seek(start).and_then(|_| file.take(most).read_to_end(&mut content));
        if let Err(error) = read {
            to.without(Status::Failed, format!("{}: {error}", path.display()))?;
            continue;
        }
        let mut cut = None;
        if size > most {
            let whole =
                content.iter().position(|byte| *byte == b'\n').map_or(content.len(), |newline| newline + 1);
            content.drain(..whole);
            cut = Some(format!("the last {} of the {size} bytes of {}", content.len(), path.display()));
        }
        to.put(&format!("journal/{name}"), &content, Form::Records, cut)?;
    }
    own_log(to)
}

/// The program's own log stands beside the journal.
fn own_log(to: &Gatherer) -> Gathered {
    let path = to.plan.journal.join(log::NAME);
    let Ok(lines) = crate::node::Node::this().last_lines(&path, usize::MAX, LOG) else { return Ok(()) };
    let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
    to.put(&format!("journal/{}", log::NAME), text.as_bytes(), Form::Text, None)
}
