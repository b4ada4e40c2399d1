//! Rows of a name and what is said of it, the text broken to the terminal's width.

use std::io::{self, Write};

use anstyle::Style;

use super::escape;
use super::wrap::hanging;

/// Before the name, and the column in which the text begins.
const INDENT: usize = 2;
const TEXT: usize = 12;

/// Where rows are written to.
pub(super) struct Rows<'a> {
    /// The output.
    pub(super) out: &'a mut dyn Write,
    /// The columns of the terminal.
    pub(super) width: Option<usize>,
}

impl Rows<'_> {
    /// A heading, behind an empty line.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let style = super::HEADING;
        writeln!(self.out, "\n{}{}{}", style.render(), escape::line(text), style.render_reset())
    }

    /// A row; without a name it goes on with the one before it.
    pub(super) fn row(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.styled(name, Style::new(), text)
    }

    /// The same with the name in a style.
    pub(super) fn styled(&mut self, name: &str, style: Style, text: &str) -> io::Result<()> {
        let padding = TEXT.saturating_sub(INDENT + name.len()).max(1);
        write!(self.out, "{:INDENT$}{}{name}{}{:padding$}", "", style.render(), style.render_reset(), "")?;
        hanging(self.out, &escape::line(text), TEXT, self.width, Style::new())
    }
}
