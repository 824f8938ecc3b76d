//! `ExportMetricsServiceRequest` in Protocol Buffers. The numbers of the fields are those of
//! [metrics.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.8.0/opentelemetry/proto/metrics/v1/metrics.proto).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json};

use crate::emit::{Emit, Stop};
use crate::histogram::{Exponential, MAX_BUCKETS};
use crate::info::Info;
use crate::point::{Label, MAX_LABELS};
use crate::protobuf::{Fields, Malformed, Wire};

use super::{Buckets, Data, DataPoint, Summed, Type};

/// Most lists and maps within each other in an attribute's value.
const MAX_DEPTH: u32 = 16;

/// `AGGREGATION_TEMPORALITY_DELTA`.
const DELTA: u64 = 1;

/// Reads a body.
pub(crate) fn read<E>(body: &[u8], emit: &mut Emit<'_, '_, E>) -> Result<(), Stop<E>> {
    for resource in messages(body, 1) {
        let resource = resource?;
        let mut labels = Vec::new();
        // First, for a message may have its fields in any order.
        for message in messages(resource, 1) {
            attributes(message?, 1, &mut labels)?;
        }
        for scope in messages(resource, 2) {
            for message in messages(scope?, 2) {
                metric(message?, &labels, emit)?;
            }
        }
    }
    Ok(())
}

