//! What is usual for a series, and how far a value is from it.

use crate::anomaly::moment::Method;

/// Values before the first score of each method: five minutes, and an hour.
const RECENT_WARM_UP: u16 = 30;
const LEVEL_WARM_UP: u16 = 360;
/// Weights of the newest value: of the quick level, of the slow one, and of the variances about them. They are those
/// of means over 60, 400, 800 and 4,000 values.
const QUICK: f64 = 2.0 / 61.0;
const SLOW: f64 = 2.0 / 401.0;
const QUICK_VARIANCE: f64 = 2.0 / 801.0;
const SLOW_VARIANCE: f64 = 2.0 / 4001.0;
/// What is further away counts as so many standard deviations away when it is learned.
const QUICK_CLIP: f64 = 3.0;
const SLOW_CLIP: f64 = 2.0;
/// After so many clipped values on one side the new level is taken for the usual one.
const QUICK_GIVES_IN: i8 = 8;
const SLOW_GIVES_IN: i16 = 360;
/// The quick level counts by half of the deviations: three times that is a drift.
const LEVEL_SHARE: f64 = 0.5;
/// After so many panes without a value nothing is known of the recent level.
const RECENT: u16 = 60;
/// The highest score that is told.
const HIGHEST: f64 = 1_000.0;
/// What lies further from zero counts as this, so that squares are finite in 32 bits.
const FURTHEST: f64 = 1e18;

/// What is usual for one series, in 40 bytes. A value is scored before it is learned, so that an outlier does not hide
/// behind itself, and is learned clipped, so that it does not hide the next one.
///
/// The quick level follows the hours of a day: spikes and shifts stand out from it. The slow level lags behind the
/// quick one where values drift, by so much more than usual that drifts stand out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Detector {
    quick: f64,
    slow: f64,
    /// Of the values about the quick level.
    quick_variance: f32,
    /// Of the quick level about the slow one.
    slow_variance: f32,
    /// Sum of the distances of the clipped values in a row.
    run_sum: f32,
    /// Values in a row that were clipped; negative below the level.
    quick_run: i8,
    had_expected: bool,
    slow_run: i16,
    /// Number of the pane of the last value, modulo 2^16.
    last_pane: u16,
    /// Values so far, counted up to 65,535.
    seen: u16,
}

/// How unusual a value is, by one method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    pub(super) method: Method,
    /// Distance from what was expected, in standard deviations.
    pub(super) score: f64,
    /// What was compared: the value, or the quick level.
    pub(super) value: f64,
    pub(super) expected: f64,
    pub(super) stddev: f64,
}

impl Detector {
    /// Scores the value of a pane, and learns it. `expected` is what history has at this hour: the levels are then
    /// those of the distance from it. A method has no score before there are enough values.
    pub(super) fn take(
        &mut self,
        pane: i64,
        value: f64,
        expected: Option<f64>,
    ) -> [Option<Score>; 2] {
        self.turn_to(expected);
        let base = expected.unwrap_or(0.0);
        let value = (value - base).clamp(-FURTHEST, FURTHEST);
        let pane = pane as u16;
        if self.seen > 0 && pane.wrapping_sub(self.last_pane) > RECENT {
            self.move_to(value);
        }
        self.last_pane = pane;
        let recent = (self.seen >= RECENT_WARM_UP).then(|| Score {
            method: Method::Recent,
            score: self.recent_score(value).min(HIGHEST),
            value: value + base,
            expected: self.quick + base,
            stddev: self.deviation(),
        });
        self.learn_quick(value);
        let stddev = self.slow_deviation().max(self.deviation()) * LEVEL_SHARE;
        let level = (self.seen >= LEVEL_WARM_UP).then(|| Score {
            method: Method::Level,
            score: ((self.quick - self.slow).abs() / stddev).min(HIGHEST),
            value: self.quick + base,
            expected: self.slow + base,
            stddev,
        });
        self.learn_slow();
        self.seen = self.seen.saturating_add(1);
        [recent, level]
    }

    /// Takes the recent level for the usual one.
    pub(super) fn give_in(&mut self) {
        self.slow = self.quick;
        self.slow_run = 0;
    }

    /// Moves both levels, as if the quick one had always been at `level`.
    fn move_to(&mut self, level: f64) {
        self.slow += level - self.quick;
        self.quick = level;
        self.quick_run = 0;
        self.run_sum = 0.0;
    }

    /// History may begin or end, which is no jump of the values.
    fn turn_to(&mut self, expected: Option<f64>) {
        if self.seen > 0 && self.had_expected != expected.is_some() {
            match expected {
                Some(expected) => self.move_to(self.quick - expected),
                // What was expected last is not known: the levels begin again.
                None => *self = Detector::default(),
            }
        }
        self.had_expected = expected.is_some();
    }

    /// Standard deviation of values, with a floor: what is less is rounding.
    fn deviation(&self) -> f64 {
        f64::from(self.quick_variance).sqrt().max(self.floor())
    }

