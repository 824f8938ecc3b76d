//! Remote write, as its messages are declared.

use crate::bodies::{MILLIS, read, read_mapped};
use prost::Message;
use protocols::{Content, Form};
use serde_json::json;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricMetadata {
    #[prost(int32, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(string, tag = "2")]
    pub(crate) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(crate) help: String,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(string, repeated, tag = "4")]
    pub(crate) symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) histograms: Vec<Histogram>,
    #[prost(message, optional, tag = "5")]
    pub(crate) metadata: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Metadata {
    #[prost(int32, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(uint32, tag = "3")]
    pub(crate) help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) unit_ref: u32,
}

/// The value that ends a series, a NaN of its own.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).into(),
        value: (*value).into(),
    };
    pairs.iter().map(label).collect()
}

pub(crate) fn sample(value: f64, timestamp: i64) -> Sample {
    Sample { value, timestamp }
}

#[test]
fn samples_are_read_in_both_versions_and_those_without_a_value_are_no_error() {
    let samples = vec![
        sample(0.5, MILLIS),
        sample(STALE, MILLIS + 1),
        sample(f64::INFINITY, MILLIS + 2),
    ];
    let one = WriteRequest {
        timeseries: vec![TimeSeries {
            labels: labels(&[
                ("__name__", "job:up:rate5m"),
                ("instance", "http://h/probe"),
                ("job", "node"),
                ("x", ""),
            ]),
            samples: samples.clone(),
            histograms: vec![],
        }],
        ..WriteRequest::default()
    };
    let symbols = [
        "",
        "__name__",
        "job:up:rate5m",
        "instance",
        "http://h/probe",
        "job",
        "node",
        "x",
    ];
    let two = Request {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![TimeSeries2 {
            labels_refs: vec![1, 2, 3, 4, 5, 6, 7, 0],
            samples,
            ..TimeSeries2::default()
        }],
    };
    let one = read(Form::RemoteWrite1, &one.encode_to_vec());
    let two = read(Form::RemoteWrite2, &two.encode_to_vec());
    let expected = json!({"name": "job_up_rate5m", "value": 0.5, "timestamp": MILLIS, "entity": "http:__h_probe",
        "tags": {"instance": "http://h/probe", "job": "node"}});
    assert_eq!(
        (&one.events, &two.events),
        (&vec![expected.clone()], &vec![expected])
    );
    assert_eq!((one.read.report.points, one.read.report.left_out), (3, 2));
    assert_eq!((one.answer.status, two.answer.status), (204, 204));
    let written = ("x-prometheus-remote-write-samples-written", "3".to_owned());
    assert_eq!(two.answer.headers[0], written);
}

#[test]
fn native_histograms_become_buckets() {
    let told = |histogram: Histogram| {
        let series = TimeSeries {
            labels: labels(&[("__name__", "d")]),
            samples: vec![],
            histograms: vec![Histogram {
                timestamp: MILLIS,
                ..histogram
            }],
        };
        let got = read(
            Form::RemoteWrite1,
            &WriteRequest {
                timeseries: vec![series],
                ..WriteRequest::default()
            }
            .encode_to_vec(),
        );
        assert_eq!((got.read.report.points, got.read.report.refused), (1, 0));
        let bucket = |event: &serde_json::Value| {
            let le = event["tags"]["le"].as_str().unwrap_or_default().to_owned();
            (
                event["name"].as_str().unwrap().to_owned(),
                le,
                event["value"].as_f64().unwrap(),
            )
        };
        got.events.iter().map(bucket).collect::<Vec<_>>()
    };
    let of = |name: &str, le: &str, value: f64| (name.to_owned(), le.to_owned(), value);
    // Indexes 1 and 3 of schema 0: (1, 2] has 2, (4, 8] has 5.
    let exponential = Histogram {
        count: 8,
        sum: 30.0,
        zero_count: 1,
        positive_spans: vec![
            Span {
                offset: 1,
                length: 1,
            },
            Span {
                offset: 1,
                length: 1,
            },
        ],
        positive_deltas: vec![2, 3],
        ..Histogram::default()
    };
    let head = [of("d_count", "", 8.0), of("d_sum", "", 30.0)];
    let buckets = [("0", 1.0), ("2", 3.0), ("8", 8.0), ("+Inf", 8.0)];
    let buckets = buckets.map(|(le, value)| of("d_bucket", le, value));
    assert_eq!(told(exponential), [&head[..], &buckets].concat());
    let custom = Histogram {
        count: 8,
        sum: 30.0,
        schema: -53,
        positive_spans: vec![Span {
            offset: 0,
            length: 3,
        }],
        positive_deltas: vec![2, 1, 0],
        custom_values: vec![0.1, 2.5],
        ..Histogram::default()
    };
    let buckets = [("0.1", 2.0), ("2.5", 5.0), ("+Inf", 8.0)];
    let buckets = buckets.map(|(le, value)| of("d_bucket", le, value));
    assert_eq!(told(custom), [&head[..], &buckets].concat());
}

