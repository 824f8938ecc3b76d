//! Native histograms, which have the same form in 1.0 and 2.0.

use crate::emit::{Emit, Stop};
use crate::histogram::{Exponential, MAX_BUCKETS, le, too_many_buckets};
use crate::point::{Point, Value};
use crate::protobuf::{Fields, Malformed, unzigzag};

use super::{Series, Written, nanos};

/// The schema of histograms whose bounds are told one by one.
const CUSTOM: i64 = -53;

/// One side of 0.
#[derive(Debug, Default)]
struct Side {
    /// Buckets skipped, and buckets that follow one another.
    spans: Vec<(i64, u64)>,
    /// Counts of a histogram of whole numbers, each less the one before.
    deltas: Vec<i64>,
    /// Counts of a histogram of doubles.
    counts: Vec<f64>,
}

impl Side {
    fn span(&mut self, message: &[u8]) -> Result<(), Malformed> {
        let (mut offset, mut length) = (0, 0);
        for field in Fields::of(message) {
            match field? {
                (1, number) => offset = number.zigzag()?,
                (2, number) => length = number.number()?,
                _ => {}
            }
        }
        // One that skips nothing and holds nothing takes more here than on the wire.
        if self.spans.len() <= MAX_BUCKETS {
            self.spans.push((offset, length));
        }
        Ok(())
    }

    /// Index and count of each bucket, or what is wrong with them.
    fn buckets(&self) -> Result<Vec<(i32, f64)>, String> {
        let most = self
            .spans
            .len()
            .max(self.deltas.len())
            .max(self.counts.len());
        if most > MAX_BUCKETS {
            return Err(too_many_buckets());
        }
        let mut sum = 0;
        let of_deltas = self.deltas.iter().map(|delta| {
            sum += *delta as i128;
            sum as f64
        });
        let mut counts = of_deltas.chain(self.counts.iter().copied());
        let (mut index, mut buckets) = (0_i64, Vec::new());
        for (offset, length) in &self.spans {
            index = index.saturating_add(*offset);
            for _ in 0..*length {
                let Some(count) = counts.next() else {
                    return Err("the histogram's spans are longer than its counts".to_owned());
                };
                let place = i32::try_from(index);
                buckets.push((
                    place.map_err(|_| "a bucket of the histogram is out of range")?,
                    count,
                ));
                index += 1;
            }
        }
        Ok(buckets)
    }
}

/// Reads a message `Histogram` of the series.
pub(super) fn point<E>(
    message: &[u8],
    emit: &mut Emit<'_, '_, E>,
    series: &mut Series<'_>,
    written: &mut Written,
) -> Result<(), Stop<E>> {
    let (mut count, mut sum, mut schema, mut millis) = (0.0, 0.0, 0, 0);
    let (mut zero_count, mut zero_threshold) = (0.0, 0.0);
    let (mut negative, mut positive, mut bounds) = (Side::default(), Side::default(), Vec::new());
    for field in Fields::of(message) {
        match field? {
            (1, number) => count = number.number()? as f64,
            (2, number) => count = number.double()?,
            (3, number) => sum = number.double()?,
            (4, number) => schema = number.zigzag()?,
            (5, number) => zero_threshold = number.double()?,
            (6, number) => zero_count = number.number()? as f64,
            (7, number) => zero_count = number.double()?,
            (8, span) => negative.span(span.bytes()?)?,
            (9, numbers) => {
                numbers.extend_varint(&mut negative.deltas, MAX_BUCKETS + 1, unzigzag)?
            }
            (10, numbers) => numbers.extend_fixed64(&mut negative.counts, f64::from_le_bytes)?,
            (11, span) => positive.span(span.bytes()?)?,
            (12, numbers) => {
                numbers.extend_varint(&mut positive.deltas, MAX_BUCKETS + 1, unzigzag)?
            }
            (13, numbers) => numbers.extend_fixed64(&mut positive.counts, f64::from_le_bytes)?,
            (15, number) => millis = number.number()?,
            (16, numbers) => numbers.extend_fixed64(&mut bounds, f64::from_le_bytes)?,
            _ => {}
        }
    }
    let (positive, negative) = match (positive.buckets(), negative.buckets()) {
        (Ok(positive), Ok(negative)) => (positive, negative),
        (Err(reason), _) | (_, Err(reason)) => {
            emit.unreadable(reason);
            return Ok(());
        }
    };
    let mut buckets = if schema == CUSTOM {
        let mut sum = 0.0;
        let mut custom = Vec::with_capacity(positive.len());
        for (index, count) in positive {
            sum += count;
            let bound = usize::try_from(index).ok().and_then(|at| bounds.get(at));
            custom.extend(bound.map(|bound| (*bound, sum)));
        }
        custom
    } else {
        let scale = i32::try_from(schema)
            .map_err(|_| Malformed::new("a histogram's schema is out of range"))?;
        Exponential {
            scale,
            zero_count,
            zero_threshold,
            positive,
            negative,
        }
        .cumulative()
    };
    buckets.push((f64::INFINITY, count));
    let taken = emit.whole(|emit| {
        let mut tell = |suffix: &str, labels: &[_], value| {
            emit.part(&Point {
                name: &format!("{}{suffix}", series.name),
                labels,
                nanos: Some(nanos(millis)),
                values: &[("", Value::Number(value))],
            })
        };
        tell("_count", &series.labels, count)?;
        tell("_sum", &series.labels, sum)?;
        for (bound, up_to) in buckets {
            series.labels.push(("le".into(), le(bound)));
            let told = tell("_bucket", &series.labels, up_to);
            series.labels.pop();
            told?;
        }
        Ok(())
    })?;
    written.histograms += u64::from(taken);
    Ok(())
}
