//! Episodes on generated series, beside a plain z-score over the last 60 values.

use std::collections::VecDeque;

use super::*;

const LOAD: Identity<'static> = Identity {
    kind: "cell",
    entity: "c1",
    signal: "load",
    dimensions: "",
};

/// Panes before the first planted anomaly.
const QUIET_START: usize = 1_500;
/// Panes from one planted anomaly to the next.
const APART: usize = 1_200;
const DAY: usize = 8_640;
/// An alarm up to so many panes after the end of a planted anomaly is not a false one: levels move back.
const AFTER: usize = 70;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Spike,
    Shift,
    Drift,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Course {
    Flat,
    /// Varies through the day, and nothing is known of it.
    Day,
    /// Varies through the day, and history has the hours' means.
    KnownDay,
}

struct Made {
    values: Vec<f64>,
    /// What history has at each pane.
    expected: Option<Vec<f64>>,
    /// Form, first pane, and the pane after the last one.
    planted: Vec<(Form, usize, usize)>,
}

fn normal(random: &mut fastrand::Rng) -> f64 {
    let (a, b) = (1.0 - random.f64(), random.f64());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

fn between(random: &mut fastrand::Rng, low: f64, high: f64) -> f64 {
    low + random.f64() * (high - low)
}

/// Three days of a series, with an anomaly every 1,200 panes.
fn made(course: Course, seed: u64) -> Made {
    let mut random = fastrand::Rng::with_seed(seed);
    let stddev = 10f64.powf(between(&mut random, -2.0, 3.0));
    let level = normal(&mut random) * stddev * 100.0;
    let amplitude = between(&mut random, 3.0, 12.0) * stddev;
    let phase = random.usize(..DAY);
    let season = |pane: usize| {
        let angle = std::f64::consts::TAU * ((pane + phase) % DAY) as f64 / DAY as f64;
        if course == Course::Flat {
            0.0
        } else {
            amplitude * (angle.sin() + 0.3 * (2.0 * angle).cos())
        }
    };
    let length = 3 * DAY;
    let mut added = vec![0.0; length];
    let mut planted = Vec::new();
    for start in (QUIET_START..length - APART).step_by(APART) {
        let start = start + random.usize(..APART / 4);
        let side = if random.bool() { stddev } else { -stddev };
        let form = [Form::Spike, Form::Shift, Form::Drift][random.usize(..3)];
        let end = match form {
            Form::Spike => {
                added[start] += side * between(&mut random, 5.0, 10.0);
                start + 1
            }
            Form::Shift => {
                let size = side * between(&mut random, 5.0, 10.0);
                added[start..].iter_mut().for_each(|value| *value += size);
                start + 60
            }
            Form::Drift => {
                let (size, panes) = (
                    side * between(&mut random, 8.0, 15.0),
                    random.usize(200..500),
                );
                for (pane, value) in added[start..].iter_mut().enumerate() {
                    *value += size * (pane as f64 / panes as f64).min(1.0);
                }
                start + panes
            }
        };
        planted.push((form, start, end));
    }
    let values =
        (0..length).map(|pane| level + season(pane) + added[pane] + stddev * normal(&mut random));
    Made {
        values: values.collect(),
        expected: (course == Course::KnownDay)
            .then(|| (0..length).map(|pane| level + season(pane)).collect()),
        planted,
    }
}

/// The panes in which episodes begin.
fn by_episodes(made: &Made) -> Vec<usize> {
    let mut episodes = Episodes::new(3.0);
    for (pane, value) in made.values.iter().enumerate() {
        let at = pane as i64 * PANE;
        if let Some(expected) = &made.expected
            && pane % 360 == 0
        {
            // The hours' means at the middles of the hours, as from hourly aggregates.
            let mean = |hour: usize| {
                let hour = &expected
                    [(hour * 360).min(expected.len() - 1)..(hour * 360 + 360).min(expected.len())];
                hour.iter().sum::<f64>() / hour.len() as f64
            };
            let ends = [
                (at, mean(pane / 360)),
                (at + 360 * PANE, mean(pane / 360 + 1)),
            ];
            episodes.expect(0, Some(ends));
        }
        episodes.take(0, at, *value, || Some(LOAD));
        episodes.end_pane(at);
    }
    let told = episodes
        .take_told()
        .into_iter()
        .filter(|moment| moment.revision == 0);
    told.map(|moment| (moment.started_at / PANE) as usize)
        .collect()
}

/// The panes in which a plain z-score of three over the last 60 values begins to alarm, after three panes or more
/// without an alarm.
fn by_z_score(made: &Made) -> Vec<usize> {
    let (mut last, mut begun, mut alarmed) = (VecDeque::new(), Vec::new(), None::<usize>);
    for (pane, value) in made.values.iter().enumerate() {
        if last.len() == 60 {
            let mean = last.iter().sum::<f64>() / 60.0;
            let variance = last
                .iter()
                .map(|value| (value - mean) * (value - mean))
                .sum::<f64>()
                / 60.0;
            if (value - mean).abs() >= 3.0 * variance.sqrt() {
                if alarmed.is_none_or(|alarmed| pane - alarmed > 3) {
                    begun.push(pane);
                }
                alarmed = Some(pane);
            }
            last.pop_front();
        }
        last.push_back(*value);
    }
    begun
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    planted: usize,
    found: usize,
    /// Alarms that began within planted anomalies.
    alarms: usize,
}

impl Tally {
    fn recall(&self) -> f64 {
        self.found as f64 / self.planted as f64
    }
}

/// Counts by form, and false alarms. What begins before there can have been enough values is not counted.
fn tally(made: &Made, begun: &[usize], tallies: &mut BTreeMap<Form, Tally>) -> usize {
    for (form, start, end) in &made.planted {
        let alarms = begun
            .iter()
            .filter(|pane| (*start..*end + 3).contains(pane))
            .count();
        let tally = tallies.entry(*form).or_default();
        tally.planted += 1;
        tally.found += usize::from(alarms > 0);
        tally.alarms += alarms;
    }
    let is_false = |pane: &&usize| {
        **pane >= 60
            && !made
                .planted
                .iter()
                .any(|(_, start, end)| (*start..*end + AFTER).contains(*pane))
    };
    begun.iter().filter(is_false).count()
}

#[test]
fn more_is_found_with_fewer_false_alarms_than_by_a_plain_z_score() {
    const SERIES: u64 = 60;
    for course in [Course::Flat, Course::Day, Course::KnownDay] {
        let (mut ours, mut plain) = (BTreeMap::new(), BTreeMap::new());
        let (mut false_ours, mut false_plain) = (0, 0);
        for seed in 0..SERIES {
            let made = made(course, seed);
            false_ours += tally(&made, &by_episodes(&made), &mut ours);
            false_plain += tally(&made, &by_z_score(&made), &mut plain);
        }
        let days = SERIES as f64 * 3.0;
        let all = |tallies: &BTreeMap<Form, Tally>| {
            let sum =
                |count: fn(&Tally) -> usize| tallies.values().map(count).sum::<usize>() as f64;
            sum(|tally| tally.found) / sum(|tally| tally.planted)
        };
        println!(
            "{course:?}: recall {:.3}, false alarms {:.2} a series and day; plain z-score {:.3}, {:.2}",
            all(&ours),
            false_ours as f64 / days,
            all(&plain),
            false_plain as f64 / days,
        );
        for (form, tally) in &ours {
            println!(
                "  {form:?}: recall {:.3}, {:.2} moments for each; plain z-score {:.3}, {:.2}",
                tally.recall(),
                tally.alarms as f64 / tally.found.max(1) as f64,
                plain[form].recall(),
                plain[form].alarms as f64 / plain[form].found.max(1) as f64,
            );
        }
        assert!(all(&ours) > all(&plain), "{course:?}: {ours:?} {plain:?}");
        assert!(
            false_ours * 4 < false_plain,
            "{course:?}: {false_ours} {false_plain}"
        );
        for form in [Form::Spike, Form::Shift] {
            assert!(
                ours[&form].alarms * 100 <= ours[&form].found * 105,
                "{course:?} {form:?}: {ours:?}"
            );
        }
    }
}

#[test]
fn an_episode_is_one_moment_that_is_told_twice_with_one_id() {
    let mut episodes = Episodes::new(3.0);
    let mut random = fastrand::Rng::with_seed(1);
    for pane in 0..200_i64 {
        let value = normal(&mut random) * 0.5
            + if (100..105).contains(&pane) {
                20.0
            } else {
                0.0
            };
        episodes.take(0, pane * PANE, value, || Some(LOAD));
        episodes.end_pane(pane * PANE);
    }
    let told = episodes.take_told();
    let [begun, ended] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(
        (begun.revision, begun.started_at, begun.ended_at),
        (0, 100 * PANE, None)
    );
    assert_eq!((ended.revision, ended.started_at), (1, 100 * PANE));
    assert_eq!(begun.moment_id, ended.moment_id);
    assert_eq!(begun.moment_id.len(), 32);
    assert!(ended.ended_at.is_some_and(|ended| ended >= 105 * PANE) && ended.score >= begun.score);
}