#[test]
fn refused_samples_are_named_and_spoil_no_other() {
    let series = |name: &str, labels_: &[(&str, &str)], timestamp| TimeSeries {
        labels: [labels(&[("__name__", name)]), labels(labels_)].concat(),
        samples: vec![sample(1.0, timestamp)],
        histograms: vec![],
    };
    let long = "x".repeat(10_000_000);
    let spans = Histogram {
        positive_spans: vec![Span {
            offset: 0,
            length: 9,
        }],
        ..Histogram::default()
    };
    let request = WriteRequest {
        timeseries: vec![
            series("good", &[], MILLIS),
            series("", &[], MILLIS),
            series("long", &[("a", &long)], MILLIS),
            series("late", &[], MILLIS + 86_400_000),
            TimeSeries {
                labels: labels(&[("__name__", "h")]),
                samples: vec![],
                histograms: vec![spans],
            },
            series("good", &[], MILLIS - 1),
        ],
        ..WriteRequest::default()
    };
    let got = read(Form::RemoteWrite1, &request.encode_to_vec());
    assert_eq!(got.events.len(), 2);
    assert_eq!(got.answer.status, 400);
    let said = String::from_utf8(got.answer.body).unwrap();
    for part in [
        "sample 1: `name` has 0 bytes",
        "sample 2: name and labels have",
        "sample 3: `timestamp`",
        "sample 4: the histogram's spans",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn messages_that_are_none_are_refused_as_a_whole() {
    let symbols = |first: &str, refs: Vec<u32>| {
        let series = TimeSeries2 {
            labels_refs: refs,
            samples: vec![sample(1.0, MILLIS)],
            ..TimeSeries2::default()
        };
        Request {
            symbols: vec![first.into(), "__name__".into()],
            timeseries: vec![series],
        }
        .encode_to_vec()
    };
    for body in [
        symbols("x", vec![]),
        symbols("", vec![1]),
        symbols("", vec![1, 9]),
        vec![0x2a, 9],
    ] {
        assert!(
            read_mapped(Form::RemoteWrite2, &body, "").is_err(),
            "{body:?}"
        );
    }
    assert!(read_mapped(Form::RemoteWrite1, b"plain text", "").is_err());
}

#[test]
fn the_version_is_told_by_the_content_type() {
    for (content, form) in [
        (None, Some(Form::RemoteWrite1)),
        (Some("application/x-protobuf"), Some(Form::RemoteWrite1)),
        (
            Some("application/x-protobuf;proto=prometheus.WriteRequest"),
            Some(Form::RemoteWrite1),
        ),
        (
            Some("Application/x-protobuf; proto=\"io.prometheus.write.v2.Request\""),
            Some(Form::RemoteWrite2),
        ),
        (Some("application/x-protobuf;proto=other"), None),
        (Some("application/json"), None),
    ] {
        assert_eq!(
            Form::remote_write(Content::of(content)),
            form,
            "{content:?}"
        );
    }
}
