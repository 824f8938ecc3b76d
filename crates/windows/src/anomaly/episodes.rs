//! When a moment begins and ends.

use std::collections::BTreeMap;

use crate::anomaly::detector::{Detector, Score};
use crate::anomaly::moment::{Method, Moment, moment_id};
use crate::settings::PANE;
use crate::store::{Identity, unpack};

/// Quiet panes after which an episode is over.
const QUIET: i64 = 3;
/// One pane begins an episode at this multiple of the threshold; below it, two panes in a row must reach the threshold.
/// Of independent normal values, 1 of 370 is three standard deviations away, and 1 of 1,800 is 3.45.
const AT_ONCE: f64 = 1.15;

/// Scores of all series, and the episodes that last.
#[derive(Debug)]
pub(crate) struct Episodes {
    threshold: f64,
    /// By series.
    detectors: Vec<Detector>,
    /// The pane in which a score reached the threshold, and began nothing.
    high: BTreeMap<(u32, Method), i64>,
    lasting: BTreeMap<(u32, Method), Episode>,
    /// By series: what history has, at two times.
    expected: BTreeMap<u32, [(i64, f64); 2]>,
    told: Vec<Moment>,
}

#[derive(Debug)]
struct Episode {
    moment: Moment,
    /// The last pane with a high score.
    high_at: i64,
}

impl Episodes {
    pub(crate) fn new(threshold: f64) -> Episodes {
        Episodes {
            threshold,
            detectors: Vec::new(),
            high: BTreeMap::new(),
            lasting: BTreeMap::new(),
            expected: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// Sets what history has for a series at two times, between which it is interpolated; None ends it.
    pub(crate) fn expect(&mut self, series: u32, expected: Option<[(i64, f64); 2]>) {
        match expected {
            Some(expected) => self.expected.insert(series, expected),
            None => self.expected.remove(&series),
        };
    }

    /// Takes the mean of a pane that is over, of a series with this identity.
    pub(crate) fn take<'a>(
        &mut self,
        series: u32,
        pane: i64,
        value: f64,
        identity: impl Fn() -> Option<Identity<'a>>,
    ) {
        if self.detectors.len() <= series as usize {
            self.detectors
                .resize(series as usize + 1, Detector::default());
        }
        let expected = self
            .expected
            .get(&series)
            .map(|ends| interpolated(*ends, pane + PANE / 2));
        let detector = &mut self.detectors[series as usize];
        let scores = detector.take(pane.div_euclid(PANE), value, expected);
        let mut has_begun = false;
        for score in scores.into_iter().flatten() {
            let key = (series, score.method);
            if let Some(episode) = self.lasting.get_mut(&key) {
                episode.take(pane, score);
            } else if score.score >= self.threshold && !has_begun {
                let was_high = self.high.get(&key).is_some_and(|high| *high == pane - PANE);
                if was_high || score.score >= self.threshold * AT_ONCE {
                    let Some(identity) = identity() else { return };
                    self.begin(series, identity, pane, score);
                    has_begun = true;
                } else {
                    self.high.insert(key, pane);
                }
            }
        }
    }

    fn begin(&mut self, series: u32, identity: Identity<'_>, pane: i64, score: Score) {
        let labels = unpack(identity.dimensions);
        let moment = Moment {
            moment_id: moment_id(identity, pane),
            kind: identity.kind.to_owned(),
            entity_id: identity.entity.to_owned(),
            signal: identity.signal.to_owned(),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            started_at: pane,
            peaked_at: pane,
            ended_at: None,
            value: score.value,
            expected: score.expected,
            stddev: score.stddev,
            score: score.score,
            threshold: self.threshold,
            method: score.method,
            revision: 0,
        };
        self.told.push(moment.clone());
        self.lasting.insert(
            (series, score.method),
            Episode {
                moment,
                high_at: pane,
            },
        );
    }

    /// Ends the episodes that are over, once all series of a pane are taken.
    pub(crate) fn end_pane(&mut self, pane: i64) {
        self.high.retain(|_, high| *high >= pane);
        let detectors = &mut self.detectors;
        let told = &mut self.told;
        self.lasting.retain(|(series, method), episode| {
            let is_too_long = pane + PANE - episode.moment.started_at >= longest(*method) * PANE;
            if is_too_long
                && *method == Method::Level
                && let Some(detector) = detectors.get_mut(*series as usize)
            {
                detector.give_in();
            }
            let is_over = is_too_long || pane - episode.high_at >= QUIET * PANE;
            if is_over {
                told.push(episode.ended());
            }
            !is_over
        });
    }

    /// Ends what is known of a series.
    pub(crate) fn forget(&mut self, series: u32) {
        if let Some(detector) = self.detectors.get_mut(series as usize) {
            *detector = Detector::default();
        }
        self.expected.remove(&series);
        for method in [Method::Recent, Method::Level] {
            self.high.remove(&(series, method));
            let ended = self.lasting.remove(&(series, method));
            self.told.extend(ended.map(|episode| episode.ended()));
        }
    }

    /// The moments that have begun or ended since it was called last, by their start, kind, entity, signal and labels.
    pub(crate) fn take_told(&mut self) -> Vec<Moment> {
        let mut told = std::mem::take(&mut self.told);
        let key = |moment: &Moment| {
            let Moment {
                kind,
                entity_id,
                signal,
                labels,
                ..
            } = moment;
            (
                moment.started_at,
                kind.clone(),
                entity_id.clone(),
                signal.clone(),
                labels.clone(),
                moment.revision,
            )
        };
        told.sort_by_cached_key(key);
        told
    }
}

impl Episode {
    fn take(&mut self, pane: i64, score: Score) {
        let moment = &mut self.moment;
        if score.score * 2.0 >= moment.threshold {
            self.high_at = pane;
        }
        if score.score > moment.score {
            moment.peaked_at = pane;
            moment.value = score.value;
            moment.expected = score.expected;
            moment.stddev = score.stddev;
            moment.score = score.score;
        }
    }

    fn ended(&self) -> Moment {
        Moment {
            ended_at: Some(self.high_at + PANE),
            revision: self.moment.revision + 1,
            ..self.moment.clone()
        }
    }
}

/// The longest episode, in panes: ten minutes, and an hour. What is so for longer is the usual.
fn longest(method: Method) -> i64 {
    match method {
        Method::Recent => 60,
        Method::Level => 360,
    }
}

/// The value at `at` on the line through two points; beyond them that of the nearer one.
fn interpolated([from, to]: [(i64, f64); 2], at: i64) -> f64 {
    let way = (to.0 - from.0).max(1) as f64;
    let share = ((at - from.0) as f64 / way).clamp(0.0, 1.0);
    from.1 * (1.0 - share) + to.1 * share
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
