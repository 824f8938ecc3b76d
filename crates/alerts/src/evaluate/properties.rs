//! Evaluation held against the plain reference, on made-up events in any order, with restarts in between.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use windows::{PANE, Settings, Windows};

use super::reference::{Change, Plain, Sample, reference};
use super::tests::{START, is_dimension, observe, settings};
use super::*;
use crate::model::{State, Transition};
use crate::rules::{Rules, read_file};

/// How long the made-up events go on.
const SPAN: i64 = 900_000;

fn rules(plain: &Plain) -> Rules {
    let text = format!(
        "groups: [{{name: g, rules: [{{alert: A, expr: '{}(x{{kind=\"vehicle\"}}[{}s]) > {}', for: {}s, \
         keep_firing_for: {}s, no_data: {}, no_data_after: {}s, annotations: {{v: '{{{{ $value }}}}'}}}}]}}]",
        plain.function,
        plain.range / 1_000,
        plain.threshold,
        plain.hold / 1_000,
        plain.keep / 1_000,
        plain.no_data,
        plain.no_data_after / 1_000
    );
    read_file("a.yml", &text).unwrap()
}

/// A process with its log.
struct Process {
    rules: Rules,
    windows: Windows,
    evaluator: Evaluator,
    /// The last transition of each episode.
    log: BTreeMap<String, Transition>,
    told: Vec<Transition>,
}

