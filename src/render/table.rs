//! Tables: columns as wide as their widest cell, and the one that may give way cut to the terminal.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::Style;

use super::width::{fitted, padded, width};

/// A cell: text and its style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A plain cell.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: Style::new() }
    }

    /// The text in its style, with spaces up to a width.
    #[must_use]
    pub fn padded(&self, column: usize) -> String {
        let padding = &padded(&self.text, column)[self.text.len()..];
        format!("{}{}{}{padding}", self.style.render(), self.text, self.style.render_reset())
    }

    /// The cell in this style.
    #[must_use]
    pub fn styled(mut self, style: Style) -> Cell {
        self.style = style;
        self
    }
}

/// A table.
#[derive(Debug, Default)]
pub struct Table {
    headings: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
    elastic: Vec<usize>,
    /// The widths of the columns, once some rows are written.
    widths: Option<Vec<usize>>,
}

/// Between columns.
const GAP: &str = "  ";
/// A column does not become narrower than this.
const LEAST: usize = 12;

impl Table {
    /// A table with these columns. A heading that begins with `>` aligns its column to the right; columns whose
    /// heading begins with `~` give way where the terminal is narrow, the widest first.
    #[must_use]
    pub fn new(headings: &[&'static str]) -> Table {
        Table {
            headings: headings.iter().map(|heading| heading.trim_start_matches(['>', '~'])).collect(),
            right: headings.iter().map(|heading| heading.starts_with('>')).collect(),
            rows: Vec::new(),
            elastic: (0..headings.len()).filter(|column| headings[*column].starts_with('~')).collect(),
            widths: None,
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Writes it, at most `terminal` columns wide where that is given and possible.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, to: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
        let widths = self.widths(width, &[]);
        self.write_headings(to, &widths)?;
        self.rows.iter().try_for_each(|row| self.write_row(to, row, &widths))
    }

    /// Writes the rows that have been added since the last time, in columns that are as wide as they were then. The first
    /// time, those begin with at least these widths.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_part(
        &mut self,
        to: &mut dyn Write,
        width: Option<usize>,
        least: &[usize],
    ) -> io::Result<()> {
        let widths = if let Some(widths) = self.widths.take() {
            widths
        } else {
            let widths = self.widths(width, least);
            self.write_headings(to, &widths)?;
            widths
        };
        let rows = std::mem::take(&mut self.rows);
        let written = rows.iter().try_for_each(|row| self.write_row(to, row, &widths));
        self.widths = Some(widths);
        written
    }

    fn write_headings(&self, to: &mut dyn Write, widths: &[usize]) -> io::Result<()> {
        let headings = self.headings.iter().map(|heading| Cell::new(*heading).styled(super::HEADING));
        self.write_row(to, &headings.collect::<Vec<_>>(), widths)
    }

    fn widths(&self, terminal: Option<usize>, least: &[usize]) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| width(heading)).collect();
        for (width, least) in widths.iter_mut().zip(least) {
            *width = (*width).max(*least);
        }
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&cell.text));
            }
        }
        let total: usize = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        let mut excess = terminal.map_or(0, |terminal| total.saturating_sub(terminal));
        while excess > 0 {
            let widest = self.elastic.iter().copied().max_by_key(|column| widths[*column]);
            let Some(widest) = widest.filter(|column| widths[*column] > LEAST) else { break };
            widths[widest] -= 1;
            excess -= 1;
        }
        widths
    }

    fn write_row(&self, to: &mut dyn Write, row: &[Cell], widths: &[usize]) -> io::Result<()> {
        let mut line = String::new();
        // Spaces at the end of a line are of no use to anybody.
        let mut spaces = 0;
        for (position, cell) in row.iter().enumerate() {
            let text = fitted(&cell.text, widths[position]);
            let padding = widths[position] - width(&text);
            if self.right[position] {
                spaces += padding;
            }
            if !text.is_empty() {
                line.push_str(&" ".repeat(spaces));
                spaces = 0;
                let _ = write!(line, "{}{text}{}", cell.style.render(), cell.style.render_reset());
            }
            spaces += if self.right[position] { 0 } else { padding } + GAP.len();
        }
        writeln!(to, "{line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: Option<usize>) -> String {
        let mut table = Table::new(&["TIME", "~POD", ">TOOK", "CAUSE"]);
        table.row(["10:20", "shop/cart-7d9f8c6b5-x2x4z", "9.8 ms", ""].map(Cell::new).to_vec());
        table.row(["10:21", "a/b", "1200 ms", "unknown"].map(Cell::new).to_vec());
        let mut written = Vec::new();
        table.write(&mut written, width).unwrap();
        anstream::adapter::strip_str(std::str::from_utf8(&written).unwrap()).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        assert_eq!(
            shown(None),
            "TIME   POD                           TOOK  CAUSE\n\
             10:20  shop/cart-7d9f8c6b5-x2x4z   9.8 ms\n\
             10:21  a/b                        1200 ms  unknown\n"
        );
    }

    #[test]
    fn the_elastic_column_gives_way() {
        assert_eq!(
            shown(Some(40)),
            "TIME   POD                 TOOK  CAUSE\n\
             10:20  shop/ca…5-x2x4z   9.8 ms\n\
             10:21  a/b              1200 ms  unknown\n"
        );
    }

    #[test]
    fn what_comes_later_stands_in_the_same_columns() {
        let mut table = Table::new(&["VERB", "~POD", "~CAUSE"]);
        let mut written = Vec::new();
        for row in [["ADD", "shop/cart-7d9f8c6b5-x2x4z", "unknown"], ["STATUS", "a/b", "no-address-is-left"]]
        {
            table.row(row.map(Cell::new).to_vec());
            table.write_part(&mut written, Some(36), &[6, 0, 14]).unwrap();
        }
        let shown = anstream::adapter::strip_str(str::from_utf8(&written).unwrap()).to_string();
        assert_eq!(
            shown,
            "VERB    POD            CAUSE\n\
             ADD     shop/c…-x2x4z  unknown\n\
             STATUS  a/b            no-add…s-left\n"
        );
    }
}
