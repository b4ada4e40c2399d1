//! Failures over time: bars of causes, one on the other, above all calls.

use super::scale::{Px, levels, piece_label, width_label};
use super::{Frame, level, open, times};
use crate::render::count::{counted, thousands};
use crate::render::html::markup::Markup;
use crate::report::failures::{Failures, Series};
use crate::report::time_line::TimeLine;

/// How high the strip of all calls is, and what stands above it.
const STRIP: f64 = 34.0;
const GAP: f64 = 40.0;

/// The class of a series' colour.
#[must_use]
pub fn colour(position: usize, series: &Series) -> String {
    match series.reason.as_deref() {
        None => "other".to_owned(),
        // It has the colour of what is not known wherever it stands.
        Some("unknown") => "unknown".to_owned(),
        Some(_) => format!("c{position}"),
    }
}

/// The name of a series.
#[must_use]
pub fn name(series: &Series) -> &str {
    series.reason.as_deref().unwrap_or("other causes")
}

/// Draws them as wide as `width`.
pub fn failures(markup: &mut Markup, failures: &Failures, line: &TimeLine, width: f64, class: &str) {
    let frame = Frame { width, height: 300.0, left: 40.0, right: 8.0, top: 10.0, bottom: 22.0 + STRIP + GAP };
    let per_piece = failures.per_piece();
    let most = per_piece.iter().copied().max().unwrap_or_default();
    let peak = per_piece.iter().position(|count| *count == most).unwrap_or_default();
    let told = format!(
        "Stacked bars, one for each {}. At most {} in one of them, at {}.",
        width_label(line.width),
        counted(most, "failure"),
        piece_label(line, peak)
    );
    open(markup, &frame, class, &format!("failures-{class}"), "Failures over time, by cause", told);
    let levels = levels(most);
    let top = *levels.last().unwrap_or(&1);
    for value in &levels {
        level(markup, &frame, height(&frame, *value, top), thousands(*value));
    }
    for piece in 0..line.count {
        stack(markup, failures, line, &frame, piece, top);
    }
    times(markup, &frame, line, if width > 700.0 { 10 } else { 4 });
    strip(markup, failures, line, &frame);
    markup.close();
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn height(frame: &Frame, value: usize, top: usize) -> f64 {
    frame.floor() - frame.up() * value as f64 / top as f64
}

/// Where a bar stands, and how wide it is.
#[allow(clippy::cast_precision_loss, reason = "there are 60 pieces at most")]
fn bar(frame: &Frame, line: &TimeLine, piece: usize) -> (f64, f64) {
    let step = frame.across() / line.count as f64;
    let wide = (step * 0.78).min(36.0);
    (frame.left + step * (piece as f64 + 0.5) - wide / 2.0, wide)
}

fn stack(markup: &mut Markup, failures: &Failures, line: &TimeLine, frame: &Frame, piece: usize, top: usize) {
    let (x, wide) = bar(frame, line, piece);
    let mut below = 0;
    for (position, series) in failures.series.iter().enumerate() {
        let count = series.counts[piece];
        if count == 0 {
            continue;
        }
        let (base, y) = (height(frame, below, top), height(frame, below + count, top));
        below += count;
        let class = colour(position, series);
        let (x, y, wide, high) = (Px(x), Px(y), Px(wide), Px(base - y));
        markup.open("rect", &[("class", &class), ("x", &x), ("y", &y), ("width", &wide), ("height", &high)]);
        let label = format!("{}: {} × {}", piece_label(line, piece), thousands(count), name(series));
        markup.element("title", &[], label).close();
    }
}

/// All calls below the failures: without them nobody sees whether much or little failed.
fn strip(markup: &mut Markup, failures: &Failures, line: &TimeLine, frame: &Frame) {
    let frame = Frame { top: frame.height - STRIP - 2.0, bottom: 2.0, ..*frame };
    let most = failures.calls.iter().copied().max().unwrap_or_default().max(1);
    let (x, y) = (Px(frame.left), Px(frame.top - 6.0));
    let label = format!("all calls, at most {} in {}", thousands(most), width_label(line.width));
    markup.element("text", &[("class", &"tick start"), ("x", &x), ("y", &y)], label);
    for (piece, count) in failures.calls.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (x, wide) = bar(&frame, line, piece);
        let y = height(&frame, *count, most);
        let (x, high, y, wide) = (Px(x), Px(frame.floor() - y), Px(y), Px(wide));
        markup
            .open("rect", &[("class", &"calls"), ("x", &x), ("y", &y), ("width", &wide), ("height", &high)]);
        markup
            .element("title", &[], format!("{}: {}", piece_label(line, piece), counted(*count, "call")))
            .close();
    }
    let (left, end, y) = (Px(frame.left), Px(frame.end()), Px(frame.floor()));
    markup.shape("line", &[("class", &"axis"), ("x1", &left), ("x2", &end), ("y1", &y), ("y2", &y)]);
}
