//! The rules of the simulation, and what they find in events: an evaluation that goes through all events for each window
//! end, without a line of the code that it is compared with. Times are milliseconds since 1970.

/// Folder of the rule files.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");

/// Distance of window ends.
pub const PANE: i64 = 10_000;

/// How long data must be missing before a pending alert is dropped: the default of `no_data_after`.
const NO_DATA_AFTER: i64 = 300_000;

/// Names of the signals of a device.
pub const SIGNALS: [&str; 2] = ["load", "heat"];

/// What a rule makes of the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summary {
    /// Their mean.
    Mean,
    /// The greatest.
    Max,
}

/// A rule: the summary of a signal in a window is above a threshold.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The name of its alerts.
    pub name: &'static str,
    /// Index in [`SIGNALS`].
    pub signal: usize,
    /// What is compared.
    pub summary: Summary,
    /// Length of the window.
    pub range: i64,
    /// What it is compared with.
    pub threshold: f64,
    /// `for`.
    pub hold: i64,
    /// `keep_firing_for`.
    pub keep: i64,
}

impl Rule {
    /// Whether the rule is looked at with each event: then an alert begins at the window end that was seen first.
    pub fn is_at_once(&self) -> bool {
        self.summary == Summary::Max && self.hold == 0
    }
}

/// The rules of `rules/rules.yml`.
pub const RULES: [Rule; 4] = [
    Rule {
        name: "MeanHeld",
        signal: 0,
        summary: Summary::Mean,
        range: 60_000,
        threshold: 50.0,
        hold: 40_000,
        keep: 0,
    },
    Rule {
        name: "MeanKept",
        signal: 0,
        summary: Summary::Mean,
        range: 30_000,
        threshold: 60.0,
        hold: 0,
        keep: 30_000,
    },
    Rule {
        name: "PeakAtOnce",
        signal: 1,
        summary: Summary::Max,
        range: 20_000,
        threshold: 90.0,
        hold: 0,
        keep: 0,
    },
    Rule {
        name: "PeakHeld",
        signal: 1,
        summary: Summary::Max,
        range: 60_000,
        threshold: 95.0,
        hold: 120_000,
        keep: 20_000,
    },
];

/// A value of a signal of one device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When it was measured.
    pub at: i64,
    /// A whole number, so that sums do not depend on their order.
    pub value: f64,
}

/// A time during which an alert fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Episode {
    /// The window end at which it began to fire.
    pub fired_at: i64,
    /// The window end at which it was resolved; None if it still fires.
    pub ended_at: Option<i64>,
}

/// Whether the condition holds as of a window end; None without data. Samples are sorted by time.
pub fn holds(rule: &Rule, samples: &[Sample], end: i64) -> Option<bool> {
    let from = samples.partition_point(|sample| sample.at < end - rule.range);
    let to = samples.partition_point(|sample| sample.at < end);
    let values = samples.get(from..to).filter(|values| !values.is_empty())?;
    let values = values.iter().map(|sample| sample.value);
    let value = match rule.summary {
        Summary::Mean => values.clone().sum::<f64>() / values.count() as f64,
        Summary::Max => values.fold(f64::MIN, f64::max),
    };
    Some(value > rule.threshold)
}

/// The episodes of the window ends after `from` up to `to`. Samples are sorted by time.
pub fn episodes(rule: &Rule, samples: &[Sample], (from, to): (i64, i64)) -> Vec<Episode> {
    let mut episodes = Vec::new();
    let (mut active_at, mut fired_at, mut ceased_at) = (None, None, None);
    let mut seen_at = from;
    for end in (from + PANE..=to).step_by(PANE as usize) {
        let holds = holds(rule, samples, end);
        if holds.is_some() {
            seen_at = end;
        }
        match (holds, active_at, fired_at) {
            (Some(true), ..) => {
                ceased_at = None;
                let active_at = *active_at.get_or_insert(end);
                if fired_at.is_none() && end - active_at >= rule.hold {
                    fired_at = Some(end);
                }
            }
            (Some(false), Some(_), None) => active_at = None,
            (Some(false), Some(_), Some(_)) => {
                ceased_at.get_or_insert(end);
            }
            (None, Some(_), None) if end - seen_at >= NO_DATA_AFTER => active_at = None,
            _ => {}
        }
        if let (Some(begun), Some(ceased)) = (fired_at, ceased_at)
            && end - ceased >= rule.keep
        {
            episodes.push(Episode {
                fired_at: begun,
                ended_at: Some(end),
            });
            (active_at, fired_at, ceased_at) = (None, None, None);
        }
    }
    episodes.extend(fired_at.map(|fired_at| Episode {
        fired_at,
        ended_at: None,
    }));
    episodes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_file_has_the_rules_of_the_reference() {
        let read = alerts::rules::read_folder(Path::new(FOLDER)).unwrap();
        assert_eq!(read.all.len(), RULES.len());
        for (rule, read) in RULES.iter().zip(&read.all) {
            let function = match rule.summary {
                Summary::Mean => "avg_over_time",
                Summary::Max => "max_over_time",
            };
            let expr = format!(
                "{function}({}{{kind=\"vehicle\"}}[{}s]) > {}",
                SIGNALS[rule.signal],
                rule.range / 1_000,
                rule.threshold
            );
            assert_eq!((read.alert.as_str(), &read.expr), (rule.name, &expr));
            assert_eq!((read.hold, read.keep_firing), (rule.hold, rule.keep));
            assert_eq!(read.no_data_after, NO_DATA_AFTER);
        }
    }

    #[test]
    fn an_alert_waits_for_its_hold_and_fires_on_for_its_keep() {
        let rule = Rule {
            keep: PANE,
            ..RULES[0]
        };
        let sample = |at: i64, value| Sample {
            at: at * 1_000,
            value,
        };
        let samples: Vec<_> = (0..30)
            .map(|n| sample(n * 10, if n < 12 { 80.0 } else { 0.0 }))
            .collect();
        // It holds from 10 s on; for 40 s at 50 s; the mean of 60 s is 40 from 150 s on.
        let found = episodes(&rule, &samples, (0, 300_000));
        let expected = Episode {
            fired_at: 50_000,
            ended_at: Some(160_000),
        };
        assert_eq!(found, [expected]);
    }
}
