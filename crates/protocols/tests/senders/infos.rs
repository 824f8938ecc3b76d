//! Types, units and descriptions of metrics.

use crate::bodies::{Got, MILLIS, info, read, read_mapped};
use crate::otlp::{NANOS, request};
use crate::prometheus::{
    Metadata, MetricMetadata, Request, TimeSeries, TimeSeries2, WriteRequest, labels, sample,
};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, NumberDataPoint, Sum, Summary, metric,
    number_data_point,
};
use prost::Message;
use protocols::Form;
use serde_json::{Value, json};

fn point() -> NumberDataPoint {
    NumberDataPoint {
        time_unix_nano: NANOS,
        value: Some(number_data_point::Value::AsInt(1)),
        ..Default::default()
    }
}

fn gauge() -> metric::Data {
    metric::Data::Gauge(Gauge {
        data_points: vec![point()],
    })
}

fn sum(aggregation_temporality: i32, is_monotonic: bool) -> metric::Data {
    metric::Data::Sum(Sum {
        data_points: vec![point(), point()],
        aggregation_temporality,
        is_monotonic,
    })
}

fn named(name: &str, unit: &str, description: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.into(),
        unit: unit.into(),
        description: description.into(),
        data: Some(data),
        ..Default::default()
    }
}

/// What the metrics are, which is the same in both forms.
fn of_otlp(metrics: Vec<Metric>) -> Vec<Value> {
    let request = request(metrics);
    let protobuf = read(Form::OtlpProtobuf, &request.encode_to_vec());
    let json = read(Form::OtlpJson, &serde_json::to_vec(&request).unwrap());
    assert_eq!(protobuf.infos, json.infos);
    assert_eq!((protobuf.answer.status, json.answer.status), (200, 200));
    protobuf.infos
}

#[test]
fn a_metric_of_otlp_says_its_type_such_that_counters_keep_their_meaning() {
    let histogram = |aggregation_temporality| {
        metric::Data::Histogram(Histogram {
            aggregation_temporality,
            ..Histogram::default()
        })
    };
    let exponential = metric::Data::ExponentialHistogram(ExponentialHistogram {
        aggregation_temporality: 1,
        ..ExponentialHistogram::default()
    });
    let types = [
        ("gauge", gauge()),
        ("counter", sum(2, true)),
        ("delta_counter", sum(1, true)),
        ("updown_counter", sum(2, false)),
        ("delta_updown_counter", sum(1, false)),
        ("histogram", histogram(2)),
        ("delta_histogram", histogram(1)),
        ("delta_histogram", exponential),
        ("summary", metric::Data::Summary(Summary::default())),
    ];
    let (words, data): (Vec<_>, Vec<_>) = types.into_iter().unzip();
    let metrics = data.into_iter().map(|data| named("m.a", "By", "", data));
    let expected: Vec<_> = words
        .iter()
        .map(|word| info("m_a", word, "By", ""))
        .collect();
    assert_eq!(of_otlp(metrics.collect()), expected);
    // Some senders write JSON's enumerations by their names.
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "m", "unit": null, "description": "a\"b", "sum": {
            "dataPoints": [], "aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA", "isMonotonic": true}}
    ]}]}]});
    let got = read(Form::OtlpJson, body.to_string().as_bytes());
    assert_eq!(got.infos, [info("m", "delta_counter", "", "a\"b")]);
}

#[test]
fn texts_are_cut_where_no_signal_holds_them_and_no_point_is_refused_for_one() {
    // Characters of two bytes, which begin at an odd place.
    let long = format!("a{}", "é".repeat(5_000_000));
    let unit = "x".repeat(257);
    let metrics = vec![
        named("long", "ms", &long, gauge()),
        named("unit", &unit, "", gauge()),
        named("", "ms", "It has no name.", gauge()),
        named(&"n".repeat(256), "ms", "", gauge()),
    ];
    let cut = format!("a{}", "é".repeat(127));
    let expected = [
        info("long", "gauge", "ms", &cut),
        info("unit", "gauge", "", ""),
    ];
    assert_eq!(of_otlp(metrics), expected);
    // A description that is no UTF-8, and one that is no text.
    let mut message = request(vec![named("m", "ms", "d@scription", gauge())]).encode_to_vec();
    let at = message.iter().position(|byte| *byte == b'@').unwrap();
    message[at] = 0xff;
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "m", "unit": "ms", "description": {}, "gauge": {"dataPoints": [{"timeUnixNano": NANOS, "asInt": 1}]}}
    ]}]}]});
    for (form, body) in [
        (Form::OtlpProtobuf, message),
        (Form::OtlpJson, body.to_string().into_bytes()),
    ] {
        let got = read(form, &body);
        assert_eq!(got.infos, [info("m", "gauge", "ms", "")]);
        assert_eq!((got.events.len(), got.read.report.refused), (1, 0));
    }
}

