//! One radio cell: load by the hour of the day, and what load does to its users.

use chrono::{DateTime, Timelike, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The noise of a cell's load keeps most of itself over this many seconds.
const NOISE_MEMORY_S: f64 = 900.0;

/// The state of one cell at one moment; [`Cell::advance`] moves it on.
#[derive(Debug)]
pub(crate) struct Cell {
    rng: StdRng,
    /// How busy this cell is against the mean one: 0.5 to 1.3.
    popularity: f64,
    /// Hours by which this cell's day runs ahead of or behind the mean one.
    shift_h: f64,
    /// Uplink use over downlink use.
    uplink_ratio: f64,
    /// Connected users at full load.
    users_at_full_load: f64,
    noise: f64,
    pub(crate) dl_prb_util_pct: f64,
    pub(crate) ul_prb_util_pct: f64,
    pub(crate) rrc_conn_avg: f64,
    pub(crate) drop_rate_pct: f64,
}

impl Cell {
    /// A cell with its own mean load and hours; the same seed behaves the same way.
    pub(crate) fn new(seed: u64) -> Cell {
        let mut rng = StdRng::seed_from_u64(seed);
        Cell {
            popularity: rng.random_range(0.5..1.3),
            shift_h: rng.random_range(-1.0..1.0),
            uplink_ratio: rng.random_range(0.4..0.7),
            users_at_full_load: rng.random_range(40.0..400.0),
            noise: 0.0,
            dl_prb_util_pct: 0.0,
            ul_prb_util_pct: 0.0,
            rrc_conn_avg: 0.0,
            drop_rate_pct: 0.0,
            rng,
        }
    }

    /// Moves on by `seconds`, to `now`, and works out the counters of that moment.
    pub(crate) fn advance(&mut self, seconds: f64, now: DateTime<Utc>) {
        // First-order autoregressive noise: its variance does not depend on how often it is read.
        let kept = (-seconds.max(0.0) / NOISE_MEMORY_S).exp();
        let fresh = self.gauss();
        self.noise = self.noise * kept + fresh * 0.06 * (1.0 - kept * kept).sqrt();

        let hour = f64::from(now.num_seconds_from_midnight()) / 3_600.0 + self.shift_h;
        let load = (self.popularity * daily_load(hour) + self.noise).clamp(0.01, 1.0);
        self.dl_prb_util_pct = 100.0 * load;
        self.ul_prb_util_pct = (100.0 * load * self.uplink_ratio + self.gauss()).clamp(0.0, 100.0);
        self.rrc_conn_avg = (self.users_at_full_load * load * (1.0 + 0.05 * self.gauss())).max(0.0);
        // Calls drop little until the cell is nearly full.
        self.drop_rate_pct = (0.2 + 4.0 * load.powi(6) + 0.05 * self.gauss()).clamp(0.0, 100.0);
    }

    /// A draw of mean 0 and variance 1, near enough to normal, and never past 3.5.
    fn gauss(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.rng.random_range(-1.0..1.0)).sum();
        sum * (3.0_f64 / 4.0).sqrt()
    }
}

/// Load of the mean cell by hour of the day (0 to 24, wraps): a trough at four in the morning, a
/// shoulder at noon, a peak in the evening.
fn daily_load(hour: f64) -> f64 {
    let bump = |centre: f64, width: f64| {
        let away = (hour - centre).rem_euclid(24.0);
        let away = away.min(24.0 - away);
        (-0.5 * (away / width).powi(2)).exp()
    };
    0.08 + 0.35 * bump(12.0, 3.5) + 0.55 * bump(20.0, 2.6)
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};
    use proptest::prelude::*;

    use super::*;

    fn midnight() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2025, 10, 4, 0, 0, 0).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn counters_stay_within_their_ranges(seed: u64, minutes in 1_i64..60) {
            let mut cell = Cell::new(seed);
            let mut now = midnight();
            for _ in 0..500 {
                now += TimeDelta::minutes(minutes);
                cell.advance(minutes as f64 * 60.0, now);
                for percent in [cell.dl_prb_util_pct, cell.ul_prb_util_pct, cell.drop_rate_pct] {
                    prop_assert!((0.0..=100.0).contains(&percent), "{cell:?}");
                }
                prop_assert!((0.0..500.0).contains(&cell.rrc_conn_avg), "{cell:?}");
            }
        }
    }

    /// Of a network: one quiet cell with unlucky noise may have it the other way round.
    #[test]
    fn an_evening_is_at_least_twice_as_busy_as_a_night() {
        let mut cells: Vec<Cell> = (0..200).map(Cell::new).collect();
        let mut mean_at = |hour: i64| {
            let mut total = 0.0;
            for minute in 0..60 {
                for cell in &mut cells {
                    cell.advance(60.0, midnight() + TimeDelta::minutes(hour * 60 + minute));
                    total += cell.dl_prb_util_pct;
                }
            }
            total / (60.0 * 200.0)
        };
        let (night, evening) = (mean_at(3), mean_at(20));
        assert!(
            evening > 2.0 * night,
            "{night} % at night, {evening} % in the evening"
        );
    }

    #[test]
    fn users_follow_load() {
        let mut cell = Cell::new(1);
        let mut readings = Vec::new();
        for minute in 0..1_440 {
            cell.advance(60.0, midnight() + TimeDelta::minutes(minute));
            readings.push((cell.dl_prb_util_pct, cell.rrc_conn_avg));
        }
        readings.sort_by(|one, two| one.0.total_cmp(&two.0));
        let users = |part: &[(f64, f64)]| {
            part.iter().map(|(_, users)| users).sum::<f64>() / part.len() as f64
        };
        assert!(users(&readings[1_000..]) > 3.0 * users(&readings[..400]));
    }
}
