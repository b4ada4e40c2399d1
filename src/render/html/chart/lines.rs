//! Small charts of lines: how long calls took, and how full pools were.

use std::fmt::Write as _;

use super::scale::{Px, decade_label, decades, levels, piece_label};
use super::{Frame, level, open, times};
use crate::render::count::thousands;
use crate::render::html::markup::Markup;
use crate::render::time::duration;
use crate::report::latency::{Latency, Percentiles};
use crate::report::pools::Pool;
use crate::report::time_line::TimeLine;

/// A small chart, several of which stand side by side.
const SMALL: Frame = Frame { width: 360.0, height: 190.0, left: 46.0, right: 10.0, top: 10.0, bottom: 24.0 };

/// Nobody counts more addresses than that one by one.
const COUNTABLE: f64 = 1e7;

/// The powers of ten between which all of these lie.
#[must_use]
pub fn range(all: &[&Latency]) -> Vec<i32> {
    let of_all = all.iter().filter_map(|one| one.all);
    let of_pieces = all.iter().flat_map(|one| one.pieces.iter().flatten());
    let least = of_pieces.map(|of| of.p50).fold(f64::INFINITY, f64::min);
    let most = of_all.map(|of| of.max).fold(0.0, f64::max);
    decades(if least.is_finite() { least } else { 1.0 }, most)
}

/// Draws the percentiles of a plugin and verb, between powers of ten.
pub fn latency(markup: &mut Markup, latency: &Latency, line: &TimeLine, powers: &[i32], id: &str) {
    let frame = SMALL;
    let title = format!("How long {} by {} took", latency.command, latency.plugin);
    let told = latency.all.map(|of| {
        format!(
            "Over all: half within {}, 95 of 100 within {}, 99 of 100 within {}, all within {}.",
            duration(of.p50),
            duration(of.p95),
            duration(of.p99),
            duration(of.max)
        )
    });
    open(markup, &frame, "small", id, &title, told.unwrap_or_default());
    let (low, high) = (powers.first().copied().unwrap_or(0), powers.last().copied().unwrap_or(1));
    let y = |milliseconds: f64| {
        let share = (milliseconds.max(0.01).log10() - f64::from(low)) / f64::from((high - low).max(1));
        frame.floor() - frame.up() * share.clamp(0.0, 1.0)
    };
    for power in powers {
        level(markup, &frame, y(10_f64.powi(*power)), decade_label(*power));
    }
    let x = |piece: usize| {
        let width = frame.across() / f64::from(u32::try_from(line.count).unwrap_or(1));
        frame.left + width * (f64::from(u32::try_from(piece).unwrap_or_default()) + 0.5)
    };
    let runs = runs(&latency.pieces);
    for run in &runs {
        let there = run.iter().map(|(piece, of)| (x(*piece), y(of.p95)));
        let back = run.iter().rev().map(|(piece, of)| (x(*piece), y(of.p50)));
        let area = format!("{} Z", path(there.chain(back)));
        markup.shape("path", &[("class", &"band"), ("d", &area)]);
    }
    let values = |of: &Percentiles| [of.p99, of.p95, of.p50];
    for (position, class) in ["p99", "p95", "p50"].into_iter().enumerate() {
        for run in &runs {
            let point = |(piece, of): &(usize, Percentiles)| (x(*piece), y(values(of)[position]));
            curve(markup, class, &run.iter().map(point).collect::<Vec<_>>());
        }
    }
    for (piece, of) in runs.iter().flatten() {
        let (x, top, high) = (Px(x(*piece) - 3.0), Px(frame.top), Px(frame.up()));
        markup.open("rect", &[("class", &"hover"), ("x", &x), ("y", &top), ("width", &6), ("height", &high)]);
        let label = format!(
            "{}: p50 {}, p95 {}, p99 {}, max {}",
            piece_label(line, *piece),
            duration(of.p50),
            duration(of.p95),
            duration(of.p99),
            duration(of.max)
        );
        markup.element("title", &[], label).close();
    }
    times(markup, &frame, line, 4);
    markup.close();
}

