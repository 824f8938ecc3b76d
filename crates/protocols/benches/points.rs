//! What a sample of another sender's protocol costs on its way to a line, next to OpenTelemetry's own decode of the same
//! bytes.
//!
//! `cargo bench -p protocols` measures; the summary at the end gives the best of many rounds, which other processes on the
//! machine disturb least.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark measures real time, on no runtime, and fails by panicking"
)]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use contract::{Kinds, Receipt};
use criterion::{Criterion, Throughput};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use protocols::{Api, Form, Mapping, Precision, Sent};

/// Samples of a body, as a Collector sends them.
const SAMPLES: usize = 2_000;
const MILLIS: u64 = 1_759_581_296_000;

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(any_value::Value::StringValue(value)),
    });
    KeyValue {
        key: key.into(),
        value,
        ..Default::default()
    }
}

/// Ten metrics of two hundred series each: two attributes of the resource, three of the point.
fn otlp() -> Vec<u8> {
    let metrics = (0..10).map(|at| {
        let points = (0..SAMPLES / 10).map(|series| NumberDataPoint {
            attributes: vec![
                attribute("http.request.method", "GET".into()),
                attribute("http.route", format!("/orders/{}", series % 20)),
                attribute("http.response.status_code", (200 + series / 20).to_string()),
            ],
            time_unix_nano: MILLIS * 1_000_000 + series as u64,
            value: Some(number_data_point::Value::AsDouble(series as f64 / 7.0)),
            ..Default::default()
        });
        let gauge = Gauge {
            data_points: points.collect(),
        };
        let name = format!("http.server.load.{at}");
        Metric {
            name,
            unit: "s".into(),
            data: Some(metric::Data::Gauge(gauge)),
            ..Default::default()
        }
    });
    let resource = Resource {
        attributes: vec![
            attribute("service.name", "shop".into()),
            attribute("host.name", "host-17".into()),
        ],
        ..Default::default()
    };
    let scope = ScopeMetrics {
        metrics: metrics.collect(),
        ..Default::default()
    };
    let resource = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope],
        ..Default::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![resource],
    }
    .encode_to_vec()
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// The same series, a sample of each.
fn remote_write() -> Vec<u8> {
    let series = (0..SAMPLES).map(|at| {
        let labels = [
            ("__name__", format!("http_server_load_{}", at / 200)),
            ("code", (200 + at % 200 / 20).to_string()),
            ("instance", "host-17:9100".into()),
            ("job", "shop".into()),
            ("method", "GET".into()),
            ("route", format!("/orders/{}", at % 20)),
        ];
        let label = |(name, value): (&str, String)| Label {
            name: name.into(),
            value,
        };
        let sample = Sample {
            value: at as f64 / 7.0,
            timestamp: MILLIS as i64 + at as i64,
        };
        TimeSeries {
            labels: labels.map(label).to_vec(),
            samples: vec![sample],
        }
    });
    WriteRequest {
        timeseries: series.collect(),
    }
    .encode_to_vec()
}

fn lines() -> Vec<u8> {
    let line = |at: usize| {
        let (code, route) = (200 + at % 200 / 20, at % 20);
        let value = at as f64 / 7.0;
        format!(
            "http,host=host-17,method=GET,code={code},route=/orders/{route} load={value} {MILLIS}{at:06}\n"
        )
    };
    (0..SAMPLES).map(line).collect::<String>().into_bytes()
}

/// A body's samples as the lines that ingest sends on: read, held against the contract, written with their ids.
fn to_lines(form: Form, body: &[u8], kinds: &Kinds, out: &mut Vec<u8>) -> usize {
    let now = "2025-10-04T13:00:00Z".parse().unwrap();
    let receipt = Receipt {
        at: "2025-10-04T13:00:00.000Z",
        sender: Some("shop"),
    };
    let (mapping, mut count) = (Mapping::default(), 0);
    let mut take = |sent: Sent<'_>| {
        let Sent::Event(sent) = sent else {
            // Told before, as nearly always.
            return Ok(Ok(()));
        };
        let event = contract::parse_sent(kinds, Some(sent.kind), sent.text, now).unwrap();
        contract::write_line(out, &event, receipt, sent.text);
        count += 1;
        Ok::<_, Infallible>(Ok(()))
    };
    form.read(body, kinds, &mapping, &mut take).unwrap();
    count
}

/// The best time of a sample, in microseconds.
fn best(mut work: impl FnMut()) -> f64 {
    let (begun, mut best) = (Instant::now(), Duration::MAX);
    while begun.elapsed() < Duration::from_secs(3) {
        let round = Instant::now();
        work();
        best = best.min(round.elapsed());
    }
    best.as_secs_f64() * 1e6 / SAMPLES as f64
}

fn main() {
    let kinds = Kinds::builtin();
    let mut out = Vec::with_capacity(SAMPLES * 512);
    let (otlp, remote_write, lines) = (otlp(), remote_write(), lines());
    let forms = [
        ("OTLP", Form::OtlpProtobuf, &otlp),
        ("remote write", Form::RemoteWrite1, &remote_write),
        (
            "line protocol",
            Form::Lines(Api::V2, Precision::Nanos),
            &lines,
        ),
    ];
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("points");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for (name, form, body) in forms {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                out.clear();
                black_box(to_lines(form, body, &kinds, &mut out))
            });
        });
    }
    group.finish();
    criterion.final_summary();
    let decode = best(|| {
        black_box(ExportMetricsServiceRequest::decode(&*otlp).unwrap());
    });
    println!("\na sample, best of many rounds: opentelemetry-proto decodes OTLP in {decode:.3} µs");
    for (name, form, body) in forms {
        out.clear();
        assert_eq!(to_lines(form, body, &kinds, &mut out), SAMPLES);
        let bytes = out.len() / SAMPLES;
        let ours = best(|| {
            out.clear();
            black_box(to_lines(form, body, &kinds, &mut out));
        });
        println!(
            "{name}: {ours:.3} µs to a line of {bytes} bytes, {:.2} of that decode",
            ours / decode
        );
    }
}
