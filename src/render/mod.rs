//! What people see: the only code that prints for them.
//!
//! Colour and styles are written always and taken out again where the output is no terminal or `NO_COLOR` is set
//! (`anstream`). Text that comes from outside is escaped first.

pub mod bundle;
pub mod call;
pub mod causes;
pub mod count;
pub mod csv;
pub mod escape;
pub mod examination;
pub mod explanation;
pub mod html;
pub mod install;
pub mod list;
pub mod manual;
pub mod otlp;
pub mod part;
pub mod replay;
mod rows;
pub mod standing;
pub mod statistics;
pub mod table;
pub mod time;
mod timeline;
pub mod uninstall;
pub mod width;
pub mod wrap;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// What failed.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What looks wrong.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// Headings.
pub const HEADING: Style = Style::new().bold();
/// What is there for completeness.
pub const QUIET: Style = Style::new().dimmed();

/// The style of an outcome.
#[must_use]
pub fn of_outcome(outcome: &str) -> Style {
    match outcome {
        "ok" => GOOD,
        "running" => QUIET,
        "unfinished" | "interrupted" => ODD,
        _ => BAD,
    }
}

/// The style of a check's status.
#[must_use]
pub fn of_status(status: &str) -> Style {
    match status {
        "ok" => GOOD,
        "fail" => BAD,
        "warn" => ODD,
        _ => QUIET,
    }
}

/// Says on stderr what went wrong.
pub fn complain(text: &str) {
    anstream::eprintln!("{}cniscope: {}{}", BAD.render(), escape::line(text), BAD.render_reset());
}

/// The columns of the terminal; `None` if the output is none.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Clears the terminal, if the output is one.
///
/// # Errors
/// If it cannot be written.
pub fn clear_terminal() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    // Not through `anstream`, which takes it out again where no colours are wanted.
    if io::IsTerminal::is_terminal(&stdout) { stdout.write_all(b"\x1b[H\x1b[2J\x1b[3J") } else { Ok(()) }
}

/// Writes to stdout. A reader that has gone is no error: whoever wanted the first lines has them.
///
/// # Errors
/// If the output cannot be written for another reason.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    flushed(anstream::AutoStream::auto(io::stdout().lock()), write)
}

/// Writes to stdout what is for programs, byte for byte: nothing is taken out of it.
///
/// # Errors
/// As [`to_stdout`].
pub fn to_stdout_as_is(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    flushed(io::BufWriter::with_capacity(64 * 1024, io::stdout().lock()), write)
}

fn flushed<W: Write>(mut stdout: W, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