/// The pieces in which there were calls, where they stand side by side.
fn runs(pieces: &[Option<Percentiles>]) -> Vec<Vec<(usize, Percentiles)>> {
    let mut runs: Vec<Vec<(usize, Percentiles)>> = Vec::new();
    let mut before = None;
    for (piece, of) in pieces.iter().enumerate().filter_map(|(piece, of)| Some((piece, (*of)?))) {
        match runs.last_mut() {
            Some(run) if before.is_some_and(|before| before + 1 == piece) => run.push((piece, of)),
            _ => runs.push(vec![(piece, of)]),
        }
        before = Some(piece);
    }
    runs
}

/// A line through the points; a dot where there is one only.
fn curve(markup: &mut Markup, class: &str, points: &[(f64, f64)]) {
    if let [(x, y)] = points {
        let class = format!("{class} dot");
        markup.shape("circle", &[("class", &class), ("cx", &Px(*x)), ("cy", &Px(*y)), ("r", &2)]);
    } else {
        let class = format!("{class} line");
        markup.shape("path", &[("class", &class), ("d", &path(points.iter().copied()))]);
    }
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (position, (x, y)) in points.enumerate() {
        let _ = write!(path, "{}{} {}", if position == 0 { "M" } else { " L" }, Px(x), Px(y));
    }
    path
}

/// Draws how full a pool was. In each piece of time the last and the fullest sight are kept.
pub fn pool(markup: &mut Markup, pool: &Pool, line: &TimeLine, id: &str) {
    let frame = SMALL;
    let capacity = pool.seen.iter().fold(1.0_f64, |most, sight| most.max(sight.capacity));
    let most = pool.seen.iter().fold(0.0_f64, |most, sight| most.max(sight.used));
    // What is nearly empty would be a line on the floor.
    let is_wide = most * 50.0 < capacity;
    let top = if is_wide { (most * 2.0).max(1.0) } else { capacity.max(most) };
    let told = pool.last().map(|last| {
        format!(
            "{} of {} addresses used when it was last looked at.",
            amount(last.used),
            amount(last.capacity)
        )
    });
    open(markup, &frame, "small", id, &format!("Use of the pool {}", pool.ranges), told.unwrap_or_default());
    let y = |value: f64| frame.floor() - frame.up() * (value / top).clamp(0.0, 1.0);
    for value in counts(top) {
        level(markup, &frame, y(value), amount(value));
    }
    if !is_wide {
        let (left, end, at) = (Px(frame.left), Px(frame.end()), Px(y(capacity)));
        markup.shape("line", &[("class", &"limit"), ("x1", &left), ("x2", &end), ("y1", &at), ("y2", &at)]);
    }
    let inside = pool.seen.iter().filter(|sight| line.piece(sight.at).is_some());
    let points: Vec<(f64, f64)> =
        inside.map(|sight| (place(&frame, line, sight.at), y(sight.used))).collect();
    let points = thinned(&points);
    if let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) {
        let steps = steps(&points);
        let area = format!("{steps} V{} H{} Z", Px(frame.floor()), Px(*first));
        markup.shape("path", &[("class", &"fill"), ("d", &area)]);
        markup.shape("path", &[("class", &"used line"), ("d", &steps)]);
        let end = points.last().map_or(0.0, |(_, y)| *y);
        markup.shape("circle", &[("class", &"used dot"), ("cx", &Px(*last)), ("cy", &Px(end)), ("r", &2.5)]);
    }
    times(markup, &frame, line, 4);
    markup.close();
}

/// Round numbers of addresses up to `top`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "it is below the bound, and no count is negative"
)]
fn counts(top: f64) -> Vec<f64> {
    if top >= COUNTABLE {
        return vec![0.0, top];
    }
    levels(top as usize).into_iter().map(|value| value as f64).filter(|value| *value <= top).collect()
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds are far below 2^52")]
fn place(frame: &Frame, line: &TimeLine, at: i64) -> f64 {
    let share = (at - line.start * 1000) as f64 / ((line.end() - line.start) * 1000) as f64;
    frame.left + frame.across() * share
}

/// Of points that lie less than a pixel apart, the highest and the last.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let is_near = |one: &(f64, f64), other: &(f64, f64)| (one.0.floor() - other.0.floor()).abs() < 0.5;
    for column in points.chunk_by(is_near) {
        let highest = column.iter().copied().min_by(|one, other| one.1.total_cmp(&other.1));
        kept.extend(highest);
        kept.extend(column.last().copied().filter(|last| Some(*last) != highest));
    }
    kept
}

