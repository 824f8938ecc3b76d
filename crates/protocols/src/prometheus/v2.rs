//! Remote write 2.0: `io.prometheus.write.v2.Request`, whose texts stand once, in a table.

use crate::emit::{Emit, Stop};
use crate::info::{Info, family};
use crate::point::MAX_LABELS;
use crate::protobuf::{Fields, Malformed};

use super::{Series, Written, native, sample, word};

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
    let (mut series, mut places, mut last) = (Series::default(), Vec::new(), None);
    for field in Fields::of(body) {
        let (5, message) = field? else { continue };
        let message = message.bytes()?;
        labels(message, &symbols, &mut places, &mut series)?;
        for field in Fields::of(message) {
            match field? {
                (2, point) => sample(point.bytes()?, emit, &series, &mut written)?,
                (3, point) => native::point(point.bytes()?, emit, &mut series, &mut written)?,
                (5, metadata) => {
                    // Each series says it, and those of a metric follow one another.
                    let said = metadata.bytes().and_then(Said::read).ok();
                    let said = said.map(|said| (series.name, said));
                    if let Some((series, said)) = said.filter(|said| last.as_ref() != Some(said)) {
                        emit.info(said.of(series, &symbols))?;
                        last = Some((series, said));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(written)
}

/// A message `Metadata`: the number of the type, and where the texts stand among the symbols.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Said {
    is_of: u64,
    help: u64,
    unit: u64,
}

impl Said {
    fn read(message: &[u8]) -> Result<Said, Malformed> {
        let mut said = Said::default();
        for field in Fields::of(message) {
            match field? {
                (1, number) => said.is_of = number.number()?,
                (3, place) => said.help = place.number()?,
                (4, place) => said.unit = place.number()?,
                _ => {}
            }
        }
        Ok(said)
    }

    /// Of the series' metric. A text that is not there is not said: no sample is refused for it.
    fn of<'a>(self, series: &'a str, symbols: &[&'a str]) -> Info<'a> {
        let text = |place| {
            let found = usize::try_from(place)
                .ok()
                .and_then(|place| symbols.get(place));
            found.copied().unwrap_or_default()
        };
        let is_of = word(self.is_of);
        Info {
            name: family(series, is_of),
            is_of,
            unit: text(self.unit),
            description: text(self.help),
        }
    }
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