/// The messages of the field of that number.
fn messages(message: &[u8], wanted: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields::of(message).filter_map(move |field| match field {
        Ok((number, value)) if number == wanted => Some(value.bytes()),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

fn metric<E>(
    message: &[u8],
    labels: &[Label<'_>],
    emit: &mut Emit<'_, '_, E>,
) -> Result<(), Stop<E>> {
    let (mut name, mut description, mut unit, mut data) = ("", "", "", None);
    for field in Fields::of(message) {
        let (number, value) = field?;
        let is_of = match number {
            1 => {
                name = value.text()?;
                continue;
            }
            // No point is refused for what is said of its metric.
            2 => {
                description = value.text().unwrap_or_default();
                continue;
            }
            3 => {
                unit = value.text().unwrap_or_default();
                continue;
            }
            5 => Type::Gauge,
            7 => Type::Sum,
            9 => Type::Histogram,
            10 => Type::Exponential,
            11 => Type::Summary,
            _ => continue,
        };
        data = Some((is_of, value.bytes()?));
    }
    let Some((is_of, points)) = data else {
        return Ok(());
    };
    let (mut is_delta, mut is_monotonic) = (false, false);
    for field in Fields::of(points) {
        match field? {
            (1, message) => {
                let point = data_point(is_of, message.bytes()?, labels)?;
                super::point(emit, name, point)?;
            }
            (2, temporality) => is_delta = temporality == Wire::Varint(DELTA),
            (3, flag) => is_monotonic = flag == Wire::Varint(1),
            _ => {}
        }
    }
    emit.info(Info {
        name,
        is_of: is_of.word(is_delta, is_monotonic),
        unit,
        description,
    })
}

fn data_point<'a>(
    is_of: Type,
    message: &'a [u8],
    resource: &[Label<'a>],
) -> Result<DataPoint<'a>, Malformed> {
    let mut point = DataPoint {
        labels: Vec::with_capacity(resource.len() + 8),
        ..DataPoint::default()
    };
    point.labels.extend_from_slice(resource);
    let (attributes_at, flags_at) = match is_of {
        Type::Gauge | Type::Sum => (7, 8),
        Type::Histogram => (9, 10),
        Type::Exponential => (1, 10),
        Type::Summary => (7, 8),
    };
    attributes(message, attributes_at, &mut point.labels)?;
    for field in Fields::of(message) {
        let (number, value) = field?;
        match (number, is_of) {
            (3, _) => point.nanos = value.number()?,
            (4, Type::Gauge | Type::Sum) => point.data = Data::Number(value.double()?),
            (6, Type::Gauge | Type::Sum) => {
                point.data = Data::Number(value.number()?.cast_signed() as f64)
            }
            (number, _) if number == flags_at => point.flags = value.number()? as u32,
            _ => {}
        }
    }
    match is_of {
        Type::Gauge | Type::Sum => {}
        Type::Histogram => point.data = histogram(message)?,
        Type::Exponential => point.data = exponential(message)?,
        Type::Summary => point.data = summary(message)?,
    }
    Ok(point)
}

fn histogram(message: &[u8]) -> Result<Data, Malformed> {
    let (mut told, mut bounds, mut counts) = (Summed::default(), Vec::new(), Vec::new());
    for field in Fields::of(message) {
        match field? {
            (4, value) => told.count = value.number()? as f64,
            (5, value) => told.sum = Some(value.double()?),
            (6, values) => {
                values.extend_fixed64(&mut counts, |bytes| u64::from_le_bytes(bytes) as f64)?
            }
            (7, values) => values.extend_fixed64(&mut bounds, f64::from_le_bytes)?,
            (11, value) => told.min = Some(value.double()?),
            (12, value) => told.max = Some(value.double()?),
            _ => {}
        }
    }
    Ok(Data::Histogram(told, Buckets::Explicit { bounds, counts }))
}

fn exponential(message: &[u8]) -> Result<Data, Malformed> {
    let (mut told, mut histogram) = (Summed::default(), Exponential::default());
    let (mut positive, mut negative) = (Ok(Vec::new()), Ok(Vec::new()));
    for field in Fields::of(message) {
        match field? {
            (4, value) => told.count = value.number()? as f64,
            (5, value) => told.sum = Some(value.double()?),
            (6, value) => histogram.scale = whole(value.zigzag()?)?,
            (7, value) => histogram.zero_count = value.number()? as f64,
            (8, message) => positive = side(message.bytes()?)?,
            (9, message) => negative = side(message.bytes()?)?,
            (12, value) => told.min = Some(value.double()?),
            (13, value) => told.max = Some(value.double()?),
            (14, value) => histogram.zero_threshold = value.double()?,
            _ => {}
        }
    }
    (histogram.positive, histogram.negative) = match (positive, negative) {
        (Ok(positive), Ok(negative)) => (positive, negative),
        (Err(reason), _) | (_, Err(reason)) => return Ok(Data::Unfit(reason)),
    };
    Ok(Data::Histogram(told, Buckets::Exponential(histogram)))
}

/// The buckets of one side, or why they are not taken.
fn side(message: &[u8]) -> Result<Result<Vec<(i32, f64)>, String>, Malformed> {
    let (mut offset, mut counts) = (0, Vec::new());
    for field in Fields::of(message) {
        match field? {
            (1, value) => offset = whole(value.zigzag()?)?,
            (2, values) => {
                values.extend_varint(&mut counts, MAX_BUCKETS + 1, |count| count as f64)?
            }
            _ => {}
        }
    }
    Ok(super::indexed(offset, counts))
}

fn whole(value: i64) -> Result<i32, Malformed> {
    i32::try_from(value).map_err(|_| Malformed::new("a number does not fit 32 bits"))
}

fn summary(message: &[u8]) -> Result<Data, Malformed> {
    let (mut count, mut sum, mut quantiles) = (0.0, 0.0, Vec::new());
    for field in Fields::of(message) {
        match field? {
            (4, value) => count = value.number()? as f64,
            (5, value) => sum = value.double()?,
            (6, message) => {
                let mut quantile = (0.0, 0.0);
                for field in Fields::of(message.bytes()?) {
                    match field? {
                        (1, value) => quantile.0 = value.double()?,
                        (2, value) => quantile.1 = value.double()?,
                        _ => {}
                    }
                }
                quantiles.push(quantile);
            }
            _ => {}
        }
    }
    Ok(Data::Summary {
        count,
        sum,
        quantiles,
    })
}

/// Appends the attributes of the field `number`.
fn attributes<'a>(
    message: &'a [u8],
    number: u32,
    labels: &mut Vec<Label<'a>>,
) -> Result<(), Malformed> {
    for pair in messages(message, number) {
        if labels.len() == MAX_LABELS {
            break;
        }
        let (name, value) = pair_of(pair?)?;
        let value = value.map(|value| any(value, 0)).transpose()?;
        labels.push((Cow::Borrowed(name), value.unwrap_or_default()));
    }
    Ok(())
}

/// Key and value, a message `AnyValue`.
fn pair_of(message: &[u8]) -> Result<(&str, Option<&[u8]>), Malformed> {
    let (mut name, mut value) = ("", None);
    for field in Fields::of(message) {
        match field? {
            (1, text) => name = text.text()?,
            (2, message) => value = Some(message.bytes()?),
            _ => {}
        }
    }
    Ok((name, value))
}

/// An attribute's value as a text; lists and maps are told in JSON.
fn any(message: &[u8], depth: u32) -> Result<Cow<'_, str>, Malformed> {
    let mut told = Cow::Borrowed("");
    for field in Fields::of(message) {
        let (number, value) = field?;
        told = match number {
            1 => Cow::Borrowed(value.text()?),
            2..=7 => Cow::Owned(super::told(json(number, value, depth)?)),
            _ => continue,
        };
    }
    Ok(told)
}

fn json(number: u32, value: Wire<'_>, depth: u32) -> Result<Json, Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::new(format!(
            "an attribute has more than {MAX_DEPTH} levels"
        )));
    }
    Ok(match number {
        1 => Json::from(value.text()?),
        2 => Json::from(value.number()? != 0),
        3 => Json::from(value.number()?.cast_signed()),
        4 => Json::from(value.double()?),
        5 => {
            let items = messages(value.bytes()?, 1);
            let items = items.map(|item| json_of(Some(item?), depth + 1));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        6 => {
            let mut map = Map::new();
            for pair in messages(value.bytes()?, 1) {
                let (name, value) = pair_of(pair?)?;
                map.insert(name.to_owned(), json_of(value, depth + 1)?);
            }
            Json::Object(map)
        }
        _ => Json::from(BASE64.encode(value.bytes()?)),
    })
}

fn json_of(message: Option<&[u8]>, depth: u32) -> Result<Json, Malformed> {
    let mut told = Json::Null;
    for field in Fields::of(message.unwrap_or_default()) {
        let (number, value) = field?;
        if (1..=7).contains(&number) {
            told = json(number, value, depth)?;
        }
    }
    Ok(told)
}
