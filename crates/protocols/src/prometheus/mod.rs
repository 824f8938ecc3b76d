//! Prometheus remote write, [1.0](https://prometheus.io/docs/specs/prw/remote_write_spec/) and
//! [2.0](https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/): series of labels with samples.

mod native;
mod v1;
mod v2;

use crate::emit::{Emit, Stop};
use crate::point::{Label, MAX_LABELS, Point, Value};
use crate::protobuf::Fields;

pub(crate) use v1::read as read_v1;
pub(crate) use v2::read as read_v2;

/// The label that is the metric's name.
const NAME: &str = "__name__";

/// A series while it is read.
#[derive(Debug, Default)]
struct Series<'a> {
    name: &'a str,
    labels: Vec<Label<'a>>,
}

impl<'a> Series<'a> {
    fn clear(&mut self) {
        self.name = "";
        self.labels.clear();
    }

    fn label(&mut self, name: &'a str, value: &'a str) {
        if name == NAME {
            self.name = value;
        } else if self.labels.len() < MAX_LABELS {
            self.labels.push((name.into(), value.into()));
        }
    }
}

/// The word for a type of metric, which has the same number in both versions; empty if the sender does not know it.
fn word(number: u64) -> &'static str {
    match number {
        1 => "counter",
        2 => "gauge",
        3 => "histogram",
        4 => "gaugehistogram",
        5 => "summary",
        6 => "info",
        7 => "stateset",
        _ => "",
    }
}

/// Nanoseconds of a time in milliseconds.
fn nanos(millis: u64) -> i64 {
    millis.cast_signed().saturating_mul(1_000_000)
}

/// What the points of a body come to: samples, and native histograms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
}

/// Takes a message `Sample`, which is the same in both versions.
fn sample<E>(
    message: &[u8],
    emit: &mut Emit<'_, '_, E>,
    series: &Series<'_>,
    written: &mut Written,
) -> Result<(), Stop<E>> {
    let (mut value, mut millis) = (0.0, 0);
    for field in Fields::of(message) {
        match field? {
            (1, number) => value = number.double()?,
            (2, number) => millis = number.number()?,
            _ => {}
        }
    }
    let taken = emit.point(&Point {
        name: series.name,
        labels: &series.labels,
        nanos: Some(nanos(millis)),
        values: &[("", Value::Number(value))],
    })?;
    written.samples += u64::from(taken);
    Ok(())
}
