//! Remote write 1.0: `prometheus.WriteRequest`.

use crate::emit::{Emit, Stop};
use crate::protobuf::Fields;

use super::{Series, Written, native, sample};

/// Reads a body, a message `WriteRequest`. Its metadata, which come apart from samples, are left out.
pub(crate) fn read<E>(body: &[u8], emit: &mut Emit<'_, '_, E>) -> Result<Written, Stop<E>> {
    let mut written = Written::default();
    let mut series = Series::default();
    for field in Fields::of(body) {
        if let (1, message) = field? {
            let message = message.bytes()?;
            labels(message, &mut series)?;
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
                    (4, point) => native::point(point.bytes()?, emit, &mut series, &mut written)?,
                    _ => {}
                }
            }
        }
    }
    Ok(written)
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