#[test]
fn what_a_rule_makes_another_kind_of_is_not_said() {
    let rules = r#"
        [[map]]
        name = "obd.*"
        kind = "vehicle"

        [[map]]
        name = "old.*"
        kind = "metric"
        strip = "old."
        signals.load = "old.cpu"
    "#;
    let names = ["obd.rpm", "old.cpu", "old.disk.io"];
    let metrics = names.map(|name| named(name, "1", "", gauge()));
    let body = request(metrics.into()).encode_to_vec();
    let got = read_mapped(Form::OtlpProtobuf, &body, rules).unwrap();
    let expected = ["load", "disk_io"].map(|name| info(name, "gauge", "1", ""));
    assert_eq!(got.infos, expected);
}

fn metadata(name: &str, r#type: i32, help: &str, unit: &str) -> MetricMetadata {
    MetricMetadata {
        r#type,
        metric_family_name: name.into(),
        help: help.into(),
        unit: unit.into(),
    }
}

#[test]
fn metadata_of_remote_write_1_are_read_with_samples_and_without() {
    let words = "counter gauge histogram gaugehistogram summary info stateset";
    let words: Vec<&str> = words.split(' ').collect();
    let mut said = vec![
        metadata("job:up", 0, "Whether it is.", ""),
        // Nothing is said of these.
        metadata("unknown", 0, "", ""),
        metadata("later", 99, "", ""),
        metadata("", 1, "It has no name.", ""),
    ];
    let typed = (1..).zip(&words);
    said.extend(typed.map(|(number, word)| metadata(word, number, "", "seconds")));
    let mut request = WriteRequest {
        metadata: said,
        ..WriteRequest::default()
    };
    let mut expected = vec![info("job_up", "", "", "Whether it is.")];
    expected.extend(words.iter().map(|word| info(word, word, "seconds", "")));
    let alone = read(Form::RemoteWrite1, &request.encode_to_vec());
    assert_eq!(alone.infos, expected);
    let told = |got: &Got| (got.answer.status, got.read.report.points, got.events.len());
    assert_eq!(told(&alone), (204, 0, 0));
    request.timeseries.push(TimeSeries {
        labels: labels(&[("__name__", "up")]),
        samples: vec![sample(1.0, MILLIS)],
        histograms: vec![],
    });
    let mut body = request.encode_to_vec();
    // One that ends in the middle of a field, and one that is a number.
    body.extend([0x1a, 2, 0x12, 9, 0x18, 7]);
    let with_samples = read(Form::RemoteWrite1, &body);
    assert_eq!(with_samples.infos, expected);
    assert_eq!(told(&with_samples), (204, 1, 1));
}

#[test]
fn metadata_of_remote_write_2_are_told_once_for_the_series_of_a_metric() {
    let symbols = [
        "",
        "__name__",
        "up",
        "d_bucket",
        "d_sum",
        "le",
        "1",
        "+Inf",
        "seconds",
        "It takes.",
        "s",
    ];
    let series = |labels_refs: &[u32], r#type: i32, help_ref: u32, unit_ref: u32| TimeSeries2 {
        labels_refs: labels_refs.to_vec(),
        samples: vec![sample(1.0, MILLIS)],
        metadata: Some(Metadata {
            r#type,
            help_ref,
            unit_ref,
        }),
        ..TimeSeries2::default()
    };
    let request = Request {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![
            series(&[1, 3, 5, 6], 3, 9, 8),
            series(&[1, 3, 5, 7], 3, 9, 8),
            series(&[1, 4], 3, 9, 8),
            // The texts are not among the symbols.
            series(&[1, 2], 2, 99, u32::MAX),
            series(&[1, 2], 0, 0, 0),
            series(&[1, 4], 1, 0, 10),
        ],
    };
    let got = read(Form::RemoteWrite2, &request.encode_to_vec());
    let expected = [
        info("d", "histogram", "seconds", "It takes."),
        // Another series of it; whoever takes them knows it.
        info("d", "histogram", "seconds", "It takes."),
        info("up", "gauge", "", ""),
        info("d_sum", "counter", "s", ""),
    ];
    assert_eq!(got.infos, expected);
    assert_eq!((got.answer.status, got.events.len()), (204, 6));
    let written = ("x-prometheus-remote-write-samples-written", "6".to_owned());
    assert_eq!(got.answer.headers[0], written);
}
