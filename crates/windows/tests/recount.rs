//! Windows held against a recount of their events.

use proptest::prelude::*;
use windows::{Observed, PANE, SeriesId, Settings, Stat, Windows};

/// A sample: number of the series, time, value.
type Sample = (u8, i64, f64);

/// Entity and dimensions of each series: three are of one entity.
const SERIES: [(&str, &[(&str, &str)]); 4] = [
    ("cell-1", &[]),
    ("cell-1", &[("code", "200"), ("path", "/")]),
    ("cell-1", &[("code", "500"), ("path", "/")]),
    ("cell-2", &[("code", "200"), ("path", "/")]),
];

fn give(windows: &mut Windows, (number, at, value): Sample) {
    let (entity, dimensions) = SERIES[usize::from(number)];
    windows.observe(&Observed {
        kind: "cell",
        entity,
        at,
        arrived: at,
        labels: &[],
        dimensions,
        signals: &[("load", value)],
    });
}

fn series_of(windows: &Windows, number: u8) -> Option<SeriesId> {
    let (entity, dimensions) = SERIES[usize::from(number)];
    windows.find("cell", entity, dimensions, "load")
}

/// What the window has by its definition.
fn recount(samples: &[Sample], number: u8, start: i64, end: i64) -> Option<Stat> {
    let mut values: Vec<(i64, f64)> = samples
        .iter()
        .filter(|(of, at, _)| *of == number && (start..end).contains(at))
        .map(|(_, at, value)| (*at, *value))
        .collect();
    values.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (first, last) = (*values.first()?, *values.last()?);
    let count = values.len() as f64;
    let sum = values.iter().map(|(_, value)| value).sum::<f64>();
    // The first and the last value of each pane.
    let mut seen = Vec::new();
    for pane in values.chunk_by(|a, b| a.0.div_euclid(PANE) == b.0.div_euclid(PANE)) {
        seen.extend([pane[0].1, pane[pane.len() - 1].1]);
    }
    let steps = || seen.windows(2).map(|pair| (pair[0], pair[1]));
    Some(Stat {
        count: values.len() as u64,
        sum,
        squares: values
            .iter()
            .map(|(_, value)| (value - sum / count).powi(2))
            .sum(),
        min: values
            .iter()
            .map(|(_, value)| *value)
            .fold(f64::INFINITY, f64::min),
        max: values
            .iter()
            .map(|(_, value)| *value)
            .fold(f64::NEG_INFINITY, f64::max),
        first: first.1,
        first_at: first.0,
        last: last.1,
        last_at: last.0,
        changes: steps().filter(|(from, to)| from != to).count() as u64,
        increase: steps()
            .map(|(from, to)| if to >= from { to - from } else { to })
            .sum(),
    })
}

fn is_near(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-9 * scale.max(1.0)
}

/// Counts, extremes, times, first, last and changes exactly; sums to 1e-9.
fn assert_same(found: Option<Stat>, expected: Option<Stat>) -> Result<(), TestCaseError> {
    let (Some(found), Some(expected)) = (found, expected) else {
        prop_assert_eq!(found, expected);
        return Ok(());
    };
    let exact = |stat: &Stat| {
        let Stat {
            count,
            min,
            max,
            first,
            first_at,
            last,
            last_at,
            changes,
            ..
        } = *stat;
        (count, min, max, first, first_at, last, last_at, changes)
    };
    prop_assert_eq!(exact(&found), exact(&expected));
    let scale = expected.min.abs().max(expected.max.abs());
    prop_assert!(
        is_near(found.mean(), expected.mean(), scale),
        "{found:?} {expected:?}"
    );
    prop_assert!(
        is_near(found.variance(), expected.variance(), scale * scale),
        "{found:?} {expected:?}"
    );
    prop_assert!(
        is_near(
            found.increase,
            expected.increase,
            scale * expected.count as f64
        ),
        "{found:?} {expected:?}"
    );
    Ok(())
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        -1e6..1e6_f64,
        (0..5_i32).prop_map(f64::from),
        1e9..1.001e9_f64
    ]
}

fn samples(length: i64) -> impl Strategy<Value = Vec<Sample>> {
    prop::collection::vec((0..SERIES.len() as u8, 0..length, value()), 1..200)
}

proptest! {
    #[test]
    fn a_window_is_a_recount_of_its_events_in_whatever_order_they_came(
        samples in samples(300_000).prop_flat_map(|samples| (Just(samples.clone()), Just(samples).prop_shuffle())),
        steps in prop::collection::vec(0..100_000_i64, 1..10),
    ) {
        let (samples, shuffled) = samples;
        // Nothing is too late, however far the watermark has come.
        let settings = Settings { range: 120_000, lateness: 1_000_000, ..Settings::default() };
        let mut windows = Windows::new(settings, -PANE);
        let mut watermark = 0;
        for (chunk, step) in shuffled.chunks(shuffled.len() / steps.len() + 1).zip(steps) {
            chunk.iter().for_each(|sample| give(&mut windows, *sample));
            watermark += step;
            windows.advance(watermark);
            while windows.next_end().is_some() {}
            windows.take_changed();
        }
        for number in 0..SERIES.len() as u8 {
            for end in (0..=300_000).step_by(PANE as usize) {
                for range in [PANE, 60_000, 120_000] {
                    let found = series_of(&windows, number).and_then(|series| windows.window(series, end - range, end));
                    assert_same(found, recount(&samples, number, end - range, end))?;
                }
            }
        }
    }

    #[test]
    fn merging_windows_is_associative(values in prop::collection::vec(value(), 3..60), cuts in (0.0..1.0_f64, 0.0..1.0_f64)) {
        let stats: Vec<Stat> = values.iter().zip(0..).map(|(value, at)| Stat::of(at, *value)).collect();
        let cut = |share: f64| 1 + (share * (stats.len() - 2) as f64) as usize;
        let (low, high) = (cut(cuts.0.min(cuts.1)), (cut(cuts.0.max(cuts.1)) + 1).min(stats.len() - 1));
        prop_assume!(low < high);
        let merged = |stats: &[Stat]| stats.iter().copied().reduce(|stat, later| stat.then(&later));
        let parts = [&stats[..low], &stats[low..high], &stats[high..]].map(|part| merged(part).unwrap());
        let one = parts[0].then(&parts[1]).then(&parts[2]);
        let other = parts[0].then(&parts[1].then(&parts[2]));
        assert_same(Some(one), Some(other))?;
        assert_same(Some(one), merged(&stats))?;
    }

    #[test]
    fn quantiles_do_not_depend_on_the_order(
        values in prop::collection::vec((0..60_000_i64, value()), 1..400).prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
        q in 0.0..1.0_f64,
    ) {
        let of = |values: &[(i64, f64)]| {
            let settings = Settings { quantiles: ["load".to_owned()].into(), ..Settings::default() };
            let mut windows = Windows::new(settings, 0);
            values.iter().for_each(|(at, value)| give(&mut windows, (0, *at, *value)));
            let series = series_of(&windows, 0).unwrap();
            windows.quantile(series, 0, 60_000, q)
        };
        let found = of(&values.0).unwrap();
        prop_assert_eq!(Some(found), of(&values.1));
        let mut sorted: Vec<f64> = values.0.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let rank = q * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
        let within = |value: f64| 0.0041 * value.abs() + 1e-9;
        prop_assert!(found >= low - within(low) && found <= high + within(high), "{found} not in {low}..{high}");
    }
}
