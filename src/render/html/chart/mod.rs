//! Charts as SVG: readable without a script, with a title and a description for who does not see them.

pub mod bars;
pub mod lines;
pub mod scale;

use std::fmt::Display;

use super::markup::Markup;
use crate::report::time_line::TimeLine;
use scale::Px;

/// The place of a chart's plot in its picture.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The picture's width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// What is left free on the left, for the labels of the values.
    pub left: f64,
    /// On the right.
    pub right: f64,
    /// At the top.
    pub top: f64,
    /// At the bottom, for the labels of the times.
    pub bottom: f64,
}

impl Frame {
    /// Where the plot ends on the right.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.width - self.right
    }

    /// Where it ends at the bottom.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.height - self.bottom
    }

    /// How wide the plot is.
    #[must_use]
    pub fn across(&self) -> f64 {
        self.end() - self.left
    }

    /// How high it is.
    #[must_use]
    pub fn up(&self) -> f64 {
        self.floor() - self.top
    }

    /// Where a time in seconds stands.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
    pub fn x(&self, line: &TimeLine, second: i64) -> f64 {
        self.left + self.across() * (second - line.start) as f64 / (line.end() - line.start) as f64
    }
}

/// Opens a picture; `id` is used once in a page.
pub fn open(markup: &mut Markup, frame: &Frame, class: &str, id: &str, title: &str, told: impl Display) {
    let (title_id, told_id) = (format!("{id}-t"), format!("{id}-d"));
    let labelled = format!("{title_id} {told_id}");
    let size = format!("0 0 {} {}", Px(frame.width), Px(frame.height));
    let attributes: [(&'static str, &dyn Display); 5] = [
        ("class", &class),
        ("viewBox", &size),
        ("role", &"img"),
        ("aria-labelledby", &labelled),
        ("xmlns", &"http://www.w3.org/2000/svg"),
    ];
    markup.open("svg", &attributes);
    markup.element("title", &[("id", &title_id)], title);
    markup.element("desc", &[("id", &told_id)], told);
}

/// A line of the grid with the value that it stands for.
pub fn level(markup: &mut Markup, frame: &Frame, y: f64, label: impl Display) {
    let (y, left, end) = (Px(y), Px(frame.left), Px(frame.end()));
    markup.shape("line", &[("class", &"grid"), ("x1", &left), ("x2", &end), ("y1", &y), ("y2", &y)]);
    let (x, y) = (Px(frame.left - 6.0), Px(y.0 + 4.0));
    markup.element("text", &[("class", &"tick end"), ("x", &x), ("y", &y)], label);
}

/// The labels of the times below the plot.
pub fn times(markup: &mut Markup, frame: &Frame, line: &TimeLine, most: usize) {
    let (ticks, step) = line.ticks(most);
    for tick in ticks {
        let x = frame.x(line, tick);
        let (at, top, end) = (Px(x), Px(frame.floor()), Px(frame.floor() + 4.0));
        markup.shape("line", &[("class", &"axis"), ("x1", &at), ("x2", &at), ("y1", &top), ("y2", &end)]);
        // The first and the last would stand out of the picture.
        let class = match x {
            x if x < frame.left + 14.0 => "tick start",
            x if x > frame.end() - 14.0 => "tick end",
            _ => "tick middle",
        };
        let y = Px(frame.floor() + 17.0);
        markup.element(
            "text",
            &[("class", &class), ("x", &at), ("y", &y)],
            scale::time_label(line, tick, step),
        );
    }
    let (left, end, y) = (Px(frame.left), Px(frame.end()), Px(frame.floor()));
    markup.shape("line", &[("class", &"axis"), ("x1", &left), ("x2", &end), ("y1", &y), ("y2", &y)]);
}
