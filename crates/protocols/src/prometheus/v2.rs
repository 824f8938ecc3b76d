//! Remote write 2.0: `io.prometheus.write.v2.Request`, whose texts stand once, in a table.

use crate::emit::{Emit, Stop};
use crate::point::MAX_LABELS;
use crate::protobuf::{Fields, Malformed};

use super::{Series, Written, native, sample};

/// Most texts of a table: an empty one of two bytes takes 16 here.
const MAX_SYMBOLS: usize = 500_000;

/// Reads a body, a message `Request`.
pub(crate) fn read<E>(body: &[u8], emit: &mut Emit<'_, '_, E>) -> Result<Written, Stop<E>> {
    // All of the table, for a message may have its fields in any order.
    let mut symbols = Vec::new();
    for field in Fields::of(body) {
        if let (4, text) = field? {
            if symbols.len() == MAX_SYMBOLS {
                return Err(
                    Malformed::new(format!("it has more than {MAX_SYMBOLS} symbols")).into(),
                );
            }
            symbols.push(text.text()?);
        }
    }
    if symbols.first().is_some_and(|first| !first.is_empty()) {
        return Err(Malformed::new("the first of `symbols` is not the empty text").into());
    }
    let mut written = Written::default();
    let (mut series, mut places) = (Series::default(), Vec::new());
    for field in Fields::of(body) {
        let (5, message) = field? else { continue };
        let message = message.bytes()?;
        labels(message, &symbols, &mut places, &mut series)?;
        for field in Fields::of(message) {
            match field? {
                (2, point) => {
                    let (mut value, mut millis) = (0.0, 0);
                    for field in Fields::of(point.bytes()?) {
                        match field? {
                            (1, number) => value = number.double()?,
                            (2, number) => millis = number.number()?,
                            _ => {}
                        }
                    }
                    sample(emit, &series, millis, value, &mut written)?;
                }
                (3, point) => native::point(point.bytes()?, emit, &mut series, &mut written)?,
                _ => {}
            }
        }
    }
    Ok(written)
}

fn labels<'a, E>(
    message: &[u8],
    symbols: &[&'a str],
    places: &mut Vec<usize>,
    series: &mut Series<'a>,
) -> Result<(), Stop<E>> {
    series.clear();
    places.clear();
    for field in Fields::of(message) {
        if let (1, numbers) = field? {
            let place = |number| usize::try_from(number).unwrap_or(usize::MAX);
            numbers.extend_varint(places, 2 * MAX_LABELS + 2, place)?;
        }
    }
    let (pairs, rest) = places.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Malformed::new("a label has no value").into());
    }
    for pair in pairs {
        let [Some(name), Some(value)] = pair.map(|place| symbols.get(place)) else {
            return Err(Malformed::new("a label is not among `symbols`").into());
        };
        series.label(name, value);
    }
    Ok(())
}
