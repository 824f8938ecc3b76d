//! Remote write 1.0: `prometheus.WriteRequest`.

use crate::emit::{Emit, Stop};
use crate::info::Info;
use crate::protobuf::{Fields, Malformed};

use super::{Series, Written, native, sample, word};

/// Reads a body, a message `WriteRequest`.
pub(crate) fn read<E>(body: &[u8], emit: &mut Emit<'_, '_, E>) -> Result<Written, Stop<E>> {
    let mut written = Written::default();
    let mut series = Series::default();
    for field in Fields::of(body) {
        match field? {
            (1, message) => read_series(message.bytes()?, emit, &mut series, &mut written)?,
            // No sample is refused for what is said of its metric.
            (3, message) => {
                if let Ok(info) = message.bytes().and_then(metadata) {
                    emit.info(info)?;
                }
            }
            _ => {}
        }
    }
    Ok(written)
}

fn read_series<'a, E>(
    message: &'a [u8],
    emit: &mut Emit<'_, '_, E>,
    series: &mut Series<'a>,
    written: &mut Written,
) -> Result<(), Stop<E>> {
    labels(message, series)?;
    for field in Fields::of(message) {
        match field? {
            (2, point) => sample(point.bytes()?, emit, series, written)?,
            (4, point) => native::point(point.bytes()?, emit, series, written)?,
            _ => {}
        }
    }
    Ok(())
}

/// A message `MetricMetadata`, which comes apart from samples.
fn metadata(message: &[u8]) -> Result<Info<'_>, Malformed> {
    let (mut name, mut is_of, mut description, mut unit) = ("", "", "", "");
    for field in Fields::of(message) {
        match field? {
            (1, number) => is_of = word(number.number()?),
            (2, text) => name = text.text()?,
            (4, text) => description = text.text()?,
            (5, text) => unit = text.text()?,
            _ => {}
        }
    }
    Ok(Info {
        name,
        is_of,
        unit,
        description,
    })
}

/// First, for a message may have its fields in any order.
fn labels<'a, E>(message: &'a [u8], series: &mut Series<'a>) -> Result<(), Stop<E>> {
    series.clear();
    for field in Fields::of(message) {
        if let (1, label) = field? {
            let (mut name, mut value) = ("", "");
            for field in Fields::of(label.bytes()?) {
                match field? {
                    (1, text) => name = text.text()?,
                    (2, text) => value = text.text()?,
                    _ => {}
                }
            }
            series.label(name, value);
        }
    }
    Ok(())
}