    fn slow_deviation(&self) -> f64 {
        f64::from(self.slow_variance).sqrt()
    }

    fn floor(&self) -> f64 {
        (self.quick.abs() * 1e-6).max(1e-9)
    }

    /// Whether all values were equal, but for rounding.
    fn is_constant(&self) -> bool {
        f64::from(self.quick_variance).sqrt() <= self.floor()
    }

    /// The first change of a constant series scores nothing: nothing is known of how it varies.
    fn recent_score(&self, value: f64) -> f64 {
        if self.is_constant() {
            0.0
        } else {
            (value - self.quick).abs() / self.deviation()
        }
    }

    /// The weight of the newest value: as in a plain mean until there are values enough.
    fn weight(&self, least: f64) -> f64 {
        (1.0 / (f64::from(self.seen) + 1.0)).max(least)
    }

    fn learn_quick(&mut self, value: f64) {
        let distance = value - self.quick;
        let most = QUICK_CLIP * self.deviation();
        let is_clipped = self.seen >= RECENT_WARM_UP && distance.abs() > most;
        if is_clipped && self.is_constant() {
            // The first change tells the size of a step: one more of this size is no anomaly, twice as much is.
            self.quick_variance = (distance * distance / 4.0) as f32;
            self.move_to(value);
            return;
        }
        let weight = self.weight(QUICK_VARIANCE);
        let learned = if is_clipped { most } else { distance };
        let variance = f64::from(self.quick_variance) + weight * learned * learned;
        self.quick_variance = ((1.0 - weight) * variance) as f32;
        if !is_clipped {
            self.quick += self.weight(QUICK) * distance;
            self.quick_run = 0;
            self.run_sum = 0.0;
            return;
        }
        let side = if distance > 0.0 { 1 } else { -1 };
        if self.quick_run.signum() != side {
            self.quick_run = 0;
            self.run_sum = 0.0;
        }
        self.quick_run += side;
        self.run_sum += distance as f32;
        if self.quick_run.abs() >= QUICK_GIVES_IN {
            self.move_to(self.quick + f64::from(self.run_sum) / f64::from(QUICK_GIVES_IN));
        }
    }

    fn learn_slow(&mut self) {
        let distance = self.quick - self.slow;
        let most = SLOW_CLIP * self.slow_deviation().max(self.deviation() * LEVEL_SHARE);
        let is_clipped = self.seen >= LEVEL_WARM_UP && distance.abs() > most;
        let learned = if is_clipped {
            distance.clamp(-most, most)
        } else {
            distance
        };
        self.slow += self.weight(SLOW) * learned;
        let weight = self.weight(SLOW_VARIANCE);
        let variance = f64::from(self.slow_variance) + weight * learned * learned;
        self.slow_variance = ((1.0 - weight) * variance) as f32;
        let side = match (is_clipped, distance > 0.0) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => -1,
        };
        let goes_on = side != 0 && self.slow_run.signum() != -side;
        self.slow_run = if goes_on { self.slow_run + side } else { side };
        if self.slow_run.abs() >= SLOW_GIVES_IN {
            self.give_in();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(scores: [Option<Score>; 2]) -> f64 {
        scores[0].unwrap().score
    }

    #[test]
    fn a_detector_takes_40_bytes() {
        assert_eq!(size_of::<Detector>(), 40);
    }

    #[test]
    fn nothing_is_scored_before_30_values() {
        let mut detector = Detector::default();
        for pane in 0..30 {
            assert_eq!(detector.take(pane, (pane % 3) as f64, None), [None, None]);
        }
        assert!(recent(detector.take(30, 50.0, None)) > 20.0);
    }

    #[test]
    fn the_first_change_of_a_constant_series_scores_nothing_and_a_larger_one_does() {
        let mut detector = Detector::default();
        for pane in 0..500 {
            detector.take(pane, 5.0, None);
        }
        let [_, level] = detector.take(500, 6.0, None);
        assert_eq!(level.unwrap().score, 0.0);
        assert!(recent(detector.take(501, 5.0, None)) < 3.0);
        assert!(recent(detector.take(502, 15.0, None)) > 4.0);
    }

    #[test]
    fn values_at_the_ends_of_doubles_leave_scores_finite() {
        let mut detector = Detector::default();
        for pane in 0..1_000 {
            let value = [f64::MAX, f64::MIN, 1e300, -0.0, f64::INFINITY][pane as usize % 5];
            for score in detector.take(pane, value, None).into_iter().flatten() {
                assert!(
                    score.score.is_finite() && score.stddev.is_finite(),
                    "{score:?}"
                );
            }
        }
    }

    #[test]
    fn history_that_begins_is_no_jump() {
        let mut detector = Detector::default();
        for pane in 0..1_000 {
            let expected = (pane >= 500).then_some(1_000.0);
            for score in detector
                .take(pane, 1_000.0 + (pane % 5) as f64, expected)
                .into_iter()
                .flatten()
            {
                assert!(score.score < 3.0, "{pane}: {score:?}");
            }
        }
    }
}