impl Process {
    fn start(rules: &Rules) -> Process {
        Process {
            windows: Windows::new(windows_for(rules, Settings::default()), START),
            evaluator: Evaluator::new(rules, settings(), START),
            rules: rules.clone(),
            log: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// What a new process makes of the log and of the events that came so far.
    fn restart(&mut self, events: &[Sample]) {
        let evaluated_to = self.evaluator.evaluated_to();
        self.evaluator = Evaluator::new(&self.rules, settings(), evaluated_to);
        let ends = |told: &&Transition| told.to == State::Resolved;
        let ended = self.log.values().filter(ends);
        let others = self.log.values().filter(|told| !ends(told));
        let gone = self
            .evaluator
            .restore(ended.chain(others).cloned(), is_dimension);
        assert_eq!(gone, []);
        let back = evaluated_to - self.evaluator.looks_back().max(settings().lateness);
        self.windows = Windows::new(windows_for(&self.rules, Settings::default()), back);
        for sample in events {
            observe(&mut self.windows, sample);
        }
        self.windows.advance(evaluated_to);
        while let Some(end) = self.windows.next_end() {
            self.evaluator.look_back(&self.windows, end);
        }
        self.windows.take_changed();
    }

    fn record(&mut self, told: Vec<Transition>) {
        for transition in &told {
            self.log
                .insert(transition.episode.clone(), transition.clone());
        }
        self.told.extend(told);
    }

    fn evaluate_to(&mut self, end: i64) {
        self.windows.advance(end);
        while let Some(end) = self.windows.next_end() {
            let told = self.evaluator.evaluate(&self.windows, end);
            self.record(told);
        }
    }

    fn changes(&self) -> Vec<Change> {
        let change = |told: &Transition| {
            let state = match told.to {
                State::Pending => "pending",
                State::Firing => "firing",
                State::Keeping => "keeping",
                State::Resolved => "resolved",
                State::Dropped => "dropped",
            };
            (series_of(told), told.at, state, told.active_at)
        };
        self.told.iter().map(change).collect()
    }

    /// Firing intervals by series, the open ones to the end of time.
    fn intervals(&self) -> Vec<(u8, i64, i64)> {
        let mut open = BTreeMap::new();
        let mut intervals = Vec::new();
        for told in &self.told {
            match told.to {
                State::Firing => {
                    let from = told.fired_at.unwrap();
                    open.entry(&told.episode).or_insert((series_of(told), from));
                }
                State::Resolved => {
                    let (series, from) =
                        open.remove(&told.episode).expect("resolved without firing");
                    intervals.push((series, from, told.at));
                }
                _ => {}
            }
        }
        intervals.extend(
            open.into_values()
                .map(|(series, from)| (series, from, i64::MAX)),
        );
        intervals
    }

    /// An episode that has ended does not come again; one that was dropped may, if it turns out by late events that it
    /// should not have been: nobody was told.
    fn check_ids(&self, had_late: bool) {
        let mut over = BTreeSet::new();
        for told in &self.told {
            assert!(!over.contains(&told.episode), "{told:?} came after its end");
            if told.to == State::Resolved || told.to == State::Dropped && !had_late {
                over.insert(&told.episode);
            }
        }
    }
}

fn series_of(told: &Transition) -> u8 {
    let entity: u8 = told.labels["entity_id"].parse().unwrap();
    let code = told.labels.get("code");
    code.map_or(entity, |code| entity * 10 + code.parse::<u8>().unwrap())
}

fn plain() -> impl Strategy<Value = Plain> {
    let function = prop::sample::select(vec![
        "avg_over_time",
        "max_over_time",
        "min_over_time",
        "sum_over_time",
        "count_over_time",
    ]);
    let pane = |most: i64| (0..=most).prop_map(|panes| panes * PANE);
    let no_data = prop::sample::select(vec!["keep", "ok", "alert"]);
    let times = (pane(5), pane(3), pane(4), pane(6));
    (function, times, no_data).prop_map(|(function, (range, hold, keep, after), no_data)| Plain {
        function,
        range: range + PANE,
        threshold: 4.0,
        hold,
        keep,
        no_data,
        no_data_after: after + PANE,
    })
}

fn events() -> impl Strategy<Value = Vec<Sample>> {
    // Three of one entity, of which two have dimensions, and one of another.
    let series = prop::sample::select(vec![1, 10, 11, 20]);
    let sample = (series, 0..SPAN, 0_u8..10).prop_map(|(series, at, value)| Sample {
        series,
        at: START + at,
        value: f64::from(value),
    });
    prop::collection::vec(sample, 0..120)
}

/// The reference's firing intervals.
fn episodes(changes: &[Change]) -> Vec<(u8, i64, i64)> {
    let mut open: BTreeMap<u8, i64> = BTreeMap::new();
    let mut episodes = Vec::new();
    for (series, at, state, _) in changes {
        match *state {
            "firing" => {
                open.entry(*series).or_insert(*at);
            }
            "resolved" => {
                let from = open.remove(series).unwrap();
                episodes.push((*series, from, *at));
            }
            _ => {}
        }
    }
    episodes.extend(
        open.into_iter()
            .map(|(series, from)| (series, from, i64::MAX)),
    );
    episodes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the order, the portions and the restarts: the transitions of the reference, no more and no less.
    #[test]
    fn transitions_are_those_of_the_reference(
        plain in plain(),
        events in events(),
        restarts in prop::collection::btree_set(0_i64..90, 0..4),
        ahead in prop::collection::vec(0_i64..60_000, 120),
    ) {
        let mut process = Process::start(&rules(&plain));
        let mut waiting: Vec<_> = events.iter().zip(&ahead).collect();
        let mut came = Vec::new();
        for step in 1..=SPAN / PANE {
            let end = START + step * PANE;
            waiting.retain(|(sample, ahead)| {
                let comes = sample.at - **ahead < end;
                if comes {
                    observe(&mut process.windows, sample);
                    came.push((*sample).clone());
                }
                !comes
            });
            process.evaluate_to(end);
            if restarts.contains(&step) {
                process.restart(&came);
            }
        }
        let expected = reference(&plain, &events, (START + PANE, START + SPAN));
        let mut changes = process.changes();
        changes.sort_by_key(|(series, at, ..)| (*at, *series));
        prop_assert_eq!(changes, expected);
        process.check_ids(false);
    }

    /// Late events within the lateness: each episode of the reference is told, and in the end the same alerts fire.
    #[test]
    fn late_events_are_told_and_set_right(
        plain in plain(),
        events in events(),
        delays in prop::collection::vec(prop_oneof![Just(0_i64), 0_i64..240_000], 120),
        restarts in prop::collection::btree_set(0_i64..120, 0..4),
    ) {
        let plain = Plain { no_data: "ok", no_data_after: 60_000, ..plain };
        let mut process = Process::start(&rules(&plain));
        let mut waiting: Vec<_> = events.iter().zip(&delays).collect();
        let mut came = Vec::new();
        for step in 1..=(SPAN + 300_000) / PANE {
            let end = START + step * PANE;
            waiting.retain(|(sample, delay)| {
                let comes = sample.at + **delay < end;
                if comes {
                    observe(&mut process.windows, sample);
                    came.push((*sample).clone());
                }
                !comes
            });
            let changed = process.windows.take_changed();
            let told = process.evaluator.revise(&process.windows, &changed);
            process.record(told);
            process.evaluate_to(end);
            if restarts.contains(&step) {
                process.restart(&came);
            }
        }
        process.check_ids(true);
        let expected = episodes(&reference(&plain, &events, (START + PANE, START + SPAN + 300_000)));
        let intervals = process.intervals();
        for (series, from, to) in &intervals {
            prop_assert!(from <= to, "{:?} ends before it begins", (series, from, to));
        }
        for (series, from, to) in &expected {
            let is_told = intervals.iter().any(|(other, begin, end)| other == series && begin <= to && from <= end);
            prop_assert!(is_told, "{:?} is missing in {:?}", (series, from, to), intervals);
        }
        let open = |all: &[(u8, i64, i64)]| {
            let open = all.iter().filter(|(.., to)| *to == i64::MAX);
            open.map(|(series, ..)| *series).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(open(&intervals), open(&expected));
    }

    /// What cannot be undone is told before its window ends, and not otherwise than by the reference.
    #[test]
    fn what_cannot_be_undone_is_told_at_once(events in events(), range in 1_i64..6) {
        let plain = Plain {
            function: "max_over_time",
            range: range * PANE,
            threshold: 7.0,
            hold: 0,
            keep: 0,
            no_data: "ok",
            no_data_after: PANE,
        };
        let mut process = Process::start(&rules(&plain));
        let mut in_order = events.clone();
        in_order.sort_by_key(|sample| sample.at);
        for sample in &in_order {
            let before = process.evaluator.active().count();
            observe(&mut process.windows, sample);
            let changed = process.windows.take_changed();
            let told = process.evaluator.look_at_once(&process.windows, &changed, sample.at);
            let already = process.evaluator.active().any(|(_, alert)| series_of(&alert) == sample.series);
            prop_assert!(sample.value <= 7.0 || already, "{before} {told:?}");
            process.record(told);
            process.evaluate_to(sample.at - 10_000);
        }
        process.evaluate_to(START + SPAN + 60_000);
        process.check_ids(false);
        let mut expected = episodes(&reference(&plain, &events, (START + PANE, START + SPAN + 60_000)));
        let mut intervals = process.intervals();
        expected.sort_unstable();
        intervals.sort_unstable();
        prop_assert_eq!(intervals, expected);
    }
}
