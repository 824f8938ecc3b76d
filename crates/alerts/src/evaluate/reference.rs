//! Evaluation as the documents describe it, by going through all events for each window end: slow, plain, and without
//! a line of the code that it is compared with.

use std::collections::BTreeMap;

/// An event of the signal `x` of kind `vehicle`.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Number of the series.
    pub(super) series: u8,
    pub(super) at: i64,
    pub(super) value: f64,
}

/// A rule on `x`, with times in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    pub(super) function: &'static str,
    pub(super) range: i64,
    pub(super) threshold: f64,
    pub(super) hold: i64,
    pub(super) keep: i64,
    pub(super) no_data: &'static str,
    pub(super) no_data_after: i64,
}

/// What becomes of an alert: series, window end, state, and when it became active.
pub(super) type Change = (u8, i64, &'static str, i64);

#[derive(Default)]
struct Life {
    active_at: Option<i64>,
    fired: bool,
    by_missing: bool,
    ceased_at: Option<i64>,
    seen_at: Option<i64>,
}

pub(super) fn reference(rule: &Plain, events: &[Sample], (first, last): (i64, i64)) -> Vec<Change> {
    let mut lives: BTreeMap<u8, Life> = BTreeMap::new();
    for sample in events {
        lives.entry(sample.series).or_default();
    }
    let mut changes = Vec::new();
    for end in (first..=last).step_by(10_000) {
        for (series, life) in &mut lives {
            let inside = events.iter().filter(|sample| {
                sample.series == *series && sample.at >= end - rule.range && sample.at < end
            });
            let values: Vec<f64> = inside.map(|sample| sample.value).collect();
            if let Some((state, at)) = look(rule, life, &values, end) {
                changes.push((*series, end, state, at));
            }
        }
    }
    changes
}

fn look(rule: &Plain, life: &mut Life, values: &[f64], end: i64) -> Option<(&'static str, i64)> {
    let Some(value) = summary(rule.function, values) else {
        return look_without_data(rule, life, end);
    };
    life.seen_at = Some(end);
    let was = life.active_at;
    if value > rule.threshold {
        let active_at = *life.active_at.get_or_insert(end);
        let came_back = life.ceased_at.take().is_some() || std::mem::take(&mut life.by_missing);
        let fires = !life.fired && end - active_at >= rule.hold;
        life.fired |= fires;
        let begins = was.is_none();
        return if fires || came_back {
            Some(("firing", active_at))
        } else {
            begins.then_some(("pending", active_at))
        };
    }
    let active_at = was?;
    if !life.fired {
        life.active_at = None;
        return Some(("dropped", active_at));
    }
    let since = life.ceased_at.unwrap_or(end);
    if life.by_missing || end - since >= rule.keep {
        return Some(end_of(life, active_at));
    }
    let begins = life.ceased_at.replace(since).is_none();
    begins.then_some(("keeping", active_at))
}

fn look_without_data(rule: &Plain, life: &mut Life, end: i64) -> Option<(&'static str, i64)> {
    if let (Some(active_at), Some(since)) = (life.active_at, life.ceased_at) {
        return (end - since >= rule.keep).then(|| end_of(life, active_at));
    }
    let missing = end - life.seen_at?;
    if missing < rule.no_data_after {
        return None;
    }
    match (life.active_at, life.fired, rule.no_data) {
        (None, _, "alert") => {
            (life.active_at, life.fired, life.by_missing) = (Some(end), true, true);
            Some(("firing", end))
        }
        (Some(active_at), false, "alert") => {
            (life.fired, life.by_missing) = (true, true);
            Some(("firing", active_at))
        }
        (Some(active_at), false, _) => {
            life.active_at = None;
            Some(("dropped", active_at))
        }
        (Some(active_at), true, "ok") => Some(end_of(life, active_at)),
        _ => None,
    }
}

fn end_of(life: &mut Life, active_at: i64) -> (&'static str, i64) {
    let seen_at = life.seen_at;
    *life = Life {
        seen_at,
        ..Life::default()
    };
    ("resolved", active_at)
}

fn summary(function: &str, values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let all = values.iter().copied();
    (count > 0.0).then(|| match function {
        "avg_over_time" => all.sum::<f64>() / count,
        "max_over_time" => all.fold(f64::MIN, f64::max),
        "min_over_time" => all.fold(f64::MAX, f64::min),
        "sum_over_time" => all.sum(),
        _ => count,
    })
}