/// A line that stays until the next point: a pool is as full as it was last seen.
fn steps(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (position, (x, y)) in points.iter().enumerate() {
        let _ = if position == 0 {
            write!(path, "M{} {}", Px(*x), Px(*y))
        } else {
            write!(path, " H{} V{}", Px(*x), Px(*y))
        };
    }
    path
}

/// A number of addresses; an IPv6 pool has more than anybody counts.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is below the bound, and no count is negative"
)]
pub fn amount(count: f64) -> String {
    if count < COUNTABLE {
        thousands(count.max(0.0) as usize)
    } else {
        format!("10^{:.0}", count.log10().floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::pools::Sight;

    #[test]
    fn where_there_were_no_calls_there_is_no_line() {
        let of = |p50| Some(Percentiles { p50, p95: p50, p99: p50, max: p50 });
        let pieces = [of(1.0), of(2.0), None, of(3.0), None];
        let told: Vec<Vec<usize>> =
            runs(&pieces).iter().map(|run| run.iter().map(|(piece, _)| *piece).collect()).collect();
        assert_eq!(told, [vec![0, 1], vec![3]]);
    }

    #[test]
    fn many_sights_of_a_pool_are_few_points() {
        let points = [(1.0, 9.0), (1.2, 3.0), (1.9, 5.0), (2.0, 6.0)];
        assert_eq!(thinned(&points), [(1.2, 3.0), (1.9, 5.0), (2.0, 6.0)]);
        assert_eq!(steps(&thinned(&points)), "M1.2 3 H1.9 V5 H2 V6");
    }

    #[test]
    fn a_pool_is_drawn_to_its_capacity() {
        let sight = |second: i64, used| Sight { at: second * 1000, capacity: 5.0, used };
        let seen = vec![sight(0, 1.0), sight(30, 5.0)];
        let one = Pool { node: "a".into(), folder: "/p".into(), ranges: "<r>".into(), seen, leaked: None };
        let mut markup = Markup::default();
        pool(&mut markup, &one, &TimeLine { start: 0, width: 60, count: 1, offset: 0 }, "pool-0");
        insta::assert_snapshot!(markup.finish().replace("><", ">\n<"), @r##"
        <svg class="small" viewBox="0 0 360 190" role="img" aria-labelledby="pool-0-t pool-0-d" xmlns="http://www.w3.org/2000/svg">
        <title id="pool-0-t">Use of the pool &lt;r&gt;</title>
        <desc id="pool-0-d">5 of 5 addresses used when it was last looked at.</desc>
        <line class="grid" x1="46" x2="350" y1="166" y2="166"/>
        <text class="tick end" x="40" y="170">0</text>
        <line class="grid" x1="46" x2="350" y1="103.6" y2="103.6"/>
        <text class="tick end" x="40" y="107.6">2</text>
        <line class="grid" x1="46" x2="350" y1="41.2" y2="41.2"/>
        <text class="tick end" x="40" y="45.2">4</text>
        <line class="limit" x1="46" x2="350" y1="10" y2="10"/>
        <path class="fill" d="M46 134.8 H198 V10 V166 H46 Z"/>
        <path class="used line" d="M46 134.8 H198 V10"/>
        <circle class="used dot" cx="198" cy="10" r="2.5"/>
        <line class="axis" x1="46" x2="46" y1="166" y2="170"/>
        <text class="tick start" x="46" y="183">Jan 1</text>
        <line class="axis" x1="198" x2="198" y1="166" y2="170"/>
        <text class="tick middle" x="198" y="183">00:00:30</text>
        <line class="axis" x1="350" x2="350" y1="166" y2="170"/>
        <text class="tick end" x="350" y="183">00:01:00</text>
        <line class="axis" x1="46" x2="350" y1="166" y2="166"/>
        </svg>
        "##);
    }

    #[test]
    fn more_addresses_than_anybody_counts() {
        assert_eq!([0.0, 253.0, 65_533.0, 3.4e38].map(amount), ["0", "253", "65,533", "10^38"]);
    }
}
