//! `ExportMetricsServiceRequest` in [JSON](https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): names in
//! camel case, numbers of 64 bits as texts or as numbers.
//!
//! Lists are read an element at a time, each from where it lies, for the reason that `protobuf` gives.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::emit::{Emit, Stop};
use crate::histogram::Exponential;
use crate::info::Info;
use crate::point::{Label, MAX_LABELS};
use crate::protobuf::Malformed;

use super::{Buckets, Data, DataPoint, Summed, Type};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default, alias = "resource_metrics")]
    resource_metrics: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics<'a> {
    #[serde(borrow, default)]
    resource: Option<Resource<'a>>,
    #[serde(borrow, default, alias = "scope_metrics")]
    scope_metrics: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ScopeMetrics<'a> {
    #[serde(borrow, default)]
    metrics: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
    #[serde(borrow, default)]
    unit: Option<&'a RawValue>,
    #[serde(borrow, default)]
    gauge: Option<Points<'a>>,
    #[serde(borrow, default)]
    sum: Option<Points<'a>>,
    #[serde(borrow, default)]
    histogram: Option<Points<'a>>,
    #[serde(borrow, default, alias = "exponential_histogram")]
    exponential_histogram: Option<Points<'a>>,
    #[serde(borrow, default)]
    summary: Option<Points<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Points<'a> {
    #[serde(borrow, default, alias = "data_points")]
    data_points: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "aggregation_temporality")]
    aggregation_temporality: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "is_monotonic")]
    is_monotonic: Option<&'a RawValue>,
}

impl Points<'_> {
    fn is_delta(&self) -> bool {
        let told = self.aggregation_temporality.map(RawValue::get);
        matches!(told, Some("1" | r#""AGGREGATION_TEMPORALITY_DELTA""#))
    }
}

/// A data point of any type: the names of their fields do not clash. `null` is as if the field were not there.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sent<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    time_unix_nano: Whole,
    flags: u32,
    as_double: Option<Double>,
    as_int: Option<Whole>,
    count: Whole,
    sum: Option<Double>,
    min: Option<Double>,
    max: Option<Double>,
    bucket_counts: Option<Vec<Whole>>,
    explicit_bounds: Option<Vec<Double>>,
    scale: i32,
    zero_count: Whole,
    zero_threshold: Double,
    positive: Option<Side>,
    negative: Option<Side>,
    quantile_values: Option<Vec<Quantile>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Side {
    offset: i32,
    bucket_counts: Option<Vec<Whole>>,
}

#[derive(Deserialize)]
struct Quantile {
    #[serde(default)]
    quantile: Double,
    #[serde(default)]
    value: Double,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(default)]
    value: Option<Json>,
}

/// A whole number, or one in a text.
#[derive(Debug, Clone, Copy, Default)]
struct Whole(i128);

/// A double, or one in a text, such as `"NaN"`.
#[derive(Debug, Clone, Copy, Default)]
struct Double(f64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Whole, D::Error> {
        number(json, "a whole number, or one in a text", Whole, |value| {
            let whole = value.fract() == 0.0 && value.abs() < 1e19;
            whole.then_some(Whole(value as i128))
        })
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Double, D::Error> {
        let told = "a number, or one in a text";
        number(
            json,
            told,
            |value| Double(value as f64),
            |value| Some(Double(value)),
        )
    }
}

fn number<'de, D: Deserializer<'de>, T>(
    json: D,
    told: &'static str,
    whole: fn(i128) -> T,
    double: fn(f64) -> Option<T>,
) -> Result<T, D::Error> {
    struct Number<T> {
        told: &'static str,
        whole: fn(i128) -> T,
        double: fn(f64) -> Option<T>,
    }
    impl<T> Visitor<'_> for Number<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.told)
        }
        fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<T, E> {
            Ok((self.whole)(value.into()))
        }
        fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<T, E> {
            Ok((self.whole)(value.into()))
        }
        fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
            (self.double)(value).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
        }
        fn visit_unit<E: serde::de::Error>(self) -> Result<T, E> {
            Ok((self.whole)(0))
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            if let Ok(whole) = text.parse::<i64>() {
                return Ok((self.whole)(whole.into()));
            }
            if let Ok(whole) = text.parse::<u64>() {
                return Ok((self.whole)(whole.into()));
            }
            let double = text.parse().ok().and_then(self.double);
            double.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
    json.deserialize_any(Number {
        told,
        whole,
        double,
    })
}

