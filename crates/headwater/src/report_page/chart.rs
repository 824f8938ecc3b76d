//! A line chart as SVG.

use std::fmt::Write;

use chrono::DateTime;

/// Size of the drawing, and the space for the axes' numbers left of it and below.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 48.0;
const BELOW: f64 = 24.0;
const ABOVE: f64 = 8.0;

/// Time between two marks of the axis of times, in milliseconds.
const MARK: i64 = 30 * 60_000;

/// Points further apart than this, in milliseconds, are not joined: there was nothing between them.
const GAP: i64 = 10 * 60_000;

/// A line: its class in the page's style, and its points by time in milliseconds.
pub(super) struct Line {
    pub(super) class: &'static str,
    pub(super) points: Vec<(i64, f64)>,
}

/// The chart of these lines; `label` says to those who cannot see it what it shows.
pub(super) fn svg(lines: &[Line], label: &str) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    let times = || all().map(|(time, _)| *time);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return String::new();
    };
    let step = step(all().fold(0.0, |most, (_, value)| value.max(most)));
    let top = step * 4.0;
    let span = (last - first).max(1) as f64;
    let x = |time: i64| LEFT + (time - first) as f64 / span * (WIDTH - LEFT);
    let y = |value: f64| ABOVE + (1.0 - value / top) * (HEIGHT - ABOVE - BELOW);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        super::page::escaped(label)
    );
    for mark in 0..=4 {
        let value = step * f64::from(mark);
        let at = y(value);
        // Writing to a text cannot fail.
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    let mut mark = first.div_euclid(MARK) * MARK + MARK;
    while mark <= last {
        let time = DateTime::from_timestamp_millis(mark).unwrap_or_default();
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(mark).clamp(LEFT, WIDTH - 20.0),
            HEIGHT - 6.0,
            time.format("%H:%M")
        );
        mark += MARK;
    }
    for line in lines {
        let mut path = String::new();
        let mut before = None;
        for (time, value) in &line.points {
            let joined = before.is_some_and(|before| time - before <= GAP);
            let command = if joined { 'L' } else { 'M' };
            let _ = write!(path, "{command}{:.1} {:.1}", x(*time), y(*value));
            before = Some(*time);
        }
        let class = line.class;
        let _ = write!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    svg + "</svg>"
}

/// A quarter of the axis of values: 1, 2 or 5 times a power of ten.
fn step(most: f64) -> f64 {
    let quarter = (most / 4.0).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(quarter.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0].into_iter();
    let mut steps = factors.map(|factor| factor * power);
    steps.find(|step| *step >= quarter).unwrap_or(quarter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_reaches_past_the_greatest_value_in_round_steps() {
        for (most, expected) in [(132.4, 50.0), (100.0, 50.0), (80.0, 20.0), (0.3, 0.1)] {
            let found = step(most);
            assert!((found - expected).abs() < 1e-9, "{most}: {found}");
            assert!(found * 4.0 >= most);
        }
    }

    #[test]
    fn a_line_is_broken_where_there_is_nothing() {
        let line = Line {
            class: "mean",
            points: vec![(0, 1.0), (300_000, 2.0), (3_000_000, 3.0)],
        };
        let svg = svg(&[line], "a & b");
        let path = svg.split(" d=\"").nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        assert_eq!(
            (path.matches('M').count(), path.matches('L').count()),
            (2, 1)
        );
        assert!(svg.contains("a &amp; b"), "{svg}");
        assert_eq!(super::svg(&[], "nothing"), "");
    }
}
