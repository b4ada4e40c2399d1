//! The time that the charts show, and the pieces that it is cut into.

/// The widths of a piece, in seconds, that people count in.
const WIDTHS: [i64; 19] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800];
const WEEK: i64 = 7 * 86_400;
/// The charts have at most so many pieces.
const MOST: i64 = 60;

/// Equal pieces of time that begin where a clock on the wall shows a full minute, hour or day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeLine {
    /// When the first piece begins, in seconds since 1970.
    pub start: i64,
    /// How long a piece is, in seconds.
    pub width: i64,
    /// How many there are.
    pub count: usize,
    /// The wall clock's offset from UTC, in seconds.
    pub offset: i64,
}

/// The widths from the least up, without an end.
fn widths() -> impl Iterator<Item = i64> {
    WIDTHS.into_iter().chain(std::iter::successors(Some(WEEK), |width| width.checked_mul(2)))
}

impl TimeLine {
    /// Over these times, in milliseconds since 1970. `None` if there are none.
    ///
    /// Times that are far from all others, as a node writes them before its clock is set, would leave everything else in one
    /// piece: they lie outside.
    #[must_use]
    pub fn over(times: &[i64], offset: i64) -> Option<TimeLine> {
        let mut seconds: Vec<i64> = times.iter().map(|time| time.div_euclid(1000)).collect();
        seconds.sort_unstable();
        let few = seconds.len() / 50;
        let (low, high) = (*seconds.get(few)?, *seconds.get(seconds.len() - 1 - few)?);
        let far = (high - low).max(3600).saturating_mul(10);
        seconds.retain(|time| (low - far..=high + far).contains(time));
        let (first, last) = (*seconds.first()?, *seconds.last()?);
        let start = |width: i64| (first + offset).div_euclid(width) * width - offset;
        let pieces = |width: i64| (last - start(width)) / width + 1;
        let width = widths().find(|width| pieces(*width) <= MOST)?;
        Some(TimeLine { start: start(width), width, count: usize::try_from(pieces(width)).ok()?, offset })
    }

    /// The piece that a time in milliseconds lies in.
    #[must_use]
    pub fn piece(&self, time: i64) -> Option<usize> {
        let seconds = time.div_euclid(1000) - self.start;
        usize::try_from(seconds.div_euclid(self.width)).ok().filter(|piece| *piece < self.count)
    }

    /// Where it ends, in seconds since 1970.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.start + self.width * i64::try_from(self.count).unwrap_or(i64::MAX)
    }

    /// At most so many full minutes, hours or days in it, in seconds since 1970, and the seconds between two of them.
    #[must_use]
    pub fn ticks(&self, most: usize) -> (Vec<i64>, i64) {
        let all = |step: i64| {
            let first = (self.start + self.offset + step - 1).div_euclid(step) * step - self.offset;
            std::iter::successors(Some(first), move |tick| tick.checked_add(step))
                .take_while(|tick| *tick <= self.end())
        };
        let step = widths().find(|step| all(*step).take(most + 1).count() <= most).unwrap_or(WEEK);
        (all(step).collect(), step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 86_400;
    /// A midnight in UTC, in seconds.
    const MIDNIGHT: i64 = 1_795_219_200;

    fn over(seconds: &[i64]) -> TimeLine {
        let times: Vec<i64> = seconds.iter().map(|second| second * 1000).collect();
        TimeLine::over(&times, 0).unwrap()
    }

    #[test]
    fn the_width_fits_what_there_is() {
        let table: [(&[i64], i64, i64, usize); 7] = [
            (&[MIDNIGHT + 7], MIDNIGHT + 7, 1, 1),
            (&[MIDNIGHT, MIDNIGHT + 59], MIDNIGHT, 1, 60),
            (&[MIDNIGHT, MIDNIGHT + 60], MIDNIGHT, 2, 31),
            (&[MIDNIGHT + 100, MIDNIGHT + HOUR], MIDNIGHT + 60, 60, 60),
            (&[MIDNIGHT + 100, MIDNIGHT + DAY], MIDNIGHT, 1800, 49),
            (&[MIDNIGHT + 100, MIDNIGHT + 29 * DAY], MIDNIGHT, DAY / 2, 59),
            (&[0, 20_000 * DAY], 0, 64 * WEEK, 45),
        ];
        for (times, start, width, count) in table {
            let line = over(times);
            assert_eq!((line.start, line.width, line.count), (start, width, count), "{times:?}");
        }
        assert_eq!(TimeLine::over(&[], 0), None);
    }

    #[test]
    fn pieces_begin_with_the_day_of_the_wall_clock() {
        let times: Vec<i64> = [MIDNIGHT, MIDNIGHT + 40 * DAY].map(|second| second * 1000).to_vec();
        let line = TimeLine::over(&times, 5 * HOUR + 1800).unwrap();
        assert_eq!((line.start + 5 * HOUR + 1800) % DAY, 0);
        assert_eq!(line.width, DAY);
        let (ticks, step) = line.ticks(8);
        assert!(ticks.iter().all(|tick| (tick + 5 * HOUR + 1800) % DAY == 0) && step == WEEK, "{ticks:?}");
    }

    #[test]
    fn times_before_the_clock_was_set_lie_outside() {
        let mut seconds: Vec<i64> = (0..200).map(|minute| MIDNIGHT + 60 * minute).collect();
        seconds.extend([5, 6]);
        let line = over(&seconds);
        assert_eq!((line.start, line.width), (MIDNIGHT, 300));
        assert_eq!(line.piece(5000), None);
        assert_eq!(line.piece((MIDNIGHT + 299) * 1000), Some(0));
        assert_eq!(line.piece((MIDNIGHT + 300) * 1000), Some(1));
    }

    #[test]
    fn ticks_are_full_minutes_hours_and_days() {
        let line = over(&[MIDNIGHT + 100, MIDNIGHT + HOUR]);
        assert_eq!(line.ticks(5), ([900, 1800, 2700, 3600].map(|second| MIDNIGHT + second).to_vec(), 900));
        let many = over(&[MIDNIGHT, MIDNIGHT + 55 * DAY]);
        let (ticks, step) = many.ticks(6);
        assert!(ticks.len() <= 6 && step == 2 * WEEK, "{ticks:?} {step}");
    }
}