/// Reads a body.
pub(crate) fn read<E>(body: &str, emit: &mut Emit<'_, '_, E>) -> Result<(), Stop<E>> {
    if !body.trim_start().starts_with('{') {
        return Err(Malformed::new("it is no object").into());
    }
    let request: Request<'_> = parse(body)?;
    each(request.resource_metrics, |resource| {
        let resource: ResourceMetrics<'_> = parse(resource)?;
        let mut labels = Vec::new();
        attributes(
            resource.resource.unwrap_or_default().attributes,
            &mut labels,
        )?;
        each(resource.scope_metrics, |scope| {
            each(parse::<ScopeMetrics<'_>>(scope)?.metrics, |metric| {
                read_metric(metric, &labels, emit)
            })
        })
    })
}

fn read_metric<E>(
    json: &str,
    labels: &[Label<'_>],
    emit: &mut Emit<'_, '_, E>,
) -> Result<(), Stop<E>> {
    let metric: Metric<'_> = parse(json)?;
    let (unit, description) = (text(metric.unit), text(metric.description));
    type Read = fn(&Sent<'_>) -> Data;
    let types: [(Type, Option<Points<'_>>, Read); 5] = [
        (Type::Gauge, metric.gauge, number_of),
        (Type::Sum, metric.sum, number_of),
        (Type::Histogram, metric.histogram, histogram_of),
        (
            Type::Exponential,
            metric.exponential_histogram,
            exponential_of,
        ),
        (Type::Summary, metric.summary, summary_of),
    ];
    for (is_of, points, data) in types {
        let Some(points) = points else { continue };
        each(points.data_points, |point| {
            let sent: Sent<'_> = parse(point)?;
            let mut labels = labels.to_vec();
            attributes(sent.attributes, &mut labels)?;
            let point = DataPoint {
                labels,
                nanos: u64::try_from(sent.time_unix_nano.0).unwrap_or(0),
                flags: sent.flags,
                data: data(&sent),
            };
            super::point(emit, &metric.name, point)
        })?;
        let is_monotonic = points.is_monotonic.map(RawValue::get) == Some("true");
        emit.info(Info {
            name: &metric.name,
            is_of: is_of.word(points.is_delta(), is_monotonic),
            unit: &unit,
            description: &description,
        })?;
    }
    Ok(())
}

/// A text that is said of a metric; what is none is left out, for no point is refused for it.
fn text(json: Option<&RawValue>) -> Cow<'_, str> {
    #[derive(Default, Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Text(text) = json
        .and_then(|json| serde_json::from_str(json.get()).ok())
        .unwrap_or_default();
    text
}

fn number_of(sent: &Sent<'_>) -> Data {
    match (sent.as_double, sent.as_int) {
        (Some(Double(value)), _) => Data::Number(value),
        (None, Some(Whole(value))) => Data::Number(value as f64),
        (None, None) => Data::Nothing,
    }
}

fn summed(sent: &Sent<'_>) -> Summed {
    let double = |value: Option<Double>| value.map(|Double(value)| value);
    Summed {
        count: sent.count.0 as f64,
        sum: double(sent.sum),
        min: double(sent.min),
        max: double(sent.max),
    }
}

fn histogram_of(sent: &Sent<'_>) -> Data {
    let bounds = sent.explicit_bounds.iter().flatten();
    let bounds = bounds.map(|bound| bound.0).collect();
    let counts = sent.bucket_counts.iter().flatten();
    let counts = counts.map(|count| count.0 as f64).collect();
    Data::Histogram(summed(sent), Buckets::Explicit { bounds, counts })
}

fn exponential_of(sent: &Sent<'_>) -> Data {
    let side = |side: &Option<Side>| {
        let counts = side
            .iter()
            .flat_map(|side| side.bucket_counts.iter().flatten());
        let offset = side.as_ref().map_or(0, |side| side.offset);
        super::indexed(offset, counts.map(|count| count.0 as f64).collect())
    };
    let (positive, negative) = match (side(&sent.positive), side(&sent.negative)) {
        (Ok(positive), Ok(negative)) => (positive, negative),
        (Err(reason), _) | (_, Err(reason)) => return Data::Unfit(reason),
    };
    let histogram = Exponential {
        scale: sent.scale,
        zero_count: sent.zero_count.0 as f64,
        zero_threshold: sent.zero_threshold.0,
        positive,
        negative,
    };
    Data::Histogram(summed(sent), Buckets::Exponential(histogram))
}

fn summary_of(sent: &Sent<'_>) -> Data {
    let quantiles = sent.quantile_values.iter().flatten();
    Data::Summary {
        count: sent.count.0 as f64,
        sum: sent.sum.unwrap_or_default().0,
        quantiles: quantiles
            .map(|told| (told.quantile.0, told.value.0))
            .collect(),
    }
}

fn attributes<'a, E>(
    list: Option<&'a RawValue>,
    labels: &mut Vec<Label<'a>>,
) -> Result<(), Stop<E>> {
    each(list, |pair| {
        if labels.len() == MAX_LABELS {
            return Ok(());
        }
        let pair: KeyValue<'_> = parse(pair)?;
        labels.push((
            pair.key,
            super::told(any(pair.value.unwrap_or(Json::Null))).into(),
        ));
        Ok(())
    })
}

/// What an `AnyValue` holds; `{"stringValue":"a"}` holds a text.
fn any(value: Json) -> Json {
    let Json::Object(fields) = value else {
        return value;
    };
    let Some((of, held)) = fields.into_iter().next() else {
        return Json::from("");
    };
    match (of.as_str(), held) {
        ("arrayValue" | "array_value", Json::Object(mut list)) => match list.remove("values") {
            Some(Json::Array(items)) => items.into_iter().map(any).collect(),
            _ => Json::Array(Vec::new()),
        },
        ("kvlistValue" | "kvlist_value", Json::Object(mut list)) => match list.remove("values") {
            Some(Json::Array(pairs)) => {
                Json::Object(pairs.into_iter().filter_map(pair_of).collect())
            }
            _ => Json::Object(serde_json::Map::new()),
        },
        ("intValue" | "int_value", Json::String(text)) => match text.parse::<i64>() {
            Ok(number) => Json::from(number),
            Err(_) => Json::String(text),
        },
        (_, held) => held,
    }
}

fn pair_of(pair: Json) -> Option<(String, Json)> {
    let Json::Object(mut pair) = pair else {
        return None;
    };
    let Json::String(name) = pair.remove("key")? else {
        return None;
    };
    Some((name, any(pair.remove("value").unwrap_or(Json::Null))))
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(json).map_err(|error| Malformed::new(error.to_string()))
}

/// Gives each element of a list to `take`, where it lies; an absent list and `null` have none.
fn each<'a, E>(
    list: Option<&'a RawValue>,
    take: impl FnMut(&'a str) -> Result<(), Stop<E>>,
) -> Result<(), Stop<E>> {
    struct Each<'s, F, E> {
        take: F,
        stopped: &'s mut Option<Stop<E>>,
    }
    impl<'de, E, F: FnMut(&'de str) -> Result<(), Stop<E>>> DeserializeSeed<'de> for Each<'_, F, E> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
            json.deserialize_seq(self)
        }
    }
    impl<'de, E, F: FnMut(&'de str) -> Result<(), Stop<E>>> Visitor<'de> for Each<'_, F, E> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(element) = list.next_element::<&RawValue>()? {
                if let Err(stop) = (self.take)(element.get()) {
                    *self.stopped = Some(stop);
                    return Err(A::Error::custom("stopped"));
                }
            }
            Ok(())
        }
    }
    let Some(list) = list.filter(|list| list.get() != "null") else {
        return Ok(());
    };
    let mut stopped = None;
    let seed = Each {
        take,
        stopped: &mut stopped,
    };
    let read = seed.deserialize(&mut serde_json::Deserializer::from_str(list.get()));
    match (stopped, read) {
        (Some(stop), _) => Err(stop),
        (None, read) => read.map_err(|error| Malformed::new(error.to_string()).into()),
    }
}
